"""Proximal dual coordinate ascent: a pass over the rows, and the step of its proximal point.

Coordinates: feature j counts as ``(x_j - shift_j) * scale_j`` with ``scale_j = 1 / sqrt(l2 + kappa m_j)``,
so that the subproblem's quadratic term is ``|U|^2 / 2`` for U = W / scale. `accumulated` holds what the
dual variables and the proximal point add up to; without L1 it is U itself, with L1 U is its soft threshold.
"""

import math
from typing import NamedTuple

import numpy as np

from ._jit import helper, kernel, pass_kernel
from .ascent import ascend, dual_of_slopes, start_dual
from .losses import differentiate
from .one_row import add_row, dot_row, load_row, threshold_row
from .pairs import CHANGES, SCORES, correct_second, inner_product, move_on
from .prefetch import prefetch
from .references import borrowed
from .rows import ROWS_PER_BLOCK, by_storage, prefetch_place, prefetch_row, prefetch_span, scores
from .vectors import lanes_of, load_as, load_first, spread, store, store_first, total

AHEAD = 3  # rows from the one visited to the one that memory is asked for


class Coordinates(NamedTuple):
    """Where a subproblem lives: arrays by feature, padded as `primal` is; empty for none."""

    shift: np.ndarray
    scale: np.ndarray
    threshold: np.ndarray  # l1 * scale; empty without L1
    intercept_scale: float  # 1 / kappa of the intercept; 0 for no intercept


class DualState(NamedTuple):
    """What a pass changes, and room to work in."""

    dual: np.ndarray  # a line a row of X, as `ascent` stores it
    primal: np.ndarray  # U, in the layout of coefficients
    accumulated: np.ndarray  # the same array without L1
    intercept: np.ndarray
    moved: np.ndarray  # by row of X, the size of its dual variables' change in its last visit
    loaded: np.ndarray  # (4, longest row): the pair of rows visited, and the next
    room: np.ndarray  # (6, `padded_outputs`): a pair's scores and changes, and room for its steps


@kernel
def start_duals(loss, index, target, dual):
    """Dual variables of zero coefficients."""
    for i in index:
        start_dual(loss, dual[i], target[i])


@kernel
def duals_of_model(rows, index, target, loss, coef, intercept, dual):
    """Dual variables that belong to a model: minus the losses' slopes at its scores."""
    block = np.empty((ROWS_PER_BLOCK, intercept.size), dual.dtype)
    for start in range(0, index.size, ROWS_PER_BLOCK):
        part = index[start : start + ROWS_PER_BLOCK]
        scores(rows, part, coef, intercept, block, rows, part)
        for i in range(part.size):
            row = part[i]
            differentiate(loss, block[i], target[row])
            dual_of_slopes(loss, block[i], dual[row], target[row])


@helper
def _scale_change(change, factor, intercept, intercept_scale):
    """Multiply a change of dual variables, move the intercept by it; gives what its square was."""
    n_outputs = intercept.size
    lanes = lanes_of(change)
    square = spread(change.dtype.type(0), change)
    for k in range(0, n_outputs, lanes):
        a = load_first(change, k, n_outputs - k, 0)
        square = square + a * a
        a = a * factor
        store(change, k, a)
        moved = load_first(intercept, k, n_outputs - k, 0) + a * intercept_scale
        store_first(intercept, k, n_outputs - k, moved)
    return total(square)


@helper
def _ascend_row(i, r, norm, target, weight, loss, coordinates, state, times):
    """Set the dual variables of row i, whose scores and change are the r-th in `room`."""
    room = state.room
    w = weight[i]
    change = room[CHANGES + r]
    curvature = times * w * (norm + coordinates.intercept_scale)
    ascend(loss, room[SCORES + r], state.dual[i], target[i], curvature, change, room[4:])
    moved = _scale_change(change, times * w, state.intercept, coordinates.intercept_scale)
    state.moved[i] = math.sqrt(moved)


@helper
def _prefetch_dual(i, target, weight, dual):
    n_outputs = dual.shape[1]
    prefetch_span(dual, i * n_outputs, (i + 1) * n_outputs)
    prefetch(target, i)
    prefetch(weight, i)


