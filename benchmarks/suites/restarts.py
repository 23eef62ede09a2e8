"""Certified fits that do not begin from nothing: warm starts, regularization paths, threads.

"warm / cold" is the time of a fit from the coefficients and dual variables of an earlier one over that of
a fit of its own: after alpha was halved, and after a hundredth of the rows was new. "path / last" is 20
alphas by `regularization_path` over a cold fit at the last of them, which is a thousandth of the first.
"one / two threads" is the time of a fit with ``n_jobs=1`` over that with 2, and whether two fits with
2 give the same bits. "arithmetic" is the same of sums in registers alone, before each of these fits: what the
machine has of a second core. Medians, alternating.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median

import numba
import numpy as np
from sklearn.base import clone
from sklearn.utils import shuffle

from sklearn_lossopt import regularization_path

from .. import competitors, data, report

DATA = ("letter", "covtype20k", "newsgroups20", "clinc150", "mnist")
COMPETITORS = ("softmax", "svm")
REPEATS = 3
ALPHA = 1e-3
HEADERS = [
    "data",
    "estimator",
    "cold s",
    "warm / cold, alpha / 2",
    "warm / cold, 1% new rows",
    "path / last",
    "one / two threads",
    "arithmetic",
    "same bits",
]


def run(data_names, competitor_names, repeats):
    """Yield the sources and one table."""
    rows, sources = [], []
    for name in data_names:
        dataset = data.load(name)
        sources.append(f"- {dataset}")
        rows += [_row(kind, dataset, repeats) for kind in competitor_names or COMPETITORS]
    yield "\n".join(sources)
    yield report.table(HEADERS, rows)


def _row(kind, dataset, repeats):
    X, y = shuffle(dataset.X_train, dataset.y_train, random_state=0)  # some come class by class
    model = competitors.get(kind).make(alpha=ALPHA, solver="sdca")
    if kind == "svm":
        model.set_params(calibration=None)
    report.warm_up(clone(model), X, y)
    times = {name: [] for name in ("cold", "half cold", "half warm", "new cold", "new warm", "two")}
    arithmetic = []
    kept = _but_a_hundredth(X.shape[0])
    two = []
    for _ in range(repeats):
        times["cold"].append(_seconds(clone(model), X, y))
        times["half cold"].append(_seconds(clone(model).set_params(alpha=ALPHA / 2), X, y))
        warm = clone(model).set_params(warm_start=True)
        _seconds(warm, X, y)
        times["half warm"].append(_seconds(warm.set_params(alpha=ALPHA / 2), X, y))
        times["new cold"].append(_seconds(clone(model), X[kept], y[kept]))
        warm = clone(model).set_params(warm_start=True)
        _seconds(warm, X[: len(kept)], y[: len(kept)])
        times["new warm"].append(_seconds(warm, X[kept], y[kept]))
        arithmetic.append(_scaling())
        two.append(clone(model).set_params(n_jobs=2))
        times["two"].append(_seconds(two[-1], X, y))
    took = {name: median(values) for name, values in times.items()}
    path, last = _path(clone(model), X, y)
    return [
        dataset.name,
        kind,
        report.number(took["cold"], ".3f"),
        report.number(took["half warm"] / took["half cold"], ".2f"),
        report.number(took["new warm"] / took["new cold"], ".2f"),
        report.number(path / last, ".2f"),
        report.number(took["cold"] / took["two"], ".2f"),
        report.number(median(arithmetic), ".2f"),
        "yes" if all((fit.coef_ == two[0].coef_).all() for fit in two) else "no",
    ]


def _but_a_hundredth(n_rows):
    """Numbers of rows 0 to 0.99 n - 1 in which a hundredth are replaced by the last of all rows."""
    n_new = max(n_rows // 100, 1)
    kept = np.arange(n_rows - n_new)
    kept[np.random.default_rng(0).choice(len(kept), n_new, replace=False)] = np.arange(n_rows - n_new, n_rows)
    return kept


def _path(model, X, y):
    """Seconds of a path of 20 alphas, and of a fit at the last."""
    regularization_path(model, X, y, n_alphas=2)  # compiles what only paths need
    begin = time.perf_counter()
    path = regularization_path(model, X, y)
    seconds = time.perf_counter() - begin
    return seconds, _seconds(model.set_params(alpha=path.alphas[-1]), X, y)


@numba.njit(nogil=True)
def _add_up(n, step):
    a = b = c = d = step
    for _ in range(n):
        a = a * 0.5 + step
        b = b * 0.25 + step
        c = c * 0.75 + step
        d = d * 0.125 + step
    return a + b + c + d


def _scaling(n=4_000_000):
    """How much more two threads of arithmetic do in the same time than one: 1 to 2."""
    _add_up(1, 1.0)
    begin = time.perf_counter()
    _add_up(n, 1.0)
    alone = time.perf_counter() - begin
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(_add_up, (1, 1), (1.0, 1.0)))
        begin = time.perf_counter()
        list(pool.map(_add_up, (n, n), (1.0, 1.0)))
        return 2 * alone / (time.perf_counter() - begin)


def _seconds(model, X, y):
    return report.fit(model, X, y)[0]
