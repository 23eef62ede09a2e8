"""What `solver="auto"` picks, when certificates are due, and when a relay hands over."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits, make_classification

from sklearn_lossopt import LinearSVMClassifier, SoftmaxClassifier
from sklearn_lossopt.solvers import SDCA, Momentum, Newton, choice
from sklearn_lossopt.solvers.certified import Due
from sklearn_lossopt.solvers.choice import choose
from sklearn_lossopt.solvers.newton import NewtonSteps
from sklearn_lossopt.solvers.relay import Relay, RelayRun, passes_expected


def test_what_auto_picks():
    X, y = make_classification(300, 8, n_informative=5, n_classes=3, random_state=0)
    assert SoftmaxClassifier().fit(X, y).solver_ == "newton"
    assert LinearSVMClassifier(calibration=None).fit(X, y).solver_ == "interior_point"
    squared_ovr = LinearSVMClassifier(loss="squared_hinge", multi_class="ovr", calibration=None)
    assert squared_ovr.fit(X, y).solver_ == "newton"
    assert SoftmaxClassifier(l1_ratio=0.5).fit(X, y).solver_ == "sdca"
    for parameters in ({"learning_rate": 0.1}, {"schedule": "cosine"}, {"batch_size": 32}, {"average": True}):
        model = SoftmaxClassifier(**parameters, max_iter=3, tol=None).fit(X, y)
        assert model.solver_ == "momentum"
        assert not hasattr(model, "dual_gap_")
        assert model.learning_rate_ > 0
    few_stored = sparse.random(20_000, 100, density=0.1, format="csr", random_state=0)
    labels = np.random.default_rng(0).integers(0, 2, 20_000)
    assert SoftmaxClassifier().fit(few_stored, labels).solver_ == "newton"
    wide = np.random.default_rng(0).normal(size=(400, 3000)).astype(np.float32)
    assert SoftmaxClassifier(alpha=1.0).fit(wide, np.arange(400) % 4).solver_ == "sdca"
    for solver in (SDCA(), Newton(), Momentum()):
        assert SoftmaxClassifier(solver=solver, tol=None, max_iter=3).fit(X, y).solver_ is solver


def test_tall_tables_of_few_features():
    """Newton's method visits the rows a few times; an interior point takes more than dual ascent may need."""
    X = np.random.default_rng(0).normal(size=(20_000, 30))
    y = np.arange(20_000) % 2
    for model, expected in (
        (SoftmaxClassifier(), "newton"),
        (LinearSVMClassifier(loss="squared_hinge", calibration=None), "newton"),
        (LinearSVMClassifier(calibration=None), Relay),
    ):
        chosen = choose(model._prepare(X, y, None)[0], 1e-4, 1000)
        assert chosen == expected or (isinstance(chosen, Relay) and expected is Relay)
    few, labels = X[:300], y[:300]
    assert choose(LinearSVMClassifier(calibration=None)._prepare(few, labels, None)[0], 1e-4, 1000) == (
        "interior_point"
    )


