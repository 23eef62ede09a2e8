"""Callbacks: scikit-learn's protocol, where the release has it, and `Monitor`."""

import importlib.util
import itertools
import pickle
import sys

import numpy as np
import pytest
import sklearn
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sklearn_lossopt._compat
from sklearn_lossopt import LinearSVMClassifier, SoftmaxClassifier, regularization_path
from sklearn_lossopt._base import BaseLossClassifier
from sklearn_lossopt.monitor import Monitor
from sklearn_lossopt.solvers import stochastic

HAS_CALLBACKS = tuple(int(part) for part in sklearn.__version__.split(".")[:2]) >= (1, 9)
needs_callbacks = pytest.mark.skipif(not HAS_CALLBACKS, reason="callbacks came with scikit-learn 1.9")


class Recorder:
    """Notes each hook's call; stops after a pass, or raises an error in a hook, if told so."""

    def __init__(self, *, stop_after=None, error_at=None, error=None):
        self.stop_after = stop_after
        self.error_at = error_at
        self.error = error
        self.calls = []  # (hook, task's name, its number)

    def _note(self, hook, context):
        call = hook, context.task_name, context.task_id
        self.calls.append(call)
        if call == self.error_at:
            raise self.error

    def setup(self, estimator, context):
        self._note("setup", context)

    def on_fit_task_begin(self, estimator, context):
        self._note("begin", context)

    def on_fit_task_end(self, estimator, context):
        self._note("end", context)
        return self.stop_after is not None and context.task_id + 1 >= self.stop_after

    def teardown(self, estimator, context):
        self._note("teardown", context)

    @property
    def n_passes(self):
        return sum(call[:2] == ("end", "pass") for call in self.calls)

    def check_balance(self):
        """Every task that began ended, inner ones first, between setup and teardown."""
        hooks = [call[0] for call in self.calls]
        assert hooks[0] == "setup"
        assert hooks[-1] == "teardown"
        opened = []
        for hook, *task in self.calls[1:-1]:
            if hook == "begin":
                opened.append(task)
            else:
                assert (hook, opened.pop()) == ("end", task)
        assert not opened


