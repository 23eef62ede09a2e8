"""Parts of one piece of work at the same time, the first of them by the thread that asks."""

from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np


class Threads:
    """So many threads, the calling one among them, for as long as a ``with`` block takes.

    A caller that only waited would have to be woken, and its helpers share a processor with it until the
    scheduler notices, which may take milliseconds: as long as the parts themselves.
    """

    def __init__(self, n_threads):
        self.helpers = ThreadPoolExecutor(n_threads - 1)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        # After an error helpers may have work that `map` never knew of, else there is nothing to wait for.
        self.helpers.shutdown(wait=kind is not None)

    def map(self, function, parts):
        """The function's results, in the parts' order. No part is at work any more when this ends."""
        first, *others = parts
        work = []
        try:
            for part in others:
                work.append(self.helpers.submit(function, part))
        except RuntimeError:  # no thread can be started, as when the interpreter is about to end
            self.helpers.shutdown(cancel_futures=True)
        try:
            results = [function(first)]
            for future, part in zip(work, others, strict=False):
                results.append(function(part) if future.cancelled() else future.result())
            return results + [function(part) for part in others[len(work) :]]
        finally:
            wait(work)


def by_parts(function, index, n_threads):
    """The function's results of consecutive parts of an index that is not empty: a part for each thread."""
    n_parts = min(n_threads, len(index))
    if n_parts == 1:
        return [function(index)]
    with Threads(n_parts) as threads:
        return threads.map(function, np.array_split(index, n_parts))
