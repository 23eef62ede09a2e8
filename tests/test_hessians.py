"""What Newton's method sums up over rows of softmax, against NumPy."""

import numpy as np
import pytest
from scipy.special import log_softmax

from sklearn_lossopt.kernels.hessians import (
    add_softmax_derivatives,
    complete_hessian,
    softmax_value,
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
