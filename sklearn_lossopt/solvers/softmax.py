"""Cross-entropy for Newton's method: scores along a direction, and a system of all outputs."""

import numpy as np

from ..kernels.hessians import add_softmax_derivatives, softmax_value
from . import truncated
from .second_order import solver_of_all
from .standardized import standardized_columns

ROWS = 256  # at a time, in sums of a whole Hessian


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
        pays = truncated.pays(len(state.index), state.parameters.size)
        self.system = truncated.SoftmaxSystem(problem, state) if pays else WholeSystem(problem, state)
        # By output, as the systems have them.
        self.scores = np.zeros((problem.n_outputs, len(state.index)))
        if state.parameters.any():
            self.scores = self.system.scores(state.parameters)
        state.value, self.p = self._value(self.scores, state.parameters)

    def derivatives(self):
        """The gradient, and a function that solves with the Hessian."""
        return self.system.derivatives(self.p)

    def aim(self, direction, is_last):
        """Look in a direction; `is_last` if no step is likely to follow that one."""
        self.direction, self.along = direction, self.system.scores(direction)

    def at(self, step):
        """The objective at a point along the direction."""
        self.ahead = self.state.parameters + step * self.direction, self.scores + step * self.along
        value, self.p_ahead = self._value(self.ahead[1], self.ahead[0])
        return value

    def move(self):
        """Go to the point that was looked at last."""
        (self.state.parameters, self.scores), self.p = self.ahead, self.p_ahead

    def dual(self):
        """The dual variables that belong to the scores: logarithms of probabilities."""
        scores = self.scores.T
        scores = scores - scores.max(axis=1, keepdims=True)
        return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))

    def _value(self, scores, parameters):
        """The objective, and the probabilities."""
        p = np.empty_like(scores)
        loss = softmax_value(scores, self.state.target, self.state.weight, p)
        return loss + self.state.penalty(parameters), p


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
