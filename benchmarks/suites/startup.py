"""Start-up: seconds of the first fit ever, which compiles, and of the first fit of a later process.

Every run is a process of its own; the cache of compiled kernels is an empty folder at first.
"beyond" is import + first fit less the next, equal fit; scikit-learn is imported before.
"""

import tempfile
from statistics import median

from .. import report
from .process import run_python

DATA = ()
COMPETITORS = ()
REPEATS = 3
COMPILE_CEILING = 5.0
LATER_CEILING = 0.6
FITS = (("SoftmaxClassifier", "dense"), ("SoftmaxClassifier", "csr"), ("LinearSVMClassifier", "dense"))
KEYS = ("sklearn", "import", "first", "second")


def run(data_names, competitor_names, repeats):
    """Yield the table of compiling and the table of later processes."""
    compiling, later = [], []
    for fit in FITS:
        title = ", ".join(fit)
        with tempfile.TemporaryDirectory() as cache:
            cold = _figures(fit, cache)
            warm = [_figures(fit, cache) for _ in range(repeats)]
        seconds = cold["first"] - cold["second"]
        floor = report.verdict(seconds, below=COMPILE_CEILING)
        compiling.append([title, f"{cold['first']:.2f}", f"{cold['second']:.3f}", f"{seconds:.2f}", floor])
        parts = [f"{median(run[key] for run in warm):.3f}" for key in KEYS]
        beyond = median(run["import"] + run["first"] - run["second"] for run in warm)
        later.append([title, *parts, f"{beyond:.3f}", report.verdict(beyond, below=LATER_CEILING)])
    yield report.table(["first fit ever", "first fit s", "next fit s", "compile s", "floor"], compiling)
    headers = ["later process", "import sklearn s", "import ours s", "first fit s", "next fit s", "beyond s"]
    yield report.table([*headers, "floor"], later)


def _figures(fit, cache):
    return run_python("benchmarks.startup_child", *fit, NUMBA_CACHE_DIR=cache)
