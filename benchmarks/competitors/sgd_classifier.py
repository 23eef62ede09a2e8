"""scikit-learn's SGDClassifier with logistic and with hinge loss."""

from functools import partial

from sklearn.linear_model import SGDClassifier

from ..objective import Objective
from .competitor import Competitor


def _objective(estimator, n_rows, n_classes):
    """One against the rest: one of ours for two classes and for hinges, which sum over the classes."""
    if estimator.loss == "log_loss":
        return Objective("logistic", estimator.alpha) if n_classes == 2 else None
    return Objective("hinge" if n_classes == 2 else "ovr", estimator.alpha)


COMPETITORS = (
    Competitor(
        "sgd_log",
        "SGDClassifier (log_loss)",
        partial(SGDClassifier, loss="log_loss", random_state=0),
        _objective,
    ),
    Competitor("sgd_hinge", "SGDClassifier (hinge)", partial(SGDClassifier, random_state=0), _objective),
)
