"""Models on disk and elsewhere: pickle and joblib over versions, skops, ONNX, SHAP."""

import copy
import pickle
import re
import sys
import warnings

import joblib
import numpy as np
import onnxruntime
import pytest
import skops.io
from scipy import sparse
from skl2onnx import to_onnx
from sklearn.base import clone
from sklearn.ensemble import StackingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sklearn_lossopt.onnx
from sklearn_lossopt import LinearSVMClassifier, SoftmaxClassifier, __version__, _saved
from sklearn_lossopt.exceptions import ModelVersionWarning
from sklearn_lossopt.schedules import Exponential
from sklearn_lossopt.solvers import SDCA, Adam

# Seeded: of some models float32 probabilities are further from ONNX's than their own roundings usually are.
ESTIMATORS = [SoftmaxClassifier(alpha=1e-2, random_state=0), LinearSVMClassifier(alpha=1e-2, random_state=0)]
both = pytest.mark.parametrize("estimator", ESTIMATORS, ids=["softmax", "svm"])


def few_passes(estimator, **parameters):
    return clone(estimator).set_params(max_iter=5, tol=None, random_state=0, **parameters)


@pytest.fixture(scope="module")
def table(digits):
    return digits[0][:400], digits[1][:400]


# ------------------------------------------------------------------------------- pickle and joblib


@both
def test_another_version_is_told(estimator, table, monkeypatch, tmp_path):
    X, y = table
    model = few_passes(estimator).fit(X, y)
    monkeypatch.setattr(_saved, "__version__", "0.0.7")
    file = pickle.dumps(make_pipeline(model))
    joblib.dump(model, tmp_path / "model")
    monkeypatch.undo()
    told = rf"{type(model).__name__} was saved by sklearn_lossopt 0\.0\.7 and is read by {__version__}.*"
    with pytest.warns(ModelVersionWarning, match=told + r"save it again.*sklearn-lossopt==0\.0\.7") as caught:
        again = pickle.loads(file)
    assert caught[0].filename == __file__
    assert caught[0].message.original_version == "0.0.7"
    assert caught[0].message.current_version == __version__
    assert str(pickle.loads(pickle.dumps(caught[0].message))) == str(caught[0].message)
    assert (again.predict(X) == model.predict(X)).all()
    with pytest.warns(ModelVersionWarning, match=told):
        again = joblib.load(tmp_path / "model")
    pickle.loads(pickle.dumps(again))  # saved again, by this version: no warning


@both
def test_a_file_without_a_mark_is_told(estimator, table, monkeypatch):
    model = few_passes(estimator).fit(*table)
    monkeypatch.setattr(_saved, "to_state", dict)
    file = pickle.dumps(model)
    monkeypatch.undo()
    with pytest.warns(ModelVersionWarning, match=f"unknown version.*read by {__version__}.*Fit and save"):
        again = pickle.loads(file)
    assert (again.coef_ == model.coef_).all()


