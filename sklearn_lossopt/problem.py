"""The optimization problem: rows, the ones in use, targets, weights, loss, penalty.

Solvers see this and never an estimator; subsets (folds, held-out rows) are index arrays, not copies.
"""

from dataclasses import dataclass, replace
from functools import cached_property, reduce
from itertools import chain
from typing import NamedTuple

import numpy as np
from scipy import sparse

from ._threads import by_parts
from .kernels import losses, predict
from .kernels.evaluate import new_room, sum_losses, sum_sizes
from .kernels.moments import sum_moments
from .kernels.narrow import as_narrow
from .kernels.rows import CSRRows, DenseRows, read_only
from .penalties import ElasticNet

# Moments are added up by at most so many parts of the rows, each of so many values or more, and of so many
# times as many as there are features: a part has a table of these.
MOST_PARTS, LONG_PART, FEATURES = 16, 1_000_000, 32


class Model(NamedTuple):
    """Coefficients and intercepts in the layout of the kernels.

    coef : (n_outputs, n_features) with dense rows, (n_features, n_outputs) with CSR rows.
    intercept : (n_outputs,).
    """

    coef: np.ndarray
    intercept: np.ndarray

    def is_zero(self):
        """Whether all of it is 0."""
        return not (self.coef.any() or self.intercept.any())

    def is_finite(self):
        """Whether there is no NaN or infinity in it."""
        return bool(np.isfinite(self.coef).all() and np.isfinite(self.intercept).all())

    def copy(self):
        """A copy that shares no memory."""
        return Model(self.coef.copy(), self.intercept.copy())


class Evaluation(NamedTuple):
    """A model's weighted mean loss, with the penalty (`objective`) and without, and its accuracy."""

    objective: float
    loss: float
    accuracy: float


def as_rows(X):
    """Wrap validated X (C-contiguous or canonical CSR, float32 or float64) for the kernels."""
    if not sparse.issparse(X):
        return DenseRows(read_only(X))
    fits = max(X.nnz, X.shape[1], X.shape[0]) <= np.iinfo(np.int32).max
    index_type = np.int32 if fits else np.int64
    return CSRRows(
        read_only(X.data),
        read_only(X.indices.astype(index_type, copy=False)),
        read_only(X.indptr.astype(index_type, copy=False)),
        X.shape[1],
    )


