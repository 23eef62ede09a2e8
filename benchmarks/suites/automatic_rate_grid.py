"""The automatic rate beside a grid of rates of your own: points of test accuracy lost by not tuning.

Each cell is the accuracy of the best of 9 rates on the test rows (chosen on them: the grid's best case) minus
that of the automatic rate; below 0 the automatic rate is better. Both fall by the same rule to 0 over 50
passes. "e" marks a best rate at the end of the grid. The last column is what the certified optimum loses to
the best of all these: where alpha is too strong, a rate that does not get there classifies better than what
was asked for, and no rate that minimizes the objective can keep up.

A rate of your own acts in the units of X. The grid goes from 1/100 to 100 times, by steps of half a decade:
of 10 / m for plain descent and 3 / m with momentum, m being the mean squared norm of a row with its 1 for the
intercept; of 1 / sqrt(m) for Adagrad and 0.1 / sqrt(m) for the other adaptive ones, whose steps do not know
how large a gradient is.
"""

import warnings

import numpy as np
from sklearn.base import clone
from sklearn.utils.extmath import row_norms

from sklearn_lossopt.schedules import Annealed

from .. import report
from .automatic_rate import (  # noqa: F401
    ALPHAS,
    CERTIFIED,
    COMPETITORS,
    DATA,
    MAX_ITER,
    SOLVERS,
    estimator,
    variants,
)

REPEATS = 1
GRID = 10 ** np.linspace(-2, 2, 9)
CENTERS = {"sgd": 10.0, "momentum": 3.0, "nesterov": 3.0}  # over m
ADAPTIVE_CENTERS = {"adagrad": 1.0, "rmsprop": 0.1, "adam": 0.1}  # over its root
CEILING = 1.0  # points


def run(data_names, competitor_names, repeats):
    """Yield a table a data set and variant."""
    for title, dataset in variants(data_names):
        train, test = (dataset.X_train, dataset.y_train), (dataset.X_test, dataset.y_test)
        rows, worst = [], -np.inf
        for kind in competitor_names or COMPETITORS:
            for alpha in ALPHAS:
                cells = [_cell(estimator(kind, alpha, solver), train, test) for solver in SOLVERS]
                worst = max(worst, *(points for points, _, _ in cells))
                shown = [f"{points:.2f}{mark}" for points, mark, _ in cells]
                lost = 100 * (max(best for *_, best in cells) - _certified(kind, alpha, train, test))
                rows.append([kind, f"{alpha:g}", *shown, f"{lost:.2f}"])
        table = report.table(["estimator", "alpha", *SOLVERS, "certified"], rows)
        yield f"{title}\n\n{table}\n\nlargest: {worst:.2f} points, {report.verdict(worst, below=CEILING)}"


def _certified(kind, alpha, train, test):
    """Accuracy of the optimum."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator(kind, alpha, "auto").set_params(**CERTIFIED).fit(*train).score(*test)


def _cell(model, train, test):
    """Points of accuracy by which the best rate of the grid is better, a mark, and that rate's accuracy."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        automatic = clone(model).fit(*train).score(*test)
        scores = [
            clone(model).set_params(learning_rate=rate, schedule=Annealed(MAX_ITER)).fit(*train).score(*test)
            for rate in _rates(model.solver, train[0])
        ]
    best = int(np.argmax(scores))
    return 100 * (scores[best] - automatic), "e" * (best in (0, len(GRID) - 1)), scores[best]


def _rates(solver, X):
    """The grid for a solver and rows."""
    norm = 1 + float(row_norms(X, squared=True).mean(dtype=np.float64))
    center = CENTERS[solver] / norm if solver in CENTERS else ADAPTIVE_CENTERS[solver] / np.sqrt(norm)
    return [float(center * factor) for factor in GRID]
