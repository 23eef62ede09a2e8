"""exp of numbers that are not positive, and log, written so that LLVM vectorizes loops over them.

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
LOG_SERIES = tuple(1 / k for k in range(21, 0, -2))  # of artanh(s) / s, in s^2
ROOT_2 = math.sqrt(2)


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


def log_positive(x):
    """log(x) for a normal x > 0, float64; finite (-709) for 0, so that 0 * log(0) is 0."""
    return math.log(max(x, 1e-308))


def _log_64(x):
    # x = m 2^n with m from sqrt(1/2) to sqrt(2); log(m) = 2 artanh((m - 1) / (m + 1)), by its series
    bits = np.float64(x).view(np.int64)
    n = (bits >> 52) - 1023
    m = np.int64((bits & 0xFFFFFFFFFFFFF) | 0x3FF0000000000000).view(np.float64)
    large = m > 1.4142135623730951
    m = m * 0.5 if large else m
    n = n + 1 if large else n
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    p = 1 / 21
    p = p * z + 1 / 19
    p = p * z + 1 / 17
    p = p * z + 1 / 15
    p = p * z + 1 / 13
    p = p * z + 1 / 11
    p = p * z + 1 / 9
    p = p * z + 1 / 7
    p = p * z + 1 / 5
    p = p * z + 1 / 3
    p = p * z + 1.0
    return 2.0 * s * p + n * LOG_2


@overload(log_positive, jit_options={**OPTIONS, "forceinline": True})
def _choose_log(x):
    return _log_64
