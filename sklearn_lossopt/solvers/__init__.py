"""The solvers: objects with constants of their own, for the estimators' `solver` parameter."""

from .stochastic import SGD, Adam, Momentum, Nesterov, StochasticSolver

__all__ = ["SGD", "Adam", "Momentum", "Nesterov"]

BY_NAME = {"sgd": SGD, "momentum": Momentum, "nesterov": Nesterov, "adam": Adam}


def resolve(solver):
    """The solver object that a `solver` parameter names; "auto" is momentum."""
    if isinstance(solver, StochasticSolver):
        return solver
    return BY_NAME["momentum" if solver == "auto" else solver]()
