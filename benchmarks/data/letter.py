"""Letter recognition: 16,000 + 4,000 rows, 16 small integer features, 26 classes."""

import numpy as np
from sklearn.datasets import fetch_openml

from . import prepare, sources, synthetic


def load():
    """Raw values in float32."""
    return sources.obtain("letter", prepare.table, _stand_in, _fetch)


def _fetch():
    X, y = fetch_openml("letter", version=1, return_X_y=True, as_frame=False)
    return prepare.cut(X, y.astype(np.str_), 16_000, 4_000)


def _stand_in():
    return synthetic.table(16_000, 4_000, 16, 26, noise=0.3, top=15)
