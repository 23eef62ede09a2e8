"""What Newton's method needs of losses of margins, whose outputs do not meet: logistic, squared hinge.

One visit of the rows tells the loss, its gradient, and how much each row bends it; all in float64, with rows
side by side. Dense rows are standardized on the way, with a 1 at their end, so that nothing cancels where
means are large; sparse ones stay as they are.
"""

import math
from typing import NamedTuple

import numpy as np

from . import block_losses
from ._jit import helper, kernel
from .block_losses import LossRoom, hinges_turned, margins_turned, softplus
from .evaluate import put_labels
from .losses import HINGE, LOGISTIC
from .narrow import AHEAD, new_lines, prefetch_features, turn_rows
from .references import borrowed
from .rows import ROWS_PER_BLOCK, DenseRows, add_gradient, aligned_zeros, by_storage, scores
from .turned import turn, turn_back
from .vectors import lanes_of, largest, load, load_as, padded_outputs, spread, store, total, where_positive

GOLDEN = (math.sqrt(5) - 1) / 2  # its multiples are spread evenly: no period of the rows' order can meet them


class Room(NamedTuple):
    """Memory for a block, made in Python: `new_room`."""

    raw: np.ndarray  # of dense rows, `narrow.new_lines`; else no lines
    lines: np.ndarray  # of dense rows, standardized: a column in a line, then one of 1; else no lines
    block: np.ndarray  # (ROWS_PER_BLOCK, n_outputs)
    bends: np.ndarray  # (n_outputs or more, ROWS_PER_BLOCK)
    losses: LossRoom


def new_room(rows, n_outputs):
    """What `visit_margins` needs."""
    is_dense = isinstance(rows, DenseRows)
    n_lines = rows.values.shape[1] + 1 if is_dense else 0
    return Room(
        new_lines(rows) if is_dense else aligned_zeros((0, 0), np.float64),
        aligned_zeros((n_lines, ROWS_PER_BLOCK), np.float64),
        aligned_zeros((ROWS_PER_BLOCK, n_outputs), np.float64),
        aligned_zeros((padded_outputs(n_outputs, np.float64), ROWS_PER_BLOCK), np.float64),
        block_losses.new_room(n_outputs, np.float64, beside=True),
    )


def _put_scores_dense(rows, part, ahead, shift, scale, coef, intercept, room):
    """Put rows, standardized, and their scores side by side; rows ahead come into the cache."""
    for i in ahead:
        prefetch_features(rows, i)
    raw, lines, turned = room.raw, room.lines, room.losses.turned
    n_outputs, n_columns = coef.shape
    width, lanes = ROWS_PER_BLOCK, lanes_of(lines)
    turn_rows(rows, part, shift[:0], raw)
    for j in range(n_columns - 1):
        for i in range(0, width, lanes):
            x = load_as(raw, j * width + i, lanes, 0, lines)
            store(lines, j * width + i, (x - shift[j]) * scale[j])
    for i in range(0, width, lanes):
        store(lines, (n_columns - 1) * width + i, spread(scale[n_columns - 1], lines))
    for k in range(n_outputs):
        for i in range(0, width, 4 * lanes):
            a0 = a1 = a2 = a3 = spread(intercept[k], lines)
            for j in range(n_columns):
                place, factor = j * width + i, coef[k, j]
                a0 = a0 + load(lines, place) * factor
                a1 = a1 + load(lines, place + lanes) * factor
                a2 = a2 + load(lines, place + 2 * lanes) * factor
                a3 = a3 + load(lines, place + 3 * lanes) * factor
            place = k * width + i
            store(turned, place, a0)
            store(turned, place + lanes, a1)
            store(turned, place + 2 * lanes, a2)
            store(turned, place + 3 * lanes, a3)


def _put_scores_csr(rows, part, ahead, shift, scale, coef, intercept, room):
    scores(rows, part, coef, intercept, room.block, rows, part)
    turn(room.block, part.size, room.losses.turned)


def _add_slopes_dense(rows, part, room, gradient):
    """Gradient += slopes^T rows; slopes are 0 behind those of the part's rows."""
    lines, turned = room.lines, room.losses.turned
    n_outputs, n_columns = gradient.shape
    width, lanes = ROWS_PER_BLOCK, lanes_of(lines)
    for k in range(n_outputs):
        for i in range(0, width, 4 * lanes):
            place = k * width + i
            s0 = load(turned, place)
            s1 = load(turned, place + lanes)
            s2 = load(turned, place + 2 * lanes)
            s3 = load(turned, place + 3 * lanes)
            for j in range(n_columns):
                place = j * width + i
                a = load(lines, place) * s0 + load(lines, place + lanes) * s1
                b = load(lines, place + 2 * lanes) * s2 + load(lines, place + 3 * lanes) * s3
                gradient[k, j] += total(a + b)


def _add_slopes_csr(rows, part, room, gradient):
    turn_back(room.losses.turned, part.size, room.block)
    add_gradient(rows, part, room.block, gradient, rows, part[:0])


_put_scores = by_storage(_put_scores_dense, _put_scores_csr)
_add_slopes = by_storage(_add_slopes_dense, _add_slopes_csr)