@both
def test_no_warning_from_this_version(estimator, table):
    X, y = table
    model = few_passes(estimator, solver=Adam(beta_1=0.8)).fit(X, y)
    for again in (copy.copy(model), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert vars(again).keys() == vars(model).keys()
        assert again.get_params()["solver__beta_1"] == 0.8
        assert (again.predict(X) == model.predict(X)).all()
    clone(model).fit(X, y)


def test_saving_leaves_the_model_as_it_is(table):
    X, y = table
    model = few_passes(SoftmaxClassifier(), solver="sdca", warm_start=True).fit(X, y)
    before = dict(vars(model))
    assert "_dual" in before
    again = pickle.loads(pickle.dumps(model))
    assert vars(model) == before
    assert "_dual" not in vars(again)


class TheirSolver(Adam):
    """A user's own optimizer."""


def test_gradients_of_streams_are_not_saved():
    """They are 0 between chunks, and of few classes several times as large as the coefficients."""
    rng = np.random.default_rng(0)
    X = sparse.random(200, 20_000, density=1e-3, format="csr", random_state=0, dtype=np.float32)
    y = rng.integers(0, 3, 200)
    model = SoftmaxClassifier(random_state=0).partial_fit(X, y, classes=[0, 1, 2])
    saved = pickle.dumps(model)
    assert len(saved) < 135 * X.shape[1]  # 192 bytes a feature with them, where vectors have 64
    again = pickle.loads(saved)
    assert (again.partial_fit(X, y).coef_ == model.partial_fit(X, y).coef_).all()


@pytest.mark.parametrize("n_features", [10, 200])
@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("solver", ["momentum", "nesterov", "adam"])
def test_a_stream_goes_on_with_scratch_of_its_own(solver, storage, n_features):
    """A saved one may come from a machine with other vectors."""
    rng = np.random.default_rng(0)
    X, y = storage(rng.normal(size=(90, n_features)).astype(np.float32)), rng.integers(0, 9, 90)
    model = SoftmaxClassifier(solver=solver, average=5, random_state=0).partial_fit(X, y, classes=range(9))
    again, other = pickle.loads(pickle.dumps(model)), copy.deepcopy(model)
    arrays = again._stream.state.arrays
    assert arrays.loss_room is arrays.slopes is arrays.block_scores is arrays.coef_before is None
    scratch = {"slopes": np.zeros((1, 1), np.float32), "block_scores": np.zeros((1, 1), np.float32)}
    other._stream.state.arrays = other._stream.state.arrays._replace(**scratch)
    model.partial_fit(X, y)
    for stream in (again, other):
        assert (stream.partial_fit(X, y).coef_ == model.coef_).all()


def test_objects_of_the_user_travel(table):
    solver = TheirSolver(0.5)
    model = few_passes(SoftmaxClassifier(), solver=solver, class_weight={0: 2.0}).fit(*table)
    again = pickle.loads(pickle.dumps(model))
    assert type(again.solver) is TheirSolver
    assert again.solver.get_params() == solver.get_params()
    assert again.class_weight == {0: 2.0}


# -------------------------------------------------------------------------------------------- skops


def streamed(estimator, X, y):
    return few_passes(estimator).partial_fit(X, y, classes=np.unique(y))


SAVED = {
    "fit": lambda model, X, y: few_passes(model).fit(X, y),
    "strings": lambda model, X, y: few_passes(model).fit(X, y.astype(str)),
    "minibatch": lambda model, X, y: few_passes(model, solver="momentum", early_stopping=True).fit(X, y),
    "objects": lambda model, X, y: few_passes(model, solver=Adam(0.8), schedule=Exponential(0.9)).fit(X, y),
    "certified": lambda model, X, y: few_passes(model, solver=SDCA(), warm_start=True).fit(X, y),
    "sparsified": lambda model, X, y: few_passes(model).fit(X, y).sparsify(),
    "pipeline": lambda model, X, y: make_pipeline(StandardScaler(), few_passes(model)).fit(X, y),
    "stream": streamed,
    "stream of CSR": lambda model, X, y: streamed(model, sparse.csr_array(X), y),
    "stream, averaged": lambda model, X, y: streamed(clone(model).set_params(average=True), X, y),
    "stream, objects": lambda model, X, y: streamed(clone(model).set_params(solver=Adam()), X, y),
}


@both
@pytest.mark.parametrize("make", SAVED.values(), ids=SAVED)
def test_skops_has_to_trust_the_class_alone(estimator, make, table):
    X, y = table
    model = make(estimator, X, y)
    file = skops.io.dumps(model)
    kind = type(estimator)
    name = f"{kind.__module__}.{kind.__name__}"
    assert skops.io.get_untrusted_types(data=file) == [name]
    again = skops.io.loads(file, trusted=[name])
    assert (again.predict_proba(X) == model.predict_proba(X)).all()
    assert repr(again) == repr(model)
    if hasattr(model, "_stream"):  # the optimizer's memory travels too
        X = X if model._stream.state.arrays.slot.size == 0 else sparse.csr_array(X)
        assert (again.partial_fit(X, y).coef_ == model.partial_fit(X, y).coef_).all()


# --------------------------------------------------------------------------------------------- ONNX


def run(model, X, estimator=None, **options):
    """Labels and the second output of the model in onnxruntime."""
    kind = type(estimator or model)
    graph = to_onnx(model, X[:1], options={kind: options})
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: X})


LABELS = {
    "two": lambda y: y % 2,
    "many": lambda y: y,
    "strings": lambda y: np.array(["zero", "été", "dos", "drei", "4", "5", "6", "7", "8", "neuf"])[y],
    "two strings": lambda y: np.where(y < 5, "low", "high"),
    "objects": lambda y: np.array([f"class {k}" for k in y], dtype=object),
    "booleans": lambda y: y == 3,
    "floats": lambda y: y % 3 - 1.0,
}


