"""Seconds of a fit that ends within r of the optimum, certificate included; ours on one thread.

A peer's budget, `max_iter`, grows by 1.25 until its objective is within r (LinearSVC does not heed it for
Crammer-Singer hinges: its `tol` falls by 1.5), ours' `tol` from r by 1.5 while it still is; then both fit in
turn and the medians count. Objectives are computed outside, in float64; the optimum is a certified one,
proven to a tenth of r. Peers have all cores and float32 rows. A peer that does not get there within its time
is shown with "> ", and how near it came.
"""

from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import lru_cache
from statistics import median

import numpy as np
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from .. import competitors, data, report
from ..objective import Objective, of_fit

COMPETITORS = ("logistic_regression", "intelex", "torch", "torch_adam", "linear_svc", "sgd_log")
REPEATS = 5
# Seconds that a peer's fit may take: more than enough to settle its floor.
PATIENCE, PATIENCE_BY_FLOOR = 2.0, 2.0
GROWTH, OUR_GROWTH = 1.25, 1.5


@dataclass(frozen=True)
class Peer:
    """A competitor, its parameters, where its budget begins, and the ratio that ours must reach."""

    name: str
    params: dict = field(default_factory=dict)
    floor: float | None = None
    budget: float = 20
    remark: str = ""
    knob: str = "max_iter"  # or "tol": what the budget is

    @property
    def label(self):
        return competitors.get(self.name).label + (f", {self.remark}" if self.remark else "")


@dataclass(frozen=True)
class Race:
    """A data set, an objective, how near to its optimum, and who runs."""

    title: str
    data: str
    objective: Objective
    near: float
    ours: str
    params: dict
    peers: tuple
    scaled: bool = False


def _logistic(alpha, n_rows, floor, **budgets):
    """scikit-learn's LogisticRegression with each solver that takes the problem."""
    return tuple(
        Peer(
            "logistic_regression",
            {"C": 1 / (alpha * n_rows), "solver": name.replace("_", "-"), "tol": 1e-12},
            floor,
            budget,
            remark=name.replace("_", "-"),
        )
        for name, budget in budgets.items()
    )


def _torch(alpha, floor):
    return tuple(
        Peer(name, {"alpha": alpha, "learning_rate": rate, "batch_size": 128}, floor, 4, f"rate {rate:g}")
        for name, rates in (("torch", (0.3, 0.1, 0.03)), ("torch_adam", (3e-3, 1e-3, 3e-4)))
        for rate in rates
    )


def _intelex(alpha, n_rows, floor):
    return (Peer("intelex", {"C": 1 / (alpha * n_rows), "tol": 1e-12}, floor, 40),)


def _softmax(data_name, alpha, near, peers, *, scaled=False, family="softmax"):
    title = f"{data_name}{', standardized' if scaled else ''}, {family}, alpha {alpha:.3g}, r = {near:g}"
    return Race(title, data_name, Objective(family, alpha), near, "softmax", {"alpha": alpha}, peers, scaled)


def _svm(data_name, family, squared, near, n_rows, floor, alpha=None):
    """LinearSVC without intercept: by its dual and, where that takes the loss, by the primal problem."""
    share = "1/n" if alpha is None else f"{alpha:.3g}"
    alpha = 1 / n_rows if alpha is None else alpha
    loss = "squared_hinge" if squared else "hinge"
    by_tol = family == "crammer_singer"
    peers = tuple(
        Peer(
            "linear_svc",
            {
                "loss": loss,
                "multi_class": "crammer_singer" if by_tol else "ovr",
                "C": 1 / (alpha * n_rows),
                "fit_intercept": False,
                "dual": dual,
                **({} if by_tol else {"tol": 1e-12}),
            },
            floor,
            budget=1.0 if by_tol else 4,
            remark="" if dual else "primal",
            knob="tol" if by_tol else "max_iter",
        )
        for dual in ((True, False) if squared and family == "hinge" else (True,))
    )
    of_many = {} if family == "hinge" else {"multi_class": family}
    ours = {"alpha": alpha, "loss": loss, **of_many, "fit_intercept": False, "calibration": None}
    name = f"two classes, {loss}" if family == "hinge" else f"{family} {loss}"
    title = f"{data_name}, {name}, alpha {share}, no intercept, r = {near:g}"
    return Race(title, data_name, Objective(family, alpha, squared=squared), near, "svm", ours, peers)


