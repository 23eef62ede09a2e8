"""From rows to scores, classes and probabilities, a block at a time: scores are used while in the cache.

Each kernel that takes rows gives False, and what it has written is not to be used, if a score is NaN or
infinite, or if scores are so large that their sum may be. With finite coefficients that is so wherever a row
is not finite, which therefore need not be looked for before.
"""

import math
from typing import NamedTuple

import numpy as np

from ._jit import helper, kernel, pass_kernel
from .block_losses import are_few
from .narrow import AHEAD, new_lines, prefetch_features, score_lines, turn_rows
from .references import borrowed
from .rows import ROWS_PER_BLOCK, NarrowRows, aligned_zeros, by_storage, prefetch_span, scores
from .turned import turn, turn_back
from .vectors import (
    exp,
    keep_first,
    lanes_of,
    largest,
    load,
    load_as,
    load_first,
    log,
    log1p,
    padded_outputs,
    smallest,
    spread,
    store,
    store_first,
    top,
    total,
    where_positive,
)

# Below minus so much, in float32 and in float64, `exp` no longer falls: a probability is 0 there.
ZERO_BELOW_32, ZERO_BELOW_64 = 87.0, 708.0


class Room(NamedTuple):
    """Memory for a block, made in Python: `new_room`."""

    scores: np.ndarray  # (ROWS_PER_BLOCK, n_outputs), padded to whole vectors where there are many outputs
    turned: np.ndarray  # (n_outputs + 1 or more, ROWS_PER_BLOCK) where they lie side by side, else no lines
    masses: np.ndarray  # (ROWS_PER_BLOCK,), float64
    places: np.ndarray  # 0, 1, 2, ...: a line of the scores
    lines: np.ndarray  # `narrow.new_lines`, or no lines


def new_room(rows, n_outputs, dtype):
    """What the kernels need."""
    is_narrow = isinstance(rows, NarrowRows)
    is_turned = are_few(n_outputs, dtype) or is_narrow
    width = n_outputs if is_turned else padded_outputs(n_outputs, dtype)
    return Room(
        aligned_zeros((ROWS_PER_BLOCK, width), dtype),
        aligned_zeros((padded_outputs(n_outputs + 1, dtype) if is_turned else 0, ROWS_PER_BLOCK), dtype),
        aligned_zeros((ROWS_PER_BLOCK,), np.float64),
        np.arange(width, dtype=dtype),
        new_lines(rows) if is_narrow else aligned_zeros((0, 0), dtype),
    )


def _put_scores(rows, index, start, stop, coef, intercept, room):
    """Put the scores of rows index[start:stop] where `room` wants them."""
    ahead = index[stop : stop + ROWS_PER_BLOCK]
    scores(rows, index[start:stop], coef, intercept, room.scores, rows, ahead)
    if len(room.turned) > 0:
        turn(room.scores, stop - start, room.turned)


def _put_scores_narrow(rows, index, start, stop, coef, intercept, room):
    """The same: side by side."""
    for i in index[start + AHEAD : stop + AHEAD]:
        prefetch_features(rows, i)
    turn_rows(rows, index[start:stop], intercept[:0], room.lines)
    score_lines(room.lines, stop - start, coef, intercept, room.turned)


put_scores = by_storage(_put_scores, _put_scores, _put_scores_narrow)


def _put_out(rows, index, start, stop, coef, intercept, room, out):
    """Put the scores of rows index[start:stop] into rows of `out`; gives 0 if all are finite, else NaN."""
    ahead = index[stop : stop + ROWS_PER_BLOCK]
    scores(rows, index[start:stop], coef, intercept, out[start:stop], rows, ahead)
    zeros = spread(0, out)
    end = stop * intercept.size
    for j in range(start * intercept.size, end, lanes_of(out)):
        zeros = zeros + load_first(out, j, end - j, 0) * out.dtype.type(0)
    return total(zeros)


def _put_out_narrow(rows, index, start, stop, coef, intercept, room, out):
    """The same."""
    put_scores(rows, index, start, stop, coef, intercept, room)
    turned = room.turned
    zeros = spread(0, turned)
    for i in range(0, stop - start, lanes_of(turned)):
        for k in range(intercept.size):
            zeros = zeros + load(turned, k * turned.shape[1] + i) * turned.dtype.type(0)
    turn_back(turned, stop - start, out[start:stop])
    return total(zeros)


put_out = by_storage(_put_out, _put_out, _put_out_narrow)


@helper
def _ask_for_lines(out, start):
    """Ask for a block of `out`: a cache line comes from memory before it is written to."""
    stop = min(start + ROWS_PER_BLOCK, len(out))
    if start < stop:
        width = out.size // len(out)
        prefetch_span(out, start * width, stop * width)


