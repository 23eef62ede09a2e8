"""Small data, where Python counts and not the kernels: fit and predict with nothing set, medians in turn.

"checks" is what scikit-learn's own validation costs: `check_X_y`, `check_classification_targets` and a
`LabelEncoder`'s fit_transform. `fit` may take 2 ms more than that on iris; and no longer than
`LogisticRegression()`'s on any set, as `predict` of one row may not, be it one of many features (`--data`,
models after three iterations).
"""

import time
import warnings
from statistics import median

from sklearn.datasets import load_digits, load_iris, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import LabelEncoder
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_X_y

from sklearn_lossopt import SoftmaxClassifier

from .. import data, report

DATA = ("newsgroups20",)
COMPETITORS = ()
REPEATS = 51
SETS = {"iris": load_iris, "wine": load_wine, "digits": load_digits}
PREDICTIONS = 200  # of one row, behind one figure
OVER_CHECKS = {"iris": 2.0}  # ms


def run(data_names, competitor_names, repeats):
    """Yield a table of fits and one of predictions."""
    fits, predictions = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # LogisticRegression's lbfgs ends early on wine and digits
        for name, load in SETS.items():
            X, y = load(return_X_y=True)
            ours, theirs = SoftmaxClassifier(), LogisticRegression()
            tasks = [lambda: check(X, y), lambda: ours.fit(X, y), lambda: theirs.fit(X, y)]  # noqa: B023
            checks, our_fit, their_fit = in_turn(tasks, repeats)
            over = our_fit - checks
            ceiling = OVER_CHECKS.get(name)
            fits.append(
                [
                    name,
                    *(f"{milliseconds:.2f}" for milliseconds in (checks, our_fit, over)),
                    "" if ceiling is None else report.verdict(over, below=ceiling),
                    f"{their_fit:.2f}",
                    report.verdict(round(our_fit / their_fit, 2), below=1.0),
                ]
            )
            predictions.append([name, *_one_row(ours, theirs, X[:1], repeats)])
        for name in data_names:
            dataset = data.load(name)
            X, y = dataset.X_train, dataset.y_train
            ours, theirs = (model(max_iter=3).fit(X, y) for model in (SoftmaxClassifier, LogisticRegression))
            predictions.append([name, *_one_row(ours, theirs, X[:1], repeats)])
    headers = ["fit, ms", "checks", "ours", "over checks", "target", "LogisticRegression", "ratio's target"]
    yield report.table(headers, fits)
    headers = ["predict of one row, microseconds", "ours", "LogisticRegression", "ratio", "target"]
    yield report.table(headers, predictions)


def check(X, y):
    """What validation costs at least."""
    check_X_y(X, y)
    check_classification_targets(y)
    LabelEncoder().fit_transform(y)


def in_turn(tasks, repeats):
    """Median milliseconds of each task, run in turn, after one run of each that does not count."""
    times = [[] for _ in tasks]
    for _ in range(repeats + 1):
        for task, seen in zip(tasks, times, strict=True):
            begin = time.perf_counter()
            task()
            seen.append(1000 * (time.perf_counter() - begin))
    return [median(seen[1:]) for seen in times]


def _one_row(ours, theirs, row, repeats):
    """Cells: microseconds of both to predict a row, their ratio, and whether it will do."""
    both = in_turn([_many(ours.predict, row), _many(theirs.predict, row)], repeats)
    ours_one, theirs_one = (1000 * each / PREDICTIONS for each in both)
    ratio = round(ours_one / theirs_one, 2)
    return f"{ours_one:.1f}", f"{theirs_one:.1f}", ratio, report.verdict(ratio, below=1.0)


def _many(predict, row):
    def task():
        for _ in range(PREDICTIONS):
            predict(row)

    return task
