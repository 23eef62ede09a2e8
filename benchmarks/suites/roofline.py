"""How near the kernels come to the machine's limit, on one thread.

The bound is max(bytes / bandwidth, flops / peak). Bandwidth is that of summing an array far beyond the
caches, peak that of a matrix product. Bytes are X once and what weights, gradient and optimizer state
move beyond a second-level cache of 1 MB: each read and written once a step if all together exceed it;
to predict sparse rows, whole cache lines read once for a run of rows that use as much, but for what the
run before used. A multiply-add is two flops, an epoch two products with X (passes over dense rows take a
third, for the objective). Seconds of an epoch are the difference of fits of 6 and of 2 passes. What a
third-level cache holds moves faster than memory does, so ratios can fall below 1.
"""

import math
import time
import warnings
from dataclasses import dataclass
from functools import partial
from statistics import median

import numba
import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from sklearn_lossopt import SoftmaxClassifier

from .. import data, report

DATA = ("mnist", "newsgroups20", "clinc150")
COMPETITORS = ("logistic_regression", "logistic_regression_saga")
REPEATS = 3
L2 = 1 << 20
LINE = 64
STEPS = 20_000  # of an epoch, at most: small batches would take long
SECONDS = 0.02  # of an epoch, by the bound
MOST_BYTES = 300 << 20  # of X
PASSES = 2, 6
DENSE_CEILING, PREDICT_CEILING, PREDICT_FLOOR, CSR_FLOOR = 2.0, 1.5, 0.95, 3.0  # 5% is noise
PREDICTION_SHAPES = (
    (500_000, 16, 1),
    (500_000, 16, 3),
    (500_000, 16, 10),
    (50_000, 784, 1),
    (50_000, 784, 10),
    (10_000, 3072, 100),
    (20_000, 512, 1000),
)
SPARSE_SHAPE, SPARSE_PER_ROW, SPARSE_CLASSES = (1_000_000, 100_000), 20, 20


def _dense_cells():
    """Features, outputs (1: two classes), batch size and dtype: not the whole product, to save time."""
    for n_features in (16, 784, 3072):
        for n_outputs in (1, 10, 100):
            for batch in (32, 128):
                yield n_features, n_outputs, batch, np.float32
        for batch in (1, 512):
            yield n_features, 10, batch, np.float32
        yield n_features, 10, 128, np.float64
    for batch in (32, 128):
        yield 784, 1000, batch, np.float32


DENSE = tuple(_dense_cells())


@dataclass(frozen=True)
class Machine:
    """Bytes a second, and flops a second by dtype."""

    bandwidth: float
    peak: dict

    def bound(self, n_bytes, flops, dtype):
        """Least seconds, and which of both limits."""
        memory, compute = n_bytes / self.bandwidth, flops / self.peak[np.dtype(dtype).name]
        return max(memory, compute), "memory" if memory > compute else "compute"


@numba.njit(fastmath=True)
def _sum(values):
    total = 0.0
    for value in values:
        total += value
    return total


