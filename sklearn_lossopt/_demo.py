"""The demonstration: ``python -m sklearn_lossopt [--out FILE] [--seed SEED] [--quick]``.

On scikit-learn's bundled digits it tunes lambda (`alpha`) and the learning rate of both estimators
by cross-validation and prints them beside scikit-learn's linear classifiers. ``--out`` draws the
loss curves.
"""

import math
import time
import warnings
from collections import namedtuple

import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, ParameterGrid, StratifiedKFold, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_limits

from . import LinearSVMClassifier, SoftmaxClassifier
from ._console import Progress, check_picture, curves_of, draw_curves, fail
from .losses import CrossEntropy
from .penalties import ElasticNet

# Of equally good ones a search takes the first: the strongest penalty, then the automatic rate.
ALPHAS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
RATES = ("auto", 0.01, 0.1, 1.0)
TIMED_FITS = 3
ABOUT = """Digits: {} training rows, {} test rows, {} features scaled to [0, 1].
alpha and learning rate are chosen by cross-validation on the training rows alone. The test rows are
never seen while choosing: they only say, at the end, how well the chosen models do on new rows.
"""
NOTES = """
fit time: median of {} fits of scaler and model, after compilation, on one BLAS thread (best for so few
rows). objective: mean cross-entropy + alpha/2 |W|^2 of the training rows at alpha = {:g}, for the models
that minimize it; LogisticRegression does at C = 1 / (alpha * {}).
*: stopped at its limit of passes, before its own tolerance (ConvergenceWarning)."""


Data = namedtuple("Data", "X_train X_test y_train y_test")
Row = namedtuple("Row", "name converged seconds accuracy log_loss objective")  # nan: has none


def in_pipeline(model):
    """The model behind the scaling that all of them get."""
    return Pipeline([("scale", MinMaxScaler()), ("model", model)])


def tune(model, data, seed, *, quick=False):
    """Search alpha and the learning rate by cross-validation on the training rows."""
    grid = {
        "model__learning_rate": RATES[::3] if quick else RATES,
        "model__alpha": ALPHAS[2:4] if quick else ALPHAS,
    }
    folds = StratifiedKFold(2 if quick else 4, shuffle=True, random_state=seed)
    progress = Progress(type(model).__name__, len(ParameterGrid(grid)) * folds.n_splits)
    search = GridSearchCV(in_pipeline(model), grid, scoring=progress, cv=folds, error_score="raise")
    with warnings.catch_warnings():
        # A rate that is too high or too low is part of a grid.
        warnings.simplefilter("ignore", ConvergenceWarning)
        search.fit(data.X_train, data.y_train)
    progress.finish()
    return search


def softmax_objective(pipeline, data, alpha):
    """Mean cross-entropy of the training rows plus ``alpha / 2 |W|^2``, in float64."""
    model = pipeline["model"]
    X = np.asarray(pipeline[:-1].transform(data.X_train), dtype=np.float64)
    scores = X @ model.coef_.T.astype(np.float64) + model.intercept_
    loss = CrossEntropy().mean(scores, np.searchsorted(model.classes_, data.y_train))
    return loss + ElasticNet(alpha).value(model.coef_)


def measure(name, pipeline, data, alpha=None):
    """Fit a few times and look at the test rows; with alpha, also at the softmax objective."""
    times = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        for _ in range(TIMED_FITS):
            pipeline = clone(pipeline)
            start = time.perf_counter()
            pipeline.fit(data.X_train, data.y_train)
            times.append(time.perf_counter() - start)
    converged = not any(issubclass(w.category, ConvergenceWarning) for w in caught)
    accuracy, loss = pipeline.score(data.X_test, data.y_test), math.nan
    if hasattr(pipeline, "predict_proba"):
        loss = log_loss(data.y_test, pipeline.predict_proba(data.X_test), labels=pipeline.classes_)
    objective = math.nan if alpha is None else softmax_objective(pipeline, data, alpha)
    return Row(name, converged, float(np.median(times)), accuracy, loss, objective)


