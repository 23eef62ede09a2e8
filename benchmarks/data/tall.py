"""A table of few features: 100,000 + 20,000 dense float64 rows x 20, 2 classes, made by a generator."""

from sklearn.datasets import make_classification

from .sources import Dataset


def load():
    """scikit-learn's `make_classification`: ten features tell, a tenth of the labels is random."""
    X, y = make_classification(120_000, 20, n_informative=10, flip_y=0.1, random_state=0)
    return Dataset("tall", X[:100_000], y[:100_000], X[100_000:], y[100_000:], "generated")
