"""Vectors as wide as the processor's registers, to write short loops in.

LLVM vectorizes a loop over n outputs for n in the hundreds. With 7 or 20 it falls through to scalar
remainders, behind checks that arrays do not overlap. Here the vector is a value of its own: `load`,
arithmetic, `total`, `store`. A line's last vector is loaded and stored with `n`, the numbers that are
left; lanes beyond them hold `fill`. Places are flat positions in C-contiguous arrays, and numbers take the
vector's type. Where the compiler is switched off a vector is a NumPy array.
"""

import math
import operator

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils, config
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

from .exponential import LOG2_E, LOG_2, SERIES
from .tiles import VECTOR_BYTES

FLAGS = ("reassoc", "contract", "arcp", "nsz")  # those of `_jit.FAST_MATH`
LANE = ir.IntType(32)
NARROW_BYTES = min(VECTOR_BYTES, 32)  # of a vector for scattered short lines that change
HAS_QUICK_MASKS = VECTOR_BYTES == 64  # AVX-512; others may take long to store a part of a vector
LOG_SERIES = tuple(1 / k for k in range(1, 22, 2))  # of artanh(s) / s, in s^2
ROOT_2 = math.sqrt(2)


class Vector(types.Type):
    """A vector of as many numbers as fill a register, or fewer bytes."""

    def __init__(self, dtype, n_bytes=VECTOR_BYTES):
        self.dtype = dtype
        self.lanes = n_bytes * 8 // dtype.bitwidth
        super().__init__(f"vector({dtype}, {self.lanes})")


@register_model(Vector)
class _Model(models.PrimitiveModel):
    def __init__(self, manager, kind):
        number = ir.FloatType() if kind.dtype.bitwidth == 32 else ir.DoubleType()
        super().__init__(manager, kind, ir.VectorType(number, kind.lanes))


class _Maker:
    """What LLVM calls the parts of a vector type."""

    def __init__(self, context, builder, kind):
        self.context, self.builder, self.kind = context, builder, kind
        self.type = context.get_value_type(kind)
        is_vector = isinstance(kind, Vector)
        self.suffix = f"v{kind.lanes}f{kind.dtype.bitwidth}" if is_vector else f"f{kind.bitwidth}"

    def call(self, name, result, *values, **how):
        signature = ir.FunctionType(result, [value.type for value in values])
        function = cgutils.get_or_insert_function(self.builder.module, signature, f"llvm.{name}")
        return self.builder.call(function, values, **how)

    def constant(self, value):
        return ir.Constant(self.type, [value] * self.kind.lanes)

    def integers(self, value):
        """The same integer in all lanes, as wide as the numbers."""
        kind = ir.VectorType(ir.IntType(self.kind.dtype.bitwidth), self.kind.lanes)
        return ir.Constant(kind, [value] * self.kind.lanes)

    def spread(self, value, number):
        """A number of some type in all lanes."""
        value = self.context.cast(self.builder, value, number, self.kind.dtype)
        return self.in_all_lanes(value)

    def in_all_lanes(self, value):
        kind = ir.VectorType(value.type, self.kind.lanes)
        nothing = ir.Constant(kind, ir.Undefined)
        one = self.builder.insert_element(nothing, value, LANE(0))
        same = ir.Constant(ir.VectorType(LANE, self.kind.lanes), [0] * self.kind.lanes)
        return self.builder.shuffle_vector(one, nothing, same)

    def mask(self, n):
        """True in the first n lanes."""
        most = ir.Constant(n.type, self.kind.lanes)
        n = self.builder.select(self.builder.icmp_signed("<", n, most), n, most)
        n = self.builder.trunc(n, LANE) if n.type.width > LANE.width else n
        numbers = ir.Constant(ir.VectorType(LANE, self.kind.lanes), list(range(self.kind.lanes)))
        return self.builder.icmp_signed("<", numbers, self.in_all_lanes(n))

    def pointer(self, array_type, array, place):
        made = self.context.make_array(array_type)(self.context, self.builder, array)
        where = self.builder.gep(made.data, [place])
        return self.builder.bitcast(where, self.type.as_pointer())

    def polynomial(self, terms, x):
        """Its value at x; `terms` are the coefficients, the lowest first.

        Neighbours are paired, then pairs (Estrin 1960): not half of Horner's steps wait for one another.
        """
        terms = [self.constant(term) for term in terms]
        while len(terms) > 1:
            pairs = []
            for low, high in zip(terms[::2], terms[1::2], strict=False):
                product = self.builder.fmul(high, x, flags=FLAGS)
                pairs.append(self.builder.fadd(product, low, flags=FLAGS))
            terms = pairs + terms[2 * len(pairs) :]
            x = self.builder.fmul(x, x, flags=FLAGS)
        return terms[0]

    @property
    def bytes_of_number(self):
        return self.kind.dtype.bitwidth // 8

    def largest(self, a, b):
        return self.builder.select(self.builder.fcmp_ordered(">", a, b), a, b)

    def smallest(self, a, b):
        return self.builder.select(self.builder.fcmp_ordered("<", a, b), a, b)


