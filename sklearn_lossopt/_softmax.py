"""SoftmaxClassifier: its parameters and its losses."""

from ._base import BaseLossClassifier
from .kernels import losses


class SoftmaxClassifier(BaseLossClassifier):
    """Linear classifier with cross-entropy loss: multinomial logistic regression."""

    def __init__(
        self,
        *,
        alpha=1e-4,
        l1_ratio=0.0,
        fit_intercept=True,
        solver="auto",
        learning_rate="auto",
        schedule="auto",
        batch_size="auto",
        max_iter=200,
        tol=1e-4,
        n_iter_no_change=5,
        early_stopping="auto",
        validation_fraction=0.1,
        shuffle=True,
        class_weight=None,
        warm_start=False,
        random_state=None,
        verbose=0,
    ):
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.solver = solver
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.shuffle = shuffle
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    def _loss(self, n_classes):
        return losses.LOGISTIC if n_classes == 2 else losses.SOFTMAX
