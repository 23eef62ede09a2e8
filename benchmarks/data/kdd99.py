"""KDD Cup 1999 (10%): 494,021 + 311,029 sparse rows x 119, 23 classes, values up to 6.9e8."""

import numpy as np
from scipy import sparse
from sklearn.datasets import fetch_kddcup99
from sklearn.preprocessing import OneHotEncoder

from . import prepare, sources, synthetic

CATEGORIES = [1, 2, 3]  # protocol, service, flag


def load():
    """CSR float32 after log1p and scaling by the largest value."""
    return sources.obtain("kdd99", prepare.wide_ranges, _stand_in, _fetch)


def load_raw():
    """The same rows with values as they are."""
    return sources.obtain("kdd99", prepare.raw_ranges, _stand_in, _fetch)


def _fetch():
    X, y = fetch_kddcup99(percent10=True, return_X_y=True)
    numbers = sparse.csr_array(np.delete(X, CATEGORIES, axis=1).astype(np.float32))
    hot = OneHotEncoder(dtype=np.float32).fit_transform(X[:, CATEGORIES])
    # scikit-learn has the training rows alone, so that the test rows are drawn from them
    X = sparse.csr_array(sparse.hstack([numbers, hot]))
    return prepare.split(X, y.astype(np.str_), 394_021, 100_000)


def _stand_in():
    return synthetic.sparse_table(100_000, 40_000, 119, 23, per_row=13, top=1e8)
