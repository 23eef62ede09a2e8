"""One row's dual variables, set to the best for its scores: the steps of dual coordinate ascent.

A row with weight w, scores s and dual variables a = -slope (by the scores) moves the scores of its own
by ``curvature * (change of a)``. Each step maximizes ``-loss*(-a - c) - <s, c> - curvature/2 |c|^2`` over
the change c, to rounding. What is stored of `a`, a line of n_outputs numbers:

- softmax: log p with p on the simplex, a = e_y - p. (e_y - p itself would cancel.)
- logistic and one-vs-rest hinges: u in [0, 1] (squared: u >= 0), a = t u.
- Weston-Watkins and Crammer-Singer: u >= 0 for the rivals, 0 for the target;
  a = -u for rivals, their sum for the target.

Sources: Shalev-Shwartz and Zhang 2013 (ascent); Crammer and Singer 2001; Dogan, Glasmachers and Igel
2016; Lapin, Hein and Schiele 2015 (steps as projections).
"""

import math

import numpy as np

from ._jit import helper
from .exponential import exp_nonpositive, log_positive
from .losses import CRAMMER_SINGER, HINGE, LOGISTIC, SOFTMAX, SQUARED, WESTON_WATKINS

LEAST_LOG = -60.0  # of p: exp stays a normal number in float32
# A curvature taken too large only shortens a step; below this, steps would lose their digits.
LEAST_CURVATURE = 1e-3
ENOUGH = 0.03  # change of softmax's p after which another Newton step would bring nothing: measured
MOST_STEPS = 40  # of any root search; two or three are usual


@helper
def start_dual(loss, line, target):
    """Dual variables that belong to zero coefficients: a = 0."""
    number = line.dtype.type
    for k in range(line.size):
        line[k] = number(LEAST_LOG if loss == SOFTMAX else 0)
    if loss == SOFTMAX:
        line[target] = number(0)


@helper
def dual_of_slopes(loss, slopes, line, target):
    """Dual variables of a row from its loss's slopes."""
    number = line.dtype.type
    shape = loss - SQUARED if loss >= SQUARED else loss
    for k in range(line.size):
        if loss == SOFTMAX:
            p = slopes[k] + number(1) if k == target else slopes[k]
            line[k] = max(number(math.log(max(p, number(1e-30)))), number(LEAST_LOG))
        elif loss == LOGISTIC or shape == HINGE:
            line[k] = abs(slopes[k])
        else:
            line[k] = number(0) if k == target else slopes[k]


@helper
def read_dual(loss, line, target, keep, mixed, out):
    """Put a, float64, of a line after it was moved, into `out`.

    A move keeps the line in the domain: u becomes ``keep * u`` with keep in [0, 1]; softmax's p too, and
    what that takes away goes to `mixed`, a point of the simplex.
    """
    n_outputs = line.size
    if loss == SOFTMAX:
        total = 0.0
        for k in range(n_outputs):
            out[k] = exp_nonpositive(np.float64(line[k]))
            total += out[k]
        loose = 0.0
        for k in range(n_outputs):
            out[k] /= total
            loose += (1 - keep[k]) * out[k]
        rest = 0.0
        for k in range(n_outputs):
            p = keep[k] * out[k] + loose * mixed[k]
            rest += p
            out[k] = -p
        out[target] += rest
        return
    if loss == LOGISTIC:
        u = keep[0] * np.float64(line[0])
        out[0] = u if target == 1 else -u
        return
    shape = loss - SQUARED if loss >= SQUARED else loss
    factor = 1.0
    if loss == CRAMMER_SINGER:
        # Their sum may be above 1 by a rounding.
        total = 0.0
        for k in range(n_outputs):
            total += np.float64(line[k])
        factor = 1 / max(1.0, total)
    total = 0.0
    first = 1 if n_outputs == 1 else 0
    for k in range(n_outputs):
        u = keep[k] * np.float64(line[k]) * factor
        total += u
        out[k] = u if shape == HINGE and k + first == target else -u
    if shape != HINGE:
        out[target] = total


