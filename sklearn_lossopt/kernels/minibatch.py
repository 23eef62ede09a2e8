"""One pass of a minibatch optimizer over the rows."""

from typing import NamedTuple

import numpy as np

from ._jit import kernel
from .losses import differentiate
from .rows import ROWS_PER_BLOCK, add_gradient, by_storage, gather, scores
from .steps import StepSettings, step_line


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
    features: np.ndarray  # CSR: room for the list of touched features
    is_touched: np.ndarray
    block: tuple | None  # dense: `rows.new_block`


def _update_dense(rows, state, geometry, n_touched, corrections, settings):
    one = state.coef.dtype.type(1)
    for k in range(state.coef.shape[0]):
        step_line(
            state.coef[k],
            state.gradient[k],
            state.first[k],
            state.second[k],
            geometry.scale,
            one,
            corrections,
            settings,
        )


def _update_csr(rows, state, geometry, n_touched, corrections, settings):
    for t in range(n_touched):
        j = state.features[t]
        state.is_touched[j] = False
        step_line(
            state.coef[j],
            state.gradient[j],
            state.first[j],
            state.second[j],
            geometry.scale[j],
            geometry.catch_up[j],
            corrections,
            settings,
        )


update = by_storage(_update_dense, _update_csr)


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
    touched = (state.features, state.is_touched)
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
        corrections = (
            number(1 / (1 - float(settings.momentum) ** step)),
            number(1 / (1 - float(settings.decay) ** step)),
        )
        update(rows, state, geometry, n_touched, corrections, settings)
        if fit_intercept:
            step_line(
                state.intercept,
                slope_sum,
                state.first_intercept,
                state.second_intercept,
                number(1),
                number(1),
                corrections,
                free,
            )
        else:
            slope_sum[:] = number(0)
