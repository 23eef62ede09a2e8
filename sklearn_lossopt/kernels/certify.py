"""What the certificate needs of the data, in float64 whatever the type of X: two sums and a matrix."""

import numpy as np

from ._jit import kernel
from .ascent import conjugate, read_dual
from .losses import differentiate
from .references import borrowed
from .rows import ROWS_PER_BLOCK, add_gradient, scores


@kernel
def bound_terms(rows, index, target, weight, loss, coef, intercept, dual, keep, mixed, gradient, slot, flows):
    """Weighted sums of losses at a model and of conjugates at a dual point; `gradient` gains X^T diag(w) a.

    The dual point is the stored one, moved as `read_dual` says. All sums are float64, also those of scores
    where `coef` and `intercept` are not; `slot` is 0, 1, ... for CSR.

    If `flows`, (n_classes, n_outputs), is not empty it gains the sums of w a by class, and nothing else is
    done: a kernel of its own would take half a second more to compile.
    """
    rows, index, target, weight = borrowed((rows, index, target, weight))
    coef, intercept, dual, keep, mixed, gradient = borrowed((coef, intercept, dual, keep, mixed, gradient))
    n_outputs = dual.shape[1]
    block = np.empty((ROWS_PER_BLOCK, n_outputs))
    slopes = np.empty((ROWS_PER_BLOCK, n_outputs))
    losses = 0.0
    conjugates = 0.0
    touched = slot, slot
    by_class = flows.size > 0
    for start in range(0, index.size, ROWS_PER_BLOCK):
        part = index[start : start + ROWS_PER_BLOCK]
        if not by_class:
            scores(rows, part, coef, intercept, block, rows, part)
        for i in range(part.size):
            row = part[i]
            y = target[row]
            w = weight[row]
            read_dual(loss, dual[row], y, keep[y], mixed, slopes[i])
            if by_class:
                for k in range(n_outputs):
                    flows[y, k] += w * slopes[i, k]
                continue
            losses += w * differentiate(loss, block[i], y)
            conjugates += w * conjugate(loss, slopes[i], y)
            for k in range(n_outputs):
                slopes[i, k] *= w
        if not by_class:
            ahead = index[start + part.size : start + 2 * part.size]
            add_gradient(rows, part, slopes, gradient, touched, 0, rows, ahead)
    return losses, conjugates


@kernel
def row_gaps(rows, index, target, weight, loss, coef, intercept, dual, keep, mixed):
    """Means over some rows: of losses, and of ``loss(s) + loss*(-a) + <s, a>``, which is never negative."""
    rows, index, target, weight = borrowed((rows, index, target, weight))
    coef, intercept, dual, keep, mixed = borrowed((coef, intercept, dual, keep, mixed))
    n_outputs = intercept.size
    block = np.empty((ROWS_PER_BLOCK, n_outputs))
    a = np.empty(n_outputs)
    losses = 0.0
    gaps = 0.0
    mass = 0.0
    for start in range(0, index.size, ROWS_PER_BLOCK):
        part = index[start : start + ROWS_PER_BLOCK]
        scores(rows, part, coef, intercept, block, rows, part)
        for i in range(part.size):
            row = part[i]
            y = target[row]
            w = weight[row]
            read_dual(loss, dual[row], y, keep[y], mixed, a)
            product = 0.0
            for k in range(n_outputs):
                product += a[k] * block[i, k]
            value = differentiate(loss, block[i], y)
            mass += w
            losses += w * value
            gaps += w * (value + conjugate(loss, a, y) + product)
    return losses / mass, gaps / mass


@kernel
def add_duals(rows, index, target, weight, loss, dual, keep, mixed, gradient, slot):
    """Add X^T diag(w) a to `gradient`, for the dual point as `bound_terms` has it."""
    rows, index, target, weight = borrowed((rows, index, target, weight))
    dual, keep, mixed, gradient = borrowed((dual, keep, mixed, gradient))
    slopes = np.empty((ROWS_PER_BLOCK, dual.shape[1]))
    touched = slot, slot
    for start in range(0, index.size, ROWS_PER_BLOCK):
        part = index[start : start + ROWS_PER_BLOCK]
        for i in range(part.size):
            row = part[i]
            read_dual(loss, dual[row], target[row], keep[target[row]], mixed, slopes[i])
            for k in range(dual.shape[1]):
                slopes[i, k] *= weight[row]
        ahead = index[start + part.size : start + 2 * part.size]
        add_gradient(rows, part, slopes, gradient, touched, 0, rows, ahead)


@kernel
def conjugates(loss, index, target, weight, dual, keep, mixed, factor):
    """Weighted sum of conjugates at `factor` times the moved dual point, factor in [0, 1]."""
    index, target, weight, dual = borrowed((index, target, weight, dual))
    n_outputs = dual.shape[1]
    a = np.empty(n_outputs)
    total = 0.0
    for i in index:
        y = target[i]
        read_dual(loss, dual[i], y, keep[y], mixed, a)
        for k in range(n_outputs):
            a[k] *= factor  # towards 0, which is in every domain
        total += weight[i] * conjugate(loss, a, y)
    return total


@kernel
def sum_excess(gradient, l1):
    """Sum of squares of what |gradient|, one-dimensional, exceeds l1 by, and with L1 the largest of it."""
    square = 0.0
    largest = 0.0
    if l1 == 0:  # in vectors, which a maximum that keeps NaN forbids
        for j in range(gradient.size):
            square += gradient[j] * gradient[j]
        return square, largest
    for j in range(gradient.size):
        excess = max(abs(gradient[j]) - l1, 0.0)
        square += excess * excess
        largest = max(largest, excess)
    return square, largest


@kernel
def sum_reach(coef, size, by_column):
    """Sum of |coef| times the size of its feature."""
    reach = 0.0
    for i in range(coef.shape[0]):
        for j in range(coef.shape[1]):
            reach += abs(np.float64(coef[i, j])) * (size[j] if by_column else size[i])
    return reach
