"""The losses as the field writes them: value, gradient by the scores, convex conjugate.

This is the text to read and the truth that the tests hold the kernels against; `fit` runs the
kernels of :mod:`sklearn_lossopt.kernels`, which compute the same.

A multiclass loss takes scores of shape (n_samples, n_classes) and class numbers `y` of shape
(n_samples,). A two-class loss takes scores of shape (n_samples,), those of class 1, and `y` in
{0, 1}; it is a function of the margin ``m = t s`` with ``t = 2 y - 1``.
"""

from abc import ABC, abstractmethod

import numpy as np
from scipy.special import expit, rel_entr, softmax, xlogy

__all__ = [
    "BinaryHinge",
    "CrammerSinger",
    "CrossEntropy",
    "ExponentialLoss",
    "LogLoss",
    "Loss",
    "OneVsRest",
    "WestonWatkins",
    "ZeroOneLoss",
    "entropy",
    "kullback_leibler",
]

# How far a point may lie outside a conjugate's domain and still count as a rounding of its edge.
_ROUNDING = 1e-12


class Loss(ABC):
    """A loss of scores; the methods of all losses.

    Every method works row by row; `mean` is the data term of the objective.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_lossopt.losses import BinaryHinge, Loss
    >>> isinstance(BinaryHinge(), Loss)
    True
    >>> BinaryHinge().mean(np.array([2.0, 0.0]), np.array([1, 1]), sample_weight=[1, 3])
    0.75
    """

    @abstractmethod
    def value(self, scores, y):
        """Loss of each row.

        Parameters
        ----------
        scores : ndarray of shape (n_samples, n_classes) or (n_samples,)
            Scores; of a two-class loss those of class 1.
        y : ndarray of shape (n_samples,)
            Class numbers.

        Returns
        -------
        ndarray of shape (n_samples,)
            Losses, >= 0.
        """

    @abstractmethod
    def gradient(self, scores, y):
        """Gradient by the scores; a subgradient at kinks.

        Parameters
        ----------
        scores : ndarray of shape (n_samples, n_classes) or (n_samples,)
            Scores; of a two-class loss those of class 1.
        y : ndarray of shape (n_samples,)
            Class numbers.

        Returns
        -------
        ndarray in the shape of `scores`
            The gradient, row by row.
        """

    @abstractmethod
    def conjugate(self, slopes, y):
        """Convex conjugate of each row's loss, ``sup_s <slopes, s> - loss(s, y)``.

        Parameters
        ----------
        slopes : ndarray of shape (n_samples, n_classes) or (n_samples,)
            Where to take it, in the shape of scores.
        y : ndarray of shape (n_samples,)
            Class numbers.

        Returns
        -------
        ndarray of shape (n_samples,)
            Its values, inf outside its domain.

        Raises
        ------
        TypeError
            If the loss is not convex.
        """

    def mean(self, scores, y, sample_weight=None):
        """Weighted mean loss.

        Parameters
        ----------
        scores : ndarray of shape (n_samples, n_classes) or (n_samples,)
            Scores; of a two-class loss those of class 1.
        y : ndarray of shape (n_samples,)
            Class numbers.
        sample_weight : ndarray of shape (n_samples,), default=None
            Weights; only their ratios matter.

        Returns
        -------
        float
            The data term of the objective.
        """
        return float(np.average(self.value(scores, y), weights=sample_weight))

    def mean_gradient(self, scores, y, sample_weight=None):
        """Gradient of `mean` by the scores.

        Parameters
        ----------
        scores : ndarray of shape (n_samples, n_classes) or (n_samples,)
            Scores; of a two-class loss those of class 1.
        y : ndarray of shape (n_samples,)
            Class numbers.
        sample_weight : ndarray of shape (n_samples,), default=None
            Weights; only their ratios matter.

        Returns
        -------
        ndarray in the shape of `scores`
            The gradient.
        """
        gradient = self.gradient(scores, y)
        weight = np.ones(len(gradient)) if sample_weight is None else np.asarray(sample_weight, float)
        return gradient * (weight / weight.sum()).reshape(-1, *[1] * (gradient.ndim - 1))


def _one_hot(scores, y):
    hot = np.zeros(scores.shape, dtype=bool)
    hot[np.arange(len(scores)), y] = True
    return hot


