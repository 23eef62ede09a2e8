"""scikit-learn's LinearSVC."""

from functools import partial

from sklearn.svm import LinearSVC

from .competitor import Competitor


def _objective(estimator, n_rows, n_classes):
    """None of ours: it penalizes the intercept."""
    return None


COMPETITORS = (Competitor("linear_svc", "LinearSVC", partial(LinearSVC, random_state=0), _objective),)
