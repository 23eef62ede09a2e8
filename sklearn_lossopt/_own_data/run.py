"""Split, tune, compare, report, save."""

import math
import os
import time
import warnings
from collections import namedtuple

import joblib
import numpy as np
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.pipeline import Pipeline

from .. import LinearSVMClassifier, SoftmaxClassifier
from .._compat import rows_of
from .._console import Progress, check_picture, check_writable, curves_of, draw_curves, fail, new_file
from .columns import check_values, match_kinds, preprocessing, tidy
from .files import read
from .table import DataError, Table, listed

ALPHAS = (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
QUICK_ALPHAS = (1e-1, 1e-2, 1e-3, 1e-4)
FOLDS, QUICK_FOLDS = 4, 2
TEST_FRACTION = 0.25
PEER_ITERATIONS = 100  # of LogisticRegression, so that it ends
NOTES = """
fit time: one fit of the model on features that are ready (making them took {:.2f} s). LogisticRegression
minimizes SoftmaxClassifier's objective, at the same alpha, in at most {} iterations.
*: stopped at its limit of passes, before its own tolerance (ConvergenceWarning)."""

Data = namedtuple("Data", "X_train X_test y_train y_test")
Tuned = namedtuple("Tuned", "model alpha accuracy alphas")
Row = namedtuple("Row", "name converged seconds accuracy log_loss")


def run(options):
    """Do what the command line asks for; SystemExit with code 2 where that cannot be done."""
    check_outputs(options)
    try:
        table = read(options.data, options.test, options.target, options.max_features)
        check(table, options)
        data, split_notes = split(table, options)
        transformer, lines, odd = preprocessing(_training(table, data), impute=options.impute)
    except DataError as error:
        fail(error)
    describe(table, data, options, lines, split_notes + odd)
    work(table, data, transformer, options)


def check_outputs(options):
    """End here if a file that is to be written is there, or cannot be written."""
    outputs = {"--save": options.save, "--out": options.out}
    outputs = {option: path for option, path in outputs.items() if path}
    inputs = {os.path.realpath(path) for path in (options.data, options.test) if path}
    for option, path in outputs.items():
        if os.path.realpath(path) in inputs:
            fail(f"{option} {path}: is a file of data that is read")
        if os.path.lexists(path) and not options.force:
            fail(f"{option} {path}: exists already; --force overwrites it")
    if len({os.path.realpath(path) for path in outputs.values()}) < len(outputs):
        fail(f"--save and --out name the same file, {options.out}")
    if options.save:
        check_writable("--save", options.save)
    if options.out:
        check_picture(options.out)


# ------------------------------------------------------------------------------------------------- data


def check(table, options):
    """Raise DataError if no classifier can learn from the rows, or be judged by the test rows."""
    parts = [(table, options.data)]
    if table.test is not None:
        parts.append((table.test, options.test or options.data))
    for part, path in parts:
        if not len(part.y):
            raise DataError(f"{path}: has no rows")
        if not part.X.shape[1]:
            raise DataError(f"{path}: has no features")
        if part.is_frame:
            tidy(part, path)
        check_values(part, path, impute=options.impute)
    classes, counts = np.unique(table.y, return_counts=True)
    if len(classes) < 2:
        raise DataError(f"{options.data}: all rows are of one class, {classes[0]}; at least two are needed")
    if len(classes) > len(table.y) / 2:
        raise DataError(
            f"{options.data}: {len(classes)} classes in {len(table.y)} rows, more than rows / 2 (a "
            f"regression target?); the labels are {table.target}"
        )
    least = 2 if table.test is not None else 3
    if (counts >= least).sum() < 2:
        raise DataError(
            f"{options.data}: too few rows to tune on: at least two classes need {least} rows or more; there "
            f"are {listed(f'{c}: {n}' for c, n in zip(classes, counts, strict=True))}"
        )
    if table.test is None:
        return
    if table.is_frame:
        match_kinds(table, table.test, parts[1][1])
    if not np.isin(table.test.y, classes).any():
        raise DataError(
            f"{parts[1][1]}: none of its labels ({listed(np.unique(table.test.y))}) is one of the training "
            f"rows' ({listed(classes)})"
        )


def split(table, options):
    """Training and test rows, and notes on how they were divided."""
    if table.test is not None:
        notes = [note for note in table.test.notes if note not in table.notes]
        unknown = ~np.isin(table.test.y, table.y)
        if unknown.any():
            notes.append(
                f"{unknown.sum()} test rows are of classes that no training row has "
                f"({listed(np.unique(table.test.y[unknown]))}): they count as wrong, and not in the log loss"
            )
        return Data(table.X, table.test.X, table.y, table.test.y), notes
    classes, codes, counts = np.unique(table.y, return_inverse=True, return_counts=True)
    alone = counts[codes] == 1
    several, n_several = np.flatnonzero(~alone), (counts > 1).sum()
    n_test = max(math.ceil(TEST_FRACTION * len(several)), n_several)
    train, test = train_test_split(
        several, test_size=int(n_test), stratify=codes[several], random_state=options.seed
    )
    train = np.sort(np.r_[train, np.flatnonzero(alone)])
    notes = []
    if alone.any():
        names = listed(classes[counts == 1])
        notes.append(f"classes of a single row are in the training rows alone: {names}")
    test = np.sort(test)
    return Data(rows_of(table.X, train), rows_of(table.X, test), table.y[train], table.y[test]), notes


def _training(table, data):
    """The table of the training rows alone: test rows have no say in the preprocessing."""
    return Table(data.X_train, data.y_train, table.target)


def describe(table, data, options, lines, notes):
    """Print what was read, and what will be done with it."""
    classes, counts = np.unique(np.r_[data.y_train, data.y_test], return_counts=True)
    n_rows, n_features = len(data.y_train) + len(data.y_test), table.X.shape[1]
    features = f"{n_features} {'columns' if table.is_frame else 'features'}"
    print(f"{options.data}: {n_rows} rows, {features}, {len(classes)} classes; labels: {table.target}")
    order = np.argsort(-counts, kind="stable")
    shown = ", ".join(f"{classes[k]} {counts[k]}" for k in order[:10])
    print(f"rows by class: {shown}" + (f" and {len(classes) - 10} more classes" if len(classes) > 10 else ""))
    print("features:")
    for line in lines:
        print(f"  {line}")
    how = f"at random, a quarter for the test, stratified by class (seed {options.seed})"
    if table.test is not None:
        how = f"test rows from {options.test or options.data}"
    print(f"split: {len(data.y_train)} training rows, {len(data.y_test)} test rows: {how}")
    for note in table.notes + notes:
        print(f"note: {note}")
    print(flush=True)


# ------------------------------------------------------------------------------------------------- work


def tune(models, data, transformer, options):
    """Choose each model's alpha by cross-validation on the training rows.

    Features are made once a fold, for all models and alphas: of text that is most of the time, which a
    search over a whole pipeline would spend on each fit.
    """
    alphas = QUICK_ALPHAS if options.quick else ALPHAS
    most = np.unique(data.y_train, return_counts=True)[1].max()
    n_folds = int(min(QUICK_FOLDS if options.quick else FOLDS, most))
    folds = StratifiedKFold(n_folds, shuffle=True, random_state=options.seed)
    progress = Progress("tuning alpha", len(models) * len(alphas) * n_folds)
    scores = np.zeros((len(models), len(alphas)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a weak penalty is part of a grid
        warnings.filterwarnings("ignore", "The least populated class")
        for train, held in folds.split(np.zeros(len(data.y_train)), data.y_train):
            maker = clone(transformer)
            X = maker.fit_transform(rows_of(data.X_train, train))
            X_held = maker.transform(rows_of(data.X_train, held))
            for i, model in enumerate(models):
                for j, alpha in enumerate(alphas):
                    fitted = clone(model).set_params(alpha=alpha)
                    if hasattr(fitted, "calibration"):
                        fitted.calibration = None  # it changes no prediction
                    fitted.fit(X, data.y_train[train])
                    scores[i, j] += progress(fitted, X_held, data.y_train[held]) / n_folds
    progress.finish()
    return [
        Tuned(model, alphas[best], row[best], alphas)
        for model, row in zip(models, scores, strict=True)
        for best in [_best(row)]
    ]


def _best(scores):
    """Index of the best score; of equally good ones that in their middle, the stronger penalty of two."""
    ties = np.flatnonzero(scores >= scores.max() - 1e-12)
    return int(ties[(len(ties) - 1) // 2])


def measure(name, model, X, X_test, data):
    """Fit a model and look at the test rows; the model is fitted in place."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        start = time.perf_counter()
        model.fit(X, data.y_train)
        seconds = time.perf_counter() - start
    converged = not any(issubclass(w.category, ConvergenceWarning) for w in caught)
    known = np.isin(data.y_test, model.classes_)
    loss = log_loss(
        data.y_test[known], model.predict_proba(rows_of(X_test, np.flatnonzero(known))), labels=model.classes_
    )
    return Row(name, converged, seconds, float(np.mean(model.predict(X_test) == data.y_test)), loss)


def work(table, data, transformer, options):
    """Tune, compare, print, draw, save."""
    models = [kind(random_state=options.seed) for kind in (SoftmaxClassifier, LinearSVMClassifier)]
    try:
        tuned = tune(models, data, transformer, options)
        start = time.perf_counter()
        X = transformer.fit_transform(data.X_train)
        X_test = transformer.transform(data.X_test)
        seconds = time.perf_counter() - start
    except ValueError as error:
        fail(f"{options.data}: no features can be made of these columns, or no model of them ({error})")
    fitted = [clone(each.model).set_params(alpha=each.alpha) for each in tuned]
    peer = LogisticRegression(C=1 / (tuned[0].alpha * len(data.y_train)), max_iter=PEER_ITERATIONS)
    rows = [
        measure("SoftmaxClassifier (tuned)", fitted[0], X, X_test, data),
        measure("LinearSVMClassifier (tuned)", fitted[1], X, X_test, data),
        measure("LogisticRegression (same alpha)", peer, X, X_test, data),
        measure("majority class", DummyClassifier(strategy="prior"), X, X_test, data),
    ]
    print(f"{X.shape[1]} features go into the models")
    for each, model in zip(tuned, fitted, strict=True):
        print_choice(each, model)
    print_table(rows)
    print(NOTES.format(seconds, PEER_ITERATIONS))
    best = int(tuned[1].accuracy > tuned[0].accuracy)
    print(f"\nbetter in cross-validation: {type(fitted[best]).__name__}")
    if options.out:
        draw(fitted, X, data, options)
    if options.save:
        save(Pipeline([("features", transformer), ("model", fitted[best])]), table, options)


def print_choice(tuned, model):
    """Print the alpha, how far it can be trusted, and what is proven."""
    name = type(model).__name__
    alphas = ", ".join(f"{alpha:g}" for alpha in tuned.alphas)
    print(
        f"{name}: best alpha {tuned.alpha:g} of {alphas}; cross-validated accuracy {tuned.accuracy:.4f}; "
        f"solver {model.solver_}"
    )
    if hasattr(model, "dual_gap_"):
        print(
            f"  certified: its objective is {model.dual_gap_:.2g} above the optimum at most "
            f"(dual_gap_, at an objective of {model.loss_curve_[-1]:.6g})"
        )
    else:
        print(f"  no certificate: for so many classes or rows solver='auto' takes {model.solver_}")
    if tuned.alpha in (tuned.alphas[0], tuned.alphas[-1]):
        this, next_ = ("largest", "larger") if tuned.alpha == tuned.alphas[0] else ("smallest", "smaller")
        print(f"  warning: that is the {this} alpha of those tried: a {next_} one may be better")


def print_table(rows):
    """Print the rows."""
    width = max(len(row.name) for row in rows) + 1
    print(f"\n{'':{width}}  fit time (s)  test accuracy  test log loss")
    for row in rows:
        name = row.name + "*" * (not row.converged)
        print(f"{name:{width}}  {row.seconds:12.4f}  {row.accuracy:13.4f}  {row.log_loss:13.4f}")


def draw(models, X, data, options):
    """Save the loss curves of the chosen models, and of a second fit with rows held out."""
    panels = []
    for model in models:
        stopped = clone(model).set_params(early_stopping=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            stopped.fit(X, data.y_train)
        panels.append((f"{type(model).__name__}\nalpha {model.alpha:g}", curves_of(model, stopped)))
    with new_file("--out", options.out, force=options.force) as file:
        draw_curves(panels, file, format=options.out.suffix[1:].lower())
    print(f"loss curves: {options.out}")


def save(pipeline, table, options):
    """Save the pipeline, and say how to load it."""
    with new_file("--save", options.save, force=options.force) as file:
        joblib.dump(pipeline, file)
    imports, new_rows = table.reader.split("\n")
    print(f"pipeline, fitted on the training rows: {options.save}\n")
    print("Its use (loading runs code of the file, as of every pickle: load only files that you trust):\n")
    print(f"    import joblib\n    {imports}\n    model = joblib.load({str(options.save)!r})")
    print(f"    model.predict({new_rows})")
