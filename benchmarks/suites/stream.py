"""`partial_fit` along 10,000,000 rows x 28 features, made chunk by chunk: memory, objective, rows a second.

Each stream runs in a process of its own. Growth is what the peak of resident memory rises by after the
first chunks. The objective of the last million rows is compared with that of the same solver's `fit` on
them; where the stream changes, `fit` sees only what is new. Last, a process whose data may take less
memory than a file fits that file, memory-mapped, and cannot load it (Linux).
"""

import json
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

from sklearn_lossopt import SoftmaxClassifier

from .. import report
from ..objective import Objective
from .memory import peak, reset_peak
from .process import run_python

DATA = ()
COMPETITORS = ()
REPEATS = 1
N_ROWS, N_FEATURES, N_CLASSES = 10_000_000, 28, 5
CHUNK = 10_000
WARM = 20  # chunks before memory counts
LAST = 1_000_000  # rows whose objective counts
ALPHA = 1e-4
GROWTH_CEILING, OBJECTIVE_CEILING = 20, 1.05  # MB; ratio
FILE_ROWS, LIMIT = 20_000_000, 1 << 30  # 2.2 GB; bytes
STREAMS = (
    "stationary",
    "scales drift a hundredfold",
    "scales a thousandfold midway",
    "a class unseen until midway",
    "weights",
)


def run(data_names, competitor_names, repeats):
    """Yield a table of streams and one of the memory-mapped file."""
    rows = []
    for kind in STREAMS:
        runs = [run_python("benchmarks.suites.stream", "stream", kind, str(N_ROWS)) for _ in range(repeats)]
        worst = max(runs, key=lambda figures: figures["growth"])
        growth, ratio = worst["growth"] / 1e6, worst["objective"] / worst["reference"]
        rows.append(
            [
                kind,
                f"{1e-6 * worst['rows_per_second']:.2f}",
                f"{growth:.1f}",
                report.verdict(growth, below=GROWTH_CEILING),
                *(f"{worst[key]:.4f}" for key in ("objective", "reference")),
                f"{ratio:.3f}",
                report.verdict(ratio, below=OBJECTIVE_CEILING),
            ]
        )
    headers = ["stream", "million rows / s", "growth, MB", "target", "objective", "of fit", "ratio", "target"]
    yield report.table(headers, rows)
    if sys.platform == "linux":
        yield _file_table()
    else:
        report.note("stream: memory-mapped file skipped, only Linux limits data without mapped files")


def _file_table():
    with tempfile.TemporaryDirectory() as folder:
        figures = run_python(
            "benchmarks.suites.stream",
            "file",
            folder,
            str(FILE_ROWS),
            str(LIMIT),
            OPENBLAS_NUM_THREADS="1",  # buffers of its threads would count too
        )
    row = [
        *(f"{figures[key] / 1e6:.0f}" for key in ("file", "limit")),
        "MemoryError" if figures["loading_fails"] else "LOADED",
        f"{1e-6 * figures['rows_per_second']:.2f}",
        f"{figures['accuracy']:.4f}",
        f"{figures['best']:.4f}",
    ]
    headers = [
        "file, MB",
        "limit, MB",
        "np.load",
        "million rows / s",
        "accuracy, last chunks",
        "of the truth",
    ]
    return report.table(headers, [row])


# -------------------------------------------------------------------------------------------- data


