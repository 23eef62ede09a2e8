"""The demonstration: ``python -m sklearn_lossopt [--out FILE] [--seed SEED] [--quick]``.

On scikit-learn's bundled digits it tunes lambda (`alpha`) and the learning rate of both estimators
by cross-validation and prints them beside scikit-learn's linear classifiers. ``--out`` draws the
loss curves.
"""

import argparse
import math
import os
import sys
import time
import warnings
from pathlib import Path
from typing import NamedTuple

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

from . import LinearSVMClassifier, SoftmaxClassifier
from .losses import CrossEntropy
from .penalties import ElasticNet

ALPHAS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
RATES = ("auto", 0.01, 0.1, 1.0)  # in this order, so that "auto" wins a tie
TIMED_FITS = 3


class Data(NamedTuple):
    """Rows to choose and train on, and the test rows apart from them."""

    X_train: np.ndarray
    X_test: np.ndarray
    y_train: np.ndarray
    y_test: np.ndarray


class Row(NamedTuple):
    """A line of the table; nan is what a model does not have."""

    name: str
    converged: bool
    seconds: float
    accuracy: float
    log_loss: float
    objective: float = math.nan


class CannotDraw(Exception):
    """Why the picture cannot be written, for the user's eyes."""


class Progress:
    """A scorer that counts the fits it is called for on stderr."""

    def __init__(self, name, n_fits):
        self.name = name
        self.n_fits = n_fits
        self.done = 0
        self.start = time.perf_counter()
        self.live = sys.stderr.isatty()
        self.show()

    def __call__(self, estimator, X, y):
        score = estimator.score(X, y)
        self.done += 1
        self.show()
        return score

    def show(self):
        """Write the counter over itself, on a terminal only."""
        if self.live:
            line = f"\r{self.name}: {self.done}/{self.n_fits} fits"
            print(line, end="", file=sys.stderr, flush=True)

    def finish(self):
        """Leave one line behind."""
        line = f"{self.name}: {self.done} fits in {time.perf_counter() - self.start:.1f} s"
        print("\r" * self.live + line, file=sys.stderr, flush=True)


def load(seed):
    """The digits, split once: the same shares of the classes in both parts."""
    X, y = load_digits(return_X_y=True)
    return Data(*train_test_split(X, y, test_size=0.25, stratify=y, random_state=seed))


def in_pipeline(model):
    """The model behind the scaling that all of them get."""
    return Pipeline([("scale", MinMaxScaler()), ("model", model)])


def tune(model, data, seed, *, quick=False):
    """Search alpha and the learning rate by cross-validation on the training rows."""
    grid = {
        "model__learning_rate": RATES[::3] if quick else RATES,
        "model__alpha": ALPHAS[1:3] if quick else ALPHAS,
    }
    folds = StratifiedKFold(2 if quick else 4, shuffle=True, random_state=seed)
    progress = Progress(type(model).__name__, len(ParameterGrid(grid)) * folds.get_n_splits())
    search = GridSearchCV(in_pipeline(model), grid, scoring=progress, cv=folds, error_score="raise")
    with warnings.catch_warnings():
        # A rate that is too high or too low is part of a grid.
        warnings.simplefilter("ignore", ConvergenceWarning)
        search.fit(data.X_train, data.y_train)
    progress.finish()
    return search


def describe(search):
    """One line on what a search has chosen."""
    model = search.best_estimator_["model"]
    return (
        f"{type(model).__name__}: best alpha {model.alpha:g}, best learning rate {model.learning_rate} "
        f"(solver {model.solver_}), cross-validated accuracy {search.best_score_:.4f}"
    )


def softmax_objective(pipeline, data, alpha):
    """Mean cross-entropy of the training rows plus ``alpha / 2 |W|^2``, in float64."""
    model = pipeline["model"]
    X = np.asarray(pipeline[:-1].transform(data.X_train), dtype=np.float64)
    scores = X @ model.coef_.T.astype(np.float64) + model.intercept_
    y = np.searchsorted(model.classes_, data.y_train)
    return CrossEntropy().mean(scores, y) + ElasticNet(alpha).value(model.coef_)


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
    accuracy = pipeline.score(data.X_test, data.y_test)
    loss = math.nan
    if hasattr(pipeline, "predict_proba"):
        loss = log_loss(data.y_test, pipeline.predict_proba(data.X_test), labels=pipeline.classes_)
    objective = math.nan if alpha is None else softmax_objective(pipeline, data, alpha)
    return Row(name, converged, float(np.median(times)), accuracy, loss, objective)


def compare(softmax, svm, data, seed):
    """Rows of the table: the two tuned models, then scikit-learn's."""
    alpha = softmax["model"].alpha
    same = LogisticRegression(C=1 / (alpha * len(data.y_train)), max_iter=10_000)
    return [
        measure("SoftmaxClassifier (tuned)", softmax, data, alpha),
        measure("LinearSVMClassifier (tuned)", svm, data),
        measure("LogisticRegression (same objective)", in_pipeline(same), data, alpha),
        measure("LogisticRegression", in_pipeline(LogisticRegression()), data),
        measure(
            "SGDClassifier (log_loss)", in_pipeline(SGDClassifier(loss="log_loss", random_state=seed)), data
        ),
        measure("LinearSVC", in_pipeline(LinearSVC(random_state=seed)), data),
    ]


