"""When the weight of dual ascent's proximal term changes: kappa, which `proximal` chooses at first.

A pass need not solve its subproblem well, only to a part of what the proximal term is there: as in Catalyst
(Lin, Mairal and Harchaoui 2015), whose criterion compares the two. Where the term is far larger than what
the rows are from the subproblem's optimum, passes do more than is of use to a point that moves too little,
and kappa is lowered; where it is far smaller, they do too little.
"""

import math
from typing import NamedTuple

import numpy as np

from ..kernels.losses import CRAMMER_SINGER, HINGE, LOGISTIC, SOFTMAX, WESTON_WATKINS
from .proximal import effective_dimension, tuning

HINGES = (HINGE, WESTON_WATKINS, CRAMMER_SINGER)  # not squared
TINY = 1e-300
FIRST_BALANCE = 2  # the pass after which the two tell
# The ratio of the two goes by about kappa^(1 / `POWER`); kappa changes so much at once, either way.
POWER, MOST_CHANGE = 0.75, 8.0
# What rows are from the optimum, over that at the last look: more than which means that kappa was lowered too
# far, and that it may not be lowered.
WORSE, NEARER = 2.0, 0.2
ROUNDING = 1e-11  # share of the objective that is no more than rounding, with float32
# Rows by which to tell, and of how many there should be one: it need not be exact.
FEWEST_ROWS, MOST_ROWS, ONE_OF = 64, 256, 16
MANY_ROWS = 1024  # where it should be
BLOCK = 4096  # rows at a time
# Of hinges only the first passes tell. And kappa is as much smaller as fewer than `CROWDED` rows are off 0,
# by output and direction that rows go in: few of them compete, as where classes are many or far apart.
FIRST_LOOKS, CROWDED = (4, 8, 16), 15.0
# Later they take many passes anyway: kappa is halved only if the point's part of the gap is more than so many
# times that of the rows, before that pass and after it; then also while the gap is more than such a part of
# the objective, or where it falls by less than such a power of the passes. (Of little data: always, unless
# the point's part is no more than such a share of the other; with L1, or without L2: always.)
MANY_PASSES, LAG, LATER_LAG, FAR, LEAST_POWER, NO_LAG = 128, 2.0, 0.5, 4e-3, 1.5, 0.02


class Parts(NamedTuple):
    """A guess of the gap, in its two parts, of the proximal term and of the objective."""

    of_rows: float
    of_point: float
    term: float
    objective: float

    @property
    def gap(self):
        """The whole."""
        return self.of_rows + self.of_point

    @property
    def stiffness(self):
        """The proximal term, over what rows are from the subproblem's optimum; NaN where that is rounding."""
        return self.term / self.of_rows if self.of_rows > ROUNDING * self.objective else math.nan

    @property
    def lag(self):
        """The point's part of the gap, over that of the rows."""
        return self.of_point / max(self.of_rows, TINY)


def sample_size(n_rows):
    """How many rows it takes to know the stiffness roughly."""
    return min(max(n_rows // ONE_OF, FEWEST_ROWS), MOST_ROWS)


def factor_to(wanted, stiffness):
    """What to multiply kappa by for a stiffness: aimed at, and the least and the most that are left alone."""
    aim, least, most = wanted
    if not math.isfinite(stiffness) or least <= stiffness <= most:
        return 1.0
    return min(max((aim / max(stiffness, TINY)) ** POWER, 1 / MOST_CHANGE), MOST_CHANGE)


class Balance:
    """Change kappa of a smooth loss, after every doubling of the passes, where stiffness is not as wanted.

    A smaller kappa that has led the rows away from the optimum may be taken back, and a smaller one tried
    only while they come nearer: where classes are nearly separable and the penalty is weak the ratio alone
    can be as wanted while nothing converges.

    Parameters
    ----------
    wanted : tuple of float
        As `factor_to` takes it.
    takes_back : bool
        Whether to do these: squared hinges were slower with them.
    """

    def __init__(self, wanted, takes_back):
        self.wanted = wanted
        self.takes_back = takes_back
        self.next = FIRST_BALANCE  # the pass after which to ask
        self.rows_before, self.changed_by = math.inf, 1.0  # at the last look

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
        found = parts(sample_size(len(problem.index)))
        before, self.rows_before = self.rows_before, found.of_rows
        factor = factor_to(self.wanted, found.stiffness)
        if self.takes_back and found.of_rows > WORSE * before and self.changed_by < 1:
            factor, self.changed_by = 1 / self.changed_by, 1.0
            return factor
        if self.takes_back and found.of_rows > NEARER * before:
            factor = max(factor, 1.0)
        self.changed_by = factor
        return factor


class Halving:
    """Halve kappa after many passes, and whenever they have doubled: what takes long is ill-conditioned."""

    def __init__(self, first):
        self.next = first

    def factor(self, problem, state, parts):
        """As that of `Balance`."""
        self.next *= 2
        return 0.5


class OfHinges:
    """Lower kappa of hinges soon where it is too stiff or few rows compete; halve it later where it lags.

    Parameters
    ----------
    wanted : tuple of float
        Of the stiffness, as `factor_to` takes it.
    first : int
        The passes after which it may be halved.
    can_split : bool
        Whether the two parts tell: not with L1, without L2, or of little data.
    has_parts : bool
        As `can_split`, but little data count too.
    """

    def __init__(self, wanted, first, can_split, has_parts):
        self.wanted = wanted
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
        n_rows = len(problem.index)
        off_bound = sum(
            np.count_nonzero(state.arrays.dual[problem.index[start : start + BLOCK]] > 0)
            for start in range(0, n_rows, BLOCK)
        )
        cut = min(off_bound / problem.n_outputs / self.dimension / CROWDED, 1.0)
        by_rows = max(min(cut / self.cut, 1.0), 1 / MOST_CHANGE)
        self.cut *= by_rows
        return min(by_rows, factor_to(self.wanted, parts.stiffness))

    def _lags(self, n_passes, parts):
        """Whether it is the proximal point that keeps the gap large."""
        passes, gap_before = self.last
        self.last = n_passes, parts.gap
        if n_passes < MANY_PASSES:
            return parts.of_point > LAG * parts.of_rows
        if not self.can_split:
            return not (self.has_parts and parts.lag <= NO_LAG)
        if parts.gap > FAR * parts.objective:
            return True
        falls_by = gap_before * (passes / n_passes) ** LEAST_POWER
        return parts.of_point > LATER_LAG * parts.of_rows or parts.gap > falls_by


def rule_for(problem, can_split):
    """How kappa changes: an object with `next`, the pass after which to ask, and `factor`; or None: never."""
    tuned = tuning(problem)
    has_parts = problem.penalty.l1 == 0 < problem.penalty.l2
    if problem.loss not in HINGES and problem.penalty.l2 > 0:  # pure L1 took more passes so
        return Balance(tuned.wanted, problem.loss in (SOFTMAX, LOGISTIC))
    if tuned.loosens_at is None:
        return None
    if problem.loss in HINGES:
        return OfHinges(tuned.wanted, tuned.loosens_at, can_split, has_parts)
    return Halving(tuned.loosens_at)