@dataclass(frozen=True)
class Problem:
    """Minimize the weighted mean loss plus penalty over coefficients and intercepts.

    Attributes
    ----------
    rows : DenseRows or CSRRows
        All rows of X.
    index : ndarray of int32 or int64
        The rows in use; others are as if absent.
    target : ndarray of int32, shape (n_rows,)
        Class numbers.
    weight : ndarray of shape (n_rows,), dtype of X
        Row weights with mean 1 over `index`.
    loss : int
        Number of the loss, from `kernels.losses`.
    penalty : ElasticNet
        The penalty of the coefficients.
    n_outputs : int
        Scores a row: the number of classes, or 1 for two.
    fit_intercept : bool
        Whether there are intercepts, which are never penalized.
    """

    rows: DenseRows | CSRRows
    index: np.ndarray
    target: np.ndarray
    weight: np.ndarray
    loss: int
    penalty: ElasticNet
    n_outputs: int
    fit_intercept: bool

    @property
    def is_sparse(self):
        return isinstance(self.rows, CSRRows)

    @property
    def dtype(self):
        return self.weight.dtype

    @property
    def n_features(self):
        return self.rows.n_features if self.is_sparse else self.rows.values.shape[1]

    @property
    def n_bytes(self):
        """Memory of X."""
        arrays = (self.rows.data, self.rows.indices, self.rows.indptr) if self.is_sparse else self.rows
        return sum(array.nbytes for array in arrays)

    @property
    def row_length(self):
        """Stored entries of a row, on average."""
        return self.rows.data.size / (len(self.rows.indptr) - 1) if self.is_sparse else self.n_features

    def model(self, coef=None, intercept=None):
        """A model from scikit-learn's layout, or all zeros."""
        shape = self.n_outputs, self.n_features
        if coef is None:
            coef = np.zeros(shape[::-1] if self.is_sparse else shape, self.dtype)
        else:
            coef = np.array(coef.T if self.is_sparse else coef, dtype=self.dtype, order="C")
        if intercept is None:
            intercept = np.zeros(self.n_outputs)
        return Model(coef, np.array(intercept, dtype=self.dtype))

    def coef_of(self, model):
        """A model's coefficients in scikit-learn's layout, (n_outputs, n_features), without a copy.

        Of sparse rows they are in F order: products of sparse rows with them want a feature's coefficients
        side by side, and SciPy, like the kernels, would copy them all to predict a single row.
        """
        return model.coef.T if self.is_sparse else model.coef

    def evaluate(self, model, *, with_accuracy=False):
        """Objective, data loss and (on demand, else 0) accuracy of a model on the rows in use."""
        rows = as_narrow(self.rows)
        room = new_room(rows, self.n_outputs, self.dtype)
        sums = sum_losses(rows, self.index, self.target, self.weight, self.loss, *model, *room, with_accuracy)
        return self.evaluation(sums, model)

    def evaluation(self, sums, model):
        """The same from weighted sums over the rows: of loss, of right answers, and of 1."""
        loss, right, mass = sums
        absolute, square = sum_sizes(model.coef)
        penalty = self.penalty.l1 * absolute + self.penalty.l2 / 2 * square
        return Evaluation(loss / mass + penalty, loss / mass, right / mass)

    def scores(self, model):
        """Scores of the rows in use: (n, n_outputs), or (n,) with one output."""
        out = np.empty((len(self.index), self.n_outputs), self.dtype)
        room = predict.new_room(self.rows, self.n_outputs, self.dtype)
        predict.score_rows(self.rows, self.index, *model, room, out)
        return out[:, 0] if self.n_outputs == 1 else out

    def take(self, index):
        """Some rows of X as a dense array."""
        if not self.is_sparse:
            return self.rows.values[index]
        return self.matrix[index].toarray()

    @cached_property
    def matrix(self):
        """All rows of a sparse X, as SciPy has them."""
        data, indices, indptr, n_features = self.rows
        return sparse.csr_array((data, indices, indptr), shape=(len(indptr) - 1, n_features))

    @cached_property
    def share(self):
        """Row weights in float64, by row of X, that sum to 1 over the rows in use."""
        weight = self.weight.astype(np.float64)
        return weight / weight[self.index].sum()

    @cached_property
    def objective_at_zero(self):
        """F0, the objective where all coefficients and intercepts are 0."""
        return losses.loss_at_zero(self.loss, self.n_outputs)

    @cached_property
    def moments(self):
        """Weighted moments of the features over the rows in use."""
        return self._moments(1)

    def count_moments(self, n_jobs):
        """Compute `moments` by threads, if they are not known."""
        if "moments" not in self.__dict__:
            self.__dict__["moments"] = self._moments(n_jobs)

    def _moments(self, n_jobs):
        # The parts are the same for any number of threads, and so are the bits.
        n_values = len(self.index) * self.row_length
        n_parts = int(min(MOST_PARTS, n_values / LONG_PART, n_values / (FEATURES * self.n_features)))
        parts = np.array_split(self.index, max(1, n_parts))

        def of_parts(numbers):
            return [Moments.of(self.rows, parts[number], self.weight) for number in numbers]

        return reduce(Moments.merge, chain(*by_parts(of_parts, np.arange(len(parts)), n_jobs)))

    def subset(self, index):
        """The same problem on fewer rows, which it shares."""
        total = self.weight[index].sum(dtype=np.float64)
        return replace(self, index=index, weight=self.weight * self.dtype.type(len(index) / total))

    def with_penalty(self, penalty):
        """The same problem with another penalty; what is known of the rows stays known."""
        other = replace(self, penalty=penalty)
        other.__dict__["moments"] = self.moments
        return other

    def hold_out(self, fraction, rng):
        """Split into (problem to train on, problem of held-out rows), stratified by class.

        A class with a single row is never held out, any other by at least a row. Where there is
        nothing to hold out the second part is None.
        """
        shuffled = rng.permutation(self.index)
        held = []
        for k in np.unique(self.target[shuffled]):
            rows = shuffled[self.target[shuffled] == k]
            wanted = max(1, round(fraction * len(rows)))
            held.append(rows[: min(wanted, len(rows) - 1)])
        held = np.sort(np.concatenate(held))
        if not held.size:
            return self, None
        rest = np.setdiff1d(self.index, held, assume_unique=True)
        return self.subset(rest), self.subset(held)


