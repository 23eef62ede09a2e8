"""A part of CIFAR-10: 10,000 + 2,000 color images of 32 x 32, 10 classes."""

import numpy as np
from sklearn.datasets import fetch_openml

from . import prepare, sources, synthetic


def load():
    """Pixels / 255 in float32."""
    return sources.obtain("cifar10_small", prepare.images, _stand_in, _fetch)


def _fetch():
    X, y = fetch_openml("CIFAR_10_small", version=1, return_X_y=True, as_frame=False)
    return prepare.split(X, y.astype(np.int64), 10_000, 2_000)


def _stand_in():
    return synthetic.table(4_000, 1_000, 3_072, 10, noise=4.0)