@both
@pytest.mark.parametrize("of", LABELS.values(), ids=LABELS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_onnx_gives_the_same(estimator, of, dtype, table):
    X, y = table[0].astype(dtype), of(table[1])
    alone = clone(estimator).fit(X, y)
    for model in (alone, make_pipeline(StandardScaler(), clone(estimator)).fit(X, y)):
        labels, probabilities = run(model, X, estimator, zipmap=False)
        assert (labels == model.predict(X)).all()
        assert probabilities.dtype == dtype
        assert probabilities == pytest.approx(model.predict_proba(X), rel=0, abs=1e-6)


@both
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("of", [LABELS["two strings"], LABELS["many"]], ids=["two", "many"])
def test_onnx_options(estimator, dtype, of, table):
    X, y = table[0].astype(dtype), of(table[1])
    model = clone(estimator).fit(X, y)
    expected = model.predict_proba(X)
    _, maps = run(model, X)  # a dict a row by default, as of scikit-learn's own classifiers
    assert list(maps[0]) == list(model.classes_)
    assert [list(row.values()) for row in maps] == pytest.approx(expected, rel=0, abs=1e-6)
    _, *columns = run(model, X, zipmap="columns")
    assert np.column_stack(columns) == pytest.approx(expected, rel=0, abs=1e-6)
    numbers, _ = run(model, X, nocl=True)
    assert (model.classes_[numbers] == model.predict(X)).all()
    *_, classes = run(model, X, zipmap=False, output_class_labels=True)
    assert (classes == model.classes_).all()
    _, scores = run(model, X, zipmap=False, raw_scores=True)
    assert scores == pytest.approx(two_columns(model.decision_function(X)), rel=1e-4, abs=1e-4)


def two_columns(scores):
    """Scores as skl2onnx has them: those of two classes are -s and s."""
    return scores if scores.ndim == 2 else np.column_stack([-scores, scores])


@pytest.mark.parametrize("of", [LABELS["two"], LABELS["many"]], ids=["two", "many"])
def test_onnx_of_an_svm_without_calibration_gives_scores(of, table):
    X, y = table[0], of(table[1])
    model = LinearSVMClassifier(alpha=1e-2, calibration=None).fit(X, y)
    labels, scores = run(model, X, zipmap=False)
    assert (labels == model.predict(X)).all()
    assert scores == pytest.approx(two_columns(model.decision_function(X)), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize(("dtype", "size"), [(np.float32, 1e38), (np.float64, 1e307)])
@both
def test_onnx_scores_of_any_size_are_finite(estimator, dtype, size, classes):
    X = np.random.default_rng(0).normal(size=(60, 3))
    model = few_passes(estimator).fit(X, np.arange(60) % classes)
    model.coef_ = np.abs(model.coef_) * 1e3 * np.arange(1, len(model.coef_) + 1)[:, None]  # no inf - inf
    X = (np.sign(X[:, :1]) * np.abs(X) * size).astype(dtype)
    for raw in (False, True):
        _, result = run(model, X, zipmap=False, raw_scores=raw)
        assert np.isfinite(result).all()
    _, probabilities = run(model, X, zipmap=False)
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(60))


def test_onnx_of_other_kinds(table):
    X, y = table
    model = few_passes(SoftmaxClassifier(), l1_ratio=1.0, alpha=1e-2).fit(X, y)
    expected = model.predict_proba(X)
    _, probabilities = run(model.sparsify(), X, zipmap=False)
    assert probabilities == pytest.approx(expected, abs=1e-6)
    whole = (X * 16).astype(np.int64)
    model = few_passes(SoftmaxClassifier()).fit(whole, y)
    assert (run(model, whole)[0] == model.predict(whole)).all()
    stack = StackingClassifier([("ours", model)], LogisticRegression(max_iter=1000), cv=3).fit(X, y)
    labels, probabilities = run(stack, X, zipmap=False)
    assert (labels == stack.predict(X)).all()
    assert probabilities == pytest.approx(stack.predict_proba(X), abs=1e-6)


def test_onnx_names_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    monkeypatch.delitem(sys.modules, "sklearn_lossopt.onnx")
    monkeypatch.delattr(sklearn_lossopt, "onnx")
    with pytest.raises(ImportError, match=re.escape('pip install "sklearn-lossopt[onnx]"')):
        __import__("sklearn_lossopt.onnx")


# --------------------------------------------------------------------------------------------- SHAP


@both
@pytest.mark.parametrize("of", [LABELS["two"], LABELS["many"]], ids=["two", "many"])
def test_shap_values_add_up_to_the_scores(estimator, of, table):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its import uses what others deprecate
        import shap

    X, y = table[0], of(table[1])
    model = few_passes(estimator).fit(X, y)
    shares = shap.LinearExplainer(model, X[:100])(X[:9])
    assert shares.values.sum(axis=1) + shares.base_values == pytest.approx(model.decision_function(X[:9]))
