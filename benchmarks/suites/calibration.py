"""Probabilities of LinearSVMClassifier beside scikit-learn's temperature scaling of the same estimator.

The peer is ``CalibratedClassifierCV(LinearSVMClassifier(calibration=None), method="temperature",
ensemble=False)``: five folds and a fit. Ratios below 1 say that ours is better, or cheaper.
"""

from statistics import median

from sklearn.calibration import CalibratedClassifierCV

from sklearn_lossopt import LinearSVMClassifier

from .. import data, report
from ..objective import test_log_loss

DATA = ("letter", "clinc150", "mnist", "newsgroups20")
COMPETITORS = ()
REPEATS = 1
HEADERS = [
    "data",
    "log loss",
    "log loss, CV",
    "ratio",
    "fit s",
    "fit s, calibration off",
    "fit s, CV",
    "on / off",
]


def run(data_names, competitor_names, repeats):
    """Yield the sources and one table."""
    rows, sources = [], []
    for name in data_names:
        dataset = data.load(name)
        sources.append(f"- {dataset}")
        rows.append(_row(dataset, repeats))
    yield "\n".join(sources)
    yield report.table(HEADERS, rows)


def _makers():
    def off():
        return LinearSVMClassifier(calibration=None, random_state=0)

    def on():
        return LinearSVMClassifier(random_state=0)

    def crossed():
        return CalibratedClassifierCV(off(), method="temperature", ensemble=False)

    return {"on": on, "off": off, "crossed": crossed}


def _row(dataset, repeats):
    makers = _makers()
    if not _has_temperature():
        report.note("calibration: no comparison, scikit-learn >= 1.8 is needed for method='temperature'")
        del makers["crossed"]
    report.warm_up(makers["on"](), dataset.X_train, dataset.y_train)
    seconds, losses = {name: [] for name in makers}, {}
    for _ in range(repeats):  # alternating, so that a slow minute of the machine hits all
        for name, make in makers.items():
            estimator = make()
            seconds[name].append(report.fit(estimator, dataset.X_train, dataset.y_train)[0])
            if name != "off" and name not in losses:
                losses[name] = test_log_loss(estimator, dataset.X_test, dataset.y_test)
    took = {name: median(values) for name, values in seconds.items()}
    crossed = losses.get("crossed")
    return [
        dataset.name,
        report.number(losses["on"]),
        report.number(crossed),
        report.number(losses["on"] / crossed if crossed else None, ".3f"),
        report.number(took["on"], ".2f"),
        report.number(took["off"], ".2f"),
        report.number(took.get("crossed"), ".2f"),
        report.number(took["on"] / took["off"], ".2f"),
    ]


def _has_temperature():
    options = CalibratedClassifierCV._parameter_constraints["method"]
    return any("temperature" in getattr(option, "options", ()) for option in options)
