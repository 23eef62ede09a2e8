"""The interior point method: a step solves its equations, whatever the storage and the blocks of rows."""

import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning

from sklearn_lossopt import LinearSVMClassifier, regularization_path
from sklearn_lossopt.kernels import losses
from sklearn_lossopt.penalties import ElasticNet
from sklearn_lossopt.problem import Problem, as_rows
from sklearn_lossopt.solvers import interior, standardized
from sklearn_lossopt.solvers.interior import InteriorSteps
from sklearn_lossopt.solvers.standardized import StandardizedRows, standardized_columns

ALPHA = 1e-2
STORAGE = pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array], ids=["dense", "csr"])
SHAPES = {
    "two classes": losses.HINGE,
    "ovr": losses.HINGE,
    "ww": losses.WESTON_WATKINS,
    "cs": losses.CRAMMER_SINGER,
}
LOSSES = pytest.mark.parametrize(
    ("loss", "n_outputs"),
    [(s + q, 1 if name == "two classes" else 4) for q in (0, losses.SQUARED) for name, s in SHAPES.items()],
    ids=[f"{q}{name}" for q in ("", "squared ") for name in SHAPES],
)


def problem_of(loss, n_outputs, storage=np.asarray, fit_intercept=True):
    """Classes of all sizes, unequal weights, a constant feature, rows that are not in use."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(157, 5)) * 10.0 ** rng.integers(-2, 3, 5) + 1
    X[:, 1] = 1
    y = rng.choice(max(n_outputs, 2), 157, p=[0.6, 0.4] if n_outputs == 1 else [0.5, 0.3, 0.13, 0.07])
    X[:, 0] += y * X[:, 0].std()
    index = np.sort(rng.permutation(157)[:140]).astype(np.int32)
    weight = rng.integers(1, 4, 157).astype(float)
    weight /= weight[index].mean()
    rows = as_rows(storage(X))
    return Problem(rows, index, y.astype(np.int32), weight, loss, ElasticNet(ALPHA), n_outputs, fit_intercept)


def started(problem, n_steps=2):
    """A state that has left its first point, where much is equal that need not be."""
    rng = np.random.default_rng(1)
    coef = rng.normal(size=(problem.n_outputs, 5)) / problem.moments.mean
    steps = InteriorSteps()
    state = steps.start(problem, problem.model(coef, rng.normal(size=problem.n_outputs)), None)
    for _ in range(n_steps):
        steps.run_pass(problem, state, 1.0)
    return state


def rows_of(problem, state):
    """The standardized rows in use by place, a 1 at their end."""
    X = problem.rows.values if not problem.is_sparse else problem.matrix.toarray()
    X = (X[state.index] - state.shift) * state.scale
    return np.column_stack([X, np.full(len(X), float(problem.fit_intercept))])


def hinges(problem, state):
    """Which hinges a row has, and the matrix (n_hinges, n_outputs) from scores to their arguments."""
    n_outputs = problem.n_outputs
    used, matrices = [], []
    for y in state.target:
        if problem.loss % losses.SQUARED == losses.HINGE:
            own = y if n_outputs > 1 else (0 if y == 1 else -1)
            used.append(np.ones(n_outputs, bool))
            matrices.append(np.diag(np.where(np.arange(n_outputs) == own, -1.0, 1.0)))
        else:
            used.append(np.arange(n_outputs) != y)
            matrices.append(np.eye(n_outputs) - np.eye(n_outputs)[y])
    return np.array(used), np.array(matrices)


def largest(values, used):
    """Largest of each output, of values in use."""
    return np.where(used, values, -np.inf).max(axis=1)


@LOSSES
@STORAGE
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_a_step_solves_the_equations(loss, n_outputs, storage, fit_intercept):
    """Each to first order: products, slacks, multipliers and the gradient."""
    problem = problem_of(loss, n_outputs, storage, fit_intercept)
    state = started(problem)
    slacks, is_squared = state.objective, problem.loss >= losses.SQUARED
    used, matrices = hinges(problem, state)
    used, rows = used.T, rows_of(problem, state)
    u, v, xi, room = (np.array(part) for part in slacks.point)
    solve = None
    left_out = 0.0, 0.0
    for mu in (np.zeros(len(slacks.mu)), 0.3 * slacks.mu):
        slopes = slacks.stay(mu).copy()
        solve = solve or slacks.solver()
        direction = -solve(slacks.gradient(slopes))
        slacks.follow(mu, direction)
        if not mu.any():
            left_out = [np.array(part) for part in slacks.products]
            for part in slacks.products:
                part[:] = 0
            slacks.follow(1e-300, direction)  # the same step, for a predictor keeps only its products
            for part, here, change, other in zip(slacks.products, left_out, (0, 1), (3, 2), strict=True):
                if part.size:
                    product = slacks.step[change] * slacks.step[other]
                    assert here == pytest.approx(product, rel=1e-9, abs=1e-15)
                    part[:] = here
            continue
        du, dv, dxi, droom = (np.array(part) for part in slacks.step)
        dz = np.einsum("nhk,nk->hn", matrices, rows @ direction.T)
        share = problem.weight[state.index] / problem.weight[problem.index].sum()
        goal = mu[:, np.newaxis] / (share * len(problem.index))
        assert (u * droom + du * room)[used] == pytest.approx(
            (goal - u * room - left_out[0])[used], rel=1e-8, abs=1e-12
        )
        assert (dxi - dz)[used] == pytest.approx(droom[used], rel=1e-9, abs=1e-9)
        rates = [largest(-du / np.where(used, u, 1), used), largest(-droom / np.where(used, room, 1), used)]
        if is_squared:
            sums = (u + du).sum(axis=0, keepdims=True) if slacks.shares_slack else u + du
            xi_used = used[:1] | True if slacks.shares_slack else used
            assert (2 * (xi + dxi))[xi_used] == pytest.approx(sums[xi_used], rel=1e-9)
        else:
            of_slack = used[:1] | True if slacks.shares_slack else used
            change = du.sum(axis=0, keepdims=True) if slacks.shares_slack else du
            assert dv[of_slack] == pytest.approx(-change[of_slack], rel=1e-8, abs=1e-12)
            wanted = goal - v * xi - left_out[1]
            assert (v * dxi + dv * xi)[of_slack] == pytest.approx(wanted[of_slack], rel=1e-8, abs=1e-12)
            rates += [largest(-dv / np.where(of_slack, v, 1), of_slack)]
            rates += [largest(-dxi / np.where(of_slack, xi, 1), of_slack)]
        rate = np.maximum.reduce(rates, initial=0.0) if slacks.apart else [max(0.0, *map(np.max, rates))]
        assert slacks.longest(0.9) == pytest.approx(np.minimum(1, 0.9 / np.maximum(rate, 1e-300)), rel=1e-9)
        gradient = state.ridge * (state.parameters + direction)
        slopes = np.einsum("nhk,hn->nk", matrices, np.where(used, u + du, 0))
        gradient += (state.weight[:, None] * slopes).T @ rows
        assert gradient[:, ~state.unused] == pytest.approx(0, abs=1e-10)
        assert not direction[:, state.unused].any()
    parameters, length = state.parameters, slacks.longest(0.5)
    expected = slacks.ahead(length)
    slacks.move(length, direction)
    assert slacks.mu == pytest.approx(expected, rel=1e-9)
    assert slacks.point.u == pytest.approx(u + length[:, np.newaxis] * du)
    assert state.parameters == pytest.approx(parameters + length[:, np.newaxis] * direction)
    by_hinge = (state.weight * slacks.point.u * slacks.point.room).sum(axis=1)
    by_slack = (
        (state.weight * slacks.point.xi * slacks.point.v).sum(axis=1) if not is_squared else 0 * by_hinge
    )
    products = by_hinge + by_slack if slacks.apart else [by_hinge.sum() + by_slack.sum()]
    assert slacks.mu * slacks.n_products == pytest.approx(products)
    loss = slacks.point.xi ** (2 if is_squared else 1) @ state.weight
    assert slacks.objective == pytest.approx(loss.sum() + state.penalty(state.parameters))


@LOSSES
def test_the_same_whatever_the_blocks_of_rows(loss, n_outputs, monkeypatch):
    """Rows kept or standardized anew, a few at a time, sparse ones: the same points but for rounding."""

    def after_steps(storage=np.asarray):
        state = started(problem_of(loss, n_outputs, storage), 6)
        return state.parameters, state.objective.mu

    parameters, mu = after_steps()
    results = [after_steps(sparse.csr_array)]
    monkeypatch.setattr(standardized, "BLOCK", 300)
    monkeypatch.setattr(interior, "ROOM", 60)
    monkeypatch.setattr(interior, "WIDE_ROOM", 300)
    assert len(started(problem_of(loss, n_outputs)).objective.rows.kept) > 2
    results.append(after_steps())
    monkeypatch.setattr(standardized, "FREE_MEMORY", 0)
    assert started(problem_of(loss, n_outputs)).objective.rows.kept is None
    results += [after_steps(), after_steps(sparse.csr_array)]
    monkeypatch.setattr(interior, "FEW_COLUMNS", 0)
    results.append(after_steps())
    for other, other_mu in results:
        assert other == pytest.approx(parameters, rel=1e-7, abs=1e-9)
        assert other_mu == pytest.approx(mu, rel=1e-6)


@LOSSES
def test_places_that_fill_vectors_count_for_nothing(loss, n_outputs):
    """Each class begins at a whole vector; what fills it is a row again, with weight 0."""
    problem = problem_of(loss, n_outputs)
    state = started(problem)
    slacks = state.objective
    assert (slacks.edges % interior.LANES == 0).all()
    assert sorted(state.index[state.weight > 0]) == sorted(problem.index)
    assert state.weight.sum() == pytest.approx(1)
    assert len(state.index) > len(problem.index)
    again = np.flatnonzero(state.weight == 0)
    for part in slacks.point:
        if part.size:
            assert part[:, again] == pytest.approx(part[:, again - 1])


def test_outputs_that_do_not_meet_end_by_themselves():
    """One that is done is left alone, until all are and it has not been enough."""
    problem = problem_of(losses.HINGE, 4)
    state = started(problem, 0)
    slacks, steps = state.objective, InteriorSteps(1e-2)
    seen = []
    for _ in range(60):
        before = slacks.point.u.copy()
        steps.run_pass(problem, state, 1.0)
        if state.is_stuck:
            break
        moved = (slacks.point.u != before).any(axis=1)
        assert (moved == slacks.goes_on).all()
        seen.append(moved)
    seen = np.array(seen)
    assert seen[0].all()
    assert not seen.all()
    assert state.is_stuck  # after all, rounding
    assert slacks.mu.max() < 1e-9
    alone = LinearSVMClassifier(solver="interior_point", alpha=ALPHA, calibration=None, tol=1e-9)
    X, y = problem.rows.values[problem.index], problem.target[problem.index] == 0
    alone.fit(X, y, sample_weight=problem.weight[problem.index])
    coef = steps.model(problem, state).coef[0]
    assert coef == pytest.approx(alone.coef_[0], rel=1e-3, abs=1e-6 * np.abs(coef).max())


def test_a_step_that_is_not_finite_is_not_taken():
    problem = problem_of(losses.HINGE, 4)
    state = started(problem)
    slacks, parameters = state.objective, state.parameters.copy()
    direction = np.ones_like(parameters)
    direction[1] = np.inf
    with np.errstate(invalid="ignore"):
        slacks.follow(slacks.mu, direction)
    slacks.step.u[1] = np.nan
    slacks.move(np.array([1e-3, 1e-3, 1e-11, 1e-3]), direction)
    assert slacks.has_ended.tolist() == [False, True, True, False]
    assert np.isfinite(slacks.point.u).all()
    assert slacks.choose(0.0)
    assert slacks.goes_on.tolist() == [True, False, False, True]
    assert state.parameters - parameters == pytest.approx(
        1e-3 * np.array([[1.0], [0], [0], [1]]) * np.ones(6)
    )
    slacks.has_ended[:] = True
    InteriorSteps().run_pass(problem, state, 1.0)
    assert state.is_stuck


@LOSSES
def test_products_that_would_vanish_leave_a_goal(loss, n_outputs, monkeypatch):
    """A goal of 0 is the predictor's, which keeps no step."""
    problem = problem_of(loss, n_outputs)
    state = started(problem)
    monkeypatch.setattr(interior.Slacks, "ahead", lambda self, length: np.zeros_like(self.mu))
    parameters, mu = state.parameters.copy(), state.objective.mu
    for part in state.objective.step:
        part[part != 0] = np.nan  # where hinges are
    InteriorSteps().run_pass(problem, state, 1.0)
    assert (state.objective.mu < mu).all()
    assert not (state.parameters == parameters).all()