def _holds_floats(array):
    return isinstance(array, types.Array) and array.layout == "C" and isinstance(array.dtype, types.Float)


# ------------------------------------------------------------------------------ memory


def _define_memory(n_bytes):
    """Lanes, `load`, `load_first` and `spread` of vectors of so many bytes."""

    @intrinsic
    def lanes(typing_context, array):
        n = n_bytes * 8 // array.dtype.bitwidth

        def generate(context, builder, signature, arguments):
            return ir.Constant(ir.IntType(64), n)

        return types.intp(array), generate

    @intrinsic
    def load(typing_context, array, place):
        if not _holds_floats(array):
            return None
        kind = Vector(array.dtype, n_bytes)

        def generate(context, builder, signature, arguments):
            maker = _Maker(context, builder, kind)
            where = maker.pointer(signature.args[0], arguments[0], arguments[1])
            return builder.load(where, align=maker.bytes_of_number)

        return kind(array, types.intp), generate

    @intrinsic
    def load_first(typing_context, array, place, n, fill):
        if not _holds_floats(array):
            return None
        kind = Vector(array.dtype, n_bytes)

        def generate(context, builder, signature, arguments):
            maker = _Maker(context, builder, kind)
            where = maker.pointer(signature.args[0], arguments[0], arguments[1])
            rest = maker.spread(arguments[3], signature.args[3])
            values = where, LANE(maker.bytes_of_number), maker.mask(arguments[2]), rest
            return maker.call(f"masked.load.{maker.suffix}.p0{maker.suffix}", maker.type, *values)

        return kind(array, types.intp, types.intp, fill), generate

    @intrinsic
    def spread(typing_context, number, array):
        kind = Vector(array.dtype, n_bytes)

        def generate(context, builder, signature, arguments):
            return _Maker(context, builder, kind).spread(arguments[0], signature.args[0])

        return kind(number, array), generate

    return lanes, load, load_first, spread


@intrinsic
def _load_as(typing_context, array, place, n, fill, like):
    if not (_holds_floats(array) and array.dtype.bitwidth <= like.dtype.bitwidth):
        return None
    kind = Vector(like.dtype)

    def generate(context, builder, signature, arguments):
        maker = _Maker(context, builder, kind)
        number = context.get_value_type(array.dtype)
        narrow = ir.VectorType(number, kind.lanes)
        where = builder.bitcast(
            maker.pointer(signature.args[0], arguments[0], arguments[1]), narrow.as_pointer()
        )
        rest = context.cast(builder, arguments[3], signature.args[3], array.dtype)
        suffix = f"v{kind.lanes}f{array.dtype.bitwidth}"
        n_bytes = LANE(array.dtype.bitwidth // 8)
        values = where, n_bytes, maker.mask(arguments[2]), maker.in_all_lanes(rest)
        vector = maker.call(f"masked.load.{suffix}.p0{suffix}", narrow, *values)
        return vector if narrow == maker.type else builder.fpext(vector, maker.type)

    return kind(array, types.intp, types.intp, fill, like), generate


@intrinsic
def _store(typing_context, array, place, vector):
    def generate(context, builder, signature, arguments):
        maker = _Maker(context, builder, vector)
        where = maker.pointer(signature.args[0], arguments[0], arguments[1])
        builder.store(arguments[2], where, align=maker.bytes_of_number)
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), generate


