"""What Newton's method needs of losses of margins, whose outputs do not meet: logistic, squared hinge.

One visit of the rows tells the loss, its gradient, and how much each row bends it; all in float64. Dense
rows are standardized on the way, with a 1 at their end, so that nothing cancels where means are large;
sparse ones stay as they are.
"""

import math

from ._jit import helper, kernel
from .block_losses import differentiate_logistic_rows
from .losses import LOGISTIC
from .references import borrowed
from .rows import ROWS_PER_BLOCK, add_gradient, by_storage, scores
from .vectors import lanes_of, load, load_as, spread, store, total

GOLDEN = (math.sqrt(5) - 1) / 2  # its multiples are spread evenly: no period of the rows' order can meet them


def _standardize_dense(rows, part, shift, scale, block, places):
    """Put standardized rows at places of a block, padded as `shift` and `scale` are, which make their 1."""
    values, out = rows.values, block.values
    n_features = values.shape[1]
    width = out.shape[1]
    lanes = lanes_of(out)
    whole = n_features - n_features % lanes
    for i in range(part.size):
        first = part[i] * n_features
        place = places[i] * width
        for j in range(0, whole, lanes):
            x = load_as(values, first + j, lanes, 0, out)
            store(out, place + j, (x - load(shift, j)) * load(scale, j))
        for j in range(whole, width, lanes):
            x = load_as(values, first + j, n_features - j, 0, out)
            store(out, place + j, (x - load(shift, j)) * load(scale, j))


def _standardize_csr(rows, part, shift, scale, block, places):
    """Sparse rows stay as they are."""


_standardize = by_storage(_standardize_dense, _standardize_csr)


def _score_dense(block, places, coef, intercept, out):
    """out[i] = coef @ row + intercept; few outputs meet a row, so tiles of them would only be compiled."""
    values = block.values
    width = values.shape[1]
    lanes = lanes_of(values)
    for i in range(places.size):
        for k in range(coef.shape[0]):
            score = spread(0.0, values)
            for j in range(0, width, lanes):
                score = score + load(values, places[i] * width + j) * load(coef, k * width + j)
            out[i, k] = total(score) + intercept[k]


def _score_csr(rows, index, coef, intercept, out):
    scores(rows, index, coef, intercept, out, rows, index)


def _add_slopes_dense(block, places, slopes, gradient):
    """Gradient += slopes^T rows."""
    values = block.values
    width = values.shape[1]
    lanes = lanes_of(values)
    for i in range(places.size):
        for k in range(gradient.shape[0]):
            slope = slopes[i, k]
            for j in range(0, width, lanes):
                here = load(values, places[i] * width + j) * slope
                store(gradient, k * width + j, load(gradient, k * width + j) + here)


def _add_slopes_csr(rows, index, slopes, gradient):
    add_gradient(rows, index, slopes, gradient, rows, index[:0])


_score = by_storage(_score_dense, _score_csr)
_add_slopes = by_storage(_add_slopes_dense, _add_slopes_csr)


@helper
def _differentiate(loss, part, scores, target, losses):
    """`block_losses.differentiate_rows` for the two losses of margins: all of them take long to compile."""
    if loss == LOGISTIC:
        differentiate_logistic_rows(part, scores, target, losses)
        return
    n_outputs = scores.shape[1]
    for i in range(part.size):
        own = target[part[i]] if n_outputs > 1 else target[part[i]] - 1
        losses[i] = 0.0
        for k in range(n_outputs):
            sign = 1.0 if k == own else -1.0
            violation = max(1 - sign * scores[i, k], 0.0)
            losses[i] += violation * violation
            scores[i, k] = -2 * sign * violation


@helper
def bend(loss, slope):
    """Second derivative of a margin's loss, from its slope."""
    size = abs(slope)
    if loss == LOGISTIC:
        return size * (1 - size)
    return 2.0 if size > 0 else 0.0


@kernel
def visit_margins(
    rows, part, start, block, places, target, weight, loss, every, shift, scale, coef, intercept, found, out
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
    block, places : DenseRows, ndarray of shape (n,)
        Room for standardized rows, and their numbers; of sparse rows these are `rows` and `part` again.
    target, weight : ndarray of shape (n_rows,)
        Class numbers and float64 weights, by row of X.
    loss : int
    every : float
        Curvatures are noted of one row in so many, for all of them; infinite: of none.
    shift, scale : ndarray of shape (width,)
        What makes standardized rows; unused with sparse ones.
    coef, intercept : ndarray
        The model, in the coordinates of `block` and the layout of its storage.
    found : tuple of 2 ndarray of shape (n_rows_in_use, n_outputs)
        Scores and curvatures, by place in the rows in use.
    out : tuple of ndarray
        The gradient by `coef` and `intercept`, to be added to; room of shape (ROWS_PER_BLOCK, n_outputs) and
        (2 * ROWS_PER_BLOCK,).

    Returns
    -------
    float
    """
    rows, part, block, places, target, weight = borrowed((rows, part, block, places, target, weight))
    shift, scale, coef, intercept, found, out = borrowed((shift, scale, coef, intercept, found, out))
    all_scores, curvature = found
    gradient, free, slopes, losses = out
    n_outputs = free.size
    sampled = every < math.inf
    share = 1 / every
    value = 0.0
    for first in range(0, part.size, ROWS_PER_BLOCK):
        here = part[first : first + ROWS_PER_BLOCK]
        where = places[first : first + ROWS_PER_BLOCK]
        _standardize(rows, here, shift, scale, block, where)
        _score(block, where, coef, intercept, slopes)
        for i in range(here.size):
            for k in range(n_outputs):
                all_scores[start + first + i, k] = slopes[i, k]
        _differentiate(loss, here, slopes, target, losses)
        for i in range(here.size):
            w = weight[here[i]]
            value += w * losses[i]
            place = start + first + i
            turn = place * GOLDEN
            bends = sampled and turn - math.floor(turn) < share
            for k in range(n_outputs):
                curvature[place, k] = every * w * bend(loss, slopes[i, k]) if bends else 0.0
                slopes[i, k] *= w
                free[k] += slopes[i, k]
        _add_slopes(block, where, slopes, gradient)
    return value


@kernel
def weigh_rows(block, places, start, curvature, k, out):
    """Put rows times the roots of their curvatures for an output side by side; gives how many are not 0.

    `out` is (more than n, n_columns), C order: the padding of a line goes where the next ones come.
    """
    values = block.values
    n_columns = out.shape[1]
    lanes = lanes_of(out)
    n = 0
    for i in range(places.size):
        c = curvature[start + i, k]
        if c > 0:
            root = math.sqrt(c)
            for j in range(0, n_columns, lanes):
                store(out, n * n_columns + j, load(values, places[i] * values.shape[1] + j) * root)
            n += 1
    return n
