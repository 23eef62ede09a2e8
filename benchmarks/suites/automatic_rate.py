"""The automatic rate, with nothing tuned: 50 passes, percent of the objective above the optimum.

The optimum is a certified fit's dual bound; where no certificate comes in time ("<" before the figure), the
best objective of the row. Where it is below a hundredth of the objective at zero, percent are of the latter.
mnist and kdd99 come in other units too: mnist from 0 to 255, kdd99 raw.
"""

import warnings
from dataclasses import replace

import numpy as np
from sklearn.base import clone

from .. import competitors, data, report
from ..data import kdd99

DATA = ("letter", "covtype20k", "a9a", "clinc150", "newsgroups20", "cifar10_small", "mnist", "kdd99")
COMPETITORS = ("softmax", "svm")
REPEATS = 1
ALPHAS = (1e-2, 1e-3, 1e-4)
SOLVERS = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam")
MAX_ITER = 50
SMALL = 0.01  # of the objective at zero: percent of a smaller optimum would say little
CERTIFIED = {"tol": 1e-3, "max_iter": 100}


def run(data_names, competitor_names, repeats):
    """Yield a table a data set and variant."""
    for title, dataset in variants(data_names):
        rows = [
            _row(kind, alpha, dataset.X_train, dataset.y_train)
            for kind in (competitor_names or COMPETITORS)
            for alpha in ALPHAS
        ]
        yield f"{title}\n\n{report.table(['estimator', 'alpha', *SOLVERS], rows)}"


def variants(names):
    """Titles and data sets: as the other benchmarks have them, then in other units."""
    for name in names:
        dataset = data.load(name)
        yield str(dataset), dataset
        if name == "mnist":
            X_train, X_test = (X * np.float32(255) for X in (dataset.X_train, dataset.X_test))
            yield f"{dataset}, from 0 to 255", replace(dataset, X_train=X_train, X_test=X_test)
        if name == "kdd99":
            dataset = kdd99.load_raw()
            yield f"{dataset}, raw", dataset


def estimator(kind, alpha, solver):
    """An estimator of one of the `COMPETITORS`, with nothing else set."""
    model = competitors.get(kind).make(alpha=alpha).set_params(solver=solver, max_iter=MAX_ITER)
    return model.set_params(calibration=None) if kind == "svm" else model


def _row(kind, alpha, X, y):
    models = [estimator(kind, alpha, solver) for solver in SOLVERS]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        best = clone(models[0]).set_params(solver="auto", **CERTIFIED).fit(X, y)
        fits = [model.fit(X, y) for model in models]
    ends = [min(fit.loss_curve_) for fit in fits]
    is_certified = getattr(best, "converged_", False) and hasattr(best, "dual_gap_")
    bound = best.loss_curve_[-1] - best.dual_gap_ if is_certified else min(*ends, min(best.loss_curve_))
    mark = "" if is_certified else "< "
    at_zero = objective_at_zero(kind, models[0], X, len(best.classes_))
    scale = bound if bound >= SMALL * at_zero else at_zero
    return [kind, f"{alpha:g}", *(f"{mark}{100 * (end - bound) / scale:.2f}" for end in ends)]


def objective_at_zero(kind, model, X, n_classes):
    """Of one of the `COMPETITORS`."""
    n_outputs = n_classes if n_classes > 2 else 1
    zeros = np.zeros((n_outputs, X.shape[1])), np.zeros(n_outputs)
    objective = competitors.get(kind).minimizes(model, X.shape[0], n_classes)
    return objective(X[:1], np.zeros(1, int), *zeros)  # the same for each row
