"""What the benchmarks measure by; they are in a checkout alone."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

objective = pytest.importorskip("benchmarks.objective")


def test_calibration_error_of_few_rows_by_hand():
    confidence = np.array([0.6, 0.62, 0.64, 0.95, 1.0])
    p = np.column_stack([confidence, 1 - confidence])
    # Bins of a tenth: (0.5, 0.6], (0.6, 0.7] and (0.9, 1], right in 0 of 1, 2 of 2 and 1 of 2.
    error = objective.calibration_error(p, np.array([1, 0, 0, 0, 1]), n_bins=10)
    assert error == pytest.approx((1 * 0.6 + 2 * (1 - 0.63) + 2 * (0.975 - 0.5)) / 5)
    assert objective.calibration_error(np.eye(3), np.arange(3)) == 0
    assert objective.calibration_error(np.eye(3), np.array([1, 2, 0])) == 1


def test_calibration_error_tells_honest_from_too_sure():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(20_000, 4))
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    y = (rng.random(len(p))[:, None] > p.cumsum(axis=1)).sum(axis=1)
    sure = p**3 / (p**3).sum(axis=1, keepdims=True)
    assert objective.calibration_error(p, y) < 0.02
    assert objective.calibration_error(sure, y) > 0.15


def test_log_loss_needs_probabilities(digits):
    X, y = digits
    model = LogisticRegression(max_iter=10, tol=1.0).fit(X, y)
    assert objective.test_log_loss(model, X, y) == pytest.approx(log_loss(y, model.predict_proba(X)))
    assert objective.test_log_loss(object(), X, y) is None
