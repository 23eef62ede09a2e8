"""The only loop over passes: stopping, best weights, divergence, verbosity, Ctrl-C."""

import math
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
        Certified solvers stop when the duality gap is at most that.
    n_iter_no_change : int
        Patience, in passes.
    """

    max_iter: int
    tol: float | None
    n_iter_no_change: int
    is_stream: bool = False  # a pass over a chunk may well end above where it began

    def is_met(self, certificate, scale):
        """Whether a certified gap is small enough."""
        if self.tol is None:
            return False
        return certificate.gap <= self.tol * max(certificate.objective, 1e-3 * scale)


@dataclass
class Solution:
    """Where training ended, and how it went."""

    model: Model
    state: object
    learning_rate: float
    status: str = "max_iter"  # or "converged", "stopped" (early), "diverged", "interrupted"
    n_iter: int = 0
    n_steps: int = 0
    best_iter: int = 0  # 0: no pass was better than the start
    loss_curve: list[float] = field(default_factory=list)
    curve_iter: list[int] = field(default_factory=list)  # passes, from 1, of the curves' entries
    objective: float = math.nan  # of the model that is given back
    gap: float | None = None  # of that model; None: the solver certifies nothing
    gap_curve: list[float] = field(default_factory=list)
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
    best, kept = start, None  # the model to give back, and its certificate
    clock = time.perf_counter()
    try:
        for epoch in range(limits.max_iter):
            solver.run_pass(problem, state, _factor(schedule, epoch))
            solution.n_iter = epoch + 1
            certifies = solver.certifies and (solver.is_due(state) or epoch + 1 == limits.max_iter)
            if solver.certifies and not certifies and not holdout:
                continue  # nothing is known of this pass
            # The model's arrays may be the solver's own: the next pass changes them.
            model = solver.model(problem, state)
            solution.model = model
            here = None
            if certifies:
                here = solver.certify(problem, state, model)
                solution.gap = here.gap
                solution.gap_curve.append(here.gap)
            elif not solver.certifies:
                here = problem.evaluate(model, with_accuracy=verbose > 0)
            if here is not None:
                solution.loss_curve.append(here.objective)
                solution.curve_iter.append(epoch + 1)
                if not here.objective <= RUNAWAY * max(scale, first) or not model.is_finite():
                    solution.status = "diverged"
                    break
            if holdout:
                solution.validation.append(holdout.evaluate(model, with_accuracy=True))
            if patience.see(solution.validation[-1].loss if holdout else here.objective):
                solution.best_iter = epoch + 1
                best, kept = model.copy(), here
            if verbose and here is not None:
                _report(name, epoch, here, solution.validation, time.perf_counter() - clock)
            if certifies and state.is_settled:
                if limits.is_met(here, scale):
                    solution.status = "converged"
                    if not holdout:
                        solution.best_iter = epoch + 1
                        best, kept = model.copy(), here
                if state.is_stuck or solution.status == "converged":
                    break
            if patience.is_out and (holdout or not solver.certifies):
                hurry = getattr(schedule, "hurry", None)
                if hurry is None or not hurry(epoch):
                    solution.status = "stopped" if solver.certifies else "converged"
                    break
                patience.waited = 0
    except KeyboardInterrupt as interruption:
        solution.status = "interrupted"
        solution.interruption = interruption
    if limits.is_stream and solution.status != "diverged":
        best = solution.model  # of one chunk: the solver goes on from its last weights
    elif solver.certifies:
        if (
            solution.status == "interrupted"
            and not holdout
            and solution.n_iter not in solution.curve_iter[-1:]
        ):
            last = solver.model(problem, state)
            if last.is_finite() and patience.see(problem.evaluate(last).objective):
                best, kept, solution.best_iter = last.copy(), None, solution.n_iter
        # The bound of the optimum holds for any model, also for one of an earlier pass.
        final = state.bound.improve(kept) if kept is not None else solver.certify(problem, state, best)
        solution.gap, solution.objective = final.gap, final.objective
        if solution.status == "max_iter" and limits.is_met(final, scale):
            solution.status = "converged"
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
    line = f"{name} pass {epoch + 1}: objective {here.objective:.6g}"
    line += f", gap {here.gap:.3g}" if hasattr(here, "gap") else f", accuracy {here.accuracy:.4f}"
    if validation:
        line += f", held out: loss {validation[-1].loss:.6g}, accuracy {validation[-1].accuracy:.4f}"
    print(f"{line}, {seconds:.2f} s")
