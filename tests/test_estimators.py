"""What a user of the estimators sees: attributes, dtypes, storage, errors, warm start."""

import pickle
import tracemalloc
import warnings

import numpy as np
import pytest
from minibatch import BOTH, both
from naive import objective
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from sklearn_lossopt import LinearSVMClassifier, SoftmaxClassifier, losses
from sklearn_lossopt.penalties import ElasticNet
from sklearn_lossopt.schedules import (
    Cosine,
    Exponential,
    Inverse,
    Plateau,
    Restarts,
    Step,
)
from sklearn_lossopt.solvers import Adagrad, Adam, Momentum, RMSProp

SPARSE_CASES = [
    (SoftmaxClassifier, {"solver": solver}) for solver in ("sdca", "newton", "momentum", "adam")
] + [(LinearSVMClassifier, {"solver": solver}) for solver in ("sdca", "interior_point", "sgd")]


@pytest.mark.parametrize(("estimator", "params"), SPARSE_CASES)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_sparse_rows_leave_the_coefficients_of_a_feature_side_by_side(estimator, params, n_classes, three):
    # `X @ coef_.T` copies all coefficients otherwise, even to predict a single row.
    X, y = three[0], three[1] % n_classes
    model = estimator(**params, random_state=0).fit(sparse.csr_array(X), y)
    assert model.coef_.shape == (n_classes if n_classes > 2 else 1, X.shape[1])
    assert model.coef_.T.flags.c_contiguous
    assert model.coef_.flags.writeable
    again = pickle.loads(pickle.dumps(model))
    assert again.coef_.T.flags.c_contiguous
    model.set_params(solver="momentum").partial_fit(sparse.csr_array(X), y)
    assert model.coef_.T.flags.c_contiguous


@both
def test_fitted_attributes(estimator, three):
    X, y = three
    model = clone(estimator).set_params(max_iter=30, tol=None).fit(X, y)
    assert model.coef_.shape == (3, 64)
    assert model.coef_.flags.c_contiguous
    assert model.intercept_.shape == (3,)
    assert list(model.classes_) == [0, 1, 2]
    assert model.n_features_in_ == 64
    assert model.n_iter_ == len(model.loss_curve_) <= 30
    assert model.t_ == model.n_iter_ * -(-len(y) // 128)
    assert model.learning_rate_ > 0
    assert model.solver_ == "momentum"
    assert 1 <= model.best_iter_ <= model.n_iter_
    assert model.loss_curve_[model.best_iter_ - 1] == min(model.loss_curve_)
    assert isinstance(model.converged_, bool)
    assert not hasattr(model, "validation_scores_")
    assert hasattr(model, "temperature_") == isinstance(model, LinearSVMClassifier)


@both
def test_two_classes_are_one_row(estimator, breast_cancer):
    X, y = breast_cancer
    model = clone(estimator).fit(X, y)
    assert model.coef_.shape == (1, 30)
    assert model.decision_function(X).shape == (len(y),)
    assert model.predict_proba(X).shape == (len(y), 2)
    assert model.score(X, y) > 0.97
    for multi_class in ("crammer_singer", "ovr"):
        if isinstance(estimator, LinearSVMClassifier):
            other = clone(estimator).set_params(multi_class=multi_class).fit(X, y)
            assert (other.coef_ == model.coef_).all()


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
@pytest.mark.parametrize("multi_class", ["weston_watkins", "crammer_singer", "ovr"])
@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array, sparse.csc_matrix])
def test_every_svm_loss_learns(loss, multi_class, storage, digits):
    X, y = digits
    model = LinearSVMClassifier(
        loss=loss, multi_class=multi_class, solver="momentum", max_iter=20, random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(storage(X), y)
    assert model.score(storage(X), y) > 0.95
    truth = {
        "weston_watkins": losses.WestonWatkins,
        "crammer_singer": losses.CrammerSinger,
        "ovr": losses.OneVsRest,
    }[multi_class](squared=loss == "squared_hinge")
    expected = objective(truth, X, y, model.coef_, model.intercept_, ElasticNet(1e-4))
    assert model.loss_curve_[model.best_iter_ - 1] == pytest.approx(expected)


@both
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_kept(estimator, dtype, three):
    X, y = three
    for rows in (X.astype(dtype), sparse.csr_array(X.astype(dtype))):
        model = clone(estimator).set_params(max_iter=5, tol=None).fit(rows, y)
        for result in (
            model.coef_,
            model.intercept_,
            model.decision_function(rows),
            model.predict_proba(rows),
        ):
            assert result.dtype == dtype


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [(np.uint8, np.float32), (np.int16, np.float32), (bool, np.float32), (np.int64, np.float64)],
)
def test_integers_become_the_smallest_exact_float(dtype, expected, three):
    X, y = three
    model = SoftmaxClassifier(max_iter=2, tol=None).fit((16 * X).astype(dtype), y)
    assert model.coef_.dtype == expected


