"""Losses of one row of scores, by number. `sklearn_lossopt.losses` has their mathematics."""

import math

from ._jit import helper
from .exponential import exp_nonpositive

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
def differentiate(loss, scores, target):
    """Loss of one row; its gradient replaces the scores."""
    n_outputs = scores.size
    number = scores.dtype.type
    if loss == SOFTMAX:
        top = scores[0]
        for k in range(1, n_outputs):
            if scores[k] > top:
                top = scores[k]
        margin = float(top) - float(scores[target])
        total = number(0)
        for k in range(n_outputs):
            scores[k] = exp_nonpositive(scores[k] - top)
            total += scores[k]
        inverse = number(1) / total
        for k in range(n_outputs):
            scores[k] *= inverse
        scores[target] -= number(1)
        return margin + math.log(float(total))
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
    if shape == HINGE:
        first = 1 if n_outputs == 1 else 0
        for k in range(n_outputs):
            sign = number(1) if k + first == target else number(-1)
            violation = number(1) - sign * scores[k]
            if violation > 0:
                if squared:
                    value += float(violation) * float(violation)
                    scores[k] = number(-2) * sign * violation
                else:
                    value += float(violation)
                    scores[k] = -sign
            else:
                scores[k] = number(0)
    elif shape == WESTON_WATKINS:
        base = scores[target] - number(1)
        own = number(0)
        for k in range(n_outputs):
            violation = scores[k] - base
            if k != target and violation > 0:
                if squared:
                    value += float(violation) * float(violation)
                    scores[k] = number(2) * violation
                else:
                    value += float(violation)
                    scores[k] = number(1)
                own += scores[k]
            else:
                scores[k] = number(0)
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
