"""Dense rows of few features, side by side: turned over, scored, differentiated, and added up."""

import numpy as np
import pytest
from naive import KERNEL_LOSSES
from numba import njit

from sklearn_lossopt import LinearSVMClassifier, SoftmaxClassifier
from sklearn_lossopt.kernels import narrow
from sklearn_lossopt.kernels._jit import OPTIONS
from sklearn_lossopt.kernels.block_losses import differentiate_turned, new_room, put_targets
from sklearn_lossopt.kernels.losses import differentiate
from sklearn_lossopt.kernels.rows import ROWS_PER_BLOCK, NarrowRows, aligned_zeros, read_only
from sklearn_lossopt.kernels.turned import turn, turn_back

WIDTHS = [1, 2, 3, 7, 8, 9, 15, 16, 17, 20, 31, 33, 64]  # around those of one vector, two, and more


@njit(**OPTIONS)
def there_and_back(rows, n_rows, lines, out):
    turn(rows, n_rows, lines)
    turn_back(lines, n_rows, out)


@njit(**OPTIONS)
def visit(rows, part, shift, lines, coef, intercept, scores, slopes, gradient):
    narrow.turn_rows(rows, part, shift, lines)
    narrow.score_lines(lines, part.size, coef, intercept, scores)
    narrow.add_slopes(rows, part, shift, slopes, gradient)


@njit(**OPTIONS)
def differentiate_block(loss, part, target, n_outputs, wants_losses, wants_slopes, losses, turned):
    put_targets(part, target, turned, n_outputs)
    differentiate_turned(loss, part.size, n_outputs, wants_losses, wants_slopes, losses, turned)


def rows_of(X):
    return NarrowRows(read_only(X))