@helper
def conjugate(loss, a, target):
    """The conjugate loss*(-a) of a dual vector in its domain, float64."""
    n_outputs = a.size
    value = 0.0
    if loss == SOFTMAX:
        own = 1 - a[target]
        a[target] = -own
        for k in range(n_outputs):
            value -= a[k] * log_positive(max(-a[k], 0.0))
        a[target] = 1 - own
        return value
    if loss == LOGISTIC:
        u = abs(a[0])
        if u > 0:
            value += u * math.log(u)
        if u < 1:
            value += (1 - u) * math.log1p(-u)
        return value
    shape = loss - SQUARED if loss >= SQUARED else loss
    total = 0.0
    square = 0.0
    for k in range(n_outputs):
        total += abs(a[k])
        square += a[k] * a[k]
    if shape != HINGE:
        # the rivals' alone: the target's entry is their sum
        total /= 2
        square -= total * total
    if loss < SQUARED:
        return -total
    return (total * total if shape == CRAMMER_SINGER else square) / 4 - total


@helper
def ascend(loss, scores, line, target, curvature, change, room):
    """Set a row's dual variables to their best; `change` becomes that of a. `scores` are used up."""
    curvature = max(curvature, scores.dtype.type(LEAST_CURVATURE))
    if loss == SOFTMAX:
        _ascend_softmax(scores, line, curvature, change, room)
    elif loss == LOGISTIC:
        _ascend_logistic(scores, line, target, curvature, change)
    else:
        squared = loss >= SQUARED
        shape = loss - SQUARED if squared else loss
        if shape == HINGE:
            _ascend_hinge(squared, scores, line, target, curvature, change)
        elif shape == WESTON_WATKINS:
            _ascend_weston_watkins(squared, scores, line, target, curvature, change)
        else:
            _ascend_crammer_singer(squared, scores, line, target, curvature, change)


@helper
def _ascend_softmax(scores, line, curvature, change, p):
    """Maximize ``sum_k p_k (s_k - log p_k) - curvature/2 |p - p0|^2`` over the simplex.

    At the maximum ``l + curvature * exp(l) = z - nu`` for l = log p and z = s + curvature * p0, with nu such
    that p sums to 1: Newton's method on all of l and nu at once, from where the row was.
    """
    number = scores.dtype.type
    one = number(1)
    n_outputs = line.size
    for k in range(n_outputs):
        q = exp_nonpositive(line[k])
        p[k] = q
        change[k] = q
        scores[k] += curvature * q
    for _ in range(MOST_STEPS):
        total = number(0)
        pull = number(0)
        mass = number(0)
        for k in range(n_outputs):
            share = p[k] / (one + curvature * p[k])
            total += p[k]
            mass += share
            pull += share * (scores[k] - line[k] - curvature * p[k])
        nu = (pull - (one - total)) / mass
        moved = number(0)
        for k in range(n_outputs):
            step = (scores[k] - line[k] - curvature * p[k] - nu) / (one + curvature * p[k])
            log = min(max(line[k] + step, number(LEAST_LOG)), number(0))
            line[k] = log
            q = exp_nonpositive(log)
            # a sum, not a maximum: LLVM vectorizes that without assuming away NaN
            moved += (q - p[k]) * (q - p[k])
            p[k] = q
        if moved < number(ENOUGH * ENOUGH):
            break
    total = number(0)
    for k in range(n_outputs):
        total += p[k]
    inverse = one / total
    log_total = number(math.log(total))
    for k in range(n_outputs):
        line[k] = min(max(line[k] - log_total, number(LEAST_LOG)), number(0))
        change[k] -= p[k] * inverse


@helper
def _ascend_logistic(scores, line, target, curvature, change):
    """Maximize the entropy of (u, 1 - u) ``- m u - curvature/2 (u - u0)^2`` for the margin m = t s.

    In q = log(u / (1 - u)): ``q + m + curvature * (u - u0) = 0``, increasing in q.
    """
    number = scores.dtype.type
    one = number(1)
    sign = one if target == 1 else -one
    margin = sign * scores[0]
    u0 = line[0]
    # The root lies between where u would be 1 and where it would be 0.
    low = -margin - curvature * (one - u0)
    high = -margin + curvature * u0
    q = min(max(-margin, low), high)
    if u0 > 0 and u0 < 1:
        q = min(max(number(math.log(u0 / (one - u0))), low), high)
    u = u0
    for _ in range(MOST_STEPS):
        small = exp_nonpositive(-abs(q))
        u = one / (one + small) if q > 0 else small / (one + small)
        residual = q + margin + curvature * (u - u0)
        if residual > 0:
            high = q
        else:
            low = q
        step = residual / (one + curvature * small / ((one + small) * (one + small)))
        new = q - step
        if not (new > low and new < high):
            new = (low + high) / 2
        q = new
        if abs(step) < number(0.1):  # the next would be its square
            break
    small = exp_nonpositive(-abs(q))
    u = one / (one + small) if q > 0 else small / (one + small)
    line[0] = u
    change[0] = sign * (u - u0)


