"""The only loop over passes: stopping, best weights, divergence, verbosity, Ctrl-C."""

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Real
from typing import NamedTuple

import numpy as np

from ._progress import report
from .certificate import Certificate
from .problem import Evaluation, Model, Problem
from .solvers.certified import wanted_gap
from .solvers.probe import update_ratio

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
        if self.tol is None or not np.isfinite(certificate.gap):
            return False
        return certificate.gap <= wanted_gap(self.tol, certificate.objective, scale)


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
        self.best = self.mark = self.last = first
        self.waited = 0

    def see(self, value):
        """Take a pass's value; return whether it is the best so far."""
        self.last = value
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


class Measured(NamedTuple):
    """The end of a pass, and what is known of it."""

    n_passes: int
    n_steps: int
    model: Model | None  # until the next pass; None: a certified solver did not look
    here: Evaluation | Certificate | None  # None: for the held-out rows only
    n_run: int  # passes by now
    update_ratio: float | None = None


class PassEnd(NamedTuple):
    """What `on_pass` is told.

    n_passes : the pass, from 1.
    is_last : whether training ends with it.
    model : a function that gives its model, a copy; of use only while `on_pass` runs.
    update_ratio : of a minibatch solver, where `on_pass.measures_steps`: see `solvers.probe`.
    """

    n_passes: int
    is_last: bool
    model: Callable[[], Model]
    update_ratio: float | None


@np.errstate(over="ignore", invalid="ignore")  # where it matters, the estimator tells by a warning of its own
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
    on_pass: Callable[[PassEnd], bool] | None = None,
) -> Solution:
    """Run passes of a solver until a limit is met, or until `on_pass` says not to go on.

    The weights given back are those of the best pass, by the objective or, with a `holdout`, by the
    held-out loss; `start` if no pass was better. So they are finite whatever happens, and the same bits
    whether or not `on_pass` looks on. It may be told of a pass when the next one has run already.
    """
    with getattr(solver, "surroundings", nullcontext()):
        state = solver.start(problem, start, rng, previous)
        watch = _Watch(solver, problem, start, limits, holdout, state)
        watch.measures_steps = getattr(on_pass, "measures_steps", False)
        run = _certified_passes if solver.certifies else _minibatch_passes
        clock = time.perf_counter()
        try:
            for measured in run(watch, schedule, verbose > 0):
                goes_on = watch.judge(measured, schedule)
                if verbose:
                    seconds = time.perf_counter() - clock
                    report(name, measured.n_passes, measured.here, watch.solution.validation, seconds)
                if on_pass is not None and not on_pass(watch.told(measured, goes_on)):
                    watch.obey(measured, schedule)
                    goes_on = False
                if not goes_on:
                    watch.stop(measured)
                    break
        except KeyboardInterrupt as interruption:
            watch.interrupt(interruption)
        return watch.end()


def _certified_passes(watch, schedule, with_accuracy):
    """Run passes; look after those where a certificate is due, with held-out rows after each one."""
    solver, problem, state, n_passes = (
        watch.solver,
        watch.problem,
        watch.solution.state,
        watch.limits.max_iter,
    )
    for epoch in range(n_passes):
        solver.run_pass(problem, state, _factor(schedule, epoch))
        watch.count(epoch + 1)
        certifies = solver.is_due(state) or epoch + 1 == n_passes
        model = solver.model(problem, state) if certifies or watch.holdout else None
        here = solver.certify(problem, state, model) if certifies else None
        yield Measured(epoch + 1, state.n_steps, model, here, epoch + 1)


def _minibatch_passes(watch, schedule, with_accuracy):
    """Run passes and measure each: of dense rows along the next one, as they are in the cache then."""
    solver, problem, state, n_passes = (
        watch.solver,
        watch.problem,
        watch.solution.state,
        watch.limits.max_iter,
    )
    can_look_back = solver.can_look_back(problem, state)
    ratio = None
    for epoch in range(n_passes):
        n_steps = state.n_steps
        looks_back = epoch > 0 and can_look_back
        before = solver.model(problem, state).copy() if looks_back else None
        factor = _factor(schedule, epoch)
        sums = solver.run_pass(problem, state, factor, looks_back=looks_back, with_accuracy=with_accuracy)
        watch.count(epoch + 1)
        ratio_before = ratio
        if watch.measures_steps:
            ratio = update_ratio(solver, problem, state, factor)
        if looks_back:
            yield Measured(epoch, n_steps, before, problem.evaluation(sums, before), epoch + 1, ratio_before)
        if not can_look_back or epoch + 1 == n_passes:
            model = solver.model(problem, state)
            here = problem.evaluate(model, with_accuracy=with_accuracy)
            yield Measured(epoch + 1, state.n_steps, model, here, epoch + 1, ratio)


