"""Newton's steps of softmax without the whole Hessian: the same as with it."""

import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from sklearn_lossopt import SoftmaxClassifier
from sklearn_lossopt.kernels import losses
from sklearn_lossopt.penalties import ElasticNet
from sklearn_lossopt.problem import Problem, as_rows
from sklearn_lossopt.solvers import SDCA, Newton, newton, standardized, truncated
from sklearn_lossopt.solvers.newton import NewtonSteps
from sklearn_lossopt.solvers.relay import Relay

STORAGE = pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array], ids=["dense", "sparse"])
ALPHA = 1e-2


def table(n_rows=300, n_features=6, n_classes=4):
    """Rows, labels and weights; a feature is constant, one rare, scales differ."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, n_features)) * (rng.random((n_rows, n_features)) < 0.7)
    X *= 10.0 ** rng.integers(-2, 3, n_features)
    X[:, 1] = 0
    X[:, 2] = rng.random(n_rows) < 0.02
    y = (X[:, 0] / X[:, 0].std() + rng.normal(size=n_rows) > 0) + 2 * (rng.random(n_rows) < 0.1)
    y[:n_classes] = np.arange(n_classes)
    return X, y.astype(np.int32), rng.integers(1, 4, n_rows).astype(float)


def started(storage, fit_intercept):
    """A problem, and a state of Newton's method somewhere off the optimum, with a system."""
    X, y, weight = table()
    index = np.arange(len(y), dtype=np.int32)
    n_outputs = y.max() + 1
    problem = Problem(
        as_rows(storage(X)), index, y, weight / weight.mean(), losses.SOFTMAX, ElasticNet(ALPHA), n_outputs,
        fit_intercept,
    )  # fmt: skip
    rng = np.random.default_rng(1)
    coef = rng.normal(size=(n_outputs, X.shape[1])) / np.maximum(np.abs(X).max(axis=0), 1e-3)
    model = problem.model(coef, rng.normal(size=n_outputs) * fit_intercept)
    return problem, NewtonSteps().start(problem, model, None)


def naive_step(problem, coef, intercept):
    """Gradient and Newton step in the user's coordinates, with the whole Hessian and nothing clever."""
    X, y, weight = table()
    weight = weight / weight.sum()
    n_outputs, n_features = coef.shape
    rows = np.column_stack([X, np.full(len(X), float(problem.fit_intercept))])
    scores = rows @ np.column_stack([coef, intercept]).T
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    ridge = np.append(np.full(n_features, ALPHA), 0.0)
    gradient = (weight[:, None] * (p - np.eye(n_outputs)[y])).T @ rows
    gradient += ridge * np.column_stack([coef, intercept])
    hessian = np.kron(np.eye(n_outputs), np.diag(ridge))
    for x, w, q in zip(rows, weight, p, strict=True):
        hessian += w * np.kron(np.diag(q) - np.outer(q, q), np.outer(x, x))
    step = np.linalg.lstsq(hessian, -gradient.ravel(), rcond=1e-14)[0].reshape(gradient.shape)
    return step[:, :-1], step[:, -1]


@STORAGE
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("kind", ["kronecker", "estimate", "_form_whole"])
def test_direction_is_that_of_the_whole_hessian(storage, fit_intercept, kind, monkeypatch):
    monkeypatch.setattr(truncated, "QUICK", 0)
    problem, state = started(storage, fit_intercept)
    system, p = state.objective.system, state.objective.p
    assert state.unused.tolist() == [False, True, False, False, False, False, not fit_intercept]
    system.n_sample = 150  # half of the rows: a bad preconditioner, and the same result
    precondition = getattr(system, kind)(p)
    direction, is_enough = truncated.conjugate_gradients(
        lambda v: system.times(v, p), precondition, system.gradient(p), 1e-30, 500
    )
    assert is_enough
    coef = -direction[:, :-1] * state.scale
    intercept = -direction[:, -1] - coef @ state.shift
    here = NewtonSteps().model(problem, state)
    expected, expected_intercept = naive_step(problem, problem.coef_of(here), here.intercept)
    assert (coef[:, 1] == 0).all()
    assert expected[:, 1] == pytest.approx(0, abs=1e-9)
    coef[:, 1] = expected[:, 1]
    size = np.abs(expected).max(axis=0)
    assert coef / size == pytest.approx(expected / size, abs=1e-8)
    if fit_intercept:
        assert intercept - intercept.mean() == pytest.approx(
            expected_intercept - expected_intercept.mean(), abs=1e-8
        )


