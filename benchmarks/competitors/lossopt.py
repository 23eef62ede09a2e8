"""Ours: SoftmaxClassifier and LinearSVMClassifier."""

from functools import partial

from sklearn_lossopt import LinearSVMClassifier, SoftmaxClassifier

from ..objective import Objective
from .competitor import Competitor


def _softmax_objective(estimator, n_rows, n_classes):
    family = "logistic" if n_classes == 2 else "softmax"
    return Objective(family, estimator.alpha, estimator.l1_ratio)


def _svm_objective(estimator, n_rows, n_classes):
    family = "hinge" if n_classes == 2 else estimator.multi_class
    squared = estimator.loss == "squared_hinge"
    return Objective(family, estimator.alpha, estimator.l1_ratio, squared)


COMPETITORS = (
    Competitor(
        "softmax", "SoftmaxClassifier (ours)", partial(SoftmaxClassifier, random_state=0), _softmax_objective
    ),
    Competitor(
        "svm", "LinearSVMClassifier (ours)", partial(LinearSVMClassifier, random_state=0), _svm_objective
    ),
)
