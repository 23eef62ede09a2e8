"""The tools around scikit-learn's classifiers, each tried with ours."""

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy import sparse
from scipy.stats import loguniform
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_classification
from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.feature_extraction import FeatureHasher
from sklearn.feature_selection import RFE, SelectFromModel
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import DecisionBoundaryDisplay, permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import (
    GridSearchCV,
    LearningCurveDisplay,
    RandomizedSearchCV,
    TunedThresholdClassifierCV,
    ValidationCurveDisplay,
    cross_val_predict,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_lossopt import LinearSVMClassifier, SoftmaxClassifier

BOTH = [SoftmaxClassifier(alpha=1e-2, random_state=0), LinearSVMClassifier(alpha=1e-2, random_state=0)]
both = pytest.mark.parametrize("estimator", BOTH, ids=["softmax", "svm"])


@pytest.fixture(scope="module")
def three():
    return make_classification(300, 10, n_informative=6, n_redundant=0, n_classes=3, random_state=0)


@pytest.fixture(scope="module")
def two():
    return make_classification(300, 10, n_informative=4, n_redundant=0, weights=[0.8], random_state=1)


@both
def test_randomized_search(estimator, three):
    grid = {"alpha": loguniform(1e-5, 1e-1), "class_weight": [None, "balanced"]}
    search = RandomizedSearchCV(estimator, grid, n_iter=4, cv=3, random_state=0, error_score="raise")
    assert search.fit(*three).best_score_ > 0.6


METHODS = ["sigmoid", "isotonic"]
if tuple(int(part) for part in sklearn.__version__.split(".")[:2]) >= (1, 8):
    METHODS.append("temperature")


@both
@pytest.mark.parametrize("method", METHODS)
def test_calibrated_classifier(estimator, method, three):
    X, y = three
    for ensemble in (True, False):
        model = CalibratedClassifierCV(estimator, method=method, cv=3, ensemble=ensemble).fit(X, y)
        assert log_loss(y, model.predict_proba(X)) < 0.9
    fitted = clone(estimator).fit(X[:200], y[:200])
    frozen = CalibratedClassifierCV(FrozenEstimator(fitted), method=method).fit(X[200:], y[200:])
    assert log_loss(y, frozen.predict_proba(X)) < 0.9


@both
def test_tuned_threshold(estimator, two):
    X, y = two
    tuned = TunedThresholdClassifierCV(estimator, scoring="balanced_accuracy", cv=3, random_state=0)
    assert 0 < tuned.fit(X, y).best_threshold_ < 0.9
    assert tuned.score(X, y) > 0.7


@both
def test_select_from_model_keeps_what_l1_keeps(estimator, three):
    X, y = three
    model = clone(estimator).set_params(l1_ratio=1.0, alpha=0.05, max_iter=3000, tol=1e-3)
    selector = SelectFromModel(model).fit(X, y)
    kept = (selector.estimator_.coef_ != 0).any(axis=0)
    assert 0 < kept.sum() < 10
    assert (selector.get_support() == kept).all()
    assert SelectFromModel(estimator).fit(X, y).get_support().sum() < 10  # L2: those above the mean


@pytest.mark.parametrize(("l1_ratio", "name"), [(0.0, "l2"), (0, "l2"), (0.3, "elasticnet"), (1.0, "l1")])
def test_penalty_is_named(l1_ratio, name):
    model = SoftmaxClassifier(l1_ratio=l1_ratio)
    assert model.penalty == name
    assert "penalty" not in model.get_params()


@both
def test_recursive_feature_elimination(estimator, three):
    assert RFE(estimator, n_features_to_select=4).fit(*three).support_.sum() == 4


@both
def test_ensembles(estimator, three):
    X, y = three
    for model in (
        StackingClassifier([("ours", estimator), ("lr", LogisticRegression())], cv=3),
        VotingClassifier([("ours", estimator), ("lr", LogisticRegression())], voting="soft"),
        AdaBoostClassifier(estimator, n_estimators=3, random_state=0),
        BaggingClassifier(estimator, n_estimators=3, n_jobs=2, random_state=0),
        OneVsRestClassifier(estimator, n_jobs=2),
    ):
        assert model.fit(X, y).score(X, y) > 0.55, model
        assert model.predict_proba(X).shape == (300, 3)


@both
def test_model_evaluation(estimator, three):
    X, y = three
    p = cross_val_predict(estimator, X, y, cv=3, method="predict_proba")
    assert p.sum(axis=1) == pytest.approx(np.ones(300))
    fitted = clone(estimator).fit(X, y)
    importance = permutation_importance(fitted, X, y, n_repeats=3, random_state=0).importances_mean
    assert importance.max() > 0.01


@both
def test_displays(estimator, three):
    X, y = three
    flat = clone(estimator).fit(X[:, :2], y)
    for method in ("predict_proba", "decision_function", "predict"):
        DecisionBoundaryDisplay.from_estimator(flat, X[:, :2], response_method=method, grid_resolution=10)
    LearningCurveDisplay.from_estimator(estimator, X, y, train_sizes=[0.5, 1.0], cv=3)
    ValidationCurveDisplay.from_estimator(estimator, X, y, param_name="alpha", param_range=[1e-4, 1e-2], cv=3)


@both
def test_data_frames_through_a_pipeline(estimator, three):
    X, y = three
    frame = pd.DataFrame(X, columns=[f"feature {j}" for j in range(10)])
    pipeline = make_pipeline(StandardScaler().set_output(transform="pandas"), clone(estimator))
    pipeline.fit(frame, y)
    assert list(pipeline[-1].feature_names_in_) == list(frame.columns)
    assert pipeline.score(frame, y) > 0.6


@both
def test_weights_are_routed_through_pipeline_and_search(estimator, three):
    X, y = three
    weight = np.where(y == 0, 1.0, 1e-4)
    with sklearn.config_context(enable_metadata_routing=True):
        ours = clone(estimator).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        search = GridSearchCV(make_pipeline(scaler, ours), {}, cv=2, error_score="raise")
        search.fit(X, y, sample_weight=weight)
    assert (search.predict(X) == 0).mean() > 0.8  # the others have hardly any weight


@both
def test_hashed_features_in_a_stream(estimator):
    rng = np.random.default_rng(0)
    hasher = FeatureHasher(2**10, input_type="string")
    model = clone(estimator)
    words = {0: ["sun", "beach", "sand"], 1: ["snow", "ice", "ski"], 2: ["rain", "mud", "fog"]}
    y = np.arange(600) % 3
    documents = [[*rng.choice(words[k], 2), f"word{rng.integers(50)}"] for k in y]
    for start in range(0, 600, 100):
        rows = hasher.transform(documents[start : start + 100])
        model.partial_fit(rows, y[start : start + 100], classes=[0, 1, 2])
    assert model.score(hasher.transform(documents), y) > 0.95


@both
@pytest.mark.filterwarnings("ignore")  # dask-ml's own, of dask and scikit-learn
def test_incremental_over_the_chunks_of_a_dask_array(estimator, three):
    wrappers = pytest.importorskip("dask_ml.wrappers")
    import dask.array as da

    X, y = three
    chunks = da.from_array(X, chunks=(50, 10)), da.from_array(y, chunks=50)
    incremental = wrappers.Incremental(
        clone(estimator), scoring="accuracy", shuffle_blocks=False, random_state=0
    ).fit(*chunks, classes=[0, 1, 2])
    alone = clone(estimator)
    for start in range(0, 300, 50):
        alone.partial_fit(X[start : start + 50], y[start : start + 50], classes=[0, 1, 2])
    assert incremental.estimator_.coef_ == pytest.approx(alone.coef_)
    assert (incremental.predict(chunks[0]).compute() == alone.predict(X)).all()
    assert incremental.predict_proba(chunks[0]).compute() == pytest.approx(alone.predict_proba(X))
    assert incremental.score(*chunks) == pytest.approx(alone.score(X, y))
    once = incremental.estimator_.coef_.copy()
    incremental.partial_fit(*chunks, classes=[0, 1, 2])
    assert incremental.estimator_.t_ == 2 * alone.t_
    assert (incremental.estimator_.coef_ != once).any()


@both
def test_sparse_coefficients_train_on(estimator, three):
    X, y = three
    model = clone(estimator).partial_fit(X, y, classes=[0, 1, 2])
    twin = clone(estimator).partial_fit(X, y, classes=[0, 1, 2])
    model.sparsify()
    assert sparse.issparse(model.coef_)
    assert (model.predict(X) == twin.predict(X)).all()
    for one in (model, twin):
        one.partial_fit(X, y)
    assert model.coef_ == pytest.approx(twin.coef_)
    model.sparsify().densify()
    assert model.partial_fit(X, y).score(X, y) > 0.6


@both
@pytest.mark.parametrize("backend", ["threading", "loky", "multiprocessing"])
def test_backends_give_the_same(estimator, backend, three):
    X, y = three
    alone = clone(estimator).fit(X, y).coef_
    with joblib.parallel_backend(backend, n_jobs=2):
        found = joblib.Parallel()(joblib.delayed(_coefficients)(estimator, X, y) for _ in range(2))
    for coef in found:
        assert coef == pytest.approx(alone, rel=1e-9)


def _coefficients(estimator, X, y):
    return clone(estimator).fit(X, y).coef_
