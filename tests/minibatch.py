"""Estimators of the minibatch contract, which several test files share; and a stream through one."""

import numpy as np
import pytest
from sklearn.base import clone

from sklearn_lossopt import LinearSVMClassifier, SoftmaxClassifier

BOTH = [
    SoftmaxClassifier(solver="momentum", random_state=0),
    LinearSVMClassifier(solver="momentum", random_state=0),
]
both = pytest.mark.parametrize("estimator", [clone(e) for e in BOTH], ids=["softmax", "svm"])


def stream(estimator, X, y, chunk, passes, weight=None):
    """The estimator after passes over the rows by `partial_fit`, a chunk at a time."""
    for _ in range(passes):
        for start in range(0, X.shape[0], chunk):
            part = slice(start, start + chunk)
            estimator.partial_fit(
                X[part], y[part], classes=np.unique(y), sample_weight=None if weight is None else weight[part]
            )
    return estimator