@helper
def _differentiate(loss, n_rows, n_outputs, room):
    """`block_losses.differentiate_turned` for the two losses of margins: all of them take long to compile."""
    losses, turned = room
    if n_outputs == 1:
        margins_turned(loss == LOGISTIC, True, n_rows, True, turned)
    else:
        hinges_turned(True, HINGE, n_rows, n_outputs, True, turned)
    for i in range(0, n_rows, lanes_of(losses)):
        value = load(turned, (n_outputs + 1) * ROWS_PER_BLOCK + i)
        store(losses, i, softplus(0.0 - value) if loss == LOGISTIC else value)


@helper
def _bend(loss, slope):
    """Second derivatives of margins' losses, from their slopes."""
    size = largest(slope, 0.0 - slope)
    return size * (1.0 - size) if loss == LOGISTIC else where_positive(size, size - size + 2.0)


@kernel
def visit_margins(
    rows, part, start, target, weight, loss, every, shift, scale, coef, intercept, found, gradient, free, room
):
    """Visit some rows: gives their weighted loss, adds to its gradient, and notes scores and curvatures.

    Parameters
    ----------
    rows : DenseRows or CSRRows
        All rows of X.
    part : ndarray of shape (n,)
        The ones to visit.
    start : int
        Where the first of them is in `found`.
    target, weight : ndarray of shape (n_rows,)
        Class numbers and float64 weights, by row of X.
    loss : int
    every : float
        Curvatures are noted of one row in so many, for all of them; infinite: of none.
    shift, scale : ndarray of shape (n_columns,) or longer
        What makes standardized rows, the last what is in place of the 1; unused with sparse ones.
    coef, intercept : ndarray
        The model, of standardized rows or of sparse ones, in the layout of its storage.
    found : tuple of 2 ndarray of shape (n_rows_in_use, n_outputs)
        Scores and curvatures, by place in the rows in use.
    gradient, free : ndarray
        The gradient by `coef` and `intercept`, to be added to.
    room : Room
        From `new_room`.

    Returns
    -------
    float
    """
    rows, part, target, weight, shift, scale = borrowed((rows, part, target, weight, shift, scale))
    coef, intercept, found, gradient, free, room = borrowed((coef, intercept, found, gradient, free, room))
    all_scores, curvature = found
    losses, turned = room.losses
    n_outputs = free.size
    width, lanes = ROWS_PER_BLOCK, lanes_of(turned)
    bends = every < math.inf
    share = 1 / every
    values = spread(0.0, turned)
    for first in range(0, part.size, ROWS_PER_BLOCK):
        here = part[first : first + ROWS_PER_BLOCK]
        n_rows = here.size
        place = start + first
        ahead = part[first + AHEAD : first + AHEAD + n_rows]
        _put_scores(rows, here, ahead, shift, scale, coef, intercept, room)
        turn_back(turned, n_rows, all_scores[place : place + n_rows])
        put_labels(here, target, weight, n_outputs, turned)
        _differentiate(loss, n_rows, n_outputs, room.losses)
        for i in range(0, n_rows, lanes):
            w = load(turned, (n_outputs + 3) * width + i)
            values = values + load(losses, i) * w
            for k in range(n_outputs):
                slope = load(turned, k * width + i)
                store(turned, k * width + i, slope * w)
                if bends:
                    store(room.bends, k * width + i, _bend(loss, slope) * w * every)
        for k in range(n_outputs):
            for i in range(-(-n_rows // lanes) * lanes, width, lanes):
                store(turned, k * width + i, spread(0.0, turned))
            slopes = spread(0.0, turned)
            for i in range(0, n_rows, lanes):
                slopes = slopes + load(turned, k * width + i)
            free[k] += total(slopes)
        if bends:
            if every > 1:
                for i in range(n_rows):
                    turns = (place + i) * GOLDEN
                    if turns - math.floor(turns) >= share:
                        for k in range(n_outputs):
                            room.bends[k, i] = 0.0
            turn_back(room.bends, n_rows, curvature[place : place + n_rows])
        _add_slopes(rows, here, room, gradient)
    return total(values)


@kernel
def weigh_rows(rows, part, start, shift, scale, curvature, k, out):
    """Put standardized dense rows times the roots of their curvatures for an output into lines.

    Rows without curvature are left out: gives how many there are. `shift` and `scale` are padded to whole
    vectors, `out` is (more than n, n_columns), C order: the padding of a line goes where the next ones come.
    """
    rows, part, shift, scale, curvature, out = borrowed((rows, part, shift, scale, curvature, out))
    values = rows.values
    n_features, n_columns = values.shape[1], out.shape[1]
    lanes = lanes_of(out)
    n = 0
    for i in range(part.size):
        c = curvature[start + i, k]
        if c > 0:
            root = math.sqrt(c)
            place = part[i] * n_features
            for j in range(0, n_columns, lanes):
                x = load_as(values, place + j, n_features - j, 0, out)
                store(out, n * n_columns + j, (x - load(shift, j)) * load(scale, j) * root)
            n += 1
    return n
