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
from .exponential import exp_nonpositive
from .losses import CRAMMER_SINGER, HINGE, LOGISTIC, SOFTMAX, SQUARED, WESTON_WATKINS
from .vectors import (
    exp,
    keep_first,
    lanes_of,
    largest,
    load,
    load_as,
    load_first,
    log,
    smallest,
    spread,
    store,
    store_first,
    top,
    total,
    where_positive,
)

LEAST_LOG = -60.0  # of p: exp stays a normal number in float32
# A curvature taken too large only shortens a step; below this, steps would lose their digits.
LEAST_CURVATURE = 1e-3
ENOUGH = 0.03  # change of softmax's p after which another Newton step would bring nothing: measured
NEAR_32, NEAR_64 = 0.015, 1e-4  # distances of a mass from 1 at which four terms of its logarithm's series do
MOST_STEPS = 40  # of any root search; two or three are usual
NEVER = -1e30  # a score that no rival has


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
    """Put a, float64, of a line after it was moved, into `out`, which is padded with zeros to whole vectors.

    A move keeps the line in the domain: u becomes ``keep * u`` with keep in [0, 1]; softmax's p too, and
    what that takes away goes to `mixed`, a point of the simplex. Both are padded like `out`, or empty: then
    the line is read as it is.
    """
    n_outputs = line.size
    lanes = lanes_of(out)
    is_moved = keep.size > 0
    nothing = spread(0.0, out)
    sums = nothing
    if loss == SOFTMAX:
        for k in range(0, n_outputs, lanes):
            p = keep_first(exp(load_as(line, k, n_outputs - k, NEVER, out)), n_outputs - k)
            store(out, k, p)
            sums = sums + p
        inverse = 1 / total(sums)
        sums = nothing
        if is_moved:
            loose = nothing
            for k in range(0, n_outputs, lanes):
                p = load(out, k) * inverse
                kept = load(keep, k) * p
                loose = loose + (p - kept)
                store(out, k, kept)
            taken = total(loose)
            for k in range(0, n_outputs, lanes):
                p = load(out, k) + load(mixed, k) * taken
                sums = sums + p
                store(out, k, nothing - p)
        else:
            for k in range(0, n_outputs, lanes):
                p = load(out, k) * inverse
                sums = sums + p
                store(out, k, nothing - p)
        out[target] += total(sums)
        return
    if loss == LOGISTIC or n_outputs == 1:
        u = np.float64(line[0])
        if is_moved:
            u *= keep[0]
        store(out, 0, nothing)
        out[0] = u if target == 1 else -u
        return
    shape = loss - SQUARED if loss >= SQUARED else loss
    factor = 1.0
    if loss == CRAMMER_SINGER:
        # Their sum may be above 1 by a rounding.
        for k in range(0, n_outputs, lanes):
            sums = sums + load_as(line, k, n_outputs - k, 0, out)
        factor = 1 / max(1.0, total(sums))
        sums = nothing
    for k in range(0, n_outputs, lanes):
        u = load_as(line, k, n_outputs - k, 0, out) * factor
        if is_moved:
            u = load(keep, k) * u
        sums = sums + u
        store(out, k, nothing - u)
    out[target] = -out[target] if shape == HINGE else total(sums)


@helper
def conjugate(loss, a, target):
    """The conjugate loss*(-a) of a dual vector in its domain, float64, padded with zeros to whole vectors."""
    if loss == LOGISTIC:
        u = abs(a[0])
        value = 0.0
        if u > 0:
            value += u * math.log(u)
        if u < 1:
            value += (1 - u) * math.log1p(-u)
        return value
    lanes = lanes_of(a)
    sums = spread(0.0, a)
    squares = spread(0.0, a)
    if loss == SOFTMAX:
        own = a[target]
        a[target] = own - 1
        for k in range(0, a.size, lanes):
            p = largest(0.0, 0.0 - load(a, k))
            sums = sums + p * log(p)
        a[target] = own
        return total(sums)
    for k in range(0, a.size, lanes):
        here = load(a, k)
        sums = sums + largest(here, 0.0 - here)
        squares = squares + here * here
    shape = loss - SQUARED if loss >= SQUARED else loss
    size = total(sums)
    square = total(squares)
    if shape != HINGE:
        # the rivals' alone: the target's entry is their sum
        size /= 2
        square -= size * size
    if loss < SQUARED:
        return -size
    return (size * size if shape == CRAMMER_SINGER else square) / 4 - size


