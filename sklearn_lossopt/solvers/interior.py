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

from ..certificate import certify
from ..kernels import losses
from ..kernels.interior import add_pair, follow_apart, follow_shared, stay_apart, stay_shared, weigh_columns
from ..kernels.rows import LINE, aligned_zeros
from .certified import CertifiedSolver
from .second_order import (
    SecondOrder,
    describe,
    factor_of,
    one_thread,
    signs,
    solve_with,
    solver_of_all,
)
from .standardized import StandardizedRows

TO_THE_EDGE = 0.995  # share of the way to the domain's edge that a step takes at most
SMALL = 1e-15  # complementarity at which rounding ends all progress
HOPE = 2.0  # of the wanted gap: what slacks and multipliers leave of it, when the proof is worth its time
NEAR = 1e-2  # the same of the objective, where no gap is wanted
ROOM = 2**15  # numbers of weighed rows that are in the cache
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
    u and v sum to 1. A squared hinge is ``xi^2``: there is no v, and u (or their sum) is 2 xi.
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
    """Run the method on a problem; a pass is a predictor and corrector step.

    Parameters
    ----------
    tol : float or None, default=None
        Relative gap that the caller waits for: sets when certificates are worth their time.
    """

    def __init__(self, tol=None):
        self.tol = tol

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
        mu = slacks.mu
        if not mu >= SMALL:
            state.is_stuck = True
            return
        with one_thread:
            slopes = slacks.stay(0.0)
            solve = slacks.solver()
            rate, first, second = slacks.follow(0.0, -solve(slacks.gradient(slopes)))
            length = min(1.0, 1 / rate) if rate > 0 else 1.0
            ahead = max(mu + length * (first + length * second), 0.0)
            goal = mu * min(1.0, (ahead / mu) ** 3)
            direction = -solve(slacks.gradient(slacks.stay(goal)))
            rate, _, _ = slacks.follow(goal, direction)
            length = min(1.0, TO_THE_EDGE / rate) if rate > 0 else 1.0
            if not length > 1e-10 or not np.isfinite(direction).all():
                state.is_stuck = True
                return
            slacks.move(length)
            state.parameters = state.parameters + length * direction

    def is_due(self, state):
        """What slacks and multipliers leave is the gap, once they fit the coefficients."""
        left, objective = state.objective.estimate()
        return state.is_stuck or left <= (HOPE * self.tol if self.tol else NEAR) * objective

    def certify(self, problem, state, model):
        """The model's objective and duality gap, from the multipliers."""
        state.dual[state.index] = state.objective.point.u.T
        return state.bound.improve(certify(problem, model, state.dual))


