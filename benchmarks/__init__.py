"""Benchmarks of sklearn_lossopt: one objective, a file a data set, a file a competitor, a file a suite."""
