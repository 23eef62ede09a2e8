"""One pass of a minibatch optimizer over the rows."""

from typing import NamedTuple

import numpy as np

from ._jit import helper, pass_kernel
from .block_losses import LossRoom, differentiate_rows, differentiate_turned
from .evaluate import add_losses, add_losses_turned, put_labels
from .narrow import AHEAD, add_slopes, prefetch_features, score_lines, turn_rows
from .prefetch import prefetch
from .references import borrowed
from .rows import (
    add_to_slots,
    by_storage,
    gather,
    prefetch_place,
    prefetch_row,
    scores,
)
from .steps import Average, Parameters, StepSettings, add_to_average, update_lines
from .tiles import VECTOR_BYTES
from .vectors import lanes_of, load, spread, store, total

# A block here is a vector's width of rows. With more, what is asked for of the next ones, which are anywhere,
# comes in too long a burst, and wide rows leave the cache before their gradient is taken.
ROWS_AT_ONCE = max(8, VECTOR_BYTES // 4)


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
    """What a pass changes, and its scratch: made in Python, as that is quicker to compile.

    coef : Parameters in the storage's layout.
    intercept : Parameters of shape (1, n_outputs); belongs to shifted rows.
    lines : dense: all outputs; CSR: room for the list of touched features, and one more.
    slot : CSR: where each feature's gradient is, counted over the pass; -1 if it has not been touched.
    places : CSR: room for the slots of a row's features, some at a time.
    block : dense: `rows.new_block`; narrow: `narrow.new_lines`; CSR: None.
    slopes, block_scores : (ROWS_PER_BLOCK, n_outputs); narrow: slopes' sums, a vector a line, and none.
    loss_room : from `block_losses.new_room`.
    coef_before, intercept_before : the model that the pass begins with, whose loss it takes. CSR: none.
    average, intercept_average : of `coef` and `intercept`, empty if none is wanted.
    only_line, ones : the lines and scales of the intercepts.
    """

    coef: Parameters
    intercept: Parameters
    lines: np.ndarray
    slot: np.ndarray
    places: np.ndarray
    block: tuple | np.ndarray | None
    slopes: np.ndarray
    block_scores: np.ndarray
    loss_room: LossRoom
    coef_before: np.ndarray
    intercept_before: np.ndarray
    average: Average
    intercept_average: Average
    only_line: np.ndarray
    ones: np.ndarray


def _lines_dense(rows, state, n_touched):
    return state.lines


def _lines_csr(rows, state, n_touched):
    return state.lines[:n_touched]


lines_to_update = by_storage(_lines_dense, _lines_csr)


def _prefetch_ahead_dense(rows, ahead, later):
    """Ask for what `scores` and `add_to_slots` do not ask for of the next block's rows."""
    n_features = rows.values.shape[1]
    for i in ahead:
        prefetch(rows.values, (i + 1) * n_features - 1)  # the last cache line, where it begins in another


def _prefetch_ahead_csr(rows, ahead, later):
    for i in ahead:
        prefetch_row(rows, i)
    for i in later:
        prefetch_place(rows, i)


prefetch_ahead = by_storage(_prefetch_ahead_dense, _prefetch_ahead_csr)


def _look_back_dense(rows, near, at, part, state, target, weight, loss, with_accuracy, sums, ahead):
    """Add the losses of the rows by the model that the pass begins with; rows ahead come meanwhile."""
    block = state.block_scores
    scores(near, at, state.coef_before, state.intercept_before, block, rows, ahead)
    return add_losses(part, block, state.loss_room, target, weight, loss, with_accuracy, sums)


def _look_back_csr(rows, near, at, part, state, target, weight, loss, with_accuracy, sums, ahead):
    """Sparse rows are as quick in a pass of their own: see `Minibatch.can_look_back`."""
    return sums


look_back = by_storage(_look_back_dense, _look_back_csr)


@helper
def _weigh(part, weight, batch_size, slopes, slope_sum):
    """Multiply slopes by their rows' shares of the batch's mean, and add them up for the intercept."""
    n_outputs = slopes.shape[1]
    lanes = lanes_of(slopes)
    last = n_outputs - lanes
    for i in range(part.size):
        share = weight[part[i]] / batch_size
        place = i * n_outputs
        if last < 0:
            for k in range(n_outputs):
                slopes[i, k] *= share
                slope_sum[k] += slopes[i, k]
            continue
        # The last vector goes over some outputs again, as in `rows.add_entries`.
        end = load(slopes, place + last) * share
        sum_of_end = load(slope_sum, last) + end
        for k in range(0, last, lanes):
            here = load(slopes, place + k) * share
            store(slopes, place + k, here)
            store(slope_sum, k, load(slope_sum, k) + here)
        store(slopes, place + last, end)
        store(slope_sum, last, sum_of_end)


@helper
def _weigh_turned(n_rows, n_outputs, batch_size, turned, sums):
    """The same of slopes side by side; their sums, too, are a vector each, for `_add_up_narrow`."""
    width = turned.shape[1]
    lanes = lanes_of(turned)
    for i in range(0, n_rows, lanes):
        share = load(turned, (n_outputs + 3) * width + i) / batch_size
        for k in range(n_outputs):
            here = load(turned, k * width + i) * share
            store(turned, k * width + i, here)
            store(sums, k * lanes, load(sums, k * lanes) + here)


def _add_up(rows, slopes, slope_sum):
    """Sums of slopes are complete."""


def _add_up_narrow(rows, slopes, slope_sum):
    """Add up the vectors of sums of slopes, which become 0."""
    lanes = lanes_of(slopes)
    for k in range(slope_sum.size):
        slope_sum[k] += total(load(slopes, k * lanes))
        store(slopes, k * lanes, spread(0, slopes))


add_up = by_storage(_add_up, _add_up, _add_up_narrow)


class Visit(NamedTuple):
    """How a pass visits its rows."""

    target: np.ndarray
    weight: np.ndarray
    loss: int
    shift: np.ndarray
    looks_back: bool
    with_accuracy: bool


def _visit(rows, order, begin, end, visit, state, batch_size, sums, base, n_touched):
    """Add the gradient of rows order[begin:end]; and to `sums`, looking back, their losses."""
    target, weight, loss, shift, looks_back, with_accuracy = visit
    slopes, room = state.slopes, state.loss_room
    part = order[begin:end]
    ahead = order[end : end + part.size]
    # Dense rows come little by little, during all the products: more at a time would wait for memory.
    a = ahead.size // (4 if looks_back else 2)
    b = 2 * a if looks_back else a
    for i in ahead:
        prefetch(target, i)
        prefetch(weight, i)
    prefetch_ahead(rows, ahead, order[end + part.size : end + 2 * part.size])
    near, at = gather(rows, part, shift, state.block)
    scores(near, at, state.coef.values, state.intercept.values[0], slopes, rows, ahead[:a])
    if looks_back:
        how = target, weight, loss, with_accuracy
        sums = look_back(rows, near, at, part, state, *how, sums, ahead[a:b])
    differentiate_rows(loss, part, slopes, target, False, True, room)
    _weigh(part, weight, batch_size, slopes, state.intercept.gradient[0])
    touched = (state.lines, state.slot, state.places, base)
    n_touched = add_to_slots(near, at, slopes, state.coef.gradient, touched, n_touched, rows, ahead[b:])
    return sums, n_touched


def _visit_narrow(rows, order, begin, end, visit, state, batch_size, sums, base, n_touched):
    """The same of rows side by side, once for both models."""
    target, weight, loss, shift, looks_back, with_accuracy = visit
    room = state.loss_room
    lines = state.block
    n_outputs = state.coef.values.shape[0]
    part = order[begin:end]
    for i in order[begin + AHEAD : end + AHEAD]:
        prefetch(target, i)
        prefetch(weight, i)
        prefetch_features(rows, i)
    turn_rows(rows, part, shift, lines)
    put_labels(part, target, weight, n_outputs, room.turned)
    if looks_back:
        score_lines(lines, part.size, state.coef_before, state.intercept_before, room.turned)
        sums = add_losses_turned(part, room, n_outputs, target, loss, with_accuracy, sums)
    score_lines(lines, part.size, state.coef.values, state.intercept.values[0], room.turned)
    differentiate_turned(loss, part.size, n_outputs, False, True, room.losses, room.turned)
    _weigh_turned(part.size, n_outputs, batch_size, room.turned, state.slopes)
    add_slopes(rows, part, shift, room.turned, state.coef.gradient)
    return sums, n_touched


visit_rows = by_storage(_visit, _visit, _visit_narrow)


@pass_kernel
def minibatch_pass(
    rows,
    order,
    n_batches,
    target,
    weight,
    loss,
    fit_intercept,
    geometry,
    state,
    settings,
    n_steps,
    looks_back,
    with_accuracy,
):
    """Run one step for each of `n_batches` parts of `order`, which differ by at most one row.

    `n_steps` were run before. Weights have mean 1 over the fit; a batch is divided by its number of
    rows, never by its own sum of weights, which would erase class weights in small batches.

    If it `looks_back`, it gives the sums of `evaluate.sum_losses` of the model that it begins with: while
    dense rows are in the cache that costs less than a pass of its own.
    """
    rows, order, target, weight = borrowed((rows, order, target, weight))
    geometry, state = borrowed((geometry, state))
    number = weight.dtype.type
    n_rows = order.size
    slope_sum = state.intercept.gradient[0]
    visit = Visit(target, weight, loss, geometry.shift, looks_back, with_accuracy)
    sums = (0.0, 0.0, 0.0)
    base = 0  # slots of batches before
    averages = state.average.until.size > 0
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
        for begin in range(start, stop, ROWS_AT_ONCE):
            end = min(begin + ROWS_AT_ONCE, stop)
            size = number(stop - start)
            sums, n_touched = visit_rows(rows, order, begin, end, visit, state, size, sums, base, n_touched)
        add_up(rows, state.slopes, slope_sum)
        base += n_touched
        step = n_steps + batch + 1
        lines = lines_to_update(rows, state, n_touched)
        if averages:
            # A line that is about to change has been as it is since its last step.
            for i in lines:
                add_to_average(state.average, state.coef.values, i, step - 1)
            add_to_average(state.intercept_average, state.intercept.values, 0, step - 1)
        update_lines(rows, lines, state.coef, geometry.scale, geometry.catch_up, step, settings)
        if fit_intercept:
            update_lines(rows, state.only_line, state.intercept, state.ones, state.ones, step, free)
        else:
            for k in range(slope_sum.size):
                slope_sum[k] = number(0)
    for j in range(state.slot.size):
        state.slot[j] = -1
    if averages:
        for i in range(state.average.until.size):
            add_to_average(state.average, state.coef.values, i, n_steps + n_batches)
        add_to_average(state.intercept_average, state.intercept.values, 0, n_steps + n_batches)
    return sums
