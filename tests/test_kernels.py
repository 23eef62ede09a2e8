"""Kernels against their NumPy twins: storage primitives, objective, moments, whole passes."""

import numpy as np
import pytest
from naive import KERNEL_LOSSES, NaiveOptimizer, minibatch_pass, objective, scores_of
from numba import njit
from scipy import sparse

from sklearn_lossopt.kernels import losses, narrow
from sklearn_lossopt.kernels._jit import OPTIONS
from sklearn_lossopt.kernels.rows import (
    HUGE_PAGE,
    LINE,
    NEAR_LINES,
    add_gradient,
    add_to_slots,
    aligned_zeros,
    gather,
    new_block,
    scores,
)
from sklearn_lossopt.kernels.steps import Parameters, StepSettings, update_lines
from sklearn_lossopt.kernels.tiles import TILE_OUTPUTS
from sklearn_lossopt.penalties import ElasticNet
from sklearn_lossopt.problem import Model, Moments, Problem, as_rows
from sklearn_lossopt.solvers import SGD, Adagrad, Adam, AdamW, Momentum, Nesterov, RMSProp
from sklearn_lossopt.solvers.stochastic import Minibatch, _chance_of_touch

STORAGES = ["dense", "narrow", "csr"]
SOLVERS = {
    "sgd": SGD(),
    "momentum": Momentum(),
    "nesterov": Nesterov(),
    "adagrad": Adagrad(epsilon=1e-6),
    "rmsprop": RMSProp(epsilon=1e-6),
    "adam": Adam(epsilon=1e-6),
    "adamw": AdamW(epsilon=1e-6),
}


@pytest.fixture
def storage(request, monkeypatch):
    """Dense rows of few features are as wide ones where a test asks for "dense"."""
    if request.param == "dense":
        monkeypatch.setattr(narrow, "MOST_VECTORS", 0)
    return request.param


def problem_of(X, y, loss="softmax", *, penalty=None, dtype=np.float64, fit_intercept=True, weight=None):
    number, _, n_classes = KERNEL_LOSSES[loss]
    n_rows = X.shape[0]
    X = X.astype(dtype)
    return Problem(
        rows=as_rows(X),
        index=np.arange(n_rows, dtype=np.int32),
        target=(y % n_classes).astype(np.int32),
        weight=np.ones(n_rows, dtype) if weight is None else weight.astype(dtype),
        loss=number,
        penalty=penalty or ElasticNet(0.0),
        n_outputs=1 if n_classes == 2 else n_classes,
        fit_intercept=fit_intercept,
    )


@njit(**OPTIONS)
def compiled_scores(rows, index, coef, intercept, out, ahead):
    scores(rows, index, coef, intercept, out, rows, ahead)


@njit(**OPTIONS)
def compiled_gradient(rows, index, slopes, gradient, ahead):
    add_gradient(rows, index, slopes, gradient, rows, ahead)


@njit(**OPTIONS)
def compiled_slots(rows, index, slopes, gradient, touched, ahead):
    return add_to_slots(rows, index, slopes, gradient, touched, 0, rows, ahead)