@intrinsic
def _store_first(typing_context, array, place, n, vector):
    def generate(context, builder, signature, arguments):
        maker = _Maker(context, builder, vector)
        where = maker.pointer(signature.args[0], arguments[0], arguments[1])
        name = f"masked.store.{maker.suffix}.p0{maker.suffix}"

        def store_part():
            values = arguments[3], where, LANE(maker.bytes_of_number), maker.mask(arguments[2])
            maker.call(name, ir.VoidType(), *values)

        if HAS_QUICK_MASKS:
            store_part()
            return context.get_dummy_value()
        is_whole = builder.icmp_signed(">=", arguments[2], ir.Constant(arguments[2].type, vector.lanes))
        with builder.if_else(is_whole) as (then, otherwise):
            with then:
                builder.store(arguments[3], where, align=maker.bytes_of_number)
            with otherwise:
                store_part()
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, vector), generate


# -------------------------------------------------------------------------- arithmetic


def _emit(name, context, builder, signature, arguments):
    """An operation on two vectors, a vector and a number, or two numbers of a type."""
    maker = _Maker(context, builder, signature.return_type)
    a, b = (
        value if given == signature.return_type else maker.spread(value, given)
        for value, given in zip(arguments, signature.args, strict=True)
    )
    if name in ("largest", "smallest"):
        return getattr(maker, name)(a, b)
    return getattr(builder, name)(a, b, flags=FLAGS)


def _binary(name):
    """An intrinsic of two vectors, a vector and a number, or two numbers of a type."""

    @intrinsic
    def both(typing_context, a, b):
        kind = a if isinstance(a, Vector) else b

        def generate(context, builder, signature, arguments):
            return _emit(name, context, builder, signature, arguments)

        return kind(a, b), generate

    return both


def _define_operator(symbol, name):
    """Typed and lowered by hand: an overload would be a function more to compile, for each pair of types."""

    class Operator(AbstractTemplate):
        def generic(self, args, kws):
            if any(isinstance(kind, Vector) for kind in args) and all(
                isinstance(kind, Vector | types.Number) for kind in args
            ):
                return signature(next(kind for kind in args if isinstance(kind, Vector)), *args)
            return None

    def generate(context, builder, signature, arguments):
        return _emit(name, context, builder, signature, arguments)

    infer_global(symbol)(Operator)
    for kinds in ((Vector, Vector), (Vector, types.Number), (types.Number, Vector)):
        lower_builtin(symbol, *kinds)(generate)


for _symbol, _name in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _define_operator(_symbol, _name)


@intrinsic
def _where_positive(typing_context, condition, vector):
    def generate(context, builder, signature, arguments):
        maker = _Maker(context, builder, vector)
        positive = builder.fcmp_ordered(">", arguments[0], maker.constant(0.0))
        return builder.select(positive, arguments[1], maker.constant(0.0))

    return vector(condition, vector), generate


@intrinsic
def _choose(typing_context, vector, number, same, other):
    def generate(context, builder, signature, arguments):
        maker = _Maker(context, builder, vector)
        is_same = builder.fcmp_ordered("==", arguments[0], maker.spread(arguments[1], number))
        return builder.select(is_same, arguments[2], arguments[3])

    return same(vector, number, same, other), generate


@intrinsic
def _keep_first(typing_context, vector, n):
    def generate(context, builder, signature, arguments):
        maker = _Maker(context, builder, vector)
        return builder.select(maker.mask(arguments[1]), arguments[0], maker.constant(0.0))

    return vector(vector, types.intp), generate


@intrinsic
def _keep_last(typing_context, vector, n):
    def generate(context, builder, signature, arguments):
        maker = _Maker(context, builder, vector)
        first = builder.sub(ir.Constant(arguments[1].type, vector.lanes), arguments[1])
        return builder.select(maker.mask(first), maker.constant(0.0), arguments[0])

    return vector(vector, types.intp), generate


