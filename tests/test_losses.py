"""Losses and penalties: gradients by differences, conjugates by a supremum; kernels against NumPy."""

import itertools

import numpy as np
import pytest
from naive import KERNEL_LOSSES
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax

from sklearn_lossopt import losses
from sklearn_lossopt.kernels._jit import helper
from sklearn_lossopt.kernels.block_losses import are_few, differentiate_rows, new_room
from sklearn_lossopt.kernels.exponential import exp_nonpositive
from sklearn_lossopt.kernels.losses import (
    HINGE,
    LOGISTIC,
    SOFTMAX,
    SQUARED,
    differentiate,
    is_right,
    loss_at_zero,
)
from sklearn_lossopt.kernels.minibatch import _weigh
from sklearn_lossopt.penalties import ElasticNet

OF_ONE = LOGISTIC, HINGE, HINGE + SQUARED
OF_MORE = sorted({number for number, _, _ in KERNEL_LOSSES.values()} - {LOGISTIC})
ALL = {name: (loss, n) for name, (_, loss, n) in KERNEL_LOSSES.items()}
ALL["exponential"] = (losses.ExponentialLoss(), 2)
ALL["hinge_margin_2"] = (losses.BinaryHinge(margin=2.0), 2)
ALL["weston_watkins_margin_half"] = (losses.WestonWatkins(margin=0.5), 5)

FEW = [max(n for n in range(200) if are_few(n, dtype)) for dtype in (np.float64, np.float32)]
AROUND_FEW = [n + more for n in FEW for more in (0, 1)]


@helper
def compiled_exp(x):
    return exp_nonpositive(x)


def draw(n_classes, size=1.0, n_rows=40, seed=0):
    rng = np.random.default_rng(seed)
    shape = n_rows if n_classes == 2 else (n_rows, n_classes)
    return size * rng.normal(size=shape), rng.integers(0, n_classes, n_rows), rng


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("weighted", [False, True])
def test_mean_gradient_by_centred_differences(name, weighted):
    loss, n_classes = ALL[name]
    scores, y, rng = draw(n_classes, size=2.0)
    weight = rng.random(len(y)) * 3 if weighted else None
    analytic = loss.mean_gradient(scores, y, weight)
    numeric = np.zeros_like(scores)
    step = 1e-6
    for at in np.ndindex(scores.shape):
        up, down = scores.copy(), scores.copy()
        up[at] += step
        down[at] -= step
        numeric[at] = (loss.mean(up, y, weight) - loss.mean(down, y, weight)) / (2 * step)
    assert analytic == pytest.approx(numeric, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("name", ALL)
def test_conjugate_is_the_supremum(name):
    loss, n_classes = ALL[name]
    scores, y, rng = draw(n_classes, n_rows=12)
    # A point inside the domain: a mean of gradients at several scores.
    others = [loss.gradient(scores + rng.normal(size=scores.shape), y) for _ in range(6)]
    slopes = np.mean(others, axis=0)
    exact = loss.conjugate(slopes, y)
    assert np.isfinite(exact).all()
    for i in range(len(y)):
        row, label = slopes[i : i + 1], y[i : i + 1]

        def negative(s, row=row, label=label):
            s = s.reshape(row.shape)
            return loss.value(s, label)[0] - (row * s).sum()

        start, best = np.zeros(row.size), np.inf
        for _ in range(8):  # the simplex gets stuck at kinks: restart it where it stopped
            found = minimize(negative, start, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12})
            start, best = found.x, min(best, found.fun)
        assert -best <= exact[i] + 1e-7
        assert -best == pytest.approx(exact[i], abs=2e-4)


@pytest.mark.parametrize("name", ALL)
def test_fenchel_young_is_an_equality_at_the_gradient(name):
    loss, n_classes = ALL[name]
    scores, y, _ = draw(n_classes, size=3.0)
    slopes = loss.gradient(scores, y)
    inner = slopes * scores if n_classes == 2 else (slopes * scores).sum(axis=1)
    assert loss.value(scores, y) + loss.conjugate(slopes, y) == pytest.approx(inner, abs=1e-9)


@pytest.mark.parametrize("name", [name for name in ALL if name != "exponential"])
def test_conjugate_is_infinite_outside_its_domain(name):
    loss, n_classes = ALL[name]
    _, y, _ = draw(n_classes)
    wrong_side = np.full(len(y), 0.5) if n_classes == 2 else np.full((len(y), n_classes), 0.5)
    if n_classes == 2:
        wrong_side = wrong_side * (2 * y - 1)  # a loss never grows with the true score
    assert (loss.conjugate(wrong_side, y) == np.inf).all()


