"""Linear classifiers trained as the "loss functions and optimization" lecture teaches."""

from . import exceptions, losses, monitor, penalties, schedules, solvers
from ._softmax import SoftmaxClassifier
from ._svm import LinearSVMClassifier
from ._version import __version__
from .path import regularization_path

__all__ = [
    "LinearSVMClassifier",
    "SoftmaxClassifier",
    "__version__",
    "exceptions",
    "losses",
    "monitor",
    "penalties",
    "regularization_path",
    "schedules",
    "solvers",
]
