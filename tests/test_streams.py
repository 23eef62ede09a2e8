"""Streams whose features change: units, scales, and what only looks like it."""

import numpy as np
import pytest
from naive import objective
from scipy import sparse

from sklearn_lossopt import LinearSVMClassifier, SoftmaxClassifier, losses
from sklearn_lossopt._units import Units
from sklearn_lossopt.kernels import losses as numbers
from sklearn_lossopt.penalties import ElasticNet
from sklearn_lossopt.problem import Problem, as_rows

N_FEATURES = 6
CHUNK = 1000
FACTOR = np.array([1000.0, 1000.0, 1.0, 1e-3, 1.0, 1e6])
SOLVERS = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw")


def chunk_of(seed, n_rows=CHUNK):
    """Gaussian features around means, the third one rare, and labels by a softmax model."""
    rng = np.random.default_rng(seed)
    Z = rng.standard_normal((n_rows, N_FEATURES)) + np.array([0, 3, 0, 0, -1, 0])
    Z[:, 2] *= rng.random(n_rows) < 0.1
    scores = Z @ np.random.default_rng(0).standard_normal((N_FEATURES, 3))
    return Z, (scores + rng.gumbel(size=scores.shape)).argmax(axis=1)


def trained(model, storage=np.asarray, factor=1.0, n_chunks=20, spoil=None):
    """A model after a stream, in whose second half features are so many times as large."""
    for number in range(n_chunks):
        X, y = chunk_of(number + 1)
        X = X * (factor if 2 * number >= n_chunks else 1.0)
        if spoil is not None and number == n_chunks - 1:
            spoil(X)
        model.partial_fit(storage(X), y, classes=[0, 1, 2])
    return model


def objective_of(model, factor=1.0):
    X, y = chunk_of(999, 10_000)
    return objective(losses.CrossEntropy(), X * factor, y, model.coef_, model.intercept_, ElasticNet(0.0))


def calm(kind=SoftmaxClassifier, **parameters):
    """An estimator; a stream so short would else end at a rate too noisy to compare."""
    return kind(**{"alpha": 1e-8, "schedule": lambda call: 0.1, "random_state": 0, **parameters})


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])
def test_new_units_are_followed(solver, storage):
    stationary = trained(calm(solver=solver), storage)
    model = trained(calm(solver=solver), storage, FACTOR)
    assert objective_of(model, FACTOR) <= 1.02 * objective_of(stationary)
    assert model.coef_ * FACTOR == pytest.approx(stationary.coef_, rel=0.2, abs=0.2)


@pytest.mark.parametrize(
    "parameters",
    [
        {"average": True},
        {"average": 50, "solver": "sgd"},
        {"average": True, "solver": "nesterov"},
        {"l1_ratio": 0.5, "solver": "nesterov"},
    ],
)
def test_averages_and_positions_follow_new_units(parameters):
    stationary, model = (trained(calm(**parameters), factor=factor) for factor in (1.0, FACTOR))
    assert objective_of(model, FACTOR) <= 1.02 * objective_of(stationary)


def test_svm_keeps_its_temperature_through_new_units():
    stationary, model = (trained(calm(LinearSVMClassifier), factor=factor) for factor in (1.0, FACTOR))
    assert model.temperature_ == pytest.approx(stationary.temperature_, rel=0.05)


def test_an_outlier_changes_little():
    def spoil(X):
        X[7] *= 1e6

    # A single stream's end moves by up to 5% with the order of its rows alone.
    clean, spoiled = (
        np.mean([objective_of(trained(calm(random_state=seed), spoil=each)) for seed in range(10)])
        for each in (None, spoil)
    )
    assert spoiled <= 1.02 * clean


def problem_of(X, storage=np.asarray):
    X = np.asarray(X, dtype=np.float64)
    n_rows = len(X)
    return Problem(
        as_rows(storage(X)),
        np.arange(n_rows, dtype=np.int32),
        np.zeros(n_rows, np.int32),
        np.ones(n_rows),
        numbers.SOFTMAX,
        ElasticNet(0.0),
        3,
        True,
    )


def seen(before, after, storage=np.asarray):
    """What `Units` says of a feature's values after others."""
    units = Units(1)
    first = problem_of(np.reshape(before, (-1, 1)), storage)
    assert units.see(first, None) == 1
    return units.see(problem_of(np.reshape(after, (-1, 1)), storage), first.moments)[0]


@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])
def test_what_counts_as_new_units(storage):
    rng = np.random.default_rng(0)
    values = rng.standard_normal(CHUNK)
    rare = values * (rng.random(CHUNK) < 0.2)
    heavy = np.exp(2 * values)
    for before in (values, values + 300, rare, heavy):
        for factor in (1e3, 1e-3):
            assert seen(before, factor * before, storage) == pytest.approx(factor)
    indicator = (values > 2).astype(float)
    assert seen(np.ones(CHUNK), np.full(CHUNK, 1e3), storage) == pytest.approx(1e3)
    for before, after in [
        (values, 20 * values),  # not far enough
        (values, values * 1e6 ** (np.arange(CHUNK) < 300)),  # outliers, many of them
        (values, values + 1e4),  # a date: its mean moves, its spread does not
        (values, 1e4 * values[:20]),  # too few to tell
        (values, 1e4 * rare * (np.arange(CHUNK) < 100)),  # hardly ever on
        (indicator, 1 - indicator),  # rare before, frequent now
        (values * 1e3 ** (values > 0), np.abs(values) * 1e3),  # was as large half of the time
        (values, np.zeros(CHUNK)),
        (np.zeros(CHUNK), values),
    ]:
        assert seen(before, after, storage) == 1


def test_drifting_scales_are_forgotten():
    """A feature that shrank needs larger steps than its range over all rows would give it."""
    drift = np.array([1e-4, 1, 1e-4, 1, 1, 1]) ** (1 / 1000)
    model = SoftmaxClassifier(random_state=0)
    moments = None
    for number in range(300):
        X, y = chunk_of(number, 10_000)
        model.partial_fit(X * drift**number, y, classes=[0, 1, 2])
        moments = model._stream.state.moments
    now = np.abs(X * drift**number).max(axis=0)
    assert (moments.largest_value < 5 * now).all()
