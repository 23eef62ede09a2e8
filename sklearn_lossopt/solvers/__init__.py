"""The solvers: objects for the estimators' `solver` parameter, and what "auto" picks."""

from .certified import CertifiedSolver
from .choice import choose
from .dual import SDCA, DualMemory
from .interior import InteriorPoint
from .newton import Newton
from .stochastic import SGD, Adam, Momentum, Nesterov, StochasticSolver

__all__ = ["SDCA", "SGD", "Adam", "InteriorPoint", "Momentum", "Nesterov", "Newton", "DualMemory", "choose"]

BY_NAME = {
    "sgd": SGD,
    "momentum": Momentum,
    "nesterov": Nesterov,
    "adam": Adam,
    "sdca": SDCA,
    "newton": Newton,
    "interior_point": InteriorPoint,
}
KINDS = (StochasticSolver, CertifiedSolver)


def resolve(solver):
    """The solver object that a `solver` parameter names."""
    return BY_NAME[solver]() if isinstance(solver, str) else solver
