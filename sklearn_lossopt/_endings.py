"""What to say of a fit that did not end as it should."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning


def warn_of_end(estimator, solution, *, in_stream):
    """Warn of what went wrong in a fit, or `in_stream` in a `partial_fit`, as if its caller did."""
    name = type(estimator).__name__
    if solution.status == "diverged" and (solution.gap is not None or np.isnan(estimator.learning_rate_)):
        warnings.warn(
            f"{name} met numbers that are not finite in pass {solution.n_iter}; the best "
            "weights so far are kept. The features' values are too large or too small: scale them "
            "(sklearn.preprocessing.StandardScaler, MaxAbsScaler).",
            ConvergenceWarning,
            stacklevel=5,
        )
    elif solution.status == "diverged":
        slower = (
            "Scale"
            if estimator.learning_rate == "auto"
            else "Lower learning_rate or set it to 'auto', or scale"
        )
        warnings.warn(
            f"{name} diverged after {solution.n_iter} passes at learning_rate "
            f"{estimator.learning_rate_:.3g}: the steps are too large for the features' scale. The best "
            f"weights so far are kept. {slower} the features (sklearn.preprocessing.StandardScaler, "
            "MaxAbsScaler).",
            ConvergenceWarning,
            stacklevel=5,
        )
    elif solution.gap is not None and solution.status == "max_iter" and estimator.tol is not None:
        warnings.warn(_why_not_converged(estimator, solution), ConvergenceWarning, stacklevel=5)
    elif solution.status == "max_iter" and estimator.tol is not None and not in_stream:
        warnings.warn(
            f"{name} was still improving by more than tol={estimator.tol:g} when it reached "
            f"max_iter={solution.n_iter} passes. Raise max_iter or learning_rate, or scale the features.",
            ConvergenceWarning,
            stacklevel=5,
        )


def _why_not_converged(estimator, solution):
    """What to say where the certified gap is not as small as it should be."""
    told = (
        f"{type(estimator).__name__} ended after {solution.n_iter} passes with a duality gap of "
        f"{solution.gap:.3g} at an objective of {solution.objective:.6g}, more than tol={estimator.tol:g} "
        "asks for. "
    )
    if estimator.alpha == 0:
        return told + (
            "With alpha=0 no gap can be proven: where classes can be separated there is no optimum, as "
            "coefficients grow for ever. Set alpha > 0."
        )
    if not np.isfinite(solution.gap):
        return told + (
            "The features' values are too large or too small: scale them (sklearn.preprocessing."
            "StandardScaler, MaxAbsScaler)."
        )
    if solution.state.is_stuck:
        return told + "Rounding errors end all progress here: raise tol, or alpha."
    return told + "Raise max_iter, alpha or tol, or scale the features (sklearn.preprocessing)."
