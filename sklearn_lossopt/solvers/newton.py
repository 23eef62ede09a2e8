"""Newton's method with line search, for smooth losses and L2.

Systems are solved with Cholesky factors of the exact Hessian or, for softmax of more than a few parameters,
by conjugate gradients without it. It goes on to the limit of rounding: so its result hardly depends on how
rows are ordered, repeated or weighted.
"""

import numpy as np
from scipy.special import expit

from ..certificate import certify
from ..kernels import losses
from ..kernels.hessians import add_gram, add_softmax_derivatives, softmax_value
from . import truncated
from .certified import CertifiedSolver
from .second_order import SecondOrder, describe, one_thread, signs, solver_of_all, standardized_columns

SMALL = 1e-13  # a Newton decrement below this share of the objective is rounding
NEAR = 1e-2  # a decrement, relative, from which on steps converge quadratically
HOPE = 4.0  # of the wanted gap: steps of a larger decrement hardly end that near
HALVINGS = 40
LITTLE = 500_000  # rows times parameters up to which steps go on to rounding, not just to the wanted gap
# Logistic loss's first Hessians, not gradients, are made of every n-th row, of at least so many a column.
FAR, SAMPLE, MOST_APART = 0.3, 16, 8
ROWS = 256  # at a time, in sums of a whole Hessian of softmax
SQUARED_OVR = losses.HINGE + losses.SQUARED


class Newton(CertifiedSolver):
    """Newton's method, for smooth losses with an L2 penalty and few parameters.

    Softmax and logistic loss, and the squared hinge one against the rest. The time of a pass grows with
    the square of the number of features; of softmax with the number of parameters, but for a factor that
    tells how nearly dependent they are.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_lossopt import SoftmaxClassifier
    >>> from sklearn_lossopt.solvers import Newton
    >>> X, y = load_iris(return_X_y=True)
    >>> model = SoftmaxClassifier(solver=Newton()).fit(X, y)
    >>> bool(model.dual_gap_ <= 1e-4 * model.loss_curve_[-1])
    True
    """

    name = "newton"

    def runner(self, tol, shuffle, n_jobs=1):
        return NewtonSteps(tol)


class WholeSystem:
    """In place of `truncated.SoftmaxSystem` where there is little to sum up: mere calls count."""

    def __init__(self, problem, state):
        self.state = state
        self.columns = standardized_columns(problem, state, slice(None))
        self.root = np.sqrt(state.weight)
        self.room = np.empty((state.parameters.size + len(self.columns), min(len(self.root), ROWS)))

    def scores(self, parameters):
        """Scores of all rows, (n_outputs, n_rows)."""
        return parameters @ self.columns

    def derivatives(self, p):
        """The gradient, and a function that solves with the Hessian; `p` are (n_outputs, n_rows)."""
        state = self.state
        gradient = state.ridge * state.parameters
        hessian = np.zeros((gradient.size, gradient.size), order="F")
        add_softmax_derivatives(self.columns, self.root, state.target, p, self.room, gradient, hessian)
        gradient[:, state.unused] = 0
        return gradient, solver_of_all(state, hessian)


def takes(problem):
    """Whether Newton's method is made for a problem."""
    return problem.penalty.l1 == 0 and problem.loss in (losses.SOFTMAX, losses.LOGISTIC, SQUARED_OVR)


