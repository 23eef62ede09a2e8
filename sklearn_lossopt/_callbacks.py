"""A fit as scikit-learn's callbacks see it: a task, and in it a task for each pass."""

import functools
from numbers import Real

from scipy import sparse

from ._compat import rows_of
from .solvers.probe import relative_size


class Tasks:
    """Begin and end a fit's tasks; as a context manager, end all that it began, whatever happens.

    Parameters
    ----------
    estimator : BaseLossClassifier
        Whose fit it is.
    data : tuple
        X, y and sample_weight as they were given.
    n_passes : int
        Passes at most.
    name : str, default="fit"
        Name of the task.

    Attributes
    ----------
    attributes_of : callable
        Fitted attributes of a model and a number of passes; to be set before `watch`.
    is_stopped : bool
        Whether a callback has asked to stop.
    """

    def __init__(self, estimator, data, n_passes, name="fit"):
        self.estimator = estimator
        X, y, sample_weight = data
        self.data = X, y, None if isinstance(sample_weight, Real) else sample_weight  # one for all: none
        self.n_passes = n_passes
        self.name = name
        self.root = self.task = self.problem = self.attributes_of = self.coef = None
        self.n_ended = 0
        self.is_stopped = False

    def __enter__(self):
        self.root = self.estimator._init_callback_context(task_name=self.name, max_subtasks=self.n_passes)
        try:
            self.root.call_on_fit_task_begin(estimator=self.estimator, **self._data())
        except BaseException:
            self.root.call_on_fit_task_end(estimator=self.estimator)
            raise
        return self

    def __exit__(self, kind, error, trace):
        try:
            if self.task is not None:
                self._end(None)
        finally:
            self.root.call_on_fit_task_end(
                estimator=self.estimator,
                **self._data(),
                reconstruction_attributes={} if kind is None else None,
            )

    def watch(self, problem, start):
        """What `train` is to call after each pass, or None where nobody listens.

        An attempt that diverged is made again. Its passes were told of already, so the next attempt is
        silent up to there: a fit has no more passes than `max_iter`.
        """
        callbacks = getattr(self.estimator, "_skl_callbacks", ())
        if not callbacks:
            return None
        self.problem = problem
        if any(getattr(callback, "measures_passes", False) for callback in callbacks):
            self.coef = start.coef.copy()
        if self.n_ended == 0:
            self._begin(functools.cache(lambda: self.attributes_of(start, 0)))
        return self

    @property
    def measures_steps(self):
        """Whether `train` shall measure a step after each pass."""
        return self.coef is not None

    def __call__(self, ended):
        """End a pass's task and begin the next; say whether to go on."""
        measures = self._measure(ended) if self.measures_steps else {}
        attributes = functools.cache(
            lambda: {**self.attributes_of(ended.model(), ended.n_passes), **measures}
        )
        if self.task is not None:
            self.n_ended = ended.n_passes
            self.is_stopped = self._end(attributes)
        if not (self.is_stopped or ended.is_last) and ended.n_passes >= self.n_ended:
            self._begin(attributes)
        return not self.is_stopped

    def _begin(self, attributes):
        self.task = self.root.subcontext(task_name="pass")
        self.task.call_on_fit_task_begin(
            estimator=self.estimator, **self._data_in_use(), reconstruction_attributes=attributes
        )

    def _end(self, attributes):
        task, self.task = self.task, None
        return task.call_on_fit_task_end(
            estimator=self.estimator, **self._data_in_use(), reconstruction_attributes=attributes
        )

    def _measure(self, ended):
        """What a `Monitor` records of a pass."""
        model = ended.model()
        here = self.problem.evaluate(model, with_accuracy=True)
        ratio = ended.update_ratio
        if ratio is None:  # of a certified solver: the whole pass is its step
            ratio = relative_size(model.coef - self.coef, model.coef)
        self.coef = model.coef
        return {"_measures": (here.objective, here.accuracy, ratio)}

    def _data(self):
        X, y, sample_weight = self.data
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        return {"X": X, "y": y, "metadata": metadata}

    def _data_in_use(self):
        """The same of the rows that passes go over, made only for who asks."""
        data, index = self._data(), self.problem.index
        if len(index) == len(self.problem.target):
            return data
        X, y, sample_weight = self.data
        data["X"] = lambda: rows_of(X.tocsr() if sparse.issparse(X) else X, index)
        data["y"] = lambda: rows_of(y, index)
        if sample_weight is not None:
            data["metadata"] = lambda: {"sample_weight": rows_of(sample_weight, index)}
        return data
