"""The terms of the objective and the accuracy: one pass over rows, float64 sums."""

import numpy as np

from ._jit import kernel
from .losses import differentiate, is_right
from .rows import ROWS_PER_BLOCK, scores


@kernel
def evaluate(rows, index, target, weight, loss, coef, intercept, block, with_accuracy):
    """Weighted sums of loss and right answers, sum of weights, of |coef| and of coef ** 2.

    `block` is room for the scores of ROWS_PER_BLOCK rows.
    """
    total = 0.0
    right = 0.0
    mass = 0.0
    for start in range(0, index.size, ROWS_PER_BLOCK):
        part = index[start : start + ROWS_PER_BLOCK]
        scores(rows, part, coef, intercept, block)
        for i in range(part.size):
            row = part[i]
            w = np.float64(weight[row])
            mass += w
            if with_accuracy and is_right(block[i], target[row]):
                right += w
            total += w * differentiate(loss, block[i], target[row])
    absolute = 0.0
    square = 0.0
    for line in coef:
        for w in line:
            absolute += abs(np.float64(w))
            square += np.float64(w) * np.float64(w)
    return total, right, mass, absolute, square


@kernel
def score_rows(rows, index, coef, intercept, out):
    """out[i] = scores of row index[i]."""
    scores(rows, index, coef, intercept, out)
