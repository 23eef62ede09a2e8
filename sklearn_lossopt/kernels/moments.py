"""Mean, spread and range of each feature, in float64 and one pass."""

import numpy as np

from ._jit import kernel
from .rows import by_storage


def _add_row_dense(rows, i, w, origin, sums, squares, low, high, count):
    x = rows.values[i]
    for j in range(x.size):
        value = float(x[j]) - origin[j]
        sums[j] += w * value
        squares[j] += w * value * value
        low[j] = min(low[j], value)
        high[j] = max(high[j], value)


def _add_row_csr(rows, i, w, origin, sums, squares, low, high, count):
    for p in range(rows.indptr[i], rows.indptr[i + 1]):
        j = rows.indices[p]
        value = float(rows.data[p])
        sums[j] += w * value
        squares[j] += w * value * value
        low[j] = min(low[j], value)
        high[j] = max(high[j], value)
        count[j] += 1


_add_row = by_storage(_add_row_dense, _add_row_csr)


@kernel
def sum_moments(rows, index, weight, origin):
    """Sums over rows of w, w^2, w (x - origin) and w (x - origin)^2, their range, and stored entries.

    The range starts at 0, which for an origin within the data (dense: a row; CSR: 0) is right.
    """
    n_features = origin.size
    sums = np.zeros(n_features)
    squares = np.zeros(n_features)
    low = np.zeros(n_features)
    high = np.zeros(n_features)
    count = np.zeros(n_features, np.int64)
    mass = 0.0
    square_mass = 0.0
    for i in index:
        w = float(weight[i])
        mass += w
        square_mass += w * w
        _add_row(rows, i, w, origin, sums, squares, low, high, count)
    return mass, square_mass, sums, squares, low, high, count
