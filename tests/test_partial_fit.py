"""`partial_fit`: streams by chunks, what they remember and what they refuse."""

import numpy as np
import pytest
from minibatch import both, stream
from naive import objective
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss

from sklearn_lossopt import LinearSVMClassifier, SoftmaxClassifier, losses
from sklearn_lossopt.penalties import ElasticNet
from sklearn_lossopt.schedules import (
    Cosine,
    Plateau,
)


@pytest.mark.parametrize("chunk", [1, 4, 32, 1000])
@both
def test_stream_reaches_what_fit_reaches(estimator, chunk, digits):
    X, y = digits
    order = np.random.default_rng(0).permutation(len(y))[: 300 if chunk < 32 else None]  # calls take time
    X, y = X[order], y[order]
    class_weight = {3: 10.0, 8: 10.0}
    weight = np.where((y == 3) | (y == 8), 10.0, 1.0)
    loss = losses.CrossEntropy() if isinstance(estimator, SoftmaxClassifier) else losses.WestonWatkins()
    passes = 10 if isinstance(estimator, SoftmaxClassifier) else 30
    model = clone(estimator).set_params(alpha=1e-2, class_weight=class_weight, random_state=0)
    whole = clone(model).set_params(max_iter=passes, tol=None).fit(X, y)
    model = stream(model, X, y, chunk, passes)
    penalty = ElasticNet(1e-2)
    goal = objective(loss, X, y, whole.coef_, whole.intercept_, penalty, weight)
    assert objective(loss, X, y, model.coef_, model.intercept_, penalty, weight) <= 1.05 * goal
    assert model.t_ == passes * sum(-(-min(chunk, len(y) - s) // 128) for s in range(0, len(y), chunk))
    assert len(model.loss_curve_) == model.n_iter_ == 1
    if isinstance(model, LinearSVMClassifier):
        assert model.temperature_ != 1.0
        assert log_loss(y, model.predict_proba(X)) < 0.7


def test_stream_of_sparse_rows_and_changes_of_storage(digits):
    X, y = digits
    model = stream(SoftmaxClassifier(random_state=0), sparse.csr_array(X), y, 100, 3)
    assert model.score(X, y) > 0.9
    model.partial_fit(X, y)
    model.partial_fit(sparse.csr_array(X.astype(np.float32)), y)
    assert model.score(X, y) > 0.9
    assert np.isfinite(model.coef_).all()
    model.sparsify()
    assert model.partial_fit(sparse.csr_array(X), y).score(X, y) > 0.9


@both
def test_stream_errors(estimator, three):
    X, y = three
    model = clone(estimator)
    with pytest.raises(ValueError, match="classes must be passed on the first call to partial_fit"):
        model.partial_fit(X, y)
    with pytest.raises(ValueError, match="at least 2 classes"):
        model.partial_fit(X, y, classes=[1])
    with pytest.raises(ValueError, match=r"not among the classes: array\(\[2\]\)"):
        model.partial_fit(X, y, classes=[0, 1])
    model.partial_fit(X, y, classes=[0, 1, 2, 7])
    with pytest.raises(ValueError, match="is not the same as on the last call"):
        model.partial_fit(X, y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="63 features"):
        model.partial_fit(X[:, 1:], y)
    for parameters, message in [
        ({"class_weight": "balanced"}, "compute_class_weight"),
        ({"schedule": "cosine"}, "where training ends"),
        ({"schedule": Cosine()}, "where training ends"),
        ({"schedule": "restarts"}, "where training ends"),
        ({"schedule": Plateau()}, "or how it goes"),
    ]:
        with pytest.raises(ValueError, match=message):
            clone(estimator).set_params(**parameters).partial_fit(X, y, classes=[0, 1, 2])


@both
def test_stream_takes_unseen_classes_and_empty_weights(estimator, three):
    X, y = three
    model = clone(estimator).partial_fit(X[y < 2], y[y < 2], classes=[0, 1, 2])
    model.partial_fit(X, y)
    before = model.coef_.copy()
    model.partial_fit(X, y, sample_weight=np.zeros(len(y)))
    assert (model.coef_ == before).all()
    stream(model, X, y, 10, 5)
    assert model.score(X, y) > 0.95


def test_stream_goes_on_after_fit(three):
    X, y = three
    model = SoftmaxClassifier(random_state=0).fit(X, y)
    steps = model.t_
    model.partial_fit(X, y)
    assert model.t_ == steps + -(-len(y) // 128)
    assert model.score(X, y) > 0.99


@pytest.mark.parametrize("solver", ["sgd", "momentum", "nesterov", "adam"])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])
def test_stream_keeps_the_optimizers_memory(solver, l1_ratio, storage, three):
    X, y = three
    X, y = storage(X[:500]), y[:500]
    model = SoftmaxClassifier(
        solver=solver,
        l1_ratio=l1_ratio,
        learning_rate=0.02,
        batch_size=100,
        shuffle=False,
        tol=None,
        max_iter=1,
    )
    # One step a call. Sparse features catch up by counts of rows that a stream does not know yet.
    model.set_params(alpha=1e-2 if storage is np.asarray else 0.0)
    whole = clone(model).fit(X, y)
    chunked = stream(clone(model), X, y, 100, 1)
    assert chunked.t_ == whole.t_ == 5
    assert chunked.coef_ == pytest.approx(whole.coef_, rel=1e-9, abs=1e-12)
    assert chunked.intercept_ == pytest.approx(whole.intercept_, rel=1e-9, abs=1e-12)


def test_stream_may_change_its_solver(three):
    X, y = three
    model = SoftmaxClassifier(random_state=0, learning_rate=0.01)
    for solver in ("sgd", "adam", "momentum", "nesterov", "adam", "sgd"):
        before = None if solver == "sgd" else model.loss_curve_[-1]
        model.set_params(solver=solver)
        for _ in range(5):
            model.partial_fit(X, y, classes=[0, 1, 2])
        assert before is None or model.loss_curve_[-1] < before


def test_stream_recovers_from_divergence(three):
    X, y = three
    model = LinearSVMClassifier(loss="squared_hinge", random_state=0, calibration=None, learning_rate=1e9)
    with pytest.warns(ConvergenceWarning, match="diverged"):
        model.partial_fit(1e6 * X, y, classes=[0, 1, 2])
    model.set_params(learning_rate="auto")
    stream(model, X, y, 50, 10)
    assert model.score(X, y) > 0.95
