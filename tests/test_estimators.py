"""What a user of the estimators sees: parameters, attributes, errors, stopping, weights, streams."""

import subprocess
import sys
import tracemalloc
import warnings

import numpy as np
import pytest
from naive import objective
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import log_loss

from sklearn_lossopt import LinearSVMClassifier, SoftmaxClassifier, losses, training
from sklearn_lossopt._calibration import log_probabilities, probabilities
from sklearn_lossopt.penalties import ElasticNet
from sklearn_lossopt.schedules import (
    Annealed,
    Constant,
    Cosine,
    Exponential,
    Inverse,
    Plateau,
    Restarts,
    Step,
    fading,
)
from sklearn_lossopt.solvers import Adagrad, Adam, Momentum, RMSProp

# The minibatch contract; tests of the certified solvers are in test_certified.py.
BOTH = [
    SoftmaxClassifier(solver="momentum", random_state=0),
    LinearSVMClassifier(solver="momentum", random_state=0),
]
both = pytest.mark.parametrize("estimator", [clone(e) for e in BOTH], ids=["softmax", "svm"])


@pytest.fixture(scope="module")
def three(digits):
    """Three classes of the digits."""
    X, y = digits
    keep = y < 3
    return X[keep], y[keep]


# ------------------------------------------------------------------------------------ attributes


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


# ------------------------------------------------------------------------------------- parameters


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


def test_schedules():
    assert [Constant()(e) for e in (0, 9)] == [1, 1]
    assert Exponential(0.95)(3) == pytest.approx(0.95**3)
    assert [Cosine(10)(e) for e in (0, 5, 10, 20)] == pytest.approx([1, 0.5, 0, 0])
    with pytest.raises(ValueError, match="period is None"):
        Cosine()(0)
    assert [Step()(e) for e in (0, 9, 10, 25)] == [1, 1, 0.5, 0.25]
    assert [Inverse(0.5)(e) for e in (0, 2)] == [1, 0.5]
    assert [Restarts()(e) for e in (0, 5, 10, 20, 30, 50)] == pytest.approx([1, 0.5, 1, 0.5, 1, 0.5])
    annealed = Annealed(100)
    assert annealed(0) == 1
    before = annealed(11)
    assert annealed.hurry(10)
    assert annealed(11) == pytest.approx(before / 2)
    assert annealed(12) < annealed(11)
    assert not Annealed(10).hurry(9)
    assert fading(0) == 1 > fading(10**5) > fading(10**9) == 0.01


def test_plateau_waits_then_halves_and_ends_when_it_can_fall_no_more():
    plateau = Plateau(patience=2, smallest=0.2)
    first = plateau.bind(10)
    factors = []
    for value in (5.0, 4.0, 4.0, 4.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0):
        first.see(value)
        factors.append(first(0))
    assert factors == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.2, 0.2]
    assert first.hurry(0)  # the least rate has not had its chance yet
    first.see(3.0)
    assert not first.hurry(0)
    assert plateau.bind(10)(0) == 1  # what it saw belongs to one fit
    assert plateau.bind(10).hurry(0)


def test_plateau_goes_on_where_a_constant_rate_would_stop(three):
    X, y = three
    runs = {
        schedule: SoftmaxClassifier(
            solver="sgd", learning_rate=0.5, schedule=schedule, max_iter=300, batch_size=8, random_state=0
        ).fit(X, y)
        for schedule in ("constant", "plateau")
    }
    assert runs["plateau"].n_iter_ > runs["constant"].n_iter_
    assert min(runs["plateau"].loss_curve_) < min(runs["constant"].loss_curve_)
    assert runs["plateau"].converged_


@both
def test_average_calms_a_constant_rate(estimator, digits):
    X, y = digits
    parameters = {"solver": "sgd", "learning_rate": 2.0, "batch_size": 4, "max_iter": 20, "tol": None}
    plain, mean = (
        clone(estimator).set_params(**parameters, average=average).fit(X, y) for average in (False, True)
    )
    assert mean.loss_curve_[0] == plain.loss_curve_[0]  # from the second pass on
    assert mean.loss_curve_[-1] < plain.loss_curve_[-1]
    assert mean.loss_curve_[-1] == pytest.approx(min(mean.loss_curve_), rel=0.02)