@helper
def ascend(loss, scores, line, target, curvature, change, room):
    """Set a row's dual variables to their best; `change` becomes that of a. `scores` are used up.

    `scores` and `change`, and the two lines of `room`, are padded to whole vectors (`padded_outputs`);
    what is in the padding does not matter.
    """
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
def _ascend_softmax(scores, line, curvature, change, room):
    """Maximize ``sum_k p_k (s_k - log p_k) - curvature/2 |p - p0|^2`` over the simplex.

    At the maximum ``l + curvature * exp(l) = z - nu`` for l = log p and z = s + curvature * p0, with nu such
    that p sums to 1: Newton's method on all of l and nu at once, from where the row was.
    """
    number = scores.dtype.type
    one = number(1)
    zero = number(0)
    n_outputs = line.size
    lanes = lanes_of(scores)
    if n_outputs <= lanes:
        _ascend_softmax_short(scores, line, curvature, change)
        return
    p, logs = room[0], room[1]
    for k in range(0, n_outputs, lanes):
        log_p = load_first(line, k, n_outputs - k, number(LEAST_LOG))
        q = keep_first(exp(log_p), n_outputs - k)
        store(logs, k, log_p)
        store(p, k, q)
        store(change, k, q)
        store(scores, k, load_first(scores, k, n_outputs - k, number(NEVER)) + q * curvature)
    for _ in range(MOST_STEPS):
        mass = spread(zero, scores)
        pull = spread(zero, scores)
        for k in range(0, n_outputs, lanes):
            q = load(p, k)
            curved = q * curvature
            share = q / (curved + one)
            mass = mass + share
            pull = pull + (share * (load(scores, k) - load(logs, k) - curved) + q)
        nu = (total(pull) - one) / total(mass)
        moved = spread(zero, scores)
        for k in range(0, n_outputs, lanes):
            q = load(p, k)
            log_p = load(logs, k)
            curved = q * curvature
            log_p = log_p + (load(scores, k) - log_p - curved - nu) / (curved + one)
            log_p = smallest(largest(log_p, number(LEAST_LOG)), zero)
            store(logs, k, log_p)
            new = keep_first(exp(log_p), n_outputs - k)
            store(p, k, new)
            step = new - q
            moved = moved + step * step
        if total(moved) < number(ENOUGH * ENOUGH):
            break
    sums = spread(zero, scores)
    for k in range(0, n_outputs, lanes):
        sums = sums + load(p, k)
    mass_of_p = total(sums)
    inverse = one / mass_of_p
    log_total = _log_of_mass(mass_of_p, scores)
    for k in range(0, n_outputs, lanes):
        log_p = smallest(largest(load(logs, k) - log_total, number(LEAST_LOG)), zero)
        store_first(line, k, n_outputs - k, log_p)
        store(change, k, load(change, k) - load(p, k) * inverse)


@helper
def _ascend_softmax_short(scores, line, curvature, change):
    """The same of as many outputs as a vector holds, which never leave the registers.

    Rows wait for one another: a pass takes as long as this does from its first operation to its last.
    """
    number = scores.dtype.type
    one = number(1)
    zero = number(0)
    n_outputs = line.size
    logs = load_first(line, 0, n_outputs, number(LEAST_LOG))
    p = keep_first(exp(logs), n_outputs)
    before = p
    z = load_first(scores, 0, n_outputs, number(NEVER)) + p * curvature
    for _ in range(MOST_STEPS):
        curved = p * curvature
        share = one / (curved + one)
        gap = z - logs - curved
        weight = p * share
        nu = (total(weight * gap + p) - one) / total(weight)
        logs = smallest(largest(logs + (gap - nu) * share, number(LEAST_LOG)), zero)
        new = keep_first(exp(logs), n_outputs)
        step = new - p
        p = new
        if total(step * step) < number(ENOUGH * ENOUGH):
            break
    mass = total(p)
    logs = smallest(largest(logs - _log_of_mass(mass, scores), number(LEAST_LOG)), zero)
    store_first(line, 0, n_outputs, logs)
    store(change, 0, before - p * (one / mass))


@helper
def _log_of_mass(mass, scores):
    """Its logarithm, by its series where the last step has left it near 1, to a tenth of a rounding."""
    number = scores.dtype.type
    above = mass - number(1)
    if abs(above) < number(NEAR_32 if scores.itemsize == 4 else NEAR_64):
        return above * (number(1) - above * (number(0.5) - above * (number(1 / 3) - above * number(0.25))))
    return number(math.log(mass))


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
    zero = number(0)
    softness = number(0.5) if squared else zero
    cap = number(1e30) if squared else one
    inverse = one / (curvature + softness)
    n_outputs = line.size
    if n_outputs == 1:
        sign = one if target == 1 else -one
        u = line[0]
        line[0] = min(max(u + (one - sign * scores[0] - softness * u) * inverse, zero), cap)
        change[0] = sign * (line[0] - u)
        return
    # All as rivals at first, then the target.
    u = line[target]
    own = min(max(u + (one - scores[target] - softness * u) * inverse, zero), cap)
    lanes = lanes_of(scores)
    for k in range(0, n_outputs, lanes):
        before = load_first(line, k, n_outputs - k, zero)
        violation = load(scores, k) + one
        new = smallest(largest(before + (violation - before * softness) * inverse, zero), cap)
        store_first(line, k, n_outputs - k, new)
        store(change, k, before - new)
    line[target] = own
    change[target] = own - u