@intrinsic
def _total(typing_context, vector):
    def generate(context, builder, signature, arguments):
        maker = _Maker(context, builder, vector)
        start = ir.Constant(maker.type.element, 0.0)
        name = f"vector.reduce.fadd.{maker.suffix}"
        return maker.call(name, start.type, start, arguments[0], fastmath=("reassoc",))

    return vector.dtype(vector), generate


@intrinsic
def _top(typing_context, vector):
    def generate(context, builder, signature, arguments):
        maker = _Maker(context, builder, vector)
        name = f"vector.reduce.fmax.{maker.suffix}"
        return maker.call(name, maker.type.element, arguments[0])

    return vector.dtype(vector), generate


@intrinsic
def _root(typing_context, value):
    """Square root of a vector or a number."""

    def generate(context, builder, signature, arguments):
        maker = _Maker(context, builder, value)
        return maker.call(f"sqrt.{maker.suffix}", maker.type, arguments[0])

    return value(value), generate


@intrinsic
def _exp(typing_context, vector):
    """As `exponential.exp_nonpositive`."""

    def generate(context, builder, signature, arguments):
        maker = _Maker(context, builder, vector)
        bits = vector.dtype.bitwidth
        least, bias, mantissa = (-87.0, 127, 23) if bits == 32 else (-708.0, 1023, 52)
        x = maker.largest(arguments[0], maker.constant(least))
        scaled = builder.fmul(x, maker.constant(LOG2_E), flags=FLAGS)
        whole = maker.call(f"rint.{maker.suffix}", maker.type, scaled)
        r = builder.fsub(x, builder.fmul(whole, maker.constant(LOG_2), flags=FLAGS), flags=FLAGS)
        p = maker.polynomial(SERIES[bits][::-1], r)
        # Added to a number whose last bit is 1, an integer is in the last bits: many processors cannot
        # convert vectors of 64-bit integers.
        n = builder.fadd(whole, maker.constant(1.5 * 2.0**mantissa + bias), flags=FLAGS)
        power = builder.shl(builder.bitcast(n, maker.integers(0).type), maker.integers(mantissa))
        return builder.fmul(p, builder.bitcast(power, maker.type), flags=FLAGS)

    return vector(vector), generate


def _emit_log(builder, maker, y, above=None):
    """log(y) for a normal y > 0, or finite (-709) for 0; `above` is y - 1 where that is known exactly.

    ``y = m 2^n`` with m from sqrt(1/2) to sqrt(2); ``log(m) = 2 artanh((m - 1) / (m + 1))``, by its series.
    """
    y = maker.largest(y, maker.constant(1e-308))
    bits = builder.bitcast(y, maker.integers(0).type)
    # The exponent's bits as the last ones of 2^52, as in `_exp`; y > 0, so there is no sign.
    n = builder.or_(builder.lshr(bits, maker.integers(52)), maker.integers(0x4330000000000000))
    n = builder.fsub(builder.bitcast(n, maker.type), maker.constant(2.0**52 + 1023))
    m = builder.and_(bits, maker.integers(0xFFFFFFFFFFFFF))
    m = builder.bitcast(builder.or_(m, maker.integers(0x3FF0000000000000)), maker.type)
    is_large = builder.fcmp_ordered(">", m, maker.constant(ROOT_2))
    m = builder.select(is_large, builder.fmul(m, maker.constant(0.5)), m)
    one = maker.constant(1.0)
    n = builder.select(is_large, builder.fadd(n, one), n)
    less, more = builder.fsub(m, one), builder.fadd(m, one)
    if above is not None:
        is_near = builder.fcmp_ordered("==", n, maker.constant(0.0))
        less = builder.select(is_near, above, less)
        more = builder.select(is_near, builder.fadd(above, maker.constant(2.0)), more)
    s = builder.fdiv(less, more)
    z = builder.fmul(s, s)
    p = maker.polynomial(LOG_SERIES, z)
    p = builder.fmul(builder.fadd(s, s), p)
    whole = builder.fmul(n, maker.constant(LOG_2), flags=FLAGS)
    return builder.fadd(p, whole, flags=FLAGS)


