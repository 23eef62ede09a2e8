"""`predict_proba` of both estimators, and the temperature of the SVM."""

import numpy as np
import pytest
from minibatch import both
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import log_loss

from sklearn_lossopt import LinearSVMClassifier
from sklearn_lossopt._calibration import log_probabilities, probabilities


def test_calibration_does_not_change_the_coefficients(three):
    X, y = three
    plain = LinearSVMClassifier(alpha=1e-2, calibration=None, random_state=0).fit(X, y)
    calibrated = LinearSVMClassifier(alpha=1e-2, random_state=0).fit(X, y)
    assert (plain.coef_ == calibrated.coef_).all()
    assert plain.loss_curve_ == calibrated.loss_curve_


@both
def test_probabilities(estimator, digits):
    X, y = digits
    model = clone(estimator).set_params(alpha=1e-3).fit(X, y)
    p = model.predict_proba(X)
    assert p.sum(axis=1) == pytest.approx(np.ones(len(y)))
    assert (model.classes_[p.argmax(axis=1)] == model.predict(X)).all()
    assert np.exp(model.predict_log_proba(X)) == pytest.approx(p)
    for size in (1e10, 1e150, 1e300):
        extreme = model.predict_proba(size * X)
        assert np.isfinite(extreme).all()
        assert (extreme.argmax(axis=1) == model.decision_function(size * X).argmax(axis=1)).all()


@both
def test_probabilities_of_two_classes(estimator, breast_cancer):
    X, y = breast_cancer
    model = clone(estimator).fit(X, y)
    p = model.predict_proba(X)
    scores = model.decision_function(X) / getattr(model, "temperature_", 1.0)
    assert p[:, 1] == pytest.approx(1 / (1 + np.exp(-scores)))
    assert (p.argmax(axis=1) == model.predict(X)).all()
    assert np.isfinite(model.predict_log_proba(1e300 * X)).all()


def test_no_calibration_no_probabilities(three):
    model = LinearSVMClassifier(alpha=1e-2, calibration=None, random_state=0).fit(*three)
    assert not hasattr(model, "predict_proba")
    assert not hasattr(model, "predict_log_proba")
    assert not hasattr(model, "temperature_")
    with pytest.raises(AttributeError, match="predict_proba"):
        model.predict_proba(three[0])


def test_temperature_from_validation_rows_minimizes_their_log_loss(digits):
    X, y = digits
    flip = np.random.default_rng(0).random(len(y)) < 0.1
    noisy = np.where(flip, (y + 1) % 10, y)
    model = LinearSVMClassifier(random_state=0, max_iter=30, tol=None)
    model.fit(X[:900], noisy[:900], X_val=X[900:], y_val=noisy[900:])
    best = log_loss(noisy[900:], model.predict_proba(X[900:]))
    for factor in (0.9, 1.1):
        other = clone(model)
        other.__dict__.update(model.__dict__, temperature_=factor * model.temperature_)
        assert log_loss(noisy[900:], other.predict_proba(X[900:])) > best


def test_rare_classes_are_never_held_out():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3))
    y = np.r_[np.zeros(20, int), np.ones(18, int), 2, 3]
    model = LinearSVMClassifier(random_state=0, early_stopping=True, max_iter=5, tol=None).fit(X, y)
    assert model.coef_.shape == (4, 3)
    one_row_each = LinearSVMClassifier(max_iter=5, tol=None).fit(X[:3], ["a", "b", "c"])
    assert one_row_each.temperature_ == 1.0
    assert np.isfinite(one_row_each.predict_proba(X)).all()


def test_separable_rows_give_no_certainty(three):
    X, y = three
    model = LinearSVMClassifier(alpha=1e-2, random_state=0).fit(X, y)
    assert 0.8 < model.predict_proba(X).max(axis=1).mean() < 1
    assert np.isfinite(np.log(model.predict_proba(X))).all()


def test_temperature_is_honest_on_warm_start_and_goes_with_calibration():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(150, 60)), np.arange(150) % 3  # labels that mean nothing
    model = LinearSVMClassifier(alpha=0, max_iter=60, tol=None, warm_start=True, random_state=0).fit(X, y)
    first = model.temperature_
    assert model.fit(X, y).temperature_ == pytest.approx(first)
    assert first > 10
    model.set_params(calibration=None).fit(X, y)
    assert not hasattr(model, "temperature_")
    with pytest.raises(NotFittedError, match="fitted with calibration=None"):
        model.set_params(calibration="temperature").predict_proba(X)


@pytest.mark.parametrize("temperature", [0.1, 1.0, 10.0])
def test_large_scores_do_not_tie(temperature):
    scores = np.array([[0.6e308, 1.2e308, 0], [2e307, 3e307, 0], [-np.inf, np.inf, 0]])
    p = np.exp(log_probabilities(scores, temperature))
    assert p == pytest.approx(np.eye(3)[[1, 1, 1]])
    assert np.isfinite(log_probabilities(scores, temperature)).all()
    assert np.exp(log_probabilities(scores[:, 1], temperature))[:, 1] == pytest.approx([1, 1, 1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("temperature", [0.1, 1.0, 10.0])
def test_probabilities_of_scores_of_any_size(temperature, dtype):
    rng = np.random.default_rng(0)
    largest = np.finfo(dtype).max
    accuracy = 1e-6 if dtype == np.float32 else 1e-13
    for size in (0.0, 1e-3, 1.0, 100.0, largest / 30, largest / 2):
        scores = (size * rng.uniform(-1, 1, size=(50, 4))).astype(dtype)
        for some in (scores, np.ascontiguousarray(scores[:, 0])):
            p = probabilities(some.copy(), temperature)
            assert p.dtype == dtype
            assert p == pytest.approx(np.exp(log_probabilities(some, temperature)), rel=1e-4, abs=accuracy)
            assert p.sum(axis=1) == pytest.approx(1, rel=10 * accuracy)
    assert probabilities(np.empty((0, 4), dtype), temperature).shape == (0, 4)