def _visit_pairs_dense(rows, order, target, weight, loss, coordinates, state, times):
    """Visit all rows in pairs, if there is no L1, whose threshold needs every row's coefficients."""
    shift, scale, threshold, intercept_scale = coordinates
    dual, primal, _, intercept, _, loaded, room = state
    if threshold.size > 0:
        return False
    n_rows = order.size
    last = n_rows - 1
    loaded[:] = 0
    room[CHANGES : CHANGES + 2] = 0
    old, new = 2, 0
    norm_1 = norm_2 = product = loaded.dtype.type(0)
    for t in range(-2, n_rows, 2):
        if t >= 0:
            _ascend_row(order[t], 0, norm_1, target, weight, loss, coordinates, state, times)
            if t < last:
                correct_second(room, product + intercept_scale)
                _ascend_row(order[t + 1], 1, norm_2, target, weight, loss, coordinates, state, times)
            else:
                room[CHANGES + 1] = 0
        # Past the end the last row stands in: its scores are not used.
        norm_1 = load_row(rows, order[min(t + 2, last)], shift, scale, loaded[new], primal)
        norm_2 = load_row(rows, order[min(t + 3, last)], shift, scale, loaded[new + 1], primal)
        product = inner_product(loaded, new)
        later, latest = order[min(t + 2 * AHEAD, last)], order[min(t + 2 * AHEAD + 1, last)]
        for i in (later, latest):
            _prefetch_dual(i, target, weight, dual)
            prefetch(rows.values, (i + 1) * rows.values.shape[1] - 1)  # its last cache line: see `move_on`
        move_on(primal, intercept, loaded, old, new, room, rows.values, later, latest)
        old, new = new, old
    return True


def _visit_pairs_csr(rows, order, target, weight, loss, coordinates, state, times):
    return False


visit_pairs = by_storage(_visit_pairs_dense, _visit_pairs_csr)


@pass_kernel
def dual_pass(rows, order, target, weight, loss, coordinates, state, times):
    """Visit the rows in order; `weight` sums to 1 over all rows in use.

    `times` is above 1 where other threads visit other rows at the same time: this one then counts its
    own changes so many times, for theirs (CoCoA+: Ma et al. 2015).
    """
    rows, order, target, weight = borrowed((rows, order, target, weight))
    coordinates, state = borrowed((coordinates, state))
    if visit_pairs(rows, order, target, weight, loss, coordinates, state, times):
        return
    shift, scale, threshold, _ = coordinates
    dual, primal, accumulated, intercept, _, loaded, room = state
    row_scores = room[SCORES]
    change = room[CHANGES]
    n_rows = order.size
    x = loaded[0]
    y = loaded[1]
    norm = load_row(rows, order[0], shift, scale, x, primal)
    dot_row(rows, order[0], x, primal, intercept, row_scores)
    for t in range(n_rows):
        i = order[t]
        if t + 2 * AHEAD < n_rows:
            prefetch_place(rows, order[t + 2 * AHEAD])
        if t + AHEAD < n_rows:
            later = order[t + AHEAD]
            prefetch_row(rows, later)
            _prefetch_dual(later, target, weight, dual)
        _ascend_row(i, 0, norm, target, weight, loss, coordinates, state, times)
        following = order[t + 1] if t + 1 < n_rows else i
        norm = load_row(rows, following, shift, scale, y, primal)
        if state.moved[i] != 0:  # rows at a bound of a hinge may stay; NaN must be seen
            add_row(rows, i, x, change, accumulated)  # the same array as `primal` without L1
            if threshold.size > 0:
                threshold_row(rows, i, accumulated, threshold, primal)
        dot_row(rows, following, y, primal, intercept, row_scores)
        x, y = y, x


@kernel
def merge(shared, own, spread):
    """Add the changes of each thread's copy, over spread; `own` is (threads, size), `shared` (size,)."""
    n_threads, size = own.shape
    inverse = 1 / spread
    for j in range(size):
        total = shared.dtype.type(0)
        for t in range(n_threads):
            total += own[t, j] - shared[j]
        shared[j] += inverse * total


