"""What the certified solvers share: their base class, and when a certificate is worth its time."""

import math

from sklearn.base import BaseEstimator


def wanted_gap(tol, objective, objective_at_zero):
    """The gap that ends a fit: `tol` of the objective, or of a thousandth of that at zero; 0 for no `tol`."""
    return (tol or 0.0) * max(objective, 1e-3 * objective_at_zero)


class CertifiedSolver(BaseEstimator):
    """A solver that ends at the optimum and says how near it is; it has no learning rate."""

    name: str  # for the estimators' `solver` parameter

    def runner(self, tol, shuffle, n_jobs=1):
        """What `train` runs.

        Parameters
        ----------
        tol : float or None
            Relative gap that is wanted.
        shuffle : bool
            Whether to visit rows in a new random order each pass.
        n_jobs : int, default=1
            Threads.

        Returns
        -------
        object
            With `start`, `run_pass`, `is_due`, `model` and `certify`.
        """
        raise NotImplementedError


class Due:
    """Passes after which to certify: from the gaps so far, when it should be small enough.

    A certificate costs as much as two or three passes. Gaps fall geometrically, more or less, so the last
    two tell when the wanted one will be reached; the wait grows by half at most.
    """

    def __init__(self, first):
        self.next = first
        self.latest = 8  # whatever a cheaper guess says, unless that falls and is above what is wanted
        self.last = None
        self.next_guess = first
        self.last_guess = None

    def is_now(self, n_passes):
        return n_passes >= self.next

    def see(self, n_passes, gap, wanted):
        """Take a certified gap."""
        wait = max(1, n_passes // 2)
        if self.last is not None and 0 < gap < self.last[1] and 0 < wanted < gap and n_passes > self.last[0]:
            passes, before = self.last
            speed = math.log(before / gap) / (n_passes - passes)
            wait = min(wait, max(1, math.ceil(math.log(gap / wanted) / speed)))
        self.last = n_passes, gap
        self.next = n_passes + wait
        self.latest = 2 * n_passes

    def see_guess(self, n_passes, guess, wanted):
        """Take a guess of the gap: it sets when the next is worth its time, and may put `latest` off."""
        wait = 1
        falls = False
        if self.last_guess is not None:
            passes, before = self.last_guess
            falls = 0 < guess < before
            if falls and 0 < wanted < guess:
                speed = math.log(before / guess) / (n_passes - passes)
                # Half of the way: guesses are noisy, and a late one costs more than one too many.
                wait = math.floor(math.log(guess / wanted) / speed / 2)
        self.last_guess = n_passes, guess
        if falls and guess > wanted and n_passes >= self.latest:
            self.latest = 2 * n_passes  # guesses are rather low, so there is no hope yet
        self.next_guess = min(n_passes + max(1, min(wait, n_passes // 3)), self.latest)
