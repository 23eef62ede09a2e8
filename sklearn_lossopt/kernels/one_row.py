"""A row at a time, for dual coordinate ascent: loaded into memory of its own, scored, added on."""

import numpy as np

from .rows import add_entries, by_storage, dot_entries, dot_stored, prefetch_lines
from .vectors import lanes_of, load, spread, store, total


def _load_row_dense(rows, i, shift, scale, out, coef):
    """Load ``(x_i - shift) * scale``; gives its squared norm. Padding of `out` stays zero.

    Sparse rows ask for their coefficients meanwhile.
    """
    x = rows.values[i]
    norm = x.dtype.type(0)
    if shift.size == 0:
        for j in range(x.size):
            value = x[j] * scale[j]
            out[j] = value
            norm += value * value
    else:
        for j in range(x.size):
            value = (x[j] - shift[j]) * scale[j]
            out[j] = value
            norm += value * value
    return norm


def _load_row_csr(rows, i, shift, scale, out, coef):
    start, stop = rows.indptr[i], rows.indptr[i + 1]
    data, indices = rows.data[start:stop], rows.indices[start:stop]
    prefetch_lines(indices, coef)
    norm = data.dtype.type(0)
    for p in range(indices.size):
        value = data[p] * scale[np.uint64(indices[p])]  # never negative, which need not be looked after
        out[p] = value
        norm += value * value
    return norm


def _dot_row_dense(rows, i, x, coef, intercept, out):
    """Put coef @ x + intercept into `out`, for the loaded row x, four outputs at a time."""
    n_outputs, n_features = coef.shape
    lanes = lanes_of(coef)
    nothing = spread(coef.dtype.type(0), coef)
    k = 0
    while k + 4 <= n_outputs:
        a0 = a1 = a2 = a3 = nothing
        first = k * n_features
        for j in range(0, n_features, lanes):
            here = load(x, j)
            a0 = a0 + here * load(coef, first + j)
            a1 = a1 + here * load(coef, first + n_features + j)
            a2 = a2 + here * load(coef, first + 2 * n_features + j)
            a3 = a3 + here * load(coef, first + 3 * n_features + j)
        out[k] = total(a0) + intercept[k]
        out[k + 1] = total(a1) + intercept[k + 1]
        out[k + 2] = total(a2) + intercept[k + 2]
        out[k + 3] = total(a3) + intercept[k + 3]
        k += 4
    while k < n_outputs:
        a0 = nothing
        for j in range(0, n_features, lanes):
            a0 = a0 + load(x, j) * load(coef, k * n_features + j)
        out[k] = total(a0) + intercept[k]
        k += 1


def _dot_row_csr(rows, i, x, coef, intercept, out):
    start, stop = rows.indptr[i], rows.indptr[i + 1]
    if coef.shape[1] == 1:
        out[0] = dot_stored(rows, start, stop, x, coef, intercept, out)
    else:
        dot_entries(x, rows.indices[start:stop], coef, intercept, out, 0)


def _add_row_dense(rows, i, x, step, coef):
    """Add step (outer) x for the loaded row x."""
    n_outputs, n_features = coef.shape
    lanes = lanes_of(coef)
    for k in range(n_outputs):
        s0 = step[k]
        for j in range(k * n_features, (k + 1) * n_features, lanes):
            store(coef, j, load(coef, j) + load(x, j - k * n_features) * s0)


def _add_row_csr(rows, i, x, step, coef):
    indices = rows.indices[rows.indptr[i] : rows.indptr[i + 1]]
    add_entries(x, indices, step, 0, coef.shape[1], coef)


def _threshold_row_dense(rows, i, accumulated, threshold, coef):
    """Set coef to soft(accumulated, threshold), wherever the row may have changed it."""
    n_outputs, n_features = coef.shape
    zero = coef.dtype.type(0)
    for k in range(n_outputs):
        q = accumulated[k]
        w = coef[k]
        for j in range(n_features):
            w[j] = max(q[j] - threshold[j], zero) + min(q[j] + threshold[j], zero)


def _threshold_row_csr(rows, i, accumulated, threshold, coef):
    zero = coef.dtype.type(0)
    for p in range(rows.indptr[i], rows.indptr[i + 1]):
        j = rows.indices[p]
        for k in range(coef.shape[1]):
            q = accumulated[j, k]
            coef[j, k] = max(q - threshold[j], zero) + min(q + threshold[j], zero)


load_row = by_storage(_load_row_dense, _load_row_csr)
dot_row = by_storage(_dot_row_dense, _dot_row_csr)
add_row = by_storage(_add_row_dense, _add_row_csr)
threshold_row = by_storage(_threshold_row_dense, _threshold_row_csr)
