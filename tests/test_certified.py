"""The certified solvers behind the estimators: what is picked, when it stops, what it says."""

import contextlib

import numpy as np
import pytest
from naive import objective
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from test_certificate import public_loss

from sklearn_lossopt import LinearSVMClassifier, SoftmaxClassifier
from sklearn_lossopt.penalties import ElasticNet
from sklearn_lossopt.solvers import Newton, dual

SVMS = [
    LinearSVMClassifier(loss=loss, multi_class=multi_class, calibration=None, random_state=0)
    for loss in ("hinge", "squared_hinge")
    for multi_class in ("weston_watkins", "crammer_singer", "ovr")
]
ALL = [SoftmaxClassifier(random_state=0), *SVMS]
each = pytest.mark.parametrize("estimator", ALL, ids=str)


@each
@pytest.mark.parametrize("alpha", [1e-4, 1e-2])
@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])
def test_defaults_end_at_a_certified_optimum(estimator, alpha, storage, digits, breast_cancer):
    for X, y in (digits, breast_cancer):
        rows = storage(X[:600])
        model = clone(estimator).set_params(alpha=alpha).fit(rows, y[:600])
        here = objective(
            public_loss(model), X[:600], y[:600], model.coef_, model.intercept_, ElasticNet(alpha)
        )
        zero = {"SoftmaxClassifier": np.log(len(model.classes_))}.get(type(model).__name__, 1.0)
        assert model.converged_
        assert model.solver_ in ("sdca", "newton", "interior_point")
        assert 0 <= model.dual_gap_ <= 1e-4 * max(here, 1e-3 * zero * 10)
        assert model.loss_curve_[-1] == pytest.approx(here)
        assert len(model.loss_curve_) == len(model.dual_gap_curve_) == len(model.loss_curve_iter_)
        assert model.loss_curve_iter_[-1] == model.n_iter_
        assert not hasattr(model, "learning_rate_")


@each
def test_solvers_agree(estimator, breast_cancer, digits):
    for X, y in ((breast_cancer[0], breast_cancer[1]), (digits[0][:500], digits[1][:500])):
        found = {}
        for name in ("sdca", "newton", "interior_point"):
            model = clone(estimator).set_params(alpha=1e-2, solver=name, tol=1e-5, max_iter=5000)
            with contextlib.suppress(ValueError):  # not for this loss
                assert model.fit(X, y).converged_
            if not hasattr(model, "coef_"):
                continue
            found[name] = model.loss_curve_[-1], model.dual_gap_
        assert len(found) >= 2
        for value, _ in found.values():
            for other, gap in found.values():
                assert other - value <= gap


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize(
    "estimator",
    [SoftmaxClassifier(), LinearSVMClassifier(loss="squared_hinge", multi_class="ovr", calibration=None)],
    ids=["logistic", "squared"],
)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_newton_of_sparse_rows_is_that_of_dense_ones(estimator, n_classes, fit_intercept):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 12)) * (rng.random((300, 12)) < 0.3) * 10.0 ** rng.integers(-2, 3, 12)
    X[:, 3] = 0
    y = rng.integers(0, n_classes, 300)
    weight = rng.integers(0, 3, 300)
    model = clone(estimator).set_params(solver="newton", tol=1e-9, fit_intercept=fit_intercept)
    dense = clone(model).fit(X, y, weight)
    shuffled = sparse.csr_array(X)  # the entries of each row from right to left
    for i in range(300):
        part = slice(shuffled.indptr[i], shuffled.indptr[i + 1])
        shuffled.data[part], shuffled.indices[part] = shuffled.data[part][::-1], shuffled.indices[part][::-1]
    shuffled.has_sorted_indices = False
    found = clone(model).fit(shuffled, y, weight)
    assert found.coef_ == pytest.approx(dense.coef_, rel=1e-6, abs=1e-9)
    assert found.intercept_ == pytest.approx(dense.intercept_, rel=1e-6, abs=1e-9)
    assert found.dual_gap_ <= 1e-9 * found.loss_curve_[-1]


