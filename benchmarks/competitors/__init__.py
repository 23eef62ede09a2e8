"""The estimators that are compared, a file each; a file's `COMPETITORS` are its variants."""

from importlib import import_module

FILES = {
    "softmax": "lossopt",
    "svm": "lossopt",
    "logistic_regression": "logistic_regression",
    "logistic_regression_saga": "logistic_regression",
    "sgd_log": "sgd_classifier",
    "sgd_hinge": "sgd_classifier",
    "linear_svc": "linear_svc",
    "torch": "pytorch",
    "torch_adam": "pytorch",
    "intelex": "intelex",
}
NAMES = tuple(FILES)


def get(name):
    """A competitor by name: a `competitor.Competitor`."""
    module = import_module(f".{FILES[name]}", __name__)
    return next(entry for entry in module.COMPETITORS if entry.name == name)