@pytest.mark.parametrize("n_columns", WIDTHS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_are_turned_over_and_back(n_columns, dtype):
    rng = np.random.default_rng(n_columns)
    rows = rng.normal(size=(ROWS_PER_BLOCK, n_columns)).astype(dtype)
    lines = aligned_zeros((80, ROWS_PER_BLOCK), dtype)
    for n_rows in (1, 2, 8, 15, 16, 17, 31, 32):
        out = np.full((ROWS_PER_BLOCK, n_columns), np.nan, dtype)
        there_and_back(rows, n_rows, lines, out)
        assert (lines[:n_columns, :n_rows] == rows[:n_rows].T).all()
        assert (out[:n_rows] == rows[:n_rows]).all()
        assert np.isnan(out[n_rows:]).all()  # what is beside them stays


@pytest.mark.parametrize("n_features", WIDTHS)
@pytest.mark.parametrize("n_outputs", [1, 2, 3, 5, 7, 8, 13, 26, 40])
@pytest.mark.parametrize("is_shifted", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scores_and_gradient(n_features, n_outputs, is_shifted, dtype):
    rng = np.random.default_rng(n_outputs)
    close = {"rel": 1e-9} if dtype == np.float64 else {"rel": 1e-4, "abs": 1e-4}
    # Exactly as long as the rows: what vectors reach beside them is nobody's.
    X = rng.normal(size=(50, n_features)).astype(dtype)
    coef = rng.normal(size=(n_outputs, n_features)).astype(dtype)
    intercept = rng.normal(size=n_outputs).astype(dtype)
    shift = X.mean(axis=0) if is_shifted else np.zeros(0, dtype)
    centred = X - shift if is_shifted else X
    lines, rows = narrow.new_lines(rows_of(X)), rows_of(X)
    for n_rows in (1, 7, 16, 32):
        part = rng.permutation(50)[:n_rows].astype(np.int32)
        part[-1] = 49
        scores = np.full((n_outputs + 4, ROWS_PER_BLOCK), np.nan, dtype)
        slopes = rng.normal(size=(n_outputs, ROWS_PER_BLOCK)).astype(dtype)
        slopes[:, n_rows:] = np.nan  # not to be used
        start = rng.normal(size=(n_outputs + 1, n_features)).astype(dtype)
        gradient = start.copy()
        visit(rows, part, shift, lines, coef, intercept, scores, slopes, gradient[:n_outputs])
        expected = (centred[part] @ coef.T + intercept).T
        assert scores[:n_outputs, :n_rows] == pytest.approx(expected, **close)
        assert np.isnan(scores[n_outputs:]).all()
        added = slopes[:, :n_rows] @ centred[part]
        assert gradient[:n_outputs] == pytest.approx(start[:n_outputs] + added, **close)
        assert (gradient[n_outputs] == start[n_outputs]).all()


@pytest.mark.parametrize("name", KERNEL_LOSSES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("wants_losses", "wants_slopes"), [(False, True), (True, False), (True, True)])
def test_losses_as_one_by_one(name, dtype, wants_losses, wants_slopes):
    number, _, n_classes = KERNEL_LOSSES[name]
    n_outputs = 1 if n_classes == 2 else n_classes
    rng = np.random.default_rng(0)
    close = {"rel": 1e-5, "abs": 1e-6} if dtype == np.float32 else {"rel": 1e-12, "abs": 1e-14}
    room = new_room(n_outputs, dtype, beside=True)
    y = rng.integers(0, n_classes, 40).astype(np.int32)
    scores = rng.normal(scale=3, size=(40, n_outputs)).astype(dtype)
    scores[::5] = 0  # ties
    scores[1::5] *= 1e3
    scores[2::5] = np.round(scores[2::5])  # hinges that just do not count
    for n_rows in (1, 8, 13, 32):
        part = rng.permutation(40)[:n_rows].astype(np.int32)
        alone = scores[part].copy()
        values = [differentiate(number, alone[i], y[part[i]]) for i in range(n_rows)]
        room.turned[:n_outputs, :n_rows] = scores[part].T
        room.losses[:] = -1
        differentiate_block(number, part, y, n_outputs, wants_losses, wants_slopes, *room)
        if wants_slopes:
            assert room.turned[:n_outputs, :n_rows] == pytest.approx(alone.T, **close)
        if wants_losses:
            assert room.losses[:n_rows] == pytest.approx(values, **close)
        else:
            assert (room.losses == -1).all()


@pytest.mark.parametrize("name", KERNEL_LOSSES)
def test_a_loss_that_is_not_a_number_is_no_other_row_s(name):
    number, _, n_classes = KERNEL_LOSSES[name]
    n_outputs = 1 if n_classes == 2 else n_classes
    room = new_room(n_outputs, np.float32, beside=True)
    room.turned[:n_outputs] = 0
    room.turned[n_outputs - 1, 2] = np.nan  # the target's score
    y = np.full(5, n_classes - 1, np.int32)
    differentiate_block(number, np.arange(5, dtype=np.int32), y, n_outputs, True, True, *room)
    assert np.isnan(room.losses[2])
    assert np.isfinite(room.losses[[0, 1, 3, 4]]).all()


@pytest.mark.parametrize("name", KERNEL_LOSSES)
def test_rows_that_a_vector_has_more_do_not_count(name):
    """The last row has a loss of 0; at any other target it would overflow."""
    number, _, n_classes = KERNEL_LOSSES[name]
    n_outputs = 1 if n_classes == 2 else n_classes
    room = new_room(n_outputs, np.float32, beside=True)
    room.turned[:] = 0
    y = np.full(17, n_classes - 1, np.int32)
    y[:16] = 0
    part = np.arange(17, dtype=np.int32)
    differentiate_block(number, part[:16], y, n_outputs, True, True, *room)
    room.turned[:n_outputs] = -1e30 if n_outputs > 1 else 1e30
    room.turned[n_outputs - 1] = 1e30
    differentiate_block(number, part[16:], y, n_outputs, True, True, *room)
    assert room.losses[:4] == pytest.approx(np.zeros(4), abs=1e-30)


@pytest.mark.parametrize("estimator", [SoftmaxClassifier(), LinearSVMClassifier()])
@pytest.mark.parametrize("solver", ["sgd", "momentum", "nesterov", "adam"])
@pytest.mark.parametrize("n_classes", [2, 5])
@pytest.mark.parametrize("batch_size", [1, 7, 50, "full"])
def test_fits_do_not_depend_on_how_rows_lie(estimator, solver, n_classes, batch_size, monkeypatch):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(223, 18)) + 3
    y = rng.integers(n_classes, size=223)
    weight = rng.random(223)
    estimator.set_params(solver=solver, batch_size=batch_size, max_iter=4, tol=None, random_state=0)
    beside = estimator.fit(X, y, sample_weight=weight)
    coef, intercept, curve = beside.coef_, beside.intercept_, beside.loss_curve_
    monkeypatch.setattr(narrow, "MOST_VECTORS", 0)
    alone = estimator.fit(X, y, sample_weight=weight)
    assert coef == pytest.approx(alone.coef_, rel=1e-8, abs=1e-10)
    assert intercept == pytest.approx(alone.intercept_, rel=1e-8, abs=1e-10)
    assert curve == pytest.approx(alone.loss_curve_, rel=1e-9)
