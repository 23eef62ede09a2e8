"""The solutions of a problem for many strengths of its penalty."""

from dataclasses import replace
from numbers import Integral, Real

import numpy as np
from sklearn.base import clone
from sklearn.utils import Bunch

from . import solvers
from ._base import BaseLossClassifier
from .certificate import gradient_of_dual
from .kernels.rows import DenseRows, read_only
from .penalties import ElasticNet
from .solvers import newton
from .solvers.interior import InteriorSteps
from .solvers.newton import NewtonSteps
from .solvers.warm import start_at

__all__ = ["regularization_path"]

LEAST_L1_RATIO = 0.01  # with L2 alone coefficients never vanish: as if there were so much L1
ROUNDING = 1 + 1e-4  # so that they are 0 there whatever the last digits of the gradient
INTERCEPT_STEPS = 100


def regularization_path(
    estimator, X, y, *, alphas=None, n_alphas=20, alpha_min_ratio=1e-3, sample_weight=None
):
    """Certified optima for a falling sequence of alphas, each begun at the one before.

    Parameters
    ----------
    estimator : SoftmaxClassifier or LinearSVMClassifier
        Its loss, `l1_ratio`, `solver` (a certified one), `tol` and so on; not fitted, not changed.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Training rows.
    y : array-like of shape (n_samples,)
        Labels.
    alphas : array-like of shape (n_alphas,), default=None
        Strengths of the penalty, > 0, in any order. None: `n_alphas` of them in geometric sequence from
        the least alpha at which all coefficients are 0 (where `l1_ratio` is below 0.01, as if it were
        that) down to `alpha_min_ratio` of it.
    n_alphas : int, default=20
        How many.
    alpha_min_ratio : float, default=1e-3
        The last alpha over the first, in (0, 1).
    sample_weight : array-like of shape (n_samples,), default=None
        Row weights.

    Returns
    -------
    sklearn.utils.Bunch
        `alphas` (n_alphas,), falling; `coefs` (n_alphas, n_outputs, n_features); `intercepts`
        (n_alphas, n_outputs); `objectives`, `gaps` (n_alphas,), the certified duality gaps; `n_iters`
        (n_alphas,); `converged` (n_alphas,); `classes`.

    Raises
    ------
    ValueError
        If the solver certifies nothing, or an alpha is not positive.
    TypeError
        If the estimator is not one of this package.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_lossopt import SoftmaxClassifier, regularization_path
    >>> X, y = load_iris(return_X_y=True)
    >>> path = regularization_path(SoftmaxClassifier(l1_ratio=0.5), X, y, n_alphas=5)
    >>> (path.coefs != 0).sum(axis=(1, 2))[0]
    np.int64(0)
    >>> path.converged
    array([ True,  True,  True,  True,  True])
    """
    if not isinstance(estimator, BaseLossClassifier):
        raise TypeError(
            "regularization_path needs a SoftmaxClassifier or a LinearSVMClassifier. Got a "
            f"{type(estimator).__name__} instead. Of a Pipeline, give the last step and the rows it gets."
        )
    model = clone(estimator).set_params(alpha=1.0, warm_start=False, early_stopping=False)
    model._validate_params()
    model._warn_of_ignored(stacklevel=3)
    problem, classes, _, rng = model._prepare(X, y, sample_weight)
    start, previous = problem.model(), None
    if alphas is None:
        are_numbers = isinstance(n_alphas, Integral) and isinstance(alpha_min_ratio, Real)
        if not (are_numbers and n_alphas >= 1 and 0 < alpha_min_ratio < 1):
            raise ValueError(
                "n_alphas must be an int, at least 1, and alpha_min_ratio in (0, 1). Got "
                f"{n_alphas!r} and {alpha_min_ratio!r} instead."
            )
        top, start, previous = _where_all_vanish(problem, model.l1_ratio)
        alphas = np.geomspace(top, alpha_min_ratio * top, n_alphas)
    alphas = np.sort(np.asarray(alphas, dtype=np.float64).ravel())[::-1]
    if not (alphas.size and np.isfinite(alphas).all() and alphas[-1] > 0):
        raise ValueError(f"alphas must be finite and > 0. Got {alphas!r} instead.")
    found, coefs = [], np.empty((alphas.size, problem.n_outputs, problem.n_features), problem.dtype)
    intercepts = np.empty(coefs.shape[:2], problem.dtype)
    for i, alpha in enumerate(alphas):
        here = problem.with_penalty(ElasticNet(float(alpha), float(model.l1_ratio)))
        chosen = model._choose(here)
        if not isinstance(solvers.resolve(chosen), solvers.CertifiedSolver):
            raise ValueError(
                f"regularization_path needs a certified solver; solver={model.solver!r} gives {chosen!r}. "
                "Set solver='sdca', or 'auto' with learning_rate, schedule and batch_size at their defaults."
            )
        solution = model._train(chosen, here, start, rng, previous=previous)
        if solution.interruption is not None:
            raise solution.interruption
        start, previous = solution.model, solvers.DualMemory.of(problem, solution.state, same_rows=True)
        coefs[i] = start.coef.T if problem.is_sparse else start.coef
        intercepts[i] = start.intercept
        solution.model = solution.state = None  # as large as X may be, for each alpha
        found.append(solution)
    return Bunch(
        alphas=alphas,
        coefs=coefs,
        intercepts=intercepts,
        objectives=np.array([solution.objective for solution in found]),
        gaps=np.array([solution.gap for solution in found]),
        n_iters=np.array([solution.n_iter for solution in found]),
        converged=np.array([solution.status == "converged" for solution in found]),
        classes=classes,
    )


def _where_all_vanish(problem, l1_ratio):
    """The least alpha at which all coefficients are 0, and the optimum there: its model and duals.

    `l1_ratio` counts as `LEAST_L1_RATIO` or more. From that alpha on, `alpha * l1_ratio` holds the
    gradient of the loss at the best intercepts: those of the same problem without features, where a
    class's rows are all alike and one stands for them.
    """
    model = problem.model()
    if not problem.fit_intercept:
        dual = start_at(problem, model)
    else:
        mass = np.bincount(problem.target[problem.index], problem.share[problem.index])
        present = np.flatnonzero(mass)
        bare = replace(
            problem,
            rows=DenseRows(read_only(np.zeros((mass.size, 1)))),
            index=present.astype(problem.index.dtype),
            target=np.arange(mass.size, dtype=problem.target.dtype),
            weight=mass * present.size,
            penalty=ElasticNet(1.0),
        )
        runner = NewtonSteps() if newton.takes(bare) else InteriorSteps()
        state = runner.start(bare, bare.model(), np.random.default_rng(0))
        for _ in range(INTERCEPT_STEPS):
            runner.run_pass(bare, state, 1.0)
            certificate = runner.certify(bare, state, runner.model(bare, state))
            if state.is_stuck or certificate.gap <= 1e-12 * certificate.objective:
                break
        dual = np.zeros((len(problem.target), problem.n_outputs))
        dual[problem.index] = state.dual[problem.target[problem.index]]
        model.intercept[...] = runner.model(bare, state).intercept
    gradient, mean_dual = gradient_of_dual(problem, dual)
    if problem.fit_intercept:
        # The duals' mean is 0 but for the last digits, which features far from 0 would multiply.
        pair = mean_dual, problem.moments.mean
        gradient -= np.outer(*(pair[::-1] if problem.is_sparse else pair))
    alpha = ROUNDING * max(float(np.abs(gradient).max()), 1e-12) / max(l1_ratio, LEAST_L1_RATIO)
    return alpha, model, solvers.DualMemory(problem, dual)