@dataclass(frozen=True)
class Moments:
    """Weighted moments of each feature, mergeable over chunks of a stream; all float64.

    Attributes
    ----------
    n_rows : int
        Rows seen.
    mass, square_mass : float
        Sums of weights and of their squares.
    mean, low, high : ndarray of shape (n_features,)
        Mean and range. Of CSR rows the range includes 0.
    scatter : ndarray of shape (n_features,)
        Sum of w (x - mean)^2.
    count : ndarray of int64, shape (n_features,)
        Rows that store the feature: all of dense ones.
    """

    n_rows: int
    mass: float
    square_mass: float
    mean: np.ndarray
    scatter: np.ndarray
    low: np.ndarray
    high: np.ndarray
    count: np.ndarray

    @classmethod
    def of(cls, rows, index, weight):
        """Moments of some rows."""
        if isinstance(rows, CSRRows):
            origin = np.zeros(rows.n_features)
        else:
            # Sums of distances to a row, not to 0, keep the digits where means are large.
            origin = rows.values[index[0]].astype(np.float64)
        mass, square_mass, table = sum_moments(rows, index, weight, origin)
        if isinstance(rows, CSRRows):
            sums, squares, low, high, count = np.ascontiguousarray(table[:, :5].T)
        else:
            sums, squares, low, high, count = table
            count[:] = len(index)
        # NumPy's error state belongs to a thread: that of who started it does not hold here.
        with np.errstate(over="ignore", invalid="ignore"):
            return cls(
                len(index),
                mass,
                square_mass,
                origin + sums / mass,
                np.maximum(squares - sums * sums / mass, 0),
                origin + low,
                origin + high,
                count.astype(np.int64),
            )

    @np.errstate(over="ignore", invalid="ignore")
    def merge(self, other):
        """Moments of both sets of rows together (Chan, Golub and LeVeque 1983)."""
        mass = self.mass + other.mass
        distance = other.mean - self.mean
        return Moments(
            self.n_rows + other.n_rows,
            mass,
            self.square_mass + other.square_mass,
            self.mean + distance * (other.mass / mass),
            self.scatter + other.scatter + distance**2 * (self.mass * other.mass / mass),
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
            self.count + other.count,
        )

    def are_finite(self):
        """Whether all values seen were finite; False too where the squares of finite ones overflow."""
        return bool(np.isfinite(self.mean).all() and np.isfinite(self.scatter).all())

    def fade(self, keep):
        """The same as if of so large a share of the rows, with ranges drawn in as much."""
        return replace(
            self,
            n_rows=self.n_rows * keep,
            mass=self.mass * keep,
            square_mass=self.square_mass * keep,
            scatter=self.scatter * keep,
            low=self.mean + (self.low - self.mean) * keep,
            high=self.mean + (self.high - self.mean) * keep,
            count=self.count * keep,
        )

    def restart(self, features, other):
        """The same, but of some features what `other` rows say of them."""
        mass, n_rows = self.mass / other.mass, self.n_rows / other.n_rows
        values = {
            "mean": other.mean,
            "low": other.low,
            "high": other.high,
            "scatter": other.scatter * mass,
            "count": other.count * n_rows,
        }
        return replace(
            self, **{name: np.where(features, new, getattr(self, name)) for name, new in values.items()}
        )

    @property
    def deviation(self):
        """Standard deviation of each feature."""
        return np.sqrt(self.scatter / self.mass)

    @property
    def evenness(self):
        """Effective rows over rows: 1 for equal weights, less the more they differ (Kish 1965)."""
        return self.mass**2 / (self.square_mass * self.n_rows)

    @property
    def largest_deviation(self):
        """Largest |x - mean| of each feature."""
        return np.maximum(self.high - self.mean, self.mean - self.low)

    @property
    def largest_value(self):
        """Largest |x| of each feature."""
        return np.maximum(np.abs(self.high), np.abs(self.low))
