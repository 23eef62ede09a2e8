"""Where training ends: at the optimum, with its zeros, dense and sparse, weighted or not."""

import numpy as np
import pytest
from naive import objective, optimum
from scipy import sparse
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

from sklearn_lossopt import LinearSVMClassifier, SoftmaxClassifier, losses
from sklearn_lossopt.penalties import ElasticNet
from sklearn_lossopt.schedules import Exponential
from sklearn_lossopt.solvers import SGD, Adagrad, Adam, Momentum, Nesterov, RMSProp

FULL = {"batch_size": "full", "tol": None, "shuffle": False}
# solver, rate in units of 1 / (largest curvature), decay, passes
RUNS = {
    "sgd": (SGD(), 1.0, 0.9999, 9000),
    "momentum": (Momentum(), 1.0, 0.999, 3000),
    "nesterov": (Nesterov(), 1.0, 0.999, 3000),
    "adam": (Adam(), 1.0, 0.997, 4000),
    "rmsprop": (RMSProp(), 1.0, 0.998, 6000),
    "adagrad": (Adagrad(), 1.0, 1.0, 6000),
}
SETS = {"breast_cancer": (0.05, 0.6), "digits": (0.01, 2.0)}  # alpha, rate


def run(name, rate, **more):
    solver, _, decay, passes = RUNS[name]
    return {
        "solver": solver,
        "learning_rate": {"adam": 0.3, "rmsprop": 0.3, "adagrad": 1.0}.get(name, rate),
        "schedule": Exponential(decay),
        "max_iter": passes,
        **FULL,
        **more,
    }


@pytest.fixture(scope="module")
def references():
    return {}


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("solver", RUNS)
def test_full_batch_ends_at_the_optimum_with_its_zeros(name, solver, l1_ratio, references, request):
    X, y = request.getfixturevalue(name)
    alpha, rate = SETS[name]
    penalty = ElasticNet(alpha, l1_ratio)
    binary = name == "breast_cancer"
    loss = losses.LogLoss() if binary else losses.CrossEntropy()
    key = name, l1_ratio
    if key not in references:
        references[key] = optimum(loss, X, y, penalty, n_outputs=1 if binary else 10, tol=1e-12)
    coef, _, best, residual = references[key]
    assert residual < 1e-11
    model = SoftmaxClassifier(alpha=alpha, l1_ratio=l1_ratio, **run(solver, rate)).fit(X, y)
    found = objective(loss, X, y, model.coef_, model.intercept_, penalty)
    assert abs(found - best) <= 1e-8 * best
    assert ((model.coef_ == 0) == (coef == 0)).all()
    assert min(model.loss_curve_) == pytest.approx(found, rel=1e-12)  # the best pass is given back


# Crammer-Singer's has kinks where rivals tie, even squared: a constant step does not end at a point.
@pytest.mark.parametrize("multi_class", ["weston_watkins", "ovr"])
def test_squared_hinge_ends_at_the_optimum(multi_class, digits):
    X, y = digits
    penalty = ElasticNet(0.05, 0.5)
    loss = {
        "weston_watkins": losses.WestonWatkins,
        "ovr": losses.OneVsRest,
    }[multi_class](squared=True)
    coef, _, best, residual = optimum(loss, X, y, penalty, n_outputs=10)
    assert residual < 1e-9
    model = LinearSVMClassifier(
        loss="squared_hinge",
        multi_class=multi_class,
        calibration=None,
        alpha=0.05,
        l1_ratio=0.5,
        **run(
            "momentum",
            0.05 if multi_class == "weston_watkins" else 0.2,
            max_iter=6000,
            schedule=Exponential(0.9995),
        ),
    ).fit(X, y)
    found = objective(loss, X, y, model.coef_, model.intercept_, penalty)
    assert abs(found - best) <= 1e-8 * best
    assert ((model.coef_ == 0) == (coef == 0)).all()


def test_same_optimum_as_logistic_regression(digits, breast_cancer):
    for (X, y), alpha, rate in ((digits, 0.01, 2.0), (breast_cancer, 0.05, 0.6)):
        ours = SoftmaxClassifier(alpha=alpha, **run("momentum", rate)).fit(X, y)
        theirs = LogisticRegression(C=1 / (alpha * len(y)), tol=1e-10, max_iter=10_000).fit(X, y)
        assert ours.coef_ == pytest.approx(theirs.coef_, abs=2e-4)
        assert ours.predict_proba(X) == pytest.approx(theirs.predict_proba(X), abs=2e-4)


def test_sparse_and_dense_reach_the_same_objective(digits):
    X, y = digits
    for estimator in (
        SoftmaxClassifier(solver="momentum", random_state=0),
        LinearSVMClassifier(solver="momentum", random_state=0, calibration=None),
    ):
        for l1_ratio in (0.0, 0.5):
            estimator.set_params(alpha=1e-2, l1_ratio=l1_ratio)
            dense = estimator.fit(X, y).loss_curve_[-1]
            csr = estimator.fit(sparse.csr_array(X), y).loss_curve_[-1]
            assert csr == pytest.approx(dense, rel=0.02)


