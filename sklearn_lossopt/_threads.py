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

    def __exit__(self, *error):
        self.helpers.shutdown(wait=False)  # there is nothing to wait for: see `map`

    def map(self, function, parts):
        """The function's results, in the parts' order. No part is at work any more when this ends."""
        first, *others = parts
        work = []
        try:
            for part in others:
                work.append(self.helpers.submit(function, part))
            return [function(first), *(part.result() for part in work)]
        finally:
            wait(work)


def by_parts(function, index, n_threads):
    """The function's results of as many consecutive parts of an index, which is not empty, as threads."""
    n_parts = min(n_threads, len(index))
    if n_parts == 1:
        return [function(index)]
    with Threads(n_parts) as threads:
        return threads.map(function, np.array_split(index, n_parts))