@kernel
def place(coef, gradient, mean_dual, shift, scale, pulling, by_column, center, accumulated):
    """Put a proximal point at `coef`, with `accumulated` as the dual variables and it make it.

    `gradient` is X^T diag(w) a of rows that are not shifted yet, `pulling` is kappa m by feature; the
    last two arrays may be wider than `coef`.
    """
    n_lines, n_columns = coef.shape
    is_shifted = shift.size > 0
    for i in range(n_lines):
        for j in range(n_columns):
            feature = j if by_column else i
            here = np.float64(coef[i, j])
            slope = gradient[i, j] + pulling[feature] * here
            if is_shifted:
                slope -= mean_dual[i] * shift[j]
            center[i, j] = here / scale[feature]
            accumulated[i, j] = slope * scale[feature]


@kernel
def placed_gradient(accumulated, center, mean_dual, shift, scale, pull, by_column, gradient):
    """X^T diag(w) a of rows that are not shifted, from what `accumulated` holds: undoes `place`."""
    n_lines, n_columns = gradient.shape
    is_shifted = shift.size > 0
    for i in range(n_lines):
        for j in range(n_columns):
            feature = j if by_column else i
            slope = np.float64(accumulated[i, j]) - np.float64(pull[feature]) * np.float64(center[i, j])
            slope /= np.float64(scale[feature])
            if is_shifted:
                slope += mean_dual[i] * shift[j]
            gradient[i, j] = slope


@kernel
def move_center(primal, before, center, accumulated, pull, by_column, momentum):
    """Move a proximal point to ``primal + momentum * (primal - before)``; `before` becomes `primal`.

    `pull` is kappa m / (l2 + kappa m) by feature, and a feature is a column or a line; all arrays are
    in scaled coordinates.
    """
    n_lines, n_columns = primal.shape
    for i in range(n_lines):
        for j in range(n_columns):
            share = pull[j] if by_column else pull[i]
            here = primal[i, j]
            new = here + momentum * (here - before[i, j])
            accumulated[i, j] += share * (new - center[i, j])
            center[i, j] = new
            before[i, j] = here


@kernel
def uphill(primal, before, center, pull, by_column):
    """``<pull * (center - primal), primal - before>``: positive where momentum has led uphill.

    The sign is O'Donoghue and Candes's (2015) gradient rule for when to restart.
    """
    n_lines, n_columns = primal.shape
    total = 0.0
    for i in range(n_lines):
        for j in range(n_columns):
            share = pull[j] if by_column else pull[i]
            here = primal[i, j]
            total += np.float64(share * (center[i, j] - here) * (here - before[i, j]))
    return total


@kernel
def distances(primal, center, factors, by_column):
    """Sums of ``factor * (center - primal)^2`` for two float64 factors, by feature."""
    n_lines, n_columns = primal.shape
    first, second = factors
    lanes = lanes_of(first)
    a = spread(0.0, first)
    b = spread(0.0, first)
    for i in range(n_lines):
        of_line = spread(0.0, first)
        for j in range(0, n_columns, lanes):
            place, left = i * n_columns + j, n_columns - j
            apart = load_as(center, place, left, 0, first) - load_as(primal, place, left, 0, first)
            square = apart * apart
            if by_column:
                a = a + square * load_first(first, j, left, 0)
                b = b + square * load_first(second, j, left, 0)
            else:
                of_line = of_line + square
        if not by_column:
            a = a + of_line * first[i]
            b = b + of_line * second[i]
    return total(a), total(b)


@kernel
def soft_threshold(accumulated, threshold, by_column, primal):
    """Put soft(accumulated, threshold) into `primal`."""
    zero = primal.dtype.type(0)
    n_lines, n_columns = primal.shape
    for i in range(n_lines):
        for j in range(n_columns):
            limit = threshold[j] if by_column else threshold[i]
            q = accumulated[i, j]
            primal[i, j] = max(q - limit, zero) + min(q + limit, zero)
