"""Scores, classes and probabilities of many rows, by kernels on as many threads as BLAS would take.

A product of X and few coefficients is slow in BLAS, and what NumPy does with its result, row by row and array
after array, takes as long again. Kernels do it all while a block of rows is in the cache.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from ._blas import openblas_threads
from ._threads import by_parts
from .kernels._jit import is_kept
from .kernels.narrow import as_narrow
from .kernels.predict import classify_rows, new_room, score_rows, weigh_classes, weigh_pairs
from .kernels.rows import CSRRows, DenseRows, read_only
from .problem import as_rows

PLAIN = (np.ndarray, np.memmap)  # others have a mind of their own
# Products of X and coefficients from which kernels are quicker: fewer take as long as to call them.
MANY = 2_000_000
WORTH_A_COPY = 20  # dense rows that are worth a copy of the coefficients, as a fit to sparse ones left them
SIDE_BY_SIDE = 6  # scores of a row from which on they are sooner there from rows side by side
# Rough nanoseconds of a product, dense and CSR, and of a thread's work that is worth starting it.
DENSE_TERM, CSR_TERM, LONG_WORK = 0.05, 0.4, 4e6


@dataclass(frozen=True)
class ManyRows:
    """Rows and the coefficients that kernels are to meet them with; made by `of`.

    All answers are None where a score is not finite, as it is wherever a row is not, or nearly so.
    """

    rows: DenseRows | CSRRows
    index: np.ndarray
    coef: np.ndarray
    intercept: np.ndarray
    n_threads: int

    @classmethod
    def of(cls, X, coef, intercept):
        """Rows for the kernels, or None where NumPy and SciPy are as quick or there is no kernel.

        Parameters
        ----------
        X : {ndarray, sparse matrix} of shape (n_samples, n_features)
            Validated rows, but for whether they are finite.
        coef : {ndarray, sparse matrix} of shape (n_outputs, n_features)
        intercept : ndarray of shape (n_outputs,)
            These two as a fit leaves them: if they are anything else, NumPy knows what to do.

        Returns
        -------
        ManyRows or None
        """
        is_sparse = sparse.issparse(X)
        dense = (coef, intercept) if is_sparse else (coef, intercept, X)
        if any(type(array) not in PLAIN for array in dense):
            return None
        if not (coef.dtype == intercept.dtype == X.dtype and coef.dtype in (np.float32, np.float64)):
            return None
        n_outputs, n_rows = len(coef), X.shape[0]
        if coef.shape != (n_outputs, X.shape[1]) or intercept.shape != (n_outputs,):
            return None
        if (X.nnz if is_sparse else X.size) * n_outputs < MANY or not is_kept(score_rows):
            return None
        n_threads = openblas_threads()
        if is_sparse:
            coef = coef.T
        else:
            copies = not coef.flags.c_contiguous
            if not (n_threads and X.flags.c_contiguous) or (copies and n_rows < WORTH_A_COPY):
                return None
        work = X.nnz * n_outputs * CSR_TERM if is_sparse else X.size * n_outputs * DENSE_TERM
        return cls(
            as_rows(X if is_sparse else np.asarray(X)),
            np.arange(n_rows, dtype=np.int32 if n_rows <= np.iinfo(np.int32).max else np.int64),
            # Of a memory-mapped model they cannot be written: that would be to compile everything again.
            read_only(np.ascontiguousarray(np.asarray(coef))),
            read_only(np.ascontiguousarray(np.asarray(intercept))),
            max(1, min(n_threads, n_rows, int(work / LONG_WORK))),
        )

    def scores(self):
        """Scores, (n_samples,) of one output, else (n_samples, n_outputs)."""
        out = np.empty((len(self.index), len(self.intercept)), self.coef.dtype)
        rows = as_narrow(self.rows) if len(self.intercept) >= SIDE_BY_SIDE else self.rows
        if not self._run(score_rows, rows, (), out):
            return None
        return out.ravel() if out.shape[1] == 1 else out

    def classes(self):
        """Numbers of the classes with the largest scores."""
        if len(self.intercept) == 1:
            scores = self.scores()
            return None if scores is None else (scores > 0).astype(np.intp)
        out = np.empty(len(self.index), np.intp)
        return out if self._run(classify_rows, as_narrow(self.rows), (), out) else None

    def probabilities(self, divisor, is_log):
        """The softmax of scores / divisor, (n_samples, n_classes), or its logarithm."""
        if len(self.intercept) == 1:
            scores = self.scores()
            if scores is None:
                return None
            out = np.empty((len(scores), 2), scores.dtype)
            weigh_pairs(scores, float(divisor), is_log, out)
            return out
        out = np.empty((len(self.index), len(self.intercept)), self.coef.dtype)
        rows = as_narrow(self.rows)
        return out if self._run(weigh_classes, rows, (float(divisor), is_log), out) else None

    def _run(self, kernel, rows, settings, out):
        """Run a kernel on parts of the rows side by side: the parts do not change what it makes of a row."""

        def run(part):
            room = new_room(rows, len(self.intercept), self.coef.dtype)
            here = out[part[0] : part[-1] + 1]
            return kernel(rows, part, self.coef, self.intercept, *settings, room, here)

        return all(by_parts(run, self.index, self.n_threads))