def test_standardized_columns_of_many_rows(monkeypatch):
    monkeypatch.setattr(standardized, "BLOCK", 500)  # twenty rows at a time
    problem = problem_of(losses.HINGE, 1)
    state = started(problem, 0)
    assert pytest.approx(rows_of(problem, state)) == standardized_columns(problem, state, slice(None)).T
    vectors = np.random.default_rng(0).normal(size=(1, 6))
    rows = StandardizedRows(problem, state)
    assert pytest.approx(rows_of(problem, state) @ vectors.T) == rows.scores(vectors).T


def test_certificates_wait_for_the_wanted_gap(breast_cancer):
    X, y = breast_cancer
    model = LinearSVMClassifier(solver="interior_point", alpha=1e-3, calibration=None).fit(X, y)
    assert model.converged_
    assert len(model.dual_gap_curve_) <= 2 < model.n_iter_ < 20  # without a corrector: 24
    assert model.dual_gap_ > 1e-3 * 1e-4 * model.loss_curve_[-1]  # no later than it has to be
    stuck = LinearSVMClassifier(solver="interior_point", alpha=1e-3, calibration=None, tol=1e-14)
    with pytest.warns(ConvergenceWarning):
        stuck.fit(X, y)
    assert stuck.n_iter_ < 200  # rounding ends it
    tight = LinearSVMClassifier(solver="interior_point", alpha=1e-3, calibration=None, tol=1e-9).fit(X, y)
    assert tight.dual_gap_ <= 1e-9 * tight.loss_curve_[-1]
    assert len(tight.dual_gap_curve_) <= 3


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