def test_many_weston_watkins_hinges_are_certified():
    # Rows that hardly overlap, 60 classes: a row step that is not exact never gets a bound above 0 here.
    rng = np.random.default_rng(0)
    y = np.arange(1200) % 60
    X = sparse.random_array((1200, 600), density=0.01, rng=rng, format="lil")
    X[np.arange(1200), 5 * y + rng.integers(0, 5, 1200)] = 1.0
    model = LinearSVMClassifier(alpha=1e-3, calibration=None, random_state=0).fit(sparse.csr_array(X), y)
    assert model.solver_ == "sdca"
    assert model.converged_
    assert model.dual_gap_ <= 1e-4 * model.loss_curve_[-1]


def test_ignored_parameters_are_named(digits):
    X, y = digits
    model = SoftmaxClassifier(solver="sdca", alpha=1.0, learning_rate=0.1, batch_size=8)
    with pytest.warns(UserWarning, match="solver='sdca' ignores learning_rate, batch_size"):
        model.fit(X, y)
    assert model.converged_


@pytest.mark.parametrize("solver", ["sdca", "newton", "interior_point", Newton()])
def test_certified_solvers_take_no_streams(solver, digits):
    X, y = digits
    with pytest.raises(ValueError, match="needs all rows at once"):
        SoftmaxClassifier(solver=solver).partial_fit(X, y, classes=np.unique(y))


def test_a_stream_goes_on_from_a_certified_fit(digits):
    X, y = digits
    model = SoftmaxClassifier(alpha=1e-2, random_state=0).fit(X[:1000], y[:1000])
    before = model.coef_.copy()
    model.partial_fit(X[1000:], y[1000:])
    assert model.solver_ == "momentum"
    assert not hasattr(model, "dual_gap_")
    assert np.abs(model.coef_ - before).max() > 0
    assert np.abs(model.coef_ - before).max() < np.abs(before).max()


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (SoftmaxClassifier(solver="newton", l1_ratio=0.5), "needs a smooth loss and no L1"),
        (LinearSVMClassifier(solver="newton"), "needs a smooth loss and no L1"),
        (SoftmaxClassifier(solver="interior_point"), "needs a hinge loss"),
        (LinearSVMClassifier(solver="interior_point", l1_ratio=0.5), "needs a hinge loss"),
    ],
)
def test_solvers_refuse_what_they_cannot_do(estimator, message, digits):
    with pytest.raises(ValueError, match=message):
        estimator.fit(*digits)


def test_what_cannot_be_certified_says_why(breast_cancer):
    X, y = breast_cancer
    model = SoftmaxClassifier(alpha=0, solver="sdca", max_iter=5, random_state=0)
    with pytest.warns(ConvergenceWarning, match="alpha=0 no gap can be proven"):
        model.fit(X, y)
    assert not model.converged_
    assert model.dual_gap_ > 0.5 * model.loss_curve_[-1]
    model = SoftmaxClassifier(alpha=1e-6, solver="sdca", max_iter=2, random_state=0)
    with pytest.warns(ConvergenceWarning, match="duality gap of .* Raise max_iter, alpha or tol"):
        model.fit(X, y)
    assert not model.converged_


def test_tol_none_runs_to_the_end(digits):
    X, y = digits
    model = SoftmaxClassifier(alpha=1e-2, tol=None, solver="sdca", max_iter=37, random_state=0).fit(X, y)
    assert model.n_iter_ == 37
    assert model.loss_curve_iter_[-1] == 37


def test_early_stopping_with_a_certified_solver(digits):
    X, y = digits
    model = SoftmaxClassifier(solver="sdca", alpha=1e-6, early_stopping=True, max_iter=100, random_state=0)
    model.fit(X, y)
    assert len(model.validation_loss_curve_) == model.n_iter_
    assert model.best_iter_ == 1 + np.argmin(model.validation_loss_curve_)
    assert model.dual_gap_ > 0
    with_rows = SoftmaxClassifier(solver="sdca", alpha=1e-2, random_state=0)
    with_rows.fit(X[:900], y[:900], X_val=X[900:], y_val=y[900:])
    assert with_rows.validation_scores_[-1] > 0.85


def test_early_stopping_before_any_certificate_is_due_ends_with_one(breast_cancer):
    X, y = breast_cancer
    model = SoftmaxClassifier(solver="newton", tol=0.2, early_stopping=True, n_iter_no_change=1)
    model.set_params(random_state=0).fit(X, y)
    assert model.n_iter_ < 10
    assert model.loss_curve_iter_ == [model.n_iter_]
    assert len(model.loss_curve_) == len(model.dual_gap_curve_) == 1
    assert len(model.validation_loss_curve_) == model.n_iter_


