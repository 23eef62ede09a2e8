"""Losses of one row of scores, by number. `sklearn_lossopt.losses` has their mathematics."""

import math

from ._jit import helper
from .exponential import exp_nonpositive
from .vectors import (
    exp,
    keep_first,
    lanes_of,
    largest,
    load,
    load_first,
    spread,
    store,
    store_first,
    top,
    total,
    where_positive,
)

SOFTMAX, LOGISTIC, HINGE, WESTON_WATKINS, CRAMMER_SINGER = range(5)
SQUARED = 8  # added to the number of a hinge loss

# Targets are class numbers. With a single output (two classes) its score belongs to class 1, and
# HINGE is one-vs-rest: for that output as for K of them.


def loss_at_zero(loss, n_outputs):
    """A row's loss where all scores are 0: the same for every target."""
    if loss in (SOFTMAX, LOGISTIC):
        return math.log(max(n_outputs, 2))
    return {HINGE: n_outputs, WESTON_WATKINS: n_outputs - 1, CRAMMER_SINGER: 1}[loss % SQUARED]


@helper
def differentiate_softmax(scores, target):
    """The gradient replaces the scores; a row's loss is margin + log(mass), and these two are given."""
    n_outputs = scores.size
    number = scores.dtype.type
    lanes = lanes_of(scores)
    highest = load_first(scores, 0, n_outputs, scores[0])
    for k in range(lanes, n_outputs, lanes):
        highest = largest(highest, load_first(scores, k, n_outputs - k, scores[0]))
    most = top(highest)
    margin = float(most) - float(scores[target])
    last = n_outputs - lanes
    if last < 0:
        p = keep_first(exp(load_first(scores, 0, n_outputs, most) - most), n_outputs)
        mass = total(p)
        store_first(scores, 0, n_outputs, p * (number(1) / mass))
    else:
        # The last vector goes over some outputs again, as in `rows.add_entries`: they count once.
        end = exp(load(scores, last) - most)
        sums = end - keep_first(end, -(-last // lanes) * lanes - last)
        for k in range(0, last, lanes):
            p = exp(load(scores, k) - most)
            store(scores, k, p)
            sums = sums + p
        mass = total(sums)
        inverse = number(1) / mass
        for k in range(0, last, lanes):
            store(scores, k, load(scores, k) * inverse)
        store(scores, last, end * inverse)
    scores[target] -= number(1)
    return margin, float(mass)


@helper
def differentiate(loss, scores, target):
    """Loss of one row; its gradient replaces the scores."""
    n_outputs = scores.size
    number = scores.dtype.type
    lanes = lanes_of(scores)
    if loss == SOFTMAX:
        margin, mass = differentiate_softmax(scores, target)
        return margin + math.log(mass)
    if loss == LOGISTIC:
        sign = number(1) if target == 1 else number(-1)
        margin = sign * scores[0]
        # exp of a negative number only: neither branch overflows
        small = exp_nonpositive(-abs(margin))
        if margin > 0:
            scores[0] = -sign * small / (number(1) + small)
            return math.log1p(float(small))
        scores[0] = -sign / (number(1) + small)
        return math.log1p(float(small)) - float(margin)

    squared = loss >= SQUARED
    shape = loss - SQUARED if squared else loss
    value = 0.0
    if shape == HINGE and n_outputs == 1:
        sign = number(1) if target == 1 else number(-1)
        violation = max(number(1) - sign * scores[0], number(0))
        own = number(2) * violation if squared else number(1 if violation > 0 else 0)
        scores[0] = -sign * own
        value = float(violation) * float(violation) if squared else float(violation)
    elif shape in (HINGE, WESTON_WATKINS):
        # One against the rest the target has a hinge of its own; else the rivals are measured from it.
        base = number(1) if shape == HINGE else number(1) - scores[target]
        violation = max(number(1) - scores[target], number(0))
        scores[target] = -base  # a hinge of 0, as in the lanes without an output
        values = spread(number(0), scores)
        slopes = spread(number(0), scores)
        for k in range(0, n_outputs, lanes):
            excess = largest(load_first(scores, k, n_outputs - k, -base) + base, number(0))
            slope = excess * 2 if squared else where_positive(excess, spread(number(1), scores))
            values = values + (excess * excess if squared else excess)
            slopes = slopes + slope
            store_first(scores, k, n_outputs - k, slope)
        value = float(total(values))
        own = total(slopes)
        if shape == HINGE:
            value += float(violation) * float(violation) if squared else float(violation)
            own = number(2) * violation if squared else number(1 if violation > 0 else 0)
        scores[target] = -own
    else:
        rival = 1 if target == 0 else 0
        for k in range(n_outputs):
            if k != target and scores[k] > scores[rival]:
                rival = k
        violation = scores[rival] - scores[target] + number(1)
        for k in range(n_outputs):
            scores[k] = number(0)
        if violation > 0:
            if squared:
                value = float(violation) * float(violation)
                scores[rival] = number(2) * violation
            else:
                value = float(violation)
                scores[rival] = number(1)
            scores[target] = -scores[rival]
    return value


@helper
def is_right(scores, target):
    """Whether the largest score (two classes: the sign) names the target, as `predict` does."""
    if scores.size == 1:
        return (scores[0] > 0) == (target == 1)
    best = 0
    for k in range(1, scores.size):
        if scores[k] > scores[best]:
            best = k
    return best == target
