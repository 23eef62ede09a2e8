"""A primal-dual interior point method for the hinges, which have kinks, and L2.

The hinges' slacks xi and multipliers u are variables of their own; every step solves for all together
by way of a matrix of the size of Newton's (Ferris and Munson 2002, for support vector machines). Steps
are Mehrotra's (1992): a predictor, then a corrector that centers. A dozen or two are enough whatever the
scale of the features and however weak the penalty.
"""

from itertools import combinations, pairwise
from typing import NamedTuple

import numpy as np
from scipy.linalg.blas import dsyrk

from .._blas import one_thread
from ..certificate import certify
from ..kernels import losses
from ..kernels.interior import (
    add_pair,
    advance,
    follow_apart,
    follow_shared,
    make_laplacian,
    stay_apart,
    stay_shared,
    weigh_columns,
)
from ..kernels.rows import LINE, aligned_zeros
from .certified import CertifiedSolver, wanted_gap
from .second_order import (
    SecondOrder,
    add_sparse_outer,
    describe,
    factor_of,
    signs,
    solve_with,
    solver_of_all,
)
from .standardized import StandardizedRows

TO_THE_EDGE = 0.995  # share of the way to the domain's edge that a step takes at most
LARGEST_INVERSE = 1e4  # of a row's weight, over the mean
FARTHEST = 1e5  # deviations of a mean from 0, beyond which raw sums of sparse rows lose too many digits
LEAST_GOAL = 1e-30  # of the mean product
SMALL = 1e-15  # complementarity at which rounding ends all progress
HOPE = 2.0  # of the wanted gap: what slacks and multipliers leave of it, when the proof is worth its time
DONE = 0.25  # of the wanted gap: less of an output's own share of it does not matter
NEAR = 1e-2  # of the objective: what is left where certificates begin, if no gap is wanted
ROOM = 2**15  # numbers of weighed rows that are in the cache
WIDE_ROOM = 2**17  # the same of rows times outputs
FEW_COLUMNS = 32  # products of blocks of so few are slow, those of all blocks at once are not
LANES = LINE // 8  # each class fills so many places, or a multiple


class InteriorPoint(CertifiedSolver):
    """Primal-dual interior point method, for hinge losses with an L2 penalty and few parameters.

    The time of a pass grows with the square of the number of parameters.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_lossopt import LinearSVMClassifier
    >>> from sklearn_lossopt.solvers import InteriorPoint
    >>> X, y = load_iris(return_X_y=True)
    >>> model = LinearSVMClassifier(solver=InteriorPoint()).fit(X, y)
    >>> bool(model.dual_gap_ <= 1e-4 * model.loss_curve_[-1])
    True
    """

    name = "interior_point"

    def runner(self, tol, shuffle, n_jobs=1):
        return InteriorSteps(tol)


def takes(problem):
    """Whether the method is made for a problem."""
    return problem.penalty.l1 == 0 and problem.loss not in (losses.SOFTMAX, losses.LOGISTIC)


class Point(NamedTuple):
    """Slacks and multipliers, and likewise a step of them: (n_outputs, n_rows), in places by class.

    A hinge ``max(0, z)`` is the least xi with ``xi >= 0`` and ``xi - z >= 0``; u in [0, 1] is the multiplier
    of the second and v = 1 - u that of the first. Crammer and Singer's hinges share one xi a row, and their
    u and v sum to 1. A squared hinge is ``xi^2``: there is no v, and u (or their sum) is 2 xi, after a whole
    step.
    """

    u: np.ndarray
    v: np.ndarray
    xi: np.ndarray
    room: np.ndarray  # xi - z

    @classmethod
    def zeros(cls, shape, loss):
        shape_of_xi = (1, shape[1]) if loss % losses.SQUARED == losses.CRAMMER_SINGER else shape
        shape_of_v = (0, 0) if loss >= losses.SQUARED else shape_of_xi
        return cls(*(aligned_zeros(s, np.float64) for s in (shape, shape_of_v, shape_of_xi, shape)))