@helper
def _ascend_hinge(squared, scores, line, target, curvature, change):
    """A clipped step for each output."""
    number = scores.dtype.type
    one = number(1)
    first = 1 if line.size == 1 else 0
    softness = number(0.5) if squared else number(0)
    cap = number(1e30) if squared else one
    inverse = one / (curvature + softness)
    for k in range(line.size):
        sign = one if k + first == target else -one
        u = line[k]
        new = u + (one - sign * scores[k] - softness * u) * inverse
        new = min(max(new, number(0)), cap)
        line[k] = new
        change[k] = sign * (new - u)


@helper
def _ascend_weston_watkins(squared, scores, line, target, curvature, change):
    """Maximize ``<v, c> - curvature/2 (|c|^2 + (sum c)^2)``, v the hinges' arguments, c the change of u.

    With t = sum c the rivals are ``u = clip((v + curvature (u0 - t)) / (curvature + softness))``; t is the
    root of a decreasing, piecewise linear function: Newton's method within a shrinking bracket.
    """
    number = scores.dtype.type
    n_outputs = line.size
    one = number(1)
    zero = number(0)
    softness = number(0.5) if squared else zero
    cap = number(1e30) if squared else one
    inverse = one / (curvature + softness)
    ratio = curvature * inverse
    base = one - scores[target]
    before = zero
    high = zero
    for k in range(n_outputs):
        z = (scores[k] + base + curvature * line[k]) * inverse
        scores[k] = z
        before += line[k]
    scores[target] = number(-1e30)
    for k in range(n_outputs):
        high += min(max(scores[k], zero), cap)
    low = -before
    high = max(high - before, zero)
    t = zero
    for _ in range(MOST_STEPS):
        total = zero
        free = zero
        offset = ratio * t
        for k in range(n_outputs):
            u = scores[k] - offset
            total += min(max(u, zero), cap)
            free += ratio if u > zero and u < cap else zero
        residual = total - before - t
        if residual > 0:
            low = t
        else:
            high = t
        step = residual / (one + free)
        new = t + step
        if not (new >= low and new <= high):
            new = (low + high) / 2
        t = new
        if abs(step) <= number(1e-6) * (one + before):
            break
    offset = ratio * t
    moved = zero
    for k in range(n_outputs):
        u = min(max(scores[k] - offset, zero), cap)
        change[k] = line[k] - u
        moved += u - line[k]
        line[k] = u
    change[target] = moved


@helper
def _ascend_crammer_singer(squared, scores, line, target, curvature, change):
    """As for Weston and Watkins, but for the sum of u: at most 1, or its square in the conjugate.

    Rivals are ``u = max(0, z - c)`` with z = u0 + v / curvature, and c the root of a convex decreasing
    function: from the left, Newton's method cannot overshoot.
    """
    number = scores.dtype.type
    n_outputs = line.size
    one = number(1)
    zero = number(0)
    inverse = one / curvature
    slope = 2 * curvature / (2 * curvature + one) if squared else one
    base = one - scores[target]
    before = zero
    for k in range(n_outputs):
        before += line[k]
        scores[k] = line[k] + (scores[k] + base) * inverse
    scores[target] = number(-1e30)
    c = _threshold(scores, slope * before, slope)
    if not squared and c + before > one:
        c = _threshold(scores, one, zero)
    moved = zero
    for k in range(n_outputs):
        u = max(scores[k] - c, zero)
        change[k] = line[k] - u
        moved += u - line[k]
        line[k] = u
    change[target] = moved


@helper
def _threshold(z, level, slope):
    """The c where ``sum max(0, z - c) = level + slope * c``; one entry of z counts as minus infinity."""
    number = z.dtype.type
    zero = number(0)
    top = number(-1e30)
    for k in range(z.size):
        top = max(top, z[k])
    # To the left of the root: even the largest entry alone exceeds the line there.
    c = (top - level) / (number(1) + slope)
    for _ in range(MOST_STEPS):
        total = zero
        count = zero
        for k in range(z.size):
            total += max(z[k] - c, zero)
            count += number(1) if z[k] > c else zero
        step = (total - level - slope * c) / (count + slope)
        c += step
        if step <= number(1e-6) * (number(1) + abs(c)):
            break
    return c
