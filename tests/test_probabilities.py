"""Probabilities of the SVM where rows are few, rare, separable or weighted."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.metrics import log_loss

from sklearn_lossopt import LinearSVMClassifier, _calibration
from sklearn_lossopt._calibration import fit_temperature, probabilities

EVERY_LOSS = [
    LinearSVMClassifier(multi_class=multi_class, loss=loss, random_state=0)
    for multi_class in ("weston_watkins", "crammer_singer", "ovr")
    for loss in ("hinge", "squared_hinge")
]
every_loss = pytest.mark.parametrize("svm", EVERY_LOSS, ids=str)
WHERE = 6.0 * np.eye(5)  # far apart


def checked(model, X):
    """Its probabilities, finite and of sum 1, as are their logarithms."""
    p = model.predict_proba(X)
    assert p.sum(axis=1) == pytest.approx(np.ones(len(X)))
    assert (p >= 0).all()
    logarithms = model.predict_log_proba(X)
    assert np.isfinite(logarithms).all()
    assert np.exp(logarithms) == pytest.approx(p)
    assert np.isfinite(model.temperature_)
    assert model.temperature_ > 0
    return p


@every_loss
def test_two_rows(svm):
    model = clone(svm).fit([[0.0, 1.0], [1.0, 0.0]], ["a", "b"])
    p = checked(model, [[0.0, 1.0], [1.0, 0.0], [0.5, 0.5]])
    assert model.temperature_ == 1.0  # no row is left to tell another
    assert 0.6 < p[0, 0] < 0.9
    assert 0.6 < p[1, 1] < 0.9
    assert p[2] == pytest.approx([0.5, 0.5], abs=1e-3)


@every_loss
def test_one_row_a_class(svm):
    p = checked(clone(svm).fit(np.eye(4), list("abcd")), np.eye(4))
    assert (p.argmax(axis=1) == np.arange(4)).all()
    assert np.diag(p).min() > 0.4
    assert p.max() < 0.9  # one row of each proves little


@every_loss
def test_rare_classes(svm):
    rng = np.random.default_rng(0)
    frequency = [0.6, 0.38, 0.01, 0.006, 0.004]
    y = rng.choice(5, 2000, p=frequency)
    X = WHERE[y] / 3 + rng.normal(size=(2000, 5))
    model = clone(svm).fit(X[:1000], y[:1000])
    assert np.bincount(y[:1000]).min() < 10
    p = checked(model, X[1000:])
    assert log_loss(y[1000:], p) < 0.5 * log_loss(y[1000:], np.tile(frequency, (1000, 1)))
    assert p.mean(axis=0) == pytest.approx(frequency, abs=0.05)


@every_loss
def test_a_class_of_one_row_beside_large_ones(svm):
    rng = np.random.default_rng(0)
    y = np.r_[np.arange(300) % 2, 2]
    X = WHERE[y] + rng.normal(size=(301, 5))
    p = checked(clone(svm).fit(X, y), X)
    assert p[-1].argmax() == 2
    assert p[:-1, 2].mean() < 0.1


@every_loss
@pytest.mark.parametrize("n_classes", [2, 4])
def test_all_rows_separable(svm, n_classes):
    rng = np.random.default_rng(0)
    y = np.arange(4000) % n_classes
    X = WHERE[y] + rng.normal(size=(4000, 5)) / 5
    surest = []
    for n_rows in (40, 400, 4000):
        p = checked(clone(svm).fit(X[:n_rows], y[:n_rows]), X)
        assert (p.argmax(axis=1) == y).all()
        surest.append(1 - p.max(axis=1).mean())
    # The more rows prove it the surer, but never certain.
    assert 0.1 > surest[0] > surest[1] > surest[2] > 0
    between = (WHERE[:1] + WHERE[1:2]) / 2
    assert abs(np.subtract(*clone(svm).fit(X[:400], y[:400]).predict_proba(between)[0, :2])) < 0.2


def test_weights_of_held_out_rows_are_repetitions():
    X, y = make_classification(600, 8, n_informative=4, n_classes=3, random_state=0)
    weight = np.random.default_rng(0).integers(0, 4, 300).astype(float)
    svm = LinearSVMClassifier(alpha=1e-2, max_iter=5, tol=None, random_state=0)
    rows = np.repeat(np.arange(300, 600), weight.astype(int))
    weighted = clone(svm).fit(X[:300], y[:300], X_val=X[300:], y_val=y[300:], sample_weight_val=weight)
    repeated = clone(svm).fit(X[:300], y[:300], X_val=X[rows], y_val=y[rows])
    plain = clone(svm).fit(X[:300], y[:300], X_val=X[300:], y_val=y[300:])
    assert weighted.temperature_ == pytest.approx(repeated.temperature_, rel=1e-4)
    assert weighted.temperature_ != pytest.approx(plain.temperature_, rel=1e-3)


def test_temperature_heeds_weights():
    X, y = make_classification(1000, 8, n_informative=4, n_redundant=0, class_sep=2.0, random_state=0)
    noisy = np.arange(1000) % 2 == 1
    y = np.where(noisy, np.random.default_rng(0).integers(0, 2, 1000), y)
    svm = LinearSVMClassifier(random_state=0)
    clean = clone(svm).fit(X, y, np.where(noisy, 1e-3, 1.0))
    mixed = clone(svm).fit(X, y)
    p = checked(clean, X)
    assert log_loss(y[~noisy], p[~noisy]) < 0.9 * log_loss(y[~noisy], checked(mixed, X)[~noisy])
    scaled = clone(svm).fit(X, y, np.where(noisy, 1e-1, 1e2))
    assert scaled.temperature_ == pytest.approx(clean.temperature_, rel=1e-3)
    absent = clone(svm).fit(np.vstack([X, 1e3 * X]), np.r_[y, 1 - y], np.r_[np.ones(1000), np.zeros(1000)])
    assert absent.temperature_ == pytest.approx(mixed.temperature_, rel=1e-3)


@every_loss
def test_balanced_weights_give_probabilities_of_a_balanced_population(svm):
    X, y = make_classification(6000, 10, n_informative=5, weights=[0.95], flip_y=0, random_state=0)
    X, X_test, y, y_test = X[:3000], X[3000:], y[:3000], y[3000:]
    frequency = np.bincount(y) / len(y)
    assert frequency[1] < 0.06
    p = checked(clone(svm).set_params(class_weight="balanced").fit(X, y), X_test)
    balanced = np.where(y_test == 1, 0.5 / y_test.mean(), 0.5 / (1 - y_test.mean()))
    assert np.average(p[:, 1], weights=balanced) == pytest.approx(0.5, abs=0.05)
    assert log_loss(y_test, p, sample_weight=balanced) < 0.5
    # What docs/probabilities.md tells to do for those of the data.
    corrected = p * frequency
    corrected /= corrected.sum(axis=1, keepdims=True)
    assert corrected[:, 1].mean() == pytest.approx(y_test.mean(), abs=0.02)
    assert log_loss(y_test, corrected) < 0.9 * log_loss(y_test, np.tile(frequency, (3000, 1)))
    assert log_loss(y_test, corrected) < 0.6 * log_loss(y_test, p)


@pytest.fixture(params=[False, True], ids=["few rows", "as of many rows"])
def rough(request, monkeypatch):
    """Whether the fit for the temperature ends early, as it does where it takes longer."""
    if request.param:
        monkeypatch.setattr(_calibration, "CALIBRATION_SMALL", 0)
    return request.param


def test_where_all_scores_are_equal_probabilities_are_frequencies(rough):
    # Rare and overlapping: the hinge loss is least at zero coefficients, where a rough fit comes late.
    X, y = make_classification(
        6000, 10, n_informative=5, weights=[0.95], class_sep=0.7, flip_y=0, random_state=0
    )
    model = LinearSVMClassifier(random_state=0).fit(X, y)
    assert np.abs(model.coef_).max() < 1e-3
    assert checked(model, X)[:, 1] == pytest.approx(y.mean(), abs=0.03 if rough else 0.01)


@every_loss
def test_rare_classes_of_many_rows(svm, rough):
    X, y = make_classification(
        6000, 10, n_informative=5, n_classes=3, weights=[0.95, 0.03, 0.02], flip_y=0, random_state=1
    )
    model = clone(svm).set_params(max_iter=2000).fit(X[:3000], y[:3000])
    p, scores = checked(model, X[3000:]), model.decision_function(X[3000:])
    # As good as the best temperature for the rows that it is tried on, or nearly.
    best = fit_temperature(scores, y[3000:], np.ones(3000))
    assert log_loss(y[3000:], p) < 1.03 * log_loss(y[3000:], probabilities(scores, best))
