"""All Numba code of the package, and nothing else: the one place that knows memory layouts.

Dense rows go with coefficients of shape (n_outputs, n_features), CSR rows with their transpose, so
that the innermost loop of either runs over contiguous memory. Arrays come in C order, matrices of
rows read-only, row and column numbers as int32 where they fit, constants in the arrays' dtype.
"""
