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
def choose_rows(index, moved, pauses, still, shortest, longest, chosen):
    """Put the rows that do not pause into `chosen`; give how many.

    Those rows pause whose dual variables `moved` less than `still` of the root mean square of all moves.
    A row that did not move at all may pause for twice as long the next time.

    Parameters
    ----------
    index : ndarray of shape (n,)
        Rows in use.
    moved : ndarray, by row of X
        How far each moved in its last visit.
    pauses : tuple of 2 ndarray of int8, by row of X
        Passes since its last visit, and those that it may pause for.
    still : float
    shortest, longest : int
        Passes that a row may pause for after it moved, and at most.
    chosen : ndarray of shape (n,)
    """
    index, moved, pauses, chosen = borrowed((index, moved, pauses, chosen))
    paused, most = pauses
    square = 0.0
    for i in index:
        square += np.float64(moved[i]) * np.float64(moved[i])
    least = still * np.sqrt(square / index.size)
    n_chosen = 0
    for i in index:  # without branches, which chance would have mispredicted
        move, rests, limit = moved[i], np.int64(paused[i]), np.int64(most[i])
        moves, is_over = np.int64(move > least), np.int64(rests >= limit)
        goes = moves | is_over
        stays = is_over & np.int64(move == 0)
        limit += stays * (min(2 * limit, longest) - limit)
        most[i] = limit + moves * (shortest - limit)
        paused[i] = (rests + 1) * (1 - goes)
        chosen[n_chosen] = i
        n_chosen += goes
    return n_chosen