@STORAGE
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_fits_with_and_without_the_whole_hessian_agree(storage, fit_intercept, monkeypatch):
    X, y, weight = table(1500)
    model = SoftmaxClassifier(alpha=1e-4, solver="newton", tol=1e-9, fit_intercept=fit_intercept)

    def fit(**constants):
        with monkeypatch.context() as context:
            for name, value in constants.items():
                context.setattr(standardized if name == "FREE_MEMORY" else truncated, name, value)
            model.fit(storage(X), y, weight)
        return model.loss_curve_[-1], model.coef_.copy()

    objective, coef = fit(QUICK=np.inf)
    size = np.abs(coef).max(axis=0) + 1e-300
    for constants in (
        {"PATIENCE": 100.0},  # a sample's Hessian: there are many rows for each parameter
        {"SAMPLE": 1000, "PATIENCE": 100.0},  # Kronecker product
        {"SAMPLE": 1000, "MOST_COLUMNS": 1, "MOST_PARAMETERS": 1},
        {"SAMPLE": 1000, "MOST_COLUMNS": 1, "PATIENCE": 0.0},  # whole after a product
        {"FREE_MEMORY": 0},  # rows standardized anew for each product
    ):
        other, found = fit(QUICK=0, **constants)
        assert abs(other - objective) <= 1e-10 * objective
        assert found / size == pytest.approx(coef / size, abs=1e-7)
        assert model.converged_


def test_which_preconditioner_is_in_use(monkeypatch):
    def kinds(**constants):
        found = []
        with monkeypatch.context() as context:
            context.setattr(truncated, "QUICK", 0)
            for name, value in constants.items():
                context.setattr(truncated, name, value)
            problem, state = started(np.asarray, True)
            for _ in range(8):
                NewtonSteps().run_pass(problem, state, 1.0)
                found.append(state.objective.system.kind)
        return found

    assert set(kinds(SAMPLE=1000, PATIENCE=100.0)) == {"kronecker"}
    assert kinds(PATIENCE=100.0)[0] == "kronecker"
    assert kinds(PATIENCE=100.0)[-1] == "estimate"
    assert kinds(SAMPLE=1000, MOST_COLUMNS=1, PATIENCE=0.0)[-1] == "whole"


def test_rows_that_hardly_bend_the_objective_are_left_out(digits, monkeypatch):
    X, y = 16 * digits[0], digits[1]
    monkeypatch.setattr(newton, "LITTLE", np.inf)  # on to rounding
    used = []
    original = truncated.SoftmaxSystem._rows_that_matter

    def seen(self, p, share):
        rows = original(self, p, share)
        used.append(len(y) if rows is None else rows[1].shape[1])
        return rows

    model = SoftmaxClassifier(solver="newton").fit(X, y)
    monkeypatch.setattr(truncated.SoftmaxSystem, "_rows_that_matter", seen)
    model.fit(X, y)
    assert used[0] == len(y)
    assert min(used) < 0.6 * len(y)
    monkeypatch.setattr(truncated, "NEGLIGIBLE", -1.0)
    all_rows = SoftmaxClassifier(solver="newton").fit(X, y)
    assert model.coef_ == pytest.approx(all_rows.coef_, abs=1e-8)


def test_a_sample_of_the_rows_weighs_as_much_as_all():
    problem, state = started(np.asarray, True)
    system = truncated.SoftmaxSystem(problem, state)
    p = np.full((4, len(state.index)), 0.25)
    sample, weight = system._sample(p, 100)
    assert len(sample) <= 100
    rows = system.rows.columns_of(slice(0, len(state.index)))
    gram = (rows[:, sample] * weight) @ rows[:, sample].T
    whole = (rows * state.weight) @ rows.T
    assert np.trace(gram) == pytest.approx(np.trace(whole), rel=0.2)
    everything, all_weights = system._sample(p, 100_000)
    assert len(everything) == len(state.index)
    assert all_weights == pytest.approx(state.weight, rel=0.05)


def test_separable_classes_without_a_penalty_end():
    X, y = np.random.default_rng(0).normal(size=(400, 40)), np.arange(400) % 8
    X[np.arange(400), y] += 20
    model = SoftmaxClassifier(alpha=0, solver="newton", max_iter=50)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y)
    assert model.score(X, y) == 1.0
    assert np.isfinite(model.coef_).all()


@pytest.mark.parametrize("name", ["digits", "breast_cancer"])
def test_a_relay_ends_with_the_proven_gap(name, request):
    """Also on little data, where Newton's method alone goes on to rounding."""
    X, y = request.getfixturevalue(name)
    relay = Relay(SDCA(), Newton(), 1, 1, 1)
    model = SoftmaxClassifier(solver=relay, tol=1e-2, random_state=0).fit(X, y)
    relative = np.array(model.dual_gap_curve_) / model.loss_curve_
    assert model.converged_
    assert model.n_iter_ > 1
    assert (relative[:-1] > 1e-2).all()
    assert 1e-7 < relative[-1] <= 1e-2  # at rounding it is 1e-9