def hinge(multi_class="weston_watkins", loss="hinge", **params):
    params = {"alpha": 1e-3, "solver": "interior_point", "calibration": None} | params
    return LinearSVMClassifier(multi_class=multi_class, loss=loss, **params)


EVERY = pytest.mark.parametrize(
    ("multi_class", "loss"),
    [(m, q) for m in ("ovr", "weston_watkins", "crammer_singer") for q in ("hinge", "squared_hinge")],
)


@EVERY
def test_an_objective_that_is_not_finite_ends(multi_class, loss, iris):
    X, y = iris
    model = hinge(multi_class, loss, warm_start=True).fit(X, y)
    model.coef_ = model.coef_ * 1e200
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, y)
    assert not model.converged_
    assert model.n_iter_ < 200


@EVERY
def test_sparse_rows_far_from_0(multi_class, loss):
    """Raw sums of which would lose all digits."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 4))
    y = (X @ rng.normal(size=(4, 3)) + 0.5 * rng.normal(size=(200, 3))).argmax(axis=1)
    X[:, :2] += 1e7
    model = hinge(multi_class, loss).fit(sparse.csr_array(X), y)
    assert model.converged_
    assert model.n_iter_ < 30


def test_a_small_objective_wants_no_more_than_it_has_to(iris):
    """Below a thousandth of what it is at zero, the gap may be `tol` of that."""
    X, y = iris
    apart = y != 1
    model = hinge(loss="squared_hinge", alpha=1e-9).fit(X[apart], y[apart])
    assert model.converged_
    assert model.n_iter_ < 8


@EVERY
@pytest.mark.parametrize("ratio", [1e12, 1e20, 1e30])
def test_weights_that_differ_by_all_there_is(multi_class, loss, ratio, iris):
    X, y = iris
    weight = np.where(np.arange(len(y)) % 3, 1.0, 1 / ratio)
    model = hinge(multi_class, loss).fit(X, y, weight)
    assert model.converged_
    assert model.n_iter_ < 40


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
@pytest.mark.parametrize("multi_class", ["weston_watkins", "crammer_singer"])
def test_paths_begin_where_coefficients_vanish(multi_class, loss, iris):
    """Of classes of equal size the best intercepts are 0, so all rivals of a row pull alike.

    A step may leave no products at all there, as there are no features to follow.
    """
    X, y = iris
    pull = (2.0 if loss == "squared_hinge" else 1.0) / (1 if multi_class == "weston_watkins" else 2)
    slopes = pull * (1 - 3 * np.eye(3)[y])
    gradient = slopes.T @ (X - X.mean(axis=0)) / len(y)
    path = regularization_path(hinge(multi_class, loss), X, y, n_alphas=2)
    assert path.alphas[0] == pytest.approx(np.abs(gradient).max() / 0.01, rel=1e-3)


@EVERY
def test_nothing_to_learn_is_proven(multi_class, loss, iris):
    _, y = iris
    assert hinge(multi_class, loss, fit_intercept=False).fit(np.zeros((len(y), 2)), y).converged_
