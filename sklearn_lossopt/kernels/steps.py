"""One step of each optimizer on a line of parameters, and the proximal step of the penalty.

A line of dense parameters is an output and has a `scale` for each feature along it; a line of CSR
parameters is a feature and has one scale and one `catch_up`. A feature divided by s has its gradient
divided by s and its coefficient multiplied by s, so in the user's coordinates a step of rate r
becomes one of rate r * scale ** 2 with scale = 1 / s.

`catch_up` is the number of steps that this one stands for where a feature is touched by few. The
gradient carries the L2 penalty of this step, the proximal step that of the missed ones (implicit,
hence stable for any number of them) and the whole L1 penalty.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import types
from numba.extending import overload

from ._jit import OPTIONS, helper, inlined
from .prefetch import prefetch
from .rows import LINE, by_storage

# Plain gradient descent is NESTEROV with momentum 0.
MOMENTUM, NESTEROV, ADAM, ADAMW, RMSPROP, ADAGRAD = range(6)


PREFETCHED = 8  # lines ahead


class Parameters(NamedTuple):
    """Parameters and the optimizer's memory: the coefficients, or the intercepts as one line."""

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
    if t + PREFETCHED < lines.size:
        n_outputs = matrix.shape[1]
        first = lines[t + PREFETCHED] * n_outputs
        for k in range(0, n_outputs, LINE // matrix.itemsize):
            prefetch(matrix, first + k)
            prefetch(other, first + k)


prefetch_line = by_storage(_prefetch_line_dense, _prefetch_line_csr)
scale_of_line = by_storage(_scale_dense, _scale_csr)
catch_up_of_line = by_storage(_catch_up_dense, _catch_up_csr)


def _at(scale, j):
    return scale[j] if getattr(scale, "ndim", 0) else scale


@overload(_at, jit_options=OPTIONS)
def _choose_at(scale, j):
    if isinstance(scale, types.Array):
        return lambda scale, j: scale[j]
    return lambda scale, j: scale


@inlined
def shrink(value, threshold, divisor, zero):
    """Proximal operator of threshold * abs(w) + ridge / 2 * w ** 2, divisor = 1 + ridge."""
    return (max(value - threshold, zero) + min(value + threshold, zero)) / divisor


# Each function below updates line `i` of a matrix of parameters in place by line `t` of the gradient,
# which it clears. Matrices come whole and constants one by one: slicing off lines, or reading
# constants from a tuple in the loop, costs more than a short line's work. `l1` and `l2` go into the
# proximal step, `l2_now` into the gradient.


@inlined
def momentum_line(i, t, w, gradient, velocity, scale, rate, l1, l2, l2_now, momentum):
    zero = w.dtype.type(0)
    one = w.dtype.type(1)
    if l1 == 0 and l2 == 0:
        for j in range(w.shape[1]):
            r = _at(scale, j)
            v = momentum * velocity[i, j] - rate * r * r * (gradient[t, j] + l2_now * w[i, j])
            velocity[i, j] = v
            w[i, j] += v
            gradient[t, j] = zero
        return
    for j in range(w.shape[1]):
        r = _at(scale, j)
        step = rate * r * r
        v = momentum * velocity[i, j] - step * (gradient[t, j] + l2_now * w[i, j])
        ahead = w[i, j] + v
        after = shrink(ahead, step * l1, one + step * l2, zero)
        velocity[i, j] = v + (after - ahead)  # the displacement after the prox
        w[i, j] = after
        gradient[t, j] = zero


@inlined
def nesterov_line(i, t, w, gradient, position, scale, rate, l1, l2, l2_now, momentum):
    """`w` is the point ahead of `position`, where the gradient was taken; momentum 0 is plain descent."""
    zero = w.dtype.type(0)
    one = w.dtype.type(1)
    for j in range(w.shape[1]):
        r = _at(scale, j)
        step = rate * r * r
        after = shrink(w[i, j] - step * (gradient[t, j] + l2_now * w[i, j]), step * l1, one + step * l2, zero)
        w[i, j] = after + momentum * (after - position[i, j])
        position[i, j] = after
        gradient[t, j] = zero


@inlined
def adaptive_line(
    i,
    t,
    w,
    gradient,
    first,
    second,
    scale,
    rate,
    l1,
    l2,
    l2_now,
    keep,
    beta,
    decay,
    gain,
    epsilon,
    unbias_1,
    unbias_2,
):
    """Adam and its kin: steps divided by the root of a mean, or with Adagrad the sum, of squared gradients.

    `gain` is the share of a squared gradient in that, `keep` what AdamW's decay leaves of a coefficient.
    """
    zero = w.dtype.type(0)
    one = w.dtype.type(1)
    # Two loops: with five arrays that change in one, LLVM would not check for overlaps, so not vectorize.
    for j in range(w.shape[1]):
        g = (gradient[t, j] + l2_now * w[i, j]) * _at(scale, j)
        first[i, j] = beta * first[i, j] + (one - beta) * g
        second[i, j] = decay * second[i, j] + gain * g * g
    for j in range(w.shape[1]):
        r = _at(scale, j)
        step = rate * r / (math.sqrt(second[i, j] * unbias_2) + epsilon)
        # The prox must be taken in the metric of the step, or the iteration stops elsewhere.
        ahead = keep * w[i, j] - step * first[i, j] * unbias_1
        w[i, j] = shrink(ahead, step * r * l1, one + step * r * l2, zero)
        gradient[t, j] = zero


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
            r = scale_of_line(rows, scale, i)
            momentum_line(i, t, w, gradient, first, r, rate, l1 * times, l2 * (times - one), l2, momentum)
    elif optimizer == NESTEROV:
        for t in range(lines.size):
            prefetch_line(rows, lines, t, w, second)
            i = lines[t]
            times = catch_up_of_line(rows, catch_up, i)
            r = scale_of_line(rows, scale, i)
            nesterov_line(i, t, w, gradient, second, r, rate, l1 * times, l2 * (times - one), l2, momentum)
    else:
        has_moments = optimizer in (ADAM, ADAMW)
        unbias_1 = number(1 / (1 - np.float64(momentum) ** n_steps)) if has_moments else one
        unbias_2 = number(1 / (1 - np.float64(decay) ** n_steps)) if has_moments else one
        gain = one if optimizer == ADAGRAD else one - decay
        is_decoupled = optimizer == ADAMW
        l2_now = number(0) if is_decoupled else l2
        for t in range(lines.size):
            prefetch_line(rows, lines, t, w, first)
            prefetch_line(rows, lines, t, second, second)
            i = lines[t]
            times = catch_up_of_line(rows, catch_up, i)
            missed = l2 * (times - one)
            keep = max(one - rate * l2, number(0)) / (one + rate * missed) if is_decoupled else one
            adaptive_line(
                i,
                t,
                w,
                gradient,
                first,
                second,
                scale_of_line(rows, scale, i),
                rate,
                l1 * times,
                number(0) if is_decoupled else missed,
                l2_now,
                keep,
                momentum,
                decay,
                gain,
                epsilon,
                unbias_1,
                unbias_2,
            )


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