@pass_kernel
def score_rows(rows, index, coef, intercept, room, out):
    """Put the scores of row index[i] into out[i].

    `room` is from `new_room`.
    """
    rows, index, coef, intercept = borrowed((rows, index, coef, intercept))
    room, out = borrowed((room, out))
    zeros = out.dtype.type(0)
    for start in range(0, index.size, ROWS_PER_BLOCK):
        stop = min(start + ROWS_PER_BLOCK, index.size)
        _ask_for_lines(out, stop)
        zeros += put_out(rows, index, start, stop, coef, intercept, room, out)
    return zeros == 0


@pass_kernel
def classify_rows(rows, index, coef, intercept, room, out):
    """Put the number of the largest score of row index[i] into out[i]: the first of equals.

    `room` is from `new_room`.
    """
    rows, index, coef, intercept = borrowed((rows, index, coef, intercept))
    room, out = borrowed((room, out))
    block, turned, _, places, _ = room
    n_outputs = intercept.size
    zeros = block.dtype.type(0)
    for start in range(0, index.size, ROWS_PER_BLOCK):
        stop = min(start + ROWS_PER_BLOCK, index.size)
        _ask_for_lines(out, stop)
        put_scores(rows, index, start, stop, coef, intercept, room)
        here = out[start:stop]
        if len(turned) > 0:
            zeros += _classify_turned(turned, n_outputs, here)
            continue
        for i in range(stop - start):
            here[i], zero = _place_of_highest(block[i], places, n_outputs)
            zeros += zero
    return zeros == 0


@pass_kernel
def weigh_classes(rows, index, coef, intercept, divisor, is_log, room, out):
    """Put the softmax of scores / divisor of row index[i] into out[i], or its logarithm.

    `room` is from `new_room`.
    """
    rows, index, coef, intercept = borrowed((rows, index, coef, intercept))
    room, out = borrowed((room, out))
    block, turned, masses, _, _ = room
    factor = out.dtype.type(divisor)
    zeros = block.dtype.type(0)
    for start in range(0, index.size, ROWS_PER_BLOCK):
        stop = min(start + ROWS_PER_BLOCK, index.size)
        _ask_for_lines(out, stop)
        put_scores(rows, index, start, stop, coef, intercept, room)
        here = out[start:stop]
        if len(turned) > 0:
            zeros += _weigh_turned(turned, masses, factor, is_log, here)
            continue
        for i in range(stop - start):
            zeros += _weigh_line(block[i], factor, is_log, here[i])
    return zeros == 0


@kernel
def weigh_pairs(scores, divisor, is_log, out):
    """The same of two classes, of finite scores: of 0 and scores[i] / divisor, into out[i]."""
    numbers = np.zeros((2, ROWS_PER_BLOCK))
    lanes, width, one = lanes_of(numbers), ROWS_PER_BLOCK, spread(1.0, numbers)
    least = -float(np.finfo(out.dtype).max / 4)
    for start in range(0, scores.size, ROWS_PER_BLOCK):
        n_rows = min(ROWS_PER_BLOCK, scores.size - start)
        for i in range(0, n_rows, lanes):
            margin = load_as(scores, start + i, n_rows - i, 0, numbers) / divisor
            size = largest(margin, 0.0 - margin)
            # exp of a negative number only, which cannot overflow
            small = where_positive(ZERO_BELOW_64 - size, exp(0.0 - size))
            if is_log:
                likely = 0.0 - log1p(small)
                rare = largest(likely - size, least)
            else:
                likely = 1.0 / (small + 1.0)
                rare = small * likely
            is_for = where_positive(margin, one)
            is_against = one - is_for
            store(numbers, i, where_positive(is_for, likely) + where_positive(is_against, rare))
            store(numbers, width + i, where_positive(is_against, likely) + where_positive(is_for, rare))
        for i in range(n_rows):
            out[start + i, 0] = numbers[1, i]
            out[start + i, 1] = numbers[0, i]


@helper
def _limits(array):
    """The least logarithm of a probability, and what to add to one to be negative where that is 0."""
    number = array.dtype.type
    end = ZERO_BELOW_32 if array.itemsize == 4 else ZERO_BELOW_64
    return number(-np.finfo(array.dtype).max / 4), number(end)


# --------------------------------------- few outputs, or features: rows lie side by side in vectors


@helper
def _highest_turned(turned, n_outputs, i):
    """The largest scores of a vector of rows from the i-th on; and 0 for rows whose scores all are finite."""
    width = turned.shape[1]
    number = turned.dtype.type
    most = load(turned, i)
    zeros = most * number(0)
    for k in range(1, n_outputs):
        here = load(turned, k * width + i)
        most = largest(here, most)
        zeros = zeros + here * number(0)
    return most, zeros