class Source:
    """A stream's chunks, by number: the same at every call.

    Parameters
    ----------
    kind : str
        One of `STREAMS`.
    n_chunks : int
        Of the whole stream.
    """

    def __init__(self, kind, n_chunks):
        self.kind, self.n_chunks = kind, n_chunks
        rng = np.random.default_rng(0)
        self.coef = rng.standard_normal((N_FEATURES, N_CLASSES), dtype=np.float32) / 2
        self.scale = np.exp(rng.uniform(-3, 3, N_FEATURES)).astype(np.float32)
        self.drift = rng.uniform(-1, 1, N_FEATURES)

    def chunk(self, number):
        """Rows, labels and weights (or None): labels follow scores with Gumbel noise, a softmax model."""
        rng = np.random.default_rng((1, number))
        Z = rng.standard_normal((CHUNK, N_FEATURES), dtype=np.float32)
        scores = Z @ self.coef
        is_late = 2 * number >= self.n_chunks
        if self.kind == "a class unseen until midway" and not is_late:
            scores[:, -1] = -np.inf
        y = (scores + rng.gumbel(size=scores.shape)).argmax(axis=1)
        weight = rng.exponential(size=CHUNK) if self.kind == "weights" else None
        return Z * self._scale(number, is_late), y, weight

    def _scale(self, number, is_late):
        if self.kind == "scales drift a hundredfold":
            return (self.scale * 100 ** (self.drift * number / self.n_chunks)).astype(np.float32)
        if self.kind == "scales a thousandfold midway" and is_late:
            return 1000 * self.scale
        return self.scale

    def truth(self, X):
        """Labels that the model behind the rows holds likeliest, where scales are the first."""
        return ((X / self.scale) @ self.coef).argmax(axis=1)


# ----------------------------------------------------------------------------- processes of their own


def _stream(kind, n_rows):
    n_chunks = int(n_rows) // CHUNK
    source = Source(kind, n_chunks)
    model = SoftmaxClassifier(alpha=ALPHA, solver="momentum", random_state=0)
    classes = np.arange(N_CLASSES)
    seconds, before = 0.0, peak()
    for number in range(n_chunks):
        if number == min(WARM, n_chunks // 2):
            before, seconds = reset_peak(), 0.0
        X, y, weight = source.chunk(number)
        begin = time.perf_counter()
        model.partial_fit(X, y, classes=classes, sample_weight=weight)
        seconds += time.perf_counter() - begin
    growth = peak() - before
    figures = {
        "growth": growth,
        "rows_per_second": (n_chunks - min(WARM, n_chunks // 2)) * CHUNK / seconds,
        **_compare(model, source),
    }
    print(json.dumps(figures))


def _compare(model, source):
    """Objectives of the last rows: of the stream's model and of a fit on them."""
    n_last = min(LAST // CHUNK, max(source.n_chunks // 2, 1))
    chunks = [source.chunk(source.n_chunks - n_last + i) for i in range(n_last)]
    X, y = (np.concatenate([chunk[i] for chunk in chunks]) for i in range(2))
    weight = None if chunks[0][2] is None else np.concatenate([chunk[2] for chunk in chunks])
    reference = SoftmaxClassifier(alpha=ALPHA, solver="momentum", random_state=0)
    reference.fit(X, y, sample_weight=weight)
    objective = Objective("softmax", ALPHA)
    return {
        name: objective(X, y, each.coef_, each.intercept_, weight)
        for name, each in (("objective", model), ("reference", reference))
    }


def _file(folder, n_rows, limit):
    """Write a file, limit this process's data to less than its size, and fit it."""
    import resource  # absent on Windows

    n_chunks, limit, path = int(n_rows) // CHUNK, int(limit), Path(folder) / "X.npy"
    source = Source("stationary", n_chunks)
    X = np.lib.format.open_memmap(path, "w+", np.float32, (n_chunks * CHUNK, N_FEATURES))
    y = np.empty(len(X), dtype=np.uint8)
    for number in range(n_chunks):
        rows = slice(number * CHUNK, (number + 1) * CHUNK)
        X[rows], y[rows], _ = source.chunk(number)
    del X
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    try:
        np.load(path)
        loading_fails = False
    except MemoryError:
        loading_fails = True
    X = np.load(path, mmap_mode="r")
    model = SoftmaxClassifier(alpha=ALPHA, random_state=0)
    begin = time.perf_counter()
    for start in range(0, len(X), CHUNK):
        rows = slice(start, start + CHUNK)
        model.partial_fit(X[rows], y[rows], classes=np.arange(N_CLASSES))
    seconds = time.perf_counter() - begin
    last = slice(-10 * CHUNK, None)
    figures = {
        "file": path.stat().st_size,
        "limit": limit,
        "loading_fails": loading_fails,
        "rows_per_second": len(X) / seconds,
        "accuracy": model.score(X[last], y[last]),
        "best": float(np.mean(source.truth(X[last]) == y[last])),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    {"stream": _stream, "file": _file}[sys.argv[1]](*sys.argv[2:])