def print_table(rows, alpha, n_rows):
    """Print the rows and what they mean."""

    def cell(value, digits, width):
        return f"{'' if math.isnan(value) else format(value, f'.{digits}f'):>{width}}"

    width = max(len(row.name) for row in rows) + 1
    print(f"\n{'':{width}}  fit time (s)  test accuracy  test log loss  objective")
    for row in rows:
        cells = (row.seconds, 4, 12), (row.accuracy, 4, 13), (row.log_loss, 4, 13), (row.objective, 6, 9)
        line = "  ".join(cell(*of) for of in cells)
        print(f"{row.name + '*' * (not row.converged):{width}}  {line}".rstrip())
    print(
        f"\nfit time: median of {TIMED_FITS} fits of the scaler and the model, kernels already compiled.\n"
        f"objective: on the training rows, mean cross-entropy + alpha/2 |W|^2 at alpha = {alpha:g}, for the\n"
        f"models that minimize it; LogisticRegression does at C = 1 / (alpha * {n_rows})."
    )
    if not all(row.converged for row in rows):
        print("*: stopped at its limit of passes, before its own tolerance (ConvergenceWarning).")


def check_picture(path):
    """Raise CannotDraw if `draw` could not write there; leaves no file behind."""
    try:
        import matplotlib  # noqa: F401, ICN001
        from matplotlib.backends.backend_agg import FigureCanvasAgg
    except ImportError as error:
        raise CannotDraw(
            f'--out needs matplotlib ({error}). Install it: pip install "sklearn-lossopt[plot]"'
        ) from error
    known = sorted(FigureCanvasAgg.filetypes)
    if path.suffix[1:].lower() not in known:
        raise CannotDraw(f"--out {path}: the file's ending must be one of {', '.join(known)}")
    existed = os.path.lexists(path)
    try:
        path.open("ab").close()
        if not existed:
            path.unlink()
    except OSError as error:
        raise CannotDraw(f"--out {path}: cannot be written ({error.strerror or error})") from error


def draw(pipelines, data, path):
    """Save the loss curves of the chosen models, and of a second fit with rows held out."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, pipeline in zip(figure.subplots(1, 2), pipelines, strict=True):
        model = pipeline["model"]
        stopped = clone(pipeline).set_params(model__early_stopping=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            held_out = stopped.fit(data.X_train, data.y_train)["model"].validation_loss_curve_
        label = f"held-out loss (a second fit, without {model.validation_fraction:.0%} of the rows)"
        for curve, text in ((model.loss_curve_, "training objective"), (held_out, label)):
            axes.semilogy(range(1, len(curve) + 1), curve, label=text)
        axes.set_title(f"{type(model).__name__}\nalpha {model.alpha:g}, learning rate {model.learning_rate}")
        axes.set(xlabel="epoch (pass over the training rows)", ylabel="loss")
        axes.grid(alpha=0.3, which="both")
        axes.legend()
    try:
        figure.savefig(path, dpi=120)
    except OSError as error:
        raise CannotDraw(f"--out {path}: cannot be written ({error.strerror or error})") from error


def parse(argv):
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m sklearn_lossopt", description=__doc__.split("\n\n")[1])
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="save the loss curves as a picture (.png, .svg, ...)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of the split, the folds and the fits (default: 0)"
    )
    parser.add_argument("--quick", action="store_true", help="search a smaller grid")
    options = parser.parse_args(argv)
    if not 0 <= options.seed < 2**32:
        parser.error("--seed must be in [0, 2**32)")
    return options


def run(options):
    """Tune, compare, print, draw."""
    if options.out:
        check_picture(options.out)
    data = load(options.seed)
    n_train, n_test = len(data.y_train), len(data.y_test)
    print(
        f"Digits: {n_train} training rows, {n_test} test rows, {data.X_train.shape[1]} features scaled to [0, 1].\n"
        "alpha and learning rate are chosen by cross-validation on the training rows alone. The test rows\n"
        "are never seen while choosing: they only say, at the end, how well the chosen models do on new rows.\n",
        flush=True,
    )
    models = (model(random_state=options.seed) for model in (SoftmaxClassifier, LinearSVMClassifier))
    searches = [tune(model, data, options.seed, quick=options.quick) for model in models]
    for search in searches:
        print(describe(search))
    best = [search.best_estimator_ for search in searches]
    print_table(compare(*best, data, options.seed), best[0]["model"].alpha, n_train)
    if options.out:
        draw(best, data, options.out)
        print(f"\nLoss curves: {options.out}")


def main(argv=None):
    """Run the demonstration; return the exit code, 2 where the picture cannot be written."""
    try:
        run(parse(argv))
    except CannotDraw as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
