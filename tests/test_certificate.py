"""The duality gap: feasible dual points, bounds that hold, bounds that are tight."""

import warnings
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import KERNEL_LOSSES, dual_objective, dual_vectors, objective, optimum
from scipy import sparse
from sklearn.datasets import make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC, LinearSVC
from test_properties import tables

from sklearn_lossopt import LinearSVMClassifier, SoftmaxClassifier, losses
from sklearn_lossopt.certificate import _balance_matrix, balance, certify
from sklearn_lossopt.kernels.ascent import ascend, start_dual
from sklearn_lossopt.kernels.vectors import padded_outputs
from sklearn_lossopt.penalties import ElasticNet
from sklearn_lossopt.problem import Problem, as_rows
from sklearn_lossopt.solvers import dual
from sklearn_lossopt.solvers.dual import DualAscent

PENALTIES = {
    "l2": ElasticNet(0.02),
    "weak l2": ElasticNet(1e-6),
    "elastic net": ElasticNet(0.02, 0.5),
    "l1": ElasticNet(0.02, 1.0),
    "none": ElasticNet(0.0),
}


def problem_of(name, clouds, penalty, *, is_sparse=False, weighted=False, fit_intercept=True, dtype=float):
    number, loss, n_classes = KERNEL_LOSSES[name]
    X, y, csr = clouds
    y = y % n_classes
    weight = np.linspace(0.2, 3, len(y)) if weighted else np.ones(len(y))
    rows = (csr if is_sparse else X).astype(dtype)
    problem = Problem(
        rows=as_rows(rows),
        index=np.arange(len(y), dtype=np.int32),
        target=y.astype(np.int32),
        weight=(weight / weight.mean()).astype(dtype),
        loss=number,
        penalty=penalty,
        n_outputs=n_classes if n_classes > 2 else 1,
        fit_intercept=fit_intercept,
    )
    return problem, loss, rows.toarray().astype(float) if is_sparse else rows.astype(float), y


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("is_sparse", [False, True])
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("name", KERNEL_LOSSES)
def test_certificate_is_the_naive_bound_of_a_feasible_point(
    name, penalty, is_sparse, weighted, fit_intercept, clouds
):
    problem, loss, X, y = problem_of(
        name,
        clouds,
        PENALTIES[penalty],
        is_sparse=is_sparse,
        weighted=weighted,
        fit_intercept=fit_intercept,
        dtype=np.float32 if weighted else np.float64,
    )
    ascent = DualAscent(None, True)
    state = ascent.start(problem, problem.model(), np.random.default_rng(0))
    for n_passes in (1, 2, 17):
        for _ in range(n_passes):
            ascent.run_pass(problem, state, 1.0)
        model = ascent.model(problem, state)
        found = certify(problem, model, state.arrays.dual)
        move = balance(problem, state.arrays.dual)
        a = dual_vectors(problem.loss, state.arrays.dual, y, move)
        if fit_intercept:
            assert np.abs(problem.share @ a).max() <= 1e-12 * max(1, np.abs(a).max())
        coef, intercept = problem.coef_of(model).astype(float), model.intercept.astype(float)
        primal = objective(loss, X, y, coef, intercept, problem.penalty, problem.share)
        assert found.objective == pytest.approx(primal, rel=1e-10)
        dual = dual_objective(loss, X, y, problem.share, a, problem.penalty)
        slopes = -a[:, 0] if a.shape[1] == 1 else -a
        assert np.isfinite(loss.conjugate(slopes, y)).all()
        assert dual <= primal
        if problem.penalty.l2 > 0:
            # at least this point's bound, or that losses are not negative
            assert found.bound >= max(dual, 0) - 1e-9 * (1 + abs(dual))
        if penalty in ("l2", "weak l2"):
            assert found.bound <= max(dual, 0) + 1e-9
        assert found.gap >= primal - found.bound


def step(number, scores, line, y, curvature):
    """Set a line of dual variables to its best; gives the change of a. Padding is NaN: it must not matter."""
    width = padded_outputs(line.size, line.dtype)
    padded, change = np.full(width, np.nan, line.dtype), np.full(width, np.nan, line.dtype)
    padded[: line.size] = scores
    ascend(number, padded, line, y, curvature, change, np.full((2, width), np.nan, line.dtype))
    return change[: line.size]


