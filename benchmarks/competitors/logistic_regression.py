"""scikit-learn's LogisticRegression: lbfgs, its default, and saga."""

from functools import partial

from sklearn.linear_model import LogisticRegression

from ..objective import Objective
from .competitor import Competitor


def _objective(estimator, n_rows, n_classes):
    return Objective("logistic" if n_classes == 2 else "softmax", 1 / (estimator.C * n_rows))


COMPETITORS = (
    Competitor("logistic_regression", "LogisticRegression", LogisticRegression, _objective),
    Competitor(
        "logistic_regression_saga",
        "LogisticRegression (saga)",
        partial(LogisticRegression, solver="saga", random_state=0),
        _objective,
    ),
)