class _Watch:
    """What is known while training goes on: the best model so far, and whether to stop."""

    def __init__(self, solver, problem, start, limits, holdout, state):
        self.solver = solver
        self.problem = problem
        self.limits = limits
        self.holdout = holdout
        self.solution = Solution(start, state, state.rate)
        self.n_before = state.n_steps
        self.scale = problem.objective_at_zero
        self.start = self.best = start
        # A fit that is proven need not know where it began, which takes a visit of all rows.
        waits = solver.certifies and not holdout
        first = math.inf if waits else holdout.evaluate(start).loss if holdout else self.first
        self.patience = _Patience(limits, self.scale, first)
        self.kept = None  # the best model's certificate
        self.measures_steps = False

    @cached_property
    def first(self):
        """The objective at the start."""
        return self.scale if self.start.is_zero() else self.problem.evaluate(self.start).objective

    def count(self, n_passes):
        """Take note that a pass was run."""
        self.solution.n_iter = n_passes
        self.solution.n_steps = self.solution.state.n_steps - self.n_before

    def stop(self, measured):
        """Forget what was run after the pass that is judged to be the last."""
        self.solution.n_iter = measured.n_passes
        self.solution.n_steps = measured.n_steps - self.n_before

    def judge(self, measured, schedule):
        """Take note of a pass; say whether to go on."""
        solution, here, model = self.solution, measured.here, measured.model
        if model is None:
            return True
        solution.model = model
        if here is not None:
            self._note(here, measured.n_passes)
            stays = here.objective <= RUNAWAY * self.scale or here.objective <= RUNAWAY * self.first
            if not stays or not model.is_finite():
                solution.status = "diverged"
                return False
        if self.holdout:
            solution.validation.append(self.holdout.evaluate(model, with_accuracy=True))
        value = solution.validation[-1].loss if self.holdout else self._value(here)
        if hasattr(schedule, "see"):
            schedule.see(value)
        if self.patience.see(value):
            self._keep(measured)
        if self.solver.certifies and here is not None and self._is_proven(measured):
            return False
        if self.patience.is_out and (self.holdout or not self.solver.certifies):
            hurry = getattr(schedule, "hurry", None)
            if hurry is None or not hurry(measured.n_run - 1):
                solution.status = "stopped" if self.solver.certifies else "converged"
                if here is None and self.solver.certifies:  # the curves should tell of the last pass
                    self._note(self.solver.certify(self.problem, solution.state, model), measured.n_passes)
                return False
            self.patience.waited = 0
        return True

    def _note(self, here, n_passes):
        """Add to the curves what was measured after a pass."""
        solution = self.solution
        solution.loss_curve.append(here.objective)
        solution.curve_iter.append(n_passes)
        if self.solver.certifies:
            solution.gap = here.gap
            solution.gap_curve.append(here.gap)

    def told(self, measured, goes_on):
        """What `on_pass` is told of a pass."""

        def model():
            found = measured.model
            return (self.solver.model(self.problem, self.solution.state) if found is None else found).copy()

        is_last = not goes_on or measured.n_passes == self.limits.max_iter
        return PassEnd(measured.n_passes, is_last, model, measured.update_ratio)

    def obey(self, measured, schedule):
        """End training because `on_pass` said so; a certified solver looks where it is."""
        if self.solver.certifies and measured.here is None:
            is_judged = measured.model is not None  # by the held-out rows
            model = measured.model if is_judged else self.solver.model(self.problem, self.solution.state)
            here = self.solver.certify(self.problem, self.solution.state, model)
            measured = measured._replace(model=model, here=here)
            if is_judged:
                self._note(here, measured.n_passes)
                self._is_proven(measured)
            else:
                self.judge(measured, schedule)
        if self.solution.status == "max_iter":
            self.solution.status = "stopped"

    def _value(self, here):
        """What training makes smaller."""
        return here.loss if getattr(self.solver, "minimizes_loss_alone", False) else here.objective

    def _keep(self, measured):
        self.solution.best_iter = measured.n_passes
        self.best, self.kept = measured.model.copy(), measured.here

    def _is_proven(self, measured):
        """Whether the certified gap is small enough, or will not become smaller."""
        state = self.solution.state
        if not state.is_settled:
            return False
        if self.limits.is_met(measured.here, self.scale):
            self.solution.status = "converged"
            if not self.holdout:
                self._keep(measured)
            return True
        return state.is_stuck

    def interrupt(self, interruption):
        """Take note of Ctrl-C, and of the pass that it let end."""
        solution = self.solution
        solution.status = "interrupted"
        solution.interruption = interruption
        model = self.solver.model(self.problem, solution.state)
        if self.holdout or self.limits.is_stream or not model.is_finite():
            return
        here = self.problem.evaluate(model)
        if not self.solver.certifies and len(solution.loss_curve) < solution.n_iter:
            solution.loss_curve.append(here.objective)
            solution.curve_iter.append(solution.n_iter)
        if self.patience.see(self._value(here)):
            self.best, self.kept = model.copy(), None
            solution.best_iter = solution.n_iter

    def end(self):
        """The solution."""
        solution = self.solution
        if self.limits.is_stream and solution.status != "diverged":
            self.best = solution.model  # of one chunk: the solver goes on from its last weights
        elif self.solver.certifies:
            self._certify_best()
        elif solution.status in ("max_iter", "converged"):
            self._say_if_at_rest()
        solution.model = self.best.copy()
        return solution

    def _certify_best(self):
        """The bound of the optimum holds for any model, also for one of an earlier pass."""
        solution, state = self.solution, self.solution.state
        if solution.status != "converged" and not self.holdout and self.first < self.patience.best:
            self.best, self.kept, solution.best_iter = self.start, None, 0
        final = (
            state.bound.improve(self.kept)
            if self.kept is not None
            else self.solver.certify(self.problem, state, self.best)
        )
        solution.gap, solution.objective = final.gap, final.objective
        if solution.status == "max_iter" and self.limits.is_met(final, self.scale):
            solution.status = "converged"

    def _say_if_at_rest(self):
        solution = self.solution
        watched = [there.loss for there in solution.validation] if self.holdout else solution.loss_curve
        last = self.patience.last if not self.holdout else solution.loss_curve[-1]
        rose = last > max(self.scale, self.first) * (1 + 1e-9)
        if rose and not (self.holdout and solution.best_iter):
            solution.status = "diverged"  # it came to rest above where it began
        elif solution.status == "max_iter":
            solution.status = _status_at_end(watched, self.limits, self.scale)


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
