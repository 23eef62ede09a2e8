"""Features that change their units midway in a stream (m to mm): seen by most of a chunk's values."""

import numpy as np

from .kernels.rows import CSRRows

FEW = 30  # a feature's values other than 0; fewer in a chunk tell nothing
MOST_ROWS, LEAST_ROWS, VALUES = 2048, 256, 1 << 15  # of a chunk that are looked at
REMEMBERED = 10  # chunks that the typical size is averaged over
JUMP = np.log(10)  # and more, where sizes differ within a chunk


class Units:
    """Typical sizes of each feature's values, on a logarithmic scale and leaving out zeros.

    Medians and quartiles: an outlier, or a third of a chunk, moves them little; and how often a feature is 0
    does not count at all.

    Parameters
    ----------
    n_features : int
        Number of features.
    """

    def __init__(self, n_features):
        self.center = np.full(n_features, np.nan)
        self.width = np.zeros(n_features)  # between quartiles
        self.n_chunks = np.zeros(n_features, np.int64)

    def see(self, problem, before):
        """Take note of a chunk; say which features came in new units, and in which.

        Parameters
        ----------
        problem : Problem
            The chunk.
        before : Moments or None
            Of the chunks before; None: not known.

        Returns
        -------
        ndarray of shape (n_features,)
            New size over old size of each feature: 1 where it did not jump.
        """
        if len(problem.index) < FEW:
            return np.ones(problem.n_features)
        count, low, center, high = _quartiles(problem)
        with np.errstate(invalid="ignore"):
            change = center - self.center
            jumped = np.abs(change) > JUMP + np.maximum(self.width, high - low)
        jumped &= (count >= FEW) & (self.n_chunks > 0) & (before is not None)
        if jumped.any():
            # Where only the mean moved, as that of a date does, it is no change of units.
            with np.errstate(divide="ignore", invalid="ignore"):
                wider = np.log(problem.moments.deviation / before.deviation)
            is_constant = (before.deviation == 0) & (problem.moments.deviation == 0)
            jumped &= is_constant | (np.abs(wider - change) < JUMP)
        self.n_chunks[jumped] = 0
        self._remember(count >= FEW, center, high - low)
        return np.exp(np.where(jumped, change, 0.0))

    def _remember(self, known, center, width):
        self.n_chunks[known] += 1
        share = 1 / self.n_chunks[known].clip(1, REMEMBERED)
        for mean, new in ((self.center, center[known]), (self.width, width[known])):
            mean[known] = np.where(share == 1, new, mean[known] + share * (new - mean[known]))


def _quartiles(problem):
    """Of log |x| by feature over values other than 0 of some rows: their number, and the three quartiles."""
    n_rows = np.clip(VALUES // max(problem.n_features, 1), LEAST_ROWS, MOST_ROWS)
    index = problem.index[:: -(-len(problem.index) // n_rows)]
    rows = problem.rows
    if isinstance(rows, CSRRows):
        column, size = _stored(rows, index)
        size = size[np.lexsort((size, column))]
        count = np.bincount(column, minlength=rows.n_features)
        first = np.cumsum(count) - count
    else:
        size = np.sort(np.abs(rows.values[index].T), axis=1)
        count = np.count_nonzero(size, axis=1)
        first = np.arange(1, len(size) + 1) * len(index) - count  # zeros come first
        size = size.ravel()
    place = [first + (count - 1) * quarter // 4 for quarter in (1, 2, 3)]
    size = np.append(size, 0).astype(np.float64)
    with np.errstate(divide="ignore"):
        return count, *(np.where(count, np.log(size.take(each, mode="clip")), np.nan) for each in place)


def _stored(rows, index):
    """Columns and sizes of the values other than 0 in some CSR rows."""
    begin, end = rows.indptr[index], rows.indptr[index + 1]
    length = end - begin
    place = np.repeat(begin - np.cumsum(length) + length, length) + np.arange(length.sum())
    size, column = np.abs(rows.data[place]), rows.indices[place]
    return column[size > 0], size[size > 0]