@pytest.mark.parametrize("solver", ["sgd", "momentum", "nesterov", "adam"])
@pytest.mark.parametrize("unit", [1e-4, 1.0, 1e4])
def test_automatic_rate_needs_no_tuning(solver, unit, digits):
    # The penalty is in the user's coordinates: with the unit it must change by its square.
    X, y = digits
    alpha = 1e-2 * unit**2
    *_, best, _ = optimum(losses.CrossEntropy(), X, y, ElasticNet(1e-2), n_outputs=10)
    for rows in (unit * X, unit * sparse.csr_array(X), (unit * X).astype(np.float32)):
        model = SoftmaxClassifier(alpha=alpha, solver=solver, max_iter=60, random_state=0).fit(rows, y)
        assert model.loss_curve_[-1] <= 1.02 * best


def test_automatic_rate_on_features_of_different_scales(breast_cancer):
    X, y = breast_cancer
    scales = 10.0 ** np.linspace(-3, 4, X.shape[1])
    shifted = 1e3 * scales + X * scales
    for solver in ("momentum", "adam"):
        model = SoftmaxClassifier(alpha=0, solver=solver, max_iter=100, random_state=0).fit(shifted, y)
        assert model.score(shifted, y) >= 0.98  # LogisticRegression on standardized features: 0.988


@pytest.mark.parametrize("batch_size", [1, 4, 32])
@pytest.mark.parametrize(
    ("estimator", "loss"),
    [
        (SoftmaxClassifier(), losses.CrossEntropy()),
        (
            LinearSVMClassifier(calibration=None, loss="squared_hinge", multi_class="ovr"),
            losses.OneVsRest(squared=True),
        ),
    ],
)
def test_class_weights_in_small_batches_reach_the_weighted_optimum(batch_size, estimator, loss, digits):
    X, y = digits
    class_weight = {k: 10.0 if k in (3, 8) else 1.0 for k in range(10)}
    weight = np.where((y == 3) | (y == 8), 10.0, 1.0)
    penalty = ElasticNet(1e-2)
    *_, best, _ = optimum(loss, X, y, penalty, n_outputs=10, weight=weight)
    estimator = clone(estimator).set_params(
        alpha=1e-2, class_weight=class_weight, batch_size=batch_size, max_iter=100, random_state=0
    )
    model = estimator.fit(X, y)
    found = objective(loss, X, y, model.coef_, model.intercept_, penalty, weight)
    assert found <= 1.02 * best
    unweighted = estimator.set_params(class_weight=None).fit(X, y)
    assert objective(loss, X, y, unweighted.coef_, unweighted.intercept_, penalty, weight) > 1.02 * best


def test_class_weights_in_small_batches_with_the_default_hinge(digits):
    # Its optimum has no closed check: the better of two long runs, which 2% are to be measured from.
    X, y = digits
    weight = np.where((y == 3) | (y == 8), 10.0, 1.0)
    model = LinearSVMClassifier(calibration=None, alpha=1e-2, class_weight={3: 10.0, 8: 10.0}, random_state=0)

    def reached(**parameters):
        found = clone(model).set_params(**parameters).fit(X, y)
        return objective(
            losses.WestonWatkins(), X, y, found.coef_, found.intercept_, ElasticNet(1e-2), weight
        )

    best = min(reached(solver=solver, max_iter=1500, tol=None) for solver in ("momentum", "adam"))
    for batch_size in (1, 4, 32):
        assert reached(batch_size=batch_size) <= 1.02 * best
    unweighted = reached(class_weight=None)
    assert unweighted > 1.02 * best


def test_cost_of_wide_sparse_rows_is_that_of_their_nonzeros():
    """100,000 features and 20 classes: a step must not walk through the whole matrix."""
    import time

    rng = np.random.default_rng(0)
    n_rows, n_stored = 2000, 10
    seconds = []
    for n_features in (1000, 100_000):
        columns = rng.integers(0, 1000, n_rows * n_stored)
        indptr = np.arange(0, n_rows * n_stored + 1, n_stored)
        X = sparse.csr_array((np.ones(n_rows * n_stored), columns, indptr), shape=(n_rows, n_features))
        y = rng.integers(0, 20, n_rows)
        model = SoftmaxClassifier(batch_size=1, learning_rate=0.1, tol=None, random_state=0, max_iter=1)
        model.fit(X, y)
        start = time.perf_counter()
        model.set_params(max_iter=5).fit(X, y)
        seconds.append(time.perf_counter() - start)
    # 10,000 steps: a walk through 2 million weights in each would take seconds, not milliseconds more.
    assert seconds[1] - seconds[0] < 2.0
