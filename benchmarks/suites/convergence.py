"""How near to the optimum a fit with default `tol` and `max_iter` ends, and whether it says "converged".

Every data set, as the other benchmarks have it, and standardized (sparse ones are scaled by each feature's
largest value; mnist comes from 0 to 255 too, kdd99 raw too). The gap is `dual_gap_` over the objective, or
over a thousandth of that at zero where this is larger, as `tol` counts it.
"""

from scipy import sparse
from sklearn.preprocessing import MaxAbsScaler, StandardScaler

from .. import competitors, data, report
from .automatic_rate import objective_at_zero, variants

DATA = data.NAMES
COMPETITORS = ("softmax", "svm")
REPEATS = 1
ALPHAS = (1e-2, 1e-3, 1e-4)
PROBLEMS = {
    "softmax": ({},),
    "svm": tuple(
        {"loss": loss, "multi_class": multi_class, "calibration": None}
        for loss, multi_class in (
            ("hinge", "weston_watkins"),
            ("hinge", "crammer_singer"),
            ("hinge", "ovr"),
            ("squared_hinge", "ovr"),
        )
    ),
}


def run(data_names, competitor_names, repeats):
    """Yield a table a data set and variant."""
    headers = ["problem", *(f"alpha {alpha:g}: gap, passes, seconds, by" for alpha in ALPHAS)]
    for title, X, y in _tables(data_names):
        rows = []
        for kind in competitor_names or COMPETITORS:
            for params in PROBLEMS[kind]:
                problem = f"{params['multi_class']} {params['loss']}" if params else kind
                rows.append([problem, *(_cell(kind, {**params, "alpha": alpha}, X, y) for alpha in ALPHAS)])
        yield f"{title}\n\n{report.table(headers, rows)}"


def _tables(names):
    for title, dataset in variants(names):
        X, y = dataset.X_train, dataset.y_train
        yield title, X, y
        if title == str(dataset):
            scaler = MaxAbsScaler() if sparse.issparse(X) else StandardScaler()
            yield f"{title}, {type(scaler).__name__}", scaler.fit_transform(X), y


def _cell(kind, params, X, y):
    model = competitors.get(kind).make(**params)
    seconds, _ = report.fit(model, X, y)
    if not hasattr(model, "dual_gap_"):
        return f"not certified, {seconds:.2f} s, {model.solver_}"
    at_zero = objective_at_zero(kind, model, X, len(model.classes_))
    gap = model.dual_gap_ / max(min(model.loss_curve_), 1e-3 * at_zero)
    verdict = "" if model.converged_ else " (not converged)"
    return f"{gap:.0e}{verdict}, {model.n_iter_}, {seconds:.2f}, {model.solver_}"
