"""One step of each optimizer on a line of parameters, and the proximal step of the penalty.

A line of dense parameters is an output and has a `scale` for each feature along it; a line of CSR
parameters is a feature and has one scale and one `catch_up`. A feature divided by s has its gradient
divided by s and its coefficient multiplied by s, so in the user's coordinates a step of rate r
becomes one of rate r * scale ** 2 with scale = 1 / s.

`catch_up` is the number of steps that this one stands for where a feature is touched by few. The
gradient carries the L2 penalty of this step, the proximal step that of the missed ones (implicit,
hence stable for any number of them) and the whole L1 penalty.
"""

from typing import NamedTuple

import numpy as np

from ._jit import helper, inlined
from .prefetch import prefetch
from .rows import LINE, by_storage
from .vectors import (
    HAS_QUICK_MASKS,
    lanes_of,
    largest,
    load,
    load_first,
    root,
    smallest,
    spread,
    store,
    store_first,
)

# Plain gradient descent is NESTEROV with momentum 0.
MOMENTUM, NESTEROV, ADAM, ADAMW, RMSPROP, ADAGRAD = range(6)


PREFETCHED = 8  # lines ahead
FEW = 4  # numbers of a line from which on a part of a vector is quicker than one by one


class Parameters(NamedTuple):
    """Parameters and the optimizer's memory: the coefficients, or the intercepts as one line.

    Lines of the gradient of CSR features are those of slots, and fill a vector, but those of one output.
    """

    values: np.ndarray
    gradient: np.ndarray
    first: np.ndarray
    second: np.ndarray


class StepSettings(NamedTuple):
    """Constants of a pass. All but `optimizer` are of the parameters' dtype."""

    optimizer: int
    rate: float
    l1: float
    l2: float
    momentum: float  # Adam: decay of the first moment; else of those with moments 0
    decay: float  # of the second moment; Adagrad: 1
    epsilon: float


def _scale_dense(rows, scale, i):
    return scale


def _scale_csr(rows, scale, i):
    return scale[i]


def _catch_up_dense(rows, catch_up, i):
    return catch_up.dtype.type(1)


def _catch_up_csr(rows, catch_up, i):
    return catch_up[i]


def _prefetch_line_dense(rows, lines, t, matrix, other):
    """Ask for line t + PREFETCHED of the parameters, if lines are scattered."""


