"""Parts of one piece of work at the same time, the first of them by the thread that asks."""

from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np

MISSING = object()  # the result of a part that nobody has done


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
        # After an error helpers may have work that `map` was not told of; else they have none.
        self.helpers.shutdown(wait=kind is not None)

    def map(self, function, parts):
        """The function's results, in the parts' order. No part is at work any more when this ends."""
        parts = list(parts)
        results = [MISSING] * len(parts)

        def do(number):
            results[number] = function(parts[number])

        work = []
        try:
            for number in range(1, len(parts)):
                work.append(self.helpers.submit(do, number))
        except RuntimeError:  # no thread can be started, as when the interpreter is about to end
            # Helpers end what they have, perhaps even the part that was refused; the caller does the rest.
            self.helpers.shutdown()
        try:
            do(0)
            for future in work:
                future.result()
            for number, result in enumerate(results):
                if result is MISSING:
                    do(number)
            return results
        finally:
            wait(work)


def by_parts(function, index, n_threads):
    """The function's results of consecutive parts of an index that is not empty: a part for each thread."""
    n_parts = min(n_threads, len(index))
    if n_parts == 1:
        return [function(index)]
    with Threads(n_parts) as threads:
        return threads.map(function, np.array_split(index, n_parts))
