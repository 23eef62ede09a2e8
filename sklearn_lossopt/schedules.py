"""Learning-rate schedules: callables that give a pass's number (from 0) a factor of the rate.

Any callable ``epoch -> factor`` will do; these are the usual ones. They are estimators in
scikit-learn's sense of parameters, so a search reaches them as ``schedule__decay``.
"""

import math
from numbers import Real

from sklearn.base import BaseEstimator

__all__ = ["Constant", "Cosine", "Exponential", "Inverse", "Plateau", "Restarts", "Step"]


class Constant(BaseEstimator):
    """The same rate throughout.

    Examples
    --------
    >>> from sklearn_lossopt.schedules import Constant
    >>> schedule = Constant()
    >>> [round(schedule(epoch), 3) for epoch in range(3)]
    [1.0, 1.0, 1.0]
    """

    def __call__(self, epoch):
        return 1.0


class Exponential(BaseEstimator):
    """``decay ** epoch``.

    Parameters
    ----------
    decay : float, default=0.95
        Factor from each pass to the next, in (0, 1].

    Examples
    --------
    >>> from sklearn_lossopt.schedules import Exponential
    >>> schedule = Exponential(decay=0.9)
    >>> [round(schedule(epoch), 3) for epoch in range(4)]
    [1.0, 0.9, 0.81, 0.729]
    """

    def __init__(self, decay=0.95):
        self.decay = decay

    def __call__(self, epoch):
        _check_fraction(self, "decay")
        return self.decay**epoch


