"""What the certificate needs of the data, in float64 whatever the type of X: two sums and a matrix."""

import numpy as np

from . import block_losses
from ._jit import helper, kernel
from .ascent import conjugate, read_dual
from .block_losses import differentiate_turned, put_targets
from .losses import LOGISTIC
from .references import borrowed
from .rows import ROWS_PER_BLOCK, add_gradient, aligned_zeros, scores
from .turned import turn
from .vectors import lanes_of, load, load_first, log, log1p, padded_outputs, store


def new_room(n_outputs):
    """Memory for a block's scores, for its dual vectors padded to whole vectors, and for its losses."""
    width = padded_outputs(n_outputs, np.float64)
    return (
        aligned_zeros((ROWS_PER_BLOCK, n_outputs), np.float64),
        aligned_zeros((ROWS_PER_BLOCK, width), np.float64),
        block_losses.new_room(n_outputs, np.float64, beside=True),
    )


@kernel
def bound_terms(rows, index, target, weight, loss, coef, intercept, dual, move, gradient, room):
    """Weighted sums of losses at a model and of conjugates at a dual point; `gradient` gains X^T diag(w) a.

    The dual point is the stored one, moved as `read_dual` says. All sums are float64, also those of scores
    where `coef` and `intercept` are not. `room` is from `new_room`. With a gradient of no size the third sum
    is that of ``loss(s) + loss*(-a) + <s, a>``, which is never negative by row, else 0: one kernel for both,
    as each takes seconds to compile.
    """
    rows, index, target, weight = borrowed((rows, index, target, weight))
    coef, intercept, dual, move, gradient = borrowed((coef, intercept, dual, move, gradient))
    keep, mixed = move
    block, slopes, (numbers, turned) = borrowed(room)
    n_outputs = intercept.size
    losses = 0.0
    conjugates = 0.0
    gaps = 0.0
    wants_gradient = gradient.size > 0
    for start in range(0, index.size, ROWS_PER_BLOCK):
        part = index[start : start + ROWS_PER_BLOCK]
        scores(rows, part, coef, intercept, block, rows, part)
        turn(block, part.size, turned)
        put_targets(part, target, turned, n_outputs)
        differentiate_turned(loss, part.size, n_outputs, True, False, numbers, turned)
        for i in range(part.size):
            losses += weight[part[i]] * numbers[i]
        if loss == LOGISTIC and wants_gradient:
            conjugates += logistic_conjugates(part, target, weight, dual, keep, slopes, numbers)
        else:
            for i in range(part.size):
                row = part[i]
                y = target[row]
                w = weight[row]
                a = slopes[i]
                read_dual(loss, dual[row], y, keep[y], mixed, a)
                product = 0.0
                for k in range(0 if wants_gradient else n_outputs):
                    product += a[k] * block[i, k]
                conjugated = conjugate(loss, a, y)
                conjugates += w * conjugated
                gaps += 0.0 if wants_gradient else w * (numbers[i] + conjugated + product)
                scale_line(a, w)
        if wants_gradient:
            ahead = index[start + part.size : start + 2 * part.size]
            add_gradient(rows, part, slopes, gradient, rows, ahead)
    return losses, conjugates, gaps


@helper
def logistic_conjugates(part, target, weight, dual, keep, slopes, numbers):
    """The same of a block with logistic loss, in vectors of rows: its weighted conjugates."""
    n_rows = part.size
    conjugates = 0.0
    for i in range(n_rows):
        row = part[i]
        y = target[row]
        u = np.float64(dual[row, 0])
        numbers[i] = u * keep[y, 0] if keep.size > 0 else u
        slopes[i, 0] = weight[row] * (numbers[i] if y == 1 else -numbers[i])
    for i in range(0, n_rows, lanes_of(numbers)):
        u = load_first(numbers, i, n_rows - i, 0)
        store(numbers, i, u * log(u) + (1.0 - u) * log1p(0.0 - u))  # 0 log 0 is 0
    for i in range(n_rows):
        conjugates += weight[part[i]] * numbers[i]
    return conjugates


@helper
def scale_line(line, factor):
    """Multiply a line, padded to whole vectors."""
    for k in range(0, line.size, lanes_of(line)):
        store(line, k, load(line, k) * factor)


@kernel
def add_duals(rows, index, target, weight, loss, dual, move, gradient, room):
    """Add X^T diag(w) a to `gradient`, for the dual point as `bound_terms` has it."""
    rows, index, target, weight = borrowed((rows, index, target, weight))
    dual, move, gradient = borrowed((dual, move, gradient))
    keep, mixed = move
    _, slopes, _ = borrowed(room)
    for start in range(0, index.size, ROWS_PER_BLOCK):
        part = index[start : start + ROWS_PER_BLOCK]
        for i in range(part.size):
            row = part[i]
            read_dual(loss, dual[row], target[row], keep[target[row]], mixed, slopes[i])
            scale_line(slopes[i], weight[row])
        ahead = index[start + part.size : start + 2 * part.size]
        add_gradient(rows, part, slopes, gradient, rows, ahead)


@kernel
def add_flows(loss, index, target, weight, dual, move, flows, room):
    """Add the weighted dual vectors of each class to its line of `flows`, (n_classes, padded outputs)."""
    index, target, weight, dual = borrowed((index, target, weight, dual))
    move, flows = borrowed((move, flows))
    keep, mixed = move
    _, slopes, _ = borrowed(room)
    width = flows.shape[1]
    if dual.shape[1] == 1 and keep.size == 0:  # u itself, with the sign of its side
        own, others = 0.0, 0.0
        for i in index:
            mass = weight[i] * np.float64(dual[i, 0])
            of_class_1 = mass if target[i] == 1 else 0.0
            own += of_class_1
            others += mass - of_class_1
        flows[1, 0] += own
        flows[0, 0] -= others
        return
    a = slopes[0]
    for i in index:
        y = target[i]
        read_dual(loss, dual[i], y, keep[y], mixed, a)
        for k in range(0, width, lanes_of(flows)):
            place = y * width + k
            store(flows, place, load(flows, place) + load(a, k) * weight[i])


@kernel
def conjugates(loss, index, target, weight, dual, move, room, factor):
    """Weighted sum of conjugates at `factor` times the moved dual point, factor in [0, 1]."""
    index, target, weight, dual, move = borrowed((index, target, weight, dual, move))
    keep, mixed = move
    _, slopes, _ = borrowed(room)
    a = slopes[0]
    total = 0.0
    for i in index:
        y = target[i]
        read_dual(loss, dual[i], y, keep[y], mixed, a)
        scale_line(a, factor)  # towards 0, which is in every domain
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
