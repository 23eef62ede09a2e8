"""Peak memory of a fit on C-contiguous float32, 100,000 x 1,000, as a multiple of X.

Each fit runs in a process of its own: X is made and touched, the kernels are warm, then the peak of
the resident set over what was resident before the fit counts. 1 means that nothing was added to X.
"""

import json
import sys
import warnings
from pathlib import Path

import numpy as np

from .. import competitors, report
from .process import run_python

DATA = ()
COMPETITORS = ()
REPEATS = 1
CEILING = 1.2
SHAPE = (100_000, 1_000)
FITS = {
    "svm, early stopping": ("svm", {"early_stopping": True}),
    "svm, calibration": ("svm", {}),
    "softmax": ("softmax", {}),
}


def run(data_names, competitor_names, repeats):
    """Yield one table; the worst of the repeats counts."""
    rows = []
    for title in FITS:
        runs = [run_python("benchmarks.suites.memory", title) for _ in range(repeats)]
        worst = max(runs, key=lambda figures: figures["growth"])
        ratio = 1 + worst["growth"] / worst["X"]
        mega = [f"{worst[key] / 1e6:.0f}" for key in ("X", "growth")]
        rows.append([title, *mega, f"{ratio:.3f}", report.verdict(ratio, below=CEILING)])
    yield report.table(["fit", "X, MB", "growth, MB", "peak / X", "floor"], rows)


def _child(title):
    """Measure one fit in this process."""
    name, params = FITS[title]
    rng = np.random.default_rng(0)
    X = rng.random(SHAPE, dtype=np.float32)  # float32 at once: a float64 draft would be the peak
    y = rng.integers(10, size=len(X))
    make = competitors.get(name).make
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        make(max_iter=2, **params).fit(X[:500], y[:500])
        before = reset_peak()
        make(max_iter=2, **params).fit(X, y)
    print(json.dumps({"X": X.nbytes, "growth": peak() - before}))


def reset_peak():
    """Bytes resident now, after forgetting the peak so far where the system can."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return peak()
    return _status("VmRSS")


def peak():
    """Largest resident set so far, in bytes."""
    if Path("/proc/self/status").exists():
        return _status("VmHWM")
    import resource  # absent on Windows

    usage = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return usage if sys.platform == "darwin" else usage * 1024


def _status(field):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {field}")


if __name__ == "__main__":
    _child(sys.argv[1])