@pytest.mark.parametrize("solver", ["sdca", "newton"])
def test_interruption_leaves_a_fitted_model(solver, digits, monkeypatch):
    from sklearn_lossopt.solvers import newton

    runner = {"sdca": dual.DualAscent, "newton": newton.NewtonSteps}[solver]
    original = runner.run_pass

    def interrupted(self, problem, state, factor):
        if state.n_steps >= (4 * len(problem.index) if solver == "sdca" else 4):
            raise KeyboardInterrupt
        original(self, problem, state, factor)

    monkeypatch.setattr(runner, "run_pass", interrupted)
    X, y = digits
    model = SoftmaxClassifier(solver=solver, random_state=0)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    assert model.score(X, y) > 0.8
    assert model.dual_gap_ > 0
    assert not model.converged_


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_rare_class_has_its_intercept_soon(n_classes):
    n_rows = 100_000
    X = np.random.default_rng(0).standard_normal((n_rows, 2))
    y = np.where(np.arange(n_rows) < n_classes - 1, np.arange(n_rows) + 1, 0)  # a row of each but one
    model = SoftmaxClassifier(alpha=1.0, solver="sdca", random_state=0).fit(X, y)
    assert model.converged_
    assert model.n_iter_ <= 25  # 42 to 52 where the intercept's scale does not know of the share


def test_verbose_names_the_gap(digits, caplog):
    SoftmaxClassifier(alpha=1e-2, solver="sdca", verbose=1, random_state=0).fit(*digits)
    lines = caplog.messages
    assert all(line.endswith(" s") for line in lines)
    measured = [line for line in lines if "not measured" not in line]
    assert 0 < len(measured) < len(lines)
    assert all("objective" in line and "gap" in line for line in measured)


@pytest.mark.parametrize("solver", ["sdca", "auto"])
@pytest.mark.parametrize("estimator", [SoftmaxClassifier(), LinearSVMClassifier()], ids=["softmax", "svm"])
def test_same_seed_same_bits(estimator, solver, digits):
    X, y = digits
    for rows in (X, X.astype(np.float32), sparse.csr_array(X)):
        a, b = (
            clone(estimator).set_params(alpha=1e-2, solver=solver, max_iter=1000, random_state=3).fit(rows, y)
            for _ in range(2)
        )
        assert (a.coef_ == b.coef_).all()
        assert (a.intercept_ == b.intercept_).all()
        assert a.dual_gap_ == b.dual_gap_


def test_weights_are_repetitions_and_scale_does_not_matter(digits):
    X, y = digits
    weight = np.arange(len(y)) % 3
    for estimator in (
        SoftmaxClassifier(solver="newton"),
        LinearSVMClassifier(solver="newton", loss="squared_hinge", multi_class="ovr", calibration=None),
    ):
        estimator.set_params(alpha=1e-3)
        weighted = clone(estimator).fit(X, y, weight)
        repeated = clone(estimator).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
        assert weighted.coef_ == pytest.approx(repeated.coef_, abs=1e-8)
        assert clone(estimator).fit(X, y, 7.0 * weight).coef_ == pytest.approx(weighted.coef_, abs=1e-9)
    for estimator in ALL:
        model = clone(estimator).set_params(alpha=1e-2, solver="sdca", tol=1e-4, max_iter=3000)
        weighted = clone(model).fit(X, y, weight)
        repeated = clone(model).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
        best = max(weighted.loss_curve_[-1], repeated.loss_curve_[-1])
        assert abs(weighted.loss_curve_[-1] - repeated.loss_curve_[-1]) <= 1e-4 * best


def test_float32_keeps_its_type_and_certifies(digits):
    X, y = digits
    for solver in ("sdca", "newton"):
        model = SoftmaxClassifier(alpha=1e-3, solver=solver, tol=1e-5, max_iter=1000, random_state=0)
        model.fit(X.astype(np.float32), y)
        assert model.coef_.dtype == model.intercept_.dtype == np.float32
        assert model.converged_


