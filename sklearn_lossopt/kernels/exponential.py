"""exp of numbers that are not positive, written so that LLVM vectorizes loops over it.

``exp(x) = 2^n exp(r)`` with n an integer and |r| <= log(2) / 2, exp(r) by its Taylor polynomial, 2^n by
writing n into the exponent's bits. The relative error is a few units in the last place, growing with
|x| as log(2) is rounded once: it does not matter, as it comes with ever smaller terms. Calling the C
library's exp in a loop costs five to ten times as much.
"""

import math

import numpy as np
from numba import types
from numba.extending import overload

from ._jit import OPTIONS

LOG2_E = 1.4426950408889634
LOG_2 = 0.6931471805599453


def _series(degree):
    """Coefficients of exp's Taylor polynomial, the highest first."""
    return tuple(1 / math.factorial(k) for k in range(degree, -1, -1))


SERIES = {32: _series(7), 64: _series(13)}  # by the bits of a number


def _exp_32(x):
    number = np.float32
    x = max(x, number(-87.0))
    n = np.int32(x * number(LOG2_E) - number(0.5))
    r = x - number(n) * number(LOG_2)
    p = number(1 / 5040)
    p = p * r + number(1 / 720)
    p = p * r + number(1 / 120)
    p = p * r + number(1 / 24)
    p = p * r + number(1 / 6)
    p = p * r + number(0.5)
    p = p * r + number(1)
    p = p * r + number(1)
    return p * np.int32((n + np.int32(127)) << np.int32(23)).view(np.float32)


def _exp_64(x):
    x = max(x, -708.0)
    n = np.int64(x * LOG2_E - 0.5)
    r = x - n * LOG_2
    p = 1 / 6227020800
    p = p * r + 1 / 479001600
    p = p * r + 1 / 39916800
    p = p * r + 1 / 3628800
    p = p * r + 1 / 362880
    p = p * r + 1 / 40320
    p = p * r + 1 / 5040
    p = p * r + 1 / 720
    p = p * r + 1 / 120
    p = p * r + 1 / 24
    p = p * r + 1 / 6
    p = p * r + 0.5
    p = p * r + 1.0
    p = p * r + 1.0
    return p * np.int64((n + np.int64(1023)) << np.int64(52)).view(np.float64)


def exp_nonpositive(x):
    """exp(x) for x <= 0; 1e-38 (float32) or 1e-308 (float64) where it would be less."""
    return type(x)(math.exp(x))


@overload(exp_nonpositive, jit_options={**OPTIONS, "forceinline": True})
def _choose(x):
    return _exp_32 if x == types.float32 else _exp_64