# Around the widths of a vector, two, four, and a tile, in both dtypes.
@pytest.mark.parametrize("n_features", [1, 7, 8, 11, 16, 17, 31, 33, 64, 67, 150])
@pytest.mark.parametrize("n_outputs", [1, 2, 3, 4, 5, 6, 8, 9, 13, 37, 70])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("storage", ["dense", "csr"])
def test_scores_and_gradient(n_features, n_outputs, dtype, storage):
    rng = np.random.default_rng(n_outputs)
    X = rng.normal(size=(40, n_features)) * (rng.random((40, n_features)) < 0.6)
    coef, intercept = rng.normal(size=(n_outputs, n_features)), rng.normal(size=n_outputs)
    X, coef, intercept = (part.astype(dtype) for part in (X, coef, intercept))
    rows = as_rows(X if storage == "dense" else sparse.csr_array(X))
    layout = coef if storage == "dense" else np.ascontiguousarray(coef.T)
    close = {"rel": 1e-9} if dtype == np.float64 else {"rel": 1e-4, "abs": 1e-4}
    for n_rows in (1, 3, 4, 8, 31):
        index, rest = np.split(rng.permutation(40).astype(np.int32), [n_rows])
        out = np.empty((32, n_outputs), dtype)
        compiled_scores(rows, index, layout, intercept, out, rest[: n_rows // 2])
        assert out[:n_rows] == pytest.approx(X[index] @ coef.T + intercept, **close)

        slopes = rng.normal(size=(32, n_outputs)).astype(dtype)
        gradient = np.zeros_like(layout)
        if storage == "csr" and n_rows % 2 == 0:  # lines that fill a vector
            gradient = np.zeros((n_features, max(n_outputs, 16)), dtype)
        lines, slot = np.zeros(n_features + 1, np.int64), rng.integers(-1, 100, size=n_features)
        touched = lines, slot, np.empty(min(n_features, 7), np.int64), 100
        n_touched = compiled_slots(rows, index, slopes, gradient, touched, rest[:n_rows])
        expected = slopes[:n_rows].T @ X[index]
        if storage == "csr":
            reached = lines[:n_touched]
            assert set(reached) == set(np.flatnonzero((X[index] != 0).any(axis=0)))
            assert (slot[reached] == 100 + np.arange(n_touched)).all()
            assert gradient[:n_touched, :n_outputs] == pytest.approx(expected.T[reached], **close)
            assert not gradient[n_touched:].any()
            assert not gradient[:, n_outputs:].any()
            # Without slots each feature has its line; lines of slopes may be longer than those of outputs.
            whole, longer = np.zeros_like(layout), np.full((32, n_outputs + 3), np.nan, dtype)
            longer[:, :n_outputs] = slopes
            compiled_gradient(rows, index, longer, whole, rest[:n_rows])
            assert whole == pytest.approx(expected.T, **close)
        else:
            assert gradient == pytest.approx(expected, **close)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scores_where_the_near_cache_holds_only_some_outputs(dtype):
    rng = np.random.default_rng(0)
    n_outputs, n_features = 113, 1500
    assert n_features * 2 * TILE_OUTPUTS * 4 < NEAR_LINES < n_outputs * n_features * 4
    X, coef = (rng.normal(size=(n, n_features)).astype(dtype) for n in (12, n_outputs))
    intercept = rng.normal(size=n_outputs).astype(dtype)
    index = np.array([7, 0, 11, 3, 4], np.int32)
    out = np.full((32, n_outputs), np.nan, dtype)
    compiled_scores(as_rows(X), index, coef, intercept, out, np.array([1, 2], np.int32))
    tolerance = {"rel": 1e-9} if dtype == np.float64 else {"rel": 1e-4, "abs": 1e-3}
    assert out[:5] == pytest.approx(X[index] @ coef.T + intercept, **tolerance)
    assert np.isnan(out[5:]).all()


def test_gather_subtracts_the_shift_before_rounding():
    X = (1e7 + np.arange(12).reshape(4, 3)).astype(np.float32)
    rows = as_rows(X)
    index = np.array([2, 0], np.int32)
    shift = X.mean(axis=0)
    near, at = gather(rows, index, shift, new_block(rows, index))
    assert near.values[at] == pytest.approx(X[index] - shift)


@pytest.mark.parametrize("loss", KERNEL_LOSSES)
@pytest.mark.parametrize("storage", STORAGES, indirect=True)
def test_evaluate(loss, storage, clouds):
    X, y, csr = clouds
    rng = np.random.default_rng(3)
    weight = rng.random(len(y)) + 0.1
    penalty = ElasticNet(0.3, 0.4)
    problem = problem_of(csr if storage == "csr" else X, y, loss, penalty=penalty, weight=weight)
    coef = rng.normal(size=(problem.n_outputs, X.shape[1])) / 100
    intercept = rng.normal(size=problem.n_outputs)
    model = problem.model(coef, intercept)
    found = problem.evaluate(model, with_accuracy=True)
    truth = objective(KERNEL_LOSSES[loss][1], X, problem.target, coef, intercept, penalty, weight)
    assert found.objective == pytest.approx(truth, rel=1e-12)
    assert found.loss == pytest.approx(truth - penalty.value(coef), rel=1e-10)
    s = scores_of(X, coef, intercept)
    right = (s > 0) == problem.target if s.ndim == 1 else s.argmax(axis=1) == problem.target
    assert found.accuracy == pytest.approx(np.average(right, weights=weight))
    assert problem.scores(model) == pytest.approx(s)
    part = problem.subset(np.arange(0, 100, 3, dtype=np.int32))
    assert part.weight[part.index].mean() == pytest.approx(1)
    some = objective(
        KERNEL_LOSSES[loss][1],
        X[part.index],
        problem.target[part.index],
        coef,
        intercept,
        penalty,
        weight[part.index],
    )
    assert part.evaluate(model).objective == pytest.approx(some, rel=1e-12)


@pytest.mark.parametrize("storage", ["dense", "csr"])
def test_moments_and_their_merging(storage):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 6)) * (rng.random((50, 6)) < 0.5) + (1e6 if storage == "dense" else 0)
    X[:, 3] = X[0, 3] if storage == "dense" else 0
    weight = rng.random(50)
    rows = as_rows(X if storage == "dense" else sparse.csr_array(X))
    whole = Moments.of(rows, np.arange(50, dtype=np.int32), weight)
    parts = [Moments.of(rows, part.astype(np.int32), weight) for part in np.split(np.arange(50), [1, 20])]
    index, target = np.arange(50, dtype=np.int32), np.zeros(50, np.int32)
    threads = Problem(rows, index, target, weight, losses.LOGISTIC, ElasticNet(1.0), 1, True)
    threads.count_moments(3)
    for moments in (whole, parts[0].merge(parts[1]).merge(parts[2]), threads.moments):
        mean = np.average(X, axis=0, weights=weight)
        assert moments.mean == pytest.approx(mean, abs=1e-9)
        variance = np.average((X - mean) ** 2, axis=0, weights=weight)
        assert moments.scatter / moments.mass == pytest.approx(variance, rel=1e-6, abs=1e-9)
        assert moments.largest_deviation == pytest.approx(np.abs(X - mean).max(axis=0), abs=1e-8)
        assert moments.n_rows == 50
        stored = (X != 0).sum(axis=0) if storage == "csr" else 50
        assert (moments.count == stored).all()


