"""The terms of the objective and the accuracy: one pass over rows, float64 sums."""

import numpy as np

from . import block_losses
from ._jit import helper, kernel
from .block_losses import differentiate_rows, differentiate_turned, put_targets, put_weights
from .losses import is_right
from .narrow import AHEAD, new_lines, prefetch_features, score_lines, turn_rows
from .references import borrowed
from .rows import ROWS_PER_BLOCK, NarrowRows, by_storage, scores
from .vectors import lanes_of, load, load_as, spread, total


@helper
def add_losses(part, block, room, target, weight, loss, with_accuracy, sums):
    """Add what the scores of some rows give to weighted sums of loss, right answers, and 1.

    The scores, in `block`, are lost; `room` is from `block_losses.new_room`.
    """
    all_losses, right, mass = sums
    if with_accuracy:
        for i in range(part.size):
            if is_right(block[i], target[part[i]]):
                right += np.float64(weight[part[i]])
    differentiate_rows(loss, part, block, target, True, False, room)
    for i in range(part.size):
        w = np.float64(weight[part[i]])
        mass += w
        all_losses += w * room.losses[i]
    return all_losses, right, mass


@helper
def add_losses_turned(part, room, n_outputs, target, loss, with_accuracy, sums):
    """The same of scores side by side, in ``room.turned``, with targets and weights: `put_labels`."""
    losses, turned = room
    all_losses, right, mass = sums
    weights = (n_outputs + 3) * turned.shape[1]
    for i in range(part.size if with_accuracy else 0):
        if is_right(turned[:n_outputs, i], target[part[i]]):
            right += np.float64(turned[n_outputs + 3, i])
    differentiate_turned(loss, part.size, n_outputs, True, False, losses, turned)
    some_losses = spread(0.0, losses)
    some_mass = some_losses
    for i in range(0, part.size, lanes_of(losses)):
        w = load_as(turned, weights + i, part.size - i, 0, losses)
        some_mass = some_mass + w
        some_losses = some_losses + load(losses, i) * w
    return all_losses + total(some_losses), right, mass + total(some_mass)


@helper
def put_labels(part, target, weight, n_outputs, turned):
    """Put targets and weights of rows where `differentiate_turned` and `add_losses_turned` look for them."""
    put_targets(part, target, turned, n_outputs)
    put_weights(part, weight, turned, n_outputs + 3)


def _add_block(rows, part, coef, intercept, block, room, target, weight, loss, with_accuracy, sums, ahead):
    """`add_losses` of some rows."""
    scores(rows, part, coef, intercept, block, rows, part)
    return add_losses(part, block, room, target, weight, loss, with_accuracy, sums)


def _add_block_narrow(
    rows, part, coef, intercept, block, room, target, weight, loss, with_accuracy, sums, ahead
):
    """The same; the block has their features side by side."""
    for i in ahead:
        prefetch_features(rows, i)
    turn_rows(rows, part, intercept[:0], block)
    score_lines(block, part.size, coef, intercept, room.turned)
    put_labels(part, target, weight, intercept.size, room.turned)
    return add_losses_turned(part, room, intercept.size, target, loss, with_accuracy, sums)


add_block = by_storage(_add_block, _add_block, _add_block_narrow)


def new_room(rows, n_outputs, dtype):
    """What `sum_losses` needs: a block and room for losses."""
    if isinstance(rows, NarrowRows):
        return new_lines(rows), block_losses.new_room(n_outputs, dtype, beside=True)
    return np.empty((ROWS_PER_BLOCK, n_outputs), dtype), block_losses.new_room(n_outputs, dtype)


@kernel
def sum_losses(rows, index, target, weight, loss, coef, intercept, block, room, with_accuracy):
    """Weighted sums of loss and right answers, and the sum of weights.

    `block` and `room` are from `new_room`.
    """
    rows, index, target, weight = borrowed((rows, index, target, weight))
    coef, intercept, block, room = borrowed((coef, intercept, block, room))
    sums = (0.0, 0.0, 0.0)
    for start in range(0, index.size, ROWS_PER_BLOCK):
        part = index[start : start + ROWS_PER_BLOCK]
        ahead = index[start + AHEAD : start + AHEAD + part.size]
        how = target, weight, loss, with_accuracy
        sums = add_block(rows, part, coef, intercept, block, room, *how, sums, ahead)
    return sums


def sum_sizes(coef):
    """Sums of |coef| and of coef ** 2."""
    return _sum_sizes(coef.reshape(-1))  # in one line, whatever the lines' length


@kernel
def _sum_sizes(values):
    absolute = 0.0
    square = 0.0
    for j in range(values.size):  # by number: LLVM makes no vectors of a loop over the values themselves
        w = np.float64(values[j])
        absolute += abs(w)
        square += w * w
    return absolute, square
