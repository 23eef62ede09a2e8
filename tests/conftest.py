"""Data and fixtures that several test files share."""

import numpy as np
import pytest
from hypothesis import settings
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.preprocessing import scale

settings.register_profile("default", deadline=None, derandomize=True)
settings.load_profile("default")


@pytest.fixture(scope="session")
def digits():
    """The bundled digits, features in [0, 1]."""
    X, y = load_digits(return_X_y=True)
    return X / 16, y


@pytest.fixture(scope="session")
def three(digits):
    """Three classes of the digits."""
    X, y = digits
    keep = y < 3
    return X[keep], y[keep]


@pytest.fixture(scope="session")
def breast_cancer():
    """Two classes, standardized features."""
    X, y = load_breast_cancer(return_X_y=True)
    return scale(X), y


@pytest.fixture(scope="session")
def clouds():
    """Rows of four overlapping classes with features of different scales, dense and CSR."""
    rng = np.random.default_rng(0)
    n_rows, n_features = 203, 7
    centers = rng.normal(size=(4, n_features))
    y = rng.integers(0, 4, n_rows)
    X = centers[y] + rng.normal(size=(n_rows, n_features))
    X *= 10.0 ** np.arange(-1, n_features - 1).clip(max=2)
    X[rng.random(X.shape) < 0.3] = 0
    return X, y, sparse.csr_array(X)
