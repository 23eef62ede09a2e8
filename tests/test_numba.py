"""Rules that keep compiled code right and quick: cache, threads, processes, read-only input."""

import multiprocessing
import os
import pickle
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import joblib
import numba
import numpy as np
import pytest
from scipy import sparse

import sklearn_lossopt
from sklearn_lossopt import LinearSVMClassifier, SoftmaxClassifier
from sklearn_lossopt.kernels import _jit

PACKAGE = Path(sklearn_lossopt.__file__).parent
needs_jit = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")

RUN = """
import sys
import warnings
import numpy as np
from scipy import sparse
warnings.simplefilter("ignore")
from sklearn_lossopt import SoftmaxClassifier, LinearSVMClassifier
from sklearn_lossopt.kernels import _jit
X = np.random.default_rng(0).normal(size=(60, 4)); y = np.arange(60) % 3
rows = sparse.csr_array(X.astype(np.float32))
a = SoftmaxClassifier(solver="momentum", max_iter=2, random_state=0).fit(X, y)
b = SoftmaxClassifier(solver="sdca", max_iter=2, random_state=0).fit(rows, y)
LinearSVMClassifier(max_iter=2, calibration=None).fit(X, y)
stats = [kernel.stats for kernel in _jit.kernels]
print(sum(sum(s.cache_misses.values()) for s in stats), sum(sum(s.cache_hits.values()) for s in stats))
print(np.abs(a.coef_).sum() + np.abs(b.coef_).sum())
"""

RUN_SHORT = """
import numpy as np
from sklearn_lossopt import SoftmaxClassifier
from sklearn_lossopt.kernels import _jit
X = np.random.default_rng(0).normal(size=(60, 4)); y = np.arange(60) % 3
a = SoftmaxClassifier(solver="momentum", max_iter=2, tol=None, random_state=0).fit(X, y)
print(sum(sum(kernel.stats.cache_misses.values()) for kernel in _jit.kernels))
print(np.abs(a.coef_).sum())
"""


def run(code, *, package_parent=PACKAGE.parent, **environment):
    """Standard output of a new process that imports the package from `package_parent`."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(package_parent), **environment},
        capture_output=True,
        text=True,
        cwd=package_parent,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\n")


@pytest.fixture
def copy_of_package(tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "sklearn_lossopt", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


@needs_jit
def test_second_process_compiles_nothing_and_a_changed_kernel_is_compiled_anew(copy_of_package, tmp_path):
    where = {"package_parent": copy_of_package, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    misses, hits = map(int, run(RUN, **where)[0].split())
    assert misses > 0 == hits
    misses, hits = map(int, run(RUN, **where)[0].split())
    assert hits > 0 == misses
    first = run(RUN_SHORT, **where)
    assert int(first[0]) == 0

    # A helper in another file than the cached kernels: Numba alone would not notice.
    file = copy_of_package / "sklearn_lossopt" / "kernels" / "steps.py"
    text = file.read_text()
    changed = text.replace("* momentum - step * (g +", "* momentum - 2 * step * (g +")
    assert changed != text
    file.write_text(changed)
    second = run(RUN_SHORT, **where)
    assert int(second[0]) > 0
    assert second[1] != first[1]


BITS = """
import hashlib, warnings
import numpy as np
from sklearn_lossopt import LinearSVMClassifier
warnings.simplefilter("ignore")
X = np.random.default_rng(0).normal(size=(301, 17)).astype(np.float32)
y = np.arange(301) % 3
model = LinearSVMClassifier(solver="sdca", calibration=None, max_iter=10, tol=None, random_state=0)
print(hashlib.md5(model.fit(X, y).coef_.tobytes()).hexdigest())
"""


@needs_jit
def test_the_process_that_compiles_gives_the_bits_of_those_that_find_its_cache(tmp_path):
    where = {"package_parent": PACKAGE.parent, "NUMBA_CACHE_DIR": str(tmp_path)}
    assert run(BITS, **where) == run(BITS, **where)


@needs_jit
def test_helpers_can_be_called_beside_the_kernels_that_have_their_own():
    # A kernel's copy, fitted to its caller, once took the place of the helper itself.
    from sklearn_lossopt.kernels.ascent import ascend
    from sklearn_lossopt.kernels.losses import CRAMMER_SINGER

    fit_model(0, "sdca")
    line, change = np.zeros(3), np.zeros(8)
    ascend(CRAMMER_SINGER, np.arange(8.0), line, 0, 1.0, change, np.zeros((2, 8)))
    assert line.sum() == pytest.approx(1.0)


@needs_jit
def test_hash_covers_every_kernel_file(copy_of_package):
    folder = copy_of_package / "sklearn_lossopt" / "kernels"
    before = _jit.hash_of_sources(folder)
    for file in folder.glob("*.py"):
        text = file.read_text()
        file.write_text(text + "\n# changed\n")
        assert _jit.hash_of_sources(folder) != before
        file.write_text(text)
    assert _jit.hash_of_sources(folder) == before


@needs_jit
def test_an_index_of_an_older_version_is_as_good_as_none(tmp_path):
    files = _jit.CacheFiles(cache_path=str(tmp_path), filename_base="kernel", source_stamp="stamp")
    gone = pickle.dumps(numba.__version__) + b"csklearn_lossopt.kernels.rows\nNoSuchRows\n."
    (tmp_path / "kernel.nbi").write_bytes(gone)
    assert files.load("key") is None
    files.save("key", "code")
    assert files.load("key") == "code"
    assert all(type(one._cache._cache_file) is _jit.CacheFiles for one in _jit.kernels)


@needs_jit
def test_works_where_nothing_is_writable(copy_of_package):
    # Root may write anywhere, so what Numba says of a read-only disk is said here for it.
    code = """
