"""Seconds of each certified solver, and of what "auto" picks, to a relative gap of 1e-4, one thread.

This is what the rules of `solvers/choice.py` are measured by. A fit that does not get there in its passes
is shown with the gap that it ends at; "-" means that the solver does not take the problem, or that its
matrices would be too large.
"""

from statistics import median

from threadpoolctl import threadpool_limits

from .. import competitors, data, report

DATA = ("letter", "covtype20k", "a9a", "mnist", "newsgroups20", "clinc150", "cifar10_small")
COMPETITORS = ("softmax", "svm")
REPEATS = 3
ALPHAS = (1e-2, 1e-4)
PROBLEMS = (
    ("softmax", {}),
    ("svm", {"loss": "hinge", "multi_class": "weston_watkins", "calibration": None}),
    ("svm", {"loss": "squared_hinge", "multi_class": "ovr", "calibration": None}),
)
SOLVERS = ("sdca", "newton", "interior_point")
MOST_PARAMETERS = 1500


def run(data_names, competitor_names, repeats):
    """Yield a table a data set."""
    headers = ["problem", "alpha", "sdca", "second order", "auto", "ended by", "auto / best"]
    for name in data_names:
        dataset = data.load(name)
        n_parameters = (dataset.X_train.shape[1] + 1) * len(set(dataset.y_train.tolist()))
        rows = []
        for kind, params in PROBLEMS:
            if competitor_names is not None and kind not in competitor_names:
                continue
            for alpha in ALPHAS:
                rows.append(_row(kind, {**params, "alpha": alpha}, dataset, n_parameters, repeats))
        yield f"{dataset}\n\n{report.table(headers, rows)}"


def _row(kind, params, dataset, n_parameters, repeats):
    times = {}
    for solver in ("sdca", "newton", "interior_point", "auto"):
        if solver in ("newton", "interior_point") and n_parameters > MOST_PARAMETERS:
            continue
        try:
            times[solver] = _time(kind, {**params, "solver": solver}, dataset, repeats)
        except ValueError:
            continue  # not for this loss
    second = times.get("newton") or times.get("interior_point")
    done = [t[0] for name, t in times.items() if name != "auto" and t[2]]
    seconds, ended_by, converged = times["auto"][0], times["auto"][1], times["auto"][2]
    ratio = f"{seconds / min(done):.2f}" if done and converged else "-"
    problem = "softmax" if kind == "softmax" else f"{params['multi_class']} {params['loss']}"
    return [
        problem,
        f"{params['alpha']:g}",
        _shown(times["sdca"]),
        _shown(second) if second else "-",
        _shown(times["auto"]),
        ended_by,
        ratio,
    ]


def _shown(time):
    return f"{time[0]:.3f}" if time[2] else f"{time[0]:.3f} (gap {time[3]:.0e})"


def _time(kind, params, dataset, repeats):
    """Median seconds, the solver that ended it, whether it converged, and its relative gap."""
    seconds = []
    for _ in range(repeats):
        estimator = competitors.get(kind).make(**params)
        with threadpool_limits(1):
            seconds.append(report.fit(estimator, dataset.X_train, dataset.y_train)[0])
    gap = estimator.dual_gap_ / estimator.loss_curve_[-1] if hasattr(estimator, "dual_gap_") else 1.0
    return median(seconds), str(estimator.solver_), estimator.converged_, gap