@helper
def _classify_turned(turned, n_outputs, out):
    """Numbers of some rows' largest scores; gives 0 if all scores are finite, else NaN."""
    n_rows, width = len(out), turned.shape[1]
    number = turned.dtype.type
    one = spread(number(1), turned)
    zeros = one - one
    for i in range(0, n_rows, lanes_of(turned)):
        most, zero = _highest_turned(turned, n_outputs, i)
        zeros = zeros + keep_first(zero, n_rows - i)
        place = spread(number(n_outputs - 1), turned)
        # From the last to the first, so that the first of equals stays.
        for k in range(n_outputs - 2, -1, -1):
            is_lower = where_positive(most - load(turned, k * width + i), one)
            place = is_lower * (place - number(k)) + number(k)
        store(turned, n_outputs * width + i, place)
    for i in range(n_rows):
        out[i] = int(turned[n_outputs, i])
    return total(zeros)


@helper
def _weigh_turned(turned, masses, divisor, is_log, out):
    """Softmaxes of some rows' scores over divisor, or logarithms; gives 0 if all are finite, else NaN."""
    n_rows, n_outputs, width = len(out), out.shape[1], turned.shape[1]
    number = turned.dtype.type
    least, end = _limits(turned)
    one = spread(number(1), turned)
    zeros = one - one
    for i in range(0, n_rows, lanes_of(turned)):
        most, zero = _highest_turned(turned, n_outputs, i)
        zeros = zeros + keep_first(zero, n_rows - i)
        mass = one - one
        for k in range(n_outputs):
            below = largest((load(turned, k * width + i) - most) / divisor, least)
            p = where_positive(below + end, exp(below))
            store(turned, k * width + i, below if is_log else p)
            mass = mass + p
        store(turned, n_outputs * width + i, mass)
        inverse = one / mass
        for k in range(0 if is_log else n_outputs):
            store(turned, k * width + i, load(turned, k * width + i) * inverse)
    if is_log:
        for i in range(n_rows):
            masses[i] = turned[n_outputs, i]
        for i in range(0, n_rows, lanes_of(masses)):
            store(masses, i, log(load(masses, i)))
        for i in range(n_rows):
            turned[n_outputs, i] = number(masses[i])
        for i in range(0, n_rows, lanes_of(turned)):
            log_mass = load(turned, n_outputs * width + i)
            for k in range(n_outputs):
                store(turned, k * width + i, load(turned, k * width + i) - log_mass)
    turn_back(turned, n_rows, out)
    return total(zeros)


# ------------------------------------------------------------- many outputs: one row after another


@helper
def _highest(line, n_outputs):
    """The largest of a padded line's numbers, and 0 if they all are finite, else NaN."""
    # Sums and maxima wait for the last: two of each, in turn, wait half as long.
    lanes = lanes_of(line)
    number = line.dtype.type
    last = (n_outputs - 1) // lanes * lanes
    highest = other = load_first(line, last, n_outputs - last, line[0])
    zeros = highest * number(0)
    more = zeros
    for k in range(0, last, lanes):
        here = load(line, k)
        highest, other = other, largest(here, highest)
        zeros, more = more, zeros + here * number(0)
    return top(largest(highest, other)), total(zeros + more)


@helper
def _place_of_highest(line, places, n_outputs):
    """Where the largest number is, the first of equals, and as `_highest`: without a branch to mispredict."""
    lanes = lanes_of(line)
    number = line.dtype.type
    most, zero = _highest(line, n_outputs)
    far = spread(number(n_outputs), line)
    first = other = far
    last = (n_outputs - 1) // lanes * lanes
    for k in range(0, last, lanes):
        place = load(places, k) + where_positive(most - load(line, k), far)
        first, other = other, smallest(first, place)
    lacks = most - load_first(line, last, n_outputs - last, line[0])
    first = smallest(smallest(first, other), load(places, last) + where_positive(lacks, far))
    return int(number(0) - top(number(0) - first)), zero


@helper
def _weigh_line(line, divisor, is_log, out):
    """Put the softmax of a padded line over divisor into `out`, or its logarithm; gives as `_highest`."""
    n_outputs = out.size
    lanes = lanes_of(line)
    number = line.dtype.type
    least, end = _limits(line)
    most, zero = _highest(line, n_outputs)
    sums = spread(number(0), line)
    for k in range(0, n_outputs, lanes):
        below = largest((load_first(line, k, n_outputs - k, most) - most) / divisor, least)
        p = keep_first(where_positive(below + end, exp(below)), n_outputs - k)
        store(line, k, below if is_log else p)
        sums = sums + p
    mass = total(sums)
    inverse, less = number(1) / mass, number(0)
    if is_log:
        inverse, less = number(1), number(math.log(mass))
    for k in range(0, n_outputs, lanes):
        store_first(out, k, n_outputs - k, load(line, k) * inverse - less)
    return zero