@pytest.mark.parametrize("name", KERNEL_LOSSES)
def test_row_step_maximizes_its_dual(name):
    """Against SciPy's constrained optimizer, from every start that earlier steps lead to."""
    number, loss, n_classes = KERNEL_LOSSES[name]
    n_outputs = n_classes if n_classes > 2 else 1
    rng = np.random.default_rng(0)
    for curvature in (0.05, 1.0, 30.0):
        for y in range(n_classes):
            line = np.zeros(n_outputs)
            start_dual(number, line, y)
            for _ in range(3):
                scores = 2 * rng.normal(size=n_outputs)
                before = dual_vectors(number, line[None], np.array([y]))[0]
                change = step(number, scores, line, y, curvature)
                after = dual_vectors(number, line[None], np.array([y]))[0]
                assert after - before == pytest.approx(change, abs=1e-10)

                def row_dual(a, scores=scores, before=before, curvature=curvature, y=y):
                    slopes = -a[None] if n_outputs > 1 else -a
                    value = loss.conjugate(slopes, np.array([y]))[0]
                    return value + a @ scores + curvature / 2 * np.sum((a - before) ** 2)

                here = row_dual(after)
                assert np.isfinite(here)
                others = dual_vectors(number, _neighbours(number, line, y, rng), np.full(200, y))
                best = min(row_dual(before + t * (a - before)) for a in others for t in (0.01, 0.3, 1.0))
                rounding = 1e-3 if name == "softmax" else 1e-6  # its search ends where another visit goes on
                assert here <= best + rounding * (1 + abs(best))
                # and no feasible direction from it leads down
                for a in others:
                    assert row_dual(after + 1e-3 * (a - after)) >= here - 3 * rounding * (1 + abs(here))


def _neighbours(number, line, y, rng):
    """Random feasible stored duals."""
    n_outputs = line.size
    u = rng.random((200, n_outputs)) * rng.choice([0.01, 0.3, 1.0], size=(200, 1))
    if number == 0:
        u = rng.dirichlet(np.full(n_outputs, 0.5), 200)
        return np.log(np.maximum(u, 1e-25))
    if n_outputs > 1 and number % 8 != 2:
        u[:, y] = 0
    if number == 4:
        u /= np.maximum(1, u.sum(axis=1, keepdims=True))
    return u


def test_row_step_of_softmax_holds_in_extreme_cases():
    rng = np.random.default_rng(1)
    for dtype in (np.float32, np.float64):
        for curvature in 10.0 ** np.arange(-6, 7):
            for size in 10.0 ** np.arange(-3, 5):
                line, y = np.zeros(5, dtype), 2
                start_dual(0, line, y)
                for _ in range(20):
                    scores = (size * rng.normal(size=5)).astype(dtype)
                    change = step(0, scores, line, y, dtype(curvature))
                    assert np.isfinite(line).all()
                    assert np.isfinite(change).all()
                    assert np.exp(line.astype(float)).sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("n_outputs", [3, 20, 150])
def test_row_step_of_weston_watkins_with_many_rivals(n_outputs, squared):
    """Kinks far apart, where Newton's steps alone go to and fro for ever."""
    rng = np.random.default_rng(0)
    softness, cap = (0.5, np.inf) if squared else (0.0, 1.0)
    for dtype in (np.float32, np.float64):
        for _ in range(100):
            y = rng.integers(n_outputs)
            before = np.where(rng.random(n_outputs) < 0.1, rng.random(n_outputs), 0.0)
            before[y] = 0
            scores = rng.normal(size=n_outputs) * rng.choice([0.1, 1, 10])
            curvature = rng.choice([0.01, 0.1, 1.0, 10.0])
            line = before.astype(dtype)
            step(3 + 8 * squared, scores, line, y, dtype(curvature))
            violation = 1 + scores - scores[y]
            violation[y] = -np.inf

            def rivals(t, before=before, violation=violation, curvature=curvature):
                u = (violation + curvature * (before - t)) / (curvature + softness)
                return np.clip(u, 0, cap)

            low, high = -before.sum(), rivals(0).sum()
            for _ in range(100):
                t = (low + high) / 2
                low, high = (t, high) if rivals(t).sum() - before.sum() > t else (low, t)
            accuracy = 1e-6 if dtype == np.float64 else 1e-4  # its search ends at 1e-6
            assert line == pytest.approx(rivals(t), rel=accuracy, abs=accuracy * max(1, t))


def test_balancing_a_flow():
    rng = np.random.default_rng(0)
    for flow in (rng.random((5, 5)), np.array([[0, 1.0], [3.0, 0]]), np.array([[0, 1.0], [0, 0]])):
        np.fill_diagonal(flow, 0)
        keep = _balance_matrix(flow)
        balanced = keep * flow
        assert balanced.sum(axis=0) == pytest.approx(balanced.sum(axis=1), abs=1e-12)
        assert (keep[flow > 0] >= 0).all()
        assert (keep[flow > 0] <= 1).all()
    even = np.array([[0, 1.0, 2], [2, 0, 1], [1, 2, 0]])
    assert _balance_matrix(even)[even > 0] == pytest.approx(1)