def compare(softmax, svm, data, seed):
    """Rows of the table: the two tuned models, then scikit-learn's."""
    alpha = softmax["model"].alpha
    same = LogisticRegression(C=1 / (alpha * len(data.y_train)), max_iter=10_000)
    sgd = SGDClassifier(loss="log_loss", random_state=seed)
    tuned = [measure("SoftmaxClassifier (tuned)", softmax, data, alpha)]
    if softmax["model"].learning_rate != "auto":
        # A rate that classifies best may end its passes above the optimum: show that beside it.
        default = clone(softmax).set_params(model__learning_rate="auto")
        tuned.append(measure("SoftmaxClassifier (same alpha, rate auto)", default, data, alpha))
    return [
        *tuned,
        measure("LinearSVMClassifier (tuned)", svm, data),
        measure("LogisticRegression (same objective)", in_pipeline(same), data, alpha),
        measure("LogisticRegression", in_pipeline(LogisticRegression()), data),
        measure("SGDClassifier (log_loss)", in_pipeline(sgd), data),
        measure("LinearSVC", in_pipeline(LinearSVC(random_state=seed)), data),
    ]


def print_table(rows):
    """Print the rows; what a model does not have stays blank."""
    width = max(len(row.name) for row in rows) + 1
    print(f"\n{'':{width}}  fit time (s)  test accuracy  test log loss  objective")
    for row in rows:
        line = f"{row.seconds:12.4f}  {row.accuracy:13.4f}  {row.log_loss:13.4f}  {row.objective:9.6f}"
        print(f"{row.name + '*' * (not row.converged):{width}}  {line.replace('nan', '   ')}".rstrip())


def draw(pipelines, data, path):
    """Save the loss curves of the chosen models, and of a second fit with rows held out."""
    panels = []
    for pipeline in pipelines:
        model = pipeline["model"]
        stopped = clone(pipeline).set_params(model__early_stopping=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            if getattr(model, "calibration", None):  # or the curve goes on from its fit
                pipeline = clone(pipeline).set_params(model__calibration=None)
                pipeline.fit(data.X_train, data.y_train)
            stopped.fit(data.X_train, data.y_train)
        title = f"{type(model).__name__}\nalpha {model.alpha:g}, learning rate {model.learning_rate}"
        panels.append((title, curves_of(pipeline["model"], stopped["model"])))
    try:
        draw_curves(panels, path)
    except OSError as error:
        fail(f"--out {path}: cannot be written ({error.strerror})")


def demonstrate(data, options):
    """Tune, compare, print, draw."""
    models = (model(random_state=options.seed) for model in (SoftmaxClassifier, LinearSVMClassifier))
    searches = [tune(model, data, options.seed, quick=options.quick) for model in models]
    best = [search.best_estimator_ for search in searches]
    for search in searches:
        model = search.best_estimator_["model"]
        print(
            f"{type(model).__name__}: best alpha {model.alpha:g}, best learning rate {model.learning_rate} "
            f"(solver {model.solver_}), cross-validated accuracy {search.best_score_:.4f}"
        )
    print_table(compare(*best, data, options.seed))
    print(NOTES.format(TIMED_FITS, best[0]["model"].alpha, len(data.y_train)))
    if options.out:
        draw(best, data, options.out)
        print(f"\nLoss curves: {options.out}")


def run(options):
    """Run the demonstration; SystemExit with code 2 where the picture cannot be written."""
    if options.out:
        check_picture(options.out)
    X, y = load_digits(return_X_y=True)
    data = Data(*train_test_split(X, y, test_size=0.25, stratify=y, random_state=options.seed))
    print(ABOUT.format(len(data.y_train), len(data.y_test), data.X_train.shape[1]), flush=True)
    # Products this small cost less than threads that wait for each other: where other programs run,
    # LogisticRegression takes 20 times as long on two.
    with threadpool_limits(1, user_api="blas"):
        demonstrate(data, options)
