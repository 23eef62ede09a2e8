"""The automatic rate, with nothing tuned: 50 passes, percent of the objective above the optimum.

The optimum is a certified fit's dual bound; where no certificate comes in time ("<" before the figure), the
best objective of the row. mnist and kdd99 come in other units too: mnist from 0 to 255, kdd99 by log1p.
"""

import warnings

import numpy as np
from scipy import sparse
from sklearn.base import clone

from .. import competitors, data, report

DATA = ("letter", "covtype20k", "a9a", "clinc150", "newsgroups20", "cifar10_small", "mnist", "kdd99")
COMPETITORS = ("softmax", "svm")
REPEATS = 1
ALPHAS = (1e-2, 1e-3, 1e-4)
SOLVERS = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam")
# Beside a set as the other benchmarks have it: the same rows in other units.
VARIANTS = {
    "mnist": {"raw": lambda X: X * np.float32(255)},
    "kdd99": {"log1p": lambda X: np.sign(X) * np.log1p(np.abs(X))},
}
CERTIFIED = {"tol": 1e-3, "max_iter": 100}


def run(data_names, competitor_names, repeats):
    """Yield a table a data set and variant."""
    for name in data_names:
        dataset = data.load(name)
        for variant, change in {"": lambda X: X, **VARIANTS.get(name, {})}.items():
            X = change(dataset.X_train)
            X = X if sparse.issparse(X) else np.ascontiguousarray(X)
            rows = [
                _row(kind, alpha, X, dataset.y_train)
                for kind in (competitor_names or COMPETITORS)
                for alpha in ALPHAS
            ]
            yield f"{dataset} {variant}\n\n{report.table(['estimator', 'alpha', *SOLVERS], rows)}"


def _row(kind, alpha, X, y):
    model = competitors.get(kind).make(alpha=alpha)
    if kind == "svm":
        model.set_params(calibration=None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        best = clone(model).set_params(**CERTIFIED).fit(X, y)
        fits = [clone(model).set_params(solver=solver, max_iter=50).fit(X, y) for solver in SOLVERS]
    ends = [min(fit.loss_curve_) for fit in fits]
    is_certified = getattr(best, "converged_", False) and hasattr(best, "dual_gap_")
    bound = best.loss_curve_[-1] - best.dual_gap_ if is_certified else min(*ends, min(best.loss_curve_))
    mark = "" if is_certified else "< "
    return [kind, f"{alpha:g}", *(f"{mark}{100 * (end / bound - 1):.2f}" for end in ends)]