@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("learning_rate", [0.01, "auto"])
def test_average_of_a_stream_is_that_of_all_its_steps(storage, learning_rate, three):
    X, y = three
    X = storage(X)
    model = SoftmaxClassifier(
        solver="sgd",
        learning_rate=learning_rate,
        schedule="constant",
        batch_size=10,
        average=1,
        shuffle=False,
    )
    plain = clone(model).set_params(average=False)
    seen = []
    for start in range(0, 120, 10):  # a step each
        for one in (model, plain):
            one.partial_fit(X[start : start + 10], y[start : start + 10], classes=[0, 1, 2])
        seen.append((plain.coef_.copy(), plain.intercept_.copy()))
    assert model.coef_ == pytest.approx(np.mean([c for c, _ in seen], axis=0), rel=1e-6, abs=1e-9)
    if learning_rate != "auto":  # else the averages of intercepts are of centered rows
        assert model.intercept_ == pytest.approx(np.mean([b for _, b in seen], axis=0), rel=1e-6, abs=1e-9)


def test_schedule_changes_the_steps(three):
    X, y = three
    curves = [
        SoftmaxClassifier(learning_rate=0.01, schedule=s, max_iter=5, tol=None, random_state=0)
        .fit(X, y)
        .loss_curve_
        for s in (
            "constant",
            "exponential",
            "inverse",
            "cosine",
            Step(0.5, 2),
            Restarts(2),
            lambda epoch: 0.0,
        )
    ]
    assert len({tuple(c) for c in curves}) == 7
    assert (
        curves[0]
        == SoftmaxClassifier(learning_rate=0.01, max_iter=5, tol=None, random_state=0).fit(X, y).loss_curve_
    )
    assert curves[-1] == pytest.approx([np.log(3)] * 5)


def test_float_rate_is_the_textbook_step(three):
    X, y = three
    model = SoftmaxClassifier(
        solver="sgd", learning_rate=0.5, alpha=0.1, batch_size="full", max_iter=2, tol=None
    )
    model.fit(X, y)
    coef, intercept = np.zeros((3, 64)), np.zeros(3)
    for _ in range(2):
        slopes = losses.CrossEntropy().mean_gradient(X @ coef.T + intercept, y)
        coef, intercept = coef - 0.5 * (slopes.T @ X + 0.1 * coef), intercept - 0.5 * slopes.sum(axis=0)
    assert model.coef_ == pytest.approx(coef)
    assert model.intercept_ == pytest.approx(intercept)
    assert model.learning_rate_ == 0.5


# ------------------------------------------------------------------------------------------ errors


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


@both
def test_validation_errors(estimator, three):
    X, y = three
    for arguments, message in [
        ({"X_val": X}, "X_val and y_val go together"),
        ({"sample_weight_val": y}, "without X_val"),
        ({"X_val": X, "y_val": y[:5]}, "has 5 labels"),
        ({"X_val": X, "y_val": y + 7}, "y_val has labels that y does not have"),
        ({"X_val": X[:, :5], "y_val": y}, "5 features"),
    ]:
        with pytest.raises(ValueError, match=message):
            clone(estimator).fit(X, y, **arguments)
    with pytest.raises(ValueError, match="early_stopping=False ignores it"):
        clone(estimator).set_params(early_stopping=False).fit(X, y, X_val=X, y_val=y)
    with pytest.raises(ValueError, match="no rows to hold out"):
        clone(estimator).set_params(early_stopping=True).fit(X[[0, 1, 2]], [0, 1, 2])


# ---------------------------------------------------------------------------------------- stopping


@both
def test_early_stopping_gives_the_best_weights_back(estimator, digits):
    X, y = digits
    rng = np.random.default_rng(0)
    noisy = np.where(rng.random(len(y)) < 0.2, rng.integers(0, 10, len(y)), y)
    train_rows, val_rows = slice(0, 300), slice(300, None)
    model = clone(estimator).set_params(alpha=0, learning_rate=0.5, max_iter=100, n_iter_no_change=3)
    model.fit(X[train_rows], noisy[train_rows], X_val=X[val_rows], y_val=noisy[val_rows])
    assert model.converged_
    assert model.n_iter_ < 100
    assert len(model.validation_loss_curve_) == len(model.validation_scores_) == model.n_iter_
    assert model.best_iter_ == np.argmin(model.validation_loss_curve_) + 1 < model.n_iter_
    assert model.validation_scores_[model.best_iter_ - 1] == pytest.approx(
        model.score(X[val_rows], noisy[val_rows])
    )
    if isinstance(model, SoftmaxClassifier):
        held = log_loss(noisy[val_rows], model.predict_proba(X[val_rows]))
        assert min(model.validation_loss_curve_) == pytest.approx(held)


