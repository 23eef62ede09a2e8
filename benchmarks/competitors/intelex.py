"""Intel's replacement of scikit-learn's LogisticRegression (lbfgs)."""

from importlib.util import find_spec

from ..objective import Objective
from .competitor import Competitor


def _make(**params):
    from sklearnex.linear_model import LogisticRegression

    return LogisticRegression(**params)


def _objective(estimator, n_rows, n_classes):
    return Objective("logistic" if n_classes == 2 else "softmax", 1 / (estimator.C * n_rows))


def _missing():
    found = find_spec("sklearnex")
    return None if found else "it is not installed (pip install scikit-learn-intelex)"


COMPETITORS = (Competitor("intelex", "scikit-learn-intelex, lbfgs", _make, _objective, _missing),)
