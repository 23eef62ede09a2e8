"""Predictions of many rows, by kernels, against those of NumPy."""

import subprocess
import sys

import joblib
import numba
import numpy as np
import pytest
from minibatch import both
from scipy import sparse
from sklearn.base import clone

from sklearn_lossopt import SoftmaxClassifier, _many_rows
from sklearn_lossopt._blas import one_thread, openblas_threads
from sklearn_lossopt._calibration import log_probabilities, probabilities
from sklearn_lossopt._many_rows import ManyRows
from sklearn_lossopt.kernels._jit import kernels
from sklearn_lossopt.kernels.block_losses import are_few
from sklearn_lossopt.kernels.narrow import MOST_VECTORS
from sklearn_lossopt.kernels.vectors import padded_outputs

FEW = max(n for n in range(200) if are_few(n, np.float64))
WIDE = MOST_VECTORS * padded_outputs(1, np.float32) + 1
N_OUTPUTS = [1, 3, 7, FEW, FEW + 1, 2 * FEW + 1]
pytestmark = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="without the compiler NumPy predicts")


@pytest.fixture(autouse=True)
def any_is_many(monkeypatch):
    monkeypatch.setattr(_many_rows, "MANY", 0)
    monkeypatch.setattr(_many_rows, "openblas_threads", lambda: 1)


def draw(n_outputs, dtype, storage="dense", n_rows=101, n_features=WIDE):
    rng = np.random.default_rng(n_outputs)
    n_features = 19 if storage == "narrow" else n_features
    X = rng.normal(size=(n_rows, n_features)).astype(dtype)
    coef = rng.normal(size=(n_outputs, n_features)).astype(dtype)
    intercept = rng.normal(size=n_outputs).astype(dtype)
    if storage == "csr":
        X[rng.random(X.shape) < 0.7] = 0
    scores = X.astype(np.float64) @ coef.T.astype(np.float64) + intercept
    X = sparse.csr_array(X) if storage == "csr" else X
    return ManyRows.of(X, coef, intercept), scores[:, 0] if n_outputs == 1 else scores


def close(dtype):
    # A mass near 1 rounds with each of the outputs that it adds up, and its logarithm is no nearer to 0.
    return {"rel": 2e-5, "abs": 1e-6} if dtype == np.float32 else {"rel": 1e-12, "abs": 4e-15}