class CrossEntropy(Loss):
    """Softmax cross-entropy, ``logsumexp(s) - s_y``: minus the log probability of the true class.

    At equal scores it is log(n_classes). Its conjugate is the negative entropy of
    ``p = slopes + e_y`` where that lies on the simplex.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_lossopt.losses import CrossEntropy
    >>> scores, y = np.array([[2.0, 0.5, 0.0], [0.0, 0.0, 0.0]]), np.array([0, 1])
    >>> CrossEntropy().value(scores, y).round(3)
    array([0.306, 1.099])
    >>> CrossEntropy().gradient(scores, y)[1].round(3)
    array([ 0.333, -0.667,  0.333])
    """

    def value(self, scores, y):
        scores = np.asarray(scores, dtype=float)
        # From the distances to the true score: exact where the loss is small.
        distance = scores - scores[np.arange(len(scores)), y][:, None]
        top = distance.max(axis=1)
        rest = np.exp(distance - top[:, None]).sum(axis=1)
        return top + np.log(rest)

    def gradient(self, scores, y):
        scores = np.asarray(scores, dtype=float)
        return softmax(scores, axis=1) - _one_hot(scores, y)

    def conjugate(self, slopes, y):
        p = slopes + _one_hot(slopes, y)
        inside = (p >= -_ROUNDING).all(axis=1) & (np.abs(slopes.sum(axis=1)) <= _ROUNDING * slopes.shape[1])
        p = np.clip(p, 0, None)
        return np.where(inside, xlogy(p, p).sum(axis=1), np.inf)


class _Hinge:
    """The hinge ``max(0, z)`` or its square, its slope, and its conjugate's value at slope u >= 0."""

    def __init__(self, margin=1.0, squared=False):
        self.margin = margin
        self.squared = squared

    def __repr__(self):
        return f"{type(self).__name__}(margin={self.margin}, squared={self.squared})"

    def _hinge(self, z):
        z = np.maximum(z, 0)
        return z * z if self.squared else z

    def _slope(self, z):
        return 2 * np.maximum(z, 0) if self.squared else (z > 0).astype(float)

    def _conjugate(self, u):
        # of z -> hinge(z + margin); the linear hinge's slopes end at 1
        inside = u >= -_ROUNDING
        if not self.squared:
            inside &= u <= 1 + _ROUNDING
        return np.where(inside, u * u / 4 * self.squared - self.margin * u, np.inf)


class WestonWatkins(_Hinge, Loss):
    """Multiclass hinge loss of Weston and Watkins (1999), ``sum_{j != y} max(0, s_j - s_y + margin)``.

    At equal scores and margin 1 it is n_classes - 1.

    Parameters
    ----------
    margin : float, default=1.0
        By how much the true score must win.
    squared : bool, default=False
        Square each hinge.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_lossopt.losses import WestonWatkins
    >>> scores, y = np.array([[2.0, 0.5, 0.0], [0.0, 0.0, 0.0]]), np.array([0, 1])
    >>> WestonWatkins().value(scores, y).round(3)
    array([0., 2.])
    >>> WestonWatkins().gradient(scores, y)[1].round(3)
    array([ 1., -2.,  1.])
    """

    def _excess(self, scores, y):
        scores = np.asarray(scores, dtype=float)
        excess = scores - scores[np.arange(len(scores)), y][:, None] + self.margin
        return np.where(_one_hot(scores, y), 0.0, excess)

    def value(self, scores, y):
        return self._hinge(self._excess(scores, y)).sum(axis=1)

    def gradient(self, scores, y):
        slopes = self._slope(self._excess(scores, y))
        slopes[np.arange(len(slopes)), y] = -slopes.sum(axis=1)
        return slopes

    def conjugate(self, slopes, y):
        others = np.where(_one_hot(slopes, y), 0.0, slopes)
        balanced = np.abs(slopes.sum(axis=1)) <= _ROUNDING * np.maximum(1, np.abs(slopes).sum(axis=1))
        return np.where(balanced, self._conjugate(others).sum(axis=1), np.inf)


