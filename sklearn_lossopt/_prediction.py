"""From rows to scores, classes and probabilities."""

import numpy as np
from scipy import sparse
from sklearn.utils import assert_all_finite
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from ._calibration import log_probabilities, probabilities
from ._many_rows import ManyRows


class PredictionMixin:
    """What an estimator with `coef_`, `intercept_` and `classes_` predicts."""

    def _check_probabilities(self):
        """Whether these parameters give probabilities; raises AttributeError with the reason if not."""
        return True

    def _divisor(self):
        """By what scores are divided to be, up to a constant, log probabilities."""
        return 1.0

    def _meet(self, X, of_many, of_scores):
        """What `of_many` makes of `ManyRows`; where rows are few, or not finite, `of_scores` of scores."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", reset=False, ensure_all_finite=False)
        many = ManyRows.of(X, self.coef_, self.intercept_)
        if many is not None and (found := of_many(many)) is not None:
            return found
        if not (isinstance(X, np.ndarray) or sparse.issparse(X)):
            return of_scores(super().decision_function(X))  # which says why other libraries' arrays do not do
        assert_all_finite(X, estimator_name=type(self).__name__, input_name="X")
        scores = safe_sparse_dot(X, self.coef_.T, dense_output=True) + self.intercept_
        return of_scores(scores.ravel() if scores.ndim == 2 and scores.shape[1] == 1 else scores)

    def _answer(self, X, of_many, of_scores):
        """The same for what follows from scores, which a subclass may have changed."""
        if type(self).decision_function is not PredictionMixin.decision_function:
            return of_scores(self.decision_function(X))
        return self._meet(X, of_many, of_scores)

    def decision_function(self, X):
        """Score rows for each class: the larger, the more likely.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            ``X @ coef_.T + intercept_``. Of two classes only the score of ``classes_[1]``, which is predicted
            where that is above 0.
        """
        return self._meet(X, ManyRows.scores, lambda scores: scores)

    def predict(self, X):
        """Class of the largest score of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples,)
            Of `classes_`.
        """
        number = self._answer(X, ManyRows.classes, _numbers)
        return self.classes_[number]

    @available_if(lambda estimator: estimator._check_probabilities())
    def predict_log_proba(self, X):
        """Logarithm of `predict_proba`, computed without underflow.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        return self._weigh_classes(X, is_log=True)

    @available_if(lambda estimator: estimator._check_probabilities())
    def predict_proba(self, X):
        """Probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`; rows sum to 1. Of an SVM they are
            ``softmax(scores / temperature_)``, and need `calibration`.

        Examples
        --------
        >>> from sklearn_lossopt import SoftmaxClassifier
        >>> model = SoftmaxClassifier(alpha=0.1).fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
        >>> model.predict_proba([[0.0], [1.5]]).round(2)
        array([[0.91, 0.09],
               [0.5 , 0.5 ]])
        """
        return self._weigh_classes(X, is_log=False)

    def _weigh_classes(self, X, is_log):
        return self._answer(
            X,
            lambda many: many.probabilities(self._divisor(), is_log),
            lambda scores: (log_probabilities if is_log else probabilities)(scores, self._divisor()),
        )


def _numbers(scores):
    """Numbers of the predicted classes."""
    return scores.argmax(axis=1) if scores.ndim == 2 else (scores > 0).astype(np.intp)
