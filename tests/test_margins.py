"""Newton's method for losses of margins: what a visit of the rows finds, and which Hessians do."""

import numpy as np
import pytest
from scipy import sparse
from scipy.special import expit

from sklearn_lossopt import LinearSVMClassifier, SoftmaxClassifier
from sklearn_lossopt.kernels import hessians, losses
from sklearn_lossopt.penalties import ElasticNet
from sklearn_lossopt.problem import Problem, as_rows
from sklearn_lossopt.solvers import margins
from sklearn_lossopt.solvers.newton import SQUARED_OVR, NewtonSteps

ALPHA = 1e-2
STORAGE = pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array], ids=["dense", "csr"])
LOSSES = pytest.mark.parametrize(
    ("loss", "n_outputs"),
    [(losses.LOGISTIC, 1), (SQUARED_OVR, 1), (SQUARED_OVR, 3)],
    ids=["logistic", "hinge", "hinges"],
)


def table(n_rows=517, n_features=11, n_classes=2):
    """Rows, labels and weights; a feature is constant, scales and means differ."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, n_features)) * (rng.random((n_rows, n_features)) < 0.7)
    X = (X + (rng.random(n_features) < 0.3)) * 10.0 ** rng.integers(-2, 3, n_features)
    X[:, 1] = 0
    direction = rng.normal(size=(n_features, n_classes)) / np.maximum(X.std(axis=0), 1e-9)[:, None]
    y = ((X - X.mean(axis=0)) @ direction + 2 * rng.normal(size=(n_rows, n_classes))).argmax(axis=1)
    return X, y.astype(np.int32), rng.integers(1, 4, n_rows).astype(float)


def problem_of(storage, loss, n_outputs, fit_intercept=True, dtype=np.float64, alpha=ALPHA, n_rows=517):
    X, y, weight = table(n_rows, n_classes=max(n_outputs, 2))
    index = np.sort(np.random.default_rng(2).permutation(len(y))[: len(y) - 20]).astype(np.int32)
    weight /= weight[index].mean()
    rows = as_rows(storage(X.astype(dtype)))
    return Problem(
        rows, index, y, weight.astype(dtype), loss, ElasticNet(alpha), n_outputs, fit_intercept
    )  # fmt: skip


def started(problem, size=1 / 3):
    """A state of Newton's method somewhere off the optimum."""
    rng = np.random.default_rng(1)
    spread = np.maximum(table()[0].std(axis=0), 1e-3)
    coef = size * rng.normal(size=(problem.n_outputs, problem.n_features)) / spread
    intercept = rng.normal(size=problem.n_outputs) * problem.fit_intercept
    state = NewtonSteps().start(problem, problem.model(coef, intercept), None)
    state.objective.look()
    return state


def naive(problem, state, parameters):
    """The objective in plain NumPy, of parameters of standardized features."""
    X = problem.rows.values if not problem.is_sparse else problem.matrix.toarray()
    X, y = X[problem.index].astype(np.float64), problem.target[problem.index]
    weight = problem.weight[problem.index].astype(np.float64)
    rows = np.column_stack([(X - state.shift) * state.scale, np.full(len(X), float(problem.fit_intercept))])
    classes = np.arange(problem.n_outputs) if problem.n_outputs > 1 else np.ones(1)
    margin = np.where(y[:, None] == classes, 1, -1) * (rows @ parameters.T)
    loss = np.logaddexp(0, -margin) if problem.loss == losses.LOGISTIC else np.maximum(1 - margin, 0) ** 2
    coef = parameters[:, :-1] * state.scale
    return weight @ loss.sum(axis=1) / weight.sum() + problem.penalty.l2 / 2 * np.sum(coef**2)


def hessian_of(state, k):
    block = state.objective.blocks[k]
    whole = np.tril(block) + np.tril(block, -1).T
    return whole + np.diag(state.ridge)


