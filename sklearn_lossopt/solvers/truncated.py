"""Newton's system of softmax without its whole matrix: conjugate gradients, preconditioned and cut short.

A product with the Hessian is two products of the rows with n_outputs vectors. How exact a step has to be
grows with how near the optimum is (Dembo, Eisenstat and Steihaug 1982). Arrays by row and output are laid
out by output here, (n_outputs, n_rows).
"""

import math

import numpy as np

from .second_order import ROOM, add_softmax, factor_of, solve_with, solver_of_all
from .standardized import StandardizedRows

QUICK = 5_000_000  # multiply-adds of the whole Hessian and its factors up to which products are no sooner
MOST_COLUMNS = 1000  # of matrices by feature
MOST_PARAMETERS = 2000  # of matrices by feature and output
MOST_PRODUCTS = 500  # of a step, where there can be no such matrix

LOOSE, TIGHT = 0.5, 1e-12  # the largest relative residual, and one that none has to be below
ROUGH = 0.3  # a decrement, relative, down to which any preconditioner will do
NEAR = 1e-2  # one from which on the Hessian hardly changes
NEGLIGIBLE = 0.03  # share of the curvature that may be left out, over the residual's square
ELEMENT = 10  # multiply-adds that take as long as the rest of a product, by row and output
SAMPLE = 4  # rows of a Hessian's estimate, over parameters
DEAREST = 30  # products that an estimate may take as long as
AFTER_WHOLE = 20  # products of a step that are left then: one would do, but for rounding
PATIENCE = 0.5  # products before the whole Hessian is formed, as a share of those it takes as long as


def pays(n_rows, n_parameters):
    """Whether a system is solved sooner this way than with the whole Hessian."""
    return _multiply_adds(n_rows, n_parameters) > QUICK


def _multiply_adds(n_rows, n_parameters):
    """Of a Hessian and its Cholesky factor."""
    return n_rows * n_parameters**2 / 2 + n_parameters**3 / 3


