"""Run by the start-up suite in a new process; imports nothing before the clocks start.

It is not among the suites because importing those imports what is to be timed.
"""

import json
import sys
import time


def main(name, storage):
    """Print the seconds of the imports and of two equal fits."""
    clock = [time.perf_counter()]
    import sklearn.linear_model

    clock.append(time.perf_counter())
    import sklearn_lossopt

    clock.append(time.perf_counter())
    import warnings
    from itertools import pairwise

    import numpy as np
    from scipy import sparse

    rng = np.random.default_rng(0)
    X = rng.random((1000, 20), dtype=np.float32)
    y = rng.integers(5, size=1000)
    X = sparse.csr_array(X) if storage == "csr" else X
    warnings.simplefilter("ignore")
    seconds = [end - begin for begin, end in pairwise(clock)]
    for _ in range(2):
        begin = time.perf_counter()
        getattr(sklearn_lossopt, name)(max_iter=5, random_state=0).fit(X, y)
        seconds.append(time.perf_counter() - begin)
    assert sklearn.linear_model
    print(json.dumps(dict(zip(("sklearn", "import", "first", "second"), seconds, strict=True))))


if __name__ == "__main__":
    main(*sys.argv[1:])
