"""What `partial_fit` remembers from call to call."""

import numpy as np
from sklearn.utils.validation import column_or_1d

from . import schedules, solvers
from ._calibration import RecentScores
from ._units import Units


class Stream:
    """The state of a stream, kept on the estimator and pickled with it."""

    def __init__(self, rng):
        self.rng = rng
        self.state = None  # the solver's
        self.caution = 1.0  # factor of the automatic rate
        self.n_calls = 0
        self.n_rows = 0
        self.weight_sum = 0.0
        self.units = None  # of the features, where the rate is automatic
        self.recent = RecentScores()
        self.temperature = 1.0

    def see_weights(self, weight):
        """Take a chunk's weights into the running mean."""
        self.n_rows += np.count_nonzero(weight)
        self.weight_sum += weight.sum()

    @property
    def mean_weight(self):
        return self.weight_sum / max(self.n_rows, 1) or 1.0

    def see_units(self, problem, model):
        """Let the model, which is returned, and the solver's memory follow features into new units."""
        if self.units is None:
            self.units = Units(problem.n_features)
        before = None if self.state is None else self.state.moments
        factor = self.units.see(problem, before)
        if (factor == 1).all():
            return model
        self.state.change_units(factor, problem.moments)
        inverse = (1 / factor).astype(problem.dtype)
        return model._replace(coef=model.coef * (inverse[:, np.newaxis] if problem.is_sparse else inverse))

    def see_scores(self, problem, model):
        """Score a chunk before it trains: honest scores for the temperature."""
        if model.coef.any():
            held = problem.scores(model), problem.target[problem.index], problem.weight[problem.index]
            self.temperature = self.recent.add(*held) or self.temperature

    def see_pass(self, solution):
        """Keep the solver's memory, unless it went bad."""
        self.n_calls += 1
        self.state = solution.state
        if solution.status == "diverged":
            self.state.optimizer = None
            self.caution /= 8


def check_parameters(estimator):
    """Refuse in partial_fit what needs all rows at once."""
    solver = estimator.solver
    if solver != "auto" and isinstance(solvers.resolve(solver), solvers.CertifiedSolver):
        raise ValueError(
            f"solver={solver!r} needs all rows at once, so partial_fit cannot use it. Set solver to "
            "'auto' (here: momentum) or a minibatch solver, such as 'adam'."
        )
    if estimator.class_weight == "balanced":
        raise ValueError(
            "class_weight='balanced' needs all rows at once, so partial_fit cannot use it. Compute "
            "the weights with sklearn.utils.class_weight.compute_class_weight and give them as a dict."
        )
    if not schedules.suits_streams(estimator.schedule):
        raise ValueError(
            f"schedule={estimator.schedule!r} needs to know where training ends or how it goes, which "
            "partial_fit does not. Use 'constant', 'exponential', 'step', 'inverse', or a callable of "
            "the number of calls."
        )


def classes_of_stream(classes, known):
    """The classes of a stream, from its first call."""
    if classes is None and known is None:
        raise ValueError(
            "classes must be passed on the first call to partial_fit. Got classes=None: give all labels "
            "that will ever come, such as np.unique of all y."
        )
    if classes is None:
        return known
    classes = np.unique(column_or_1d(classes))
    if known is not None and not np.array_equal(known, classes):
        raise ValueError(
            f"`classes={classes!r}` is not the same as on the last call to partial_fit, was: {known!r}. "
            "Give those or none; for other classes, begin with a clone."
        )
    if len(classes) < 2:
        raise ValueError(f"classes must name at least 2 classes. Got {classes!r} instead.")
    return classes
