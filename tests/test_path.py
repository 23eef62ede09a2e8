"""Regularization paths: where they begin, that each end is a certified optimum, what they cost."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.base import clone

from sklearn_lossopt import LinearSVMClassifier, SoftmaxClassifier, regularization_path
from sklearn_lossopt.certificate import gradient_of_dual
from sklearn_lossopt.penalties import ElasticNet
from sklearn_lossopt.solvers import DualMemory
from sklearn_lossopt.solvers.dual import DualAscent

ESTIMATORS = [
    SoftmaxClassifier(random_state=0),
    SoftmaxClassifier(solver="sdca", l1_ratio=1.0, random_state=0, max_iter=2000),
    LinearSVMClassifier(loss="squared_hinge", solver="sdca", l1_ratio=0.5, random_state=0, max_iter=2000),
    LinearSVMClassifier(multi_class="crammer_singer", solver="sdca", random_state=0, max_iter=3000),
]


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])
def test_every_end_is_that_of_a_fit(estimator, storage, digits):
    X, y = digits[0][:500], digits[1][:500]
    X = storage(X)
    path = regularization_path(estimator, X, y, n_alphas=4, alpha_min_ratio=0.03)
    assert (np.diff(path.alphas) < 0).all()
    assert path.alphas[-1] == pytest.approx(0.03 * path.alphas[0])
    assert path.converged.all()
    assert path.coefs.shape == (4, 10, 64)
    assert path.intercepts.shape == (4, 10)
    assert list(path.classes) == list(range(10))
    for i, alpha in enumerate(path.alphas):
        model = (
            clone(estimator).set_params(alpha=alpha, calibration=None)
            if isinstance(estimator, LinearSVMClassifier)
            else clone(estimator).set_params(alpha=alpha)
        )
        model.fit(X, y)
        assert path.objectives[i] - model.loss_curve_[-1] <= path.gaps[i] + 1e-9
        assert model.loss_curve_[-1] - path.objectives[i] <= model.dual_gap_ + 1e-9


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("estimator", [ESTIMATORS[1], ESTIMATORS[2]], ids=["softmax", "svm"])
def test_begins_where_all_coefficients_vanish(estimator, fit_intercept, digits, breast_cancer):
    for X, y in (digits, breast_cancer):
        estimator = clone(estimator).set_params(l1_ratio=1.0, tol=1e-6, fit_intercept=fit_intercept)
        top = regularization_path(estimator, X, y, n_alphas=1).alphas[0]
        path = regularization_path(estimator, X, y, alphas=[1.001 * top, 0.98 * top])
        assert (path.coefs[0] == 0).all()
        assert (path.coefs[1] != 0).any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("l1_ratio", [0.01, 0.5, 1.0])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_its_first_end_is_all_zeros_whatever_the_rounding(dtype, l1_ratio, fit_intercept, digits):
    X, y = digits[0].astype(dtype), digits[1]
    for estimator in (SoftmaxClassifier(), LinearSVMClassifier(), LinearSVMClassifier(multi_class="ovr")):
        estimator.set_params(l1_ratio=l1_ratio, fit_intercept=fit_intercept)
        path = regularization_path(estimator, X, y, n_alphas=1)
        assert (path.coefs == 0).all()
        assert path.converged.all()
        assert path.n_iters[0] == 1


@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("estimator", [SoftmaxClassifier(), LinearSVMClassifier()], ids=["softmax", "svm"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_where_it_begins_does_not_depend_on_where_features_are(n_classes, estimator, storage):
    rng = np.random.default_rng(0)
    y = np.tile(rng.choice(n_classes, 60, p=[[0.62, 0.38], [0.5, 0.3, 0.2]][n_classes - 2]), 50)
    X = rng.normal(size=(3000, 2)) + 0.3 * y[:, None]
    tops = {}
    for shift, dtype in ((0.0, np.float64), (1e3, np.float64), (1e3, np.float32)):
        rows = storage((X + shift).astype(dtype))
        path = regularization_path(clone(estimator).set_params(l1_ratio=1.0), rows, y, n_alphas=1)
        tops[shift, dtype] = path.alphas[0]
    # In float32 a feature's digits themselves are fewer.
    assert tops[1e3, np.float64] == pytest.approx(tops[0.0, np.float64], rel=1e-6)
    assert tops[1e3, np.float32] == pytest.approx(tops[0.0, np.float64], rel=1e-4)


def test_costs_little_more_than_its_last_fit(digits):
    X, y = digits
    estimator = SoftmaxClassifier(solver="sdca", random_state=0, max_iter=2000)
    top = regularization_path(estimator, X, y, n_alphas=1).alphas[0]
    path = regularization_path(estimator, X, y, alphas=np.geomspace(top, 1e-5 * top, 20))
    cold = clone(estimator).set_params(alpha=path.alphas[-1]).fit(X, y)
    assert path.converged.all()
    assert path.n_iters.sum() <= 5 * cold.n_iter_


def test_what_it_refuses(digits):
    X, y = digits
    with pytest.raises(ValueError, match="needs a certified solver"):
        regularization_path(SoftmaxClassifier(solver="adam"), X, y)
    with pytest.raises(ValueError, match="alphas must be finite and > 0"):
        regularization_path(SoftmaxClassifier(), X, y, alphas=[1.0, 0.0])
    with pytest.raises(ValueError, match="alpha_min_ratio in"):
        regularization_path(SoftmaxClassifier(), X, y, alpha_min_ratio=2.0)


def test_weights_and_the_estimator_stays_as_it_was(digits):
    X, y = digits
    estimator = SoftmaxClassifier(alpha=0.5, random_state=0)
    weight = np.arange(len(y)) % 2
    path = regularization_path(estimator, X, y, alphas=[1e-2], sample_weight=weight)
    alone = regularization_path(estimator, X[1::2], y[1::2], alphas=[1e-2])
    assert path.objectives == pytest.approx(alone.objectives, rel=2e-4)
    assert estimator.alpha == 0.5
    assert not hasattr(estimator, "coef_")


def test_interruption_goes_on_up(digits, monkeypatch):
    from sklearn_lossopt.solvers.dual import DualAscent

    original, calls = DualAscent.run_pass, []

    def interrupted(self, problem, state, factor):
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        original(self, problem, state, factor)

    monkeypatch.setattr(DualAscent, "run_pass", interrupted)
    with pytest.raises(KeyboardInterrupt):
        regularization_path(SoftmaxClassifier(solver="sdca"), *digits)
    assert len(calls) == 5


@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.3])
def test_sums_that_an_alpha_hands_on_are_those_of_its_dual_point(storage, l1_ratio, digits):
    X, y = digits
    model = SoftmaxClassifier(alpha=1e-3, l1_ratio=l1_ratio, random_state=0)
    problem, _, _, rng = model._prepare(storage(X.astype(np.float64)), y, None)
    problem = problem.with_penalty(ElasticNet(1e-3, l1_ratio))
    runner = DualAscent(None, True)
    state = runner.start(problem, problem.model(), rng)
    for _ in range(4):
        runner.run_pass(problem, state, 1.0)
    kept = DualMemory.of(problem, state, same_rows=True)
    gradient, mean = gradient_of_dual(problem, kept.dual)
    assert_allclose(kept.gradient[0], gradient, rtol=1e-9, atol=1e-10)
    assert_allclose(kept.gradient[1], mean, rtol=1e-9, atol=1e-12)
    assert DualMemory.of(problem, state).gradient is None
