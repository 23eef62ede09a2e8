"""The only loop over passes: stopping, best weights, divergence, verbosity, Ctrl-C."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Real

import numpy as np

from .problem import Evaluation, Model, Problem

# An objective this many times the larger of F0 and the first one has left for good.
RUNAWAY = 1e8


@dataclass(frozen=True)
class Limits:
    """When to stop.

    Attributes
    ----------
    max_iter : int
        Passes at most.
    tol : float or None
        Stop when the objective has not improved by ``tol * max(F, 1e-3 F0)`` for
        `n_iter_no_change` passes; None for never. With held-out rows, their loss in its place.
    n_iter_no_change : int
        Patience, in passes.
    """

    max_iter: int
    tol: float | None
    n_iter_no_change: int
    is_stream: bool = False  # a pass over a chunk may well end above where it began


@dataclass
class Solution:
    """Where training ended, and how it went."""

    model: Model
    state: object
    learning_rate: float
    status: str = "max_iter"  # or "converged", "diverged", "interrupted"
    n_iter: int = 0
    n_steps: int = 0
    best_iter: int = 0  # 0: no pass was better than the start
    loss_curve: list[float] = field(default_factory=list)
    validation: list[Evaluation] = field(default_factory=list)
    interruption: KeyboardInterrupt | None = None


class _Patience:
    """Best value so far, and the passes since one that was better by enough."""

    def __init__(self, limits, scale, first):
        self.limits = limits
        self.scale = scale
        self.best = self.mark = first
        self.waited = 0

    def see(self, value):
        """Take a pass's value; return whether it is the best so far."""
        tol = self.limits.tol
        if tol is not None:
            if value < self.mark - tol * max(abs(value), 1e-3 * self.scale):
                self.mark = value
                self.waited = 0
            else:
                self.waited += 1
        if value < self.best:
            self.best = value
            return True
        return False

    @property
    def is_out(self):
        return self.limits.tol is not None and self.waited >= self.limits.n_iter_no_change


def train(
    solver,
    problem: Problem,
    start: Model,
    limits: Limits,
    schedule: Callable[[int], float],
    rng: np.random.Generator,
    *,
    holdout: Problem | None = None,
    previous=None,
    verbose: int = 0,
    name: str = "",
) -> Solution:
    """Run passes of a solver until a limit is met.

    The weights given back are those of the best pass, by the objective or, with a `holdout`, by the
    held-out loss; `start` if no pass was better. So they are finite whatever happens.
    """
    state = solver.start(problem, start, rng, previous)
    solution = Solution(start, state, state.rate)
    n_before = state.n_steps
    scale = problem.objective_at_zero
    is_zero = not (start.coef.any() or start.intercept.any())
    first = scale if is_zero else problem.evaluate(start).objective
    patience = _Patience(limits, scale, holdout.evaluate(start).loss if holdout else first)
    best = start
    clock = time.perf_counter()
    try:
        for epoch in range(limits.max_iter):
            # The model's arrays are the solver's own: the next pass changes them.
            model = solver.run_pass(problem, state, _factor(schedule, epoch)).model
            here = problem.evaluate(model, with_accuracy=verbose > 0)
            solution.model = model
            solution.n_iter = epoch + 1
            solution.loss_curve.append(here.objective)
            if not here.objective <= RUNAWAY * max(scale, first) or not model.is_finite():
                solution.status = "diverged"
                break
            if holdout:
                solution.validation.append(holdout.evaluate(model, with_accuracy=True))
            if patience.see(solution.validation[-1].loss if holdout else here.objective):
                solution.best_iter = epoch + 1
                best = model.copy()
            if verbose:
                _report(name, epoch, here, solution.validation, time.perf_counter() - clock)
            if patience.is_out:
                hurry = getattr(schedule, "hurry", None)
                if hurry is None or not hurry(epoch):
                    solution.status = "converged"
                    break
                patience.waited = 0
    except KeyboardInterrupt as interruption:
        solution.status = "interrupted"
        solution.interruption = interruption
    if limits.is_stream and solution.status != "diverged":
        best = solution.model  # of one chunk: the solver goes on from its last weights
    elif solution.status in ("max_iter", "converged"):
        watched = [there.loss for there in solution.validation] if holdout else solution.loss_curve
        rose = solution.loss_curve[-1] > max(scale, first) * (1 + 1e-9)
        if rose and not (holdout and solution.best_iter):
            solution.status = "diverged"  # it came to rest above where it began
        elif solution.status == "max_iter":
            solution.status = _status_at_end(watched, limits, scale)
    solution.model = best.copy()
    solution.n_steps = state.n_steps - n_before
    return solution


def _status_at_end(curve, limits, scale):
    """Whether a run that used all its passes had come to rest or was still improving."""
    n = min(limits.n_iter_no_change, len(curve) - 1)
    if limits.tol is None or n == 0:
        return "max_iter"
    improved = curve[-1 - n] - curve[-1]
    return "converged" if improved <= n * limits.tol * max(curve[-1], 1e-3 * scale) else "max_iter"


def _factor(schedule, epoch):
    factor = schedule(epoch)
    if not isinstance(factor, Real) or not 0 <= factor < np.inf:
        raise ValueError(
            f"schedule must give a finite factor >= 0 for each epoch. Got {factor!r} for epoch {epoch}."
        )
    return float(factor)


def _report(name, epoch, here, validation, seconds):
    line = f"{name} pass {epoch + 1}: objective {here.objective:.6g}, accuracy {here.accuracy:.4f}"
    if validation:
        line += f", held out: loss {validation[-1].loss:.6g}, accuracy {validation[-1].accuracy:.4f}"
    print(f"{line}, {seconds:.2f} s")
