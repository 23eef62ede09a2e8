"""A primal-dual interior point method for the hinges, which have kinks, and L2.

The hinges' slacks xi and multipliers u are variables of their own; every step solves for all together
by way of a matrix of the size of Newton's (Ferris and Munson 2002, for support vector machines). Steps
are Mehrotra's (1992): a predictor, then a corrector that centers. A dozen or two are enough whatever the
scale of the features and however weak the penalty.
"""

from dataclasses import dataclass

import numpy as np

from ..certificate import certify
from ..kernels import losses
from .certified import CertifiedSolver
from .second_order import SecondOrder, add_outer, describe, one_thread, signs, solver_of_all

TO_THE_EDGE = 0.995  # share of the way to the domain's edge that a step takes at most
SMALL = 1e-15  # complementarity at which rounding ends all progress


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
        return InteriorSteps()


def takes(problem):
    """Whether the method is made for a problem."""
    return problem.penalty.l1 == 0 and problem.loss not in (losses.SOFTMAX, losses.LOGISTIC)


@dataclass
class Point:
    """Slacks and multipliers, and likewise a step of them.

    A hinge ``max(0, z)`` is the least xi with ``xi >= 0`` and ``xi - z >= 0``; u in [0, 1] is the multiplier
    of the second and v = 1 - u that of the first. Crammer and Singer's hinges share one xi a row, and their
    u and v sum to 1. A squared hinge is ``xi^2``: there is no v, it stays 0, and u (or their sum) is 2 xi.
    """

    u: np.ndarray
    v: np.ndarray
    xi: np.ndarray
    room: np.ndarray  # xi - z


