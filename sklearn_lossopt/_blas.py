"""The BLAS that NumPy and SciPy call: how many threads it has, and how to hold it to one."""

import threading
from functools import cache

from threadpoolctl import ThreadpoolController


@cache
def _controller():
    return ThreadpoolController()


def openblas_threads():
    """How many threads OpenBLAS takes now; 0 where that is not, or not alone, what there is."""
    libraries = [library for library in _controller().lib_controllers if library.user_api == "blas"]
    if {library.internal_api for library in libraries} != {"openblas"}:
        return 0
    return max(library.num_threads for library in libraries)


class _OneThread:
    """Context in which BLAS has one thread, so that iterates do not depend on how many it would take.

    The limit is the process's, not the Python thread's: the last to leave lifts it.
    """

    def __init__(self):
        self.lock = threading.Lock()
        self.inside = 0

    def __enter__(self):
        with self.lock:
            if self.inside == 0:
                self.limiter = _controller().limit(limits=1, user_api="blas")
                self.limiter.__enter__()
            self.inside += 1

    def __exit__(self, *error):
        with self.lock:
            self.inside -= 1
            if self.inside == 0:
                self.limiter.__exit__(*error)


one_thread = _OneThread()
