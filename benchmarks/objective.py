"""The one objective that results are compared by, in float64 and outside all competitors."""

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import log_loss
from sklearn.utils import gen_batches

from sklearn_lossopt import losses
from sklearn_lossopt.penalties import ElasticNet

FAMILIES = {
    "softmax": losses.CrossEntropy,
    "logistic": losses.LogLoss,
    "weston_watkins": losses.WestonWatkins,
    "crammer_singer": losses.CrammerSinger,
    "ovr": losses.OneVsRest,
    "hinge": losses.BinaryHinge,
}
TWO_CLASSES = ("logistic", "hinge")  # one row of coefficients
SMOOTH = ("softmax", "logistic")  # have no squared form
BLOCK = 4096  # rows at a time: a float64 copy of all of X may not fit


@dataclass(frozen=True)
class Objective:
    """``mean loss(W x + b, y) + alpha (l1_ratio |W|_1 + (1 - l1_ratio) / 2 |W|_F^2)``.

    Equal objectives compare equal, which tells whether two estimators solve the same problem.
    """

    family: str
    alpha: float
    l1_ratio: float = 0.0
    squared: bool = False

    def loss(self):
        """The NumPy loss."""
        family = FAMILIES[self.family]
        return family() if self.family in SMOOTH else family(squared=self.squared)

    def __call__(self, X, y, coef, intercept, sample_weight=None):
        """Value at coefficients.

        Parameters
        ----------
        X : {ndarray, sparse matrix} of shape (n_samples, n_features)
            Rows.
        y : ndarray of shape (n_samples,)
            Class numbers.
        coef : ndarray of shape (n_outputs, n_features)
            Weights; two-class families have one output.
        intercept : ndarray of shape (n_outputs,)
            Intercepts, which are not penalized.
        sample_weight : ndarray of shape (n_samples,), default=None
            Row weights; only their ratios matter.
        """
        coef = np.asarray(coef, dtype=np.float64)
        intercept = np.asarray(intercept, dtype=np.float64)
        weight = np.ones(X.shape[0]) if sample_weight is None else np.asarray(sample_weight, np.float64)
        loss = self.loss()
        total = 0.0
        for rows in gen_batches(X.shape[0], BLOCK):
            scores = X[rows].astype(np.float64) @ coef.T + intercept
            if self.family in TWO_CLASSES:
                scores = scores[:, 0]
            total += weight[rows] @ loss.value(scores, y[rows])
        return float(total / weight.sum() + ElasticNet(self.alpha, self.l1_ratio).value(coef))


def of_fit(objective, estimator, X, y):
    """Value of an objective at a fitted estimator's coefficients."""
    numbers = np.searchsorted(estimator.classes_, y)
    return objective(X, numbers, estimator.coef_, estimator.intercept_)


def test_probabilities(estimator, X):
    """A fitted estimator's probabilities in float64, rows of sum 1; None if it has none."""
    if not hasattr(estimator, "predict_proba"):
        return None
    probability = estimator.predict_proba(X).astype(np.float64)
    # float32 rows sum to 1 only so far as float32 goes, which scikit-learn would warn of
    return probability / probability.sum(axis=1, keepdims=True)


def test_log_loss(estimator, X, y):
    """Mean log loss of a fitted estimator's probabilities, in float64; None if it has none."""
    probability = test_probabilities(estimator, X)
    return None if probability is None else log_loss(y, probability, labels=estimator.classes_)


def calibration_error(probability, target, n_bins=15):
    """Expected calibration error of the most probable class (Guo et al. 2017).

    Rows are put by the probability of their most probable class into bins of equal width; the
    distance of its mean from the accuracy there is averaged over the bins, by their rows.

    Parameters
    ----------
    probability : ndarray of shape (n_samples, n_classes)
        Probabilities.
    target : ndarray of int, shape (n_samples,)
        Class numbers.
    n_bins : int, default=15
        Bins of [0, 1], each open below and closed above.
    """
    confidence = probability.max(axis=1)
    is_right = probability.argmax(axis=1) == target
    bins = np.ceil(confidence * n_bins).clip(1, n_bins).astype(int)
    # A bin's share of the rows times the distance of its means is that of its sums, over all rows.
    distance = np.bincount(bins, confidence) - np.bincount(bins, is_right)
    return float(np.abs(distance).sum() / len(target))