@pytest.mark.parametrize("n_classes", [3, 12, 60])
@pytest.mark.parametrize("skew", [0.0, 0.3, 3.0])
def test_balancing_keeps_what_it_can(n_classes, skew):
    rng = np.random.default_rng(n_classes)
    flow = rng.random((n_classes, n_classes)) * (rng.random((n_classes, n_classes)) < 0.5)
    flow = (flow + flow.T) * np.exp(skew * rng.normal(size=n_classes))[:, np.newaxis]
    flow[-1] = flow[:, -1] = 0  # a class without any
    np.fill_diagonal(flow, 0)
    balanced = _balance_matrix(flow) * flow
    assert balanced.sum(axis=0) == pytest.approx(balanced.sum(axis=1), abs=1e-13 * flow.sum())
    assert balanced.sum() >= (1 - 1e-12) * np.minimum(flow, flow.T).sum()
    if skew == 0:  # balanced as it is
        assert balanced == pytest.approx(flow)


def test_a_similarity_is_undone():
    here = np.arange(8)
    even = np.zeros((8, 8))
    even[here, (here + 1) % 8] = 1.0  # round and round: there are no opposite entries to cut
    even[here, (here + 3) % 8] = 0.5
    x = 0.1 * np.random.default_rng(0).normal(size=8)
    flow = even * np.exp(x[:, np.newaxis] - x)
    balanced = _balance_matrix(flow) * flow
    ratio = balanced[even > 0] / even[even > 0]
    assert ratio == pytest.approx(np.full(ratio.size, ratio[0]), rel=1e-9)  # up to a factor
    assert ratio[0] > 0.5


def certified(estimator, X, y, weight=None):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return estimator.fit(X, y, weight)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("solver", ["sdca", "newton"])
@pytest.mark.parametrize("name", ["breast_cancer", "digits"])
def test_gap_covers_the_distance_to_newton_cholesky(name, solver, weighted, request):
    X, y = request.getfixturevalue(name)
    weight = np.linspace(0.5, 2, len(y)) if weighted else None
    total = len(y) if weight is None else weight.sum()
    loss = losses.LogLoss() if name == "breast_cancer" else losses.CrossEntropy()
    for alpha in (1e-1, 1e-3):
        reference = LogisticRegression(
            solver="newton-cholesky", C=1 / (alpha * total), tol=1e-12, max_iter=500
        )
        reference.fit(X, y, weight)
        best = objective(loss, X, y, reference.coef_, reference.intercept_, ElasticNet(alpha), weight)
        for rows in (X, sparse.csr_array(X)):
            for tol in (1e-1, 1e-3, 1e-6):
                model = certified(
                    SoftmaxClassifier(alpha=alpha, solver=solver, tol=tol, max_iter=2000, random_state=0),
                    rows,
                    y,
                    weight,
                )
                here = objective(loss, X, y, model.coef_, model.intercept_, ElasticNet(alpha), weight)
                assert model.dual_gap_ >= here - best
                assert model.converged_
                assert model.dual_gap_ <= tol * max(here, 1e-3 * np.log(len(model.classes_)))
                assert model.loss_curve_[-1] == pytest.approx(here, rel=1e-10)


def public_loss(model):
    n_classes = len(model.classes_)
    if isinstance(model, SoftmaxClassifier):
        return losses.LogLoss() if n_classes == 2 else losses.CrossEntropy()
    squared = model.loss == "squared_hinge"
    if n_classes == 2:
        return losses.BinaryHinge(squared=squared)
    families = {
        "weston_watkins": losses.WestonWatkins,
        "crammer_singer": losses.CrammerSinger,
        "ovr": losses.OneVsRest,
    }
    return families[model.multi_class](squared=squared)


ESTIMATORS = [SoftmaxClassifier(solver="sdca"), SoftmaxClassifier(solver="newton")] + [
    LinearSVMClassifier(loss=loss, multi_class=multi_class, calibration=None, solver="sdca")
    for loss in ("hinge", "squared_hinge")
    for multi_class in ("weston_watkins", "crammer_singer", "ovr")
]
ESTIMATORS += [
    LinearSVMClassifier(loss=loss, multi_class=multi_class, calibration=None, solver="interior_point")
    for loss in ("hinge", "squared_hinge")
    for multi_class in ("weston_watkins", "crammer_singer", "ovr")
]