class SoftmaxSystem:
    """Newton's system at one point after the other.

    The preconditioner is a Kronecker product far from the optimum; then, where there are many more rows than
    parameters, the Hessian of a sample of them, kept as long as it serves; and, where these need more
    products than the whole Hessian is worth, that.

    Parameters
    ----------
    problem : Problem
        With softmax as its loss.
    state : SecondOrderRun
        Its rows, weights, scale and ridge.
    """

    def __init__(self, problem, state):
        self.problem = problem
        self.state = state
        self.shape = n_outputs, n_columns = state.parameters.shape
        self.diagonal = state.ridge + state.unused
        self.precondition = None
        self.kind = None  # of preconditioner: "kronecker", "estimate" or "whole"
        self.n_products = self.n_before = 0  # by now, and by the last step
        self.sizes = None  # squared norms of the standardized rows
        n_rows, n_parameters = len(state.index), n_outputs * n_columns
        product = n_rows * n_outputs * (2 * n_columns + ELEMENT)
        self.whole = _multiply_adds(n_rows, n_parameters) / product  # its time, in products
        self.n_sample = SAMPLE * n_parameters
        self.sampled = _multiply_adds(self.n_sample, n_parameters) / product
        self.samples = self.n_sample < n_rows / 2 and self.sampled < DEAREST
        self.forms_whole = n_parameters <= MOST_PARAMETERS
        self.rows = StandardizedRows(problem, state)

    def gradient(self, p):
        """Gradient of the objective, from the probabilities (n_outputs, n_rows)."""
        state = self.state
        gradient = state.ridge * state.parameters
        for part, block in self.rows.blocks():
            slopes = p[:, part].copy()
            slopes[state.target[part], np.arange(slopes.shape[1])] -= 1
            gradient += block.sums(slopes * state.weight[part])
        return gradient

    def derivatives(self, p):
        """The gradient, and a function that solves with the Hessian."""
        return self.gradient(p), lambda right: self.solve(p, right, self.state.value)

    def times(self, vectors, p, rows=None):
        """Product of the Hessian, or of the part of it that some rows give, with a vector of parameters."""
        blocks, p, weight = rows or (self.rows.blocks(), p, self.state.weight)
        out = self.diagonal * vectors
        for part, block in blocks:
            here = p[:, part]
            change = block.scores(vectors)
            change -= np.einsum("kn,kn->n", here, change)
            change *= here
            change *= weight[part]
            out += block.sums(change)
        self.n_products += 1
        return out

    def _rows_that_matter(self, p, share):
        """Those with all but a share of the curvature, where they are much fewer; else None."""
        if not self.rows.are_dense_and_kept:
            return None
        spread = self.state.weight * _spread(p)
        order = np.argsort(spread)
        total = np.cumsum(spread[order])
        used = order[np.searchsorted(total, share * total[-1]) :]
        if len(used) > 0.7 * len(order):
            return None
        used.sort()
        return self.rows.blocks_of(used), p[:, used], self.state.weight[used]

    def solve(self, p, gradient, value):
        """Solve with the Hessian, as exactly as is of use.

        Parameters
        ----------
        p : ndarray of shape (n_outputs, n_rows)
            Probabilities of the classes.
        gradient : ndarray of shape (n_outputs, n_columns)
            The right side.
        value : float
            The objective.

        Returns
        -------
        ndarray of shape (n_outputs, n_columns)
        """
        self._prepare(p)
        first = max(float(np.vdot(gradient, self.precondition(gradient))), 0.0)
        share = LOOSE * min(1.0, first / value) ** 0.25 if value > 0 else LOOSE
        rows = self._rows_that_matter(p, NEGLIGIBLE * share**2) if self.kind == "kronecker" else None
        most = max(1, int(PATIENCE * self.whole)) if self.forms_whole else MOST_PRODUCTS
        goal = max(share**2 * first, TIGHT**2 * value)
        found, is_enough = conjugate_gradients(
            lambda v: self.times(v, p, rows), self.precondition, gradient, goal, most
        )
        if not is_enough and self.forms_whole:
            self.precondition, self.kind = self._form_whole(p), "whole"
            first = float(np.vdot(gradient, self.precondition(gradient)))
            goal = max(share**2 * first, TIGHT**2 * value)
            found, _ = conjugate_gradients(
                lambda v: self.times(v, p), self.precondition, gradient, goal, AFTER_WHOLE
            )
        return found - found.mean(axis=0)  # the same line for every output changes no loss

    def _prepare(self, p):
        """Choose a preconditioner and compute it, unless the last one still serves."""
        decrement = self.state.decrement
        n_products, self.n_before = self.n_products - self.n_before, self.n_products
        if self.kind == "whole":
            return
        if not self.samples or decrement > ROUGH:
            self.precondition, self.kind = self.kronecker(p), "kronecker"
        elif self.kind != "estimate" or decrement > NEAR or n_products > self.sampled:
            self.precondition, self.kind = self.estimate(p), "estimate"

    def _form_whole(self, p):
        """Solver with the whole Hessian."""
        hessian = np.zeros((math.prod(self.shape),) * 2, order="F")
        for part, block in self.rows.dense_blocks():
            hessian = add_softmax(hessian, block.columns.T, p[:, part].T, self.state.weight[part])
        return solver_of_all(self.state, hessian)

    def _sample(self, p, n_picks):
        """Some rows, with weights that make up for the others.

        Rows that tell more of the Hessian are likelier: of outputs that are undecided, and of large values
        (features that few rows have are large where they are). Picks are evenly spaced, so not random.
        """
        if self.sizes is None:
            sizes = [
                np.einsum("jn,jn->n", block.columns, block.columns) for _, block in self.rows.dense_blocks()
            ]
            self.sizes = np.concatenate(sizes)
        spread = _spread(p)
        chance = self.state.weight * (spread + 0.1 * spread.mean()) * (self.sizes + self.shape[1])
        chance = np.cumsum(chance)
        chance /= chance[-1] or 1.0
        edges = np.floor(n_picks * chance + 0.5).astype(int)
        counts = np.diff(edges, prepend=0)
        sample = np.flatnonzero(counts)
        share = np.diff(chance, prepend=0)[sample]
        return sample, self.state.weight[sample] * counts[sample] / (n_picks * share)

    def estimate(self, p):
        """Solver with the Hessian of a sample of the rows."""
        sample, weight = self._sample(p, self.n_sample)
        hessian = np.zeros((math.prod(self.shape),) * 2, order="F")
        step = max(64, ROOM // len(hessian))
        for start in range(0, len(sample), step):
            part = slice(start, start + step)
            columns = self.rows.columns_of(sample[part])
            hessian = add_softmax(hessian, columns.T, p[:, sample[part]].T, weight[part])
        return solver_of_all(self.state, hessian)

    def kronecker(self, p):
        """Solver with a matrix by output, Kronecker product one by feature, plus the ridge.

        It is the Hessian where all rows are spread over the outputs alike. The matrix by feature is a
        multiple of the identity where there are too many features for another.
        """
        n_outputs, n_columns = self.shape
        weight = self.state.weight
        by_output = -(p * weight) @ p.T
        by_output[np.diag_indices(n_outputs)] += p @ weight
        total = float(np.trace(by_output))
        by_output /= total or 1.0
        by_output += 1 / n_outputs**2  # lifts the flat direction, the same for every output
        shares, turn = np.linalg.eigh(by_output)
        shares = np.maximum(shares, 0)
        if n_columns > MOST_COLUMNS:
            scale = total * shares[:, np.newaxis] + self.diagonal
            scale[scale == 0] = 1.0
            return lambda g: turn @ ((turn.T @ g) / scale)
        by_feature = self._by_feature(p)
        factors = [factor_of(share * by_feature + np.diag(self.diagonal)) for share in shares]
        return lambda g: (
            turn @ np.stack([solve_with(f, line) for f, line in zip(factors, turn.T @ g, strict=True)])
        )

    def _by_feature(self, p):
        """Sum over rows, or a sample where that would take long, of outer products times their spread."""
        n_outputs, n_columns = self.shape
        spread = _spread(p)
        out = np.zeros((n_columns, n_columns))
        if not self.problem.is_sparse and n_columns <= 16 * n_outputs:
            for part, block in self.rows.blocks():
                out += (block.columns * (self.state.weight[part] * spread[part])) @ block.columns.T
            return out
        sample, weight = self._sample(p, 16 * n_columns)
        for start in range(0, len(sample), 1024):
            part = slice(start, start + 1024)
            columns = self.rows.columns_of(sample[part])
            out += (columns * (weight[part] * spread[sample[part]])) @ columns.T
        return out


def conjugate_gradients(times, precondition, right, goal, most):
    """Solve until ``residual^T M^-1 residual <= goal``, M the preconditioner, with `most` products at most.

    Returns
    -------
    found : ndarray
        Never 0: at least one step is taken.
    is_enough : bool
        Whether the goal is met, or rounding lets it come no nearer.
    """
    found, residual = np.zeros_like(right), right.copy()
    ahead = precondition(residual)
    size = float(np.vdot(residual, ahead))
    for n in range(most):
        product = times(ahead)
        curvature = float(np.vdot(ahead, product))
        if not curvature > 0:  # rounding, or a direction without an end
            return (found if n else ahead), True
        found += size / curvature * ahead
        residual -= size / curvature * product
        better = precondition(residual)
        before, size = size, float(np.vdot(residual, better))
        if not size > goal:
            return found, True
        ahead = better + size / before * ahead
    return found, False


def _spread(p):
    """How undecided rows are: 0 where a probability is 1."""
    return np.maximum(1 - np.einsum("kn,kn->n", p, p), 0)
