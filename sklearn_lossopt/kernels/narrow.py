"""Dense rows of few features, side by side: a block of them in the cache, a feature in a line.

`turned` says why. Scores, losses and probabilities of such a block stay side by side as well.
"""

from ._jit import helper
from .prefetch import prefetch
from .rows import LINE, ROWS_PER_BLOCK, DenseRows, NarrowRows, aligned_zeros
from .tiles import N_REGISTERS
from .turned import gradient_tile, score_tile, turn_in
from .vectors import lanes_of, load, padded_outputs, store

MOST_VECTORS = 5  # of features, at most, from measurements with AVX-512 and AVX2
AHEAD = 64  # rows from those visited to the ones that memory is asked for: some blocks
HAS_MANY_REGISTERS = N_REGISTERS == 32  # for tiles of 16 outputs


def as_narrow(rows):
    """The same rows, as `NarrowRows` where that is quicker."""
    if not isinstance(rows, DenseRows):
        return rows
    most = MOST_VECTORS * padded_outputs(1, rows.values.dtype)
    return NarrowRows(rows.values) if rows.values.shape[1] <= most else rows


def new_lines(rows):
    """Memory for `turn_rows`."""
    n_lines = padded_outputs(rows.values.shape[1], rows.values.dtype)
    return aligned_zeros((n_lines, ROWS_PER_BLOCK), rows.values.dtype)


@helper
def prefetch_features(rows, i):
    """Ask for a row, and for what the vector that a short row is loaded in reaches beside it."""
    values = rows.values
    n_features = values.shape[1]
    step = LINE // values.itemsize
    first = i * n_features
    last = first + max(n_features, lanes_of(values)) - 1
    prefetch(values, first)
    for p in range(first + step, last, step):
        prefetch(values, p)
    prefetch(values, last)


@helper
def turn_rows(rows, part, shift, lines):
    """Put rows less the shift, empty for none, side by side."""
    n_features = rows.values.shape[1]
    width = lines.shape[1]
    lanes = lanes_of(lines)
    for i in range(0, part.size, lanes):
        for at in range(0, n_features, lanes):
            j = min(at, max(n_features - lanes, 0))  # the last ones again, as in `gradient_tile`
            turn_in(rows.values, part, i, part.size - i, j, n_features - j, lines, j, i)
        for j in range(shift.size):
            store(lines, j * width + i, load(lines, j * width + i) - shift[j])


@helper
def score_lines(lines, n_rows, coef, intercept, out):
    """out[k, i] = coef[k] @ row i + intercept[k]."""
    n_outputs = coef.shape[0]
    for i in range(0, n_rows, lanes_of(out)):
        k = 0
        while k < n_outputs:
            left = n_outputs - k
            if left >= 16 and HAS_MANY_REGISTERS:
                score_tile(lines, i, coef, intercept, k, 16, out)
                k += 16
            elif left >= 8:
                score_tile(lines, i, coef, intercept, k, 8, out)
                k += 8
            elif left >= 4:
                score_tile(lines, i, coef, intercept, k, 4, out)
                k += 4
            elif left >= 2:
                score_tile(lines, i, coef, intercept, k, 2, out)
                k += 2
            else:
                score_tile(lines, i, coef, intercept, k, 1, out)
                k += 1


@helper
def add_slopes(rows, part, shift, slopes, gradient):
    """Gradient += slopes of rows, side by side, times the rows less the shift."""
    n_outputs = gradient.shape[0]
    k = 0
    while k < n_outputs:
        left = n_outputs - k
        if left >= 16 and HAS_MANY_REGISTERS:
            gradient_tile(rows.values, part, shift, slopes, gradient, k, 16)
            k += 16
        elif left >= 8:
            gradient_tile(rows.values, part, shift, slopes, gradient, k, 8)
            k += 8
        elif left >= 4:
            gradient_tile(rows.values, part, shift, slopes, gradient, k, 4)
            k += 4
        elif left >= 2:
            gradient_tile(rows.values, part, shift, slopes, gradient, k, 2)
            k += 2
        else:
            gradient_tile(rows.values, part, shift, slopes, gradient, k, 1)
            k += 1
