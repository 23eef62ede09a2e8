"""Handwritten digits: 60,000 + 10,000 images of 28 x 28, 10 classes."""

import numpy as np
from sklearn.datasets import fetch_openml

from . import prepare, sources, synthetic


def load():
    """Pixels / 255 in float32."""
    return sources.obtain("mnist", prepare.images, _stand_in, _fetch)


def _fetch():
    X, y = fetch_openml("mnist_784", version=1, return_X_y=True, as_frame=False)
    return prepare.cut(X, y.astype(np.int64), 60_000, 10_000)


def _stand_in():
    return synthetic.table(20_000, 4_000, 784, 10, noise=2.0)
