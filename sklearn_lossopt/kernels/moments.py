"""Mean, spread and range of each feature, in float64 and one pass."""

import numpy as np

from ._jit import kernel
from .references import borrowed
from .rows import by_storage

TOGETHER = 4  # dense rows added in one trip through the sums
SUMS, SQUARES, LOW, HIGH, COUNT = range(5)  # what a feature has


def _table_dense(rows, n_features):
    return np.zeros((5, n_features))


def _table_csr(rows, n_features):
    return np.zeros((n_features, 8))  # a feature's numbers in one cache line


_table = by_storage(_table_dense, _table_csr)


def _add_rows_dense(rows, index, start, weight, origin, table):
    values = rows.values
    last = index.size - 1
    # Past the end the last row stands in, without weight.
    i, j, k, m = (
        index[start],
        index[min(start + 1, last)],
        index[min(start + 2, last)],
        index[min(start + 3, last)],
    )
    w_i = float(weight[i])
    w_j = float(weight[j]) if start + 1 <= last else 0.0
    w_k = float(weight[k]) if start + 2 <= last else 0.0
    w_m = float(weight[m]) if start + 3 <= last else 0.0
    x_i, x_j, x_k, x_m = values[i], values[j], values[k], values[m]
    sums, squares, low, high = table[SUMS], table[SQUARES], table[LOW], table[HIGH]
    for f in range(origin.size):
        a, b = float(x_i[f]) - origin[f], float(x_j[f]) - origin[f]
        c, d = float(x_k[f]) - origin[f], float(x_m[f]) - origin[f]
        wa, wb, wc, wd = w_i * a, w_j * b, w_k * c, w_m * d
        sums[f] += (wa + wb) + (wc + wd)
        squares[f] += (wa * a + wb * b) + (wc * c + wd * d)
        low[f] = min(low[f], min(min(a, b), min(c, d)))
        high[f] = max(high[f], max(max(a, b), max(c, d)))


def _add_rows_csr(rows, index, start, weight, origin, table):
    for i in index[start : start + TOGETHER]:
        w = float(weight[i])
        for p in range(rows.indptr[i], rows.indptr[i + 1]):
            feature = table[rows.indices[p]]
            value = float(rows.data[p])
            feature[SUMS] += w * value
            feature[SQUARES] += w * value * value
            feature[LOW] = min(feature[LOW], value)
            feature[HIGH] = max(feature[HIGH], value)
            feature[COUNT] += 1


_add_rows = by_storage(_add_rows_dense, _add_rows_csr)


@kernel
def sum_moments(rows, index, weight, origin):
    """Sums of w and w^2 over rows; by feature sums of w (x - origin) and w (x - origin)^2, range, entries.

    By feature it is a table with a line for each of the five, or of CSR rows a column. The range starts at
    0, which for an origin within the data (dense: a row; CSR: 0) is right; entries count what CSR stores.
    """
    rows, index, weight, origin = borrowed((rows, index, weight, origin))
    table = _table(rows, origin.size)
    own = borrowed(table)
    mass = 0.0
    square_mass = 0.0
    for start in range(0, index.size, TOGETHER):
        for i in index[start : start + TOGETHER]:
            w = float(weight[i])
            mass += w
            square_mass += w * w
        _add_rows(rows, index, start, weight, origin, own)
    return mass, square_mass, table