def test_head_starts():
    """As long as the second takes; how much longer depends on how sure that is."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20_000, 30)).astype(np.float32), rng.integers(0, 5, 20_000)
    for model, goes_on, hope in (
        (LinearSVMClassifier(calibration=None), 3, 1.5),
        (LinearSVMClassifier(loss="squared_hinge", multi_class="ovr", calibration=None), 2, 1.05),
        (SoftmaxClassifier(), 2, 1.05),
    ):
        problem = model._prepare(X, y, None)[0]
        relay = model._choose(problem)  # max_iter is None
        assert relay.most == pytest.approx(goes_on * relay.passes, abs=2)
        assert relay.hope == hope
        again = choose(problem, 1e-4, 1000)
        assert (again.passes, again.latest, again.most) == (relay.passes, relay.latest, relay.most)
    for max_iter in (60, 100):  # Newton's method needs its steps more than dual ascent more passes
        usual = round(relay.passes / 2.5)
        assert choose(problem, 1e-4, max_iter).passes <= max(usual, max_iter - 40)
    few = LinearSVMClassifier(calibration=None, max_iter=100)
    assert few._choose(few._prepare(X, y, None)[0]).most <= 100


@pytest.mark.parametrize(
    ("shape", "density", "loss", "is_relay"),
    [
        ((50_000, 20), 1.0, "squared_hinge", False),  # a Hessian of short rows is soon there
        ((2_000, 60), 1.0, "squared_hinge", False),  # and that of few rows
        ((30_000, 60), 1.0, "squared_hinge", True),  # most rows of longer ones pause in dual ascent
        ((30_000, 60), 1.0, "logistic", False),
        ((100_000, 100), 0.05, "squared_hinge", False),
        ((100_000, 100), 0.15, "squared_hinge", True),
        ((100_000, 100), 0.15, "logistic", False),
    ],
)
def test_two_classes_of_squared_hinge_begin_by_dual_ascent_where_rows_are_long(
    shape, density, loss, is_relay, monkeypatch
):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=shape).astype(np.float32), rng.integers(0, 2, shape[0])
    if density < 1:
        X[rng.random(shape) > density] = 0
        X = sparse.csr_array(X)
    model = SoftmaxClassifier() if loss == "logistic" else LinearSVMClassifier(loss=loss, calibration=None)
    problem = model._prepare(X, y, None)[0]
    chosen = choose(problem, 1e-4, 1000)
    assert isinstance(chosen, Relay) if is_relay else chosen == "newton"
    # The head start says nothing of what Newton's method takes: a tight gap is left to it as before.
    monkeypatch.setattr(choice, "LONG_TIME", {"newton": 0.0})
    assert choose(problem, 1e-7, 1) == "newton"


def test_auto_risks_no_minutes_for_a_second():
    rng = np.random.default_rng(0)
    model = LinearSVMClassifier(multi_class="ovr", calibration=None)
    for shape, is_relay in (((12_000, 40), True), ((8_000, 1_000), False)):
        X, y = rng.normal(size=shape).astype(np.float32), rng.integers(0, 5, shape[0])
        chosen = choose(model._prepare(X, y, None)[0], 1e-4, 1000)
        assert isinstance(chosen, Relay) if is_relay else chosen == "sdca"


def test_auto_leaves_dual_ascent_where_its_variables_would_not_fit(monkeypatch):
    from sklearn_lossopt.solvers import choice

    X = np.random.default_rng(0).normal(size=(600, 3))
    y = np.arange(600) % 300
    estimator = SoftmaxClassifier(l1_ratio=0.5, alpha=1.0, max_iter=2, tol=None)
    assert estimator.fit(X, y).solver_ == "sdca"
    monkeypatch.setattr(choice, "FREE_MEMORY", 0)
    assert estimator.fit(X, y).solver_ == "momentum"


def test_due_waits_for_the_gap():
    due = Due(first=3)
    assert [due.is_now(n) for n in (1, 2, 3)] == [False, False, True]
    due.see(3, 1e-1, 1e-4)
    assert due.next == 4
    due.see(4, 1e-2, 1e-4)  # a tenth a pass: two more
    assert due.next == 6
    due.see(6, 2e-2, 1e-4)  # it rose: half as many again
    assert due.next == 9


def test_guesses_that_fall_put_certificates_off():
    due = Due(first=3)
    for n_passes in (3, 6, 9):
        due.see_guess(n_passes, 10.0**-n_passes, 1e-12)
        assert due.latest == (18 if n_passes == 9 else 8)
    assert due.next_guess == 10  # half of the three passes left, in whole ones
    due.see_guess(18, 1e-9, 1e-12)  # no lower than before: a certificate has to tell
    assert due.latest == 18
    assert due.next_guess == 18
    near = Due(first=3)
    near.see_guess(7, 1e-2, 1e-4)
    near.see_guess(8, 9e-5, 1e-4)
    assert near.latest == 8


def test_gaps_tell_the_pass_that_a_relay_waits_for():
    gaps = [(passes, 1.0 / passes**2, 1e-4) for passes in (8, 16, 32, 64)]
    assert 100 <= passes_expected(gaps) <= 102
    assert 100 <= passes_expected([*gaps, (65, 1.0 / 65**2, 1e-4)]) <= 102
    assert passes_expected([]) == np.inf
    assert passes_expected([(100, 2e-4, 1e-4)]) == np.ceil(100 * 2 ** (2 / 3))  # what is usual
    assert passes_expected(gaps, highest=1.0) == np.ceil(64 * 1e4 / 64**2)
    assert passes_expected([(8, np.inf, 1e-4), (100, 2e-4, 1e-4)]) == np.ceil(100 * 2 ** (2 / 3))
    # The trend is that since half as many passes: later certificates go up and down.
    assert passes_expected([(50, 16e-4, 1e-4), (60, 5e-4, 1e-4), (100, 4e-4, 1e-4)]) == 200
    assert passes_expected([(50, 9e-2, 1e-4), (100, 3e-2, 1e-4)]) == np.inf  # 36 times as many
    assert 500 < passes_expected([(50, 8e-3, 1e-4), (100, 2.5e-3, 1e-4)]) < 700
    assert passes_expected([(8, 0.1, 1e-4), (64, 0.2, 1e-4)]) == np.inf  # it rose
    assert passes_expected([(8, 0.1, 1e-4), (64, 0.09, 1e-4)]) == np.inf  # much too far


def test_a_relay_hands_over_while_there_is_time():
    def until(now, gap, latest, most, before=(), **hope):
        runner = Relay(SDCA(), Newton(), 100, latest, most, **hope).runner(tol=1e-4, shuffle=True)
        seen = [*before, (now, gap, 1e-4)]
        return runner.extended(RelayRun("sdca", None, None, None, now, None, now, seen=seen))

    assert until(100, 1e-2, 160, 200) == 100  # no hope
    assert until(100, 1.5e-4, 160, 200) == 132  # soon
    assert until(100, 2.5e-4, 160, 200) == 160  # perhaps: ask again while there is time
    assert until(100, 4e-4, 160, 200) == 100
    assert until(100, 4e-4, 160, 200, hope=2.0) == 160
    assert until(160, 2.5e-4, 160, 200) == 160
    assert until(160, 4e-4, 160, 200, hope=2.0) == 160
    assert until(100, 5.9e-4, 900, 1000) == 200  # asked again after as many as the first time
    assert until(160, 1.2e-4, 160, 200) == np.inf  # near, and no second chance
    assert until(160, 1.2e-4, 160, 160) == 160
    assert until(160, 2e-4, 160, 200, before=[(64, 1e-2, 1e-4)]) == 160  # steep so far, but the end is not


@pytest.mark.parametrize(("more", "ended_by"), [(100, "sdca"), (0, "newton")])
def test_a_relay_goes_on_where_its_first_is_nearly_there(more, ended_by, digits):
    X, y = digits
    model = SoftmaxClassifier(alpha=1e-4, tol=1e-6, random_state=0)
    dual_ascent = clone(model).set_params(solver="sdca").fit(X, y)
    assert 20 < dual_ascent.n_iter_ < 100
    passes = int(0.5 * dual_ascent.n_iter_)
    relay = Relay(SDCA(), Newton(), passes, passes + more, passes + more)
    model.set_params(solver=relay).fit(X, y)
    assert model.solver_ == ended_by
    assert model.converged_
    assert model.n_iter_ > passes


@pytest.mark.parametrize("random_state", range(3))
def test_newton_goes_on_from_where_dual_ascent_is_near_or_from_the_origin(random_state, monkeypatch):
    from_zero, start = [], NewtonSteps.start

    def spy(self, problem, model, *args):
        from_zero.append(model.is_zero())
        return start(self, problem, model, *args)

    monkeypatch.setattr(NewtonSteps, "start", spy)
    X, y = load_digits(return_X_y=True)  # from 0 to 16: the penalty is weak, and dual ascent slow at first
    few, more = (Relay(SDCA(), Newton(), passes, passes, passes) for passes in (12, 50))
    model = SoftmaxClassifier(alpha=1e-5, solver=few, random_state=random_state).fit(X, y)
    assert model.n_iter_ > 12
    assert model.converged_
    SoftmaxClassifier(alpha=1e-3, solver=more, tol=1e-6, random_state=random_state).fit(X, y)
    assert from_zero == [True, False]
    warm = SoftmaxClassifier(alpha=1e-2, solver="newton", warm_start=True).fit(X, y)
    warm.set_params(alpha=1e-5, solver=few, random_state=random_state).fit(X, y)
    assert from_zero == [True, False, True, False]  # the origin of a warm start are its coefficients
