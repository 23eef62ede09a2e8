"""Learning-rate schedules: callables that give a pass's number (from 0) a factor of the rate.

Any callable ``epoch -> factor`` will do; these are the usual ones. They are estimators in
scikit-learn's sense of parameters, so a search reaches them as ``schedule__decay``.
"""

import math

from sklearn.base import BaseEstimator

__all__ = ["Constant", "Cosine", "Exponential"]


class Constant(BaseEstimator):
    """The same rate throughout."""

    def __call__(self, epoch):
        return 1.0


class Exponential(BaseEstimator):
    """``decay ** epoch``.

    Parameters
    ----------
    decay : float, default=0.95
        Factor from each pass to the next, in (0, 1].
    """

    def __init__(self, decay=0.95):
        self.decay = decay

    def __call__(self, epoch):
        if not 0 < self.decay <= 1:
            raise ValueError(f"Exponential: decay must be in (0, 1]; it is {self.decay!r}.")
        return self.decay**epoch


class Cosine(BaseEstimator):
    """Half a cosine from 1 to 0 (Loshchilov and Hutter 2017, without restarts).

    Parameters
    ----------
    period : int, default=None
        Passes until the rate is 0; None is the estimator's `max_iter`.
    """

    def __init__(self, period=None):
        self.period = period

    def bind(self, max_iter):
        """Give the schedule with its period resolved."""
        return self if self.period is not None else Cosine(max_iter)

    def __call__(self, epoch):
        if self.period is None:
            raise ValueError("Cosine: period is None; set it, or let an estimator do so.")
        if self.period < 1:
            raise ValueError(f"Cosine: period must be at least 1; it is {self.period!r}.")
        return 0.5 + 0.5 * math.cos(math.pi * min(epoch / self.period, 1.0))


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
        return 0.5 + 0.5 * math.cos(math.pi * min((epoch + self.skipped) / self.max_iter, 1.0))

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


BY_NAME = {"constant": Constant, "exponential": Exponential, "cosine": Cosine}


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