def test_newton_goes_on_to_rounding_on_small_data_alone(breast_cancer):
    X, y = breast_cancer
    model = SoftmaxClassifier(alpha=1e-2, solver="newton")
    small = clone(model).fit(X, y)
    assert small.dual_gap_ <= 1e-11
    assert small.loss_curve_iter_ == [small.n_iter_]  # so it is certified once
    rows = np.tile(np.arange(len(y)), 40)
    large = clone(model).fit(X[rows], y[rows])
    assert large.converged_
    assert large.n_iter_ < small.n_iter_
    assert large.loss_curve_[-1] == pytest.approx(small.loss_curve_[-1], rel=1e-4)


class TestFoundInReview:
    """Defects that a second reading found, each with the input that showed it."""

    @pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
    @pytest.mark.filterwarnings("ignore::RuntimeWarning")
    @pytest.mark.parametrize("solver", ["auto", "sdca", "newton"])
    @pytest.mark.parametrize("size", [1e160, 1e-160, 1e-170])
    @pytest.mark.parametrize("alpha", [0, 1e-4])
    def test_absurd_scales_give_finite_models(self, solver, size, alpha, digits):
        X, y = digits[0][:100], digits[1][:100]
        model = SoftmaxClassifier(alpha=alpha, solver=solver, max_iter=20, random_state=0).fit(size * X, y)
        assert np.isfinite(model.coef_).all()
        assert not np.isnan(model.dual_gap_)

    @pytest.mark.parametrize("estimator", SVMS, ids=str)
    def test_interior_point_with_unequal_weights(self, estimator, digits):
        X, y = digits[0][:300], digits[1][:300]
        estimator = clone(estimator).set_params(solver="interior_point", alpha=1e-3, max_iter=60)
        for weight in (np.where(y == 0, 1e4, 1.0), 10.0 ** np.random.default_rng(0).uniform(0, 6, 300)):
            assert estimator.fit(X, y, weight).converged_

    def test_starts_whose_coefficients_do_not_sum_to_zero(self, digits):
        X, y = digits
        model = SoftmaxClassifier(alpha=1e-2, solver="newton", warm_start=True).fit(X, y)
        cold = model.n_iter_
        model.coef_ = model.coef_ + 5.0
        assert model.fit(X, y).n_iter_ <= 2 * cold

    def test_rare_classes_do_not_loosen_the_bound(self):
        rng = np.random.default_rng(0)
        y = np.r_[rng.integers(0, 3, 3000), 3, 3, 3]
        X = rng.normal(size=(len(y), 20)) + y[:, None] * 0.3
        model = SoftmaxClassifier(alpha=1e-4, solver="sdca", random_state=0).fit(X, y)
        assert model.converged_
        assert model.n_iter_ <= 25

    def test_a_proven_gap_counts_wherever_newton_stands(self, breast_cancer):
        model = SoftmaxClassifier(alpha=1e-2, solver="newton", max_iter=6).fit(*breast_cancer)
        assert model.converged_

    def test_early_stopping_is_not_convergence(self, digits):
        X, y = digits
        model = SoftmaxClassifier(
            alpha=1e-6, solver="sdca", early_stopping=True, n_iter_no_change=1, random_state=0
        ).fit(X, y)
        assert model.n_iter_ < 200
        assert not model.converged_

    def test_weights_that_the_dtype_makes_zero_of_are_absent(self, digits):
        X, y = digits[0].astype(np.float32), digits[1]
        weight = np.where(y == 9, 1e-60, 1.0)
        model = SoftmaxClassifier(alpha=1e-2, random_state=0).fit(X, y, weight)
        assert model.converged_


@pytest.mark.parametrize("n_rows", [2, 3, 30, 31])
@pytest.mark.parametrize(
    "estimator",
    [
        SoftmaxClassifier(),
        LinearSVMClassifier(calibration=None),
        LinearSVMClassifier(calibration=None, multi_class="crammer_singer", loss="squared_hinge"),
        LinearSVMClassifier(calibration=None, multi_class="ovr"),
    ],
    ids=["softmax", "weston_watkins", "crammer_singer_squared", "ovr"],
)
def test_pairs_of_dense_rows_step_as_sparse_rows_one_by_one(estimator, n_rows):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(n_rows, 11)), np.arange(n_rows) % min(7, n_rows)
    estimator = clone(estimator).set_params(
        solver="sdca", alpha=1e-2, fit_intercept=False, max_iter=3, tol=None, random_state=0
    )
    expected = clone(estimator).fit(sparse.csr_array(X), y).coef_
    assert estimator.fit(X, y).coef_ == pytest.approx(expected, rel=1e-9, abs=1e-11)
