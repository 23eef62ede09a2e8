"""Minibatch optimizers and their constants: gradient descent, momentum, and the adaptive ones."""

from numbers import Real

import numpy as np
from sklearn.base import BaseEstimator

from ..kernels import steps


class StochasticSolver(BaseEstimator):
    """An optimizer and its constants, which a search reaches by name (`solver__momentum`)."""

    _optimizer: int
    _is_adaptive = False  # whether the step forgets the gradient's size
    _is_plain = False  # whether nothing is kept from step to step

    def _boldness(self):
        """Automatic rate times half the mean squared norm of scaled rows, in batches of 128."""
        return 30.0

    def _constants(self):
        """(momentum, decay, epsilon) for the kernel, checked."""
        return 0.0, 0.0, 0.0

    def _fraction(self, name):
        value = getattr(self, name)
        if not isinstance(value, Real) or not 0 <= value < 1:
            raise ValueError(
                f"{type(self).__name__}: {name} must be a float in [0, 1). Got {value!r} instead."
            )
        return float(value)


class SGD(StochasticSolver):
    """Plain minibatch gradient descent, ``w <- w - rate * g`` (full batch: gradient descent).

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_lossopt import SoftmaxClassifier
    >>> from sklearn_lossopt.solvers import SGD
    >>> X, y = load_iris(return_X_y=True)
    >>> model = SoftmaxClassifier(solver=SGD(), random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.9
    True
    """

    _optimizer = steps.NESTEROV  # with momentum 0
    _is_plain = True


class Momentum(StochasticSolver):
    """Heavy-ball momentum, ``v <- momentum * v - rate * g; w <- w + v`` (Polyak 1964).

    Parameters
    ----------
    momentum : float, default=0.9
        Share of the velocity kept from step to step, in [0, 1).

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_lossopt import SoftmaxClassifier
    >>> from sklearn_lossopt.solvers import Momentum
    >>> X, y = load_iris(return_X_y=True)
    >>> model = SoftmaxClassifier(solver=Momentum(momentum=0.8), random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.9
    True
    """

    _optimizer = steps.MOMENTUM

    def __init__(self, momentum=0.9):
        self.momentum = momentum

    def _boldness(self):
        return 100.0 * (1 - self.momentum)

    def _constants(self):
        return self._fraction("momentum"), 0.0, 0.0


class Nesterov(Momentum):
    """Nesterov's momentum, ``v <- momentum * v - rate * g; w <- w + momentum * v - rate * g``.

    Here `w` is the point ahead, where the gradient is taken (Sutskever et al. 2013). With an L1
    penalty the result is the position behind it, since that is what has exact zeros.

    Parameters
    ----------
    momentum : float, default=0.9
        Share of the velocity kept from step to step, in [0, 1).

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_lossopt import SoftmaxClassifier
    >>> from sklearn_lossopt.solvers import Nesterov
    >>> X, y = load_iris(return_X_y=True)
    >>> model = SoftmaxClassifier(solver=Nesterov(), random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.9
    True
    """

    _optimizer = steps.NESTEROV


class AdaptiveSolver(StochasticSolver):
    """An optimizer that divides each step by the size of the gradients so far."""

    _is_adaptive = True

    def _positive(self, name):
        value = getattr(self, name)
        if not isinstance(value, Real) or not 0 < value < np.inf:
            raise ValueError(
                f"{type(self).__name__}: {name} must be a float in (0, inf). Got {value!r} instead."
            )
        return float(value)


class Adagrad(AdaptiveSolver):
    """Adagrad, ``s <- s + g ** 2; w <- w - rate * g / (sqrt(s) + epsilon)`` (Duchi et al. 2011).

    Its steps fall by themselves, as 1 / sqrt(t): good for rare features, slow at the end.

    Parameters
    ----------
    epsilon : float, default=1e-10
        Added to the root of the sum of squares, > 0.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_lossopt import SoftmaxClassifier
    >>> from sklearn_lossopt.solvers import Adagrad
    >>> X, y = load_iris(return_X_y=True)
    >>> model = SoftmaxClassifier(solver=Adagrad(), random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.9
    True
    """

    _optimizer = steps.ADAGRAD

    def __init__(self, epsilon=1e-10):
        self.epsilon = epsilon

    def _boldness(self):
        return 10.0

    def _constants(self):
        return 0.0, 1.0, self._positive("epsilon")


class RMSProp(AdaptiveSolver):
    """RMSProp, ``s <- rho * s + (1 - rho) * g ** 2; w <- w - rate * g / (sqrt(s) + epsilon)``.

    Tieleman and Hinton 2012, lecture 6.5 of their course.

    Parameters
    ----------
    rho : float, default=0.99
        Decay of the mean of squared gradients, in [0, 1).
    epsilon : float, default=1e-8
        Added to its root, > 0.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_lossopt import SoftmaxClassifier
    >>> from sklearn_lossopt.solvers import RMSProp
    >>> X, y = load_iris(return_X_y=True)
    >>> model = SoftmaxClassifier(solver=RMSProp(rho=0.95), random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.9
    True
    """

    _optimizer = steps.RMSPROP

    def __init__(self, rho=0.99, epsilon=1e-8):
        self.rho = rho
        self.epsilon = epsilon

    def _boldness(self):
        return 0.4

    def _constants(self):
        return 0.0, self._fraction("rho"), self._positive("epsilon")


class Adam(AdaptiveSolver):
    """Adam with bias correction (Kingma and Ba 2015).

    Parameters
    ----------
    beta_1, beta_2 : float, default=0.9, 0.999
        Decay of the first and second moment of the gradient, in [0, 1).
    epsilon : float, default=1e-8
        Added to the root of the second moment, > 0.

    Examples
    --------
    >>> from sklearn_lossopt import SoftmaxClassifier
    >>> from sklearn_lossopt.solvers import Adam
    >>> model = SoftmaxClassifier(solver=Adam())
    >>> model.set_params(solver__beta_1=0.8).solver
    Adam(beta_1=0.8)
    """

    _optimizer = steps.ADAM

    def __init__(self, beta_1=0.9, beta_2=0.999, epsilon=1e-8):
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def _boldness(self):
        return 0.5

    def _constants(self):
        return self._fraction("beta_1"), self._fraction("beta_2"), self._positive("epsilon")


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019).

    The L2 part of the penalty shrinks the coefficients by ``1 - rate * alpha * (1 - l1_ratio)`` a step
    instead of entering the gradient. So what it tends to is *not* the minimum of the objective that
    `loss_curve_` reports, but of one whose penalty depends on the size of each feature's gradients.

    Parameters
    ----------
    beta_1, beta_2 : float, default=0.9, 0.999
        Decay of the first and second moment of the gradient, in [0, 1).
    epsilon : float, default=1e-8
        Added to the root of the second moment, > 0.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_lossopt import SoftmaxClassifier
    >>> from sklearn_lossopt.solvers import AdamW
    >>> X, y = load_iris(return_X_y=True)
    >>> model = SoftmaxClassifier(solver=AdamW(), random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.9
    True
    """

    _optimizer = steps.ADAMW
