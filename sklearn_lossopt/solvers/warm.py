"""Where dual ascent begins: at zero, at a model, or at an earlier fit's dual variables."""

import numpy as np

from ..kernels.dual import DualState, duals_of_model, placed_gradient, start_duals
from .kappa import Balance


class DualMemory:
    """Dual variables of an earlier fit, for a warm start."""

    def __init__(self, problem, dual, optimism=1.0, gradient=None, change=1.0):
        self.loss = problem.loss
        self.target = problem.target
        self.index = problem.index
        self.dual = dual
        self.optimism, self.change = optimism, change  # of guesses and of a balanced kappa, as a run has them
        self.gradient = gradient  # `gradient_of_dual`'s answer, for a problem with the very same rows

    @classmethod
    def of(cls, problem, state, *, same_rows=False):
        """Those of a run that has any: else None. With `same_rows` they serve the same rows alone."""
        state = getattr(state, "run", state)  # of a relay
        arrays = getattr(state, "arrays", None)
        if not isinstance(arrays, DualState):
            return None
        gradient = gradient_of_run(problem, state) if same_rows else None
        # Other rules only lower kappa: from fit to fit it would go to 0.
        change = state.change if isinstance(state.kappa_rule, Balance) else 1.0
        return cls(problem, arrays.dual, state.optimism, gradient, change)

    def give(self, problem, dual):
        """Put those of rows that are still there, by number and class, into `dual`; name the others."""
        if self.loss != problem.loss or self.dual.shape[1] != dual.shape[1]:
            return problem.index
        if self.index is problem.index and self.target is problem.target:
            dual[...] = self.dual
            return problem.index[:0]
        known = np.zeros(len(dual), bool)
        known[self.index[self.index < len(dual)]] = True
        n_both = min(len(self.target), len(dual))
        known[:n_both] &= self.target[:n_both] == problem.target[:n_both]
        is_same = known[problem.index]
        same = problem.index[is_same]
        dual[same] = self.dual[same]
        return problem.index[~is_same]


def begin(problem, model, previous):
    """Dual variables for a run from `model` and, unless it is None, an earlier run's `DualMemory`.

    Returns
    -------
    dual : ndarray of shape (n_rows, n_outputs)
    has_duals : bool
        Whether they are those of more than zero coefficients.
    gradient : tuple or None
        `gradient_of_dual`'s answer, where it is known.
    """
    dual = np.zeros((problem.target.size, problem.n_outputs), problem.dtype)
    without = problem.index if previous is None else previous.give(problem, dual)
    if not len(without):
        return dual, True, previous.gradient
    has_duals = not model.is_zero()
    if has_duals:
        duals_of_model(problem.rows, without, problem.target, problem.loss, *model, dual)
    else:
        start_duals(problem.loss, without, problem.target, dual)
    return dual, has_duals or len(without) < len(problem.index), None


def start_at(problem, model):
    """Dual variables that belong to a model."""
    dual = np.zeros((problem.target.size, problem.n_outputs), problem.dtype)
    duals_of_model(problem.rows, problem.index, problem.target, problem.loss, *model, dual)
    return dual


def gradient_of_run(problem, state):
    """`gradient_of_dual`'s answer, from the sums that passes keep: no visit of the rows."""
    center, coordinates = state.center, state.coordinates
    features = slice(problem.n_features)  # without what pads them
    shift, scale = (by_feature[features] for by_feature in (coordinates.shift, coordinates.scale))
    mean_dual = np.zeros(problem.n_outputs)
    if problem.fit_intercept:
        moved = (state.arrays.intercept - center.intercept).astype(np.float64)
        mean_dual = moved / float(coordinates.intercept_scale)
    by_column = not problem.is_sparse
    n_features, n_outputs = problem.n_features, problem.n_outputs
    gradient = np.empty((n_outputs, n_features) if by_column else (n_features, n_outputs))
    sums, pull = state.arrays.accumulated, center.pull
    placed_gradient(sums, center.coef, mean_dual, shift, scale, pull, by_column, gradient)
    return gradient, mean_dual