def test_zero_one_loss_has_no_conjugate():
    with pytest.raises(TypeError, match="not convex"):
        losses.ZeroOneLoss().conjugate(np.zeros(1), np.zeros(1, int))


@pytest.mark.parametrize("name", KERNEL_LOSSES)
@pytest.mark.parametrize("size", [1e-3, 1.0, 30.0, 1e4])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_kernel_matches_numpy(name, size, dtype):
    number, loss, n_classes = KERNEL_LOSSES[name]
    scores, y, _ = draw(n_classes, size=size)
    scores = scores.astype(dtype)
    rtol = 1e-10 if dtype == np.float64 else 3e-5
    slopes = scores.reshape(len(y), -1).copy()
    values = [differentiate(number, slopes[i], y[i]) for i in range(len(y))]
    assert values == pytest.approx(loss.value(scores, y), rel=rtol, abs=rtol * max(1, size))
    expected = loss.gradient(scores, y).reshape(len(y), -1)
    assert slopes == pytest.approx(expected, rel=rtol, abs=rtol * max(1.0, np.abs(expected).max()))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("number", "n_outputs"),
    [*((number, 1) for number in OF_ONE), *itertools.product(OF_MORE, [3, 8, 17, *AROUND_FEW])],
)
def test_rows_are_differentiated_as_one_by_one(number, n_outputs, dtype):
    rng = np.random.default_rng(n_outputs)
    close = {"rel": 1e-5, "abs": 1e-6} if dtype == np.float32 else {"rel": 1e-13, "abs": 1e-15}
    room = new_room(n_outputs, dtype)
    y = rng.integers(0, max(n_outputs, 2), 40)
    scores = rng.normal(scale=3, size=(40, n_outputs)).astype(dtype)
    scores[::5] = 0  # ties
    scores[1::5] *= 1e4
    scores[2::5] = np.round(scores[2::5])  # hinges that just do not count
    for n_rows in (1, 8, 13, 32):
        part = rng.permutation(40)[:n_rows].astype(np.int32)
        alone, block = scores[part].copy(), scores[part].copy()
        values = [differentiate(number, alone[i], y[part[i]]) for i in range(n_rows)]
        differentiate_rows(number, part, block, y, True, True, room)
        assert room.losses[:n_rows] == pytest.approx(values, **close)
        assert block == pytest.approx(alone, **close)