@LOSSES
@STORAGE
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_derivatives(loss, n_outputs, storage, dtype, fit_intercept, monkeypatch):
    """Value against NumPy; gradient and Hessian against centred differences, over several blocks of rows."""
    monkeypatch.setattr(margins, "BLOCK", 1000)  # less than 100 rows
    problem = problem_of(storage, loss, n_outputs, fit_intercept, dtype)
    state = started(problem)
    assert len(state.objective.parts) == (1 if problem.is_sparse else 6)
    here, used = state.parameters, ~state.unused
    tight = {"rel": 1e-12, "abs": 1e-12} if dtype == np.float64 else {"rel": 1e-6, "abs": 1e-6}
    assert state.value == pytest.approx(naive(problem, state, here), **tight)
    steps = 1e-4 * np.eye(here.size).reshape(here.size, *here.shape)
    ends = [(naive(problem, state, here + step), naive(problem, state, here - step)) for step in steps]
    slopes = np.array([(after - before) / 2e-4 for after, before in ends]).reshape(here.shape)
    gradient = state.objective.gradient
    assert gradient[:, used] == pytest.approx(slopes[:, used], abs=2e-6)
    assert not gradient[:, ~used].any()
    for k in range(n_outputs):
        changes = []
        for j in np.flatnonzero(used):
            step = np.zeros_like(here)
            step[k, j] = 1e-6
            ends = [
                state.objective._visit(here + s, state.objective.tried_scores, np.inf)[1]
                for s in (step, -step)
            ]
            changes.append((ends[0] - ends[1])[k, used] / 2e-6)
        # A hinge between the two ends has half its curvature there.
        slack = 1e-6 if loss == losses.LOGISTIC else 0.02
        assert hessian_of(state, k)[np.ix_(used, used)] == pytest.approx(np.array(changes), abs=slack)


def test_gram_of_sparse_rows_in_any_order():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(23, 5)) * (rng.random((23, 5)) < 0.6)
    weight = rng.random((23, 2))
    weight[3] = 0
    matrix = sparse.csr_array(X)
    for start, stop in zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True):
        order = rng.permutation(stop - start)
        matrix.indices[start:stop] = matrix.indices[start:stop][order]
        matrix.data[start:stop] = matrix.data[start:stop][order]
    gram, total, index = np.tril(np.ones((5, 5))), np.ones(5), np.arange(1, 23, 2)
    hessians.add_gram(as_rows(matrix), index.astype(np.int32), weight[index], 1, gram, total)
    some = X[index]
    assert gram == pytest.approx(np.tril(1 + some.T @ (weight[index, 1:] * some)))
    assert total == pytest.approx(1 + weight[index, 1] @ some)


@LOSSES
@STORAGE
def test_the_hessian_of_some_rows_stands_for_all(loss, n_outputs, storage):
    problem = problem_of(storage, loss, n_outputs, n_rows=20_000)
    state = started(problem, size=0.1)
    objective = state.objective
    exact = [hessian_of(state, k) for k in range(n_outputs)]
    _, _, objective.blocks = objective._visit(state.parameters, objective.tried_scores, 8.0)
    used = np.ix_(~state.unused, ~state.unused)
    counted = (objective.curvature > 0).any(axis=1).sum() / len(state.index)
    assert counted <= 0.13
    for k in range(n_outputs):
        ratio = np.linalg.eigvals(np.linalg.solve(exact[k][used], hessian_of(state, k)[used])).real
        assert 0.8 < ratio.min() < ratio.max() < 1.25
        assert abs(ratio - 1).max() > 1e-3  # not all rows


def test_rows_that_stand_for_others_are_of_every_class():
    """Whatever the period of the rows' order is."""
    problem = problem_of(np.asarray, losses.LOGISTIC, 1, n_rows=8000)
    problem.target[:] = np.arange(8000) % 8 == 0
    objective = started(problem).objective
    objective._visit(objective.state.parameters, objective.tried_scores, 8.0)
    seen = objective.curvature[:, 0] > 0
    share = problem.target[problem.index][seen].mean()
    assert 0.1 < share < 0.15