@pytest.mark.parametrize("loss", KERNEL_LOSSES)
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("storage", STORAGES, indirect=True)
@pytest.mark.parametrize("automatic", [False, True])
def test_pass_matches_its_twin(loss, solver, storage, automatic, clouds):
    X, y, csr = clouds
    rng = np.random.default_rng(4)
    weight = rng.random(len(y)) + 0.1
    weight /= weight.mean()
    penalty = ElasticNet(1e-3, 0.3)
    problem = problem_of(csr if storage == "csr" else X, y, loss, penalty=penalty, weight=weight)
    minibatch = Minibatch(SOLVERS[solver], None if automatic else 1e-4, 32, shuffle=False)
    start = problem.model(rng.normal(size=(problem.n_outputs, 7)) * 1e-3, rng.normal(size=problem.n_outputs))
    state = minibatch.start(problem, start, np.random.default_rng(0))
    geometry = state.geometry

    shift = geometry.shift if geometry.shift.size else np.zeros(7)
    catch_up = geometry.catch_up if geometry.catch_up.size else np.ones(7)
    coef = problem.coef_of(start).copy()
    model = coef, start.intercept + coef @ shift
    constants = SOLVERS[solver].get_params()
    optimizers = [NaiveOptimizer(solver, part, **constants) for part in model]
    for factor in (1.0, 0.5, 0.25):
        minibatch.run_pass(problem, state, factor)
        found = minibatch.model(problem, state)
        model = minibatch_pass(
            KERNEL_LOSSES[loss][1],
            X,
            problem.target,
            weight,
            problem.index,
            -(-len(y) // 32),
            model,
            optimizers,
            state.rate * factor,
            penalty,
            shift=shift,
            scale=geometry.scale,
            catch_up=catch_up,
            only_touched=storage == "csr",
        )
        coef, intercept = model
        if solver == "nesterov":  # with L1 the position is given back, not the point ahead of it
            coef, intercept = (w - o.momentum * o.v for w, o in zip(model, optimizers, strict=True))
        assert problem.coef_of(found) == pytest.approx(coef, rel=1e-10, abs=1e-12)
        assert found.intercept == pytest.approx(intercept - coef @ shift, rel=1e-10, abs=1e-10)


@njit(**OPTIONS)
def compiled_update(rows, lines, parameters, scale, catch_up, n_steps, settings):
    update_lines(rows, lines, parameters, scale, catch_up, n_steps, settings)


# A number at a time, a part of a vector, whole ones with and without a rest.
@pytest.mark.parametrize("width", [1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 37])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("storage", ["dense", "csr"])
def test_steps_on_lines_of_any_width(width, dtype, solver, storage):
    rng = np.random.default_rng(width)
    is_sparse = storage == "csr"
    shape, n_features = (6, width), 6 if is_sparse else width
    rows = as_rows((sparse.csr_array if is_sparse else np.asarray)(np.eye(n_features, dtype=dtype)))
    lines = np.array([4, 1, 3] if is_sparse else range(6), np.int32)
    catch_up = rng.integers(1, 9, size=6 if is_sparse else 0).astype(dtype)
    scale = (rng.random(n_features) + 0.5).astype(dtype)
    penalty = ElasticNet(0.1, 0.3)
    start = rng.normal(size=shape).astype(dtype)
    parameters = Parameters(start.copy(), np.zeros((6, max(width, 16)), dtype), *np.zeros((2, *shape), dtype))
    if not is_sparse:
        parameters = parameters._replace(gradient=np.zeros(shape, dtype))
    if solver == "nesterov":
        parameters.second[...] = start  # the position, which the point ahead begins at
    optimizer = SOLVERS[solver]
    constants = [dtype(part) for part in (0.1, penalty.l1, penalty.l2, *optimizer._constants())]
    in_layout = np.transpose if is_sparse else np.asarray
    twin = NaiveOptimizer(solver, in_layout(start), **optimizer.get_params())
    expected = in_layout(start).astype(float)
    touched = in_layout(np.isin(np.arange(6), lines)[:, None] & np.ones(shape, bool))
    for step in (1, 2, 3):
        slopes = rng.normal(size=shape).astype(dtype)
        parameters.gradient[: len(lines), :width] = slopes[lines]
        settings = StepSettings(optimizer._optimizer, *constants)
        compiled_update(rows, lines, parameters, scale, catch_up, step, settings)
        g = np.where(touched, in_layout(slopes), 0)
        expected = twin.step(expected, g, 0.1, penalty, scale, catch_up if is_sparse else 1.0, touched)
    close = {"rel": 1e-10} if dtype == np.float64 else {"rel": 1e-3, "abs": 1e-5}
    assert in_layout(parameters.values) == pytest.approx(expected, **close)
    assert not parameters.gradient.any()


@pytest.mark.parametrize("width", [1, 3, 7, 20])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
@pytest.mark.parametrize("storage", ["dense", "csr"])
def test_small_velocities_are_not_rounded_to_the_coefficients_digits(width, l1_ratio, storage):
    rng = np.random.default_rng(width)
    is_sparse, shape = storage == "csr", (6, width)
    n_features = 6 if is_sparse else width
    lines = np.arange(6, dtype=np.int32)
    start, v = rng.uniform(0.4, 0.6, shape), 1e-5 * rng.normal(size=shape)
    penalty = ElasticNet(1e-6, l1_ratio)
    found = []
    for dtype in (np.float32, np.float64):
        parameters = Parameters(*(part.astype(dtype) for part in (start, np.zeros((6, 32)), v, v)))
        if not is_sparse:
            parameters = parameters._replace(gradient=np.zeros(shape, dtype))
        settings = StepSettings(
            Momentum()._optimizer, *map(dtype, (0.1, penalty.l1, penalty.l2, *Momentum()._constants()))
        )
        catch_up, scale = np.full(6 if is_sparse else 0, 3, dtype), np.ones(n_features, dtype)
        rows = as_rows((sparse.csr_array if is_sparse else np.asarray)(np.eye(n_features, dtype=dtype)))
        for step in (1, 2, 3):
            compiled_update(rows, lines, parameters, scale, catch_up, step, settings)
        found.append(parameters.first)
    assert found[0] == pytest.approx(found[1], rel=1e-4)


@pytest.mark.parametrize("solver", ["sgd", "momentum", "nesterov", "adam"])
@pytest.mark.parametrize("storage", STORAGES, indirect=True)
@pytest.mark.parametrize("average", [True, 1, 7])
def test_average_is_that_of_all_steps_from_one_on(solver, storage, average, clouds):
    X, y, csr = clouds
    problem = problem_of(csr if storage == "csr" else X, y, penalty=ElasticNet(1e-3))
    weight = np.ones(len(y))
    minibatch = Minibatch(SOLVERS[solver], 1e-3, 32, shuffle=False, average=average)
    state = minibatch.start(problem, problem.model(), np.random.default_rng(0))
    catch_up = state.geometry.catch_up if storage == "csr" else np.ones(7)
    model = np.zeros((4, 7)), np.zeros(4)
    optimizers = [NaiveOptimizer(solver, part, **SOLVERS[solver].get_params()) for part in model]
    n_batches = -(-len(y) // 32)
    first = n_batches + 1 if average is True else average
    seen, n_rows = [], len(y)
    for _ in range(3):
        minibatch.run_pass(problem, state, 1.0)
        for batch in range(n_batches):
            part = problem.index[n_rows * batch // n_batches : n_rows * (batch + 1) // n_batches]
            model = minibatch_pass(
                KERNEL_LOSSES["softmax"][1],
                X,
                problem.target,
                weight,
                part,
                1,
                model,
                optimizers,
                1e-3,
                problem.penalty,
                catch_up=catch_up,
                only_touched=storage == "csr",
            )
            seen.append(model)
        found = minibatch.model(problem, state)
        counted = seen[first - 1 :] or seen[-1:]
        assert problem.coef_of(found) == pytest.approx(
            np.mean([coef for coef, _ in counted], axis=0), rel=1e-9
        )
        assert found.intercept == pytest.approx(np.mean([b for _, b in counted], axis=0), rel=1e-9)


@pytest.mark.parametrize("automatic", [False, True])
@pytest.mark.parametrize("average", [False, 1])
def test_looking_back_measures_the_model_before_the_pass(automatic, average, clouds):
    X, y, _ = clouds
    problem = problem_of(X, y, penalty=ElasticNet(1e-3))
    minibatch = Minibatch(Nesterov(), None if automatic else 1e-3, 32, shuffle=True, average=average)
    state = minibatch.start(problem, problem.model(), np.random.default_rng(0))
    minibatch.run_pass(problem, state, 1.0)
    before = minibatch.model(problem, state).copy()
    sums = minibatch.run_pass(problem, state, 1.0, looks_back=True, with_accuracy=True)
    expected = problem.evaluate(before, with_accuracy=True)
    assert problem.evaluation(sums, before) == pytest.approx(expected, rel=1e-9)


def test_nesterov_without_l1_gives_the_point_ahead(clouds):
    X, y, _ = clouds
    problem = problem_of(X, y)
    minibatch = Minibatch(Nesterov(), 1e-4, None, shuffle=False)
    state = minibatch.start(problem, problem.model(), np.random.default_rng(0))
    minibatch.run_pass(problem, state, 1.0)
    found = minibatch.model(problem, state)
    loss = KERNEL_LOSSES["softmax"][1]
    gradient = loss.mean_gradient(np.zeros((len(y), 4)), y).T @ X
    assert found.coef == pytest.approx(-1.9e-4 * gradient)


def test_no_intercept_stays_zero(clouds):
    X, y, csr = clouds
    for rows in (X, csr):
        problem = problem_of(rows, y, fit_intercept=False)
        minibatch = Minibatch(Momentum(), None, 32, shuffle=True)
        state = minibatch.start(problem, problem.model(), np.random.default_rng(0))
        minibatch.run_pass(problem, state, 1.0)
        model = minibatch.model(problem, state)
        assert not model.intercept.any()
        assert not state.geometry.shift.size


def test_float32_follows_float64(clouds):
    X, y, csr = clouds
    for rows in (X, csr):
        models = []
        for dtype in (np.float64, np.float32):
            problem = problem_of(rows, y, penalty=ElasticNet(1e-2), dtype=dtype)
            minibatch = Minibatch(Momentum(), None, 32, shuffle=True)
            state = minibatch.start(problem, problem.model(), np.random.default_rng(0))
            for _ in range(3):
                minibatch.run_pass(problem, state, 0.1)
                model = minibatch.model(problem, state)
            assert model.coef.dtype == model.intercept.dtype == dtype
            models.append(problem.evaluate(model).objective)
        assert models[0] == pytest.approx(models[1], rel=1e-3)


def test_full_batch_is_the_same_dense_and_sparse(clouds):
    X, y, csr = clouds
    found = []
    for rows in (X, csr):
        problem = problem_of(rows, y, penalty=ElasticNet(1e-2, 0.5))
        minibatch = Minibatch(Momentum(), 1e-5, None, shuffle=False)
        state = minibatch.start(problem, problem.model(), np.random.default_rng(0))
        for _ in range(20):
            minibatch.run_pass(problem, state, 1.0)
            model = minibatch.model(problem, state)
        found.append(problem.coef_of(model).copy())
    assert found[0] == pytest.approx(found[1], rel=1e-9, abs=1e-12)


def test_chance_of_touch_against_counting():
    rng = np.random.default_rng(0)
    n_rows, batch_size = 60, 8
    for count in (1, 3, 20, 60):
        seen = np.mean([(rng.permutation(n_rows)[:batch_size] < count).any() for _ in range(4000)])
        assert _chance_of_touch(np.array([count]), batch_size, n_rows)[0] == pytest.approx(seen, abs=0.03)
    assert _chance_of_touch(np.array([1]), batch_size, n_rows)[0] == pytest.approx(batch_size / n_rows)
    assert _chance_of_touch(np.array([1, 7]), n_rows, n_rows) == pytest.approx([1, 1])


def test_model_is_finite_says_so():
    assert Model(np.zeros((1, 2)), np.zeros(1)).is_finite()
    assert not Model(np.array([[0, np.nan]]), np.zeros(1)).is_finite()
    assert not Model(np.zeros((1, 2)), np.array([np.inf])).is_finite()


@pytest.mark.parametrize(("n", "place"), [(1000, LINE), (2 * HUGE_PAGE // 4, HUGE_PAGE)])
def test_zeros_begin_where_vectors_and_pages_do(n, place):
    zeros = aligned_zeros((n, 1), np.float32)
    assert zeros.ctypes.data % place == 0
    assert zeros.shape == (n, 1)
    assert not zeros.any()
