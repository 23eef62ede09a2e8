"""How kernels are compiled: one decorator for entry points, one for their helpers.

Numba stamps a cached function with that function's own source file only, so a cached kernel would
go on returning old results after a helper in another file changed. `kernel` therefore adds a hash
of every file of this folder to the cache key. And it reads what an earlier version of the package has left
in the cache, which may name types that are no more: such an index counts as empty.
"""

import contextlib
import hashlib
import uuid
from pathlib import Path

import numba
from numba import config
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler

# Without "nnan" and "ninf": they would let the compiler drop the checks for NaN and infinity.
FAST_MATH = {"reassoc", "contract", "arcp", "nsz"}
OPTIONS = {"nogil": True, "fastmath": FAST_MATH, "error_model": "numpy"}


def hash_of_sources(folder):
    """Hash of the text of all Python files of a folder; None where they cannot be read."""
    digest = hashlib.sha256()
    try:
        for file in sorted(Path(folder).glob("*.py")):
            digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    except OSError:
        return None
    return digest.hexdigest()


SOURCES = hash_of_sources(Path(__file__).parent)


class CacheFiles(IndexDataCacheFile):
    """Numba's files of a cached function; an index that cannot be read is as good as none."""

    def _load_index(self):
        try:
            return super()._load_index()
        except Exception:  # unpickling raises what it likes
            return {}


class KernelCache(FunctionCache):
    """Numba's on-disk cache, with the hash of all kernel sources in the key."""

    def __init__(self, py_func):
        super().__init__(py_func)
        self._cache_file.__class__ = CacheFiles

    def _index_key(self, *args):
        return (*super()._index_key(*args), SOURCES)


# A release of Numba that builds its key elsewhere would silently bypass `KernelCache`: then
# compiling anew in each process is slow but right.
CAN_CACHE = (
    SOURCES is not None
    and hasattr(FunctionCache, "_index_key")
    and hasattr(IndexDataCacheFile, "_load_index")
)


class _OwnHelpers(JITCodeLibrary):
    """Machine code of a kernel with helpers of its own, which no other module's symbols replace.

    As Numba leaves them, a process that compiles a kernel runs its helpers as they were compiled by
    themselves, and a process that finds it in the cache the kernel's copies, optimized once more:
    other roundings, so other bits. The linker tells symbols apart by name alone, local ones too.
    """

    def _optimize_final_module(self):
        unique = uuid.uuid4().hex  # in every process that will find this in the cache
        for function in self._final_module.functions:
            is_shared = function.linkage.name == "linkonce_odr" and not function.is_declaration
            # The functions that count references are known to an optimization by their names.
            if is_shared and not function.name.startswith("NRT_"):
                function.name = f"{function.name}.{unique}"
                self._take(function)
        super()._optimize_final_module()

    def _take(self, function):
        """What else is done to a helper."""


class _FittedHelpers(_OwnHelpers):
    """The same, and LLVM may fit helpers to their only caller: faster to run, slower to compile."""

    def _take(self, function):
        function.linkage = "internal"


class _KernelCompiler(Compiler):
    library = _OwnHelpers

    def define_pipelines(self):
        if self.state.library is None:
            codegen = self.state.targetctx.codegen()
            self.state.library = self.library(codegen, self.state.func_id.func_qualname)
            self.state.library.enable_object_caching()
        return super().define_pipelines()


class _PassCompiler(_KernelCompiler):
    library = _FittedHelpers


kernels = []  # every entry point, for the tests of the cache


def kernel(function, pipeline=_KernelCompiler):
    """Compile an entry point: called from Python, cached on disk where a place is writable."""
    compiled = numba.njit(pipeline_class=pipeline, **OPTIONS)(function)
    if config.DISABLE_JIT:
        return compiled
    if CAN_CACHE:
        with contextlib.suppress(RuntimeError, OSError):  # nowhere to write
            compiled._cache = KernelCache(compiled.py_func)
    kernels.append(compiled)
    return compiled


def is_kept(compiled):
    """Whether a kernel is compiled, and what to is there for later processes."""
    return not config.DISABLE_JIT and isinstance(compiled._cache, KernelCache)


def pass_kernel(function):
    """Compile an entry point that takes most of a fit's time."""
    return kernel(function, _PassCompiler)


def helper(function):
    """Compile a function that only kernels call: it is cached as a part of its callers."""
    return numba.njit(**OPTIONS)(function)


def inlined(function):
    """A helper for innermost use: a call would cost more than its work."""
    return numba.njit(forceinline=True, **OPTIONS)(function)