@pytest.mark.parametrize("number", [SOFTMAX, HINGE, HINGE + SQUARED])
@pytest.mark.parametrize("n_outputs", [5, AROUND_FEW[-1]])
def test_a_loss_that_is_not_a_number_is_no_other_row_s(n_outputs, number):
    room = new_room(n_outputs, np.float32)
    block, y = np.zeros((4, n_outputs), np.float32), np.array([0, 1, 2, 3])
    block[2, 2] = np.nan
    differentiate_rows(number, np.arange(4, dtype=np.int32), block, y, True, True, room)
    at_zero = loss_at_zero(number, n_outputs)
    assert np.isnan(room.losses[2])
    assert room.losses[[0, 1, 3]] == pytest.approx(np.full(3, at_zero), rel=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_outputs", [3, 4, 5, 7, 8, 9, 15, 16, 17, 24, 37])
def test_softmax_of_any_width(n_outputs, dtype):
    rng = np.random.default_rng(n_outputs)
    block = rng.normal(scale=3, size=(6, n_outputs)).astype(dtype)
    y = rng.integers(0, n_outputs, 6)
    exact, part = block.astype(float), np.arange(6, dtype=np.int32)
    room = new_room(n_outputs, dtype)
    differentiate_rows(KERNEL_LOSSES["softmax"][0], part, block, y, True, True, room)
    close = {"rel": 1e-5, "abs": 1e-6} if dtype == np.float32 else {"rel": 1e-13, "abs": 1e-15}
    assert room.losses[:6] == pytest.approx(logsumexp(exact, axis=1) - exact[part, y], **close)
    expected = softmax(exact, axis=1) - np.eye(n_outputs)[y]
    assert block == pytest.approx(expected, **close)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_outputs", [1, 3, 4, 5, 7, 8, 9, 16, 17, 37])
def test_shares_of_a_batch_of_any_width(n_outputs, dtype):
    rng = np.random.default_rng(n_outputs)
    slopes, weight = rng.normal(size=(9, n_outputs)).astype(dtype), rng.random(20).astype(dtype)
    part = rng.permutation(20)[:5].astype(np.int32)
    total = rng.normal(size=n_outputs).astype(dtype)
    expected = slopes.copy()
    expected[:5] *= (weight[part] / dtype(8))[:, np.newaxis]
    expected_total = total + expected[:5].sum(axis=0)
    _weigh(part, weight, dtype(8), slopes, total)
    close = {"rel": 1e-5 if dtype == np.float32 else 1e-12}
    assert slopes == pytest.approx(expected, **close)
    assert total == pytest.approx(expected_total, abs=1e-6, **close)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_rows", [1, 3, 4, 8, 13, 32])
def test_rows_of_logistic_loss_are_differentiated_in_vectors(n_rows, dtype):
    number, _, n_classes = KERNEL_LOSSES["logistic"]
    _, y, _ = draw(n_classes)
    part = np.random.default_rng(0).permutation(len(y))[:n_rows].astype(np.int32)
    special = [0.0, 1e-3, -0.7, 3.0, -30.0, 40.0, 1e5, -1e5]
    block = np.resize(np.array(special, dtype), n_rows)[:, np.newaxis]
    alone = block.astype(np.float64)
    values = [differentiate(number, alone[i], y[part[i]]) for i in range(n_rows)]
    room = new_room(1, dtype)
    losses = room.losses
    differentiate_rows(number, part, block, y, True, True, room)
    assert losses[:n_rows] == pytest.approx(values, rel=1e-6 if dtype == np.float32 else 1e-14, abs=1e-15)
    assert block == pytest.approx(alone, rel=1e-6 if dtype == np.float32 else 1e-13, abs=1e-300)
    block[0] = np.nan
    differentiate_rows(number, part, block, y, True, True, room)
    assert np.isnan(losses[0])
    assert np.isfinite(losses[1:n_rows]).all()


@pytest.mark.parametrize("name", KERNEL_LOSSES)
def test_kernel_is_finite_at_extreme_scores(name):
    number, loss, n_classes = KERNEL_LOSSES[name]
    for dtype, size in ((np.float64, 1e150), (np.float32, 1e15)):
        scores, y, _ = draw(n_classes, size=size)
        slopes = scores.astype(dtype).reshape(len(y), -1)
        for i in range(len(y)):
            assert np.isfinite(differentiate(number, slopes[i], y[i]))
        assert np.isfinite(slopes).all()
        assert np.isfinite(loss.value(scores, y)).all()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_exponential(dtype):
    x = -np.r_[0, np.geomspace(1e-12, 80, 2000), np.log(2) * np.arange(0.5, 60)].astype(dtype)
    found = np.array([compiled_exp(value) for value in x])
    exact = np.exp(x.astype(np.longdouble))
    assert (np.abs(found / exact - 1) < (2 + np.abs(x) / 4) * np.finfo(dtype).eps).all()
    assert 0 <= compiled_exp(dtype(-1e5)) < 1e-37


@pytest.mark.parametrize("name", KERNEL_LOSSES)
def test_loss_at_zero(name):
    number, loss, n_classes = KERNEL_LOSSES[name]
    scores = np.zeros(1) if n_classes == 2 else np.zeros((1, n_classes))
    n_outputs = 1 if n_classes == 2 else n_classes
    assert loss_at_zero(number, n_outputs) == pytest.approx(loss.value(scores, np.zeros(1, int))[0])


def test_is_right_follows_predict():
    assert is_right(np.array([0.5]), 1)
    assert is_right(np.array([0.0]), 0)
    assert is_right(np.array([1.0, 3.0, 3.0]), 1)
    assert not is_right(np.array([1.0, 3.0, 3.0]), 2)


@pytest.mark.parametrize("l1_ratio", [0.0, 0.4, 1.0])
def test_penalty_gradient_prox_and_conjugate(l1_ratio):
    penalty = ElasticNet(0.7, l1_ratio)
    rng = np.random.default_rng(1)
    coef = rng.normal(size=(3, 5))
    step = 1e-6
    numeric = [
        (
            penalty.value(coef + step * unit.reshape(coef.shape))
            - penalty.value(coef - step * unit.reshape(coef.shape))
        )
        / (2 * step)
        for unit in np.eye(coef.size)
    ]
    assert penalty.gradient(coef).ravel() == pytest.approx(numeric, rel=1e-6, abs=1e-8)

    metric = rng.random(coef.shape) + 0.1
    prox = penalty.prox(coef, metric)

    def total(v, at):
        return metric[at] * ElasticNet(0.7, l1_ratio).value(v) + (v - coef[at]) ** 2 / 2

    for at in np.ndindex(coef.shape):
        assert all(total(prox[at], at) <= total(prox[at] + d, at) + 1e-12 for d in (-0.1, -1e-4, 1e-4, 0.1))

    dual = penalty.gradient(coef)
    attained = (dual * coef).sum() - penalty.value(coef)
    assert penalty.conjugate(dual) == pytest.approx(attained)
    if l1_ratio == 1.0:
        assert penalty.conjugate(2 * np.ones((3, 5))) == np.inf
