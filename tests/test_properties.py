"""Properties that hold for any data: finite weights, X left alone, order and duplication, wide ranges."""

import warnings

import numpy as np
from bad_tables import tables
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from sklearn_lossopt import LinearSVMClassifier, SoftmaxClassifier
from sklearn_lossopt._calibration import fit_temperature, log_probabilities
from sklearn_lossopt.penalties import ElasticNet

estimators = st.sampled_from(
    [
        SoftmaxClassifier(),
        SoftmaxClassifier(solver="adam", l1_ratio=0.5),
        SoftmaxClassifier(solver="sgd", learning_rate=10.0),
        SoftmaxClassifier(solver="nesterov", alpha=1e3, batch_size=3),
        LinearSVMClassifier(),
        LinearSVMClassifier(loss="squared_hinge", multi_class="ovr"),
        LinearSVMClassifier(multi_class="crammer_singer", alpha=0.0, batch_size="full"),
    ]
)


@settings(max_examples=100)
@given(table=tables(), estimator=estimators)
def test_any_fit_is_finite_repeatable_and_leaves_x_alone(table, estimator):
    X, y, is_sparse = table
    rows = sparse.csr_array(X) if is_sparse else X
    before = rows.copy()
    estimator.set_params(max_iter=8, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = estimator.fit(rows, y)
        coef = model.coef_.copy()
        model.fit(rows, y)
    assert np.isfinite(coef).all()
    assert np.isfinite(model.intercept_).all()
    assert (coef == model.coef_).all()
    assert coef.dtype == X.dtype
    assert abs(rows - before).max() == 0
    p = model.predict_proba(rows)
    assert np.isfinite(p).all()
    assert np.allclose(p.sum(axis=1), 1, atol=1e-5)
    assert set(model.predict(rows)) <= set(y)


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.floats(1e-3, 1e3),
    n_classes=st.integers(2, 5),
)
def test_temperature_is_a_minimum(seed, size, n_classes):
    rng = np.random.default_rng(seed)
    scores = size * rng.normal(size=(60, n_classes))
    target = (scores + 2 * size * rng.normal(size=scores.shape)).argmax(axis=1)
    weight = rng.random(60) + 0.1
    temperature = fit_temperature(scores, target, weight)
    assume(abs(np.log(temperature)) < 9.9)  # at the bounds there is no minimum

    def loss(t):
        return -(weight @ log_probabilities(scores / t)[np.arange(60), target])

    assert all(loss(temperature) <= loss(temperature * factor) + 1e-6 for factor in (0.5, 0.99, 1.01, 2.0))
    if n_classes == 2:  # one score is the difference of two
        assert np.isclose(
            fit_temperature(scores[:, 1] - scores[:, 0], target, weight), temperature, rtol=1e-3
        )


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=8),
    st.floats(0, 1e3),
    st.floats(0, 1),
    st.floats(0, 10),
)
def test_prox_shrinks_toward_zero_and_never_crosses_it(values, alpha, l1_ratio, step):
    coef = np.array(values)
    prox = ElasticNet(alpha, l1_ratio).prox(coef, step)
    assert (np.abs(prox) <= np.abs(coef)).all()
    assert (prox * coef >= 0).all()
