"""The lecture's numbers, rows 3 to 10 and 12 of its table."""

import numpy as np
import pytest

from sklearn_lossopt import losses
from sklearn_lossopt.penalties import ElasticNet

SCORES = np.array([[3.2, 5.1, -1.7], [1.3, 4.9, 2.0], [2.2, 2.5, -3.1]])
CAT_CAR_FROG = np.array([0, 1, 2])


def test_objective_is_mean_loss_plus_penalty():
    coef = np.array([[1.0, -2.0], [0.5, 0.0], [0.0, 3.0]])
    data = losses.WestonWatkins().mean(SCORES, CAT_CAR_FROG)
    half_sum_of_squares = ElasticNet(0.1).value(coef)
    assert data == pytest.approx((2.9 + 0 + 12.9) / 3)
    assert half_sum_of_squares == pytest.approx(0.1 * (1 + 4 + 0.25 + 9) / 2)
    # lambda times the sum of squares is alpha = 2 lambda
    assert ElasticNet(2 * 0.1).value(coef) == pytest.approx(0.1 * np.square(coef).sum())


def test_svm_example():
    loss = losses.WestonWatkins()
    assert loss.value(SCORES, CAT_CAR_FROG) == pytest.approx([2.9, 0, 12.9])
    assert loss.mean(SCORES, CAT_CAR_FROG) == pytest.approx(5.27, abs=0.005)


def test_moving_a_score_that_wins_by_more_than_the_margin_changes_nothing():
    moved = SCORES.copy()
    moved[1, 1] -= 1.5
    assert losses.WestonWatkins().value(moved, CAT_CAR_FROG)[1] == 0


@pytest.mark.parametrize("n_classes", [3, 10])
@pytest.mark.parametrize(
    ("loss", "at_zero"),
    [
        (losses.WestonWatkins(), lambda c: c - 1),
        (losses.OneVsRest(), lambda c: c),
        (losses.CrammerSinger(), lambda c: 1),
        (losses.CrossEntropy(), np.log),
    ],
)
def test_loss_at_zero_weights(loss, at_zero, n_classes):
    scores = np.zeros((5, n_classes))
    assert loss.value(scores, np.arange(5) % n_classes) == pytest.approx(at_zero(n_classes))


def test_two_classes_in_one_row_at_zero_weights():
    assert losses.BinaryHinge().value(np.zeros(2), np.array([0, 1])) == pytest.approx(1)
    assert losses.LogLoss().value(np.zeros(2), np.array([0, 1])) == pytest.approx(np.log(2))


def test_hinge_has_minimum_zero_and_no_maximum():
    scores = np.array([[1e9, 0, 0], [-1e9, 0, 0]])
    value = losses.WestonWatkins().value(scores, np.zeros(2, int))
    assert value[0] == 0
    assert value[1] == pytest.approx(2e9, rel=1e-6)


def test_summing_over_the_true_class_too_adds_the_margin():
    margin = 1.0
    violations = SCORES - SCORES[[0, 1, 2], CAT_CAR_FROG][:, None] + margin
    with_true_class = np.maximum(0, violations).sum(axis=1)
    assert with_true_class - losses.WestonWatkins(margin).value(SCORES, CAT_CAR_FROG) == pytest.approx(margin)


def test_mean_over_classes_rescales_the_loss():
    # A positive factor of the data term moves none of its minima.
    rng = np.random.default_rng(0)
    for _ in range(5):
        scores = rng.normal(size=(4, 3))
        y = rng.integers(0, 3, 4)
        as_sum = losses.WestonWatkins()
        violations = np.maximum(0, scores - scores[np.arange(4), y][:, None] + 1)
        violations[np.arange(4), y] = 0
        assert violations.mean(axis=1) * 3 == pytest.approx(as_sum.value(scores, y))


@pytest.mark.parametrize("factor", [1.0, 2.0, 37.5])
def test_zero_hinge_loss_stays_zero_for_larger_weights(factor):
    scores = np.array([[3.0, 1.0, 1.5], [0.0, 2.0, 0.5]])
    y = np.array([0, 1])
    loss = losses.WestonWatkins()
    assert loss.mean(scores, y) == 0
    assert loss.mean(factor * scores, y) == 0


def test_softmax_example():
    logits = np.array([[0.87, 3.2, 0.31, 7.2, 1.2, 0.4]])
    loss = losses.CrossEntropy()
    probabilities = np.exp([-loss.value(logits, np.array([k]))[0] for k in range(6)])
    assert probabilities == pytest.approx([1.74e-3, 1.79e-2, 9.93e-4, 0.976, 2.42e-3, 1.09e-3], rel=5e-3)
    assert loss.value(logits, np.array([3]))[0] == pytest.approx(0.02441, abs=5e-6)
    assert loss.value(logits, np.array([2]))[0] == pytest.approx(6.9144, abs=5e-5)