class Step(BaseEstimator):
    """``factor ** (epoch // every)``.

    Parameters
    ----------
    factor : float, default=0.5
        What the rate is multiplied by at each step, in (0, 1].
    every : int, default=10
        Passes from step to step.

    Examples
    --------
    >>> from sklearn_lossopt.schedules import Step
    >>> schedule = Step(factor=0.5, every=2)
    >>> [round(schedule(epoch), 3) for epoch in range(5)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """

    def __init__(self, factor=0.5, every=10):
        self.factor = factor
        self.every = every

    def __call__(self, epoch):
        _check_fraction(self, "factor")
        _check_count(self, "every")
        return self.factor ** (epoch // self.every)


class Inverse(BaseEstimator):
    """``1 / (1 + decay * epoch)``.

    Parameters
    ----------
    decay : float, default=0.01
        How fast the rate falls, >= 0.

    Examples
    --------
    >>> from sklearn_lossopt.schedules import Inverse
    >>> schedule = Inverse(decay=0.5)
    >>> [round(schedule(epoch), 3) for epoch in range(4)]
    [1.0, 0.667, 0.5, 0.4]
    """

    def __init__(self, decay=0.01):
        self.decay = decay

    def __call__(self, epoch):
        _check_range(self, "decay", 0)
        return 1 / (1 + self.decay * epoch)


class Cosine(BaseEstimator):
    """Half a cosine from 1 to 0 (Loshchilov and Hutter 2017, without restarts).

    Parameters
    ----------
    period : int, default=None
        Passes until the rate is 0; None is the estimator's `max_iter`.

    Examples
    --------
    >>> from sklearn_lossopt.schedules import Cosine
    >>> schedule = Cosine(period=4)
    >>> [round(schedule(epoch), 3) for epoch in range(5)]
    [1.0, 0.854, 0.5, 0.146, 0.0]
    """

    def __init__(self, period=None):
        self.period = period

    @property
    def suits_streams(self):
        """Whether it can do without knowing where training ends."""
        return self.period is not None

    def bind(self, max_iter):
        """Give the schedule with its period resolved.

        Parameters
        ----------
        max_iter : int
            Passes that training has.

        Returns
        -------
        Cosine
            Itself, if it has a period.
        """
        return self if self.period is not None else Cosine(max_iter)

    def __call__(self, epoch):
        if self.period is None:
            raise ValueError(
                "Cosine cannot be called yet, as its period is None: set it, or call what bind(max_iter) "
                "gives. An estimator does so."
            )
        _check_count(self, "period")
        return _half_cosine(epoch / self.period)


class Restarts(BaseEstimator):
    """Half cosines from 1 towards 0, each begun anew at 1: warm restarts (Loshchilov and Hutter 2017).

    Parameters
    ----------
    period : int, default=10
        Passes of the first.
    growth : float, default=2
        Length of each over that of the one before, >= 1.

    Examples
    --------
    >>> from sklearn_lossopt.schedules import Restarts
    >>> schedule = Restarts(period=2)
    >>> [round(schedule(epoch), 3) for epoch in range(7)]
    [1.0, 0.5, 1.0, 0.854, 0.5, 0.146, 1.0]
    """

    suits_streams = False

    def __init__(self, period=10, growth=2):
        self.period = period
        self.growth = growth

    def __call__(self, epoch):
        _check_count(self, "period")
        _check_range(self, "growth", 1)
        period = self.period
        while epoch >= period:
            epoch -= period
            period *= self.growth
        return _half_cosine(epoch / period)


class Plateau(BaseEstimator):
    """Lower the rate whenever the objective, or the held-out loss, has stopped falling.

    Training ends when the rate is small and still nothing falls.

    Parameters
    ----------
    factor : float, default=0.5
        What the rate is multiplied by, in (0, 1).
    patience : int, default=5
        Passes without progress before that.
    threshold : float, default=1e-4
        Relative decrease that counts as progress.
    smallest : float, default=1e-3
        The rate does not fall below this share of the first.

    Examples
    --------
    >>> from sklearn_lossopt.schedules import Plateau
    >>> schedule = Plateau(patience=2).bind(max_iter=100)  # a classifier does so itself
    >>> factors = []
    >>> for epoch, objective in enumerate([1.0, 0.5, 0.5, 0.5, 0.5]):
    ...     factors.append(schedule(epoch))
    ...     schedule.see(objective)
    >>> factors
    [1.0, 1.0, 1.0, 1.0, 0.5]
    """

    suits_streams = False

    def __init__(self, factor=0.5, patience=5, threshold=1e-4, smallest=1e-3):
        self.factor = factor
        self.patience = patience
        self.threshold = threshold
        self.smallest = smallest

    def bind(self, max_iter):
        """Give a schedule that has seen nothing yet.

        Parameters
        ----------
        max_iter : int
            Passes that training has; of no account here.

        Returns
        -------
        Plateau
            One that can be called.

        Raises
        ------
        ValueError
            If a parameter is out of range.
        """
        _check_fraction(self, "factor")
        _check_fraction(self, "smallest")
        _check_count(self, "patience")
        _check_range(self, "threshold", 0)
        fresh = Plateau(**self.get_params())
        fresh._now, fresh._best, fresh._waited, fresh._is_over = 1.0, math.inf, 0, False
        return fresh

    def __call__(self, epoch):
        if not hasattr(self, "_now"):
            raise ValueError(
                f"{self!r} cannot be called yet, as it does not know how training goes: call what "
                "bind(max_iter) gives, and tell that by `see`. An estimator does so."
            )
        return self._now

    def see(self, value):
        """Take note of a pass.

        Parameters
        ----------
        value : float
            Its objective or held-out loss.
        """
        if value < self._best - self.threshold * abs(self._best) or self._best == math.inf:
            self._best, self._waited = value, 0
            return
        self._waited += 1
        if self._waited >= self.patience:
            lower = max(self._now * self.factor, self.smallest)
            self._is_over = lower >= self._now
            self._now, self._waited = min(lower, self._now), 0

    def hurry(self, epoch):
        """Whether to go on although nothing improves: until the least rate brought nothing either.

        Parameters
        ----------
        epoch : int
            The pass, from 0.

        Returns
        -------
        bool
            Whether to go on.
        """
        return not self._is_over


def _half_cosine(share):
    return 0.5 + 0.5 * math.cos(math.pi * min(share, 1.0))


def _check_fraction(schedule, name):
    value = getattr(schedule, name)
    if not (isinstance(value, Real) and 0 < value <= 1):
        raise ValueError(f"{type(schedule).__name__}: {name} must be in (0, 1]; it is {value!r}.")


def _check_range(schedule, name, least):
    value = getattr(schedule, name)
    if not (isinstance(value, Real) and least <= value < math.inf):
        raise ValueError(f"{type(schedule).__name__}: {name} must be finite and >= {least}; it is {value!r}.")


def _check_count(schedule, name):
    value = getattr(schedule, name)
    if not (isinstance(value, Real) and value >= 1):
        raise ValueError(f"{type(schedule).__name__}: {name} must be at least 1; it is {value!r}.")


class Annealed:
    """What `schedule="auto"` does with the automatic rate: cosine, hurried where nothing improves.

    While the rate is high the objective stalls at the height of the gradient's noise, not at the
    optimum. So a stall does not end training: it halves the rate, until it is small.
    """

    SMALLEST = 1e-3

    def __init__(self, max_iter):
        self.max_iter = max_iter
        self.skipped = 0.0  # passes by which stalls have moved the clock

    def __call__(self, epoch):
        return _half_cosine((epoch + self.skipped) / self.max_iter)

    def hurry(self, epoch):
        """Lower the rate from the next pass on; False if it is as small as can be useful."""
        factor = self(epoch + 1) / 2
        if factor < self.SMALLEST:
            return False
        self.skipped = math.acos(2 * factor - 1) / math.pi * self.max_iter - (epoch + 1)
        return True


def fading(n_rows):
    """Factor of the automatic rate after so many rows of a stream, which has no end to anneal to."""
    return max(1 / (1 + n_rows / 10_000), 0.01)


BY_NAME = {
    "constant": Constant,
    "exponential": Exponential,
    "step": Step,
    "inverse": Inverse,
    "cosine": Cosine,
    "restarts": Restarts,
    "plateau": Plateau,
}


def suits_streams(schedule):
    """Whether a `schedule` parameter can do without knowing where training ends or how it goes."""
    if isinstance(schedule, str):
        schedule = BY_NAME.get(schedule, Constant)()
    return getattr(schedule, "suits_streams", True)


def resolve(schedule, max_iter, *, automatic_rate):
    """Turn a `schedule` parameter into a fresh callable with its horizon known."""
    if isinstance(schedule, str) and schedule == "auto":
        return Annealed(max_iter) if automatic_rate else Constant()
    if isinstance(schedule, str):
        schedule = BY_NAME[schedule]()
    if isinstance(schedule, type):
        raise ValueError(
            f"schedule must be an object, not the class itself: {schedule.__name__}(). Got {schedule!r}."
        )
    bind = getattr(schedule, "bind", None)
    return bind(max_iter) if bind else schedule
