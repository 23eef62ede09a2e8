"""Warm starts of certified solvers: from dual variables of the last fit, which pickles do not carry."""

import pickle
import warnings

import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from test_certified import ALL, SVMS

from sklearn_lossopt import SoftmaxClassifier


@pytest.mark.parametrize("factor", [0.5, 2.0])
@pytest.mark.parametrize("estimator", [ALL[0], SVMS[0], SVMS[5]], ids=str)
def test_another_alpha(estimator, factor, digits):
    X, y = digits
    estimator = clone(estimator).set_params(alpha=1e-2, solver="sdca", warm_start=True, max_iter=2000)
    model = estimator.fit(X, y).set_params(alpha=1e-2 * factor, max_iter=3)
    cold = clone(model).set_params(warm_start=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y)
        cold.fit(X, y)
    # The last passes to a tight gap are the same from everywhere: what a warm start saves are the first.
    assert model.dual_gap_ < 0.7 * cold.dual_gap_
    assert model.set_params(max_iter=2000).fit(X, y).converged_


def test_pickles_do_not_carry_dual_variables(digits):
    X, y = digits
    model = SoftmaxClassifier(alpha=1e-2, solver="sdca", warm_start=True, random_state=0).fit(X, y)
    assert model._dual.dual.shape == (len(y), 10)
    copy = pickle.loads(pickle.dumps(model))
    assert not hasattr(copy, "_dual")
    assert (copy.predict(X) == model.predict(X)).all()
    assert copy.fit(X, y).converged_
    assert not hasattr(SoftmaxClassifier(alpha=1e-2, solver="sdca").fit(X, y), "_dual")


def test_more_rows_and_others(digits):
    X, y = digits
    model = SoftmaxClassifier(alpha=1e-2, solver="sdca", warm_start=True, random_state=0)
    model.fit(X[:1700], y[:1700])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert model.fit(X, y).converged_
        assert model.fit(X[::-1].copy(), y[::-1].copy()).converged_
        assert model.fit(X[:900], y[:900]).converged_