def test_softmax_is_finite_for_scores_of_any_size():
    scores = np.array([[1e300, -1e300, 0.0], [1e5, 1e5 + 1, 0.0]])
    y = np.array([0, 0])
    assert losses.CrossEntropy().value(scores, y) == pytest.approx([0, np.log1p(np.e)])
    assert np.isfinite(losses.CrossEntropy().gradient(scores, y)).all()


def test_svm_stops_caring_beyond_the_margin_and_softmax_does_not():
    scores = np.array([[10.0, 9, 9], [10, -100, -100], [10, -2, 3]])
    y = np.zeros(3, int)
    assert losses.WestonWatkins().value(scores, y) == pytest.approx([0, 0, 0])
    assert losses.CrossEntropy().value(scores, y) == pytest.approx([0.5514, 0, 9.18e-4], abs=5e-5)


@pytest.mark.parametrize(
    ("loss", "value", "slope"),
    [
        (losses.ZeroOneLoss(), [1, 1, 1, 0, 0], [0, 0, 0, 0, 0]),
        (losses.BinaryHinge(), [3, 1.5, 1, 0, 0], [-1, -1, -1, 0, 0]),
        (losses.LogLoss(), np.log1p(np.exp([2, 0.5, 0, -1, -3])), -1 / (1 + np.exp([-2, -0.5, 0, 1, 3]))),
        (losses.ExponentialLoss(), np.exp([2, 0.5, 0, -1, -3]), -np.exp([2, 0.5, 0, -1, -3])),
    ],
)
def test_margin_losses(loss, value, slope):
    margin = np.array([-2, -0.5, 0, 1, 3])
    assert loss.of_margin(margin) == pytest.approx(value)
    assert loss.slope(margin) == pytest.approx(slope)


def test_where_margin_losses_are_not_differentiable():
    step = 1e-6

    def one_sided(loss, at):
        values = loss.of_margin(np.array([at - step, at, at + step]))
        return np.diff(values) / step

    left, right = one_sided(losses.BinaryHinge(), 1.0)
    assert (left, right) == pytest.approx((-1, 0))
    left, right = one_sided(losses.ZeroOneLoss(), 0.0)
    assert abs(left - right) > 1e5
    for smooth in (losses.LogLoss(), losses.ExponentialLoss(), losses.BinaryHinge(squared=True)):
        left, right = one_sided(smooth, 1.0)
        assert left == pytest.approx(right, abs=1e-4)


def test_logistic_form_and_cross_entropy_are_negative_log_probability():
    scores = np.array([-3.0, 0.2, 5.0])
    y = np.array([1, 0, 1])
    p = 1 / (1 + np.exp(-scores))
    expected = -(y * np.log(p) + (1 - y) * np.log(1 - p))
    assert losses.LogLoss().value(scores, y) == pytest.approx(expected)
    two = np.column_stack([np.zeros(3), scores])
    assert losses.CrossEntropy().value(two, y) == pytest.approx(expected)
    one_hot = np.eye(2)[y]
    log_p = two - np.log(np.exp(two).sum(axis=1, keepdims=True))
    assert -(one_hot * log_p).sum(axis=1) == pytest.approx(expected)


def test_kullback_leibler():
    p, q = np.array([0.5, 0.5, 0.0]), np.array([0.9, 0.05, 0.05])
    forward, backward = losses.kullback_leibler(p, q), losses.kullback_leibler(q, p)
    assert forward == pytest.approx(0.5 * np.log(0.5 / 0.9) + 0.5 * np.log(0.5 / 0.05))
    assert backward == np.inf
    assert losses.kullback_leibler(p, p) == 0
    cross_entropy = -(p[:2] * np.log(q[:2])).sum()
    assert losses.entropy(p) + forward == pytest.approx(cross_entropy)


def test_regularization_prefers_spread_weights_with_l2_only():
    x = np.ones(4)
    w1, w2 = np.array([1.0, 0, 0, 0]), np.full(4, 0.25)
    assert w1 @ x == w2 @ x
    sum_of_squares = ElasticNet(2.0, 0.0)
    assert sum_of_squares.value(w1) == pytest.approx(1)
    assert sum_of_squares.value(w2) == pytest.approx(0.25)
    absolute = ElasticNet(1.0, 1.0)
    assert absolute.value(w1) == absolute.value(w2) == pytest.approx(1)