class CrammerSinger(_Hinge, Loss):
    """Multiclass hinge loss of Crammer and Singer (2001), ``max(0, max_{j != y} s_j - s_y + margin)``.

    Parameters
    ----------
    margin : float, default=1.0
        By how much the true score must win.
    squared : bool, default=False
        Square the hinge.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_lossopt.losses import CrammerSinger
    >>> scores, y = np.array([[2.0, 0.5, 0.0], [0.0, 0.0, 0.0]]), np.array([0, 1])
    >>> CrammerSinger().value(scores, y).round(3)
    array([0., 1.])
    >>> CrammerSinger().gradient(scores, y)[1].round(3)
    array([ 1., -1.,  0.])
    """

    def _rival(self, scores, y):
        others = np.where(_one_hot(scores, y), -np.inf, scores)
        rival = others.argmax(axis=1)
        row = np.arange(len(scores))
        return rival, scores[row, rival] - scores[row, y] + self.margin

    def value(self, scores, y):
        return self._hinge(self._rival(np.asarray(scores, dtype=float), y)[1])

    def gradient(self, scores, y):
        scores = np.asarray(scores, dtype=float)
        rival, excess = self._rival(scores, y)
        slope = self._slope(excess)
        gradient = np.zeros(scores.shape)
        row = np.arange(len(scores))
        gradient[row, rival] = slope
        gradient[row, y] = -slope
        return gradient

    def conjugate(self, slopes, y):
        others = np.where(_one_hot(slopes, y), 0.0, slopes)
        balanced = np.abs(slopes.sum(axis=1)) <= _ROUNDING * np.maximum(1, np.abs(slopes).sum(axis=1))
        inside = balanced & (others >= -_ROUNDING).all(axis=1)
        return np.where(inside, self._conjugate(others.sum(axis=1)), np.inf)


class OneVsRest(_Hinge, Loss):
    """One hinge a class, ``sum_j max(0, margin - t_j s_j)``, ``t_j`` = +1 for the true class, else -1.

    Parameters
    ----------
    margin : float, default=1.0
        By how much each score must be on its side of 0.
    squared : bool, default=False
        Square each hinge.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_lossopt.losses import OneVsRest
    >>> scores, y = np.array([[2.0, 0.5, 0.0], [0.0, 0.0, 0.0]]), np.array([0, 1])
    >>> OneVsRest().value(scores, y).round(3)
    array([2.5, 3. ])
    >>> OneVsRest().gradient(scores, y)[1].round(3)
    array([ 1., -1.,  1.])
    """

    def value(self, scores, y):
        scores = np.asarray(scores, dtype=float)
        sign = 2.0 * _one_hot(scores, y) - 1
        return self._hinge(self.margin - sign * scores).sum(axis=1)

    def gradient(self, scores, y):
        scores = np.asarray(scores, dtype=float)
        sign = 2.0 * _one_hot(scores, y) - 1
        return -sign * self._slope(self.margin - sign * scores)

    def conjugate(self, slopes, y):
        sign = 2.0 * _one_hot(slopes, y) - 1
        return self._conjugate(-sign * slopes).sum(axis=1)


class _MarginLoss(Loss):
    """A two-class loss: a function of the margin ``m = t s``."""

    @abstractmethod
    def of_margin(self, margin):
        """Loss as a function of the margin.

        Parameters
        ----------
        margin : ndarray
            Margins ``m = t s``.

        Returns
        -------
        ndarray in the shape of `margin`
            Losses, >= 0.
        """

    @abstractmethod
    def slope(self, margin):
        """Derivative by the margin; 0 or a one-sided slope where there is none.

        Parameters
        ----------
        margin : ndarray
            Margins ``m = t s``.

        Returns
        -------
        ndarray in the shape of `margin`
            Slopes.
        """

    def value(self, scores, y):
        return self.of_margin((2 * np.asarray(y) - 1) * np.asarray(scores, dtype=float))

    def gradient(self, scores, y):
        sign = 2 * np.asarray(y) - 1
        return sign * self.slope(sign * np.asarray(scores, dtype=float))

    def conjugate(self, slopes, y):
        return self._margin_conjugate((1 - 2 * np.asarray(y)) * slopes)

    def _margin_conjugate(self, u):
        """``sup_m -u m - loss(m)``."""
        raise TypeError(
            f"{type(self).__name__} has no convex conjugate: it is not convex. Use a convex surrogate: "
            "BinaryHinge, LogLoss or ExponentialLoss."
        )


