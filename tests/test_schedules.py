"""Rates and schedules of the minibatch solvers, and averages of their steps."""

import numpy as np
import pytest
from minibatch import both, stream
from scipy import sparse
from sklearn.base import clone

from sklearn_lossopt import SoftmaxClassifier, losses
from sklearn_lossopt.schedules import (
    Annealed,
    Constant,
    Cosine,
    Exponential,
    Inverse,
    Plateau,
    Restarts,
    Step,
    fading,
)


def test_schedules():
    assert [Constant()(e) for e in (0, 9)] == [1, 1]
    assert Exponential(0.95)(3) == pytest.approx(0.95**3)
    assert [Cosine(10)(e) for e in (0, 5, 10, 20)] == pytest.approx([1, 0.5, 0, 0])
    with pytest.raises(ValueError, match="period is None"):
        Cosine()(0)
    assert [Step()(e) for e in (0, 9, 10, 25)] == [1, 1, 0.5, 0.25]
    assert [Inverse(0.5)(e) for e in (0, 2)] == [1, 0.5]
    assert [Restarts()(e) for e in (0, 5, 10, 20, 30, 50)] == pytest.approx([1, 0.5, 1, 0.5, 1, 0.5])
    annealed = Annealed(100)
    assert annealed(0) == 1
    before = annealed(11)
    assert annealed.hurry(10)
    assert annealed(11) == pytest.approx(before / 2)
    assert annealed(12) < annealed(11)
    assert not Annealed(10).hurry(9)
    assert fading(0) == 1 > fading(10**5) > fading(10**9) == 0.01


def test_plateau_waits_then_halves_and_ends_when_it_can_fall_no_more():
    plateau = Plateau(patience=2, smallest=0.2)
    first = plateau.bind(10)
    factors = []
    for value in (5.0, 4.0, 4.0, 4.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0):
        first.see(value)
        factors.append(first(0))
    assert factors == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.2, 0.2]
    assert first.hurry(0)  # the least rate has not had its chance yet
    first.see(3.0)
    assert not first.hurry(0)
    assert plateau.bind(10)(0) == 1  # what it saw belongs to one fit
    assert plateau.bind(10).hurry(0)


def test_plateau_goes_on_where_a_constant_rate_would_stop(three):
    X, y = three
    runs = {
        schedule: SoftmaxClassifier(
            solver="sgd", learning_rate=0.5, schedule=schedule, max_iter=300, batch_size=8, random_state=0
        ).fit(X, y)
        for schedule in ("constant", "plateau")
    }
    assert runs["plateau"].n_iter_ > runs["constant"].n_iter_
    assert min(runs["plateau"].loss_curve_) < min(runs["constant"].loss_curve_)
    assert runs["plateau"].converged_


@both
def test_average_calms_a_constant_rate(estimator, digits):
    X, y = digits
    parameters = {"solver": "sgd", "learning_rate": 2.0, "batch_size": 4, "max_iter": 20, "tol": None}
    plain, mean = (
        clone(estimator).set_params(**parameters, average=average).fit(X, y) for average in (False, True)
    )
    assert mean.loss_curve_[0] == plain.loss_curve_[0]  # from the second pass on
    assert mean.loss_curve_[-1] < plain.loss_curve_[-1]
    assert mean.loss_curve_[-1] == pytest.approx(min(mean.loss_curve_), rel=0.02)


@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("learning_rate", [0.01, "auto"])
def test_average_of_a_stream_is_that_of_all_its_steps(storage, learning_rate, three):
    X, y = three
    X = storage(X)
    model = SoftmaxClassifier(
        solver="sgd",
        learning_rate=learning_rate,
        schedule="constant",
        batch_size=10,
        average=1,
        shuffle=False,
    )
    plain = clone(model).set_params(average=False)
    seen = []
    for start in range(0, 120, 10):  # a step each
        for one in (model, plain):
            one.partial_fit(X[start : start + 10], y[start : start + 10], classes=[0, 1, 2])
        seen.append((plain.coef_.copy(), plain.intercept_.copy()))
    assert model.coef_ == pytest.approx(np.mean([c for c, _ in seen], axis=0), rel=1e-6, abs=1e-9)
    if learning_rate != "auto":  # else the averages of intercepts are of centered rows
        assert model.intercept_ == pytest.approx(np.mean([b for _, b in seen], axis=0), rel=1e-6, abs=1e-9)


def test_schedule_changes_the_steps(three):
    X, y = three
    curves = [
        SoftmaxClassifier(learning_rate=0.01, schedule=s, max_iter=5, tol=None, random_state=0)
        .fit(X, y)
        .loss_curve_
        for s in (
            "constant",
            "exponential",
            "inverse",
            "cosine",
            Step(0.5, 2),
            Restarts(2),
            lambda epoch: 0.0,
        )
    ]
    assert len({tuple(c) for c in curves}) == 7
    assert (
        curves[0]
        == SoftmaxClassifier(learning_rate=0.01, max_iter=5, tol=None, random_state=0).fit(X, y).loss_curve_
    )
    assert curves[-1] == pytest.approx([np.log(3)] * 5)


def test_float_rate_is_the_textbook_step(three):
    X, y = three
    model = SoftmaxClassifier(
        solver="sgd", learning_rate=0.5, alpha=0.1, batch_size="full", max_iter=2, tol=None
    )
    model.fit(X, y)
    coef, intercept = np.zeros((3, 64)), np.zeros(3)
    for _ in range(2):
        slopes = losses.CrossEntropy().mean_gradient(X @ coef.T + intercept, y)
        coef, intercept = coef - 0.5 * (slopes.T @ X + 0.1 * coef), intercept - 0.5 * slopes.sum(axis=0)
    assert model.coef_ == pytest.approx(coef)
    assert model.intercept_ == pytest.approx(intercept)
    assert model.learning_rate_ == 0.5


def test_stream_schedule_counts_calls(three):
    X, y = three
    seen = []

    def schedule(epoch):
        seen.append(epoch)
        return 1.0

    stream(SoftmaxClassifier(learning_rate=0.01, schedule=schedule), X, y, 200, 2)
    assert seen == list(range(len(seen)))
    assert len(seen) == 6
