"""The order in which a pass visits rows: a permutation, each as likely, and who pauses."""

import itertools
from collections import Counter

import numpy as np
import pytest
from scipy import stats

from sklearn_lossopt.kernels import order


@pytest.mark.parametrize("n_rows", [0, 1, 2, 3, order.AHEAD, order.AHEAD + 2, 1001])
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_it_is_a_permutation_of_the_same_rows(n_rows, dtype):
    rows = np.arange(n_rows, dtype=dtype) * 7
    before = rows.copy()
    out = order.shuffled(rows, np.random.default_rng(0))
    assert out.dtype == dtype
    assert np.array_equal(rows, before)
    assert np.array_equal(np.sort(out), rows)
    assert n_rows < 16 or not np.array_equal(out, rows)


@pytest.mark.parametrize("n_rows", [2, 3, 4])
def test_each_order_is_as_likely(n_rows):
    rng, rows, n_draws = np.random.default_rng(0), np.arange(n_rows), 12_000
    counts = Counter(tuple(order.shuffled(rows, rng)) for _ in range(n_draws))
    assert set(counts) == set(itertools.permutations(range(n_rows)))
    assert stats.chisquare(list(counts.values())).pvalue > 1e-3


def test_each_place_is_as_likely_for_a_row_among_many():
    rng, rows = np.random.default_rng(1), np.arange(40)
    places = np.array([np.argsort(order.shuffled(rows, rng)) for _ in range(4000)])
    for row in (0, 1, 20, 39):
        counts = np.bincount(places[:, row], minlength=40)
        assert stats.chisquare(counts).pvalue > 1e-3


def test_same_seed_same_order():
    rows = np.arange(500)
    first, second, other = (order.shuffled(rows, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_rows_that_pause_are_those_that_hardly_moved():
    rng = np.random.default_rng(0)
    index = np.flatnonzero(rng.random(300) < 0.7).astype(np.int32)
    moved = rng.exponential(size=300).astype(np.float32)
    moved[rng.random(300) < 0.5] = 0
    paused = rng.integers(0, 13, 300).astype(np.int8)
    most = rng.choice([3, 6, 12], 300).astype(np.int8)
    before, most_before, chosen = paused.copy(), most.copy(), np.empty_like(index)
    n_chosen = order.choose_rows(index, moved, (paused, most), 0.3, 3, 20, chosen)
    size = np.sqrt(np.mean(moved[index].astype(float) ** 2))
    moves, is_over = moved[index] > 0.3 * size, before[index] >= most_before[index]
    goes = moves | is_over
    assert 0 < goes.sum() < len(index)
    assert np.array_equal(chosen[:n_chosen], index[goes])
    assert np.array_equal(paused[index], np.where(goes, 0, before[index] + 1))
    at_bound = is_over & (moved[index] == 0)
    kinds = [moves, at_bound & (most_before[index] == 12), at_bound]
    assert all(kind.any() for kind in (*kinds, is_over & ~moves & ~at_bound))
    expected = np.select(kinds, [3, 20, 2 * most_before[index]], most_before[index])
    assert np.array_equal(most[index], expected)
    unused = np.setdiff1d(np.arange(300), index)
    assert np.array_equal(paused[unused], before[unused])
    assert np.array_equal(most[unused], most_before[unused])