class LogLoss(_MarginLoss):
    """Two-class logistic loss, ``log(1 + exp(-m))``; log 2 at m = 0, differentiable everywhere.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_lossopt.losses import LogLoss
    >>> scores, y = np.array([2.0, 0.5, -1.0]), np.array([1, 1, 1])
    >>> LogLoss().value(scores, y).round(3)
    array([0.127, 0.474, 1.313])
    >>> LogLoss().gradient(scores, y)[1:].round(3)
    array([-0.378, -0.731])
    """

    def of_margin(self, margin):
        return np.logaddexp(0, -margin)

    def slope(self, margin):
        return -expit(-margin)

    def _margin_conjugate(self, u):
        inside = (u >= -_ROUNDING) & (u <= 1 + _ROUNDING)
        u = np.clip(u, 0, 1)
        return np.where(inside, xlogy(u, u) + xlogy(1 - u, 1 - u), np.inf)


class BinaryHinge(_Hinge, _MarginLoss):
    """Two-class hinge loss, ``max(0, margin - m)``, not differentiable at ``m = margin``.

    Parameters
    ----------
    margin : float, default=1.0
        Where the loss begins.
    squared : bool, default=False
        Square it; then it is differentiable everywhere.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_lossopt.losses import BinaryHinge
    >>> scores, y = np.array([2.0, 0.5, -1.0]), np.array([1, 1, 1])
    >>> BinaryHinge().value(scores, y).round(3)
    array([0. , 0.5, 2. ])
    >>> BinaryHinge().gradient(scores, y)[1:].round(3)
    array([-1., -1.])
    """

    def of_margin(self, margin):
        return self._hinge(self.margin - margin)

    def slope(self, margin):
        return -self._slope(self.margin - margin)

    def _margin_conjugate(self, u):
        return self._conjugate(u)


class ExponentialLoss(_MarginLoss):
    """AdaBoost's ``exp(-m)``, differentiable everywhere. For study: no estimator trains on it.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_lossopt.losses import ExponentialLoss
    >>> scores, y = np.array([2.0, 0.5, -1.0]), np.array([1, 1, 1])
    >>> ExponentialLoss().value(scores, y).round(3)
    array([0.135, 0.607, 2.718])
    >>> ExponentialLoss().gradient(scores, y)[1:].round(3)
    array([-0.607, -2.718])
    """

    def of_margin(self, margin):
        return np.exp(-margin)

    def slope(self, margin):
        return -np.exp(-margin)

    def _margin_conjugate(self, u):
        return np.where(u >= 0, xlogy(u, u) - u, np.inf)


class ZeroOneLoss(_MarginLoss):
    """1 where ``m <= 0``, else 0: what is meant, but flat, so it cannot be trained on.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_lossopt.losses import ZeroOneLoss
    >>> scores, y = np.array([2.0, 0.5, -1.0]), np.array([1, 1, 1])
    >>> ZeroOneLoss().value(scores, y)
    array([0., 0., 1.])
    """

    def of_margin(self, margin):
        return (np.asarray(margin) <= 0).astype(float)

    def slope(self, margin):
        return np.zeros_like(margin, dtype=float)


def entropy(p):
    """Entropy of distributions, in nats.

    Parameters
    ----------
    p : ndarray of shape (..., n_classes)
        Probabilities.

    Returns
    -------
    ndarray of shape (...)
        Entropies, >= 0.

    Examples
    --------
    >>> from sklearn_lossopt.losses import entropy
    >>> entropy([[0.5, 0.5], [0.9, 0.1]]).round(3)
    array([0.693, 0.325])
    """
    p = np.asarray(p, dtype=float)
    return -xlogy(p, p).sum(axis=-1)


def kullback_leibler(p, q):
    """Kullback-Leibler divergence ``sum p log(p / q)`` of q from p, in nats.

    Not symmetric; zero only where they are equal; infinite where ``q = 0 < p``. Cross-entropy is
    ``entropy(p) + kullback_leibler(p, q)``.

    Parameters
    ----------
    p, q : ndarray of shape (..., n_classes)
        Probabilities.

    Returns
    -------
    ndarray of shape (...)
        Divergences, >= 0.

    Examples
    --------
    >>> from sklearn_lossopt.losses import kullback_leibler
    >>> float(kullback_leibler([0.5, 0.5], [0.9, 0.1]).round(3))
    0.511
    """
    return rel_entr(np.asarray(p, dtype=float), np.asarray(q, dtype=float)).sum(axis=-1)
