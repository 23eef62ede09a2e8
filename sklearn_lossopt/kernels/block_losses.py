"""Losses of a block of rows, by number: as `losses` has them, but with rows side by side in vectors."""

from typing import NamedTuple

import numpy as np

from ._jit import helper
from .losses import (
    CRAMMER_SINGER,
    HINGE,
    LOGISTIC,
    SOFTMAX,
    SQUARED,
    WESTON_WATKINS,
    differentiate,
    differentiate_softmax,
)
from .rows import ROWS_PER_BLOCK, aligned_zeros
from .turned import turn, turn_back
from .vectors import (
    exp,
    lanes_of,
    largest,
    load,
    load_as,
    load_first,
    log,
    log1p,
    padded_outputs,
    spread,
    store,
    store_first,
    where_positive,
)

# So few outputs, at most, are quicker side by side with those of other rows: by themselves they fill a vector
# or two, whose sums over its lanes each row would wait for. Measured with AVX-512 and AVX2.
FEW = 24


class LossRoom(NamedTuple):
    """Memory for a block's losses, made in Python: `new_room`."""

    losses: np.ndarray  # (2 * ROWS_PER_BLOCK,), float64: those of the rows first, the rest is spare
    turned: np.ndarray  # (n_outputs + 2 or more, ROWS_PER_BLOCK) where there are few outputs, else no lines


def new_room(n_outputs, dtype):
    """What `differentiate_rows` needs."""
    is_few = 1 < n_outputs <= FEW
    lines = max(n_outputs + 2, padded_outputs(n_outputs, dtype)) if is_few else 0
    return LossRoom(np.zeros(2 * ROWS_PER_BLOCK), aligned_zeros((lines, ROWS_PER_BLOCK), dtype))


@helper
def differentiate_rows(loss, part, scores, target, room):
    """Losses of some rows, into ``room.losses``; their gradients replace the scores."""
    n_rows = part.size
    losses, turned = room
    if loss == LOGISTIC:
        differentiate_logistic_rows(part, scores, target, losses)
    elif len(turned) > 0:
        turn(scores, n_rows, turned)
        differentiate_turned(loss, part, target, scores.shape[1], True, losses, turned)
        turn_back(turned, n_rows, scores)
    elif loss != SOFTMAX:
        for i in range(n_rows):
            losses[i] = differentiate(loss, scores[i], target[part[i]])
    else:
        for i in range(n_rows):
            losses[i], losses[n_rows + i] = differentiate_softmax(scores[i], target[part[i]])
        _add_logarithms(n_rows, losses)


@helper
def _add_logarithms(n_rows, losses):
    """Margins become losses of softmax, with the masses behind them: one by one each row would wait."""
    for i in range(0, n_rows, lanes_of(losses)):
        masses = load_first(losses, n_rows + i, n_rows - i, 1)
        store_first(losses, i, n_rows - i, load_first(losses, i, n_rows - i, 0) + log(masses))


@helper
def differentiate_turned(loss, part, target, n_outputs, wants_losses, losses, turned):
    """The same of rows whose scores lie side by side: an output's in a line, which its slopes replace.

    Behind the outputs' lines there is one of the targets' scores, and one to spare. Losses are given only
    if they are wanted.
    """
    n_rows = part.size
    own, spare = n_outputs, n_outputs + 1
    number = turned.dtype.type
    squared = loss >= SQUARED
    shape = loss - SQUARED if squared else loss
    for i in range(n_rows):
        y = target[part[i]]
        score = turned[y, i]
        turned[own, i] = score
        # The target is no rival of its own: its hinge is 0, and any rival is above it.
        if shape == CRAMMER_SINGER:
            turned[y, i] = number(-np.inf)
        elif shape == WESTON_WATKINS:
            turned[y, i] = score - number(1)
        elif shape == HINGE:
            turned[y, i] = number(-1)
    if loss == SOFTMAX:
        for i in range(n_rows if wants_losses else 0):
            losses[i] = -np.float64(turned[own, i])
        _softmax_turned(n_rows, n_outputs, turned)
        for i in range(n_rows):
            turned[target[part[i]], i] -= number(1)
        if wants_losses:
            for i in range(n_rows):
                losses[i] += np.float64(turned[spare, i])
                losses[n_rows + i] = np.float64(turned[own, i])
            _add_logarithms(n_rows, losses)
        return
    if shape == CRAMMER_SINGER:
        _rivals_turned(n_rows, n_outputs, turned)
        for i in range(n_rows):
            violation = turned[spare, i]
            if violation > 0:
                slope = number(2) * violation if squared else number(1)
                turned[int(turned[own, i]), i] = slope
                turned[target[part[i]], i] = -slope
                turned[spare, i] = violation * violation if squared else violation
            elif violation <= 0:  # a NaN stays
                turned[spare, i] = number(0)
    else:
        _hinges_turned(squared, shape, n_rows, n_outputs, turned)
        for i in range(n_rows):
            turned[target[part[i]], i] = -turned[own, i]
    for i in range(n_rows if wants_losses else 0):
        losses[i] = np.float64(turned[spare, i])


