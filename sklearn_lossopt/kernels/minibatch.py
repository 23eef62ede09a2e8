"""One pass of a minibatch optimizer over the rows."""

from typing import NamedTuple

import numpy as np

from ._jit import kernel
from .losses import differentiate
from .rows import ROWS_PER_BLOCK, add_gradient, by_storage, gather, scores
from .steps import StepSettings, update_lines


class Geometry(NamedTuple):
    """The features' coordinates while training.

    shift : (n_features,), or empty for none; subtracted from dense rows.
    scale : (n_features,) inverse scale of each feature.
    catch_up : (n_features,) for CSR, else empty; steps of a pass over steps that touch the feature.
    """

    shift: np.ndarray
    scale: np.ndarray
    catch_up: np.ndarray


class State(NamedTuple):
    """What a pass changes. Matrices have the storage's layout; `intercept` belongs to shifted rows."""

    coef: np.ndarray
    intercept: np.ndarray
    first: np.ndarray
    second: np.ndarray
    first_intercept: np.ndarray
    second_intercept: np.ndarray
    gradient: np.ndarray
    lines: np.ndarray  # dense: all outputs; CSR: room for the list of touched features
    slot: np.ndarray  # CSR: where each feature's gradient is, -1 if untouched
    block: tuple | None  # dense: `rows.new_block`


def _lines_dense(rows, state, n_touched):
    return state.lines


def _lines_csr(rows, state, n_touched):
    for t in range(n_touched):
        state.slot[state.lines[t]] = -1
    return state.lines[:n_touched]


lines_to_update = by_storage(_lines_dense, _lines_csr)


@kernel
def minibatch_pass(
    rows, order, n_batches, target, weight, loss, fit_intercept, geometry, state, settings, n_steps
):
    """Run one step for each of `n_batches` parts of `order`, which differ by at most one row.

    `n_steps` were run before. Weights have mean 1 over the fit; a batch is divided by its number of
    rows, never by its own sum of weights, which would erase class weights in small batches.
    """
    number = state.coef.dtype.type
    n_rows = order.size
    n_outputs = state.intercept.size
    slopes = np.empty((ROWS_PER_BLOCK, n_outputs), state.coef.dtype)
    slope_sum = np.zeros(n_outputs, state.coef.dtype)
    only_line = np.zeros(1, state.lines.dtype)
    ones = np.ones(n_outputs, state.coef.dtype)
    touched = (state.lines, state.slot)
    free = StepSettings(
        settings.optimizer,
        settings.rate,
        number(0),
        number(0),
        settings.momentum,
        settings.decay,
        settings.epsilon,
    )
    for batch in range(n_batches):
        start = n_rows * batch // n_batches
        stop = n_rows * (batch + 1) // n_batches
        n_touched = 0
        for begin in range(start, stop, ROWS_PER_BLOCK):
            part = order[begin : min(begin + ROWS_PER_BLOCK, stop)]
            near, at = gather(rows, part, geometry.shift, state.block)
            scores(near, at, state.coef, state.intercept, slopes)
            for i in range(part.size):
                row = part[i]
                differentiate(loss, slopes[i], target[row])
                share = weight[row] / number(stop - start)
                for k in range(n_outputs):
                    slopes[i, k] *= share
                    slope_sum[k] += slopes[i, k]
            n_touched = add_gradient(near, at, slopes, state.gradient, touched, n_touched)
        step = n_steps + batch + 1
        update_lines(
            rows,
            lines_to_update(rows, state, n_touched),
            state.coef,
            state.gradient,
            state.first,
            state.second,
            geometry.scale,
            geometry.catch_up,
            step,
            settings,
        )
        if fit_intercept:
            update_lines(
                rows,
                only_line,
                state.intercept.reshape(1, n_outputs),
                slope_sum.reshape(1, n_outputs),
                state.first_intercept.reshape(1, n_outputs),
                state.second_intercept.reshape(1, n_outputs),
                ones,
                ones,
                step,
                free,
            )
        else:
            slope_sum[:] = number(0)
