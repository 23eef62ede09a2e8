"""What both estimators share of the scikit-learn contract: data in, parameters, fitted attributes out."""

import warnings
from functools import partial
from numbers import Integral, Real

import numpy as np
from joblib import cpu_count
from scipy import sparse
from sklearn import get_config
from sklearn.utils import assert_all_finite, check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d, validate_data

from . import _saved, schedules, solvers
from ._calibration import CALIBRATION_FRACTION, temperature_of, tol_of_calibration
from ._callbacks import Tasks
from ._compat import (
    BaseEstimator,
    CallbackSupportMixin,
    Interval,
    LinearClassifierMixin,
    SparseCoefMixin,
    StrOptions,
    fit_context,
    unique_labels,
    weights_of_classes,
)
from ._endings import warn_of_end
from ._input import check_weight, dtype_for, features_kept, without_duplicates
from ._prediction import PredictionMixin
from ._stream import Stream, check_parameters, classes_of_stream
from .penalties import ElasticNet
from .problem import Problem, as_rows
from .solvers.stochastic import AUTO_BATCH, Minibatch
from .training import Limits, train

MINIBATCH_PARAMETERS = {  # and their defaults
    "learning_rate": "auto",
    "schedule": "auto",
    "batch_size": "auto",
    "average": False,
}
CERTIFIED_PASSES, MINIBATCH_PASSES = 1000, 200  # at most, where `max_iter` is None
RETRIES = 8  # of the automatic rate, each at an eighth of the last
# Fitted attributes that not every fit has.
OPTIONAL = (
    "validation_loss_curve_",
    "validation_scores_",
    "temperature_",
    "learning_rate_",
    "dual_gap_",
    "dual_gap_curve_",
    "_dual",
)


