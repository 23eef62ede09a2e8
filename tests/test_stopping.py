"""When minibatch fits end: validation rows, `tol`, divergence, Ctrl-C; and what `verbose` tells meanwhile."""

import subprocess
import sys

import numpy as np
import pytest
from minibatch import both
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss

from sklearn_lossopt import LinearSVMClassifier, SoftmaxClassifier, training


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


@pytest.mark.parametrize(("solver", "most"), [("sdca", 1000), ("momentum", 200)])
def test_passes_where_max_iter_is_none(solver, most):
    X, y = np.random.default_rng(0).normal(size=(12, 2)), np.arange(12) % 2
    model = SoftmaxClassifier(solver=solver, tol=None, random_state=0)
    assert model.fit(X, y).n_iter_ == most
    given = SoftmaxClassifier(solver=solver, tol=None, random_state=0, max_iter=most)
    assert (model.coef_ == given.fit(X, y).coef_).all()  # so the rate's schedule ends there too


def test_warning_names_the_passes_where_max_iter_is_none(three):
    model = SoftmaxClassifier(solver="sgd", learning_rate=1e-3, tol=1e-12, random_state=0)
    with pytest.warns(ConvergenceWarning, match="max_iter=200 passes"):
        model.fit(*three)


def test_tol_stops_and_max_iter_warns(three):
    X, y = three
    model = SoftmaxClassifier(alpha=0.1, learning_rate=0.1, batch_size="full", random_state=0)
    assert model.fit(X, y).converged_
    assert model.n_iter_ < 200
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