@helper
def _ascend_weston_watkins(squared, scores, line, target, curvature, change):
    """Maximize ``<v, c> - curvature/2 (|c|^2 + (sum c)^2)``, v the hinges' arguments, c the change of u.

    With t = sum c the rivals are ``u = clip((v + curvature (u0 - t)) / (curvature + softness))``; t is the
    root of a decreasing, piecewise linear function: Newton's method within a shrinking bracket.
    """
    number = scores.dtype.type
    n_outputs = line.size
    lanes = lanes_of(scores)
    one = number(1)
    zero = number(0)
    softness = number(0.5) if squared else zero
    cap = number(1e30) if squared else one
    inverse = one / (curvature + softness)
    ratio = curvature * inverse
    base = one - scores[target]
    scores[target] = number(NEVER)
    sums = spread(zero, scores)
    most = spread(zero, scores)
    for k in range(0, n_outputs, lanes):
        u = load_first(line, k, n_outputs - k, zero)
        z = (load_first(scores, k, n_outputs - k, number(NEVER)) + base + u * curvature) * inverse
        store(scores, k, z)
        sums = sums + u
        most = most + smallest(largest(z, zero), cap)
    before = total(sums)
    low = -before
    high = max(total(most) - before, zero)
    t = zero
    for n_steps in range(MOST_STEPS):
        offset = ratio * t
        sums = spread(zero, scores)
        free = spread(zero, scores)
        for k in range(0, n_outputs, lanes):
            u = load(scores, k) - offset
            sums = sums + smallest(largest(u, zero), cap)
            free = free + where_positive(u, where_positive(spread(cap, scores) - u, spread(ratio, scores)))
        residual = total(sums) - before - t
        if residual > 0:
            low = t
        else:
            high = t
        step = residual / (one + total(free))
        if abs(step) <= number(1e-6) * (one + before):
            t += step
            break
        # Between kinks that lie far apart Newton's steps may go to and fro: then the bracket is halved.
        new = t + step
        is_inside = new > low and new < high
        t = new if is_inside and n_steps % 4 != 3 else (low + high) / 2
    offset = ratio * t
    moved = spread(zero, scores)
    for k in range(0, n_outputs, lanes):
        u = load_first(line, k, n_outputs - k, zero)
        new = smallest(largest(load(scores, k) - offset, zero), cap)
        store_first(line, k, n_outputs - k, new)
        store(change, k, u - new)
        moved = moved + (new - u)
    change[target] = total(moved)


@helper
def _ascend_crammer_singer(squared, scores, line, target, curvature, change):
    """As for Weston and Watkins, but for the sum of u: at most 1, or its square in the conjugate.

    Rivals are ``u = max(0, z - c)`` with z = u0 + v / curvature, and c the root of a convex decreasing
    function: from the left, Newton's method cannot overshoot.
    """
    number = scores.dtype.type
    n_outputs = line.size
    lanes = lanes_of(scores)
    one = number(1)
    zero = number(0)
    inverse = one / curvature
    slope = 2 * curvature / (2 * curvature + one) if squared else one
    base = one - scores[target]
    scores[target] = number(NEVER)
    sums = spread(zero, scores)
    for k in range(0, n_outputs, lanes):
        u = load_first(line, k, n_outputs - k, zero)
        sums = sums + u
        rival = load_first(scores, k, n_outputs - k, number(NEVER))
        store(scores, k, u + (rival + base) * inverse)
    before = total(sums)
    c = _threshold(scores, n_outputs, slope * before, slope)
    if not squared and c + before > one:
        c = _threshold(scores, n_outputs, one, zero)
    moved = spread(zero, scores)
    for k in range(0, n_outputs, lanes):
        u = load_first(line, k, n_outputs - k, zero)
        new = largest(load(scores, k) - c, zero)
        store_first(line, k, n_outputs - k, new)
        store(change, k, u - new)
        moved = moved + (new - u)
    change[target] = total(moved)


@helper
def _threshold(z, n_outputs, level, slope):
    """The c where ``sum max(0, z - c) = level + slope * c``; some entries of z count as minus infinity."""
    number = z.dtype.type
    zero = number(0)
    one = number(1)
    lanes = lanes_of(z)
    highest = load(z, 0)
    for k in range(lanes, n_outputs, lanes):
        highest = largest(highest, load(z, k))
    # To the left of the root: even the largest entry alone exceeds the line there.
    c = (top(highest) - level) / (one + slope)
    for _ in range(MOST_STEPS):
        sums = spread(zero, z)
        counts = spread(zero, z)
        for k in range(0, n_outputs, lanes):
            above = load(z, k) - c
            sums = sums + largest(above, zero)
            counts = counts + where_positive(above, spread(one, z))
        step = (total(sums) - level - slope * c) / (total(counts) + slope)
        c += step
        if step <= number(1e-6) * (one + abs(c)):
            break
    return c
