"""One step of each optimizer on a line of parameters, and the proximal step of the penalty.

A line shares its `scale`: an array along the line (dense: the features of an output) or one number
(CSR: the outputs of a feature). A feature divided by s has its gradient divided by s and its
coefficient multiplied by s, so in the user's coordinates a step of rate r becomes one of rate
r * scale ** 2 with scale = 1 / s.

`catch_up` is the number of steps that this one stands for where a feature is touched by few. The
gradient carries the L2 penalty of this step, the proximal step that of the missed ones (implicit,
hence stable for any number of them) and the whole L1 penalty.
"""

import math
from typing import NamedTuple

from numba import types
from numba.extending import overload

from ._jit import OPTIONS, helper

SGD, MOMENTUM, NESTEROV, ADAM = range(4)


class StepSettings(NamedTuple):
    """Constants of a pass. All but `optimizer` are of the parameters' dtype."""

    optimizer: int
    rate: float
    l1: float
    l2: float
    momentum: float  # Adam: decay of the first moment
    decay: float  # Adam: decay of the second moment
    epsilon: float


def _at(scale, j):
    return scale[j] if getattr(scale, "ndim", 0) else scale


@overload(_at, jit_options=OPTIONS)
def _choose_at(scale, j):
    if isinstance(scale, types.Array):
        return lambda scale, j: scale[j]
    return lambda scale, j: scale


@helper
def shrink(value, threshold, ridge):
    """Proximal operator of threshold * abs(w) + ridge / 2 * w ** 2."""
    if value > threshold:
        return (value - threshold) / (1 + ridge)
    if value < -threshold:
        return (value + threshold) / (1 + ridge)
    return value * 0


@helper
def step_line(w, gradient, first, second, scale, catch_up, corrections, settings):
    """Update a line of parameters in place and clear its gradient.

    `first` and `second` are the optimizer's memory: momentum keeps its velocity in `first`;
    Nesterov its last position in `second` (`w` is the point ahead of it); Adam both moments.
    `corrections` are Adam's bias corrections 1 / (1 - beta ** t).
    """
    one = w.dtype.type(1)
    optimizer, rate, l1, l2, momentum, decay, epsilon = settings
    # A loop for each optimizer and few arrays in each: otherwise LLVM gives up on vectorizing.
    if optimizer == MOMENTUM:
        for j in range(w.size):
            r = _at(scale, j)
            first[j] = momentum * first[j] - rate * r * r * (gradient[j] + l2 * w[j])
            w[j] += first[j]
    elif optimizer == ADAM:
        for j in range(w.size):
            g = (gradient[j] + l2 * w[j]) * _at(scale, j)
            first[j] = momentum * first[j] + (one - momentum) * g
            second[j] = decay * second[j] + (one - decay) * g * g
        for j in range(w.size):
            root = math.sqrt(second[j] * corrections[1])
            w[j] -= rate * _at(scale, j) * first[j] * corrections[0] / (root + epsilon)
    else:
        for j in range(w.size):
            r = _at(scale, j)
            w[j] -= rate * r * r * (gradient[j] + l2 * w[j])
    gradient[:] = one - one

    if l1 > 0 or catch_up > 1:
        for j in range(w.size):
            r = _at(scale, j)
            # The prox must be taken in the metric of the step, or the iteration stops elsewhere.
            step = rate * r * r
            if optimizer == ADAM:
                step /= math.sqrt(second[j] * corrections[1]) + epsilon
            before = w[j]
            w[j] = shrink(before, step * l1 * catch_up, step * l2 * (catch_up - one))
            if optimizer == MOMENTUM:
                # The velocity is the displacement after the prox.
                first[j] += w[j] - before

    if optimizer == NESTEROV:
        for j in range(w.size):
            position = w[j]
            w[j] = position + momentum * (position - second[j])
            second[j] = position
