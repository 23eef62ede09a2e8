"""Which rows a pass visits, and in what order.

NumPy's shuffle of row numbers may cost as much as half of the visits of short rows.
"""

import numpy as np

from ._jit import inlined, kernel
from .prefetch import prefetch
from .references import borrowed

AHEAD = 16  # swaps from the one made to the one that memory is asked for
MOST = 2**31  # rows that 32 random bits each are enough for


def shuffled(rows, rng):
    """The rows in a random order, a new array: each is as likely, to n in 2^32 a swap.

    `rng` draws 64 bits at a time, as NumPy's default does.
    """
    if rows.size > MOST:
        return rng.permutation(rows)
    out = rows.copy()
    draws = rng.bit_generator.random_raw(-(-rows.size // 2)).view(np.uint32)
    swap(out, draws)
    return out


@inlined
def place_below(draw, n):
    """A number below n from 32 random bits: their product's upper part (Lemire 2019)."""
    return np.int64((np.uint64(draw) * np.uint64(n)) >> np.uint64(32))


@kernel
def swap(values, draws):
    """Shuffle by random numbers of 32 bits, one for each value (Durstenfeld 1964)."""
    values, draws = borrowed((values, draws))
    for i in range(values.size - 1, 0, -1):
        if i > AHEAD:
            prefetch(values, place_below(draws[i - AHEAD], i - AHEAD + 1))
        j = place_below(draws[i], i + 1)
        values[i], values[j] = values[j], values[i]


@kernel
def choose_rows(index, moved, paused, still, longest, chosen):
    """Put the rows that do not pause into `chosen`; give how many.

    Those rows pause whose dual variables `moved` less than `still` of the root mean square of all moves,
    for up to `longest` passes; `paused`, by row of X, counts them.
    """
    index, moved, paused, chosen = borrowed((index, moved, paused, chosen))
    square = 0.0
    for i in index:
        square += np.float64(moved[i]) * np.float64(moved[i])
    least = still * np.sqrt(square / index.size)
    n_chosen = 0
    for i in index:
        goes = moved[i] > least or paused[i] >= longest
        paused[i] = 0 if goes else paused[i] + 1
        chosen[n_chosen] = i
        n_chosen += 1 if goes else 0
    return n_chosen
