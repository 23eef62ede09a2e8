"""What Newton's method and the interior point method share: float64, standardized rows, Cholesky factors."""

import math
from dataclasses import dataclass, field

import numpy as np
from scipy.linalg.blas import dsyrk
from scipy.linalg.lapack import dpotrf, dpotrs

from .._blas import one_thread
from ..certificate import BestBound
from ..kernels import losses
from ..kernels.hessians import add_gram, complete_hessian

OUTPUTS_APART = (losses.LOGISTIC, losses.HINGE, losses.HINGE + losses.SQUARED)  # each has its own Hessian
MULTI_CLASS = {
    losses.WESTON_WATKINS: "weston_watkins",
    losses.CRAMMER_SINGER: "crammer_singer",
    losses.HINGE: "ovr",
}
ROOM = 2**19  # numbers in a block of rows times outputs: they should stay in the cache


def describe(problem):
    """Loss and penalty of a problem, by the estimators' parameters."""
    loss = "cross-entropy"
    if problem.loss not in (losses.SOFTMAX, losses.LOGISTIC):
        loss = f"loss={'squared_hinge' if problem.loss >= losses.SQUARED else 'hinge'!r}"
        if problem.n_outputs > 1:
            loss += f" with multi_class={MULTI_CLASS[problem.loss % losses.SQUARED]!r}"
    return f"{loss} and l1_ratio={problem.penalty.l1_ratio:g}"


@dataclass
class SecondOrderRun:
    """What a run keeps between steps."""

    index: np.ndarray  # the rows in use, in the order of the arrays below
    target: np.ndarray
    weight: np.ndarray  # float64, sum 1
    shift: np.ndarray
    scale: np.ndarray  # 0 for constant features
    parameters: np.ndarray  # (n_outputs, n_features + 1): standardized coefficients, then the intercept
    dual: np.ndarray
    ridge: np.ndarray  # second derivative of the penalty by each parameter of an output
    unused: np.ndarray  # which parameters of an output are held at 0
    value: float | None = None  # the objective at `parameters`, where Newton's method knows it
    objective: object = None  # what the method knows of it: `SoftmaxObjective`, `MarginObjective`, `Slacks`
    bound: BestBound = field(default_factory=BestBound)
    is_settled: bool = False
    is_stuck: bool = False
    n_steps: int = 0
    decrement: float = math.inf  # Newton's, over the objective
    rate: float = math.nan

    def penalty(self, parameters):
        """The penalty of some parameters."""
        return float(np.vdot(self.ridge * parameters, parameters)) / 2


class SecondOrder:
    """Base of the runners.

    Parameters
    ----------
    tol : float or None, default=None
        Relative gap that the caller waits for: sets when certificates are worth their time.
    """

    certifies = True
    surroundings = one_thread  # of a whole run too: entering it takes as long as a step on a few rows

    def __init__(self, tol=None):
        self.tol = tol

    def start(self, problem, model, rng, previous=None):
        """Prepare steps from `model`."""
        moments = problem.moments
        shift = moments.mean if problem.fit_intercept else np.zeros(problem.n_features)
        spread = moments.scatter / moments.mass
        if not problem.fit_intercept:
            spread = spread + moments.mean**2
        spread = np.sqrt(spread)
        varies = (spread > 1e-12 * np.abs(moments.mean)) & (spread > 1e-150)
        index = self.order(problem)
        coef = problem.coef_of(model).astype(np.float64, order="C")
        intercept = model.intercept.astype(np.float64)
        if problem.loss not in OUTPUTS_APART:
            # The same line added to every output changes no loss, and the penalty is least without one.
            coef, intercept = coef - coef.mean(axis=0), intercept - intercept.mean()
        scale = np.where(varies, 1 / np.where(varies, spread, 1.0), 0.0)
        return SecondOrderRun(
            index=index,
            target=problem.target[index],
            weight=problem.share[index],
            shift=shift,
            scale=scale,
            parameters=np.column_stack([coef * np.where(varies, spread, 0.0), intercept + coef @ shift]),
            dual=np.zeros((problem.target.size, problem.n_outputs)),
            ridge=np.append(problem.penalty.l2 * scale**2, 0.0),
            unused=np.append(scale == 0, not problem.fit_intercept),
        )

    def order(self, problem):
        """The rows in use: by class."""
        return problem.index[np.argsort(problem.target[problem.index], kind="stable")]

    def model(self, problem, state):
        """The model in the user's coordinates and dtype."""
        coef = state.parameters[:, :-1] * state.scale
        intercept = state.parameters[:, -1] - coef @ state.shift
        return problem.model(coef, intercept if problem.fit_intercept else None)