def _prefetch_line_csr(rows, lines, t, matrix, other):
    n_outputs = matrix.shape[1]
    # Shorter lines the processor finds early enough by itself.
    if n_outputs * matrix.itemsize > LINE and t + PREFETCHED < lines.size:
        first = lines[t + PREFETCHED] * n_outputs
        for k in range(0, n_outputs, LINE // matrix.itemsize):
            prefetch(matrix, first + k)
            prefetch(other, first + k)


prefetch_line = by_storage(_prefetch_line_dense, _prefetch_line_csr)
scale_of_line = by_storage(_scale_dense, _scale_csr)
catch_up_of_line = by_storage(_catch_up_dense, _catch_up_csr)


def _vector_of_scale_dense(rows, scale, j, matrix):
    return load(scale, j)


def _vector_of_scale_csr(rows, scale, j, matrix):
    return spread(scale, matrix)


def _first_of_scale_dense(rows, scale, n, matrix):
    return load_first(scale, 0, n, 1)


def _first_of_scale_csr(rows, scale, n, matrix):
    return spread(scale, matrix)


def _number_of_scale_dense(rows, scale, j):
    return scale[j]


def _number_of_scale_csr(rows, scale, j):
    return scale


vector_of_scale = by_storage(_vector_of_scale_dense, _vector_of_scale_csr)
first_of_scale = by_storage(_first_of_scale_dense, _first_of_scale_csr)
number_of_scale = by_storage(_number_of_scale_dense, _number_of_scale_csr)


@inlined
def shrink(value, threshold, ridge, zero, one):
    """Proximal operator of threshold * abs(w) + ridge / 2 * w ** 2. NaN stays: it is the second of two."""
    size = largest(zero, value - threshold) + smallest(zero, value + threshold)
    return size * (one / (one + ridge))


# Each function below is one step on a vector of parameters, or on a number: `g` is the gradient, `first` and
# `second` the optimizer's memory, of which some have one, `r` the inverse scale. `l1` and `l2` go into the
# proximal step, `l2_now` into the gradient.


@inlined
def momentum_step(w, g, velocity, _, r, zero, one, constants):
    """The velocity is the displacement after the prox, but no difference of coefficients.

    That would round it to the last digits of those: small ones would neither add up nor decay.
    """
    rate, l1, l2, l2_now, momentum = constants
    step = r * r * rate
    v = velocity * momentum - step * (g + w * l2_now)
    ahead = w + v
    limit, ridge = zero + step * l1, step * l2
    cut = smallest(limit, largest(zero - limit, ahead))
    after = (ahead - cut) * (one / (one + ridge))  # as `shrink` has it
    v = v - (cut + after * ridge)
    return after, v, v


@inlined
def nesterov_step(w, g, position, _, r, zero, one, constants):
    """`w` is the point ahead of `position`, where the gradient was taken; momentum 0 is plain descent."""
    rate, l1, l2, l2_now, momentum = constants
    step = r * r * rate
    after = shrink(w - step * (g + w * l2_now), step * l1, step * l2, zero, one)
    return after + (after - position) * momentum, after, after


@inlined
def adaptive_step(w, g, first, second, r, zero, one, constants):
    """Adam and its kin: steps divided by the root of a mean, or with Adagrad the sum, of squared gradients.

    `gain` is the share of a squared gradient in that, `keep` what AdamW's decay leaves of a coefficient.
    """
    rate, l1, l2, l2_now, keep = constants[0]
    beta, rest, decay, gain, epsilon, unbias_1, unbias_2 = constants[1]
    g = (g + w * l2_now) * r
    first = first * beta + g * rest
    second = second * decay + g * g * gain
    step = r * rate / (root(second * unbias_2) + epsilon)
    # The prox must be taken in the metric of the step, or the iteration stops elsewhere.
    ahead = w * keep - step * first * unbias_1
    return shrink(ahead, step * r * l1, step * r * l2, zero, one), first, second


@inlined
def update_line(take_step, rows, i, t, w, gradient, first, second, scale, constants):
    """Update line `i` of the parameters in place by line `t` of the gradient, which it clears.

    Matrices come whole: slicing off lines costs more than a short line's work. The last vector goes over
    some numbers again: its step is taken before they are stored.
    """
    n = w.shape[1]
    p, q = i * n, t * gradient.shape[1]
    last = n - lanes_of(w)
    if last < 0 and (n < FEW or not HAS_QUICK_MASKS):
        zero, one = w.dtype.type(0), w.dtype.type(1)
        for j in range(n):
            r = number_of_scale(rows, scale, j)
            new = take_step(w[i, j], gradient[t, j], first[i, j], second[i, j], r, zero, one, constants)
            w[i, j], first[i, j], second[i, j] = new
            gradient[t, j] = zero
        return
    zero, one = spread(w.dtype.type(0), w), spread(w.dtype.type(1), w)
    if last < 0:
        r = first_of_scale(rows, scale, n, w)
        x, g = load_first(w, p, n, 0), load_first(gradient, q, n, 0)
        a, b = load_first(first, p, n, 0), load_first(second, p, n, 0)
        x, a, b = take_step(x, g, a, b, r, zero, one, constants)
        store_first(w, p, n, x)
        store_first(first, p, n, a)
        store_first(second, p, n, b)
        store_first(gradient, q, n, zero)
        return
    r = vector_of_scale(rows, scale, last, w)
    x, g = load(w, p + last), load(gradient, q + last)
    a, b = load(first, p + last), load(second, p + last)
    end, end_a, end_b = take_step(x, g, a, b, r, zero, one, constants)
    for j in range(0, last, lanes_of(w)):
        r = vector_of_scale(rows, scale, j, w)
        x, g = load(w, p + j), load(gradient, q + j)
        a, b = load(first, p + j), load(second, p + j)
        x, a, b = take_step(x, g, a, b, r, zero, one, constants)
        store(w, p + j, x)
        store(first, p + j, a)
        store(second, p + j, b)
        store(gradient, q + j, zero)
    store(w, p + last, end)
    store(first, p + last, end_a)
    store(second, p + last, end_b)
    store(gradient, q + last, zero)


@helper
def update_lines(rows, lines, parameters, scale, catch_up, n_steps, settings):
    """Step number `n_steps` of any optimizer on some lines of parameters."""
    w, gradient, first, second = parameters
    number = w.dtype.type
    one = number(1)
    optimizer, rate, l1, l2, momentum, decay, epsilon = settings
    # A loop for each optimizer: with the choice inside one loop, short lines take three times as long.
    if optimizer == MOMENTUM:
        for t in range(lines.size):
            prefetch_line(rows, lines, t, w, first)
            i = lines[t]
            times = catch_up_of_line(rows, catch_up, i)
            constants = rate, l1 * times, l2 * (times - one), l2, momentum
            r = scale_of_line(rows, scale, i)
            update_line(momentum_step, rows, i, t, w, gradient, first, first, r, constants)
    elif optimizer == NESTEROV:
        for t in range(lines.size):
            prefetch_line(rows, lines, t, w, second)
            i = lines[t]
            times = catch_up_of_line(rows, catch_up, i)
            constants = rate, l1 * times, l2 * (times - one), l2, momentum
            r = scale_of_line(rows, scale, i)
            update_line(nesterov_step, rows, i, t, w, gradient, second, second, r, constants)
    else:
        has_moments = optimizer in (ADAM, ADAMW)
        unbias_1 = number(1 / (1 - np.float64(momentum) ** n_steps)) if has_moments else one
        unbias_2 = number(1 / (1 - np.float64(decay) ** n_steps)) if has_moments else one
        gain = one if optimizer == ADAGRAD else one - decay
        is_decoupled = optimizer == ADAMW
        l2_now = number(0) if is_decoupled else l2
        rest = one - momentum
        for t in range(lines.size):
            prefetch_line(rows, lines, t, w, first)
            prefetch_line(rows, lines, t, second, second)
            i = lines[t]
            times = catch_up_of_line(rows, catch_up, i)
            missed = l2 * (times - one)
            keep = max(one - rate * l2, number(0)) / (one + rate * missed) if is_decoupled else one
            ridge = number(0) if is_decoupled else missed
            proximal = rate, l1 * times, ridge, l2_now, keep
            moments = momentum, rest, decay, gain, epsilon, unbias_1, unbias_2
            constants = proximal, moments
            r = scale_of_line(rows, scale, i)
            update_line(adaptive_step, rows, i, t, w, gradient, first, second, r, constants)


class Average(NamedTuple):
    """Sums of parameters over steps, for their Polyak-Ruppert average.

    sum : float64, the shape of the parameters, up to the step `until` of each line.
    until : (n_lines,) int64.
    """

    sum: np.ndarray
    until: np.ndarray


@helper
def add_to_average(average, values, i, n_steps):
    """Take what line i was since it was last added, up to step number `n_steps`, into the sum."""
    times = n_steps - average.until[i]
    if times > 0:
        for j in range(values.shape[1]):
            average.sum[i, j] += times * np.float64(values[i, j])
        average.until[i] = n_steps
