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
    differentiate,
    differentiate_softmax,
)
from .rows import ROWS_PER_BLOCK, aligned_zeros
from .turned import turn, turn_back
from .vectors import (
    choose,
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

# Vectors of outputs, at most, that are quicker side by side with those of other rows: by themselves each row
# would wait for sums over the lanes of its own. Measured with AVX-512 and AVX2.
FEW = 6


def are_few(n_outputs, dtype):
    """Whether rows' scores are to lie side by side."""
    return n_outputs <= FEW * padded_outputs(1, dtype)


class LossRoom(NamedTuple):
    """Memory for a block's losses, made in Python: `new_room`."""

    losses: np.ndarray  # (2 * ROWS_PER_BLOCK,), float64: those of the rows first, the rest is spare
    turned: np.ndarray  # (n_outputs + 4 or more, ROWS_PER_BLOCK), or no lines


def new_room(n_outputs, dtype, beside=False):
    """What `differentiate_rows` needs; or `differentiate_turned`, for scores that lie side by side."""
    is_few = beside or (n_outputs > 1 and are_few(n_outputs, dtype))
    lines = max(n_outputs + 4, padded_outputs(n_outputs, dtype)) if is_few else 0
    return LossRoom(np.zeros(2 * ROWS_PER_BLOCK), aligned_zeros((lines, ROWS_PER_BLOCK), dtype))


@helper
def differentiate_rows(loss, part, scores, target, wants_losses, wants_slopes, room):
    """Losses of some rows, into ``room.losses``; gradients replace their scores.

    What is not wanted may be missing: without gradients the scores are lost or stay.
    """
    n_rows = part.size
    losses, turned = room
    if loss == LOGISTIC:
        differentiate_logistic_rows(part, scores, target, losses)
    elif len(turned) > 0:
        turn(scores, n_rows, turned)
        put_targets(part, target, turned, scores.shape[1])
        differentiate_turned(loss, n_rows, scores.shape[1], wants_losses, wants_slopes, losses, turned)
        if wants_slopes:
            turn_back(turned, n_rows, scores)
    elif loss != SOFTMAX:
        for i in range(n_rows):
            losses[i] = differentiate(loss, scores[i], target[part[i]])
    else:
        for i in range(n_rows):
            losses[i], losses[n_rows + i] = differentiate_softmax(scores[i], target[part[i]])
        if wants_losses:
            _add_logarithms(n_rows, losses)


@helper
def _add_logarithms(n_rows, losses):
    """Margins become losses of softmax, with the masses behind them: one by one each row would wait."""
    for i in range(0, n_rows, lanes_of(losses)):
        masses = load_first(losses, n_rows + i, n_rows - i, 1)
        store_first(losses, i, n_rows - i, load_first(losses, i, n_rows - i, 0) + log(masses))


@helper
def put_targets(part, target, lines, k):
    """Put the targets of some rows into a line, as numbers; what a vector has more is the last one's."""
    n_rows = part.size
    for i in range(n_rows):
        lines[k, i] = target[part[i]]
    for i in range(n_rows, -(-n_rows // lanes_of(lines)) * lanes_of(lines)):
        lines[k, i] = lines[k, n_rows - 1]


@helper
def put_weights(part, weight, lines, k):
    """Put the weights of some rows into a line; 0 for those that a vector has more."""
    n_rows = part.size
    for i in range(n_rows):
        lines[k, i] = weight[part[i]]
    for i in range(n_rows, -(-n_rows // lanes_of(lines)) * lanes_of(lines)):
        lines[k, i] = 0


@helper
def differentiate_turned(loss, n_rows, n_outputs, wants_losses, wants_slopes, losses, turned):
    """The same of rows whose scores lie side by side: an output's in a line, which its slopes replace.

    The line behind them has the targets, and there are two to spare. Losses are given, also of the last rows
    again that a vector has more, only if they are wanted; without slopes the scores are lost or stay.
    """
    squared = loss >= SQUARED
    shape = loss - SQUARED if squared else loss
    width = turned.shape[1]
    excess, mass = (n_outputs + 1) * width, (n_outputs + 2) * width
    if loss == SOFTMAX:
        _softmax_turned(n_rows, n_outputs, wants_slopes, turned)
    elif n_outputs == 1:
        margins_turned(loss == LOGISTIC, squared, n_rows, wants_slopes, turned)
    elif shape == CRAMMER_SINGER:
        _rivals_turned(squared, n_rows, n_outputs, wants_slopes, turned)
    else:
        hinges_turned(squared, shape, n_rows, n_outputs, wants_slopes, turned)
    for i in range(0, n_rows if wants_losses else 0, lanes_of(losses)):
        value = load_as(turned, excess + i, width, 0, losses)
        if loss == SOFTMAX:
            value = value + log(load_as(turned, mass + i, width, 0, losses))
        elif loss == LOGISTIC:
            value = softplus(0.0 - value)
        store(losses, i, value)


@helper
def softplus(x):
    """log(1 + exp(x)) of a vector, float64.

    exp of a negative number only, which cannot overflow. A NaN stays: `largest` gives its second number where
    the two cannot be compared.
    """
    return log1p(exp(0.0 - largest(x, 0.0 - x))) + largest(0.0, x)


@helper
def _softmax_turned(n_rows, n_outputs, wants_slopes, turned):
    """Probabilities replace the scores, less 1 of the targets, if slopes are wanted.

    The spare lines get what the largest score has more than the target's, and the mass.
    """
    lanes = lanes_of(turned)
    width = turned.shape[1]
    one = spread(turned.dtype.type(1), turned)
    zero = one - one
    for i in range(0, n_rows, lanes):
        target = load(turned, n_outputs * width + i)
        most = load(turned, i)
        own = most
        for k in range(1, n_outputs):
            here = load(turned, k * width + i)
            most = largest(here, most)
            own = choose(target, k, here, own)
        mass = zero
        for k in range(n_outputs):
            p = exp(load(turned, k * width + i) - most)
            if wants_slopes:
                store(turned, k * width + i, p)
            mass = mass + p
        inverse = one / mass
        for k in range(n_outputs if wants_slopes else 0):
            p = load(turned, k * width + i) * inverse
            store(turned, k * width + i, p - choose(target, k, one, zero))
        store(turned, (n_outputs + 1) * width + i, most - own)
        store(turned, (n_outputs + 2) * width + i, mass)


@helper
def hinges_turned(squared, shape, n_rows, n_outputs, wants_slopes, turned):
    """Slopes, if wanted, replace the scores; a spare line gets the losses.

    One against the rest the target has a hinge of its own; else the rivals are measured from it.
    """
    lanes = lanes_of(turned)
    width = turned.shape[1]
    number = turned.dtype.type
    one = spread(number(1), turned)
    zero = one - one
    for i in range(0, n_rows, lanes):
        target = load(turned, n_outputs * width + i)
        own = load(turned, i)
        for k in range(1, n_outputs):
            own = choose(target, k, load(turned, k * width + i), own)
        base = one if shape == HINGE else one - own
        values = zero
        slopes = zero
        for k in range(n_outputs):
            excess = choose(target, k, zero, largest(zero, load(turned, k * width + i) + base))  # a NaN stays
            slope = excess * number(2) if squared else where_positive(excess, one)
            values = values + (excess * excess if squared else excess)
            slopes = slopes + slope
            if wants_slopes:
                store(turned, k * width + i, slope)
        if shape == HINGE:
            violation = largest(zero, one - own)
            values = values + (violation * violation if squared else violation)
            slopes = violation * number(2) if squared else where_positive(violation, one)
        for k in range(n_outputs if wants_slopes else 0):
            store(turned, k * width + i, choose(target, k, zero - slopes, load(turned, k * width + i)))
        store(turned, (n_outputs + 1) * width + i, values)


@helper
def _rivals_turned(squared, n_rows, n_outputs, wants_slopes, turned):
    """The same of the largest rival alone, the first of equals."""
    lanes = lanes_of(turned)
    width = turned.shape[1]
    number = turned.dtype.type
    one = spread(number(1), turned)
    zero = one - one
    for i in range(0, n_rows, lanes):
        target = load(turned, n_outputs * width + i)
        own = load(turned, i)
        best = choose(target, 0, load(turned, width + i), own)
        which = choose(target, 0, one, zero)
        for k in range(1, n_outputs):
            here = load(turned, k * width + i)
            own = choose(target, k, here, own)
            rival = choose(target, k, best, here)
            which = which + where_positive(rival - best, one) * (number(k) - which)
            best = largest(rival, best)
        violation = largest(zero, best - own + one)  # a NaN stays
        slope = violation * number(2) if squared else where_positive(violation, one)
        for k in range(n_outputs if wants_slopes else 0):
            store(turned, k * width + i, choose(which, k, slope, choose(target, k, zero - slope, zero)))
        store(turned, (n_outputs + 1) * width + i, violation * violation if squared else violation)


@helper
def margins_turned(is_logistic, squared, n_rows, wants_slopes, turned):
    """Slopes, if wanted, replace the only score; a spare line gets losses, of logistic loss the margins."""
    lanes = lanes_of(turned)
    width = turned.shape[1]
    number = turned.dtype.type
    one = spread(number(1), turned)
    zero = one - one
    for i in range(0, n_rows, lanes):
        sign = load(turned, width + i) * number(2) - one
        margin = load(turned, i) * sign
        if is_logistic:
            value = margin
            small = exp(zero - largest(margin, zero - margin))
            share = where_positive(margin, small) + (one - where_positive(margin, one))
            slope = share / (one + small)
        else:
            violation = largest(zero, one - margin)  # a NaN stays
            value = violation * violation if squared else violation
            slope = violation * number(2) if squared else where_positive(violation, one)
        if wants_slopes:
            store(turned, i, zero - sign * slope)
        store(turned, 2 * width + i, value)


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
