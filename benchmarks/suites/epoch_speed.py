"""Seconds of an epoch: ours on one thread, peers on one and on two.

Fits alternate in one process; a figure is the median of fit seconds / epochs, everything that `fit`
does included. A warm-up fit of each goes before. Ratios are the peer's seconds over ours.
"""

from contextlib import nullcontext
from dataclasses import dataclass
from statistics import median

import numpy as np
from threadpoolctl import threadpool_limits

from .. import competitors, data, report

COMPETITORS = ("torch", "sgd_log", "logistic_regression_saga")
REPEATS = 5
OURS = "softmax"


@dataclass(frozen=True)
class Runner:
    """A competitor with the parameters of its race, and the ratio that ours must reach against it."""

    name: str
    params: dict
    floor: float | None = None
    remark: str = ""

    @property
    def label(self):
        return competitors.get(self.name).label + (f", {self.remark}" if self.remark else "")


def _ours(**params):
    return Runner(OURS, {"solver": "momentum", "tol": None, "max_iter": 10, **params}, remark="one thread")


# Peers in both their forms: two threads that wait for one another lose where the machine is busy, and
# SGDClassifier's classes are independent fits that cores can share. The floor holds against either.
RACES = {
    "mnist": (
        _ours(learning_rate=0.1, batch_size=128),
        Runner("torch", {"max_iter": 5, "batch_size": 128, "n_threads": 2}, 4.0, "two threads"),
        Runner("torch", {"max_iter": 5, "batch_size": 128, "n_threads": 1}, 4.0, "one thread"),
        Runner("sgd_log", {"max_iter": 3, "tol": None}, 10.0),
        Runner("sgd_log", {"max_iter": 3, "tol": None, "n_jobs": 2}, 10.0, "n_jobs=2"),
    ),
    "newsgroups20": (
        _ours(),
        Runner("logistic_regression_saga", {"max_iter": 5, "tol": 0}, 1.5),
    ),
}
DATA = tuple(RACES)


def run(data_names, competitor_names, repeats):
    """Yield a table a race."""
    for name in data_names:
        ours, *peers = RACES[name]
        peers = [peer for peer in peers if competitor_names is None or peer.name in competitor_names]
        runners = [ours, *filter(_can_run, peers)]
        dataset = data.load(name)
        times = _race(runners, dataset, repeats)
        base = median(times[0])
        rows = []
        for runner, seconds in zip(runners, times, strict=True):
            ratio = median(seconds) / base
            floor = report.verdict(ratio, at_least=runner.floor) if runner.floor else "-"
            spread = f"{1e3 * min(seconds):.1f} to {1e3 * max(seconds):.1f}"
            epochs = runner.params["max_iter"]
            rows.append([runner.label, epochs, f"{1e3 * median(seconds):.1f}", spread, f"{ratio:.2f}", floor])
        headers = ["estimator", "epochs a fit", "ms an epoch, median", "range", "ratio to ours", "floor"]
        yield f"{dataset}\n\n{report.table(headers, rows)}"


def _can_run(runner):
    """Whether a peer is installed; a message if not."""
    reason = competitors.get(runner.name).missing()
    if reason is not None:
        report.note(f"{runner.label}: skipped, {reason}")
    return reason is None


def _race(runners, dataset, repeats):
    """Seconds an epoch of each, one list a runner; the first round is the warm-up."""
    times = [[] for _ in runners]
    for round_ in range(repeats + 1):
        for runner, seconds in zip(runners, times, strict=True):
            estimator = competitors.get(runner.name).make(**runner.params)
            with threadpool_limits(1) if runner.name == OURS else nullcontext():
                took, _ = report.fit(estimator, dataset.X_train, dataset.y_train)
            if round_:
                seconds.append(took / np.max(estimator.n_iter_))
    return times
