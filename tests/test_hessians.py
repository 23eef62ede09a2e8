"""What Newton's method sums up over rows of softmax, against NumPy."""

import numpy as np
import pytest
from scipy.special import log_softmax

from sklearn_lossopt.kernels.hessians import (
    add_softmax_derivatives,
    complete_hessian,
    softmax_value,
    visit_softmax,
)

N_ROWS, N_COLUMNS, N_OUTPUTS = 23, 5, 3


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("far", [0.0, 1000.0])
def test_value_of_softmax(rng, far):
    scores = rng.normal(size=(N_OUTPUTS, N_ROWS))
    scores[:, 0] += far * np.arange(N_OUTPUTS)  # exp of which overflows, or is 0
    target = rng.integers(N_OUTPUTS, size=N_ROWS).astype(np.int32)
    weight = rng.random(N_ROWS)
    p = np.empty_like(scores)
    value = softmax_value(scores, target, weight, p)
    log_p = log_softmax(scores, axis=0)
    assert value == pytest.approx(-weight @ log_p[target, np.arange(N_ROWS)])
    assert p == pytest.approx(np.exp(log_p))


def test_derivatives_of_softmax(rng):
    """Those of centred differences."""
    rows = rng.normal(size=(N_ROWS, N_COLUMNS))
    target = rng.integers(N_OUTPUTS, size=N_ROWS).astype(np.int32)
    weight = rng.random(N_ROWS)
    parameters = rng.normal(size=(N_OUTPUTS, N_COLUMNS))
    size = parameters.size

    def value(parameters, p=None):
        scores = parameters @ rows.T
        return softmax_value(scores, target, weight, np.empty_like(scores) if p is None else p)

    def derivatives(parameters):
        p = np.empty((N_OUTPUTS, N_ROWS))
        value(parameters, p)
        gradient, hessian = np.zeros((N_OUTPUTS, N_COLUMNS)), np.zeros((size, size), order="F")
        room = np.empty((size + N_COLUMNS, 10))  # thrice filled
        columns = np.ascontiguousarray(rows.T)
        add_softmax_derivatives(columns, np.sqrt(weight), target, p, room, gradient, hessian)
        return gradient, hessian

    gradient, hessian = derivatives(parameters)
    steps = 1e-5 * np.eye(size).reshape(size, N_OUTPUTS, N_COLUMNS)
    slopes = [(value(parameters + step) - value(parameters - step)) / 2e-5 for step in steps]
    assert gradient.ravel() == pytest.approx(np.array(slopes), abs=1e-8)
    ends = [(derivatives(parameters + step)[0], derivatives(parameters - step)[0]) for step in steps]
    changes = [(after - before).ravel() / 2e-5 for after, before in ends]
    assert np.tril(hessian) == pytest.approx(np.tril(np.column_stack(changes)), abs=1e-8)
    assert not np.triu(hessian, 1).any()


def test_a_visit_finds_all_at_once(rng):
    """The parts that are tested above, and the penalty; one column is held at 0."""
    columns = rng.normal(size=(N_COLUMNS, N_ROWS))
    columns[2] = 0
    target = rng.integers(N_OUTPUTS, size=N_ROWS).astype(np.int32)
    weight, ridge = rng.random(N_ROWS), rng.random(N_COLUMNS)
    unused = np.arange(N_COLUMNS) == 2
    parameters = rng.normal(size=(N_OUTPUTS, N_COLUMNS)) * ~unused
    size, root = parameters.size, np.sqrt(weight)
    room, p = np.empty((size + N_COLUMNS, 10)), np.empty((N_OUTPUTS, N_ROWS))
    found = np.full((N_OUTPUTS, N_COLUMNS), np.nan), np.full((size, size), np.nan, order="F")
    value = visit_softmax(columns, target, (weight, root), parameters, ridge, unused, room, p, *found)
    expected_p = np.empty_like(p)
    loss = softmax_value(parameters @ columns, target, weight, expected_p)
    assert p == pytest.approx(expected_p)
    assert value == pytest.approx(loss + np.sum(ridge * parameters**2) / 2)
    gradient, hessian = ridge * parameters, np.zeros((size, size), order="F")
    add_softmax_derivatives(columns, root, target, p, room, gradient, hessian)
    complete_hessian(hessian, ridge + unused, N_OUTPUTS)
    assert found[0] == pytest.approx(gradient * ~unused)
    assert found[1] == pytest.approx(hessian)


def test_complete_hessian(rng):
    size = N_OUTPUTS * N_COLUMNS
    start = np.asfortranarray(np.tril(rng.normal(size=(size, size))))
    extra = rng.random(N_COLUMNS)
    hessian = start.copy(order="F")
    complete_hessian(hessian, extra, N_OUTPUTS)
    diagonal = np.kron(np.eye(N_OUTPUTS), np.diag(extra))
    lift = np.trace(start + diagonal) / size / N_OUTPUTS
    flat = np.kron(np.ones((N_OUTPUTS, N_OUTPUTS)), lift * np.eye(N_COLUMNS))
    assert hessian == pytest.approx(start + diagonal + np.tril(flat))


@pytest.mark.parametrize("neighbour", ["target", "root", "p"])
def test_where_arrays_lie_changes_no_bits(rng, neighbour):
    """The compiler checks loops that write for overlaps with what they read, by ranges that are too wide."""
    n_rows, n_room = 300, 256
    size = N_OUTPUTS * N_COLUMNS
    weight = rng.random(n_rows)
    arrays = {
        "columns": rng.normal(size=(N_COLUMNS, n_rows)),
        "target": rng.integers(N_OUTPUTS, size=n_rows).astype(np.int32),
        "root": np.sqrt(weight),
        "p": rng.random((N_OUTPUTS, n_rows)),
    }

    def derivatives(arrays, room):
        out = np.zeros((N_OUTPUTS, N_COLUMNS)), np.zeros((size, size), order="F")
        columns, target, root, p = arrays.values()
        add_softmax_derivatives(columns, root, target, p, room, *out)
        return np.concatenate([out[0].ravel(), out[1].ravel()]).tobytes()

    apart = derivatives(arrays, np.empty((size + N_COLUMNS, n_room)))
    array = arrays[neighbour]
    side_by_side = np.empty(array.nbytes // 8 + (size + N_COLUMNS) * n_room)
    before, room = np.split(side_by_side, [array.nbytes // 8])
    before = before.view(array.dtype).reshape(array.shape)
    before[:] = array
    assert derivatives({**arrays, neighbour: before}, room.reshape(-1, n_room)) == apart