class Keeper(Recorder):
    """Keeps the models of all tasks, and what they were fitted to."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.begun, self.ended, self.data = [], [], []

    def on_fit_task_begin(self, estimator, context, *, fitted_estimator=None):
        self._note("begin", context)
        if context.task_name == "pass":
            self.begun.append(fitted_estimator)

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
        if context.task_name == "pass":
            self.ended.append(fitted_estimator)
            self.data.append((X, y, metadata))
        return super().on_fit_task_end(estimator, context)


class Propagated(Recorder):
    """Goes on to the estimators inside."""

    max_propagation_depth = None


ESTIMATORS = {
    "momentum": SoftmaxClassifier(solver="momentum", random_state=0, max_iter=6, tol=None),
    "average": SoftmaxClassifier(solver="sgd", average=True, random_state=0, max_iter=6, tol=None),
    "early": SoftmaxClassifier(solver="adam", early_stopping=True, random_state=0, max_iter=6, tol=None),
    "sdca": SoftmaxClassifier(solver="sdca", random_state=0, max_iter=6, tol=None),
    "newton": SoftmaxClassifier(solver="newton", random_state=0, max_iter=6, tol=None),
    "svm": LinearSVMClassifier(solver="sdca", random_state=0, max_iter=6, tol=None),
    "early svm": LinearSVMClassifier(
        solver="sdca", early_stopping=True, random_state=0, max_iter=6, tol=None
    ),
}
each_estimator = pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=list(ESTIMATORS))


# -------------------------------------------------------------------------------- scikit-learn's protocol


@needs_callbacks
@each_estimator
def test_a_fit_is_a_task_of_passes(estimator, clouds):
    recorder = Recorder()
    model = clone(estimator).set_callbacks(recorder).fit(*clouds[:2])
    recorder.check_balance()
    passes = [(hook, "pass", k) for k in range(model.n_iter_) for hook in ("begin", "end")]
    assert recorder.calls[1:-1] == [("begin", "fit", 0), *passes, ("end", "fit", 0)]
    assert model.n_iter_ == 6


@needs_callbacks
@each_estimator
@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])
def test_who_looks_on_changes_nothing(estimator, storage, clouds):
    X, y = storage(clouds[0]), clouds[1]
    alone = clone(estimator).fit(X, y)
    watched = clone(estimator).set_callbacks(Keeper(), Monitor()).fit(X, y)
    assert (watched.coef_ == alone.coef_).all()
    assert (watched.intercept_ == alone.intercept_).all()
    assert watched.loss_curve_ == alone.loss_curve_
    assert watched.best_iter_ == alone.best_iter_
    hidden = ("_measures", "_callback_fit_ctx", "_skl_callbacks_to_teardown")
    assert not set(hidden) & set(vars(watched))


@needs_callbacks
@each_estimator
def test_models_of_passes_predict(estimator, clouds):
    X, y, _ = clouds
    keeper = Keeper()
    model = clone(estimator).set_callbacks(keeper).fit(X, y)
    assert not keeper.begun[0].coef_.any()
    assert [there.n_iter_ for there in keeper.ended] == list(range(1, 7))
    for before, after in zip(keeper.ended[:-1], keeper.begun[1:], strict=True):
        assert (before.coef_ == after.coef_).all()
        assert (before.coef_ != keeper.ended[-1].coef_).any()  # a copy, which stays as it was
    best = keeper.ended[model.best_iter_ - 1]
    assert (best.coef_ == model.coef_).all()
    assert (best.predict_proba(X) == model.predict_proba(X)).all()
    assert pickle.loads(pickle.dumps(best)).predict(X).shape == y.shape


@needs_callbacks
def test_models_are_built_only_for_who_asks(clouds, monkeypatch):
    built = []
    original = BaseLossClassifier._attributes

    def counting(self, *args):
        built.append(args[-1])
        return original(self, *args)

    monkeypatch.setattr(BaseLossClassifier, "_attributes", counting)
    model = clone(ESTIMATORS["sdca"])
    model.set_callbacks(Recorder()).fit(*clouds[:2])
    assert built == []
    model.set_callbacks(Keeper(), Keeper()).fit(*clouds[:2])
    assert built == list(range(7))  # once for all callbacks, for the end of a pass and the next one's begin


@needs_callbacks
@pytest.mark.parametrize("frame", [np.asarray, sparse.coo_array, sparse.csr_array, np.ndarray.tolist])
def test_passes_are_told_of_the_rows_they_go_over(frame, clouds):
    dense, y, _ = clouds
    weight = np.linspace(1, 2, len(y))
    keeper = Keeper()
    model = clone(ESTIMATORS["early"]).set_callbacks(keeper).fit(frame(dense), y, weight)
    X, labels, metadata = keeper.data[0]
    X = X.toarray() if sparse.issparse(X) else np.asarray(X)
    assert len(X) == len(labels) == len(metadata["sample_weight"]) < len(y)
    rows = [int(np.flatnonzero(weight == value)[0]) for value in metadata["sample_weight"]]
    assert (dense[rows] == X).all()
    assert (y[rows] == labels).all()
    model.fit(frame(dense), y, 2.0)
    assert keeper.data[-1][2] is None
    model.set_params(early_stopping=False).fit(frame(dense), y)
    assert np.shape(keeper.data[-1][1]) == y.shape
    assert keeper.data[-1][2] is None


@needs_callbacks
@each_estimator
@pytest.mark.parametrize("n_passes", [1, 2, 4, 6])
def test_a_request_to_stop_is_obeyed(estimator, n_passes, clouds):
    X, y, _ = clouds
    keeper = Keeper(stop_after=n_passes)
    model = clone(estimator).set_params(tol=1e-9).set_callbacks(keeper).fit(X, y)  # warnings are errors
    keeper.check_balance()
    assert keeper.n_passes == model.n_iter_ == n_passes
    assert not model.converged_
    assert model.loss_curve_iter_[-1] == n_passes
    models = [keeper.begun[0], *keeper.ended]  # the start, then each pass
    assert (model.coef_ == models[model.best_iter_].coef_).all()
    assert model.predict_proba(X).shape == (len(y), 4)
    if "dual_gap_" in vars(model):
        assert 0 < model.dual_gap_ < np.inf
    elif model.early_stopping is not True:
        assert model.best_iter_ == np.argmin([np.log(4), *model.loss_curve_])


@needs_callbacks
def test_a_stop_between_certificates_is_certified(digits):
    X, y = digits
    optimum = SoftmaxClassifier(tol=1e-6).fit(X, y).loss_curve_[-1]
    free = SoftmaxClassifier(solver="sdca", random_state=0).fit(X, y)
    assert 2 not in free.loss_curve_iter_
    model = clone(free).set_callbacks(Recorder(stop_after=2)).fit(X, y)
    assert model.loss_curve_iter_ == [2]
    assert model.best_iter_ == 2
    assert optimum < model.loss_curve_[-1] <= optimum * (1 + 1e-6) + model.dual_gap_


@needs_callbacks
@pytest.mark.parametrize("solver", ["sdca", "newton"])
def test_a_request_with_held_out_rows_counts_no_pass_twice(solver, clouds):
    X, y, _ = clouds
    model = SoftmaxClassifier(solver=solver, early_stopping=True, random_state=0)
    model.set_callbacks(Recorder(stop_after=2)).fit(X, y)
    assert model.loss_curve_iter_ == [2]
    assert len(model.validation_loss_curve_) == len(model.validation_scores_) == 2


@needs_callbacks
def test_converged_at_the_pass_of_the_request(clouds):
    X, y, _ = clouds
    n_passes = SoftmaxClassifier(solver="newton").fit(X, y).n_iter_
    model = SoftmaxClassifier(solver="newton").set_callbacks(Recorder(stop_after=n_passes)).fit(X, y)
    assert model.converged_


def failing_schedule(error):
    def schedule(epoch):
        if epoch == 2:
            raise error
        return 1.0

    return schedule


@needs_callbacks
@pytest.mark.parametrize("error", [ZeroDivisionError(), KeyboardInterrupt()])
def test_balance_under_an_error_in_training(error, clouds):
    keeper = Keeper()
    model = SoftmaxClassifier(solver="sgd", learning_rate=1e-4, schedule=failing_schedule(error))
    with pytest.raises(type(error)):
        model.set_callbacks(keeper).fit(*clouds[:2])
    keeper.check_balance()
    assert keeper.ended[-1] is None
    assert hasattr(model, "coef_") == isinstance(error, KeyboardInterrupt)


@needs_callbacks
@pytest.mark.parametrize("error", [ZeroDivisionError(), KeyboardInterrupt()])
@pytest.mark.parametrize(
    "at",
    [("begin", "fit", 0), ("end", "fit", 0), ("begin", "pass", 0), ("begin", "pass", 2), ("end", "pass", 2)],
)
@pytest.mark.parametrize("name", ["momentum", "svm"])
def test_balance_under_an_error_in_a_hook(name, at, error, clouds):
    recorder, other = Recorder(error_at=at, error=error), Recorder()
    with pytest.raises(type(error)):
        clone(ESTIMATORS[name]).set_callbacks(other, recorder).fit(*clouds[:2])
    recorder.check_balance()
    other.check_balance()


@needs_callbacks
def test_balance_under_bad_data(clouds):
    X, y, _ = clouds
    recorder = Recorder()
    model = SoftmaxClassifier(solver="sdca").set_callbacks(recorder)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(np.full_like(X, np.nan), y)
    assert not recorder.calls
    with pytest.raises(ValueError, match="newton"):
        model.set_params(solver="newton", l1_ratio=1.0).fit(X, y)
    recorder.check_balance()


@needs_callbacks
def test_early_stopping_and_convergence_end_the_tasks(clouds):
    X, y, _ = clouds
    for settings in ({"early_stopping": True, "solver": "momentum"}, {}, {"solver": "sgd", "tol": 1e-2}):
        recorder = Recorder()
        model = SoftmaxClassifier(random_state=0, **settings).set_callbacks(recorder).fit(X, y)
        recorder.check_balance()
        assert recorder.n_passes == model.n_iter_ < 200


@needs_callbacks
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_divergence_ends_the_tasks(clouds):
    recorder = Recorder()
    model = SoftmaxClassifier(solver="sgd", learning_rate=1e9, random_state=0).set_callbacks(recorder)
    with pytest.warns(ConvergenceWarning, match="diverged"):
        model.fit(*clouds[:2])
    recorder.check_balance()
    assert recorder.n_passes == model.n_iter_


@needs_callbacks
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_attempts_at_lower_rates_are_the_same_passes(clouds, monkeypatch):
    rate = stochastic.automatic_rate
    boosts = [8.0**4] * 5  # of each attempt
    monkeypatch.setattr(
        stochastic, "automatic_rate", lambda *args: (rate(*args)[0], boosts.pop() * rate(*args)[1])
    )
    X, y, _ = clouds
    recorder = Recorder()
    model = SoftmaxClassifier(solver="sgd", max_iter=40, tol=None, random_state=0, alpha=0.0)
    model.set_callbacks(recorder).fit(X, y)
    recorder.check_balance()
    assert model.n_iter_ == recorder.n_passes == 40
    assert model.score(X, y) > 0.5

    boosts = [1.0, 1e20]
    recorder = Recorder(stop_after=1)
    with pytest.warns(ConvergenceWarning, match="diverged"):  # no other attempt after a request to stop
        model.set_callbacks(recorder).fit(X, y)
    recorder.check_balance()
    assert boosts == [1.0]
    assert model.n_iter_ == recorder.n_passes == 1


@needs_callbacks
@pytest.mark.parametrize("estimator", [SoftmaxClassifier(), LinearSVMClassifier()])
def test_partial_fit_is_a_task_of_one_pass(estimator, clouds):
    X, y, _ = clouds
    keeper = Keeper(stop_after=1)
    model = clone(estimator).set_callbacks(keeper)
    for _ in range(2):
        model.partial_fit(X, y, classes=np.unique(y))
    calls = ["setup", "begin", "begin", "end", "end", "teardown"]
    assert [call[0] for call in keeper.calls] == 2 * calls
    assert keeper.calls[1][1] == "partial_fit"
    assert (keeper.ended[-1].coef_ == model.coef_).all()
    assert (keeper.begun[-1].coef_ == keeper.ended[0].coef_).all()
    assert keeper.ended[-1].predict_proba(X).shape == (len(y), 4)


@needs_callbacks
def test_clones_share_callbacks_and_searches_call_them(clouds):
    X, y, _ = clouds
    recorder = Recorder()
    model = clone(ESTIMATORS["momentum"]).set_callbacks(recorder)
    search = GridSearchCV(model, {"alpha": [1e-4, 1e-2]}, cv=2).fit(X, y)
    assert recorder.n_passes == 5 * 6
    assert [call[0] for call in recorder.calls].count("setup") == 5
    assert search.best_score_ > 0.5
    model.set_callbacks().fit(X, y)
    assert recorder.n_passes == 5 * 6
    regularization_path(clone(model).set_callbacks(recorder).set_params(solver="sdca"), X, y, n_alphas=2)
    assert recorder.n_passes == 5 * 6


@needs_callbacks
@pytest.mark.parametrize("estimator", [ESTIMATORS["momentum"], ESTIMATORS["svm"]], ids=["softmax", "svm"])
def test_callbacks_of_a_pipeline_and_a_search_come_through(estimator, clouds):
    X, y, _ = clouds
    callback = Propagated()
    pipeline = make_pipeline(StandardScaler(), clone(estimator))
    name = f"{pipeline.steps[-1][0]}__alpha"
    search = GridSearchCV(pipeline, {name: [1e-4, 1e-2]}, cv=2).set_callbacks(callback).fit(X, y)
    assert callback.n_passes == 5 * 6
    hooks = [call[0] for call in callback.calls]
    assert hooks.count("begin") == hooks.count("end")
    assert hooks.count("setup") == hooks.count("teardown") == 1
    assert not hasattr(search.best_estimator_[-1], "_parent_callback_ctx")


@needs_callbacks
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_progress_bar_shows_passes(n_jobs, clouds, capsys):
    pytest.importorskip("rich")
    from sklearn.callback import ProgressBar

    X, y, _ = clouds
    model = clone(ESTIMATORS["momentum"])
    if n_jobs is None:
        model.set_callbacks(ProgressBar()).fit(X, y)
    else:
        GridSearchCV(model, {"alpha": [1e-4, 1e-2]}, cv=2, n_jobs=n_jobs).set_callbacks(ProgressBar()).fit(
            X, y
        )
    shown = capsys.readouterr().out
    assert "SoftmaxClassifier - fit" in shown
    assert "100%" in shown


@needs_callbacks
def test_scoring_monitor_gives_curves(clouds):
    from sklearn.callback import ScoringMonitor

    X, y, _ = clouds
    monitor = ScoringMonitor(scoring=["accuracy", "neg_log_loss"])
    model = clone(ESTIMATORS["svm"]).set_callbacks(monitor).fit(X, y)
    entries = monitor.get_logs().data
    passes = [entry["accuracy"] for entry in entries if entry["task_name"] == "pass"]
    fits = [entry["accuracy"] for entry in entries if entry["task_name"] == "fit"]
    assert len(passes) == 6
    assert fits == [model.score(X, y)]
    assert passes[-1] > 0.5


# ---------------------------------------------------------------------------------------------- Monitor


@needs_callbacks
@each_estimator
def test_monitor_has_an_entry_a_pass(estimator, clouds):
    X, y, _ = clouds
    monitor, keeper = Monitor(), Keeper()
    model = clone(estimator).set_callbacks(monitor, keeper).fit(X, y)
    assert len(monitor.objective_) == len(monitor.accuracy_) == len(monitor.update_ratio_) == 6
    looked = np.array(model.loss_curve_iter_) - 1
    assert np.array(monitor.objective_)[looked] == pytest.approx(np.array(model.loss_curve_), rel=1e-9)
    rows, labels, _ = keeper.data[0]
    expected = [there.score(rows, labels) for there in keeper.ended]
    assert monitor.accuracy_ == pytest.approx(expected)
    assert (np.array(monitor.update_ratio_) > 0).all()


@needs_callbacks
@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("solver", ["sgd", "momentum", "adam"])
@pytest.mark.parametrize("learning_rate", ["auto", 1e-5])
def test_ratio_is_that_of_the_next_step(solver, learning_rate, storage, clouds):
    # With full batches a pass is a step, and there is no choice of rows.
    X, y = storage(clouds[0]), clouds[1]
    monitor, keeper = Monitor(), Keeper()
    SoftmaxClassifier(
        solver=solver,
        learning_rate=learning_rate,
        schedule="constant",
        batch_size="full",
        max_iter=5,
        tol=None,
        random_state=0,
    ).set_callbacks(monitor, keeper).fit(X, y)
    coefs = [there.coef_ for there in keeper.ended]
    steps = itertools.pairwise(coefs)
    expected = [np.linalg.norm(after - before) / np.linalg.norm(before) for before, after in steps]
    assert monitor.update_ratio_[:-1] == pytest.approx(expected, rel=1e-6)


@needs_callbacks
def test_ratio_of_a_certified_solver_is_that_of_the_pass(clouds):
    monitor, keeper = Monitor(), Keeper()
    clone(ESTIMATORS["sdca"]).set_callbacks(monitor, keeper).fit(*clouds[:2])
    coefs = [keeper.begun[0].coef_, *(there.coef_ for there in keeper.ended)]
    steps = itertools.pairwise(coefs)
    expected = [np.linalg.norm(after - before) / np.linalg.norm(after) for before, after in steps]
    assert monitor.update_ratio_ == pytest.approx(expected)


@needs_callbacks
def test_ratio_tells_a_large_rate_from_a_small_one(digits):
    ratios = []
    for rate in (1e-3, 1e-1):
        monitor = Monitor()
        model = SoftmaxClassifier(tol=1e-3, max_iter=100, warm_start=True, random_state=0).fit(*digits)
        model.set_params(solver="sgd", learning_rate=rate, max_iter=1, tol=None)
        model.set_callbacks(monitor).fit(*digits)
        ratios.append(monitor.update_ratio_[0])
    assert 30 < ratios[1] / ratios[0] < 300


@needs_callbacks
def test_all_zero_coefficients_have_no_ratio(clouds):
    monitor = Monitor()
    model = SoftmaxClassifier(solver="sgd", alpha=100.0, l1_ratio=1.0, max_iter=2, tol=None)
    model.set_callbacks(monitor).fit(*clouds[:2])
    assert not model.coef_.any()
    assert np.isnan(monitor.update_ratio_).all()


@needs_callbacks
def test_monitor_keeps_fits_apart_and_calls_of_a_stream_together(clouds):
    X, y, _ = clouds
    monitor = Monitor()
    model = clone(ESTIMATORS["momentum"]).set_callbacks(monitor)
    model.fit(X, y)
    model.set_params(max_iter=2).fit(X, y)
    for _ in range(3):
        model.partial_fit(X, y)
    assert [len(run.accuracy) for run in monitor.runs_] == [6, 2, 3]
    assert len(monitor.accuracy_) == 3
    twin = pickle.loads(pickle.dumps(monitor))
    assert twin.objective_ == monitor.objective_


@needs_callbacks
def test_monitor_shared_by_threads(clouds):
    from joblib import parallel_backend

    monitor = Monitor()
    model = clone(ESTIMATORS["momentum"]).set_callbacks(monitor)
    search = GridSearchCV(model, {"alpha": [1e-4, 1e-3, 1e-2]}, cv=3, n_jobs=3)
    with parallel_backend("threading"):
        search.fit(*clouds[:2])
    assert [len(run.objective) for run in monitor.runs_] == 10 * [6]
    assert monitor.objective_ == pytest.approx(search.best_estimator_.loss_curve_, rel=1e-9)


@needs_callbacks
def test_monitor_in_a_pipeline(clouds):
    monitor = Monitor()
    model = clone(ESTIMATORS["momentum"]).set_callbacks(monitor)
    make_pipeline(StandardScaler(), model).fit(*clouds[:2])
    assert len(monitor.accuracy_) == 6


def test_monitor_before_a_fit():
    with pytest.raises(AttributeError, match="This Monitor has no accuracy_ yet"):
        _ = Monitor().accuracy_


@needs_callbacks
def test_monitor_watches_only_ours(clouds):
    with pytest.raises(TypeError, match=r"Got LogisticRegression instead: call set_callbacks of"):
        LogisticRegression().set_callbacks(Monitor()).fit(*clouds[:2])


# --------------------------------------------------------------------------------- releases without them


@pytest.mark.skipif(HAS_CALLBACKS, reason="this release has callbacks")
def test_older_releases_say_what_they_lack(clouds):
    with pytest.raises(RuntimeError, match=r"scikit-learn 1\.9 or newer; this is"):
        SoftmaxClassifier().set_callbacks(Monitor())
    SoftmaxClassifier().fit(*clouds[:2])


def test_the_stand_in_for_older_releases(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.callback", None)
    name = "sklearn_lossopt._compat_of_old"
    spec = importlib.util.spec_from_file_location(name, sklearn_lossopt._compat.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    mixin = module.CallbackSupportMixin()
    with pytest.raises(RuntimeError, match=r"scikit-learn 1\.9 or newer; this is"):
        mixin.set_callbacks()
    context = mixin._init_callback_context(task_name="fit", max_subtasks=3)
    context.call_on_fit_task_begin(estimator=None)
    context.call_on_fit_task_end(estimator=None)


# ---------------------------------------------------------------------------------------------- verbose


def test_verbose_has_a_line_for_passes_without_a_certificate(digits, caplog):
    model = SoftmaxClassifier(solver="sdca", verbose=1, random_state=0).fit(*digits)
    assert len(caplog.messages) == model.n_iter_
    measured = [k + 1 for k, line in enumerate(caplog.messages) if "objective" in line]
    assert measured == model.loss_curve_iter_
    assert caplog.messages[0].startswith("SoftmaxClassifier pass 1: not measured, ")


def test_verbose_tells_the_fit_for_calibration_apart(clouds, caplog):
    model = LinearSVMClassifier(solver="sgd", verbose=1, max_iter=20, tol=None).fit(*clouds[:2])
    names = [line.split(" pass ")[0] for line in caplog.messages]
    assert names.count("LinearSVMClassifier") == model.n_iter_
    assert names.count("LinearSVMClassifier (calibration)") > 0
