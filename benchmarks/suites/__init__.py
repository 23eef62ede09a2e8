"""The benchmarks, a file each: `DATA`, `COMPETITORS`, `REPEATS`, and `run`, which yields markdown.

`ON_REQUEST`, where there is one, holds data sets that run only when `--data` names them.
"""

from importlib import import_module

NAMES = (
    "accuracy",
    "optimum",
    "solvers",
    "kappa",
    "restarts",
    "convergence",
    "automatic_rate",
    "automatic_rate_grid",
    "epoch_speed",
    "roofline",
    "many_classes",
    "stream",
    "memory",
    "startup",
    "small",
    "calibration",
    "guide",
)


def get(name):
    """A suite's module by name."""
    return import_module(f".{name}", __name__)
