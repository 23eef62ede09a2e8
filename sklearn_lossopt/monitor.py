"""A callback that records how training goes, a pass at a time."""

from dataclasses import dataclass, field

__all__ = ["Monitor", "Record"]


@dataclass
class Record:
    """What a `Monitor` has of one fit: lists with an entry a pass.

    Parameters
    ----------
    objective : list of float
        Loss plus penalty over the training rows.
    accuracy : list of float
        Share of training rows that are classified right, weighted as the objective weighs them.
    update_ratio : list of float
        Size of a step over the size of the coefficients (Frobenius norms): of a minibatch solver's next
        step, tried on a random batch; of a certified solver, which has no such steps, of the pass.
    is_stream : bool, default=False
        Whether the passes are calls of `partial_fit`.

    Examples
    --------
    >>> from sklearn_lossopt.monitor import Record
    >>> Record(objective=[0.5], accuracy=[0.8], update_ratio=[1e-3])
    Record(objective=[0.5], accuracy=[0.8], update_ratio=[0.001])
    """

    objective: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    update_ratio: list[float] = field(default_factory=list)
    is_stream: bool = field(default=False, repr=False)


class Monitor:
    """Record objective, training accuracy and update-to-weight ratio of each pass.

    A callback for `set_callbacks` of our classifiers, which needs scikit-learn 1.9 or newer. It changes
    nothing of what training gives, and costs about a pass without steps for each pass.

    With minibatch solvers a ratio of about 1e-3 is healthy while training is under way: far more, and
    the learning rate is too large; far less, and it is too small, or has been annealed.

    Attributes
    ----------
    runs_ : list of Record
        The fits so far, in the order in which they began; the calls of `partial_fit` that follow each
        other are one. A fit in another process records there, not here.
    objective_, accuracy_, update_ratio_ : list of float
        Those of the last fit; see `Record`.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_lossopt import SoftmaxClassifier
    >>> from sklearn_lossopt.monitor import Monitor
    >>> X, y = load_iris(return_X_y=True)
    >>> monitor = Monitor()
    >>> model = SoftmaxClassifier(solver="momentum", max_iter=20, tol=None, random_state=0)
    >>> model = model.set_callbacks(monitor).fit(X, y)
    >>> len(monitor.accuracy_), monitor.accuracy_[-1] > 0.9
    (20, True)
    """

    measures_passes = True  # for `_callbacks.Tasks`

    def __init__(self):
        self.runs_ = []
        self._open = {}  # by the fit's task: threads may share a monitor

    @property
    def objective_(self):
        """Objective after each pass of the last fit."""
        return self._last("objective_").objective

    @property
    def accuracy_(self):
        """Training accuracy after each pass of the last fit."""
        return self._last("accuracy_").accuracy

    @property
    def update_ratio_(self):
        """Step size over coefficients after each pass of the last fit."""
        return self._last("update_ratio_").update_ratio

    def setup(self, estimator, context):
        """Begin a record; called by `fit`.

        Parameters
        ----------
        estimator : SoftmaxClassifier or LinearSVMClassifier
            What is fitted.
        context : sklearn.callback.CallbackContext
            The fit's task.

        Raises
        ------
        TypeError
            If the estimator is not one of ours.
        """
        from ._base import BaseLossClassifier

        if not isinstance(estimator, BaseLossClassifier):
            raise TypeError(
                "Monitor watches SoftmaxClassifier and LinearSVMClassifier. Got "
                f"{type(estimator).__name__} instead: call set_callbacks of the classifier inside it."
            )
        is_stream = context.task_name == "partial_fit"
        if not (is_stream and self.runs_ and self.runs_[-1].is_stream):
            self.runs_.append(Record(is_stream=is_stream))
        self._open[id(context)] = self.runs_[-1]

    def on_fit_task_begin(self, estimator, context):
        """Do nothing; called by `fit`.

        Parameters
        ----------
        estimator : SoftmaxClassifier or LinearSVMClassifier
            What is fitted.
        context : sklearn.callback.CallbackContext
            The task that begins.
        """

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        """Record a pass; called by `fit`.

        Parameters
        ----------
        estimator : SoftmaxClassifier or LinearSVMClassifier
            What is fitted.
        context : sklearn.callback.CallbackContext
            The task that ends.
        fitted_estimator : SoftmaxClassifier or LinearSVMClassifier, default=None
            What it would be if training ended here.
        """
        record = self._open.get(id(context.parent))
        if record is not None and fitted_estimator is not None:
            objective, accuracy, ratio = fitted_estimator._measures
            record.objective.append(objective)
            record.accuracy.append(accuracy)
            record.update_ratio.append(ratio)

    def teardown(self, estimator, context):
        """End the record; called by `fit`.

        Parameters
        ----------
        estimator : SoftmaxClassifier or LinearSVMClassifier
            What was fitted.
        context : sklearn.callback.CallbackContext
            The fit's task.
        """
        self._open.pop(id(context), None)

    def _last(self, name):
        if not self.runs_:
            raise AttributeError(
                f"This Monitor has no {name} yet: give it to set_callbacks of a classifier, then call fit."
            )
        return self.runs_[-1]
