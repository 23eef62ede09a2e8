"""The terms of the objective and the accuracy: one pass over rows, float64 sums."""

import numpy as np

from ._jit import helper, kernel
from .block_losses import differentiate_rows
from .losses import is_right
from .references import borrowed
from .rows import ROWS_PER_BLOCK, scores


@helper
def add_losses(part, block, room, target, weight, loss, with_accuracy, sums):
    """Add what the scores of some rows give to weighted sums of loss, right answers, and 1.

    The scores, in `block`, are lost; `room` is from `block_losses.new_room`.
    """
    total, right, mass = sums
    if with_accuracy:
        for i in range(part.size):
            if is_right(block[i], target[part[i]]):
                right += np.float64(weight[part[i]])
    differentiate_rows(loss, part, block, target, room)
    for i in range(part.size):
        w = np.float64(weight[part[i]])
        mass += w
        total += w * room.losses[i]
    return total, right, mass


@kernel
def sum_losses(rows, index, target, weight, loss, coef, intercept, block, room, with_accuracy):
    """Weighted sums of loss and right answers, and the sum of weights.

    `block` is room for the scores of ROWS_PER_BLOCK rows, `room` from `block_losses.new_room`.
    """
    rows, index, target, weight = borrowed((rows, index, target, weight))
    coef, intercept, block, room = borrowed((coef, intercept, block, room))
    sums = (0.0, 0.0, 0.0)
    for start in range(0, index.size, ROWS_PER_BLOCK):
        part = index[start : start + ROWS_PER_BLOCK]
        scores(rows, part, coef, intercept, block, rows, part)
        sums = add_losses(part, block, room, target, weight, loss, with_accuracy, sums)
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
