"""When the weight of dual ascent's proximal term changes: kappa, which `proximal` chooses at first.

Much of it makes the work of a pass easy and the way of the point long. Which of them takes long shows in
the two parts of the gap, that of the rows and that of the point: where one is far larger, kappa is wrong.
"""

import math
from typing import NamedTuple

from ..kernels.losses import CRAMMER_SINGER, HINGE, WESTON_WATKINS
from .proximal import tuning

HINGES = (HINGE, WESTON_WATKINS, CRAMMER_SINGER)  # not squared
# Hinges take many passes anyway: kappa is halved only if the point's part of the gap is more than so many
# times that of the rows, before that pass and after it; then also while the gap is more than such a part of
# the objective, or where it falls by less than such a power of the passes.
MANY_PASSES, LAG, LATER_LAG, FAR, LEAST_POWER = 128, 2.0, 0.5, 4e-3, 1.5
FIRST_BALANCE = 2  # the pass after which the parts tell
MOST_CHANGE = 8.0  # at once, either way
# Rows by which to tell, and of how many there should be one: it need not be exact.
FEWEST_ROWS, MOST_ROWS, ONE_OF = 64, 256, 16
MANY_ROWS = 1024  # where it should be


class Parts(NamedTuple):
    """A guess of the gap, in its two parts, and of the objective."""

    of_rows: float
    of_point: float
    objective: float

    @property
    def gap(self):
        """The whole."""
        return self.of_rows + self.of_point


class Balance:
    """Change kappa, after every doubling of the passes, until the two parts of the gap are alike.

    For smooth losses with L2 alone: with L1 the parts are not what they seem. The point's part, over that of
    the rows, goes by about the square of kappa.

    Parameters
    ----------
    wanted : tuple of float
        That ratio: what is aimed at, and the least and the most for which kappa is left alone.
    n_rows : int
        Rows of the problem.
    """

    def __init__(self, wanted, n_rows):
        self.wanted = wanted
        self.next = FIRST_BALANCE
        self.n_sample = min(max(n_rows // ONE_OF, FEWEST_ROWS), MOST_ROWS)

    def factor(self, n_passes, parts):
        """By what to multiply kappa after pass `next`.

        Parameters
        ----------
        n_passes : int
            That pass.
        parts : callable
            Gives the `Parts`, by a sample of as many rows as its argument says.

        Returns
        -------
        float
        """
        self.next *= 2
        aim, least, most = self.wanted
        found = parts(self.n_sample)
        ratio = found.of_point / max(found.of_rows, 1e-300)
        if not math.isfinite(ratio) or least <= ratio <= most:
            return 1.0
        return min(max(math.sqrt(aim / max(ratio, 1e-300)), 1 / MOST_CHANGE), MOST_CHANGE)


class Halving:
    """Halve kappa after many passes, and whenever they have doubled: what takes long is ill-conditioned.

    Parameters
    ----------
    first : int
        The passes after which it may be halved.
    asks : bool
        Whether it is halved only where the point lags, as for hinges.
    can_split : bool
        Whether the two parts tell: not with L1, without L2, or of little data.
    """

    def __init__(self, first, asks, can_split):
        self.next = first
        self.asks = asks
        self.can_split = can_split
        self.last = (1, math.inf)  # the pass, and the gap guessed then

    def factor(self, n_passes, parts):
        """By what to multiply kappa after pass `next`; as that of `Balance`."""
        if self.asks and not self._lags(n_passes, parts(MANY_ROWS)):
            self.next += n_passes // (1 if n_passes < MANY_PASSES else 2)
            return 1.0
        self.next *= 2
        return 0.5

    def _lags(self, n_passes, parts):
        """Whether it is the proximal point that keeps the gap large."""
        passes, gap_before = self.last
        self.last = n_passes, parts.gap
        if n_passes < MANY_PASSES:
            return parts.of_point > LAG * parts.of_rows
        if not self.can_split or parts.gap > FAR * parts.objective:
            return True
        falls_by = gap_before * (passes / n_passes) ** LEAST_POWER
        return parts.of_point > LATER_LAG * parts.of_rows or parts.gap > falls_by


def rule_for(problem, can_split):
    """How kappa changes: an object with `next`, the pass to ask after, and `factor`; or None: it does not."""
    tuned = tuning(problem)
    if tuned.balance is not None and problem.penalty.l1 == 0 < problem.penalty.l2:
        return Balance(tuned.balance, len(problem.index))
    return tuned.loosens_at and Halving(tuned.loosens_at, problem.loss in HINGES, can_split)
