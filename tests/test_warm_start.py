"""Warm starts of certified solvers: from dual variables of the last fit, which pickles do not carry."""

import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from test_certified import ALL, SVMS

from sklearn_lossopt import SoftmaxClassifier
from sklearn_lossopt.kernels import losses
from sklearn_lossopt.penalties import ElasticNet
from sklearn_lossopt.problem import Problem, as_rows
from sklearn_lossopt.solvers.warm import DualMemory, begin, start_at


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


class TestWhatIsKept:
    """Rows 0 to 19 of five classes were there; their dual variables are their numbers."""

    n_known, n_classes = 20, 5

    def problem(self, index, target):
        rng = np.random.default_rng(0)
        n_rows = len(target)
        return Problem(
            rows=as_rows(rng.normal(size=(n_rows, 3))),
            index=np.asarray(index, np.int32),
            target=np.asarray(target, np.int32),
            weight=np.ones(n_rows),
            loss=losses.SOFTMAX,
            penalty=ElasticNet(0.1, 0.0),
            n_outputs=self.n_classes,
            fit_intercept=True,
        )

    def memory(self, index=None):
        target = np.arange(self.n_known) % self.n_classes
        before = self.problem(np.arange(self.n_known) if index is None else index, target)
        return DualMemory(before, np.arange(100.0).reshape(self.n_known, self.n_classes))

    def model(self, problem):
        return problem.model(np.random.default_rng(1).normal(size=(self.n_classes, 3)))

    @pytest.mark.parametrize("n_rows", [12, 20, 27])
    def test_rows_by_number_and_class(self, n_rows):
        memory = self.memory(index=np.arange(1, self.n_known))  # row 0 was out of use
        target = np.arange(n_rows) % self.n_classes
        target[[3, 7]] = 0  # others now
        problem = self.problem([i for i in range(n_rows) if i != 5], target)
        dual = np.full((n_rows, self.n_classes), -1.0)
        without = memory.give(problem, dual)
        assert without.tolist() == [0, 3, 7, *range(self.n_known, n_rows)]
        same = np.setdiff1d(problem.index, without)
        assert (dual[same] == memory.dual[same]).all()
        assert (dual[without] == -1).all()
        assert (dual[5] == -1).all()

    @pytest.mark.parametrize("is_zero", [False, True])
    def test_new_rows_begin_at_the_model(self, is_zero):
        memory, target = self.memory(), np.arange(27) % self.n_classes
        problem = self.problem(np.arange(27), target)
        model = problem.model() if is_zero else self.model(problem)
        dual, has_duals, gradient = begin(problem, model, memory)
        assert (dual[: self.n_known] == memory.dual).all()
        alone = begin(problem, model, None)[0]
        assert (dual[self.n_known :] == alone[self.n_known :]).all()
        assert is_zero or (alone == start_at(problem, model)).all()
        assert has_duals
        assert gradient is None

    def test_another_loss_has_others(self):
        memory = self.memory()
        memory.loss = losses.HINGE
        problem = self.problem(np.arange(20), np.arange(20) % 5)
        assert memory.give(problem, np.zeros((20, 5))).tolist() == list(range(20))
        assert not begin(problem, problem.model(), memory)[1]
