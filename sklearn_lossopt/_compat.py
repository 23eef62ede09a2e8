"""All that comes from scikit-learn's private modules, and shims for older releases."""

import numpy as np
from sklearn.base import BaseEstimator, _fit_context
from sklearn.linear_model._base import LinearClassifierMixin, SparseCoefMixin
from sklearn.utils._param_validation import Interval, StrOptions

__all__ = [
    "BaseEstimator",
    "Interval",
    "LinearClassifierMixin",
    "SparseCoefMixin",
    "StrOptions",
    "weights_of_classes",
    "fit_context",
]

fit_context = _fit_context


def weights_of_classes(class_weight, classes, counts):
    """Weight of each class.

    scikit-learn's `compute_class_weight` counts rows for "balanced" in its older releases; here
    `counts` are sums of `sample_weight`, so that a weight of 2 is the same as the row twice.
    """
    if class_weight is None:
        return np.ones(len(classes))
    if isinstance(class_weight, str):
        return counts.sum() / (len(classes) * counts)
    weights = np.ones(len(classes))
    labels = [label.item() if isinstance(label, np.generic) else label for label in classes]
    if not set(class_weight) & set(labels):
        raise ValueError(
            f"class_weight names none of the classes {labels!r}: its keys are {list(class_weight)!r}."
        )
    for k, label in enumerate(labels):
        weights[k] = class_weight.get(label, 1.0)
    if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.any()):
        raise ValueError(
            f"class_weight must hold finite weights >= 0 that are not all zero. Got {class_weight!r} instead."
        )
    return weights
