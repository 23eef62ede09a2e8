"""Sample and class weights of the minibatch solvers."""

import numpy as np
import pytest
from minibatch import both
from scipy import sparse
from sklearn.base import clone

from sklearn_lossopt import LinearSVMClassifier, SoftmaxClassifier

FULL = {"batch_size": "full", "max_iter": 60, "tol": None, "shuffle": False}


@pytest.mark.parametrize("learning_rate", ["auto", 0.05])
@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("estimator", [SoftmaxClassifier(), LinearSVMClassifier(calibration=None)])
@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 3.0}])
def test_weights_are_repetitions(estimator, storage, learning_rate, class_weight, three):
    X, y = three
    rng = np.random.default_rng(0)
    weight = rng.integers(0, 4, len(y))
    repeated = np.repeat(np.arange(len(y)), weight)
    model = clone(estimator).set_params(learning_rate=learning_rate, class_weight=class_weight, **FULL)
    expected = clone(model).fit(storage(X[repeated]), y[repeated])
    for factor in (1.0, 7.0):
        found = clone(model).fit(storage(X), y, factor * weight)
        assert found.coef_ == pytest.approx(expected.coef_, rel=1e-9, abs=1e-9)
        assert found.intercept_ == pytest.approx(expected.intercept_, rel=1e-9, abs=1e-9)


def test_minibatch_weights_converge_to_the_same_objective(three):
    X, y = three
    rng = np.random.default_rng(0)
    weight = rng.integers(0, 4, len(y))
    repeated = np.repeat(np.arange(len(y)), weight)
    model = SoftmaxClassifier(alpha=1e-2, batch_size=16, random_state=0)
    a = clone(model).fit(X, y, weight).loss_curve_[-1]
    b = clone(model).fit(X[repeated], y[repeated]).loss_curve_[-1]
    assert a == pytest.approx(b, rel=2e-3)


@both
def test_classes_of_zero_weight_are_dropped(estimator, digits):
    X, y = digits
    model = clone(estimator).set_params(max_iter=3, tol=None).fit(X, y, (y < 4).astype(float))
    assert list(model.classes_) == [0, 1, 2, 3]
    assert model.coef_.shape == (4, 64)
    assert model.predict_proba(X).shape == (len(y), 4)
    with pytest.raises(ValueError, match="1 class"):
        clone(estimator).fit(X, y, (y < 1).astype(float))


def test_classes_of_zero_class_weight_are_dropped(three):
    X, y = three
    model = SoftmaxClassifier(class_weight={0: 0.0}, max_iter=3, tol=None).fit(X, y)
    assert list(model.classes_) == [1, 2]
    with pytest.raises(ValueError, match=r"y has 1 class: \[2\]"):
        model.set_params(class_weight={0: 0.0, 1: 0.0}).fit(X, y)