@patch.multiple(dual, LONG_PASS=0.0, SHARE_OF_COPIES=np.inf)  # threads on little data too
@settings(max_examples=100)
@given(
    table=tables(),
    estimator=st.sampled_from(ESTIMATORS),
    alpha=st.sampled_from([0.0, 1e-8, 1e-4, 1e-2, 10.0]),
    l1_ratio=st.sampled_from([0.0, 0.0, 0.5, 1.0]),
    fit_intercept=st.booleans(),
    n_jobs=st.sampled_from([1, 1, 2]),
)
def test_no_gap_lies(table, estimator, alpha, l1_ratio, fit_intercept, n_jobs):
    """Whatever a longer run finds is above what a shorter one's gap allows."""
    X, y, is_sparse = table
    rows = sparse.csr_array(X) if is_sparse else X
    is_newton = estimator.solver != "sdca"  # nor takes L1
    parameters = dict(alpha=alpha, l1_ratio=0.0 if is_newton else l1_ratio, fit_intercept=fit_intercept)
    parameters["n_jobs"] = n_jobs
    reached = []
    for max_iter in (1, 5, 60, 600):
        model = certified(
            estimator.set_params(**parameters, max_iter=max_iter, tol=1e-9, random_state=0), rows, y
        )
        assert np.isfinite(model.coef_).all()
        here = objective(
            public_loss(model),
            X.astype(float),
            np.searchsorted(model.classes_, y),
            model.coef_.astype(float),
            model.intercept_.astype(float),
            ElasticNet(alpha, parameters["l1_ratio"]),
        )
        assert np.isfinite(here)
        assert 0 <= model.dual_gap_ <= here * (1 + 1e-6) + 1e-6
        reached.append((here, model.dual_gap_))
    best = min(value for value, _ in reached)
    for value, gap in reached:
        assert gap >= value - best


@pytest.mark.parametrize("weighted", [False, True])
def test_gap_covers_the_distance_to_svc(weighted, breast_cancer):
    """Two-class hinge with its free intercept: SVC; without one: LinearSVC, also one against the rest."""
    X, y = breast_cancer
    weight = np.linspace(0.5, 2, len(y)) if weighted else np.ones(len(y))
    for alpha in (1e-1, 1e-3):
        C = 1 / (alpha * weight.sum())
        reference = SVC(kernel="linear", C=C, tol=1e-10).fit(X, y, weight)
        penalty = ElasticNet(alpha)
        best = objective(losses.BinaryHinge(), X, y, reference.coef_, reference.intercept_, penalty, weight)
        for rows in (X, sparse.csr_array(X)):
            for tol in (1e-1, 1e-3):
                model = LinearSVMClassifier(
                    alpha=alpha, solver="sdca", calibration=None, tol=tol, max_iter=20_000, random_state=0
                )
                certified(model, rows, y, weight)
                here = objective(losses.BinaryHinge(), X, y, model.coef_, model.intercept_, penalty, weight)
                assert model.converged_
                assert here - best <= model.dual_gap_ <= tol * here


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
@pytest.mark.parametrize("multi_class", ["ovr", "crammer_singer"])
def test_gap_covers_the_distance_to_linear_svc(loss, multi_class, digits):
    X, y = digits
    if multi_class == "crammer_singer" and loss == "squared_hinge":
        pytest.skip("LinearSVC has no squared Crammer-Singer loss")
    alpha = 1e-2
    reference = LinearSVC(
        C=1 / (alpha * len(y)),
        loss=loss,
        multi_class=multi_class,
        fit_intercept=False,
        tol=1e-6,
        max_iter=200_000,
        random_state=0,
        dual=True,
    ).fit(X, y)
    # LinearSVC's squared and plain hinge have C sum hinge and |W|^2 / 2: ours times n * C.
    model = LinearSVMClassifier(
        loss=loss,
        multi_class=multi_class,
        alpha=alpha,
        fit_intercept=False,
        solver="sdca",
        calibration=None,
        tol=1e-4,
        max_iter=5000,
        random_state=0,
    ).fit(X, y)
    family = public_loss(model)
    best = objective(family, X, y, reference.coef_, np.zeros(10), ElasticNet(alpha))
    here = objective(family, X, y, model.coef_, model.intercept_, ElasticNet(alpha))
    assert model.converged_
    assert (model.intercept_ == 0).all()
    assert here - best <= model.dual_gap_ <= 1e-4 * here
    assert here <= best * (1 + 1e-4)


