"""What a benchmark knows of a competitor."""

from collections.abc import Callable
from dataclasses import dataclass

from ..objective import Objective


def _nothing():
    return None


@dataclass(frozen=True)
class Competitor:
    """An estimator under a name.

    Attributes
    ----------
    name : str
        As on the command line.
    label : str
        As in tables.
    make : callable
        Parameters -> an unfitted estimator, all else at its defaults.
    minimizes : callable
        ``(estimator, n_rows, n_classes)`` -> its `Objective`, or None if it is none of ours.
    missing : callable
        Gives why it cannot run here, or None.
    """

    name: str
    label: str
    make: Callable
    minimizes: Callable[..., Objective | None]
    missing: Callable[[], str | None] = _nothing