import numba.core.caching
def refuse(self, function):
    raise RuntimeError("cannot cache function: no locator available")
numba.core.caching.FunctionCache.__init__ = refuse
"""
    refused = run(code + RUN_SHORT, package_parent=copy_of_package)
    assert not list(copy_of_package.rglob("*.nbi"))
    blocked = copy_of_package / "a file, not a folder"
    blocked.touch()
    where = {"package_parent": copy_of_package, "NUMBA_CACHE_DIR": str(blocked / "cache")}
    assert run(RUN_SHORT, **where)[1] == refused[1]


def test_without_jit():
    compiled, plain = run(RUN), run(RUN, NUMBA_DISABLE_JIT="1")
    assert float(plain[1]) == pytest.approx(float(compiled[1]), rel=1e-4)


def test_import_is_light_and_changes_nothing_of_numba():
    out = run(
        "import numba, sys\n"
        "names = [n for n in dir(numba.config) if n.isupper()]\n"
        "before = {n: getattr(numba.config, n) for n in names}\n"
        "import sklearn.linear_model\n"
        "others = set(sys.modules)\n"
        "import sklearn_lossopt\n"
        "assert before == {n: getattr(numba.config, n) for n in names}\n"
        "heavy = {'matplotlib', 'pandas', 'polars', 'torch', 'dask'}\n"
        "print(sorted(heavy & (set(sys.modules) - others)))"
    )
    assert out[0] == "[]"


def fit_model(seed, solver="momentum", rows="dense"):
    X = np.random.default_rng(0).normal(size=(300, 6))
    y = np.arange(300) % 3
    X = X if rows == "dense" else sparse.csr_array(X)
    return LinearSVMClassifier(solver=solver, max_iter=20, tol=None, random_state=seed).fit(X, y).coef_


@pytest.mark.parametrize("solver", ["momentum", "sdca", "interior_point"])
def test_threads_and_processes_give_the_same_bits(solver):
    expected = [fit_model(seed, solver) for seed in range(4)]
    found = [None] * 4

    def work(seed):
        found[seed] = fit_model(seed, solver)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    in_loky = joblib.Parallel(n_jobs=2, backend="loky")(
        joblib.delayed(fit_model)(seed, solver) for seed in range(4)
    )
    for results in (found, in_loky):
        assert all((a == b).all() for a, b in zip(expected, results, strict=True))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forked_children_after_a_fit():
    expected = fit_model(1)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        for found in pool.map(fit_model, [1, 1]):
            assert (found == expected).all()


@needs_jit
@pytest.mark.parametrize("solver", ["momentum", "sdca"])
@pytest.mark.parametrize("storage", ["dense", "csr"])
def test_read_only_and_memory_mapped_rows_need_no_compiling(storage, solver, tmp_path):
    X = np.random.default_rng(0).normal(size=(90, 5)).astype(np.float32)
    y = np.arange(90) % 3
    rows = X if storage == "dense" else sparse.csr_array(X)
    model = SoftmaxClassifier(solver=solver, max_iter=3, tol=None, random_state=0)
    expected = model.fit(rows, y).coef_

    def n_compiled():
        return [len(kernel.signatures) for kernel in _jit.kernels]

    before = n_compiled()
    joblib.dump(rows, tmp_path / "rows")
    mapped = joblib.load(tmp_path / "rows", mmap_mode="r")
    values = mapped if storage == "dense" else mapped.data
    assert not values.flags.writeable
    assert (model.fit(mapped, y).coef_ == expected).all()
    if storage == "dense":
        fixed = X.copy()
        fixed.flags.writeable = False
        assert (model.fit(fixed, y).coef_ == expected).all()
        assert model.fit(np.asfortranarray(X), y).coef_ == pytest.approx(expected)
    assert n_compiled() == before
