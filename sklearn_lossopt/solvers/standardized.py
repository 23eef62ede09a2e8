"""The rows in use as Newton's method of softmax and the interior point see them: standardized, in float64.

Arrays by row and output are laid out by output, (n_outputs, n_rows): NumPy is slow along short lines.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import sparse

FREE_MEMORY = 2**26  # bytes that standardized rows may take besides X
BLOCK = 2**16  # numbers of a block of rows and their scores: they should stay in the cache


@dataclass
class DenseBlock:
    """Standardized rows with a 1 at their end, side by side: (n_columns, rows), C order."""

    columns: np.ndarray

    def scores(self, vectors):
        return vectors @ self.columns

    def sums(self, weighted):
        """Sums of the rows, weighted, for each output."""
        return weighted @ self.columns.T


@dataclass
class SparseBlock:
    """The same of sparse rows, which stay as they are."""

    matrix: sparse.csr_array
    shift: np.ndarray
    scale: np.ndarray
    intercept: float  # 1 or 0

    def __post_init__(self):
        self.transposed = self.matrix.T.tocsr()

    def scores(self, vectors):
        coef = vectors[:, :-1] * self.scale
        free = self.intercept * vectors[:, -1] - coef @ self.shift
        return np.ascontiguousarray((self.matrix @ coef.T + free).T)

    def sums(self, weighted):
        total = weighted.sum(axis=1)
        raw = (self.transposed @ weighted.T).T
        return np.column_stack(
            [(raw - np.outer(total, self.shift)) * self.scale, total * self.intercept],
        )


class StandardizedRows:
    """All rows in use, in blocks, which stay where there is room for them.

    Parameters
    ----------
    problem : Problem
    state : SecondOrderRun
        Its rows, shift and scale.
    """

    def __init__(self, problem, state):
        self.problem, self.state = problem, state
        self.shape = state.parameters.shape
        n_rows, n_columns = len(state.index), self.shape[1]
        self.kept = None
        if problem.is_sparse:
            matrix = problem.matrix[state.index].astype(np.float64)
            block = SparseBlock(matrix, state.shift, state.scale, float(problem.fit_intercept))
            self.kept = [(slice(0, n_rows), block)]
        elif 8 * n_rows * n_columns <= FREE_MEMORY:
            self.kept = list(self._new_blocks())

    @property
    def are_dense_and_kept(self):
        return self.kept is not None and not self.problem.is_sparse

    def _parts(self, n_rows):
        n_parts = max(1, round(n_rows * sum(self.shape) / BLOCK))
        edges = [n_rows * i // n_parts for i in range(n_parts + 1)]
        return [slice(*pair) for pair in pairwise(edges)]

    def blocks_of(self, rows):
        """Pairs of a slice of some rows, given by their numbers among those in use, and their block."""
        return [(part, DenseBlock(self.columns_of(rows[part]))) for part in self._parts(len(rows))]

    def blocks(self):
        """Pairs of a slice of the rows in use and their block."""
        return self._new_blocks() if self.kept is None else self.kept

    def dense_blocks(self):
        """The same where sparse rows will not do."""
        return self._new_blocks() if self.problem.is_sparse else self.blocks()

    def _new_blocks(self):
        return ((part, DenseBlock(self.columns_of(part))) for part in self._parts(len(self.state.index)))

    def columns_of(self, part):
        """Some of the rows in use, by a slice or their numbers, as `DenseBlock` has them."""
        return standardized_columns(self.problem, self.state, part)

    def scores(self, vectors):
        """Scores of all rows, (n_outputs, n_rows)."""
        scores = np.empty((len(vectors), len(self.state.index)))
        for part, block in self.blocks():
            scores[:, part] = block.scores(vectors)
        return scores


def standardized_columns(problem, state, part):
    """Standardized rows with a 1 at their end, side by side: (n_columns, rows)."""
    index = state.index[part]
    columns = np.empty((problem.n_features + 1, len(index)))
    columns[-1] = problem.fit_intercept
    shift, scale = state.shift[:, np.newaxis], state.scale[:, np.newaxis]
    # Lines and columns should both stay in the cache; to slice sparse rows takes longer than that saves.
    at_once = len(index) if problem.is_sparse else max(16, BLOCK // 4 // len(columns))
    for start in range(0, len(index), at_once or 1):
        few = slice(start, start + at_once)
        here = columns[:-1, few]
        np.subtract(problem.take(index[few]).T, shift, out=here)
        here *= scale
    return columns