@both
def test_same_seed_same_bits_and_x_unchanged(estimator, three):
    X, y = three
    for rows in (X.copy(), sparse.csr_array(X)):
        before = rows.copy()
        a, b = (clone(estimator).set_params(max_iter=5, tol=None).fit(rows, y) for _ in range(2))
        assert (a.coef_ == b.coef_).all()
        assert (a.intercept_ == b.intercept_).all()
        assert abs(rows - before).max() == 0
        other = clone(estimator).set_params(max_iter=5, tol=None, random_state=1).fit(rows, y)
        assert (a.coef_ != other.coef_).any()


def test_csr_with_duplicates_and_wide_indices(three):
    X, y = three
    csr = sparse.csr_array(X)
    data = np.repeat(csr.data / 2, 2)
    twice = sparse.csr_array((data, np.repeat(csr.indices, 2), 2 * csr.indptr), shape=csr.shape)
    wide = sparse.csr_array(
        (csr.data, csr.indices.astype(np.int64), csr.indptr.astype(np.int64)), shape=csr.shape
    )
    expected = SoftmaxClassifier(max_iter=3, tol=None, random_state=0).fit(csr, y).coef_
    for rows in (twice, wide):
        assert SoftmaxClassifier(max_iter=3, tol=None, random_state=0).fit(rows, y).coef_ == pytest.approx(
            expected
        )
    assert twice.nnz == 2 * csr.nnz


@pytest.mark.parametrize("estimator", [*BOTH, *(clone(e).set_params(solver="sdca") for e in BOTH)], ids=str)
@pytest.mark.parametrize("early_stopping", [False, True])
def test_rows_are_not_copied(estimator, early_stopping):
    X = np.random.default_rng(0).normal(size=(20_000, 200)).astype(np.float32)
    y = np.arange(len(X)) % 3
    model = clone(estimator).set_params(max_iter=2, tol=None, early_stopping=early_stopping)
    model.fit(X, y)  # compiling has a memory of its own
    tracemalloc.start()
    try:
        model.fit(X, y)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 0.2 * X.nbytes  # 3 dual variables a row are 0.015 of it


@pytest.mark.parametrize(
    ("parameter", "value", "allowed"),
    [
        ("alpha", -1.0, r"\[0.0, inf\)"),
        ("l1_ratio", 1.5, r"\[0.0, 1.0\]"),
        ("solver", "lbfgs", "'adam'"),
        ("learning_rate", 0.0, r"\(0.0, inf\)"),
        ("learning_rate", "fast", "'auto'"),
        ("schedule", "linear", "'cosine'"),
        ("batch_size", 0, r"\[1, inf\)"),
        ("max_iter", 0, r"\[1, inf\)"),
        ("tol", -1e-3, r"\[0.0, inf\)"),
        ("n_iter_no_change", 0, r"\[1, inf\)"),
        ("early_stopping", "yes", "'auto'"),
        ("validation_fraction", 1.0, r"\(0.0, 1.0\)"),
        ("class_weight", "heavy", "'balanced'"),
    ],
)
@both
def test_wrong_parameters_are_named(estimator, parameter, value, allowed, three):
    with pytest.raises(ValueError, match=rf"'{parameter}' parameter of .*{allowed}.*Got {value!r}"):
        clone(estimator).set_params(**{parameter: value}).fit(*three)


@pytest.mark.parametrize(
    ("parameter", "value"), [("loss", "log"), ("multi_class", "ovo"), ("calibration", "sigmoid")]
)
def test_wrong_svm_parameters_are_named(parameter, value, three):
    with pytest.raises(ValueError, match=rf"'{parameter}' parameter of LinearSVMClassifier.*Got {value!r}"):
        LinearSVMClassifier(**{parameter: value}).fit(*three)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"solver": Momentum(momentum=1.0)}, r"Momentum: momentum must be a float in \[0, 1\). Got 1.0"),
        ({"solver": Adam(beta_2=-0.1)}, r"Adam: beta_2 must be a float in \[0, 1\). Got -0.1"),
        ({"solver": Adam(epsilon=0)}, "Adam: epsilon must be"),
        ({"schedule": Cosine}, "schedule must be an object, not the class itself"),
        ({"schedule": Exponential(1.5)}, r"Exponential: decay must be in \(0, 1\]"),
        ({"schedule": lambda epoch: -1.0}, "schedule must give a finite factor >= 0"),
        ({"schedule": Cosine(0)}, "period must be at least 1"),
        ({"schedule": Step(0.0)}, r"Step: factor must be in \(0, 1\]"),
        ({"schedule": Step(every=0)}, "Step: every must be at least 1"),
        ({"schedule": Inverse(-1.0)}, "Inverse: decay must be finite and >= 0"),
        ({"schedule": Restarts(growth=0.5)}, "Restarts: growth must be finite and >= 1"),
        ({"schedule": Plateau(smallest=2.0)}, r"Plateau: smallest must be in \(0, 1\]"),
        ({"schedule": Plateau(factor=2.0)}, r"Plateau: factor must be in \(0, 1\]"),
        ({"average": True, "l1_ratio": 0.5}, "average=True does not go with an L1 penalty"),
        ({"solver": Adagrad(epsilon=0.0)}, r"Adagrad: epsilon must be a float in \(0, inf\)"),
        ({"solver": RMSProp(rho=1.0)}, r"RMSProp: rho must be a float in \[0, 1\)"),
    ],
)
def test_wrong_constants_are_named(parameters, message, three):
    with pytest.raises(ValueError, match=message):
        SoftmaxClassifier(learning_rate=0.1, **parameters).fit(*three)