class InteriorSteps(SecondOrder):
    """Run the method on a problem; a pass is a predictor and corrector step."""

    def start(self, problem, model, rng, previous=None):
        """Prepare steps from `model`."""
        if not takes(problem):
            raise ValueError(
                "solver='interior_point' needs a hinge loss and l1_ratio=0. It got "
                f"{describe(problem)}. Use solver='sdca', which takes every loss and penalty."
            )
        state = super().start(problem, model, rng, previous)
        state.is_settled = True
        n_outputs = problem.n_outputs
        if problem.is_sparse:
            state.matrix = problem.matrix[state.index].astype(np.float64)
        used = np.ones((len(state.index), n_outputs), bool)
        if problem.loss % losses.SQUARED != losses.HINGE:
            used[np.arange(len(state.target)), state.target] = False
        state.used = used
        with one_thread:
            state.scores = self.scores(problem, state, state.parameters)
        z = self._excess(problem, state, state.scores) + used
        if _shares_slack(problem):
            xi = np.maximum(np.where(used, z, -np.inf).max(axis=1, keepdims=True), 0) + 1
            u = np.where(used, 1 / n_outputs, 0.0)
            v = np.full((len(u), 1), 1 / n_outputs)
        else:
            xi = np.maximum(z, 0) + 1
            u = np.where(used, 0.5, 0.0)
            v = np.where(used, 0.5, 0.0)
        if _is_squared(problem):
            v = np.zeros_like(v)
        state.point = Point(
            u, v, np.broadcast_to(xi, z.shape if v.shape == u.shape else xi.shape).copy(), xi - z
        )
        return state

    def run_pass(self, problem, state, factor):
        """A step; `factor` is for solvers with a learning rate."""
        here, used = state.point, state.used
        state.n_steps += 1
        n_products = int(used.sum()) + int(np.count_nonzero(here.v))
        # The multipliers of the problem itself are weight times u: theirs are the products to be equal.
        relative = (state.weight * len(state.weight))[:, None]

        def complementarity(point):
            products = (relative * point.u * point.room).sum() + (relative * point.v * point.xi).sum()
            return float(products) / n_products

        mu = complementarity(here)
        if mu < SMALL:
            state.is_stuck = True
            return
        with one_thread:
            solve = self._hessian(problem, state)
            predictor, _ = self._step(problem, state, solve, 0.0, 0.0)
            length = _length(here, predictor, used, _is_squared(problem))
            ahead = complementarity(_moved(here, predictor, length))
            goal = mu * min(1.0, (ahead / mu) ** 3) / relative
            step, direction = self._step(
                problem,
                state,
                solve,
                goal - predictor.u * predictor.room,
                goal - predictor.v * predictor.xi,
            )
        length = min(1.0, TO_THE_EDGE * _length(here, step, used, _is_squared(problem)))
        if not length > 1e-10:
            state.is_stuck = True
            return
        state.point = _moved(here, step, length)
        state.parameters = state.parameters + length * direction
        state.scores = state.scores + length * state.along

    def certify(self, problem, state, model):
        """The model's objective and duality gap, from the multipliers."""
        state.dual[state.index] = state.point.u
        return state.bound.improve(certify(problem, model, state.dual))

    def _step(self, problem, state, solve, goal, own_goal):
        """The step that makes all u * room the goal and all v * xi their own goal, to first order."""
        here = state.point
        still = self._follow(problem, state, np.zeros_like(here.u), goal, own_goal)
        slopes = self._slopes(problem, state, here.u + still.u)
        direction = -solve(self.gradient(problem, state, slopes))
        state.along = self.scores(problem, state, direction)
        excess = self._excess(problem, state, state.along)
        return self._follow(problem, state, excess, goal, own_goal), direction

    def _follow(self, problem, state, dz, goal, own_goal):
        """The change of slacks and multipliers that goes with a change of z."""
        here, used = state.point, state.used
        with np.errstate(divide="ignore", invalid="ignore"):
            if _shares_slack(problem):
                pull, total = self._shared_pull(problem, state)
                free = np.where(used, goal / here.room - here.u, 0.0)
                if _is_squared(problem):
                    lack = here.u.sum(axis=1, keepdims=True) - 2 * here.xi
                else:
                    lack = own_goal / here.xi - here.v
                dxi = (
                    free.sum(axis=1, keepdims=True) + lack + (pull * dz).sum(axis=1, keepdims=True)
                ) / total
                du = free - pull * (dxi - dz)
                dv = here.v if _is_squared(problem) else -du.sum(axis=1, keepdims=True)
                return Point(du, dv, dxi, np.where(used, dxi - dz, 0.0))
            curvature = self._curvature(problem, state)
            if _is_squared(problem):
                target = goal / here.u - here.room - here.u / 2 + here.xi
                du = np.where(used, curvature * (dz + target), 0.0)
                dxi = np.where(used, (here.u + du) / 2 - here.xi, 0.0)
                return Point(du, here.v, dxi, np.where(used, dxi - dz, 0.0))
            target = goal / here.u - own_goal / here.v + here.xi - here.room
            du = np.where(used, curvature * (dz + target), 0.0)
            dxi = np.where(used, (own_goal + here.xi * du) / here.v - here.xi, 0.0)
            return Point(du, -du, dxi, np.where(used, dxi - dz, 0.0))

    def _shared_pull(self, problem, state):
        """Derivatives of u by z at a fixed slack, and of what the slack's own equation lacks by the slack."""
        here = state.point
        with np.errstate(divide="ignore", invalid="ignore"):
            pull = np.where(state.used, here.u / here.room, 0.0)
        own = 2.0 if _is_squared(problem) else here.v / here.xi
        return pull, pull.sum(axis=1, keepdims=True) + own

    def _curvature(self, problem, state):
        """Derivative of u by z where each hinge has its own slack."""
        here = state.point
        with np.errstate(divide="ignore", invalid="ignore"):
            own = 0.5 if _is_squared(problem) else here.xi / here.v
            return np.where(state.used, 1 / (here.room / here.u + own), 0.0)

    def _excess(self, problem, state, scores):
        """What scores add to the hinges' arguments z."""
        if problem.loss % losses.SQUARED == losses.HINGE:
            return -signs(state.target, problem.n_outputs) * scores
        return scores - scores[np.arange(len(scores)), state.target][:, None]

    def _slopes(self, problem, state, u):
        """Slopes by the scores of slopes by z."""
        if problem.loss % losses.SQUARED == losses.HINGE:
            return -signs(state.target, problem.n_outputs) * u
        slopes = u.copy()
        rows = np.arange(len(u))
        slopes[rows, state.target] = 0
        slopes[rows, state.target] = -slopes.sum(axis=1)
        return slopes

    def _hessian(self, problem, state):
        """A function that solves with the matrix of the reduced system."""
        n_outputs, n_columns = state.parameters.shape
        if problem.loss % losses.SQUARED == losses.HINGE:
            curvature = state.weight[:, None] * self._curvature(problem, state)
            blocks = np.zeros((n_outputs, n_columns, n_columns))
            for part, rows in self.blocks(problem, state):
                for k in range(n_outputs):
                    blocks[k] += (rows * curvature[part, k][:, None]).T @ rows
            return self.solver_of_outputs(problem, state, blocks)
        shares_slack = _shares_slack(problem)
        if shares_slack:
            curvature, total = self._shared_pull(problem, state)
        else:
            curvature = self._curvature(problem, state)
        hessian = np.zeros((n_outputs * n_columns,) * 2, order="F")
        for part, rows in self.blocks(problem, state, by_class=True):
            own = state.target[part.start]
            weight = state.weight[part]
            at = slice(own * n_columns, (own + 1) * n_columns)
            for k in range(n_outputs):
                if k == own:
                    continue
                block = (rows * (weight * curvature[part, k])[:, None]).T @ rows
                there = slice(k * n_columns, (k + 1) * n_columns)
                hessian[there, there] += block
                hessian[at, at] += block
                hessian[(there, at) if k > own else (at, there)] -= block
            if shares_slack:
                slopes = curvature[part].copy()
                slopes[:, own] = -slopes.sum(axis=1)
                slopes *= np.sqrt(weight[:, None] / total[part])
                spread = slopes[:, :, None] * rows[:, None, :]
                hessian = add_outer(hessian, spread.reshape(len(rows), -1), -1.0)
        return solver_of_all(state, hessian)


def _is_squared(problem):
    return problem.loss >= losses.SQUARED


def _shares_slack(problem):
    return problem.loss % losses.SQUARED == losses.CRAMMER_SINGER


def _moved(point, step, length):
    return Point(
        point.u + length * step.u,
        point.v + length * step.v,
        point.xi + length * step.xi,
        point.room + length * step.room,
    )


def _length(point, step, used, squared):
    """The longest step, at most 1 over the share to the edge, that keeps all that must be positive so."""
    longest = 1 / TO_THE_EDGE
    positive = [(point.u, step.u), (point.room, step.room)]
    if not squared:
        positive += [(point.v, step.v), (point.xi, step.xi)]
    for value, change in positive:
        falls = change < 0
        if value.shape == used.shape:
            falls &= used
        if falls.any():
            longest = min(longest, float((value[falls] / -change[falls]).min()))
    return longest