@LOSSES
@STORAGE
def test_lower_along_the_direction(loss, n_outputs, storage):
    """A step shorter than the whole one is judged and taken right."""
    problem = problem_of(storage, loss, n_outputs)
    state = started(problem)
    objective = state.objective
    gradient, solve = objective.derivatives()
    direction = -solve(gradient)
    here = state.parameters
    objective.aim(direction, False)
    for step in (1.0, 0.5, 0.125):
        expected = naive(problem, state, here + step * direction)
        assert objective.at(step) == pytest.approx(expected, rel=1e-12)
    objective.move()
    assert state.parameters == pytest.approx(here + 0.125 * direction)
    fresh = margins.MarginObjective(problem, state)
    fresh.look()
    assert objective.gradient == pytest.approx(fresh.gradient, abs=1e-12)
    assert objective.scores == pytest.approx(fresh.scores, abs=1e-12)


def test_hessians_that_are_kept_or_of_some_rows_end_at_the_same_optimum(monkeypatch):
    X, y, weight = table(30_000, 30)
    X = X / np.maximum(X.std(axis=0), 1e-9)
    visits = []
    original = margins.MarginObjective._visit

    def visit(self, parameters, scores, apart):
        visits.append(apart)
        return original(self, parameters, scores, apart)

    monkeypatch.setattr(margins.MarginObjective, "_visit", visit)

    def fit(**constants):
        visits.clear()
        with monkeypatch.context() as context:
            for name, value in constants.items():
                context.setattr(margins, name, value)
            model = SoftmaxClassifier(alpha=1e-4, solver="newton", tol=1e-7).fit(X, y, weight)
        assert model.converged_
        return model.loss_curve_[-1], model.dual_gap_, list(visits)

    plain, _, used = fit(MOST_APART=1, KEPT=0.0)
    assert set(used[:-1]) == {1.0}
    for constants in ({"LEAST_ROWS": 1}, {"MOST_APART": 1}, {}):
        objective, gap, used = fit(**constants)
        assert -1e-15 <= objective - plain <= gap <= 1e-7 * objective
        assert any(apart == np.inf for apart in used[:-1])  # a Hessian was kept
        assert (used[0] > 1) == (constants != {"MOST_APART": 1})


def test_a_rare_feature_is_known_by_all_its_rows(monkeypatch):
    monkeypatch.setattr(margins, "PRODUCT", (9.0, 9.0))  # Hessians so dear that some rows pay
    problem = problem_of(np.asarray, losses.LOGISTIC, 1, n_rows=4000)
    X = problem.rows.values.copy()
    X[:, 1] = np.arange(len(X)) % 500 == 0
    rare = Problem(
        as_rows(X), problem.index, problem.target, problem.weight, losses.LOGISTIC, problem.penalty, 1, True
    )
    assert started(problem).objective.most_apart > 2
    assert started(rare).objective.most_apart <= 1
    assert started(rare).objective._rarity() == pytest.approx(500, rel=0.3)


def test_curvature_of_few_rows_is_known_by_all_of_them(monkeypatch):
    monkeypatch.setattr(margins, "PRODUCT", (9.0, 9.0))  # Hessians so dear that some rows pay
    monkeypatch.setattr(margins, "LEAST_ROWS", 1)
    problem = problem_of(np.asarray, losses.LOGISTIC, 1, n_rows=20_000)
    near, far = (started(problem, size).objective for size in (0.0, 3.0))
    for objective in (near, far):
        assert objective.most_apart == 8
        objective.state.is_settled = True
        curvature = objective.curvature[:, 0]
        expected = curvature.sum() ** 2 / np.square(curvature).sum()
        assert objective.n_telling == pytest.approx(expected)
    assert near._apart() == 8
    assert far.n_telling < 0.2 * near.n_telling
    objective._visit(objective.state.parameters, objective.tried_scores, 4.0)
    assert objective.n_telling == pytest.approx(expected, rel=0.2)