@both
def test_early_stopping_holds_out_a_part(estimator, digits):
    X, y = digits
    model = (
        clone(estimator)
        .set_params(early_stopping=True, max_iter=20, tol=None, validation_fraction=0.25)
        .fit(X, y)
    )
    assert len(model.validation_scores_) == model.n_iter_
    assert model.t_ == model.n_iter_ * -(-np.ceil(0.75 * len(y)) // 128)


def test_validation_weights_count(three):
    X, y = three
    weight = np.where(y == 0, 5.0, 1.0)
    model = SoftmaxClassifier(max_iter=3, tol=None, random_state=0)
    model.fit(X, y, X_val=X, y_val=y, sample_weight_val=weight)
    weighted = log_loss(y, model.predict_proba(X), sample_weight=weight)
    assert model.validation_loss_curve_[model.best_iter_ - 1] == pytest.approx(weighted)
    assert weighted != pytest.approx(log_loss(y, model.predict_proba(X)), rel=1e-3)


def test_class_weights_count_in_validation_and_huge_weights_do_not_overflow(three):
    X, y = three
    heavy = np.where(y == 0, 5.0, 1.0)
    model = SoftmaxClassifier(max_iter=3, tol=None, random_state=0, class_weight={0: 5.0})
    curves = [
        clone(model).fit(X, y, X_val=X, y_val=y).validation_loss_curve_,
        clone(model)
        .set_params(class_weight=None)
        .fit(X, y, 1e307 * heavy, X_val=X, y_val=y, sample_weight_val=heavy)
        .validation_loss_curve_,
    ]
    assert curves[0] == pytest.approx(curves[1])


def test_tol_stops_and_max_iter_warns(three):
    X, y = three
    model = SoftmaxClassifier(alpha=0.1, learning_rate=0.1, batch_size="full", random_state=0)
    assert model.fit(X, y).converged_
    assert model.n_iter_ < model.max_iter
    drop = model.loss_curve_[-6] - model.loss_curve_[-1]
    assert drop <= 5 * model.tol * model.loss_curve_[-1]
    with pytest.warns(ConvergenceWarning, match="still improving by more than tol=0.0001 .* max_iter=3"):
        model.set_params(max_iter=3).fit(X, y)
    assert not model.converged_
    assert model.set_params(tol=None).fit(X, y).n_iter_ == 3  # no warning: it was told to


@pytest.mark.parametrize("loss", ["squared_hinge", "hinge"])
def test_divergence_keeps_the_best_weights_and_says_why(loss, digits):
    X, y = digits
    model = LinearSVMClassifier(loss=loss, learning_rate=1e6, calibration=None, max_iter=10, random_state=0)
    with pytest.warns(
        ConvergenceWarning, match=r"diverged .* learning_rate 1e\+06: .*StandardScaler"
    ) as caught:
        model.fit(1e6 * X, y)
    assert len(caught) == 1
    assert np.isfinite(model.coef_).all()
    assert not model.converged_
    assert model.predict(X).shape == y.shape


def test_divergence_after_good_passes_returns_to_them(digits):
    X, y = digits
    model = SoftmaxClassifier(
        learning_rate=0.1, schedule=lambda epoch: 1.0 if epoch < 5 else 1e30, max_iter=10, random_state=0
    )
    with pytest.warns(ConvergenceWarning, match="diverged"):
        model.fit(X, y)
    assert model.score(X, y) > 0.9
    assert model.best_iter_ == 5


@both
def test_ctrl_c_sets_the_attributes_and_goes_on_up(estimator, digits, monkeypatch):
    X, y = digits
    calls = []

    def interrupt(schedule, epoch):
        calls.append(epoch)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return 1.0

    monkeypatch.setattr(training, "_factor", interrupt)
    model = clone(estimator)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    assert model.n_iter_ == 3
    assert model.score(X, y) > 0.8
    assert not model.converged_


def test_rest_above_the_start_is_divergence(digits):
    X, y = digits
    model = SoftmaxClassifier(alpha=0.1, learning_rate=10.0, random_state=0)
    with pytest.warns(ConvergenceWarning, match="diverged"):
        model.fit(X, y)
    assert not model.converged_


def test_calibration_does_not_change_the_coefficients(three):
    X, y = three
    plain = LinearSVMClassifier(alpha=1e-2, calibration=None, random_state=0).fit(X, y)
    calibrated = LinearSVMClassifier(alpha=1e-2, random_state=0).fit(X, y)
    assert (plain.coef_ == calibrated.coef_).all()
    assert plain.loss_curve_ == calibrated.loss_curve_


def test_verbose_logs_a_line_a_pass(three, caplog):
    X, y = three
    SoftmaxClassifier(verbose=1, max_iter=3, tol=None, early_stopping=True).fit(X, y)
    lines = caplog.messages
    assert len(lines) == 3
    assert lines[2].startswith("SoftmaxClassifier pass 3: objective ")
    assert "held out: loss" in lines[2]


@pytest.mark.parametrize(
    ("setting", "n_printed", "n_logged"),
    [
        ("", 2, 0),
        ("logging.basicConfig(level=logging.INFO, stream=sys.stderr)", 0, 2),
        ("logging.basicConfig(level=logging.INFO, stream=sys.stderr); log.setLevel(logging.ERROR)", 0, 0),
        ("log.addHandler(logging.NullHandler())", 0, 0),
    ],
)
def test_verbose_prints_unless_logging_is_set_up(setting, n_printed, n_logged):
    code = f"""
import logging, sys
from sklearn_lossopt import SoftmaxClassifier
log = logging.getLogger("sklearn_lossopt")
{setting}
SoftmaxClassifier(solver="sgd", verbose=1, max_iter=2, tol=None).fit([[0.0], [1.0], [2.0]], [0, 1, 1])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.count("objective") == n_printed
    assert done.stderr.count("objective") == n_logged


# ----------------------------------------------------------------------------------------- weights

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


# ----------------------------------------------------------------------------- warm start, streams


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


def stream(estimator, X, y, chunk, passes, weight=None):
    for _ in range(passes):
        for start in range(0, X.shape[0], chunk):
            part = slice(start, start + chunk)
            estimator.partial_fit(
                X[part], y[part], classes=np.unique(y), sample_weight=None if weight is None else weight[part]
            )
    return estimator


@pytest.mark.parametrize("chunk", [1, 4, 32, 1000])
@both
def test_stream_reaches_what_fit_reaches(estimator, chunk, digits):
    X, y = digits
    order = np.random.default_rng(0).permutation(len(y))
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


def test_stream_schedule_counts_calls(three):
    X, y = three
    seen = []

    def schedule(epoch):
        seen.append(epoch)
        return 1.0

    stream(SoftmaxClassifier(learning_rate=0.01, schedule=schedule), X, y, 200, 2)
    assert seen == list(range(len(seen)))
    assert len(seen) == 6


# ----------------------------------------------------------------------------------- probabilities


@both
def test_probabilities(estimator, digits):
    X, y = digits
    model = clone(estimator).set_params(alpha=1e-3).fit(X, y)
    p = model.predict_proba(X)
    assert p.sum(axis=1) == pytest.approx(np.ones(len(y)))
    assert (model.classes_[p.argmax(axis=1)] == model.predict(X)).all()
    assert np.exp(model.predict_log_proba(X)) == pytest.approx(p)
    for size in (1e10, 1e150, 1e300):
        extreme = model.predict_proba(size * X)
        assert np.isfinite(extreme).all()
        assert (extreme.argmax(axis=1) == model.decision_function(size * X).argmax(axis=1)).all()


@both
def test_probabilities_of_two_classes(estimator, breast_cancer):
    X, y = breast_cancer
    model = clone(estimator).fit(X, y)
    p = model.predict_proba(X)
    scores = model.decision_function(X) / getattr(model, "temperature_", 1.0)
    assert p[:, 1] == pytest.approx(1 / (1 + np.exp(-scores)))
    assert (p.argmax(axis=1) == model.predict(X)).all()
    assert np.isfinite(model.predict_log_proba(1e300 * X)).all()


def test_no_calibration_no_probabilities(three):
    model = LinearSVMClassifier(alpha=1e-2, calibration=None, random_state=0).fit(*three)
    assert not hasattr(model, "predict_proba")
    assert not hasattr(model, "predict_log_proba")
    assert not hasattr(model, "temperature_")
    with pytest.raises(AttributeError, match="predict_proba"):
        model.predict_proba(three[0])


def test_temperature_from_validation_rows_minimizes_their_log_loss(digits):
    X, y = digits
    flip = np.random.default_rng(0).random(len(y)) < 0.1
    noisy = np.where(flip, (y + 1) % 10, y)
    model = LinearSVMClassifier(random_state=0, max_iter=30, tol=None)
    model.fit(X[:900], noisy[:900], X_val=X[900:], y_val=noisy[900:])
    best = log_loss(noisy[900:], model.predict_proba(X[900:]))
    for factor in (0.9, 1.1):
        other = clone(model)
        other.__dict__.update(model.__dict__, temperature_=factor * model.temperature_)
        assert log_loss(noisy[900:], other.predict_proba(X[900:])) > best


def test_rare_classes_are_never_held_out():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3))
    y = np.r_[np.zeros(20, int), np.ones(18, int), 2, 3]
    model = LinearSVMClassifier(random_state=0, early_stopping=True, max_iter=5, tol=None).fit(X, y)
    assert model.coef_.shape == (4, 3)
    one_row_each = LinearSVMClassifier(max_iter=5, tol=None).fit(X[:3], ["a", "b", "c"])
    assert one_row_each.temperature_ == 1.0
    assert np.isfinite(one_row_each.predict_proba(X)).all()


def test_separable_rows_give_no_certainty(three):
    X, y = three
    model = LinearSVMClassifier(alpha=1e-2, random_state=0).fit(X, y)
    assert 0.8 < model.predict_proba(X).max(axis=1).mean() < 1
    assert np.isfinite(np.log(model.predict_proba(X))).all()


def test_temperature_is_honest_on_warm_start_and_goes_with_calibration():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(150, 60)), np.arange(150) % 3  # labels that mean nothing
    model = LinearSVMClassifier(alpha=0, max_iter=60, tol=None, warm_start=True, random_state=0).fit(X, y)
    first = model.temperature_
    assert model.fit(X, y).temperature_ == pytest.approx(first)
    assert first > 10
    model.set_params(calibration=None).fit(X, y)
    assert not hasattr(model, "temperature_")
    with pytest.raises(NotFittedError, match="fitted with calibration=None"):
        model.set_params(calibration="temperature").predict_proba(X)


@pytest.mark.parametrize("temperature", [0.1, 1.0, 10.0])
def test_large_scores_do_not_tie(temperature):
    scores = np.array([[0.6e308, 1.2e308, 0], [2e307, 3e307, 0], [-np.inf, np.inf, 0]])
    p = np.exp(log_probabilities(scores, temperature))
    assert p == pytest.approx(np.eye(3)[[1, 1, 1]])
    assert np.isfinite(log_probabilities(scores, temperature)).all()
    assert np.exp(log_probabilities(scores[:, 1], temperature))[:, 1] == pytest.approx([1, 1, 1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("temperature", [0.1, 1.0, 10.0])
def test_probabilities_of_scores_of_any_size(temperature, dtype):
    rng = np.random.default_rng(0)
    largest = np.finfo(dtype).max
    accuracy = 1e-6 if dtype == np.float32 else 1e-13
    for size in (0.0, 1e-3, 1.0, 100.0, largest / 30, largest / 2):
        scores = (size * rng.uniform(-1, 1, size=(50, 4))).astype(dtype)
        for some in (scores, np.ascontiguousarray(scores[:, 0])):
            p = probabilities(some.copy(), temperature)
            assert p.dtype == dtype
            assert p == pytest.approx(np.exp(log_probabilities(some, temperature)), rel=1e-4, abs=accuracy)
            assert p.sum(axis=1) == pytest.approx(1, rel=10 * accuracy)
    assert probabilities(np.empty((0, 4), dtype), temperature).shape == (0, 4)


def test_classes_of_zero_class_weight_are_dropped(three):
    X, y = three
    model = SoftmaxClassifier(class_weight={0: 0.0}, max_iter=3, tol=None).fit(X, y)
    assert list(model.classes_) == [1, 2]
    with pytest.raises(ValueError, match=r"y has 1 class: \[2\]"):
        model.set_params(class_weight={0: 0.0, 1: 0.0}).fit(X, y)


@both
def test_sparsify_and_densify(estimator, three):
    X, y = three
    model = clone(estimator).set_params(l1_ratio=1.0, alpha=1e-2, max_iter=50).fit(X, y)
    expected = model.predict_proba(X)
    zeros = (model.coef_ == 0).mean()
    assert zeros > 0.2
    model.sparsify()
    assert sparse.issparse(model.coef_)
    assert model.predict_proba(X) == pytest.approx(expected)
    assert isinstance(model.densify().coef_, np.ndarray)
