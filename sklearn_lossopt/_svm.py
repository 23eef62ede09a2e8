"""LinearSVMClassifier: its parameters and its losses."""

from sklearn.exceptions import NotFittedError

from ._base import BaseLossClassifier
from ._compat import StrOptions
from .kernels import losses

LOSSES = {
    "weston_watkins": losses.WESTON_WATKINS,
    "crammer_singer": losses.CRAMMER_SINGER,
    "ovr": losses.HINGE,
}


class LinearSVMClassifier(BaseLossClassifier):
    """Linear support vector machine with a multiclass hinge loss, and probabilities.

    Minimizes, over rows i with weights w_i and scores s_i = W x_i + b,
    ``sum_i w_i loss(s_i, y_i) / sum_i w_i + alpha * (l1_ratio * |W|_1 + (1 - l1_ratio) / 2 *
    |W|_F^2)``. Two classes have one row of coefficients and ``max(0, 1 - t s)``, or its square, as in
    ``LinearSVC`` and ``SGDClassifier``.

    Parameters
    ----------
    loss : {"hinge", "squared_hinge"}, default="hinge"
        The hinge ``max(0, z)``, or its square.
    multi_class : {"weston_watkins", "crammer_singer", "ovr"}, default="weston_watkins"
        Which hinges make up the loss of scores s for class y: ``sum_{j != y} max(0, s_j - s_y + 1)``
        (Weston and Watkins 1999, the lecture's), ``max_{j != y} max(0, s_j - s_y + 1)`` (Crammer and
        Singer 2001), or ``sum_j max(0, 1 - t_j s_j)`` with t_j = +1 for j = y, else -1.
    calibration : "temperature" or None, default="temperature"
        Divide scores by `temperature_` to make probabilities of them (Guo et al. 2017). The
        temperature comes from rows that the scoring model was not trained on: `X_val`, those that
        early stopping holds out, or else a fifth of the rows in a shorter fit of its own, which
        changes no coefficient. None: no `predict_proba`.
    alpha : float, default=1e-4
        Strength of the penalty, >= 0: the lecture's lambda, for half the sum of squares.
        ``LogisticRegression``'s C is ``1 / (alpha * n_samples)``.
    l1_ratio : float, default=0.0
        Share of L1 in the penalty, in [0, 1]: 0 is L2, 1 is L1, which gives exact zeros.
    fit_intercept : bool, default=True
        Whether to learn intercepts, which are never penalized. Without them features are not
        centered either.
    solver : str or object, default="auto"
        A name, or an object of :mod:`sklearn_lossopt.solvers` with constants of its own
        (``solver=Adam(beta_1=0.8)``; a search reaches them as ``solver__beta_1``).

        Certified solvers end at the optimum and prove how near it they are (`dual_gap_`), with no
        learning rate: "sdca" (dual coordinate ascent, any loss and penalty), "interior_point" (L2 penalty
        and few parameters), "newton" (squared hinge, one against the rest, L2, few features).
        Minibatch solvers are "sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam" and "adamw" (whose
        weight decay makes it end elsewhere than at the optimum).

        "auto" is a certified solver, or two in turn, chosen by the data; momentum if
        `learning_rate`, `schedule`, `batch_size` or `average` is not at its default, in `partial_fit`, and
        where dual variables (n_samples x n_classes) would need more memory than X.
    learning_rate : "auto" or float, default="auto"
        A float > 0 is the plain textbook step in the coordinates of X. "auto" scales (and, dense
        with intercept, centers) the features inside the solver and needs no tuning.
    schedule : str or callable, default="auto"
        Factor of the rate by pass, from 0 on: "constant", "exponential" (0.95 a pass), "step" (half
        every 10), "inverse" (``1 / (1 + 0.01 * epoch)``), "cosine" (to 0 at `max_iter`), "restarts"
        (cosines of 10, 20, 40, ... passes), "plateau" (half where 5 passes bring nothing), an object of
        :mod:`sklearn_lossopt.schedules` (``schedule__decay``) or any callable. "auto" is constant
        for a rate of your own; the automatic rate falls to 0 at `max_iter`, sooner where the
        objective stalls.
    batch_size : int, "auto" or "full", default="auto"
        Rows a step: "auto" is min(128, n_samples), "full" all (gradient descent). Batches differ in
        size by at most a row.
    max_iter : int or None, default=None
        Passes over the rows, at most; steps, of "newton" and "interior_point". None: 1,000 of a certified
        solver, 200 of a minibatch solver.
    tol : float or None, default=1e-4
        Certified solvers stop when the duality gap is at most ``tol * max(F, 1e-3 * F0)``, where F is
        the objective and F0 that at zero: F is then that near the optimum. The others stop when F
        has not improved by as much for `n_iter_no_change` passes, which guarantees nothing about
        the distance to the optimum. None: never.
    n_iter_no_change : int, default=5
        Patience of minibatch solvers and of early stopping, in passes.
    early_stopping : "auto" or bool, default="auto"
        Watch the weighted loss of held-out rows, without penalty, in place of the objective. "auto":
        if `X_val` is given to `fit`; True: also without it, on a stratified `validation_fraction`.
    validation_fraction : float, default=0.1
        Share of rows that early stopping holds out, in (0, 1).
    average : bool or int, default=False
        Minibatch solvers give the average of the coefficients over all steps from that number on (Polyak
        and Juditsky 1992); True: from the second pass on. Not with an L1 penalty.
    shuffle : bool, default=True
        Visit the rows in a new random order each pass.
    class_weight : dict, "balanced" or None, default=None
        Factor of the row weights by class; classes that a dict does not name have 1. "balanced":
        inverse to the classes' sums of `sample_weight`.
    warm_start : bool, default=False
        Let `fit` begin at the coefficients of the last fit and, with "sdca", at its dual variables,
        row by row. The estimator keeps these, but not in pickles.
    n_jobs : int or None, default=None
        Threads of "sdca" and of the features' moments, used where they pay; -1 is all cores, None is 1. The
        same number, the same bits.
    random_state : int, RandomState instance or None, default=None
        For the order of rows and what is held out. The same seed gives the same bits.
    verbose : int, default=0
        Log a line a pass, to the logger "sklearn_lossopt": printed, unless logging is set up.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    coef_ : ndarray of shape (n_classes, n_features), or (1, n_features) for two classes
        Coefficients, of the dtype of X (float32 stays float32).
    intercept_ : ndarray of shape (n_classes,) or (1,)
        Intercepts.
    n_iter_ : int
        Passes run.
    t_ : int
        Parameter updates, over all calls of `partial_fit` and warm starts.
    best_iter_ : int
        The pass whose weights were kept, from 1: that of the lowest objective or, with early
        stopping, held-out loss. 0 if no pass was better than the start.
    loss_curve_ : list of float
        Objective after each pass in `loss_curve_iter_`.
    loss_curve_iter_ : list of int
        Passes, from 1, of the curves' entries: every one of a minibatch solver; those after which a
        certified solver looked.
    dual_gap_ : float
        With a certified solver: what the objective is above the optimum at most, proven in float64
        at `coef_` and `intercept_`.
    dual_gap_curve_ : list of float
        With a certified solver: the gap after each pass in `loss_curve_iter_`.
    validation_loss_curve_, validation_scores_ : list of float
        Loss and accuracy of the held-out rows after each pass, with early stopping.
    learning_rate_ : float
        With a minibatch solver: the rate; the automatic one is in coordinates where features are
        scaled.
    solver_ : str or object
        The solver used; of two in turn, the last.
    converged_ : bool
        Whether the gap is as small as `tol` asks for; of a minibatch solver, whether it stopped
        because nothing improved any more.
    temperature_ : float
        What divides the scores; only with `calibration`.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, where X has them.

    See Also
    --------
    SoftmaxClassifier : The same with cross-entropy loss.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_lossopt import LinearSVMClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = LinearSVMClassifier(random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.95
    True
    >>> bool(model.dual_gap_ <= 1e-4 * model.loss_curve_[-1])
    True
    >>> model.predict_proba(X[:1]).shape
    (1, 3)
    """

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
        max_iter=None,
        tol=1e-4,
        n_iter_no_change=5,
        early_stopping="auto",
        validation_fraction=0.1,
        average=False,
        shuffle=True,
        class_weight=None,
        warm_start=False,
        n_jobs=None,
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
        self.average = average
        self.shuffle = shuffle
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def _loss(self, n_classes):
        number = losses.HINGE if n_classes == 2 else LOSSES[self.multi_class]
        return number + losses.SQUARED * (self.loss == "squared_hinge")

    def _has_temperature(self):
        return self.calibration is not None

    def _check_probabilities(self):
        if self.calibration is None:
            raise AttributeError(
                "predict_proba is not available with calibration=None; set calibration='temperature'."
            )
        return True

    def _divisor(self):
        if not hasattr(self, "temperature_"):
            raise NotFittedError(
                "This LinearSVMClassifier was fitted with calibration=None, so it has no temperature. "
                "Fit it again with calibration='temperature'."
            )
        return self.temperature_
