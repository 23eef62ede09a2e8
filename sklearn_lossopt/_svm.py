"""LinearSVMClassifier: its parameters and its losses."""

from sklearn.utils.metaestimators import available_if

from ._base import BaseLossClassifier
from ._compat import StrOptions
from .kernels import losses

LOSSES = {
    "weston_watkins": losses.WESTON_WATKINS,
    "crammer_singer": losses.CRAMMER_SINGER,
    "ovr": losses.HINGE,
}


def _is_calibrated(estimator):
    if estimator.calibration is None:
        raise AttributeError(
            "predict_proba is not available with calibration=None; set calibration='temperature'."
        )
    return True


class LinearSVMClassifier(BaseLossClassifier):
    """Linear support vector machine with a multiclass hinge loss."""

    _parameter_constraints = {
        **BaseLossClassifier._parameter_constraints,
        "loss": [StrOptions({"hinge", "squared_hinge"})],
        "multi_class": [StrOptions(set(LOSSES))],
        "calibration": [StrOptions({"temperature"}), None],
    }

    def __init__(
        self,
        *,
        loss="hinge",
        multi_class="weston_watkins",
        calibration="temperature",
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
        self.loss = loss
        self.multi_class = multi_class
        self.calibration = calibration
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
        number = losses.HINGE if n_classes == 2 else LOSSES[self.multi_class]
        return number + losses.SQUARED * (self.loss == "squared_hinge")

    def _has_temperature(self):
        return self.calibration is not None

    @available_if(_is_calibrated)
    def predict_proba(self, X):
        return super().predict_proba(X)

    @available_if(_is_calibrated)
    def predict_log_proba(self, X):
        return super().predict_log_proba(X)