@STORAGE
def test_steps_that_disappoint_end_the_use_of_some_rows(storage):
    problem = problem_of(storage, losses.LOGISTIC, 1, n_rows=8000)
    state = started(problem)
    objective = state.objective
    objective.most_apart, objective.decrement, state.decrement = 8.0, 0.1, 0.09
    objective.aim(np.zeros_like(state.parameters), False)
    assert objective.most_apart == 1


@pytest.mark.parametrize("mean", [0.0, 1e6])
def test_large_means_cost_no_digits(mean):
    """Dense rows are standardized before anything is summed up."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 3))
    y = expit(X @ [1.0, -2.0, 0.5]) > rng.random(400)
    model = LinearSVMClassifier(alpha=1e-3, loss="squared_hinge", solver="newton", calibration=None)
    near, far = model.fit(X, y).coef_, model.fit(X + mean, y).coef_
    assert far == pytest.approx(near, rel=1e-6)


@pytest.mark.parametrize(("alpha", "tol"), [(1e-10, 1e-9), (1e-12, 1e-7)])
def test_kept_hessians_do_not_pass_for_the_limit_of_rounding(alpha, tol):
    """With one convergence is linear: a small step is no sign that there is no more to gain."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000, 60))
    y = expit(X @ rng.normal(size=60) / 4) > rng.random(20_000)
    assert SoftmaxClassifier(alpha=alpha, tol=tol, solver="newton").fit(X, y).converged_


def test_a_hessian_that_leads_nowhere_is_made_anew():
    problem = problem_of(np.asarray, losses.LOGISTIC, 1)
    state = started(problem)
    objective, runner = state.objective, NewtonSteps()
    objective.derivatives()
    objective._solve = lambda vectors: -vectors  # uphill
    objective.is_exact = False
    runner.run_pass(problem, state, 1.0)
    assert not state.is_stuck
    del objective._solve
    for _ in range(12):
        runner.run_pass(problem, state, 1.0)
    assert state.is_stuck
    assert objective.is_exact is False
    assert np.abs(objective.gradient).max() < 1e-14


@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])
def test_a_constant_feature_without_intercept_is_not_rare(storage):
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=2000), np.ones(2000)])
    y = rng.integers(0, 2, 2000).astype(np.int32)
    index = np.arange(2000, dtype=np.int32)
    problem = Problem(
        as_rows(storage(X)), index, y, np.ones(2000), losses.LOGISTIC, ElasticNet(ALPHA), 1, False
    )
    assert 5 < started_at_zero(problem).objective._rarity() < 20


def started_at_zero(problem):
    return NewtonSteps().start(problem, problem.model(), None)


@pytest.mark.parametrize("n_features", [1, 2, 3, 7, 8])
def test_padding_of_the_last_line_has_room(n_features):
    problem = problem_of(lambda X: np.ascontiguousarray(X[:, :n_features]), losses.LOGISTIC, 1)
    objective = started_at_zero(problem).objective
    n_rows, width = len(objective.parts[0][1]), objective.shift.size
    assert objective.weighed.size >= (n_rows - 1) * (n_features + 1) + width


def test_tiny_losses_keep_their_digits():
    """Errors of 1e-16 a row were more than the whole gap of a problem that is all but solved."""
    X, y = np.zeros((2, 1)), np.array([0, 1])
    for weight in 10.0 ** np.arange(-12, -2):
        model = SoftmaxClassifier(solver="newton").fit(X, y, [weight, 1.0])
        share = weight / (1 + weight)
        least = -share * np.log(share) - np.log1p(-share) / (1 + weight)
        assert model.dual_gap_ >= model.loss_curve_[-1] - least - 1e-15 * least
        assert model.dual_gap_ >= 0