def _no_intercept(race, floor, n_rows):
    """The same race without intercepts, which liblinear would penalize, against that."""
    liblinear = _logistic(race.objective.alpha, n_rows, floor, liblinear=4)[0]
    peer = replace(liblinear, params={**liblinear.params, "fit_intercept": False})
    params = {**race.params, "fit_intercept": False}
    return replace(race, title=f"{race.title}, no intercept", params=params, peers=(peer,))


def _races():
    mnist, news, clinc, letter, covtype, a9a, cifar = 60_000, 11_314, 15_000, 16_000, 16_000, 32_561, 10_000
    for alpha in (1e-3, 1e-4, 1e-5):
        peers = _logistic(alpha, mnist, 25, lbfgs=80, newton_cg=8)
        yield _softmax("mnist", alpha, 1e-4, peers + _intelex(alpha, mnist, 8) + _torch(alpha, 10))
    for factor in (1, 10):
        alpha = 1 / (factor * news)
        sgd = Peer("sgd_log", {"alpha": alpha}, 1.0, remark="its one fit")
        peers = (*_logistic(alpha, news, 10, lbfgs=15, saga=5, newton_cg=4), sgd)
        yield _softmax("newsgroups20", alpha, 1e-3, peers)
    for factor in (1, 10):
        alpha = 1 / (factor * clinc)
        yield _softmax("clinc150", alpha, 1e-3, _logistic(alpha, clinc, 5, lbfgs=15, saga=5, newton_cg=4))
    for name, n_rows, scaled in (("letter", letter, False), ("covtype20k", covtype, True)):
        for alpha in (1e-3, 1e-4):
            peers = _logistic(alpha, n_rows, 5, lbfgs=20, newton_cg=4, newton_cholesky=3, saga=10)
            yield _softmax(name, alpha, 1e-3, peers, scaled=scaled)
    for name, n_rows in (("newsgroups20", news), ("mnist", mnist)):
        for squared in (False, True):
            yield _svm(name, "ovr", squared, 1e-3, n_rows, 5)
    for name, n_rows in (("newsgroups20", news), ("clinc150", clinc), ("mnist", mnist)):
        yield _svm(name, "crammer_singer", False, 1e-3, n_rows, 30)
    peers = _logistic(1e-4, a9a, 2, lbfgs=20, newton_cholesky=3, newton_cg=4)
    race = _softmax("a9a", 1e-4, 1e-4, peers, family="logistic")
    yield from (race, _no_intercept(race, 2, a9a), _svm("a9a", "hinge", True, 1e-4, a9a, 2, alpha=1e-4))
    peers = _logistic(1e-4, 100_000, None, lbfgs=10, newton_cholesky=2, newton_cg=3)
    race = _softmax("tall", 1e-4, 1e-4, peers, family="logistic")
    yield from (race, _no_intercept(race, None, 100_000))
    for squared in (False, True):
        yield _svm("tall", "hinge", squared, 1e-3, 100_000, None, alpha=1e-4)
    peers = _logistic(1e-3, cifar, 10, lbfgs=40, newton_cg=4, saga=10)
    yield _softmax("cifar10_small", 1e-3, 1e-3, peers)


RACES = tuple(_races())
DATA = tuple(dict.fromkeys(race.data for race in RACES))


@lru_cache(2)
def _load(name, scaled):
    dataset = data.load(name)
    X = dataset.X_train
    return (StandardScaler().fit_transform(X) if scaled else X), dataset.y_train


def run(data_names, competitor_names, repeats):
    """Yield a table a race."""
    for race in RACES:
        if race.data not in data_names:
            continue
        yield f"### {race.title}\n\n{_table(race, competitor_names, repeats)}"


