"""When the weight of dual ascent's proximal term changes: kappa, which `proximal` chooses at first.

Much of it makes the work of a pass easy and the way of the point long. Which of them takes long shows in
the two parts of the gap, that of the rows and that of the point: where one is far larger, kappa is wrong.
Of hinges it shows also in how many rows compete.
"""

import math
from typing import NamedTuple

import numpy as np

from ..kernels.losses import CRAMMER_SINGER, HINGE, WESTON_WATKINS
from .proximal import effective_dimension, tuning

HINGES = (HINGE, WESTON_WATKINS, CRAMMER_SINGER)  # not squared
FIRST_BALANCE = 2  # the pass after which the parts tell
MOST_CHANGE = 8.0  # at once, either way
# Rows by which to tell, and of how many there should be one: it need not be exact.
FEWEST_ROWS, MOST_ROWS, ONE_OF = 64, 256, 16
MANY_ROWS = 1024  # where it should be
# Of hinges the point's part is soon a few times the other anyway: only more than `LAGS` times tells. Kappa
# is as much smaller as fewer than `CROWDED` rows are off 0, by output and direction that rows go in.
FIRST_LOOKS, LAGS, CROWDED = (4, 8, 16), 10.0, 15.0
# Later they take many passes anyway: kappa is halved only if the point's part of the gap is more than so many
# times that of the rows, before that pass and after it; then also while the gap is more than such a part of
# the objective, or where it falls by less than such a power of the passes. (Of little data: always, unless
# the point's part is no more than such a share of the other.)
MANY_PASSES, LAG, LATER_LAG, FAR, LEAST_POWER, NO_LAG = 128, 2.0, 0.5, 4e-3, 1.5, 0.02


class Parts(NamedTuple):
    """A guess of the gap, in its two parts, and of the objective."""

    of_rows: float
    of_point: float
    objective: float

    @property
    def gap(self):
        """The whole."""
        return self.of_rows + self.of_point

    @property
    def ratio(self):
        """The point's part over that of the rows."""
        return self.of_point / max(self.of_rows, 1e-300)


def sample_size(n_rows):
    """How many rows it takes to compare the parts roughly."""
    return min(max(n_rows // ONE_OF, FEWEST_ROWS), MOST_ROWS)


def factor_to(aim, ratio):
    """What brings the parts' ratio to `aim` if kappa is multiplied by it: they go by about its square."""
    return min(max(math.sqrt(aim / max(ratio, 1e-300)), 1 / MOST_CHANGE), MOST_CHANGE)


class Balance:
    """Change kappa of a smooth loss, after every doubling of the passes, until the two parts are alike.

    For L2 alone: with L1 the parts are not what they seem.

    Parameters
    ----------
    wanted : tuple of float
        The point's part over that of the rows: aimed at, and the least and the most that are left alone.
    """

    def __init__(self, wanted):
        self.wanted = wanted
        self.next = FIRST_BALANCE  # the pass after which to ask

    def factor(self, problem, state, parts):
        """By what to multiply kappa after pass `next`.

        Parameters
        ----------
        problem : Problem
        state : DualRun
        parts : callable
            Gives the `Parts`, by a sample of as many rows as its argument says.

        Returns
        -------
        float
        """
        self.next *= 2
        aim, least, most = self.wanted
        ratio = parts(sample_size(len(problem.index))).ratio
        return 1.0 if not math.isfinite(ratio) or least <= ratio <= most else factor_to(aim, ratio)


class Halving:
    """Halve kappa after many passes, and whenever they have doubled: what takes long is ill-conditioned."""

    def __init__(self, first):
        self.next = first

    def factor(self, problem, state, parts):
        """As that of `Balance`."""
        self.next *= 2
        return 0.5


class OfHinges:
    """Lower kappa of hinges soon where few rows compete or the point lags far; halve it later where it lags.

    Parameters
    ----------
    first : int
        The passes after which it may be halved.
    can_split : bool
        Whether the two parts tell: not with L1, without L2, or of little data.
    has_parts : bool
        The same, but for little data.
    """

    def __init__(self, first, can_split, has_parts):
        self.looks = [*FIRST_LOOKS, first] if has_parts else [first]
        self.next = self.looks.pop(0)
        self.can_split = can_split
        self.has_parts = has_parts
        self.dimension = None
        self.cut = 1.0  # what kappa was multiplied by because few rows compete
        self.last = (1, math.inf)  # the pass, and the gap guessed then

    def factor(self, problem, state, parts):
        """As that of `Balance`."""
        n_passes = state.n_passes
        if self.looks:
            self.next = self.looks.pop(0)
            return self._soon(problem, state, parts(sample_size(len(problem.index))))
        if not self._lags(n_passes, parts(MANY_ROWS)):
            self.next += n_passes // (1 if n_passes < MANY_PASSES else 2)
            return 1.0
        self.next *= 2
        return 0.5

    def _soon(self, problem, state, parts):
        if self.dimension is None:
            self.dimension = effective_dimension(problem)
        step = max(1, len(problem.index) // MANY_ROWS)
        off_bound = np.count_nonzero(state.arrays.dual[problem.index[::step]] > 0) * step
        cut = min(off_bound / problem.n_outputs / self.dimension / CROWDED, 1.0)
        by_rows = max(min(cut / self.cut, 1.0), 1 / MOST_CHANGE)
        self.cut *= by_rows
        return min(by_rows, factor_to(1.0, parts.ratio) if parts.ratio > LAGS else 1.0)

    def _lags(self, n_passes, parts):
        """Whether it is the proximal point that keeps the gap large."""
        passes, gap_before = self.last
        self.last = n_passes, parts.gap
        if n_passes < MANY_PASSES:
            return parts.of_point > LAG * parts.of_rows
        if not self.can_split:
            return not (self.has_parts and parts.ratio <= NO_LAG)
        if parts.gap > FAR * parts.objective:
            return True
        falls_by = gap_before * (passes / n_passes) ** LEAST_POWER
        return parts.of_point > LATER_LAG * parts.of_rows or parts.gap > falls_by


def rule_for(problem, can_split):
    """How kappa changes: an object with `next`, the pass after which to ask, and `factor`; or None: never."""
    tuned = tuning(problem)
    has_parts = problem.penalty.l1 == 0 < problem.penalty.l2
    if tuned.balance is not None and has_parts:
        return Balance(tuned.balance)
    if tuned.loosens_at is None:
        return None
    if problem.loss in HINGES:
        return OfHinges(tuned.loosens_at, can_split, has_parts)
    return Halving(tuned.loosens_at)