@both
def test_data_errors_say_what_to_do(estimator, three):
    X, y = three
    estimator = clone(estimator)
    with pytest.raises(ValueError, match=r"argmax\(axis=1\)"):
        estimator.fit(X, np.eye(3)[y])
    with pytest.raises(ValueError, match=r"argmax\(axis=1\)"):
        estimator.fit(X, np.eye(3)[y].tolist())
    with pytest.raises(ValueError, match="1 class"):
        estimator.fit(X, np.zeros(len(y)))
    with pytest.raises(ValueError, match="Unknown label type"):
        estimator.fit(X, np.linspace(0, 1, len(y)))
    with pytest.raises(ValueError, match="Negative values in data passed to `sample_weight`"):
        estimator.fit(X, y, -np.ones(len(y)))
    with pytest.raises(ValueError, match="sample_weight is zero for all rows"):
        estimator.fit(X, y, np.zeros(len(y)))
    with pytest.raises(ValueError, match="NaN"):
        estimator.fit(X, y, np.full(len(y), np.nan))
    with pytest.raises(ValueError, match=r"sample_weight.shape == \(3,\)"):
        estimator.fit(X, y, np.ones(3))
    with pytest.raises(ValueError, match="names none of the classes"):
        clone(estimator).set_params(class_weight={"0": 2}).fit(X, y)
    with pytest.raises(ValueError, match="finite weights >= 0"):
        clone(estimator).set_params(class_weight={0: -2}).fit(X, y)
    assert not hasattr(estimator, "coef_")


@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@both
def test_refuses_what_is_not_finite(estimator, value, storage, three):
    X, y = three
    for row in (0, len(y) - 1):
        bad = X.copy()
        bad[row, 5] = value
        weight = np.arange(len(y)) != row  # rows without weight must be finite too
        for chosen in ("auto", "momentum"):
            model = clone(estimator).set_params(solver=chosen, max_iter=2)
            for sample_weight in (None, weight):
                with warnings.catch_warnings():
                    warnings.simplefilter("error")
                    with pytest.raises(ValueError, match=r"Input X contains (NaN|infinity)"):
                        model.fit(storage(bad), y, sample_weight)
    assert not hasattr(model, "coef_")
    assert not hasattr(model, "n_features_in_")


@both
def test_a_fit_that_fails_leaves_the_model_as_it_was(estimator, three):
    X, y = three
    model = clone(estimator).set_params(max_iter=2, tol=None).fit(X, y)
    expected = model.predict(X)
    wider = np.hstack([X, np.full((len(y), 1), np.nan)])
    fewer = X[:, :-2]
    for bad, labels, more in (
        (wider, y, {}),
        (fewer, np.zeros(len(y)), {}),
        (fewer, y, {"X_val": fewer}),
        (fewer, y, {"X_val": X, "y_val": y}),
        (fewer[:3], [0, 1, 2], {}),
    ):
        model.set_params(early_stopping=not more or "auto")
        with pytest.raises(ValueError, match=r"NaN|1 class|without y_val|features|no rows to hold out"):
            model.fit(bad, labels, **more)
        assert model.n_features_in_ == X.shape[1]
        assert (model.predict(X) == expected).all()


@both
def test_values_whose_squares_overflow_are_finite(estimator, three):
    X, y = three[0].astype(float), three[1]
    X[7, 5] = 1e200
    model = clone(estimator).set_params(solver="auto", max_iter=2)
    with pytest.warns(ConvergenceWarning, match="too large or too small"):
        assert np.isfinite(model.fit(X, y).coef_).all()


@both
def test_warm_start_goes_on(estimator, digits):
    X, y = digits
    model = clone(estimator).set_params(warm_start=True, learning_rate=0.02, max_iter=5, tol=None).fit(X, y)
    first, steps = model.loss_curve_[-1], model.t_
    model.fit(X, y)
    assert model.loss_curve_[0] < first * 1.05
    assert model.t_ == 2 * steps
    with pytest.raises(ValueError, match="needs the classes of the earlier fit"):
        model.fit(X, y % 5)
    with pytest.raises(ValueError, match="63 features"):
        model.fit(X[:, 1:], y)
    cold = clone(model).set_params(warm_start=False).fit(X, y)
    assert cold.fit(X[:, 1:], y % 5).coef_.shape == (5, 63)


@both
def test_sparsify_and_densify(estimator, three):
    X, y = three
    model = clone(estimator).set_params(l1_ratio=1.0, alpha=1e-2, max_iter=200).fit(X, y)
    expected = model.predict_proba(X)
    zeros = (model.coef_ == 0).mean()
    assert zeros > 0.2
    model.sparsify()
    assert sparse.issparse(model.coef_)
    assert model.predict_proba(X) == pytest.approx(expected)
    assert isinstance(model.densify().coef_, np.ndarray)
