"""Test accuracy, test log loss, objective and fit seconds, every estimator at its defaults.

The objective is that of our estimators (alpha = 1e-4) on the training rows; "-" where an estimator
minimizes something else. Seconds are medians; compiling is left out by a warm-up fit.
"""

from statistics import median

from .. import competitors, data, report
from ..objective import of_fit, test_log_loss

DATA = tuple(name for name in data.NAMES if name != "kdd99")
ON_REQUEST = ("kdd99",)  # minutes, where peers overflow or crawl
OURS = ("softmax", "svm")
WARMED = (*OURS, "torch")  # compile or import in their first fit
COMPETITORS = (*OURS, "logistic_regression", "sgd_log", "sgd_hinge", "linear_svc")
REPEATS = 1
HEADERS = ["estimator", "accuracy", "log loss", "objective", "fit s", "note"]


def run(data_names, competitor_names, repeats):
    """Yield a table a data set."""
    for name in data_names:
        dataset = data.load(name)
        rows = [_row(competitors.get(which), dataset, repeats) for which in competitor_names or COMPETITORS]
        yield f"{dataset}\n\n{report.table(HEADERS, rows)}"


def _row(competitor, dataset, repeats):
    reason = competitor.missing()
    if reason is not None:
        return [competitor.label, *"----", reason]
    if competitor.name in WARMED:
        report.warm_up(competitor.make(), dataset.X_train, dataset.y_train)
    seconds, notes = [], []
    try:
        for _ in range(repeats):
            estimator = competitor.make()
            took, notes = report.fit(estimator, dataset.X_train, dataset.y_train)
            seconds.append(took)
        accuracy = estimator.score(dataset.X_test, dataset.y_test)
    except ValueError as error:  # a peer that overflows is a result, not the end of the benchmark
        return [competitor.label, *"----", f"failed: {' '.join(str(error).split())[:80]}"]
    return [
        competitor.label,
        report.number(accuracy),
        report.number(test_log_loss(estimator, dataset.X_test, dataset.y_test)),
        report.number(_objective(competitor, estimator, dataset), ".6f"),
        report.number(median(seconds), ".2f"),
        "; ".join(notes),
    ]


def _objective(competitor, estimator, dataset):
    """Value of the objective where it is one of ours, else None."""
    shape = dataset.X_train.shape[0], len(estimator.classes_)
    ours = [competitors.get(name) for name in OURS]
    comparable = [entry.minimizes(entry.make(), *shape) for entry in ours]
    own = competitor.minimizes(estimator, *shape)
    return of_fit(own, estimator, dataset.X_train, dataset.y_train) if own in comparable else None
