"""The solvers: objects for the estimators' `solver` parameter, and what "auto" picks."""

from .certified import CertifiedSolver
from .choice import choose as choose  # for the package alone, as DualMemory is
from .dual import SDCA
from .interior import InteriorPoint
from .newton import Newton
from .optimizers import SGD, Adagrad, Adam, AdamW, Momentum, Nesterov, RMSProp, StochasticSolver
from .warm import DualMemory as DualMemory

__all__ = [
    "SDCA",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "InteriorPoint",
    "Momentum",
    "Nesterov",
    "Newton",
    "RMSProp",
]

BY_NAME = {
    "sgd": SGD,
    "momentum": Momentum,
    "nesterov": Nesterov,
    "adagrad": Adagrad,
    "rmsprop": RMSProp,
    "adam": Adam,
    "adamw": AdamW,
    "sdca": SDCA,
    "newton": Newton,
    "interior_point": InteriorPoint,
}
KINDS = (StochasticSolver, CertifiedSolver)


def resolve(solver):
    """The solver object that a `solver` parameter names."""
    return BY_NAME[solver]() if isinstance(solver, str) else solver
