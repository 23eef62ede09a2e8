"""First 20,000 rows of Covertype: 54 features on very different scales, 7 classes."""

import numpy as np
from sklearn.datasets import fetch_covtype

from . import prepare, sources, synthetic


def load():
    """Raw values in float32: the scales are the point."""
    return sources.obtain("covtype20k", prepare.table, _stand_in, _fetch)


def _fetch():
    X, y = fetch_covtype(return_X_y=True)
    return prepare.split(X[:20_000], y[:20_000], 16_000, 4_000)


def _stand_in():
    X_train, y_train, X_test, y_test = synthetic.table(16_000, 4_000, 54, 7, kind=np.int64)
    scale = 10 ** np.linspace(-2, 1.5, 54)
    return X_train * scale, y_train, X_test * scale, y_test