def measure_machine(n_bytes=1 << 29, side=2048):
    """Bandwidth of a sum over `n_bytes`, peaks of products of square matrices; best of five."""
    values = np.ones(n_bytes // 8)
    peak = {}
    for dtype in (np.float32, np.float64):
        square = np.random.default_rng(0).random((side, side)).astype(dtype)
        out = np.empty_like(square)
        peak[np.dtype(dtype).name] = 2 * side**3 / _best(lambda a=square, b=out: np.dot(a, a, out=b))
    return Machine(n_bytes / _best(lambda: _sum(values)), peak)


def run(data_names, competitor_names, repeats):
    """Yield the machine's limits and a table for each kind of kernel."""
    names = COMPETITORS if competitor_names is None else competitor_names
    with threadpool_limits(1):
        machine = measure_machine()
        peaks = ", ".join(f"{1e-9 * peak:.0f} Gflop/s in {name}" for name, peak in machine.peak.items())
        yield f"Memory bandwidth {1e-9 * machine.bandwidth:.1f} GB/s; peak {peaks}."
        yield f"### Dense epochs, momentum\n\n{_dense_table(machine, repeats)}"
        loaded = {name: data.load(name) for name in data_names}
        rows_of = {name: (dataset.X_train, dataset.y_train) for name, dataset in loaded.items()}
        saga = "logistic_regression_saga" in names
        yield f"### CSR epochs, momentum\n\n{_csr_table(machine, rows_of, saga, repeats)}"
        peer = "logistic_regression" in names
        yield f"### Prediction\n\n{_prediction_table(machine, rows_of, peer, repeats)}"
        certified = {name: rows_of[name] for name in ("mnist", "newsgroups20") if name in rows_of}
        if certified:
            yield f"### Passes of sdca\n\n{_certified_table(machine, certified, repeats)}"


# ------------------------------------------------------------------------------------------ clocks


def _best(call, repeats=5):
    return min(_seconds(call) for _ in range(repeats + 1))


def _seconds(call):
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def _medians(calls, repeats):
    """Median seconds of each, in turn; the first round is the warm-up."""
    rounds = [[_seconds(call) for call in calls] for _ in range(repeats + 1)]
    return [median(times) for times in zip(*rounds[1:], strict=True)]


def _epoch(make, X, y, repeats):
    """Median seconds of a pass, fits of fewer and of more passes in turn."""
    few, many = PASSES
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        make(max_iter=1).fit(X, y)
        return median(
            (_seconds(lambda: make(max_iter=many).fit(X, y)) - _seconds(lambda: make(max_iter=few).fit(X, y)))
            / (many - few)
            for _ in range(repeats)
        )


def _momentum(batch):
    def make(max_iter):
        return SoftmaxClassifier(
            solver="momentum",
            learning_rate=1e-3,
            schedule="constant",
            batch_size=batch,
            tol=None,
            max_iter=max_iter,
            random_state=0,
        )

    return make


def _sdca(max_iter):
    return SoftmaxClassifier(solver="sdca", tol=None, max_iter=max_iter, random_state=0)


def _saga(max_iter):
    return LogisticRegression(solver="saga", tol=0, max_iter=max_iter, random_state=0)


# ------------------------------------------------------------------------------------------ bounds


def _dense_work(n_rows, n_features, n_outputs, batch, dtype):
    """Bytes and flops of an epoch of momentum: weights, gradient and velocity, each read and written."""
    itemsize = np.dtype(dtype).itemsize
    state = 3 * n_features * n_outputs * itemsize
    moved = 2 * state * -(-n_rows // batch) if state > L2 else 0
    return n_rows * n_features * itemsize + moved, 4 * n_rows * n_features * n_outputs


def _csr_bytes(X):
    return X.data.nbytes + X.indices.nbytes + X.indptr.nbytes


def _csr_work(X, n_outputs, batch):
    """The same for CSR, where a step moves the features of its rows only."""
    state = 3 * X.shape[1] * n_outputs * X.dtype.itemsize
    touched = 0
    if state > L2:
        order = np.random.default_rng(0).permutation(X.shape[0])
        for start in range(0, len(order), batch):
            touched += len(np.unique(X[order[start : start + batch]].indices))
    moved = 2 * 3 * touched * n_outputs * X.dtype.itemsize
    return _csr_bytes(X) + moved, 4 * X.nnz * n_outputs


def _predict_work(X, n_outputs):
    """X and the scores once each, coefficients as they come from beyond L2, and a product."""
    line = n_outputs * X.dtype.itemsize
    scores = X.shape[0] * line
    if sparse.issparse(X):
        # On average over where it begins, a line of coefficients lies in so many bytes of whole cache lines.
        spanned = line + LINE - math.gcd(line, LINE)
        return _csr_bytes(X) + scores + _lines_moved(X, spanned) * spanned, 2 * X.nnz * n_outputs
    coef = X.shape[1] * line
    return X.nbytes + scores + (coef if coef > L2 else 0), 2 * X.size * n_outputs


def _lines_moved(X, n_bytes):
    """Features' lines of so many bytes that come from beyond L2, rows visited in order.

    Of each run of rows whose lines fill it: those that the run before has not used.
    """
    run = np.full(X.shape[1], -2)
    number = n_moved = n_held = 0
    for start, stop in zip(X.indptr[:-1], X.indptr[1:], strict=True):
        features = X.indices[start:stop]
        last = run[features]
        n_new = np.count_nonzero(last != number)
        if (n_held + n_new) * n_bytes > L2:
            number, n_held, n_new = number + 1, 0, len(features)
        n_moved += np.count_nonzero(last < number - 1)
        n_held += n_new
        run[features] = number
    return n_moved


def _certified_work(X, n_outputs):
    """X once, dual variables read and written; weights are not counted, as rows pause."""
    size, X_bytes = (X.nnz, _csr_bytes(X)) if sparse.issparse(X) else (X.size, X.nbytes)
    return X_bytes + 2 * X.shape[0] * n_outputs * X.dtype.itemsize, 4 * size * n_outputs


# ------------------------------------------------------------------------------------------ tables


def _cells(machine, seconds, work, dtype, ceiling=None):
    bound, limit = machine.bound(*work, dtype)
    ratio = seconds / bound
    verdict = report.verdict(ratio, below=ceiling) if ceiling else "-"
    return [f"{1e3 * seconds:.2f}", f"{1e3 * bound:.2f}", limit, f"{ratio:.2f}", verdict]


def _dense_table(machine, repeats):
    rows = []
    for n_features, n_outputs, batch, dtype in DENSE:
        n_rows = _n_rows(machine, n_features, n_outputs, batch, dtype)
        X, y = _dense_rows(n_rows, n_features, n_outputs, dtype)
        seconds = _epoch(_momentum(batch), X, y, repeats)
        work = _dense_work(n_rows, n_features, n_outputs, batch, dtype)
        ceiling = DENSE_CEILING if batch >= 32 else None
        title = [np.dtype(dtype).name, n_features, n_outputs, batch, n_rows]
        rows.append(title + _cells(machine, seconds, work, dtype, ceiling))
    headers = [
        "dtype",
        "features",
        "outputs",
        "batch",
        "rows",
        "ms",
        "bound, ms",
        "limit",
        "ms / bound",
        "target",
    ]
    return report.table(headers, rows)


def _n_rows(machine, n_features, n_outputs, batch, dtype):
    """As many rows as the bound does in `SECONDS`; at least some batches."""
    per_row = machine.bound(*_dense_work(batch, n_features, n_outputs, batch, dtype), dtype)[0] / batch
    most = MOST_BYTES // (n_features * np.dtype(dtype).itemsize)
    n_rows = min(int(SECONDS / per_row), STEPS * batch, most, 1_000_000)
    return max(n_rows, 4 * batch, 2 * n_outputs)


def _dense_rows(n_rows, n_features, n_outputs, dtype):
    rng = np.random.default_rng(0)
    y = np.arange(n_rows) % max(n_outputs, 2)
    rng.shuffle(y)
    return rng.random((n_rows, n_features), dtype=dtype), y


def _sparse_rows():
    rng = np.random.default_rng(0)
    n_rows, n_features = SPARSE_SHAPE
    # saga takes 32-bit indices only.
    column = rng.integers(n_features, size=n_rows * SPARSE_PER_ROW, dtype=np.int32)
    value = rng.random(len(column), dtype=np.float32)
    start = np.arange(0, len(column) + 1, SPARSE_PER_ROW, dtype=np.int32)
    X = sparse.csr_array((value, column, start), shape=SPARSE_SHAPE)
    X.sum_duplicates()
    return X, rng.integers(SPARSE_CLASSES, size=n_rows)


def _csr_table(machine, rows_of, with_saga, repeats, batch=128):
    rows = []
    real = {name: pair for name, pair in rows_of.items() if sparse.issparse(pair[0])}
    for name, (X, y) in {**real, "synthetic": _sparse_rows()}.items():
        n_outputs = len(np.unique(y))
        seconds = _epoch(_momentum(batch), X, y, repeats)
        cells = _cells(machine, seconds, _csr_work(X, n_outputs, batch), X.dtype)[:-1]
        if with_saga:
            saga = _epoch(_saga, X, y, repeats)
            cells += [
                f"{1e3 * saga:.2f}",
                report.verdict(saga / seconds, at_least=CSR_FLOOR),
                f"{saga / seconds:.2f}",
            ]
        else:
            cells += ["-", "-", "-"]
        rows.append([name, f"{X.shape[0]} x {X.shape[1]}", n_outputs, *cells])
    headers = [
        "data",
        "shape",
        "outputs",
        "ms",
        "bound, ms",
        "limit",
        "ms / bound",
        "saga, ms",
        "target",
        "saga / ours",
    ]
    return report.table(headers, rows)


def _prediction_table(machine, rows_of, with_peer, repeats):
    tables = [(f"{n} x {d}", *_dense_rows(n, d, k, np.float32)) for n, d, k in PREDICTION_SHAPES]
    tables += [(name, X, y) for name, (X, y) in rows_of.items()]
    rows = []
    for name, X, y in tables:
        ours, peer = _equal_models(X, y)
        n_outputs = len(ours.coef_)
        for method in ("decision_function", "predict", "predict_proba"):
            models = (ours, peer) if with_peer else (ours,)
            seconds, *theirs = _medians([partial(getattr(m, method), X) for m in models], 2 * repeats)
            cells = _cells(machine, seconds, _predict_work(X, n_outputs), X.dtype, PREDICT_CEILING)
            if with_peer:
                ratio = theirs[0] / seconds
                cells += [
                    f"{1e3 * theirs[0]:.2f}",
                    f"{ratio:.2f}",
                    report.verdict(ratio, at_least=PREDICT_FLOOR),
                ]
            else:
                cells += ["-", "-", "-"]
            rows.append([name, n_outputs, method, *cells])
    headers = ["data", "outputs", "method", "ms", "bound, ms", "limit", "ms / bound", "target"]
    return report.table([*headers, "scikit-learn, ms", "ratio to ours", "target"], rows)


def _equal_models(X, y):
    """Ours after a pass, and a LogisticRegression with the same coefficients."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        ours = _momentum(128)(max_iter=1).fit(X, y)
    peer = LogisticRegression()
    for name in ("classes_", "coef_", "intercept_", "n_features_in_"):
        setattr(peer, name, getattr(ours, name))
    return ours, peer


def _certified_table(machine, rows_of, repeats):
    rows = []
    for name, (X, y) in rows_of.items():
        n_outputs = len(np.unique(y))
        seconds = _epoch(_sdca, X, y, repeats)
        rows.append([name, n_outputs, *_cells(machine, seconds, _certified_work(X, n_outputs), X.dtype)[:-1]])
    return report.table(["data", "outputs", "ms", "bound, ms", "limit", "ms / bound"], rows)