class NewtonSteps(SecondOrder):
    """Run Newton's method on a problem; a pass is a step.

    Parameters
    ----------
    tol : float or None, default=None
        Relative gap that the caller waits for: sets when certificates are worth their time.
    """

    def __init__(self, tol=None):
        self.tol = tol

    def is_due(self, state):
        """Far from the optimum a step still brings more than a certificate could tell.

        And where steps go on to rounding whatever it tells, only the last of them needs one.
        """
        near = HOPE * self.tol if self.tol else NEAR
        return state.is_stuck or (state.is_settled and state.decrement <= near)

    def start(self, problem, model, rng, previous=None):
        """Prepare steps from `model`."""
        if not takes(problem):
            raise ValueError(
                "solver='newton' needs a smooth loss and no L1: softmax, logistic, or squared hinge with "
                f"multi_class='ovr', and l1_ratio=0. It got {describe(problem)}. Use solver='sdca', which "
                "takes every loss and penalty."
            )
        state = super().start(problem, model, rng, previous)
        state.is_settled = len(state.index) * state.parameters.size > LITTLE
        if problem.loss == losses.SOFTMAX:
            pays = truncated.pays(len(state.index), state.parameters.size)
            state.system = truncated.SoftmaxSystem(problem, state) if pays else WholeSystem(problem, state)
            state.scores = np.zeros((problem.n_outputs, len(state.index))).T
            if state.parameters.any():
                with one_thread:
                    state.scores = self.scores(problem, state, state.parameters)
            state.value, state.p = self._value(problem, state, state.scores, state.parameters)
        return state

    def scores(self, problem, state, parameters):
        """Scores of all rows, (n, n_outputs); of softmax they are laid out by output."""
        if state.system is None:
            return super().scores(problem, state, parameters)
        return state.system.scores(parameters).T

    def run_pass(self, problem, state, factor):
        """A Newton step; `factor` is for solvers with a learning rate."""
        with one_thread:
            gradient, solve = self._derivatives(problem, state)
            direction = -solve(gradient)
            decrement = -float(np.vdot(gradient, direction))
            along = self.scores(problem, state, direction)
        state.n_steps += 1
        if state.value is None:
            state.value, _ = self._value(problem, state, state.scores, state.parameters)
        before = state.value
        state.decrement = decrement / before if before else 0.0
        step = 1.0
        for _ in range(HALVINGS):
            scores = state.scores + step * along
            parameters = state.parameters + step * direction
            here, p = self._value(problem, state, scores, parameters)
            if here <= before - 1e-4 * step * decrement:
                break
            if decrement <= SMALL * before and here <= before * (1 + SMALL):
                break  # as low as rounding allows
            step /= 2
        else:
            state.is_stuck = state.is_settled = True
            return
        state.parameters, state.scores, state.value, state.p = parameters, scores, here, p
        state.is_stuck = decrement <= SMALL * before
        state.is_settled |= state.is_stuck

    def certify(self, problem, state, model):
        """The model's objective and duality gap, from the dual variables of the float64 iterate."""
        if problem.loss == losses.SOFTMAX:
            scores = state.scores - state.scores.max(axis=1, keepdims=True)
            dual = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
        else:
            margin = signs(state.target, problem.n_outputs) * state.scores
            dual = expit(-margin) if problem.loss == losses.LOGISTIC else 2 * np.maximum(1 - margin, 0)
        state.dual[state.index] = dual
        return state.bound.improve(certify(problem, model, state.dual))

    def _value(self, problem, state, scores, parameters):
        """The objective, from scores; with it softmax's probabilities, (n, n_outputs)."""
        p = None
        if problem.loss == losses.SOFTMAX:
            p = np.empty_like(scores)
            loss = softmax_value(scores.T, state.target, state.weight, p.T)
        else:
            margin = signs(state.target, problem.n_outputs) * scores
            if problem.loss == losses.LOGISTIC:
                loss = float(state.weight @ np.logaddexp(0, -margin)[:, 0])
            else:
                loss = float(state.weight @ np.square(np.maximum(1 - margin, 0)).sum(axis=1))
        coef = parameters[:, :-1] * state.scale
        return loss + problem.penalty.l2 / 2 * float(np.vdot(coef, coef)), p

    def _derivatives(self, problem, state):
        """Gradient, (n_outputs, n_features + 1), and a function that solves with the Hessian."""
        if state.system is not None:
            return state.system.derivatives(state.p.T)
        n_outputs, n_columns = state.parameters.shape
        blocks = np.zeros((n_outputs, n_columns, n_columns))
        apart = 1
        if state.decrement > FAR and problem.loss == losses.LOGISTIC:
            # Rows are in the order of their classes, so these are of every class its share.
            apart = min(max(1, len(state.index) // (SAMPLE * n_columns)), MOST_APART)
        if state.matrix is not None:
            state.scores = self.scores(problem, state, state.parameters)
            slopes, curvature = _slopes_of_margins(problem, state.scores, state.target)
            weight = np.zeros_like(state.weight)
            weight[::apart] = apart * state.weight[::apart]
            for k in range(n_outputs):
                self._add_sparse_block(problem, state, weight * curvature[:, k], blocks[k])
        else:
            slopes = np.empty_like(state.scores)
            for part, rows in self.blocks(problem, state):
                state.scores[part] = rows @ state.parameters.T
                slopes[part], curvature = _slopes_of_margins(problem, state.scores[part], state.target[part])
                some, weight = rows[::apart], apart * state.weight[part][::apart]
                for k in range(n_outputs):
                    blocks[k] += (some * (weight * curvature[::apart, k])[:, None]).T @ some
        return self.gradient(problem, state, slopes), self.solver_of_outputs(problem, state, blocks)

    def _add_sparse_block(self, problem, state, weight, block):
        """Add the Hessian of sparse rows: of standardized ones, from sums over rows as they are."""
        raw, mean = np.zeros((problem.n_features,) * 2), np.zeros(problem.n_features)
        add_gram(state.matrix.data, state.matrix.indices, state.matrix.indptr, weight, raw, mean)
        total = weight.sum()
        far = np.outer(state.shift, mean - total / 2 * state.shift)
        # `factor_of` reads the lower triangle only.
        block[:-1, :-1] += (raw - far - far.T) * np.outer(state.scale, state.scale)
        block[-1, :-1] += (mean - total * state.shift) * state.scale * problem.fit_intercept
        block[-1, -1] += total * problem.fit_intercept


def _slopes_of_margins(problem, scores, target):
    """First and second derivatives of a loss of margins, by the scores."""
    sign = signs(target, scores.shape[1])
    margin = sign * scores
    if problem.loss == losses.LOGISTIC:
        p = expit(-margin)
        return -sign * p, p * (1 - p)
    return -2 * sign * np.maximum(1 - margin, 0), 2.0 * (margin < 1)