@pytest.mark.parametrize("name", ["elastic net", "l1"])
@pytest.mark.parametrize("loss", ["softmax", "squared_ovr"])
def test_l1_ends_at_the_optimum_with_its_zeros(loss, name, digits):
    X, y = digits
    penalty = ElasticNet(0.01, {"elastic net": 0.5, "l1": 1.0}[name])
    family = losses.CrossEntropy() if loss == "softmax" else losses.OneVsRest(squared=True)
    coef, _, best, residual = optimum(family, X, y, penalty, n_outputs=10)
    assert residual < 1e-9
    parameters = dict(alpha=0.01, l1_ratio=penalty.l1_ratio, tol=1e-6, max_iter=3000, random_state=0)
    for rows in (X, sparse.csr_array(X)):
        model = (
            SoftmaxClassifier(solver="sdca", **parameters)
            if loss == "softmax"
            else LinearSVMClassifier(
                solver="sdca", loss="squared_hinge", multi_class="ovr", calibration=None, **parameters
            )
        ).fit(rows, y)
        here = objective(family, X, y, model.coef_, model.intercept_, penalty)
        assert model.converged_
        assert here - best <= model.dual_gap_ <= 1e-6 * here
        sure = np.abs(coef) > 1e-2
        assert (model.coef_[sure] != 0).all()
        assert (model.coef_ == 0).mean() >= (coef == 0).mean() - 0.02


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("name", ["breast_cancer", "digits", "wine", "iris"])
def test_newton_and_newton_cholesky_agree(name, scaled):
    """The free intercept, exactly: raw features too."""
    import sklearn.datasets
    from sklearn.preprocessing import scale

    X, y = getattr(sklearn.datasets, f"load_{name}")(return_X_y=True)
    X = scale(X) if scaled else X
    alpha = 1e-3
    loss = losses.LogLoss() if name == "breast_cancer" else losses.CrossEntropy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reference = LogisticRegression(
            solver="newton-cholesky", C=1 / (alpha * len(y)), tol=1e-12, max_iter=1000
        )
        reference.fit(X, y)
    best = objective(loss, X, y, reference.coef_, reference.intercept_, ElasticNet(alpha))
    model = SoftmaxClassifier(alpha=alpha, tol=1e-7, random_state=0).fit(X, y)
    here = objective(loss, X, y, model.coef_, model.intercept_, ElasticNet(alpha))
    assert model.converged_
    assert abs(here - best) <= 1e-6 * best
    assert here - best <= model.dual_gap_ <= 1e-7 * max(here, 1e-3 * np.log(len(model.classes_)))


@pytest.mark.parametrize("is_sparse", [False, True])
@pytest.mark.parametrize("name", KERNEL_LOSSES)
def test_guessed_gap_of_all_rows_is_the_certified_one(name, is_sparse, clouds, monkeypatch):
    penalty = ElasticNet(1e-3)
    problem, loss, X, y = problem_of(name, clouds, penalty, is_sparse=is_sparse, fit_intercept=False)
    monkeypatch.setattr(dual, "SAMPLE", len(problem.index))
    monkeypatch.setattr(DualAscent, "_can_guess", lambda self, problem: True)
    ascent = DualAscent(1e-9, True)
    state = ascent.start(problem, problem.model(), np.random.default_rng(0))
    for _ in range(4):
        ascent.run_pass(problem, state, 1.0)
    model = ascent.model(problem, state)
    primal = objective(loss, X, y, problem.coef_of(model), model.intercept, penalty)
    a = dual_vectors(problem.loss, state.arrays.dual, y, balance(problem, state.arrays.dual))
    assert state.kappa > 0
    assert state.is_hopeless
    assert state.guess == pytest.approx(
        primal - dual_objective(loss, X, y, problem.share, a, penalty), rel=1e-6
    )


@pytest.mark.parametrize("fit_intercept", [False, True])
def test_guesses_spare_certificates_and_change_nothing_else(fit_intercept, monkeypatch):
    X, y = make_classification(5000, 30, n_informative=10, n_classes=5, random_state=0)
    model = SoftmaxClassifier(
        solver="sdca", alpha=1e-4, tol=1e-5, fit_intercept=fit_intercept, random_state=0
    )
    guessed = model.fit(X, y).dual_gap_curve_
    assert model.converged_
    assert model.dual_gap_ <= 1e-5 * model.loss_curve_[-1]
    n_passes = model.n_iter_
    monkeypatch.setattr(DualAscent, "_can_guess", lambda self, problem: False)
    model.fit(X, y)
    assert model.converged_
    assert len(guessed) < len(model.dual_gap_curve_)
    assert n_passes <= model.n_iter_ + 2