@pytest.mark.parametrize("n_outputs", N_OUTPUTS)
@pytest.mark.parametrize("storage", ["dense", "narrow", "csr"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_as_numpy_has_them(dtype, storage, n_outputs):
    many, scores = draw(n_outputs, dtype, storage)
    found = many.scores()
    assert found.dtype == dtype
    assert found == pytest.approx(
        scores, rel=1e-4 if dtype == np.float32 else 1e-11, abs=10 * close(dtype)["abs"]
    )
    # From here on of the very scores: what rounding did to them is not the point.
    scores = found.astype(np.float64)
    classes = (scores > 0).astype(int) if n_outputs == 1 else scores.argmax(axis=1)
    assert (many.classes() == classes).all()
    for divisor in (1.0, 0.3, 40.0):
        p, logs = many.probabilities(divisor, False), many.probabilities(divisor, True)
        assert p.dtype == logs.dtype == dtype
        assert p == pytest.approx(probabilities(scores.copy(), divisor), **close(dtype))
        assert logs == pytest.approx(log_probabilities(scores, divisor), **close(dtype))
        assert p.sum(axis=1) == pytest.approx(np.ones(len(p)), **close(dtype))


@pytest.mark.parametrize("n_outputs", [1, 7, 40])
def test_threads_change_no_bit(n_outputs, monkeypatch):
    alone, _ = draw(n_outputs, np.float32, n_rows=1001)
    monkeypatch.setattr(_many_rows, "openblas_threads", lambda: 3)
    monkeypatch.setattr(_many_rows, "LONG_WORK", 1.0)
    together, _ = draw(n_outputs, np.float32, n_rows=1001)
    assert (alone.n_threads, together.n_threads) == (1, 3)
    assert (alone.scores() == together.scores()).all()
    assert (alone.classes() == together.classes()).all()
    assert (alone.probabilities(1.5, False) == together.probabilities(1.5, False)).all()
    for row in (0, 500, 1000):
        rows = together.rows.values.copy()
        rows[row, 3] = np.nan
        assert ManyRows.of(rows, together.coef, together.intercept).scores() is None
        assert ManyRows.of(rows, together.coef, together.intercept).classes() is None
        assert ManyRows.of(rows, together.coef, together.intercept).probabilities(1.0, False) is None


def test_no_threads_at_the_interpreter_s_end():
    run = f"""
import atexit, numpy as np
from sklearn_lossopt import _many_rows
_many_rows.MANY, _many_rows.LONG_WORK, _many_rows.openblas_threads = 0, 1.0, lambda: 2
many = _many_rows.ManyRows.of(np.ones((100, 3)), np.ones(({FEW}, 3)), np.zeros({FEW}))
assert many.n_threads == 2
atexit.register(lambda: print(many.scores().sum()))
"""
    done = subprocess.run([sys.executable, "-c", run], capture_output=True, text=True, check=True)
    assert float(done.stdout) == 300 * FEW


@pytest.mark.parametrize("n_outputs", [3, FEW + 1, 2 * FEW + 10])
def test_of_equal_scores_the_first_counts(n_outputs):
    X = np.ones((50, 4))
    coef = np.zeros((n_outputs, 4))
    assert (ManyRows.of(X, coef, np.zeros(n_outputs)).classes() == 0).all()
    coef[1:] = 1
    assert (ManyRows.of(X, coef, np.zeros(n_outputs)).classes() == 1).all()
    coef[:-1] = -1
    assert (ManyRows.of(X, coef, np.zeros(n_outputs)).classes() == n_outputs - 1).all()


@pytest.mark.parametrize("n_outputs", N_OUTPUTS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_far_scores_give_finite_logarithms(dtype, n_outputs):
    size = np.finfo(dtype).max / 1e4
    scores = np.linspace(-1, 1, 50 * n_outputs).reshape(50, n_outputs)
    for scale, divisor in ((size, 1.0), (size, 1e-4), (300.0, 1.0)):
        many = ManyRows.of(
            np.diag(np.full(50, scale, dtype)),
            scores.T.astype(dtype).copy(),
            np.zeros(n_outputs, dtype),
        )
        p, logs = many.probabilities(divisor, False), many.probabilities(divisor, True)
        exact = log_probabilities(many.scores(), divisor)
        assert np.isfinite(logs).all()
        assert np.exp(logs) == pytest.approx(p, rel=1e-4, abs=1e-30)
        if scale < size:
            assert logs == pytest.approx(exact, rel=1e-5)


@pytest.mark.parametrize("n_outputs", N_OUTPUTS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_hardly_there_counts_as_nothing(dtype, n_outputs):
    # Row 0: all scores are below 0; rows 1, 2: some probabilities are 0; row 3: all scores are 0.
    X = np.array([[-1.0], [1e4], [-1e4], [0.0]], dtype)
    coef = np.linspace(1, 2, n_outputs, dtype=dtype)[:, np.newaxis].copy()
    many = ManyRows.of(X, coef, np.zeros(n_outputs, dtype))
    p = many.probabilities(1.0, False)
    scores = many.scores().astype(np.float64)
    assert p == pytest.approx(probabilities(scores.copy()), **close(dtype))
    assert many.probabilities(1.0, True) == pytest.approx(log_probabilities(scores), rel=1e-5)
    assert (p == 0).any(axis=1)[1:3].all()
    assert p[3] == pytest.approx(np.full(p.shape[1], 1 / p.shape[1]), rel=1e-5)
    assert (many.classes() == (scores > 0 if n_outputs == 1 else scores.argmax(axis=1))).all()
    if n_outputs == 1:
        for least in (-np.finfo(dtype).tiny, -1e-300):
            many = ManyRows.of(np.array([[least]], dtype), np.ones((1, 1), dtype), np.zeros(1, dtype))
            assert many.probabilities(1.0, False) == pytest.approx(np.full((1, 2), 0.5))


@pytest.mark.parametrize("n_outputs", N_OUTPUTS)
@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array], ids=["narrow", "csr"])
@pytest.mark.parametrize("size", [1e200, -1e200])  # only the sums that look for it notice the latter
def test_a_single_score_that_overflows_is_noticed(size, storage, n_outputs):
    X = storage(np.array([[1.0, 1.0], [1e200, 1.0]]))
    for k in range(n_outputs):
        coef = np.ones((n_outputs, 2))
        coef[k] = size
        many = ManyRows.of(X, coef, np.zeros(n_outputs))
        assert many.scores() is None
        assert many.classes() is None
        assert many.probabilities(1.0, False) is None


@pytest.mark.parametrize("n_outputs", [1, 7, FEW + 1])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("row", [0, 57, 100])
@pytest.mark.parametrize("storage", ["dense", "narrow"])
def test_a_score_that_is_not_finite_is_noticed(storage, n_outputs, bad, row):
    many, _ = draw(n_outputs, np.float64, storage)
    rows = many.rows.values.copy()
    rows[row, -1] = bad
    many = ManyRows.of(rows, many.coef, many.intercept)
    assert many.scores() is None
    assert many.classes() is None
    assert many.probabilities(1.0, False) is None
    assert many.probabilities(1.0, True) is None
    coef = many.coef.copy()
    coef[:, -1] = 0  # 0 times infinity is no number either
    assert ManyRows.of(rows, coef, many.intercept).scores() is None


def test_what_kernels_do_not_take(monkeypatch):
    X, coef, intercept = np.ones((8, 3)), np.ones((4, 3)), np.ones(4)
    assert ManyRows.of(X, coef, intercept) is not None
    assert ManyRows.of(X, coef, 0.0) is None
    assert ManyRows.of(X, coef, intercept[np.newaxis]) is None
    assert ManyRows.of(X, coef, intercept.astype(np.float32)) is None
    assert ManyRows.of(X, coef[:, :2].copy(), intercept) is None
    assert ManyRows.of(X[:, :2].copy(), coef, intercept) is None
    assert ManyRows.of(X, coef[0], intercept) is None
    assert ManyRows.of(np.asfortranarray(X), coef, intercept) is None
    assert ManyRows.of(X.astype(np.float32), coef, intercept) is None
    assert ManyRows.of(X.astype(int), coef.astype(int), intercept) is None
    assert ManyRows.of(X, sparse.csr_array(coef), intercept) is None
    of_sparse = np.asfortranarray(coef)  # as a fit to sparse rows leaves them; kernels would need a copy
    assert ManyRows.of(X, of_sparse, intercept) is None
    assert ManyRows.of(np.ones((20, 3)), of_sparse, intercept) is not None
    monkeypatch.setattr(_many_rows, "openblas_threads", lambda: 0)  # of an unknown BLAS
    assert ManyRows.of(X, coef, intercept) is None
    assert ManyRows.of(sparse.csr_array(X), coef, intercept) is not None
    with monkeypatch.context() as patch:
        patch.setattr(_many_rows, "MANY", 1000)
        assert ManyRows.of(sparse.csr_array(X), coef, intercept) is None
    monkeypatch.setattr(_many_rows, "is_kept", lambda kernel: False)  # each process would compile it
    assert ManyRows.of(sparse.csr_array(X), coef, intercept) is None


@both
def test_estimators_predict_the_same(estimator, digits, monkeypatch):
    X, y = digits
    model = clone(estimator).set_params(alpha=1e-3).fit(X, y)
    ways = [model.decision_function, model.predict, model.predict_proba, model.predict_log_proba]
    for rows in (X, sparse.csr_array(X)):
        many = [way(rows) for way in ways]
        with monkeypatch.context() as patch:
            patch.setattr(_many_rows, "MANY", 10**18)
            few = [way(rows) for way in ways]
        for ours, theirs in zip(many, few, strict=True):
            assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-12)
            assert ours.dtype == theirs.dtype


@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("way", ["decision_function", "predict", "predict_proba", "predict_log_proba"])
def test_bad_rows_are_refused_as_ever(way, storage, digits, monkeypatch):
    X, y = digits
    model = SoftmaxClassifier(alpha=1e-2).fit(X, y)
    model.coef_[:, 7] = 0
    for bad, what in ((np.nan, "NaN"), (np.inf, "infinity")):
        rows = X.copy()
        rows[1000, 7] = bad
        messages = []
        for many in (0, 10**18):
            monkeypatch.setattr(_many_rows, "MANY", many)
            with pytest.raises(ValueError, match=f"Input X contains {what}") as error:
                getattr(model, way)(storage(rows))
            messages.append(str(error.value))
        assert messages[0] == messages[1]


def test_a_memory_mapped_model_needs_no_compiling(digits, tmp_path):
    X, y = digits
    model = SoftmaxClassifier(alpha=1e-2).fit(X, y)
    expected = model.predict_proba(X), model.predict(X), model.decision_function(X)
    n_compiled = [len(kernel.signatures) for kernel in kernels]
    joblib.dump(model, tmp_path / "model")
    mapped = joblib.load(tmp_path / "model", mmap_mode="r")
    assert not mapped.coef_.flags.writeable
    found = mapped.predict_proba(X), mapped.predict(X), mapped.decision_function(X)
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours == theirs).all()
    assert [len(kernel.signatures) for kernel in kernels] == n_compiled


