"""Accelerated proximal stochastic dual coordinate ascent, which certifies its answer.

A pass visits rows and sets their dual variables to the best for their scores (Shalev-Shwartz and Zhang
2013): every row at first, later more often those that still move, as shrinking does for support vector
machines (Joachims 1999). A proximal point, extrapolated from pass to pass, lends curvature where the
penalty has little or none: to weak L2, to L1, to the intercept (Shalev-Shwartz and Zhang 2014; Lin,
Mairal and Harchaoui 2015). It measures distance by each feature's own scale, so that units do not matter.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from .._threads import Threads
from ..certificate import BestBound, certify, gradient_of_dual, guess_of_rows
from ..kernels.dual import (
    Coordinates,
    DualState,
    distances,
    dual_pass,
    merge,
    move_center,
    place,
    soft_threshold,
    uphill,
)
from ..kernels.evaluate import sum_sizes
from ..kernels.order import choose_rows, shuffled
from ..kernels.rows import aligned_zeros, padded
from ..kernels.vectors import padded_outputs
from ..problem import Model
from .certified import CertifiedSolver, Due, wanted_gap
from .kappa import HINGES, Balance, Halving, OfHinges, Parts, rule_for
from .proximal import (
    Center,
    choose_kappa,
    extrapolation,
    geometry,
    least_intercept_scale,
    tuning,
    widened,
)
from .warm import begin, gradient_of_run

# A row whose dual variables changed by less than so much of the mean change pauses, so many passes at most,
# longer and longer where it stays at a bound. Rows at a bound of a hinge hardly ever move again, those of a
# smooth loss all go on to move a little.
PAUSE_OF_HINGE, PAUSE_OF_SMOOTH, LONGEST_PAUSE = (0.08, 5), (0.3, 3), 20
# What a free intercept counts for in a row's curvature beside all features together. More of it lets the
# intercept move further in a pass but shortens each step of the coefficients: 0.1 to 0.3 do best.
INTERCEPT_SHARE = 0.2
# What a thread counts its own changes for, with n_jobs of them: n_jobs is safe whatever the data, 1 is not;
# this much between them has done on all data so far, and where a gap rises it becomes n_jobs.
SPREAD = 0.4
N_ROUNDS = 6  # of threads in a pass, with their work added up after each
# Threads make more passes necessary: they only pay where each has so many nanoseconds of a pass, by
# `row_time`, and where copies of the coefficients, so much a byte, take at most this share of a pass.
LONG_PASS, COPY, SHARE_OF_COPIES = 4e6, 0.1, 0.2
# Rough nanoseconds of a visit: a row, its outputs, its products.
ROW, OUTPUT, DENSE_TERM, CSR_TERM = 150.0, 2.0, 0.04, 0.4
SAMPLE = 1024  # rows by which to guess a gap before it is certified, of at least four times as many
# From so many passes on, whenever kappa may change, the sums that passes keep are made anew, which also ends
# momentum: weak penalties magnify what rounding took from them.
LATE = 32
# A guess above so much of the wanted gap leaves no hope: near the end gaps are noisy, certificates dear.
SLACK = 0.9


class SDCA(CertifiedSolver):
    """Stochastic dual coordinate ascent, for every loss and penalty.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_lossopt import SoftmaxClassifier
    >>> from sklearn_lossopt.solvers import SDCA
    >>> X, y = load_iris(return_X_y=True)
    >>> model = SoftmaxClassifier(solver=SDCA(), alpha=0.01, l1_ratio=0.5, random_state=0).fit(X, y)
    >>> bool(model.dual_gap_ <= 1e-4 * model.loss_curve_[-1])
    True
    """

    name = "sdca"

    def runner(self, tol, shuffle, n_jobs=1):
        return DualAscent(tol, shuffle, n_jobs)


class Team:
    """A copy of what threads change together, for each of them."""

    def __init__(self, n_jobs, arrays):
        shape, dtype = arrays.primal.shape, arrays.primal.dtype
        primal = aligned_zeros((n_jobs, *shape), dtype)
        has_l1 = arrays.accumulated is not arrays.primal
        accumulated = aligned_zeros((n_jobs, *shape), dtype) if has_l1 else primal
        self.accumulated = accumulated.reshape(n_jobs, -1)
        self.intercept = np.zeros((n_jobs, arrays.intercept.size), dtype)
        self.members = [
            arrays._replace(
                primal=primal[t],
                accumulated=accumulated[t],
                intercept=self.intercept[t],
                loaded=aligned_zeros(arrays.loaded.shape, dtype),
                room=aligned_zeros(arrays.room.shape, dtype),
            )
            for t in range(n_jobs)
        ]

    def take(self, arrays):
        """Give everybody the present values."""
        for member in self.members:
            member.primal[...] = arrays.primal
            if member.accumulated is not member.primal:
                member.accumulated[...] = arrays.accumulated
            member.intercept[...] = arrays.intercept


@dataclass
class DualRun:
    """What a run keeps between passes."""

    weight: np.ndarray  # sum 1, in the dtype of X
    arrays: DualState
    team: Team | None  # None: one thread
    pauses: tuple  # by row: passes since its last visit, and those that it may pause for
    rng: np.random.Generator
    due: Due
    bound: BestBound = field(default_factory=BestBound)
    coordinates: Coordinates = None
    center: Center = None
    kappa: float = 0.0
    change: float = 1.0  # kappa over what was chosen for it at first
    least_pull: float = 0.0
    least_intercept_scale: float = 0.0
    kappa_rule: Balance | Halving | OfHinges | None = None  # None: kappa never changes
    spread: float = 1.0  # see `kernels.dual.dual_pass`
    n_passes: int = 0
    n_steps: int = 0
    rate: float = math.nan
    lowest_gap: float = math.inf
    guess: float = math.inf  # of the gap, where one was made after this pass
    optimism: float = 1.0  # certified gap over its guess
    is_hopeless: bool = False  # no certificate yet: the gap is guessed to be larger than wanted
    is_settled: bool = True  # it may stop as soon as the gap is small
    is_stuck: bool = False
    has_duals: bool = True  # False: they are those of zero coefficients


class DualAscent:
    """Run SDCA on a problem.

    Parameters
    ----------
    tol : float or None
        Relative gap that the caller waits for: sets when certificates are worth their time.
    shuffle : bool
        Visit the rows in a new random order each pass.
    n_jobs : int, default=1
        Threads.
    """

    certifies = True

    def __init__(self, tol, shuffle, n_jobs=1):
        self.tol = tol
        self.shuffle = shuffle
        self.n_jobs = n_jobs

    def start(self, problem, model, rng, previous=None):
        """Prepare passes from `model`; `previous` holds dual variables of an earlier run, or None."""
        dtype, n_outputs = problem.dtype, problem.n_outputs
        problem.count_moments(self.n_jobs)
        if problem.is_sparse:
            shape = problem.n_features, n_outputs
            longest = int(np.diff(problem.rows.indptr).max(initial=1))
        else:
            longest = padded(problem.n_features, dtype)
            shape = n_outputs, longest
        primal = aligned_zeros(shape, dtype)
        dual, has_duals, gradient = begin(problem, model, previous)
        arrays = DualState(
            dual=dual,
            primal=primal,
            accumulated=aligned_zeros(shape, dtype) if problem.penalty.l1 else primal,
            intercept=np.zeros(n_outputs, dtype),
            moved=np.zeros(problem.target.size, dtype),
            loaded=aligned_zeros((4, longest), dtype),
            room=aligned_zeros((6, padded_outputs(n_outputs, dtype)), dtype),
        )
        state = DualRun(
            weight=problem.share.astype(dtype),
            arrays=arrays,
            team=Team(self.n_jobs, arrays) if self.n_jobs > 1 else None,
            pauses=tuple(np.full(problem.target.size, n, np.int8) for n in (0, pause(problem)[1])),
            rng=rng,
            due=Due(first=1 if has_duals else 3 if problem.is_sparse else 4),
            has_duals=has_duals,
        )
        if previous is not None:
            state.optimism = previous.optimism
        tuned = tuning(problem)
        state.least_pull = tuned.least_pull
        state.spread = 1 + SPREAD * (self.n_jobs - 1)
        state.kappa = choose_kappa(problem)
        if state.kappa > 0:
            state.kappa_rule = rule_for(problem, self._can_split(problem))
            if (
                previous is not None
                and previous.loss == problem.loss
                and isinstance(state.kappa_rule, Balance)
            ):
                state.change = previous.change
                state.kappa *= state.change
        state.least_intercept_scale = least_intercept_scale(problem)
        self._place(problem, state, model, gradient)
        return state

    def run_pass(self, problem, state, factor):
        """One pass over the rows; `factor` is for solvers with a learning rate."""
        if state.n_passes and not self._change_kappa(problem, state):
            self._move_center(problem, state)
        order = self._to_visit(problem, state)
        if self._threads_pay(problem, state, len(order)):
            self._visit_together(problem, state, order)
        else:
            self._visit(problem, state, state.arrays, order, 1)
        state.has_duals = True
        state.n_passes += 1
        state.n_steps += len(order)
        state.guess = math.inf  # one of an earlier pass must not be compared with this one's gap
        state.is_hopeless = state.due.is_now(state.n_passes) and self._is_hopeless(problem, state)

    def _visit(self, problem, state, arrays, order, spread):
        dual_pass(
            problem.rows,
            order,
            problem.target,
            state.weight,
            problem.loss,
            state.coordinates,
            arrays,
            problem.dtype.type(spread),
        )

    def _threads_pay(self, problem, state, n_rows):
        """Whether threads are quicker at visiting so many rows."""
        if state.team is None:
            return False
        pass_time = n_rows * row_time(problem)
        n_arrays = 2 if problem.penalty.l1 else 1
        copies = 2 * N_ROUNDS * (self.n_jobs + 1) * n_arrays * state.arrays.primal.nbytes * COPY
        return pass_time >= self.n_jobs * LONG_PASS and copies <= SHARE_OF_COPIES * pass_time

    def _visit_together(self, problem, state, order):
        """Threads take rows of their own, each with a copy of the coefficients; then these are added up.

        All sums are in a fixed order, so the bits are the same whatever the threads' timing.
        """
        arrays, team = state.arrays, state.team
        by_column = not problem.is_sparse
        spread = problem.dtype.type(state.spread)
        with Threads(self.n_jobs) as threads:
            for piece in np.array_split(order, min(N_ROUNDS, len(order))):
                team.take(arrays)
                parts = zip(team.members, np.array_split(piece, self.n_jobs), strict=True)
                threads.map(
                    lambda part: self._visit(problem, state, *part, spread),
                    [(member, rows) for member, rows in parts if len(rows)],
                )
                merge(arrays.accumulated.reshape(-1), team.accumulated, spread)
                merge(arrays.intercept, team.intercept, spread)
                if problem.penalty.l1:
                    soft_threshold(arrays.accumulated, state.coordinates.threshold, by_column, arrays.primal)

    def _to_visit(self, problem, state):
        """The rows of a pass, in order: those that hardly moved in their last visit pause for a while."""
        rows = problem.index
        if state.n_passes >= 2:
            chosen = np.empty_like(rows)
            how = *pause(problem), LONGEST_PAUSE
            n_chosen = choose_rows(rows, state.arrays.moved, state.pauses, *how, chosen)
            if n_chosen:
                rows = chosen[:n_chosen]
        return shuffled(rows, state.rng) if self.shuffle else rows

    def is_due(self, state):
        """Whether a certificate is worth its time now."""
        return state.due.is_now(state.n_passes) and not state.is_hopeless

    def _can_split(self, problem):
        """Whether a guess's two parts are the gap, of so many rows that chance does not count."""
        return problem.penalty.l1 == 0 < problem.penalty.l2 and len(problem.index) >= 4 * SAMPLE

    def _can_guess(self, problem):
        return bool(self.tol) and self._can_split(problem)

    def _is_hopeless(self, problem, state):
        """Whether a sample of the rows says that the gap is still too large: a certificate costs passes."""
        if not self._can_guess(problem):
            return False
        if state.n_passes < state.due.next_guess:
            return True
        model = self.model(problem, state)
        parts = self._guess(problem, state, model)
        gap = state.guess = parts.gap
        wanted = SLACK * self._wanted(problem, parts.objective)
        state.due.see_guess(state.n_passes, gap, wanted)
        if state.n_passes >= state.due.latest:
            return False  # where gaps rise, only certificates tell
        return gap * state.optimism > wanted

    def _guess(self, problem, state, model, n_rows=SAMPLE):
        """Objective and gap by a sample of the rows: ``mean(loss + loss* + <s, a>) + |l2 W - v|^2 / (2 l2)``.

        The gap comes in these two parts, neither of them negative: what rows are from the best for their
        scores, and what the proximal point lags behind. It knows nothing of what a free intercept costs;
        the certificates so far tell.
        """
        index = np.ascontiguousarray(problem.index[:: max(1, len(problem.index) // n_rows)])
        loss, of_rows = guess_of_rows(problem, model, state.arrays.dual, index)
        center, by_column = state.center, not problem.is_sparse
        factors = center.stretch, center.term_weight
        of_point, term = distances(state.arrays.primal, center.coef, factors, by_column)
        return Parts(of_rows, of_point, term, loss + problem.penalty.l2 / 2 * sum_sizes(model.coef)[1])

    def _wanted(self, problem, objective):
        """The gap that the caller waits for."""
        return wanted_gap(self.tol, objective, problem.objective_at_zero)

    def model(self, problem, state):
        """The model in the user's coordinates."""
        shift, scale = state.coordinates.shift, state.coordinates.scale
        n_features = problem.n_features
        if problem.is_sparse:
            return Model(state.arrays.primal * scale[:, None], state.arrays.intercept.copy())
        coef = np.ascontiguousarray((state.arrays.primal * scale)[:, :n_features])
        intercept = state.arrays.intercept.astype(np.float64)
        if shift.size:
            intercept -= coef.astype(np.float64) @ shift[:n_features]
        return Model(coef, intercept.astype(coef.dtype))

    def certify(self, problem, state, model):
        """The model's objective and duality gap."""
        certificate = certify(problem, model, state.arrays.dual, self.n_jobs)
        certificate = state.bound.improve(certificate)
        wanted = self._wanted(problem, certificate.objective)
        state.due.see(state.n_passes, certificate.gap, wanted)
        if self._can_guess(problem):
            # Guesses say when; of long runs' last passes each would pass for the last.
            state.due.next = state.n_passes + max(1, state.n_passes // 20)
            if 0 < state.guess < math.inf:
                state.optimism = max(1.0, min(certificate.gap / state.guess, 10 * state.optimism))
        if certificate.gap > wanted:
            self._respond(problem, state, model, certificate.gap)
        return certificate

    def _respond(self, problem, state, model, gap):
        """Where the gap stands or rises, let go of rounding errors and of half the momentum."""
        if gap > state.lowest_gap:
            state.least_pull = min(1.0, 2 * state.least_pull)
            state.spread = self.n_jobs
        if gap > 0.9 * state.lowest_gap:
            self._place(problem, state, model)
        state.lowest_gap = min(state.lowest_gap, gap)

    def _place(self, problem, state, model, gradient=None):
        """Set coordinates, with the proximal point at a model, from the dual variables.

        `gradient` is `gradient_of_dual`'s answer, where it is known. The arrays of an earlier point are used
        again.
        """
        dtype = problem.dtype
        l1, l2 = problem.penalty.l1, problem.penalty.l2
        kappa = state.kappa
        shift, second_moment, metric = geometry(problem)
        curvature = l2 + kappa * metric
        scale = 1 / np.sqrt(curvature)
        intercept_scale = 0.0
        if problem.fit_intercept:
            features = INTERCEPT_SHARE * float((second_moment / curvature).sum())
            intercept_scale = max(features, state.least_intercept_scale)
        arrays = state.arrays
        by_column = not problem.is_sparse
        width = arrays.primal.shape[1 if by_column else 0]
        state.coordinates = Coordinates(
            widened(shift, width if shift.size else 0, dtype),
            widened(scale, width, dtype),
            widened(l1 * scale, width if l1 else 0, dtype),
            dtype.type(intercept_scale),
        )
        intercept = model.intercept.astype(np.float64)
        if shift.size:
            intercept += model.coef.astype(np.float64) @ shift
        pulling = kappa * metric
        if state.center is None:
            center, center_before = (np.zeros(arrays.primal.shape, dtype) for _ in range(2))
        else:
            center, center_before = state.center.coef, state.center.coef_before
        mean_dual = np.zeros(problem.n_outputs)
        if state.has_duals:  # else this is the start, and the model and the sums are 0
            gradient, mean_dual = gradient_of_dual(problem, arrays.dual) if gradient is None else gradient
            sums = arrays.accumulated
            place(model.coef, gradient, mean_dual, shift, scale, pulling, by_column, center, sums)
            center_before[...] = center
            if l1:
                soft_threshold(arrays.accumulated, state.coordinates.threshold, by_column, arrays.primal)
        arrays.intercept[:] = intercept + intercept_scale * mean_dual
        state.center = Center(
            coef=center,
            coef_before=center_before,
            intercept=intercept.astype(dtype),
            intercept_before=intercept.astype(dtype),
            pull=widened(pulling / curvature, width, dtype),
            term_weight=widened(pulling / curvature / 2, width, np.float64),
            stretch=widened(pulling**2 / curvature / (2 * l2 or math.inf), width, np.float64),
            least_pull=max(state.least_pull, l2 / (l2 + kappa * float(metric.max()))),
        )

    def _change_kappa(self, problem, state):
        """Change kappa where it is wrong, late the sums too; say whether the point was placed anew."""
        rule = state.kappa_rule
        if rule is None or state.n_passes != rule.next:
            return False
        model = self.model(problem, state)
        factor = rule.factor(problem, state, lambda n_rows: self._guess(problem, state, model, n_rows))
        is_late = state.n_passes >= LATE
        if factor == 1 and not is_late:
            return False
        state.kappa *= factor
        state.change *= factor
        self._place(problem, state, model, None if is_late else gradient_of_run(problem, state))
        return True

    def _move_center(self, problem, state):
        """The outer step: extrapolate the proximal point, or begin momentum anew where it leads uphill."""
        arrays, center, dtype = state.arrays, state.center, problem.dtype
        by_column = not problem.is_sparse
        moved = arrays.intercept - center.intercept_before
        climb = 0.0
        if problem.fit_intercept:
            pull = center.intercept - arrays.intercept
            climb += float(pull @ moved) / float(state.coordinates.intercept_scale)
        if state.kappa > 0:
            climb += uphill(arrays.primal, center.coef_before, center.coef, center.pull, by_column)
        if climb > 0:
            center.a = center.b = 1.0
        momentum, center.a = extrapolation(center.a, center.least_pull)
        intercept_momentum, center.b = extrapolation(center.b, 0.0)
        if state.kappa > 0:
            move_center(
                arrays.primal,
                center.coef_before,
                center.coef,
                arrays.accumulated,
                center.pull,
                by_column,
                dtype.type(momentum),
            )
            if problem.penalty.l1:
                soft_threshold(arrays.accumulated, state.coordinates.threshold, by_column, arrays.primal)
        if problem.fit_intercept:
            new = arrays.intercept + dtype.type(intercept_momentum) * moved
            center.intercept_before = arrays.intercept.copy()
            arrays.intercept[...] += new - center.intercept
            center.intercept = new


def pause(problem):
    """Which rows pause, and for how many passes at first."""
    return PAUSE_OF_HINGE if problem.loss in HINGES else PAUSE_OF_SMOOTH


def row_time(problem):
    """Rough nanoseconds of a row's visit on one core."""
    term = CSR_TERM if problem.is_sparse else DENSE_TERM
    return ROW + problem.n_outputs * (OUTPUT + term * problem.row_length)
