"""Probabilities of LinearSVMClassifier beside scikit-learn's calibration of the same estimator.

The peers are ``CalibratedClassifierCV(LinearSVMClassifier(calibration=None), ensemble=False)`` with
``method="temperature"`` and ``"sigmoid"``: five folds and a fit. Ratios below 1 say that ours is better,
or cheaper. The calibration error (ECE) is the expected one of the most probable class, in 15 bins of
equal width (Guo et al. 2017).
"""

from statistics import median

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.metrics import log_loss

from sklearn_lossopt import LinearSVMClassifier

from .. import data, report
from ..objective import calibration_error, test_probabilities

DATA = ("letter", "clinc150", "mnist", "newsgroups20")
COMPETITORS = ()
REPEATS = 1
SECONDS = ["data", "fit s", "fit s, calibration off", "fit s, CV temperature", "on / off"]
QUALITY = [
    "data",
    "log loss",
    "log loss, CV temperature",
    "ratio",
    "log loss, CV sigmoid",
    "ECE",
    "ECE, CV temperature",
    "ECE, CV sigmoid",
]


def run(data_names, competitor_names, repeats):
    """Yield the sources, a table of seconds and one of test log losses and calibration errors."""
    seconds, quality, sources = [], [], []
    for name in data_names:
        dataset = data.load(name)
        sources.append(f"- {dataset}")
        took, errors = _measure(dataset, repeats)
        seconds.append(_seconds_row(name, took))
        quality.append(_quality_row(name, errors))
    yield "\n".join(sources)
    yield report.table(SECONDS, seconds)
    yield report.table(QUALITY, quality)


def _makers():
    def off():
        return LinearSVMClassifier(calibration=None, random_state=0)

    def on():
        return LinearSVMClassifier(random_state=0)

    def temperature():
        return CalibratedClassifierCV(off(), method="temperature", ensemble=False)

    def sigmoid():
        return CalibratedClassifierCV(off(), method="sigmoid", ensemble=False)

    return {"on": on, "off": off, "temperature": temperature, "sigmoid": sigmoid}


def _measure(dataset, repeats):
    """Seconds of each estimator, and log loss and calibration error of those that have probabilities."""
    makers = _makers()
    if not _has_temperature():
        report.note("calibration: no comparison, scikit-learn >= 1.8 is needed for method='temperature'")
        del makers["temperature"]
    report.warm_up(makers["on"](), dataset.X_train, dataset.y_train)
    seconds, errors = {name: [] for name in makers}, {}
    for repeat in range(repeats):  # alternating, so that a slow minute of the machine hits all
        for name, make in makers.items():
            if name == "sigmoid" and repeat:
                continue  # it is there for its probabilities alone
            estimator = make()
            seconds[name].append(report.fit(estimator, dataset.X_train, dataset.y_train)[0])
            if name != "off" and name not in errors:
                errors[name] = _errors(estimator, dataset.X_test, dataset.y_test)
    return {name: median(values) for name, values in seconds.items()}, errors


def _errors(estimator, X, y):
    probability = test_probabilities(estimator, X)
    target = np.searchsorted(estimator.classes_, y)
    return log_loss(y, probability, labels=estimator.classes_), calibration_error(probability, target)


def _seconds_row(name, took):
    return [
        name,
        report.number(took["on"], ".2f"),
        report.number(took["off"], ".2f"),
        report.number(took.get("temperature"), ".2f"),
        report.number(took["on"] / took["off"], ".2f"),
    ]


def _quality_row(name, errors):
    nothing = None, None
    (loss, error), (sigmoid_loss, sigmoid_error) = errors["on"], errors["sigmoid"]
    crossed_loss, crossed_error = errors.get("temperature", nothing)
    return [
        name,
        report.number(loss),
        report.number(crossed_loss),
        report.number(loss / crossed_loss if crossed_loss else None, ".3f"),
        report.number(sigmoid_loss),
        *(report.number(value) for value in (error, crossed_error, sigmoid_error)),
    ]


def _has_temperature():
    options = CalibratedClassifierCV._parameter_constraints["method"]
    return any("temperature" in getattr(option, "options", ()) for option in options)