def _table(race, competitor_names, repeats):
    X, y = _load(race.data, race.scaled)
    best = _optimum(race, X, y)
    tol, ours = race.near, 0.0
    for power in range(1, 7):  # the largest tolerance that still ends within r
        estimator = competitors.get(race.ours).make(**race.params, tol=race.near * OUR_GROWTH**power)
        ours = _fit(estimator, X, y, ours=True)
        if _distance(race, estimator, X, y, best) > race.near:
            break
        tol = estimator.tol
    runners = [(race.ours, competitors.get(race.ours).label, {**race.params, "tol": tol}, None, True)]
    lost = []
    for peer in race.peers:
        if competitor_names is not None and peer.name not in competitor_names:
            continue
        if competitors.get(peer.name).missing():
            report.note(f"{peer.label}: skipped, {competitors.get(peer.name).missing()}")
            continue
        budget, seconds, near = _budget(
            race, peer, X, y, best, PATIENCE + PATIENCE_BY_FLOOR * (peer.floor or 1) * ours
        )
        params = peer.params if budget is None else {**peer.params, peer.knob: budget}
        if seconds is None:
            runners.append((peer.name, peer.label, params, peer.floor, False))
        else:
            lost.append((peer, seconds, near))
    times = [[] for _ in runners]
    near = [0.0] * len(runners)
    for _ in range(repeats):
        for i, (name, _, params, _, is_ours) in enumerate(runners):
            estimator = competitors.get(name).make(**params)
            times[i].append(_fit(estimator, X, y, ours=is_ours))
            near[i] = _distance(race, estimator, X, y, best)
    base = median(times[0])
    rows = []
    for (_, label, params, floor, _), seconds, distance in zip(runners, times, near, strict=True):
        ratio = median(seconds) / base
        verdict = report.verdict(ratio, at_least=floor) if floor else "-"
        shown = "-" if distance is None else f"{distance:.1e}"
        set_to = ", ".join(f"{key} {params[key]:.3g}" for key in ("tol", "max_iter") if key in params)
        rows.append([label, set_to, f"{median(seconds):.3f}", f"{ratio:.1f}", shown, verdict])
    for peer, seconds, distance in lost:
        verdict = report.verdict(seconds / base, at_least=peer.floor) if peer.floor else "-"
        rows.append(
            [peer.label, "-", f"> {seconds:.1f}", f"> {seconds / base:.1f}", f"{distance:.1e}", verdict]
        )
    headers = ["estimator", "set to", "seconds, median", "ratio to ours", "(F - F*) / F*", "floor"]
    return report.table(headers, rows)


def _optimum(race, X, y):
    estimator = competitors.get(race.ours).make(**race.params, tol=race.near / 10, max_iter=3000)
    report.fit(estimator, X, y)
    return of_fit(race.objective, estimator, X, y) - estimator.dual_gap_ / 2


def _distance(race, estimator, X, y, best):
    """(F - F*) / F*; None where the estimator minimizes something else."""
    if isinstance(getattr(estimator, "loss", None), str) and estimator.loss == "log_loss":
        return None
    return (of_fit(race.objective, estimator, X, y) - best) / best


def _budget(race, peer, X, y, best, patience):
    """The least budget that gets there; or None, the seconds of the longest fit, and how near it came."""
    if peer.name == "sgd_log":
        return None, None, None
    budget = peer.budget
    while True:
        estimator = competitors.get(peer.name).make(**peer.params, **{peer.knob: budget})
        seconds = _fit(estimator, X, y, ours=False)
        near = _distance(race, estimator, X, y, best)
        if near <= race.near:
            return budget, None, near
        if seconds * GROWTH > patience:
            return budget, seconds, near
        budget = int(np.ceil(budget * GROWTH)) if peer.knob == "max_iter" else budget / OUR_GROWTH


def _fit(estimator, X, y, *, ours):
    with threadpool_limits(1) if ours else nullcontext():
        return report.fit(estimator, X, y)[0]