class InteriorSteps(SecondOrder):
    """Run the method on a problem; a pass is a predictor and corrector step."""

    def order(self, problem):
        """Places by class: the rows in use, and the last of each class again where it fills no vector."""
        rows = super().order(problem)
        count = np.bincount(problem.target[rows], minlength=max(problem.n_outputs, 2))
        places = -(-count // LANES) * LANES
        number = np.arange(places.sum()) - np.repeat(np.cumsum(places) - places, places)
        return rows[
            np.repeat(np.cumsum(count) - count, places) + np.minimum(number, np.repeat(count - 1, places))
        ]

    def start(self, problem, model, rng, previous=None):
        """Prepare steps from `model`."""
        if not takes(problem):
            raise ValueError(
                "solver='interior_point' needs a hinge loss and l1_ratio=0. It got "
                f"{describe(problem)}. Use solver='sdca', which takes every loss and penalty."
            )
        state = super().start(problem, model, rng, previous)
        state.is_settled = True
        with one_thread:
            state.objective = Slacks(problem, state)
        return state

    def run_pass(self, problem, state, factor):
        """A step; `factor` is for solvers with a learning rate."""
        slacks = state.objective
        state.n_steps += 1
        if not slacks.choose(self.tol or 0.0):
            state.is_stuck = True
            return
        with one_thread:
            slopes = slacks.stay(0.0)
            solve = slacks.solver()
            slacks.follow(0.0, -solve(slacks.gradient(slopes)))
            length = slacks.longest(1.0)
            # Never 0, which would be another predictor.
            goal = slacks.mu * np.clip((slacks.ahead(length) / slacks.mu) ** 3, LEAST_GOAL, 1.0)
            direction = -solve(slacks.gradient(slacks.stay(goal)))
            slacks.follow(goal, direction)
            slacks.move(slacks.longest(TO_THE_EDGE), direction)

    def is_due(self, state):
        """Slacks and multipliers tell when a certificate is worth its time."""
        slacks = state.objective
        least = HOPE * slacks.wanted(self.tol) if self.tol else NEAR * slacks.objective
        return state.is_stuck or slacks.gap <= least

    def certify(self, problem, state, model):
        """The model's objective and duality gap, from the multipliers."""
        state.dual[state.index] = state.objective.point.u.T
        return state.bound.improve(certify(problem, model, state.dual))


class Slacks:
    """Slacks and multipliers of a run at `state.parameters`, and the systems of its steps.

    Outputs that do not meet, one against the rest, are problems of their own: each has its own goal and its
    own length of a step, and is done when its own products are small. Such arrays are (n_groups,), a group
    being an output, or all of them.

    Parameters
    ----------
    problem : Problem
        With a hinge loss.
    state : SecondOrderRun
        Its rows, weights, scale, ridge and parameters.
    """

    def __init__(self, problem, state):
        self.problem, self.state = problem, state
        self.loss = problem.loss
        self.shares_slack = self.loss % losses.SQUARED == losses.CRAMMER_SINGER
        self.apart = self.loss % losses.SQUARED == losses.HINGE
        self.rows = StandardizedRows(problem, state)
        n_outputs, n_rows = problem.n_outputs, len(state.index)
        self.shape = shape = n_outputs, n_rows
        self.edges = np.append(0, np.cumsum(np.bincount(state.target, minlength=max(n_outputs, 2))))
        # Multipliers of the problem itself are weight times u: it is their products that are to be equal.
        # Of rows that hardly count they may be smaller, or these would be all that a step looks at.
        self.inverse = np.minimum(1 / (state.weight * len(problem.index)), LARGEST_INVERSE)
        state.weight[1:][state.index[1:] == state.index[:-1]] = (
            0.0  # what fills vectors: no row is in use twice
        )
        self.pairs = list(combinations(range(n_outputs), 2))
        n_hinges = 1 if self.apart else n_outputs - 1
        n_slacks = 0 if self.loss >= losses.SQUARED else 1 if self.shares_slack else n_hinges
        self.n_products = n_hinges + n_slacks  # a row, in a group
        self.slopes = aligned_zeros(shape, np.float64)
        self.curvature = aligned_zeros((n_outputs + 1, n_rows), np.float64)
        self.point = self._start()
        self.step = Point.zeros(shape, self.loss)
        self.products = tuple(aligned_zeros(part.shape, np.float64) for part in self.point[:2])
        self.changes, self.sums = np.zeros((2, n_outputs, 3))
        self._advance(0.0)
        self.goes_on = np.ones(len(self.mu), bool)
        self.has_ended = np.zeros(len(self.mu), bool)
        self.share = DONE

    def _start(self):
        """A point well inside."""
        state, point = self.state, Point.zeros(self.shape, self.loss)
        n_outputs = self.shape[0]
        scores = self.rows.scores(state.parameters)
        if self.apart:
            used = np.ones(self.shape, bool)
            z = 1 - signs(state.target, n_outputs).T * scores
        else:
            used = state.target != np.arange(n_outputs)[:, np.newaxis]
            z = 1 + scores - np.take_along_axis(scores, state.target[np.newaxis].astype(np.intp), axis=0)
        if self.shares_slack:
            point.xi[:] = np.maximum(np.where(used, z, 0).max(axis=0), 0) + 1
            share = 1 / n_outputs
        else:
            point.xi[:] = np.where(used, np.maximum(z, 0) + 1, 0)
            share = 0.5
        point.u[used] = share
        if point.v.size:
            point.v[:] = share if self.shares_slack else np.where(used, share, 0)
        point.room[:] = np.where(used, point.xi - z, 0)
        return point

    def choose(self, tol):
        """Choose which groups go on: those whose products still matter for a relative gap. False for none."""
        able = ~self.has_ended & (self.mu >= SMALL)
        if not (able.any() and np.isfinite(self.objective)):
            return False
        while True:
            matters = self.mu * self.n_products > self.share * self.wanted(tol) / len(self.mu)
            self.goes_on = able & matters
            if self.goes_on.any():
                return True
            self.share /= 100  # that has not been enough

    def _where(self, goal):
        goals = np.full(self.shape[0], goal)
        if self.apart:
            goals[~self.goes_on] = -1.0
        return self.loss, self.edges, self.state.weight, self.inverse, goals, self.point, self.products

    def stay(self, goal):
        """Weighted slopes by the scores, were these to stay and the mean products to become the goal."""
        stay = stay_shared if self.shares_slack else stay_apart
        stay(*self._where(goal), self.slopes, self.curvature)
        return self.slopes

    def follow(self, goal, direction):
        """Find the step that goes with a change of the parameters."""
        follow = follow_shared if self.shares_slack else follow_apart
        follow(*self._where(goal), self.rows.scores(direction), self.step, self.changes)

    def longest(self, share):
        """The share of the way to the domain's edge, or the whole step, that was found last."""
        rate = self.changes[:, 0] if self.apart else self.changes[:, 0].max(keepdims=True)
        return share / np.maximum(rate, share)

    def ahead(self, length):
        """The mean products after a part of a step."""
        _, first, second = self.changes.T
        if not self.apart:
            first, second = first.sum(keepdims=True), second.sum(keepdims=True)
        return np.maximum(self.mu + length * (first + length * second) / self.n_products, 0.0)

    def move(self, length, direction):
        """Take a part of the step, in a direction of the parameters; groups that cannot have ended."""
        able = np.isfinite(direction.sum(axis=1))
        able = (able if self.apart else able.all(keepdims=True)) & (length > 1e-10)
        self.has_ended |= self.goes_on & ~able
        length = np.where(self.goes_on & able, length, 0.0)
        length = length[:, np.newaxis]
        direction = np.where(length > 0, direction, 0.0)  # 0 times infinity would be NaN
        self.state.parameters = self.state.parameters + length * direction
        self._advance(length)

    def _advance(self, length):
        lengths = np.broadcast_to(length, (self.shape[0], 1))
        advance(self.loss, self.state.weight, lengths[:, 0].copy(), self.point, self.step, self.sums)
        products = self.sums[:, 0] + self.sums[:, 1]
        self.mu = (products if self.apart else products.sum(keepdims=True)) / self.n_products
        self.objective = float(self.sums[:, 2].sum()) + self.state.penalty(self.state.parameters)

    def wanted(self, tol):
        """The gap that ends a fit."""
        return wanted_gap(tol, self.objective, self.problem.objective_at_zero)

    @property
    def gap(self):
        """What the objective is above its dual, once slacks and multipliers fit the parameters."""
        return float(self.mu.sum()) * self.n_products

    def gradient(self, slopes):
        """Gradient by the parameters, from weighted slopes by the scores."""
        state = self.state
        gradient = state.ridge * state.parameters
        for part, block in self.rows.blocks():
            gradient += block.sums(slopes[:, part])
        gradient[:, state.unused] = 0
        return gradient

    def solver(self):
        """A function that solves with the matrix of the reduced system.

        Hinges bend single scores, or differences of two, by ``a_k a_m b``: a are the curvatures of the
        outputs (of the row's own class 1, or that of the slack), b is the weight (over the sum of the
        curvatures where the hinges share a slack).
        """
        state = self.state
        n_outputs, n_columns = state.parameters.shape
        if self.shares_slack and n_columns <= FEW_COLUMNS and not self.problem.is_sparse:
            return solver_of_all(state, self._hessian_at_once())
        sums = self._outer_sums()
        if self.apart:
            factors = {}
            for (k, _), block in sums.items():
                block[np.diag_indices(n_columns)] += state.ridge + state.unused
                factors[k] = factor_of(block)

            def solve(gradient):
                found = np.zeros_like(gradient)
                for k, factor in factors.items():
                    found[k] = solve_with(factor, gradient[k])
                return found

            return solve
        hessian = np.zeros((n_outputs * n_columns,) * 2, order="F")
        for (k, m), block in sums.items():
            add_pair(hessian, block, k, m)
        return solver_of_all(state, hessian)

    def _outer_sums(self):
        """Sums of the rows' outer products, for each pair of outputs that goes on: lower triangles."""
        problem, state, a = self.problem, self.state, self.curvature
        n_rows, n_columns = len(state.index), state.parameters.shape[1]
        b = state.weight * a[-1] if self.shares_slack else state.weight
        pairs = [(k, k) for k in np.flatnonzero(self.goes_on)] if self.apart else self.pairs
        sums = {pair: np.zeros((n_columns, n_columns), order="F") for pair in pairs}
        if problem.is_sparse and np.abs(state.shift * state.scale).max() < FARTHEST:
            for start, stop, (k, m) in self._bent(pairs, slice(0, n_rows), n_rows):
                part = slice(start, stop)
                weight = b[part] * a[k, part] * (1.0 if k == m else a[m, part])
                add_sparse_outer(sums[k, m], problem, state, state.index[part], weight[:, np.newaxis], 0)
            return sums
        most = max(LANES, ROOM // n_columns)
        room, root = np.empty(n_columns * most), np.empty(most)
        for part, block in self.rows.dense_blocks():
            for start, stop, (k, m) in self._bent(pairs, part, most):
                n = stop - start
                weighed = room[: n_columns * n].reshape(n_columns, n)
                weigh_columns(block.columns, start - part.start, a, b, k, m, start, (weighed, root[:n]))
                dsyrk(1.0, weighed.T, trans=1, beta=1.0, c=sums[k, m], overwrite_c=1, lower=1)
        return sums

    def _hessian_at_once(self):
        """The Hessian where all pairs of outputs meet in each row, and their blocks are small."""
        state, n_outputs = self.state, self.shape[0]
        root = self.curvature[:-1] * np.sqrt(state.weight * self.curvature[-1])
        size = state.parameters.size
        hessian = np.zeros((size, size), order="F")
        most = max(LANES, WIDE_ROOM // size)
        for part, block in self.rows.blocks():
            for start in range(part.start, part.stop, most):
                stop = min(start + most, part.stop)
                columns = block.columns[:, start - part.start : stop - part.start]
                spread = (root[:, np.newaxis, start:stop] * columns).reshape(size, -1)
                dsyrk(1.0, spread.T, trans=1, beta=1.0, c=hessian, overwrite_c=1, lower=1)
        make_laplacian(hessian, n_outputs)
        return hessian

    def _bent(self, pairs, part, most):
        """Where rows of a part begin and end, so many at most, and the pairs that meet in hinges there."""
        for start in range(part.start, part.stop, most):
            stop = min(start + most, part.stop)
            if self.apart or self.shares_slack:
                for pair in pairs:
                    yield start, stop, pair
                continue
            for y, (first, end) in enumerate(pairwise(self.edges)):
                here = max(start, first), min(stop, end)
                if here[0] < here[1]:
                    for pair in pairs:
                        if y in pair:
                            yield *here, pair