def solver_of_all(state, hessian):
    """Solve with a whole Hessian, its lower triangle given, of a loss of differences of scores."""
    complete_hessian(hessian, state.ridge + state.unused, len(state.parameters))
    factor = factor_of(hessian)
    return lambda g: solve_with(factor, g.ravel()).reshape(g.shape)


def same_output(hessian, n_outputs):
    """The blocks along the diagonal, a view of shape (n_columns, n_outputs, n_columns)."""
    n_columns = len(hessian) // n_outputs
    four = hessian.reshape(n_columns, n_outputs, n_columns, n_outputs, order="F")
    return np.einsum("ikjk->ikj", four)


def add_outer(hessian, vectors, sign):
    """Hessian += sign * vectors^T vectors, the lower triangle of a Fortran-ordered matrix."""
    return dsyrk(sign, vectors.T, beta=1.0, c=hessian, overwrite_c=1, lower=1)


def add_sparse_outer(block, problem, state, index, weight, k):
    """Add outer products of sparse rows, as if standardized, times ``weight[:, k]``: the lower triangle."""
    fits_intercept = problem.fit_intercept
    raw, sums = np.zeros((problem.n_features,) * 2), np.zeros(problem.n_features)
    add_gram(problem.rows, index, weight, k, raw, sums)
    total = weight[:, k].sum()
    far = np.outer(state.shift, sums - total / 2 * state.shift)
    block[:-1, :-1] += (raw - far - far.T) * np.outer(state.scale, state.scale)
    block[-1, :-1] += (sums - total * state.shift) * state.scale * fits_intercept
    block[-1, -1] += total * fits_intercept
    return block


def add_softmax(hessian, rows, p, weight):
    """Hessian += that of the cross-entropy of some rows, (n, n_columns): the lower triangle."""
    n_outputs, n_columns = p.shape[1], rows.shape[1]
    root = np.sqrt(weight)[:, np.newaxis]
    rows = np.ascontiguousarray(root * rows)
    spread = (np.ascontiguousarray(p)[:, :, np.newaxis] * rows[:, np.newaxis, :]).reshape(len(rows), -1)
    hessian = add_outer(hessian, spread, -1.0)
    blocks = rows.T @ spread
    same_output(hessian, n_outputs)[...] += blocks.reshape(n_columns, n_outputs, n_columns)
    return hessian


def factor_of(matrix):
    """Cholesky factor of the lower triangle, with the least ridge that makes one possible."""
    ridge = 0.0
    for _ in range(12):
        # LAPACK itself: checks by SciPy take longer than a small matrix does.
        factor, failed = dpotrf(matrix + ridge * np.eye(len(matrix)) if ridge else matrix, lower=1, clean=0)
        if not failed and math.isfinite(factor[-1, -1]):
            return factor
        size = np.trace(matrix) / len(matrix) or 1.0
        ridge = max(100 * ridge, 1e-15 * size)  # not positive definite, not finite
    return np.sqrt(size) * np.eye(len(matrix))


def solve_with(factor, vector):
    """Solve with a Cholesky factor."""
    return dpotrs(factor, vector, lower=1)[0]


def signs(target, n_outputs):
    """+1 where a row is of an output's class, else -1; a single output is that of class 1."""
    classes = np.arange(n_outputs) if n_outputs > 1 else np.ones(1, int)
    return np.where(target[:, None] == classes, 1.0, -1.0)