@helper
def _softmax_turned(n_rows, n_outputs, turned):
    """Probabilities replace the outputs' scores, their mass the targets', the largest score what is spare."""
    lanes = lanes_of(turned)
    width = turned.shape[1]
    one = spread(turned.dtype.type(1), turned)
    for i in range(0, n_rows, lanes):
        most = load(turned, i)
        for k in range(1, n_outputs):
            most = largest(load(turned, k * width + i), most)
        mass = one - one
        for k in range(n_outputs):
            p = exp(load(turned, k * width + i) - most)
            store(turned, k * width + i, p)
            mass = mass + p
        inverse = one / mass
        for k in range(n_outputs):
            store(turned, k * width + i, load(turned, k * width + i) * inverse)
        store(turned, n_outputs * width + i, mass)
        store(turned, (n_outputs + 1) * width + i, most)


@helper
def _hinges_turned(squared, shape, n_rows, n_outputs, turned):
    """Slopes replace the scores, minus the targets' slopes the targets'; the spare line has the losses."""
    lanes = lanes_of(turned)
    width = turned.shape[1]
    number = turned.dtype.type
    one = spread(number(1), turned)
    zero = one - one
    for i in range(0, n_rows, lanes):
        own = load(turned, n_outputs * width + i)
        base = one if shape == HINGE else one - own
        values = zero
        slopes = zero
        for k in range(n_outputs):
            excess = largest(load(turned, k * width + i) + base, zero)
            slope = excess * number(2) if squared else where_positive(excess, one)
            values = values + (excess * excess if squared else excess)
            slopes = slopes + slope
            store(turned, k * width + i, slope)
        if shape == HINGE:
            violation = largest(zero, one - own)  # where that is NaN it stays so
            values = values + (violation * violation if squared else violation)
            slopes = violation * number(2) if squared else where_positive(violation, one)
        store(turned, n_outputs * width + i, slopes)
        store(turned, (n_outputs + 1) * width + i, values)


@helper
def _rivals_turned(n_rows, n_outputs, turned):
    """The largest score, by 1 more than the target's, becomes the spare line, its output's number the target's.

    Of equals it is the first; the outputs' lines become 0.
    """
    lanes = lanes_of(turned)
    width = turned.shape[1]
    number = turned.dtype.type
    one = spread(number(1), turned)
    for i in range(0, n_rows, lanes):
        best = load(turned, i)
        which = one - one
        for k in range(1, n_outputs):
            here = load(turned, k * width + i)
            which = which + where_positive(here - best, one) * (number(k) - which)
            best = largest(here, best)
        own = load(turned, n_outputs * width + i)
        store(turned, (n_outputs + 1) * width + i, best - own + one)
        store(turned, n_outputs * width + i, which)
        for k in range(n_outputs):
            store(turned, k * width + i, one - one)


@helper
def differentiate_logistic_rows(part, scores, target, losses):
    """A vector of rows at a time, in float64; the spare room has their signs, then their slopes."""
    n_rows = part.size
    for i in range(n_rows):
        losses[n_rows + i] = 1.0 if target[part[i]] == 1 else -1.0
    one = spread(1.0, losses)
    for i in range(0, n_rows, lanes_of(losses)):
        left = n_rows - i
        sign = load_first(losses, n_rows + i, left, 1)
        margin = load_as(scores, i, left, 0, losses) * sign
        size = largest(margin, 0.0 - margin)
        # exp of a negative number only, which cannot overflow. A NaN margin stays in the loss: `largest`
        # gives its second number where the two cannot be compared.
        small = exp(0.0 - size)
        store_first(losses, i, left, log1p(small) + largest(0.0, 0.0 - margin))
        share = where_positive(margin, small) + (one - where_positive(margin, one))
        slope = share / (one + small)
        store_first(losses, n_rows + i, left, 0.0 - sign * slope)
    for i in range(n_rows):
        scores[i, 0] = losses[n_rows + i]
