"""The rows of X as kernels see them, and what differs between dense and CSR storage.

The storage is the *type* of the argument `rows`, so that every kernel above this file is written
once and compiled once a storage.
"""

from typing import NamedTuple

import numpy as np
from numba.extending import overload

from ._jit import OPTIONS, kernel

ROWS_PER_BLOCK = 32  # rows gathered, scored and differentiated while they are in the cache


class DenseRows(NamedTuple):
    """Rows of shape (n_rows, n_features), C order; coefficients are (n_outputs, n_features)."""

    values: np.ndarray


class CSRRows(NamedTuple):
    """Rows in canonical CSR form; coefficients are (n_features, n_outputs)."""

    data: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray
    n_features: int


LINE = 64  # bytes that the processor loads and stores at once


def aligned_zeros(shape, dtype):
    """Zeros that begin at a cache line: vectors that straddle two cost half the speed again."""
    n_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.zeros(n_bytes + LINE, np.uint8)
    start = -memory.ctypes.data % LINE
    return memory[start : start + n_bytes].view(dtype).reshape(shape)


def padded(n_features, dtype):
    """The next number of features that fills whole cache lines."""
    per_line = LINE // np.dtype(dtype).itemsize
    return -(-n_features // per_line) * per_line


def read_only(array):
    """A view that cannot be written: kernels take rows in this one form, whatever X was."""
    view = array.view()
    view.flags.writeable = False
    return view


def by_storage(dense, csr):
    """Make a function that is `dense` or `csr`, by the type of its first argument.

    The two are plain functions with the same arguments; within kernels Numba chooses while it compiles.
    """

    def dispatch(rows, *args):
        return (dense if isinstance(rows, DenseRows) else csr)(rows, *args)

    @overload(dispatch, jit_options=OPTIONS, strict=False)
    def choose(rows, *args):
        return dense if rows.instance_class is DenseRows else csr

    return dispatch


# ------------------------------------------------------------------------------------ gathering


def _gather_dense(rows, index, shift, block):
    """Rows less the shift, and where they are: contiguous, and exact where means are large.

    `block` is an array to write to, read-only `DenseRows` over the same memory, and the numbers
    of its rows: of the types of `rows` and `index`, so that kernels downstream are compiled once.
    """
    copy, near, numbers = block
    if shift.size == 0:
        return rows, index
    for i in range(index.size):
        source = rows.values[index[i]]
        target = copy[i]
        for j in range(shift.size):
            target[j] = source[j] - shift[j]
    return near, numbers[: index.size]


def _gather_csr(rows, index, shift, block):
    return rows, index


gather = by_storage(_gather_dense, _gather_csr)


def new_block(rows, index):
    """Memory for `gather`, made in Python: kernels cannot make a read-only array."""
    if isinstance(rows, CSRRows):
        return None
    block = np.empty((ROWS_PER_BLOCK, rows.values.shape[1]), rows.values.dtype)
    return block, DenseRows(read_only(block)), np.arange(ROWS_PER_BLOCK, dtype=index.dtype)


# --------------------------------------------------------------------------- scores and gradient


def _scores_dense(rows, index, coef, intercept, out):
    """out[i] = coef @ x_index[i] + intercept, four rows by four outputs at a time in registers."""
    values = rows.values
    n_rows = index.size
    n_outputs, n_features = coef.shape
    zero = values.dtype.type(0)
    whole = n_rows - n_rows % 4
    for i in range(0, whole, 4):
        x0 = values[index[i]]
        x1 = values[index[i + 1]]
        x2 = values[index[i + 2]]
        x3 = values[index[i + 3]]
        k = 0
        while k + 4 <= n_outputs:
            w0 = coef[k]
            w1 = coef[k + 1]
            w2 = coef[k + 2]
            w3 = coef[k + 3]
            a00 = a01 = a02 = a03 = zero
            a10 = a11 = a12 = a13 = zero
            a20 = a21 = a22 = a23 = zero
            a30 = a31 = a32 = a33 = zero
            for j in range(n_features):
                a00 += x0[j] * w0[j]
                a01 += x0[j] * w1[j]
                a02 += x0[j] * w2[j]
                a03 += x0[j] * w3[j]
                a10 += x1[j] * w0[j]
                a11 += x1[j] * w1[j]
                a12 += x1[j] * w2[j]
                a13 += x1[j] * w3[j]
                a20 += x2[j] * w0[j]
                a21 += x2[j] * w1[j]
                a22 += x2[j] * w2[j]
                a23 += x2[j] * w3[j]
                a30 += x3[j] * w0[j]
                a31 += x3[j] * w1[j]
                a32 += x3[j] * w2[j]
                a33 += x3[j] * w3[j]
            out[i, k] = a00 + intercept[k]
            out[i, k + 1] = a01 + intercept[k + 1]
            out[i, k + 2] = a02 + intercept[k + 2]
            out[i, k + 3] = a03 + intercept[k + 3]
            out[i + 1, k] = a10 + intercept[k]
            out[i + 1, k + 1] = a11 + intercept[k + 1]
            out[i + 1, k + 2] = a12 + intercept[k + 2]
            out[i + 1, k + 3] = a13 + intercept[k + 3]
            out[i + 2, k] = a20 + intercept[k]
            out[i + 2, k + 1] = a21 + intercept[k + 1]
            out[i + 2, k + 2] = a22 + intercept[k + 2]
            out[i + 2, k + 3] = a23 + intercept[k + 3]
            out[i + 3, k] = a30 + intercept[k]
            out[i + 3, k + 1] = a31 + intercept[k + 1]
            out[i + 3, k + 2] = a32 + intercept[k + 2]
            out[i + 3, k + 3] = a33 + intercept[k + 3]
            k += 4
        if k + 2 <= n_outputs:
            w0 = coef[k]
            w1 = coef[k + 1]
            a00 = a01 = a10 = a11 = a20 = a21 = a30 = a31 = zero
            for j in range(n_features):
                a00 += x0[j] * w0[j]
                a01 += x0[j] * w1[j]
                a10 += x1[j] * w0[j]
                a11 += x1[j] * w1[j]
                a20 += x2[j] * w0[j]
                a21 += x2[j] * w1[j]
                a30 += x3[j] * w0[j]
                a31 += x3[j] * w1[j]
            out[i, k] = a00 + intercept[k]
            out[i, k + 1] = a01 + intercept[k + 1]
            out[i + 1, k] = a10 + intercept[k]
            out[i + 1, k + 1] = a11 + intercept[k + 1]
            out[i + 2, k] = a20 + intercept[k]
            out[i + 2, k + 1] = a21 + intercept[k + 1]
            out[i + 3, k] = a30 + intercept[k]
            out[i + 3, k + 1] = a31 + intercept[k + 1]
            k += 2
        if k < n_outputs:
            w0 = coef[k]
            a00 = a10 = a20 = a30 = zero
            for j in range(n_features):
                a00 += x0[j] * w0[j]
                a10 += x1[j] * w0[j]
                a20 += x2[j] * w0[j]
                a30 += x3[j] * w0[j]
            out[i, k] = a00 + intercept[k]
            out[i + 1, k] = a10 + intercept[k]
            out[i + 2, k] = a20 + intercept[k]
            out[i + 3, k] = a30 + intercept[k]
    for i in range(whole, n_rows):
        x0 = values[index[i]]
        for k in range(n_outputs):
            w0 = coef[k]
            a00 = zero
            for j in range(n_features):
                a00 += x0[j] * w0[j]
            out[i, k] = a00 + intercept[k]


def _scores_csr(rows, index, coef, intercept, out):
    """out[i] = x_index[i] @ coef + intercept, four stored entries at a time."""
    data, indices, indptr = rows.data, rows.indices, rows.indptr
    n_outputs = coef.shape[1]
    for i in range(index.size):
        if n_outputs == 1:
            # A loop over one output costs more than its work.
            total = intercept[0]
            for p in range(indptr[index[i]], indptr[index[i] + 1]):
                total += data[p] * coef[indices[p], 0]
            out[i, 0] = total
            continue
        for k in range(n_outputs):
            out[i, k] = intercept[k]
        p = indptr[index[i]]
        stop = indptr[index[i] + 1]
        while p + 4 <= stop:
            x0 = data[p]
            x1 = data[p + 1]
            x2 = data[p + 2]
            x3 = data[p + 3]
            j0 = indices[p]
            j1 = indices[p + 1]
            j2 = indices[p + 2]
            j3 = indices[p + 3]
            for k in range(n_outputs):
                out[i, k] += x0 * coef[j0, k] + x1 * coef[j1, k] + x2 * coef[j2, k] + x3 * coef[j3, k]
            p += 4
        while p < stop:
            x0 = data[p]
            j0 = indices[p]
            for k in range(n_outputs):
                out[i, k] += x0 * coef[j0, k]
            p += 1


def _add_gradient_dense(rows, index, slopes, gradient, touched, n_touched):
    """Gradient += slopes^T X, four rows by four outputs at a time."""
    values = rows.values
    n_rows = index.size
    n_outputs, n_features = gradient.shape
    whole = n_rows - n_rows % 4
    for i in range(0, whole, 4):
        x0 = values[index[i]]
        x1 = values[index[i + 1]]
        x2 = values[index[i + 2]]
        x3 = values[index[i + 3]]
        k = 0
        while k + 4 <= n_outputs:
            g0 = gradient[k]
            g1 = gradient[k + 1]
            g2 = gradient[k + 2]
            g3 = gradient[k + 3]
            s00 = slopes[i, k]
            s01 = slopes[i, k + 1]
            s02 = slopes[i, k + 2]
            s03 = slopes[i, k + 3]
            s10 = slopes[i + 1, k]
            s11 = slopes[i + 1, k + 1]
            s12 = slopes[i + 1, k + 2]
            s13 = slopes[i + 1, k + 3]
            s20 = slopes[i + 2, k]
            s21 = slopes[i + 2, k + 1]
            s22 = slopes[i + 2, k + 2]
            s23 = slopes[i + 2, k + 3]
            s30 = slopes[i + 3, k]
            s31 = slopes[i + 3, k + 1]
            s32 = slopes[i + 3, k + 2]
            s33 = slopes[i + 3, k + 3]
            for j in range(n_features):
                u0 = x0[j]
                u1 = x1[j]
                u2 = x2[j]
                u3 = x3[j]
                g0[j] += s00 * u0 + s10 * u1 + s20 * u2 + s30 * u3
                g1[j] += s01 * u0 + s11 * u1 + s21 * u2 + s31 * u3
                g2[j] += s02 * u0 + s12 * u1 + s22 * u2 + s32 * u3
                g3[j] += s03 * u0 + s13 * u1 + s23 * u2 + s33 * u3
            k += 4
        if k + 2 <= n_outputs:
            g0 = gradient[k]
            g1 = gradient[k + 1]
            s00 = slopes[i, k]
            s01 = slopes[i, k + 1]
            s10 = slopes[i + 1, k]
            s11 = slopes[i + 1, k + 1]
            s20 = slopes[i + 2, k]
            s21 = slopes[i + 2, k + 1]
            s30 = slopes[i + 3, k]
            s31 = slopes[i + 3, k + 1]
            for j in range(n_features):
                u0 = x0[j]
                u1 = x1[j]
                u2 = x2[j]
                u3 = x3[j]
                g0[j] += s00 * u0 + s10 * u1 + s20 * u2 + s30 * u3
                g1[j] += s01 * u0 + s11 * u1 + s21 * u2 + s31 * u3
            k += 2
        if k < n_outputs:
            g0 = gradient[k]
            s00 = slopes[i, k]
            s10 = slopes[i + 1, k]
            s20 = slopes[i + 2, k]
            s30 = slopes[i + 3, k]
            for j in range(n_features):
                g0[j] += s00 * x0[j] + s10 * x1[j] + s20 * x2[j] + s30 * x3[j]
    for i in range(whole, n_rows):
        x0 = values[index[i]]
        for k in range(n_outputs):
            g0 = gradient[k]
            s00 = slopes[i, k]
            for j in range(n_features):
                g0[j] += s00 * x0[j]
    return n_touched


def _add_gradient_csr(rows, index, slopes, gradient, touched, n_touched):
    """gradient[slot[j]] += (X^T slopes)[j]: the touched features, side by side in the cache.

    `touched` is (lines, slot): the feature of each slot in use, and the slot of each feature, -1
    for none yet. The gradient of slots not in use is zero.
    """
    lines, slot = touched
    data, indices, indptr = rows.data, rows.indices, rows.indptr
    n_outputs = gradient.shape[1]
    for i in range(index.size):
        for p in range(indptr[index[i]], indptr[index[i] + 1]):
            j = indices[p]
            t = slot[j]
            if t < 0:
                t = n_touched
                slot[j] = t
                lines[t] = j
                n_touched += 1
            x = data[p]
            for k in range(n_outputs):
                gradient[t, k] += x * slopes[i, k]
    return n_touched


scores = by_storage(_scores_dense, _scores_csr)
add_gradient = by_storage(_add_gradient_dense, _add_gradient_csr)


@kernel
def has_duplicates(indices, indptr, n_features):
    """Whether a row of a CSR matrix stores a feature twice; the order in a row does not matter."""
    last_row = np.full(n_features, -1)
    for i in range(indptr.size - 1):
        for p in range(indptr[i], indptr[i + 1]):
            if last_row[indices[p]] == i:
                return True
            last_row[indices[p]] = i
    return False
