"""All that comes from scikit-learn's private modules, and shims for older releases."""

import numpy as np
import sklearn
from sklearn.base import BaseEstimator, _fit_context
from sklearn.linear_model._base import LinearClassifierMixin, SparseCoefMixin
from sklearn.utils import _safe_indexing
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils._unique import attach_unique, cached_unique

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # before scikit-learn 1.9

    class _NoContext:
        """A task that nobody watches."""

        def call_on_fit_task_begin(self, **_):
            pass

        def call_on_fit_task_end(self, **_):
            pass

    class CallbackSupportMixin:
        """Stands in for scikit-learn's: a fit without callbacks."""

        def set_callbacks(self, *callbacks):
            """Say which release has callbacks.

            Parameters
            ----------
            *callbacks : object
                Of no account.

            Raises
            ------
            RuntimeError
                Always.
            """
            raise RuntimeError(
                f"Callbacks need scikit-learn 1.9 or newer; this is {sklearn.__version__}. Upgrade "
                "scikit-learn, or set verbose=1 for a line a pass."
            )

        def _init_callback_context(self, **_):
            return _NoContext()


__all__ = [
    "BaseEstimator",
    "CallbackSupportMixin",
    "Interval",
    "LinearClassifierMixin",
    "SparseCoefMixin",
    "StrOptions",
    "rows_of",
    "unique_labels",
    "weights_of_classes",
    "fit_context",
]

fit_context = _fit_context
rows_of = _safe_indexing  # of arrays, sparse ones, data frames


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
            f"class_weight names none of the classes {labels!r}: its keys are {list(class_weight)!r}. Use "
            "the labels in y as keys, of the same type."
        )
    for k, label in enumerate(labels):
        weights[k] = class_weight.get(label, 1.0)
    if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.any()):
        raise ValueError(
            f"class_weight must hold finite weights >= 0 that are not all zero. Got {class_weight!r} instead."
        )
    return weights


def unique_labels(y):
    """The sorted labels, and a view of y whose labels scikit-learn's checks need not look for again.

    The view is only for use on the spot: it would not know of changes.
    """
    if y.dtype == object:
        return np.unique(y), y
    counted = attach_unique(y)
    return cached_unique(counted), counted
