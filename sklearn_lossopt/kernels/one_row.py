"""A row at a time, for dual coordinate ascent: loaded into memory of its own, scored, added on."""

from .prefetch import prefetch
from .rows import LINE, by_storage


def _prefetch_row_dense(rows, i):
    """Ask for a row that comes soon: rows in random order are not where the processor guesses."""
    values = rows.values
    n_features = values.shape[1]
    for j in range(0, n_features, LINE // values.itemsize):
        prefetch(values, i * n_features + j)


def _prefetch_row_csr(rows, i):
    for p in range(rows.indptr[i], rows.indptr[i + 1], LINE // rows.data.itemsize):
        prefetch(rows.data, p)
        prefetch(rows.indices, p)


def _load_row_dense(rows, i, shift, scale, out):
    """Load ``(x_i - shift) * scale``; gives its squared norm. Padding of `out` stays zero."""
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


def _load_row_csr(rows, i, shift, scale, out):
    data, indices = rows.data, rows.indices
    start = rows.indptr[i]
    norm = data.dtype.type(0)
    for p in range(start, rows.indptr[i + 1]):
        value = data[p] * scale[indices[p]]
        out[p - start] = value
        norm += value * value
    return norm


def _dot_row_dense(rows, i, x, coef, intercept, out):
    """Put coef @ x + intercept into `out`, for the loaded row x, four outputs at a time."""
    n_outputs, n_features = coef.shape
    zero = x.dtype.type(0)
    k = 0
    while k + 4 <= n_outputs:
        w0 = coef[k]
        w1 = coef[k + 1]
        w2 = coef[k + 2]
        w3 = coef[k + 3]
        a0 = a1 = a2 = a3 = zero
        for j in range(n_features):
            a0 += x[j] * w0[j]
            a1 += x[j] * w1[j]
            a2 += x[j] * w2[j]
            a3 += x[j] * w3[j]
        out[k] = a0 + intercept[k]
        out[k + 1] = a1 + intercept[k + 1]
        out[k + 2] = a2 + intercept[k + 2]
        out[k + 3] = a3 + intercept[k + 3]
        k += 4
    if k + 2 <= n_outputs:
        w0 = coef[k]
        w1 = coef[k + 1]
        a0 = a1 = zero
        for j in range(n_features):
            a0 += x[j] * w0[j]
            a1 += x[j] * w1[j]
        out[k] = a0 + intercept[k]
        out[k + 1] = a1 + intercept[k + 1]
        k += 2
    if k < n_outputs:
        w0 = coef[k]
        a0 = zero
        for j in range(n_features):
            a0 += x[j] * w0[j]
        out[k] = a0 + intercept[k]


def _dot_row_csr(rows, i, x, coef, intercept, out):
    indices = rows.indices
    n_outputs = coef.shape[1]
    start = rows.indptr[i]
    n_stored = rows.indptr[i + 1] - start
    if n_outputs == 1:
        # A loop over one output costs more than its work.
        total = intercept[0]
        for p in range(n_stored):
            total += x[p] * coef[indices[start + p], 0]
        out[0] = total
        return
    for k in range(n_outputs):
        out[k] = intercept[k]
    p = 0
    while p + 4 <= n_stored:
        x0 = x[p]
        x1 = x[p + 1]
        x2 = x[p + 2]
        x3 = x[p + 3]
        j0 = indices[start + p]
        j1 = indices[start + p + 1]
        j2 = indices[start + p + 2]
        j3 = indices[start + p + 3]
        for k in range(n_outputs):
            out[k] += x0 * coef[j0, k] + x1 * coef[j1, k] + x2 * coef[j2, k] + x3 * coef[j3, k]
        p += 4
    while p < n_stored:
        x0 = x[p]
        j0 = indices[start + p]
        for k in range(n_outputs):
            out[k] += x0 * coef[j0, k]
        p += 1


def _add_row_dense(rows, i, x, step, coef):
    """Add step (outer) x for the loaded row x."""
    n_outputs, n_features = coef.shape
    for k in range(n_outputs):
        w0 = coef[k]
        s0 = step[k]
        for j in range(n_features):
            w0[j] += s0 * x[j]


def _add_row_csr(rows, i, x, step, coef):
    indices = rows.indices
    n_outputs = coef.shape[1]
    start = rows.indptr[i]
    n_stored = rows.indptr[i + 1] - start
    if n_outputs == 1:
        for p in range(n_stored):
            coef[indices[start + p], 0] += x[p] * step[0]
        return
    for p in range(n_stored):
        x0 = x[p]
        j = indices[start + p]
        for k in range(n_outputs):
            coef[j, k] += x0 * step[k]


def _add_then_dot_dense(rows, i, x, step, following, y, coef, intercept, out):
    """`add_row` of x, then `dot_row` of y, the next: one trip through coef instead of two."""
    n_outputs, n_features = coef.shape
    zero = x.dtype.type(0)
    k = 0
    while k + 2 <= n_outputs:
        w0 = coef[k]
        w1 = coef[k + 1]
        s0 = step[k]
        s1 = step[k + 1]
        a0 = a1 = zero
        for j in range(n_features):
            new0 = w0[j] + s0 * x[j]
            new1 = w1[j] + s1 * x[j]
            w0[j] = new0
            w1[j] = new1
            a0 += new0 * y[j]
            a1 += new1 * y[j]
        out[k] = a0 + intercept[k]
        out[k + 1] = a1 + intercept[k + 1]
        k += 2
    if k < n_outputs:
        w0 = coef[k]
        s0 = step[k]
        a0 = zero
        for j in range(n_features):
            new0 = w0[j] + s0 * x[j]
            w0[j] = new0
            a0 += new0 * y[j]
        out[k] = a0 + intercept[k]


def _add_then_dot_csr(rows, i, x, step, following, y, coef, intercept, out):
    add_row(rows, i, x, step, coef)
    dot_row(rows, following, y, coef, intercept, out)


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
prefetch_row = by_storage(_prefetch_row_dense, _prefetch_row_csr)
dot_row = by_storage(_dot_row_dense, _dot_row_csr)
add_row = by_storage(_add_row_dense, _add_row_csr)
add_then_dot = by_storage(_add_then_dot_dense, _add_then_dot_csr)
threshold_row = by_storage(_threshold_row_dense, _threshold_row_csr)
