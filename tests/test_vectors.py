"""Explicit vectors against NumPy, in whole registers and in the first lanes of one."""

import numba
import numpy as np
import pytest

from sklearn_lossopt.kernels import vectors
from sklearn_lossopt.kernels.vectors import (
    exp,
    keep_first,
    keep_last,
    lanes_of,
    largest,
    load,
    load_as,
    load_first,
    log,
    log1p,
    root,
    smallest,
    spread,
    store,
    store_first,
    top,
    total,
    where_positive,
)


@numba.njit
def arithmetic(a, b, out):
    lanes = lanes_of(a)
    for k in range(0, a.size, lanes):
        n = a.size - k
        x, y = load_first(a, k, n, 1), load_first(b, k, n, 1)
        mixed = (x + y * 2 - 0.5) / (y * y + 1.0) + largest(x, y) * smallest(x, 0.25)
        store_first(out, k, n, mixed + where_positive(x, spread(3, a)))


@numba.njit
def exponentials(a, out):
    for k in range(0, a.size, lanes_of(a)):
        store_first(out, k, a.size - k, exp(load_first(a, k, a.size - k, 0)))


@numba.njit
def logarithms(a, out):
    for k in range(0, a.size, lanes_of(a)):
        store_first(out, k, a.size - k, log(load_first(a, k, a.size - k, 1)))


@numba.njit
def logarithms_above_one(a, out):
    for k in range(0, a.size, lanes_of(a)):
        store_first(out, k, a.size - k, log1p(load_first(a, k, a.size - k, 0)))


@numba.njit
def sum_and_top(a, n):
    return total(keep_first(load(a, 0), n)), top(load_first(a, 0, n, -1))


@numba.njit
def sum_of_last(a, n):
    return total(keep_last(load(a, 0), n))


@numba.njit
def roots(a, out):
    store(out, 0, root(load(a, 0)))


@numba.njit
def of_numbers(a, b):
    return largest(a, b), smallest(a, b), root(a * a)


@numba.njit
def widen(a, out):
    for k in range(0, a.size, lanes_of(out)):
        store_first(out, k, a.size - k, load_as(a, k, a.size - k, 0, out))


@numba.njit
def copy(a, out):
    store(out, 0, load(a, 0))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1, 7, 8, 16, 37])
def test_arithmetic(size, dtype):
    rng = np.random.default_rng(size)
    a, b = rng.normal(size=(2, size)).astype(dtype)
    out = np.full(size + 40, 9, dtype)
    arithmetic(a, b, out[:size])
    expected = (a + 2 * b - 0.5) / (b * b + 1) + np.maximum(a, b) * np.minimum(a, 0.25) + 3 * (a > 0)
    assert out[:size] == pytest.approx(expected, rel=1e-5 if dtype == np.float32 else 1e-13)
    assert (out[size:] == 9).all()  # nothing was stored beyond


@pytest.mark.parametrize(("dtype", "accuracy"), [(np.float32, 1e-5), (np.float64, 1e-13)])
def test_exp(dtype, accuracy):
    a = -np.linspace(0, 80, 333).astype(dtype)
    out = np.empty_like(a)
    exponentials(a, out)
    assert out == pytest.approx(np.exp(a.astype(float)), rel=accuracy)


def test_log():
    a = np.concatenate([10.0 ** np.linspace(-300, 0, 1001), np.linspace(0.4, 1.6, 500)])
    out = np.empty_like(a)
    logarithms(a, out)
    assert out == pytest.approx(np.log(a), rel=1e-14, abs=1e-15)
    logarithms(np.zeros(3), out[:3])
    assert np.isfinite(out[:3]).all()  # so that 0 log 0 is 0


def test_log1p():
    small = 10.0 ** np.linspace(-300, -1, 1001)
    a = np.concatenate([small, -small, np.linspace(-0.999, 3, 800)])
    out = np.empty_like(a)
    logarithms_above_one(a, out)
    assert out == pytest.approx(np.log1p(a), rel=1e-14, abs=0)
    logarithms_above_one(np.array([-1.0, 0.0]), out[:2])
    assert np.isfinite(out[0])
    assert out[1] == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_reductions_and_copies(dtype):
    lanes = vectors.VECTOR_BYTES // np.dtype(dtype).itemsize
    a = np.arange(1, lanes + 1).astype(dtype)
    for n in (0, 1, lanes - 1, lanes, lanes + 5):
        kept = a[:n]
        assert sum_and_top(a, n) == (kept.sum(), kept.max(initial=-1))
        assert sum_of_last(a, n) == a[max(0, lanes - n) :].sum()
    out = np.empty_like(a)
    copy(a, out)
    assert (out == a).all()
    roots(a, out)
    assert out == pytest.approx(np.sqrt(a), rel=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_instead_of_vectors(dtype):
    for a, b in ((-3.0, 2.0), (2.0, -3.0)):
        assert of_numbers(dtype(a), dtype(b)) == (2, -3, abs(a))
    for found in of_numbers(dtype(0), dtype(np.nan))[:2]:
        assert np.isnan(found)  # the second of two that cannot be compared


def test_numbers_are_widened_exactly():
    a = np.random.default_rng(0).normal(size=21).astype(np.float32)
    out = np.empty(21)
    widen(a, out)
    assert (out == a).all()


def test_lines_are_padded_to_whole_vectors():
    for dtype in (np.float32, np.float64):
        for n in (1, 8, 9, 150):
            padded = vectors.padded_outputs(n, dtype)
            assert n <= padded
            assert padded * np.dtype(dtype).itemsize % vectors.VECTOR_BYTES == 0