class BaseLossClassifier(
    PredictionMixin, CallbackSupportMixin, SparseCoefMixin, LinearClassifierMixin, BaseEstimator
):
    """Base of the linear classifiers; a subclass names its losses in `_loss`."""

    _parameter_constraints = {
        "alpha": [Interval(Real, 0, None, closed="left")],
        "l1_ratio": [Interval(Real, 0, 1, closed="both")],
        "fit_intercept": ["boolean"],
        "solver": [StrOptions({"auto", *solvers.BY_NAME}), *solvers.KINDS],
        "learning_rate": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
        "schedule": [StrOptions({"auto", *schedules.BY_NAME}), callable],
        "batch_size": [StrOptions({"auto", "full"}), Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left"), None],
        "tol": [Interval(Real, 0, None, closed="left"), None],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "early_stopping": [StrOptions({"auto"}), "boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "average": ["boolean", Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "class_weight": [StrOptions({"balanced"}), dict, None],
        "warm_start": ["boolean"],
        "n_jobs": [
            Interval(Integral, 1, None, closed="left"),
            Interval(Integral, None, -1, closed="right"),
            None,
        ],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    # ------------------------------------------------------------------------------- for subclasses

    def _loss(self, n_classes):
        """Number of the loss (`kernels.losses`) for so many classes."""
        raise NotImplementedError

    def _has_temperature(self):
        """Whether probabilities need a temperature, `temperature_`."""
        return False

    @property
    def penalty(self):
        """Kind of the penalty, "l1", "l2" or "elasticnet": `SelectFromModel` looks for it."""
        return {0: "l2", 1: "l1"}.get(self.l1_ratio, "elasticnet")

    # -------------------------------------------------------------------------------------- fitting

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None):
        """Train from scratch (with `warm_start`, from the present coefficients).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows. C-contiguous float32 or float64 arrays and CSR matrices are used in place.
        y : array-like of shape (n_samples,)
            Labels: numbers, booleans or strings.
        sample_weight : array-like of shape (n_samples,), default=None
            Row weights >= 0; only their ratios matter. 2 is the row twice, 0 the row absent.
        X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
            Validation rows, for early stopping and an SVM's probabilities. A `Pipeline` does not
            transform them unless told so by its `transform_input`, and a search would cut them
            into folds: route them (metadata routing) or leave them out there.
        y_val : array-like of shape (n_val,), default=None
            Labels of `X_val`, all of them known from `y`.
        sample_weight_val : array-like of shape (n_val,), default=None
            Weights of `X_val`.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If the data or a parameter cannot be used; the message says which and why.
        """
        with features_kept(self):
            solution = self._fit(X, y, sample_weight, X_val, y_val, sample_weight_val)
        self._finish(solution)
        return self

    def _fit(self, X, y, sample_weight, X_val, y_val, sample_weight_val):
        """Train and set the fitted attributes; gives how it ended."""
        before = self._known_classes() if self.warm_start else None
        problem, classes, factors, rng = self._prepare(X, y, sample_weight, before)
        start = self._model(problem) if before is not None else problem.model()
        chosen = self._choose(problem)
        self._warn_of_ignored(stacklevel=5)
        validation = self._check_validation(X_val, y_val, sample_weight_val, problem, classes, factors)
        stops_early = self.early_stopping is True or validation is not None
        held = validation
        if stops_early and held is None:
            problem, held = problem.hold_out(self.validation_fraction, rng)
            if held is None:
                raise ValueError(
                    "early_stopping=True found no rows to hold out: every class has a single row. "
                    "Give X_val and y_val, or set early_stopping=False."
                )
        with Tasks(self, (X, y, sample_weight), self._most_passes(chosen)) as tasks:
            solution, temperature = self._solve(
                chosen, problem, start, rng, held, stops_early, classes, tasks
            )
            n_steps = self.t_ if before is not None else 0
            self._publish(solution, problem, classes, chosen, n_steps=n_steps)
            self._set_temperature(temperature)
            self.__dict__.pop("_stream", None)
        return solution

    def _solve(self, chosen, problem, start, rng, held, stops_early, classes, tasks):
        """A fit's solution and temperature; callbacks see none of the fit that only serves the latter."""
        solution, temperature = None, 1.0
        if held is None and self._has_temperature():
            # A generator of its own: calibration does not change the coefficients.
            side = _generator(self.random_state).spawn(1)[0]
            part, scored = problem.hold_out(CALIBRATION_FRACTION, side)
            if scored is not None:
                # From zero: a warm start has seen the rows that are held out here.
                solution = self._train(chosen, part, part.model(), side, calibrates=True)
                temperature = temperature_of(scored, solution.model)
        tasks.attributes_of = partial(self._attributes, problem, classes, held, temperature)
        if solution is None or solution.interruption is None:
            solution = self._train(chosen, problem, start, rng, held if stops_early else None, tasks=tasks)
        if held is not None and self._has_temperature():
            temperature = temperature_of(held, solution.model)
        return solution, temperature

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """One pass over these rows, going on from the present coefficients.

        The optimizer's memory, its count of steps and the features' moments are kept from call to
        call. Weights are divided by the mean weight of all rows seen so far.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The next rows.
        y : array-like of shape (n_samples,)
            Their labels.
        classes : array-like of shape (n_classes,), default=None
            All labels that will ever come: needed in the first call, optional later.
        sample_weight : array-like of shape (n_samples,), default=None
            Row weights >= 0.

        Returns
        -------
        self : object
            The estimator.

        Raises
        ------
        ValueError
            If the data, the classes or a parameter cannot be used; the message says which and why.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from sklearn_lossopt import SoftmaxClassifier
        >>> X, y = load_digits(return_X_y=True)
        >>> model = SoftmaxClassifier(random_state=0)
        >>> for start in range(0, len(X), 300):
        ...     chunk = slice(start, start + 300)
        ...     model = model.partial_fit(X[chunk], y[chunk], classes=range(10))
        >>> model.score(X, y) > 0.9
        True
        """
        check_parameters(self)
        given = X, y, sample_weight
        known = self._known_classes()
        classes = classes_of_stream(classes, known)
        X, y, sample_weight, labels = self._check_data(
            X, y, sample_weight, reset=known is None, may_be_zero=True
        )
        unknown = np.setdiff1d(labels, classes)
        if unknown.size:
            raise ValueError(
                f"y has labels that are not among the classes: {unknown!r}; the classes are {classes!r}. "
                "The first call to partial_fit must name all labels that will ever come."
            )
        stream = getattr(self, "_stream", None) or Stream(_generator(self.random_state))
        factors = self._class_factors(y, classes, sample_weight)
        number = np.searchsorted(classes, y)
        weight = sample_weight * factors[number]
        if not weight.any() and known is not None:
            return self  # nothing to learn from
        stream.see_weights(weight)
        problem = self._problem(X, number, weight, classes, stream.mean_weight)
        start = self._model(problem) if known is not None else problem.model()
        if self.learning_rate == "auto":
            start = stream.see_units(problem, start)
        if self._has_temperature():
            stream.see_scores(problem, start)
        if self.schedule == "auto" and self.learning_rate == "auto":
            factor = schedules.fading(stream.n_rows)
        else:
            factor = schedules.resolve(self.schedule, None, automatic_rate=False)(stream.n_calls)
        chosen = "momentum" if self.solver == "auto" else self.solver
        solver = self._minibatch(chosen)
        solver.caution = stream.caution
        with Tasks(self, given, 1, "partial_fit") as tasks:
            tasks.attributes_of = partial(self._attributes, problem, classes, None, stream.temperature)
            solution = train(
                solver,
                problem,
                start,
                Limits(1, None, 1, is_stream=True),
                lambda _: factor,
                stream.rng,
                previous=stream.state,
                verbose=self.verbose,
                name=type(self).__name__,
                on_pass=tasks.watch(problem, start),
            )
            stream.see_pass(solution)
            self._publish(solution, problem, classes, chosen, n_steps=getattr(self, "t_", 0))
            self._set_temperature(stream.temperature)
            self._stream = stream
        self._finish(solution, in_stream=True)
        return self

    def _prepare(self, X, y, sample_weight, before=None):
        """A fit's problem, classes, factors of the classes' weights, and generator.

        `before` are the classes of a warm start, or None.
        """
        X, y, sample_weight, labels = self._check_data(
            X, y, sample_weight, reset=before is None, ensure_finite=False
        )
        if not sample_weight.all():
            labels = np.unique(y[sample_weight > 0])
        factors = self._class_factors(y, labels, sample_weight)
        classes = labels[factors > 0]
        if len(classes) < 2:
            raise ValueError(
                f"{type(self).__name__} needs rows of at least 2 classes with positive weight; "
                f"y has {len(classes)} class: {classes.tolist()!r}. Give rows of others, or "
                "give them weight."
            )
        if before is not None and not np.array_equal(before, classes):
            raise ValueError(
                f"warm_start=True needs the classes of the earlier fit, {before!r}; y has {classes!r}. "
                "Set warm_start=False to start anew."
            )
        factors = factors[factors > 0]
        problem = self._problem_of_labels(X, y, sample_weight, classes, factors)
        self._check_finite(X, problem)
        return problem, classes, factors, _generator(self.random_state)

    def _finish(self, solution, *, in_stream=False):
        """After the attributes are set: warn of what went wrong, let Ctrl-C go on up."""
        if solution.interruption is not None:
            raise solution.interruption
        warn_of_end(self, solution, in_stream=in_stream)

    def __getstate__(self):
        return _saved.to_state(super().__getstate__())

    def __setstate__(self, state):
        super().__setstate__(_saved.from_state(state, type(self).__name__))

    # ------------------------------------------------------------------------------------- checking

    def _known_classes(self):
        """The classes of an earlier fit, or None."""
        return getattr(self, "classes_", None)

    def _check_data(self, X, y, sample_weight, *, reset, may_be_zero=False, ensure_finite=True):
        """Rows ready for the kernels, labels, float64 weights, the sorted labels without repetition.

        ``ensure_finite=False`` leaves NaN and infinity in X to `_check_finite`.
        """
        shape = np.shape(y) if isinstance(y, list | tuple) else getattr(y, "shape", ())
        if len(shape) == 2 and shape[1] > 1:
            raise ValueError(
                f"y should be a 1d array of labels, got an array of shape {shape} instead. If it is "
                "one-hot, pass y.argmax(axis=1); multilabel targets are not supported."
            )
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse="csr",
            dtype=dtype_for(X),
            order="C",
            ensure_all_finite=ensure_finite,
            reset=reset,
        )
        labels, counted = unique_labels(y)
        check_classification_targets(counted)
        return (
            without_duplicates(X),
            y,
            check_weight(sample_weight, X, "sample_weight", may_be_zero=may_be_zero),
            labels,
        )

    def _check_finite(self, X, problem):
        """Refuse NaN and infinity in X, in scikit-learn's words.

        The features' moments, which most solvers need, have read all rows of positive weight: where these are
        all there are, scikit-learn need not read X once more.
        """
        if get_config()["assume_finite"]:
            return
        if len(problem.index) == X.shape[0]:
            problem.count_moments(_n_threads(self.n_jobs))
            if problem.moments.are_finite():
                return
        assert_all_finite(X, estimator_name=type(self).__name__, input_name="X")

    def _check_validation(self, X_val, y_val, sample_weight_val, problem, classes, factors):
        """The problem of the validation rows, or None."""
        if (X_val is None) != (y_val is None):
            given, missing = ("X_val", "y_val") if y_val is None else ("y_val", "X_val")
            raise ValueError(f"X_val and y_val go together: {given} was given without {missing}. Give both.")
        if X_val is None:
            if sample_weight_val is not None:
                raise ValueError(
                    "sample_weight_val was given without X_val and y_val, whose weights it holds: give them "
                    "too, or leave it out."
                )
            return None
        if self.early_stopping is False:
            raise ValueError(
                "X_val was given, but early_stopping=False ignores it. Set early_stopping to 'auto' or "
                "True, or leave X_val out."
            )
        X_val = validate_data(self, X_val, accept_sparse="csr", dtype=problem.dtype, order="C", reset=False)
        if sparse.issparse(X_val) != problem.is_sparse:
            X_val = sparse.csr_array(X_val) if problem.is_sparse else X_val.toarray()
        y_val = column_or_1d(y_val)
        if len(y_val) != X_val.shape[0]:
            raise ValueError(
                f"X_val has {X_val.shape[0]} rows, but y_val has {len(y_val)} labels: give one for each row."
            )
        unknown = np.setdiff1d(y_val, classes)
        if unknown.size:
            raise ValueError(
                f"y_val has labels that y does not have: {unknown!r}; the classes are {classes!r}. Leave "
                "their rows out of X_val and y_val."
            )
        weight = check_weight(sample_weight_val, X_val, "sample_weight_val")
        return self._problem_of_labels(without_duplicates(X_val), y_val, weight, classes, factors)

    # ------------------------------------------------------------------- parameters as solvers want

    def _class_factors(self, y, classes, sample_weight):
        """Factor of each class's row weights."""
        if self.class_weight is None:
            return np.ones(len(classes))
        number = np.searchsorted(classes, y).clip(0, len(classes) - 1)
        counts = np.bincount(number, sample_weight * (classes[number] == y), minlength=len(classes))
        return weights_of_classes(self.class_weight, classes, counts)

    def _problem_of_labels(self, X, y, sample_weight, classes, factors):
        """The optimization problem of rows whose labels may be none of the classes: such are left out."""
        number = np.searchsorted(classes, y).clip(0, len(classes) - 1)
        weight = np.where(classes[number] == y, sample_weight * factors[number], 0.0)
        return self._problem(X, number, weight, classes)

    def _problem(self, X, number, weight, classes, mean_weight=None):
        """The optimization problem of the rows of positive weight, by the numbers of their classes."""
        scale = (mean_weight or weight.max()) * np.finfo(X.dtype).tiny
        index = np.flatnonzero(weight > scale)  # what the dtype makes 0 of is absent too
        if not index.size:
            raise ValueError(
                f"sample_weight times class_weight is zero for all rows ({len(weight)}): no row is left. "
                "Give a row of positive sample_weight a class of positive class_weight."
            )
        if mean_weight is None:
            mean_weight = weight[index].mean()
        dtype = X.dtype
        return Problem(
            rows=as_rows(X),
            index=index.astype(np.int32 if len(weight) <= np.iinfo(np.int32).max else np.int64),
            target=number.astype(np.int32),
            weight=(weight / mean_weight).astype(dtype),
            loss=self._loss(len(classes)),
            penalty=ElasticNet(float(self.alpha), float(self.l1_ratio)),
            n_outputs=len(classes) if len(classes) > 2 else 1,
            fit_intercept=bool(self.fit_intercept),
        )

    def _model(self, problem):
        """The present coefficients as a start."""
        coef = self.coef_.toarray() if sparse.issparse(self.coef_) else self.coef_
        return problem.model(coef, self.intercept_ if self.fit_intercept else None)

    def _minibatch_settings(self):
        """Names of the minibatch parameters that are not at their defaults."""
        return [name for name, value in MINIBATCH_PARAMETERS.items() if getattr(self, name) != value]

    def _choose(self, problem):
        """The name or object of the solver that fits the problem, which `solver` may leave open."""
        if self.solver != "auto":
            return self.solver
        if self._minibatch_settings():
            return "momentum"
        return solvers.choose(problem, self.tol, self._most_passes("sdca"))

    def _warn_of_ignored(self, stacklevel):
        """Tell of parameters that the solver asked for does not have."""
        ignored = self._minibatch_settings()
        if not ignored or self.solver == "auto":
            return
        if isinstance(solvers.resolve(self.solver), solvers.CertifiedSolver):
            warnings.warn(
                f"solver={self.solver!r} ignores {', '.join(ignored)}: it has no learning rate and takes "
                "one row, or all, at a time. Set a minibatch solver ('momentum', 'adam', ...) to use them.",
                UserWarning,
                stacklevel=stacklevel,
            )

    def _minibatch(self, chosen):
        batch_size = {"auto": AUTO_BATCH, "full": None}.get(self.batch_size, self.batch_size)
        rate = None if self.learning_rate == "auto" else float(self.learning_rate)
        average = bool(self.average) if isinstance(self.average, bool | np.bool_) else int(self.average)
        if average is not False and self.alpha * self.l1_ratio > 0:
            raise ValueError(
                f"average={self.average!r} does not go with an L1 penalty, whose zeros it would destroy. Set "
                "average=False or l1_ratio=0."
            )
        return Minibatch(solvers.resolve(chosen), rate, batch_size, bool(self.shuffle), average)

    def _most_passes(self, chosen):
        """`max_iter`, or what suits the solver where that is None."""
        if self.max_iter is not None:
            return self.max_iter
        is_certified = isinstance(solvers.resolve(chosen), solvers.CertifiedSolver)
        return CERTIFIED_PASSES if is_certified else MINIBATCH_PASSES

    def _calibration_passes(self, most):
        """Passes of a minibatch fit that only serves the temperature.

        The automatic rate anneals within them whatever their number; a rate of the user's does not.
        """
        if not self.learning_rate == self.schedule == "auto":
            return most
        return min(most, max(10, most // 4))

    def _train(
        self, chosen, problem, start, rng, holdout=None, *, calibrates=False, previous=None, tasks=None
    ):
        """Train; where the automatic rate diverges, which it should not, again at an eighth of it."""
        solver = solvers.resolve(chosen)
        automatic = self.learning_rate == "auto"
        max_iter, tol, schedule, retries = self._most_passes(chosen), self.tol, "constant", 1
        if isinstance(solver, solvers.CertifiedSolver):
            if calibrates and tol is not None:
                tol = tol_of_calibration(tol, problem)
            runner = solver.runner(tol, bool(self.shuffle), _n_threads(self.n_jobs))
            if self.warm_start and not calibrates:
                previous = getattr(self, "_dual", None)
        else:
            runner = self._minibatch(chosen)
            schedule = self.schedule
            retries = RETRIES if automatic else 1
            if calibrates:
                max_iter = self._calibration_passes(max_iter)
        for _ in range(retries):
            solution = train(
                runner,
                problem,
                start,
                Limits(max_iter, tol, self.n_iter_no_change),
                schedules.resolve(schedule, max_iter, automatic_rate=automatic),
                rng,
                holdout=holdout,
                previous=previous,
                verbose=self.verbose,
                name=type(self).__name__ + " (calibration)" * calibrates,
                on_pass=None if tasks is None else tasks.watch(problem, start),
            )
            stopped = tasks is not None and tasks.is_stopped
            if solution.status != "diverged" or runner.certifies or stopped:
                break
            runner.caution /= 8
        return solution

    # ------------------------------------------------------------------------------------- results

    def _set_temperature(self, temperature):
        """Set `temperature_` where there is one."""
        if self._has_temperature():
            self.temperature_ = temperature

    def _attributes(self, problem, classes, held, temperature, model, n_passes):
        """What makes a copy of this estimator predict by a model, for callbacks."""
        attributes = {
            "classes_": classes,
            "coef_": problem.coef_of(model),
            "intercept_": model.intercept,
            "n_iter_": n_passes,
        }
        if self._has_temperature():
            attributes["temperature_"] = temperature if held is None else temperature_of(held, model)
        return attributes

    def _publish(self, solution, problem, classes, chosen, *, n_steps):
        """Set the fitted attributes."""
        self.classes_ = classes
        self.coef_ = problem.coef_of(solution.model)
        self.intercept_ = solution.model.intercept
        self.n_iter_ = solution.n_iter
        self.t_ = n_steps + solution.n_steps
        self.loss_curve_ = solution.loss_curve
        self.best_iter_ = solution.best_iter
        self.loss_curve_iter_ = solution.curve_iter
        self.solver_ = getattr(solution.state, "solver", chosen)
        self.converged_ = solution.status == "converged"
        for name in OPTIONAL:
            self.__dict__.pop(name, None)
        if solution.gap is None:
            self.learning_rate_ = solution.learning_rate
        else:
            self.dual_gap_ = solution.gap
            self.dual_gap_curve_ = solution.gap_curve
        if self.warm_start:
            self._dual = solvers.DualMemory.of(problem, solution.state)
        if solution.validation:
            self.validation_loss_curve_ = [there.loss for there in solution.validation]
            self.validation_scores_ = [there.accuracy for there in solution.validation]


def _n_threads(n_jobs):
    """Threads for an `n_jobs`, by joblib's rules; the machine counts, not who else runs on it."""
    if n_jobs is None:
        return 1
    return n_jobs if n_jobs > 0 else max(1, cpu_count() + 1 + n_jobs)


def _generator(random_state):
    return np.random.default_rng(check_random_state(random_state).randint(2**31 - 1, size=4))