class Slacks:
    """Slacks and multipliers of a run at `state.parameters`, and the systems of its steps.

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
        self.rows = StandardizedRows(problem, state)
        n_outputs, n_rows = problem.n_outputs, len(state.index)
        self.shape = shape = n_outputs, n_rows
        count = np.bincount(state.target, minlength=max(n_outputs, 2))
        self.edges = np.append(0, np.cumsum(count))
        # By rows: products are to be equal where the multipliers are weight times u.
        self.inverse = 1 / (state.weight * len(problem.index))
        repeated = np.append(False, state.index[1:] == state.index[:-1])
        state.weight[repeated] = 0.0
        self.one_each = self.loss % losses.SQUARED == losses.HINGE
        outputs = range(n_outputs)
        self.pairs = [(k, k) for k in outputs] if self.one_each else list(combinations(outputs, 2))
        n_hinges = n_outputs if self.one_each else n_outputs - 1
        n_slacks = 0 if self.loss >= losses.SQUARED else 1 if self.shares_slack else n_hinges
        self.n_products = n_hinges + n_slacks  # a row
        self.along = aligned_zeros(shape, np.float64)
        self.slopes = aligned_zeros(shape, np.float64)
        self.curvature = aligned_zeros((n_outputs + 1, n_rows), np.float64)
        self.point = self._start()
        self.step = Point.zeros(shape, self.loss)
        self.products = aligned_zeros(shape, np.float64), aligned_zeros(self.point.v.shape, np.float64)
        self.mu = self._mean_product()

    def _start(self):
        """A point well inside."""
        state, point = self.state, Point.zeros(self.shape, self.loss)
        n_outputs = self.shape[0]
        scores = self.rows.scores(state.parameters)
        if self.one_each:
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
        point.v[:] = share if self.shares_slack else np.where(used, share, 0) if point.v.size else 0
        point.room[:] = np.where(used, point.xi - z, 0)
        return point

    def _where(self, mu):
        return self.loss, self.edges, self.state.weight, self.inverse, mu, self.point, self.products

    def stay(self, mu):
        """Weighted slopes by the scores, were these to stay and all products to become the goal."""
        stay = stay_shared if self.shares_slack else stay_apart
        stay(*self._where(mu), self.slopes, self.curvature)
        return self.slopes

    def follow(self, mu, direction):
        """The step that goes with a change of the parameters.

        Returns
        -------
        rate : float
            The largest share of a slack or multiplier that is lost.
        first, second : float
            What the mean product changes by: along the step, and by its square.
        """
        self.along[:] = self.rows.scores(direction)
        follow = follow_shared if self.shares_slack else follow_apart
        rate, *changes = follow(*self._where(mu), self.along, self.step)
        return rate, *(change / self.n_products for change in changes)

    def move(self, length):
        """Take the step, or a part of it."""
        for here, change in zip(self.point, self.step, strict=True):
            change *= length
            here += change
        self.mu = self._mean_product()

    def _sum(self, *factors):
        return float(np.einsum("n,kn,kn->", self.state.weight, *factors))

    def _products(self):
        u, v, xi, room = self.point
        return self._sum(u, room) + (self._sum(v, xi) if v.size else 0.0)

    def _mean_product(self):
        return self._products() / self.n_products

    def estimate(self):
        """What the objective, with its slacks, is above its dual, and the objective."""
        xi = self.point.xi
        loss = self._sum(xi, xi) if self.loss >= losses.SQUARED else float((xi @ self.state.weight).sum())
        return self.mu * self.n_products, loss + self.state.penalty(self.state.parameters)

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
        state, a = self.state, self.curvature
        n_outputs, n_columns = state.parameters.shape
        b = state.weight * a[-1] if self.shares_slack else state.weight
        sums = {pair: np.zeros((n_columns, n_columns), order="F") for pair in self.pairs}
        most = max(LANES, ROOM // n_columns)
        room, root = np.empty(n_columns * most), np.empty(most)
        for part, block in self.rows.dense_blocks():
            for start, stop, (k, m) in self._bent(part, most):
                n = stop - start
                weighed = room[: n_columns * n].reshape(n_columns, n)
                weigh_columns(block.columns, start - part.start, a, b, k, m, start, (weighed, root[:n]))
                dsyrk(1.0, weighed.T, trans=1, beta=1.0, c=sums[k, m], overwrite_c=1, lower=1)
        if self.one_each:
            extra = state.ridge + state.unused
            for block in sums.values():
                block[np.diag_indices(n_columns)] += extra
            factors = [factor_of(block) for block in sums.values()]
            return lambda g: np.stack([solve_with(f, line) for f, line in zip(factors, g, strict=True)])
        hessian = np.zeros((n_outputs * n_columns,) * 2, order="F")
        for (k, m), block in sums.items():
            add_pair(hessian, block, k, m)
        return solver_of_all(state, hessian)

    def _bent(self, part, most):
        """Where rows of a part begin and end, so many at most, and two outputs that meet in hinges there."""
        for start in range(part.start, part.stop, most):
            stop = min(start + most, part.stop)
            if self.one_each or self.shares_slack:
                for pair in self.pairs:
                    yield start, stop, pair
                continue
            for y, (first, end) in enumerate(pairwise(self.edges)):
                here = max(start, first), min(stop, end)
                if here[0] < here[1]:
                    for pair in self.pairs:
                        if y in pair:
                            yield *here, pair
