"""`n_jobs` of the certified solvers: the same bits for the same number, and the same certificate."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from test_certified import ALL

from sklearn_lossopt import LinearSVMClassifier, SoftmaxClassifier
from sklearn_lossopt._threads import Threads, by_parts
from sklearn_lossopt.solvers import dual


@pytest.fixture
def on_little_data(monkeypatch):
    """Threads visit rows where they would not pay."""
    monkeypatch.setattr(dual, "LONG_PASS", 0.0)
    monkeypatch.setattr(dual, "SHARE_OF_COPIES", np.inf)


@pytest.mark.usefixtures("on_little_data")
@pytest.mark.parametrize("estimator", ALL, ids=str)
@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])
def test_same_optimum_and_same_bits(estimator, storage, digits):
    X, y = storage(digits[0]), digits[1]
    estimator = clone(estimator).set_params(alpha=1e-2, solver="sdca", tol=1e-3, max_iter=3000)
    alone = clone(estimator).fit(X, y)
    first, second = (clone(estimator).set_params(n_jobs=2).fit(X, y) for _ in range(2))
    assert (first.coef_ == second.coef_).all()
    assert first.dual_gap_ == second.dual_gap_
    assert first.converged_
    assert first.loss_curve_[-1] - alone.loss_curve_[-1] <= first.dual_gap_
    assert alone.loss_curve_[-1] - first.loss_curve_[-1] <= alone.dual_gap_


@pytest.mark.usefixtures("on_little_data")
def test_with_l1_and_weights_and_few_rows(digits):
    X, y = digits
    weight = np.arange(len(y)) % 3 + 0.5
    model = SoftmaxClassifier(
        l1_ratio=0.5, alpha=1e-2, solver="sdca", n_jobs=3, max_iter=3000, random_state=0
    )
    assert clone(model).fit(X, y, weight).converged_
    for n_jobs in (-1, 16):
        assert clone(model).set_params(n_jobs=n_jobs).fit(X[:11], y[:11]).dual_gap_ > 0


def test_visit_rows_only_where_they_pay(digits, monkeypatch):
    X, y = digits
    together = []
    visit = dual.DualAscent._visit_together
    monkeypatch.setattr(
        dual.DualAscent, "_visit_together", lambda *args: (together.append(len(args[3])), visit(*args))
    )
    model = LinearSVMClassifier(alpha=1e-3, solver="sdca", calibration=None, random_state=0)
    model.set_params(max_iter=9, tol=None)
    alone = clone(model).fit(X, y)
    shared = clone(model).set_params(n_jobs=2).fit(X, y)
    assert shared.coef_ == pytest.approx(alone.coef_, abs=1e-6)
    assert together == []  # a pass takes half a millisecond
    model.set_params(max_iter=2, n_jobs=2)
    long = np.tile(X, (30, 1)), np.tile(y, 30)
    clone(model).fit(*long)
    assert together == [30 * len(y)] * 2
    clone(model).set_params(n_jobs=32).fit(*long)
    assert len(together) == 2
    wide = sparse.hstack([sparse.csr_array(long[0]), sparse.csr_array((30 * len(y), 50_000))], format="csr")
    clone(model).fit(wide, long[1])  # copies of the coefficients take longer than a pass
    assert len(together) == 2


@pytest.mark.usefixtures("on_little_data")
def test_fewer_rows_than_rounds():
    model = SoftmaxClassifier(solver="sdca", n_jobs=2, alpha=1.0).fit([[0.0], [1.0]], [0, 1])
    assert model.converged_


def test_parts_in_order_and_the_first_by_who_asks():
    here = threading.get_ident()

    def who(part):
        return part.tolist(), threading.get_ident() == here

    assert by_parts(who, np.arange(5), 2) == [([0, 1, 2], True), ([3, 4], False)]
    assert by_parts(who, np.arange(2), 1) == [([0, 1], True)]
    assert by_parts(who, np.arange(2), 9) == [([0], True), ([1], False)]


def test_no_part_outlives_an_error():
    ended = []

    def work(part):
        if part == 0:
            raise KeyboardInterrupt
        time.sleep(0.05)
        ended.append(part)

    with Threads(3) as threads:
        with pytest.raises(KeyboardInterrupt):
            threads.map(work, [0, 1, 2])
        assert sorted(ended) == [1, 2]


@pytest.mark.parametrize("n_started", [0, 1])
def test_where_no_thread_can_be_started(n_started, monkeypatch):
    """The caller does all that no helper does, and each part is done."""
    start, asked = ThreadPoolExecutor._adjust_thread_count, []

    def sometimes(self):
        asked.append(self)
        if len(asked) > n_started:
            raise RuntimeError("can't start new thread")
        start(self)

    monkeypatch.setattr(ThreadPoolExecutor, "_adjust_thread_count", sometimes)
    done = []

    def work(part):
        done.append(part[0])
        return part.tolist()

    for _ in range(20):
        assert by_parts(work, np.arange(4), 4) == [[0], [1], [2], [3]]
        assert sorted(done) == [0, 1, 2, 3]
        asked.clear()
        done.clear()


def test_where_no_other_thread_can_be_started(monkeypatch):
    """A helper that waits for work has taken some when the next part finds no thread."""

    def refuse(self):
        raise RuntimeError("can't start new thread")

    with Threads(3) as threads:
        assert threads.map(str, [0, 1]) == ["0", "1"]
        time.sleep(0.01)
        monkeypatch.setattr(threading.Thread, "start", refuse)
        for _ in range(3):
            assert threads.map(str, [0, 1, 2]) == ["0", "1", "2"]


def test_fits_and_predicts_while_the_interpreter_ends():
    script = """
import atexit
import numpy as np
from sklearn_lossopt import SoftmaxClassifier
X = np.random.default_rng(0).normal(size=(200_000, 12))
y = X[:, 0] > 0
model = SoftmaxClassifier(solver="sdca", n_jobs=2, max_iter=1, tol=None)
atexit.register(lambda: print(model.fit(X, y).predict(X).shape))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "(200000,)\n", done.stderr


@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])
def test_moments_are_the_same_bits_for_any_number_of_threads(storage):
    X = storage(np.random.default_rng(0).normal(size=(60_000, 90)) + 5)  # 5 parts
    y = np.arange(60_000) % 3
    first, *others = (SoftmaxClassifier()._prepare(X, y, None)[0] for _ in range(3))
    for problem, n_jobs in zip(others, (2, 7), strict=True):
        del problem.__dict__["moments"]
        problem.count_moments(n_jobs)
        for name in ("mass", "square_mass", "mean", "scatter", "low", "high", "count"):
            assert np.array_equal(getattr(problem.moments, name), getattr(first.moments, name))
    assert first.moments.mean == pytest.approx(X.mean(axis=0), rel=1e-12)
    assert first.moments.n_rows == 60_000
    X[-1, 2] = np.inf
    with pytest.raises(ValueError, match="Input X contains infinity"):
        SoftmaxClassifier(n_jobs=2).fit(X, y)


def test_other_solvers_do_not_depend_on_n_jobs(digits):
    X, y = digits
    for solver in ("newton", "momentum"):
        one, two = (
            SoftmaxClassifier(solver=solver, n_jobs=n, max_iter=3, tol=None, random_state=0).fit(X, y)
            for n in (1, 2)
        )
        assert (one.coef_ == two.coef_).all()


def test_refuses_zero(digits):
    with pytest.raises(ValueError, match="'n_jobs' parameter"):
        SoftmaxClassifier(n_jobs=0).fit(*digits)
