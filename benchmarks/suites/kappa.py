"""Passes of dual ascent to a relative gap of 1e-4: with kappa fixed at multiples of its choice, and changing.

This is what `solvers/proximal.py` and `solvers/kappa.py` are measured by: "-" for more than 150 passes. The
certificate after each pass is no part of the run. Tables named "clusters" are generated: unit noise around
class means, in all directions alike or with a spectrum that falls, as embeddings have.
"""

from unittest import mock

import numpy as np
from sklearn.preprocessing import StandardScaler

from sklearn_lossopt.certificate import BestBound, certify
from sklearn_lossopt.kernels import losses
from sklearn_lossopt.penalties import ElasticNet
from sklearn_lossopt.problem import Problem, as_rows
from sklearn_lossopt.solvers import dual

from .. import data, report
from .many_classes import make_clusters

DATA = ("letter", "covtype20k", "mnist", "cifar10_small")
REPEATS = 1
MULTIPLES = (1 / 30, 1 / 10, 1 / 3, 1, 3)
NEAR, MOST = 1e-4, 150
SOFTMAX, HINGE, SQUARED = losses.SOFTMAX, losses.WESTON_WATKINS, losses.WESTON_WATKINS + losses.SQUARED
NAMES = {SOFTMAX: "softmax", HINGE: "hinge", SQUARED: "squared hinge"}
OF_DATA = ((SOFTMAX, 1e-3), (SOFTMAX, 1e-4), (HINGE, 1e-3), (SQUARED, 1e-3))


def falling_clusters(size, power, apart, seed=0):
    """Rows around means, both with variances ``j^-power`` along turned axes, the means' times ``apart^2``."""
    n_rows, n_features, n_classes = size
    rng = np.random.default_rng(seed)
    spread = (np.arange(1, n_features + 1) ** (-power / 2)).astype(np.float32)
    means = rng.standard_normal((n_classes, n_features), dtype=np.float32) * spread
    y = rng.integers(n_classes, size=n_rows)
    y[:n_classes] = np.arange(n_classes)
    X = apart * means[y] + rng.standard_normal((n_rows, n_features), dtype=np.float32) * spread
    turn = np.linalg.qr(rng.standard_normal((n_features, n_features)))[0].astype(np.float32)
    return np.ascontiguousarray(X @ turn), y


GENERATED = (
    (lambda: make_clusters((20_000, 512, 10))[:2], "20,000 x 512, 10", ((SOFTMAX, 5e-4),)),
    (lambda: make_clusters((20_000, 512, 50))[:2], "20,000 x 512, 50", ((SOFTMAX, 5e-4), (HINGE, 5e-4))),
    (
        lambda: make_clusters((20_000, 512, 200))[:2],
        "20,000 x 512, 200",
        ((SOFTMAX, 5e-4), (SOFTMAX, 5e-5), (HINGE, 5e-4)),
    ),
    (
        lambda: falling_clusters((20_000, 256, 50), 0.5, 0.5),
        "20,000 x 256, spectrum 1 / sqrt(j), 50",
        ((SOFTMAX, 5e-5),),
    ),
    (
        lambda: falling_clusters((20_000, 256, 50), 1.0, 0.5),
        "20,000 x 256, spectrum 1 / j, 50",
        ((SOFTMAX, 5e-5), (HINGE, 5e-5)),
    ),
)


def run(data_names, competitor_names, repeats):
    """Yield a table a data set, raw and standardized, then one of generated rows."""
    for name in data_names:
        dataset = data.load(name)
        X, y = dataset.X_train, np.unique(dataset.y_train, return_inverse=True)[1]
        rows = []
        for kind, Z in (("as it is", X), ("standardized", StandardScaler().fit_transform(X))):
            rows += [_row(kind, Z, y, loss, alpha) for loss, alpha in OF_DATA]
        yield f"{dataset}\n\n{_table(rows)}"
    rows = []
    for make, name, problems in GENERATED:
        X, y = make()
        rows += [_row(f"{name} classes", X, y, loss, alpha) for loss, alpha in problems]
    yield f"**clusters**\n\n{_table(rows)}"


def _table(rows):
    fixed = [f"kappa x {multiple:.2g}" for multiple in MULTIPLES]
    return report.table(["rows", "loss", "alpha", *fixed, "as it changes"], rows)


def _row(kind, X, y, loss, alpha):
    problem = Problem(
        rows=as_rows(np.ascontiguousarray(X)),
        index=np.arange(len(y), dtype=np.int32),
        target=y.astype(np.int32),
        weight=np.ones(len(y), X.dtype),
        loss=loss,
        n_outputs=int(y.max()) + 1,
        penalty=ElasticNet(alpha),
        fit_intercept=True,
    )
    passes = []
    for multiple in MULTIPLES:
        kappa = multiple * dual.choose_kappa(problem)
        with (
            mock.patch.object(dual, "choose_kappa", return_value=kappa),
            mock.patch.object(dual, "rule_for", return_value=None),
        ):
            passes.append(_passes(problem))
    return [kind, NAMES[loss], f"{alpha:g}", *passes, _passes(problem)]


def _passes(problem):
    """Passes after which the gap is small enough, or "-"."""
    ascent, bound = dual.DualAscent(None, True), BestBound()
    state = ascent.start(problem, problem.model(), np.random.default_rng(0))
    for n_passes in range(1, MOST + 1):
        ascent.run_pass(problem, state, 1.0)
        here = bound.improve(certify(problem, ascent.model(problem, state), state.arrays.dual))
        if here.gap <= NEAR * here.objective:
            return n_passes
    return "-"