def test_a_subclass_s_scores_count(digits):
    X, y = digits

    class Reversed(SoftmaxClassifier):
        def decision_function(self, X):
            return super().decision_function(X)[:, ::-1]

    model, plain = (kind(alpha=1e-2, random_state=0).fit(X, y) for kind in (Reversed, SoftmaxClassifier))
    assert (model.decision_function(X) == plain.decision_function(X)[:, ::-1]).all()
    assert (model.predict(X) == 9 - plain.predict(X)).all()
    assert model.predict_proba(X) == pytest.approx(plain.predict_proba(X)[:, ::-1])


def test_coefficients_of_another_shape_are_refused(digits):
    X, y = digits
    model = SoftmaxClassifier(alpha=1e-2).fit(X, y)
    model.coef_ = model.coef_[:, :40].copy()
    with pytest.raises(ValueError, match="40"):
        model.predict(X)


def test_scores_beyond_all_numbers_are_left_to_numpy(digits):
    X, y = digits
    model = SoftmaxClassifier(alpha=1e-2).fit(X, y)
    with np.errstate(over="ignore", invalid="ignore"):
        p = model.predict_proba(1e306 * X)
        assert np.isfinite(p).all()
        assert (model.classes_[p.argmax(axis=1)] == model.predict(1e306 * X)).all()


def test_threads_are_those_of_blas(monkeypatch):
    free = openblas_threads()
    with one_thread:
        assert openblas_threads() == min(free, 1)
    assert openblas_threads() == free
