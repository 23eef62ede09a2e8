"""Cross-entropy for Newton's method: scores along a direction, and a system of all outputs."""

import numpy as np

from ..kernels.hessians import softmax_value, visit_softmax
from . import truncated
from .second_order import factor_of, solve_with
from .standardized import standardized_columns

ROWS = 256  # at a time, in sums of a whole Hessian


def objective_of(problem, state):
    """What Newton's method needs of cross-entropy, by how much there is to sum up."""
    pays = truncated.pays(len(state.index), state.parameters.size)
    return (TruncatedObjective if pays else WholeObjective)(problem, state)


class SoftmaxObjective:
    """The objective at `state.parameters`, where its value is `state.value`, and along a direction.

    Parameters
    ----------
    problem : Problem
    state : SecondOrderRun
        Its rows, weights, scale, ridge and parameters.
    """

    is_exact = True  # what it solves with, as far as steps need it

    def __init__(self, problem, state):
        self.problem, self.state = problem, state

    def dual(self):
        """The dual variables that belong to the scores: logarithms of probabilities."""
        scores = self.scores.T
        scores = scores - scores.max(axis=1, keepdims=True)
        return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))


class TruncatedObjective(SoftmaxObjective):
    """With conjugate gradients: `truncated.SoftmaxSystem`."""

    def __init__(self, problem, state):
        super().__init__(problem, state)
        self.system = truncated.SoftmaxSystem(problem, state)
        # By output, as the system has them.
        self.scores = np.zeros((problem.n_outputs, len(state.index)))
        if state.parameters.any():
            self.scores = self.system.rows.scores(state.parameters)
        state.value, self.p = self._value(self.scores, state.parameters)

    def derivatives(self):
        """The gradient, and a function that solves with the Hessian."""
        return self.system.derivatives(self.p)

    def aim(self, direction, is_last):
        """Look in a direction; `is_last` if no step is likely to follow that one."""
        self.direction, self.along = direction, self.system.rows.scores(direction)

    def at(self, step):
        """The objective at a point along the direction."""
        self.ahead = self.state.parameters + step * self.direction, self.scores + step * self.along
        value, self.p_ahead = self._value(self.ahead[1], self.ahead[0])
        return value

    def move(self):
        """Go to the point that was looked at last."""
        (self.state.parameters, self.scores), self.p = self.ahead, self.p_ahead

    def _value(self, scores, parameters):
        """The objective, and the probabilities."""
        p = np.empty_like(scores)
        loss = softmax_value(scores, self.state.target, self.state.weight, p)
        return loss + self.state.penalty(parameters), p


class WholeObjective(SoftmaxObjective):
    """With the whole Hessian, where there is so little to sum up that mere calls count: one is a step."""

    def __init__(self, problem, state):
        super().__init__(problem, state)
        self.columns = standardized_columns(problem, state, slice(None))
        self.weights = state.weight, np.sqrt(state.weight)
        size, shape = state.parameters.size, (problem.n_outputs, len(state.index))
        self.room = np.empty((size + len(self.columns), min(shape[1], ROWS)))
        self.p = np.empty(shape)
        # Gradient and Hessian here, and at the point that was looked at last.
        self.here, self.ahead = (
            (np.empty(state.parameters.shape), np.empty((size, size), order="F")) for _ in range(2)
        )
        state.value = self._visit(state.parameters, self.here)

    @property
    def scores(self):
        """Scores of all rows, (n_outputs, n_rows)."""
        return self.state.parameters @ self.columns

    def derivatives(self):
        """The gradient, and a function that solves with the Hessian."""
        gradient, hessian = self.here
        factor = factor_of(hessian)
        return gradient, lambda g: solve_with(factor, g.ravel()).reshape(g.shape)

    def aim(self, direction, is_last):
        """Look in a direction; `is_last` if no step is likely to follow that one."""
        self.direction = direction

    def at(self, step):
        """The objective at a point along the direction."""
        self.parameters = self.state.parameters + step * self.direction
        return self._visit(self.parameters, self.ahead)

    def move(self):
        """Go to the point that was looked at last."""
        self.state.parameters = self.parameters
        self.here, self.ahead = self.ahead, self.here

    def _visit(self, parameters, out):
        """The objective; its derivatives go to `out`."""
        state = self.state
        return visit_softmax(
            self.columns,
            state.target,
            self.weights,
            parameters,
            state.ridge,
            state.unused,
            self.room,
            self.p,
            *out,
        )
