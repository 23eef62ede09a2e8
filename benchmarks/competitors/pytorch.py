"""PyTorch: a linear layer, cross-entropy, SGD with momentum or Adam on batches of row numbers."""

from functools import partial
from importlib.util import find_spec

import numpy as np
from scipy import sparse
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin

from ..objective import Objective
from .competitor import Competitor


class TorchClassifier(ClassifierMixin, BaseEstimator):
    """The usual training loop, dense float32 rows only."""

    def __init__(
        self,
        *,
        alpha=1e-4,
        optimizer="momentum",
        learning_rate=0.1,
        momentum=0.9,
        batch_size=128,
        max_iter=10,
        n_threads=2,
        random_state=0,
    ):
        self.alpha = alpha
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.n_threads = n_threads
        self.random_state = random_state

    def fit(self, X, y):
        """Train from zero."""
        import torch

        if sparse.issparse(X):
            raise ValueError("takes dense rows only")
        torch.set_num_threads(self.n_threads)
        torch.manual_seed(self.random_state)
        self.classes_, target = np.unique(y, return_inverse=True)
        rows = torch.from_numpy(np.asarray(X, dtype=np.float32))
        target = torch.from_numpy(target)
        layer = torch.nn.Linear(rows.shape[1], len(self.classes_))
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
        # the intercept is not penalized
        parameters = [{"params": [layer.weight], "weight_decay": self.alpha}, {"params": [layer.bias]}]
        if self.optimizer == "adam":
            optimizer = torch.optim.Adam(parameters, lr=self.learning_rate)
        else:
            optimizer = torch.optim.SGD(parameters, lr=self.learning_rate, momentum=self.momentum)
        for _ in range(self.max_iter):
            for batch in torch.randperm(len(rows)).split(self.batch_size):
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(layer(rows[batch]), target[batch]).backward()
                optimizer.step()
        self.coef_ = layer.weight.detach().numpy()
        self.intercept_ = layer.bias.detach().numpy()
        self.n_iter_ = self.max_iter
        return self

    def decision_function(self, X):
        """Scores, shape (n_samples, n_classes)."""
        return X @ self.coef_.T + self.intercept_

    def predict(self, X):
        """Labels."""
        return self.classes_[self.decision_function(X).argmax(axis=1)]

    def predict_proba(self, X):
        """Probabilities, shape (n_samples, n_classes)."""
        return softmax(self.decision_function(X), axis=1)


def _objective(estimator, n_rows, n_classes):
    """Its two classes have a row of weights each, which is another problem than one row."""
    return Objective("softmax", estimator.alpha) if n_classes > 2 else None


def _missing():
    return None if find_spec("torch") else "PyTorch is not installed (pip install torch)"


COMPETITORS = (
    Competitor("torch", "PyTorch, momentum", TorchClassifier, _objective, _missing),
    Competitor(
        "torch_adam", "PyTorch, Adam", partial(TorchClassifier, optimizer="adam"), _objective, _missing
    ),
)