@intrinsic
def _log(typing_context, vector):
    """log(x) for a normal x > 0, float64; finite (-709) for 0, so that 0 * log(0) is 0."""
    if vector.dtype.bitwidth != 64:
        return None

    def generate(context, builder, signature, arguments):
        return _emit_log(builder, _Maker(context, builder, vector), arguments[0])

    return vector(vector), generate


@intrinsic
def _log1p(typing_context, vector):
    """log(1 + x) for x >= -1, float64, with all its digits where x is small; finite for -1."""
    if vector.dtype.bitwidth != 64:
        return None

    def generate(context, builder, signature, arguments):
        maker = _Maker(context, builder, vector)
        return _emit_log(builder, maker, builder.fadd(arguments[0], maker.constant(1.0)), arguments[0])

    return vector(vector), generate


# ------------------------------------------------------- what they are, without the compiler


def _define_memory_numpy(n_bytes):
    def lanes(array):
        return n_bytes // array.itemsize

    def load(array, place):
        return array.reshape(-1)[place : place + lanes(array)].copy()

    def load_first(array, place, n, fill):
        n = min(max(n, 0), lanes(array))
        vector = np.full(lanes(array), fill, array.dtype)
        vector[:n] = array.reshape(-1)[place : place + n]
        return vector

    def spread(number, array):
        return np.full(lanes(array), number, array.dtype)

    return lanes, load, load_first, spread


def _load_as_numpy(array, place, n, fill, like):
    lanes = lanes_of(like)
    n = min(max(n, 0), lanes)
    vector = np.full(lanes, fill, like.dtype)
    vector[:n] = array.reshape(-1)[place : place + n]
    return vector


def _log_numpy(vector):
    return np.log(np.maximum(vector, 1e-308))


def _log1p_numpy(vector):
    return np.log1p(np.maximum(vector, -1 + 1e-16))


def _store_numpy(array, place, vector):
    array.reshape(-1)[place : place + len(vector)] = vector


def _store_first_numpy(array, place, n, vector):
    n = min(max(n, 0), len(vector))
    array.reshape(-1)[place : place + n] = vector[:n]


def _where_positive_numpy(condition, vector):
    return np.where(condition > 0, vector, vector.dtype.type(0))


def _choose_numpy(vector, number, same, other):
    return np.where(vector == number, same, other)


def _keep_first_numpy(vector, n):
    return np.where(np.arange(len(vector)) < n, vector, vector.dtype.type(0))


def _keep_last_numpy(vector, n):
    return np.where(np.arange(len(vector)) >= len(vector) - n, vector, vector.dtype.type(0))


def _exp_numpy(vector):
    return np.exp(np.maximum(vector, vector.dtype.type(-87 if vector.itemsize == 4 else -708)))


_define = _define_memory_numpy if config.DISABLE_JIT else _define_memory
lanes_of, load, load_first, spread = _define(VECTOR_BYTES)
narrow_lanes_of, load_narrow, load_first_narrow, _ = _define(NARROW_BYTES)
if config.DISABLE_JIT:
    where_positive, exp, log, log1p = _where_positive_numpy, _exp_numpy, _log_numpy, _log1p_numpy
    choose, keep_first, keep_last = _choose_numpy, _keep_first_numpy, _keep_last_numpy
    load_as, store, store_first = _load_as_numpy, _store_numpy, _store_first_numpy
    largest, smallest, total, top, root = np.maximum, np.minimum, np.sum, np.max, np.sqrt
else:
    where_positive, exp, log, log1p = _where_positive, _exp, _log, _log1p
    choose, keep_first, keep_last = _choose, _keep_first, _keep_last
    load_as, store, store_first = _load_as, _store, _store_first
    largest, smallest, total, top, root = _binary("largest"), _binary("smallest"), _total, _top, _root


def padded_outputs(n_outputs, dtype):
    """Numbers that fill whole vectors, as many as outputs or a few more."""
    lanes = VECTOR_BYTES // np.dtype(dtype).itemsize
    return -(-n_outputs // lanes) * lanes
