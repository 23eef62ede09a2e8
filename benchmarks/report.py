"""What the suites share: markdown, clocks, warnings turned into notes."""

import os
import platform
import sys
import time
import warnings
from contextlib import suppress
from importlib import metadata

import numpy as np
from sklearn.exceptions import ConvergenceWarning

PACKAGES = ("sklearn-lossopt", "numpy", "scipy", "scikit-learn", "numba", "torch")


def note(message):
    """Say something on stderr, so that stdout stays a report."""
    print(message, file=sys.stderr, flush=True)


def machine():
    """One line about versions, cores and load: figures mean little without it."""
    versions = []
    for package in PACKAGES:
        try:
            versions.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            versions.append(f"no {package}")
    python = f"Python {platform.python_version()}"
    # a busy machine makes threads that wait for one another many times slower: say so with the figures
    load = f", load {os.getloadavg()[0]:.1f} at the start" if hasattr(os, "getloadavg") else ""
    return f"{python}, {', '.join(versions)}; {platform.machine()}, {os.cpu_count()} cores{load}"


def table(headers, rows):
    """A markdown table, numbers already formatted by the caller."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def number(value, form=".4f"):
    """Format a figure; "-" for None."""
    return "-" if value is None else format(value, form)


def verdict(value, *, at_least=None, below=None):
    """A floor and whether a figure meets it."""
    if at_least is not None:
        return f">= {at_least:g}: {'met' if value >= at_least else 'MISSED'}"
    return f"< {below:g}: {'met' if value < below else 'MISSED'}"


def fit(estimator, X, y):
    """Fit and return seconds and notes: warnings become a few words in the table."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        begin = time.perf_counter()
        estimator.fit(X, y)
        seconds = time.perf_counter() - begin
    return seconds, sorted({_in_short(warning) for warning in caught})


def _in_short(warning):
    text = " ".join(str(warning.message).split())
    if issubclass(warning.category, ConvergenceWarning):
        return "diverged" if "diverged" in text else "did not converge"
    return f"{warning.category.__name__}: {text[:60]}"


def warm_up(estimator, X, y, n_rows=500):
    """Compile or load from cache, on a few rows of two classes or more."""
    first = np.unique(y, return_index=True)[1]
    rows = np.union1d(first, np.arange(min(n_rows, len(y))))
    with suppress(ValueError):  # what cannot be fitted says so in the fit that counts
        fit(estimator.set_params(max_iter=1), X[rows], np.asarray(y)[rows])
