"""The two products that cost the time of dense rows, in vectors and tiles that stay in registers.

LLVM's vectorizer finds neither tile by itself, and guards each of its loops by checks that arrays do
not overlap: half as slow again where loops are short. So these two are built out of LLVM's vectors.
What they compute is what their plain NumPy forms, used where the compiler is switched off, say.
"""

import itertools

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils, config
from numba.extending import intrinsic

from .prefetch import INTO_L2, emit_prefetch

LANE_NUMBER = ir.IntType(32)


def _registers():
    """(bytes of a vector register, how many there are) of the processor compiled for."""
    if config.CPU_FEATURES is None:
        features = {name for name, has in llvmlite.binding.get_host_cpu_features().items() if has}
    else:
        features = {part[1:] for part in config.CPU_FEATURES.split(",") if part.startswith("+")}
    if "avx512f" in features:
        return 64, 32
    if "avx" in features:
        return 32, 16
    return 16, 32 if "neon" in features else 16


VECTOR_BYTES, N_REGISTERS = _registers()
TILE_OUTPUTS = 5
TILE_ROWS = 4 if N_REGISTERS == 32 else 2
_TILE_VECTORS = TILE_ROWS  # of features, side by side in the tile of a gradient


class VectorCode:
    """Vectors of one type of number, and what is done with them."""

    def __init__(self, context, builder, number):
        self.builder = builder
        self.number = context.get_value_type(number)
        self.lanes = VECTOR_BYTES * 8 // number.bitwidth
        self.type = ir.VectorType(self.number, self.lanes)
        self.suffix = f"v{self.lanes}f{number.bitwidth}"

    def _call(self, name, result, *values, **how):
        kind = ir.FunctionType(result, [value.type for value in values])
        function = cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.{name}")
        return self.builder.call(function, values, **how)

    def variable(self):
        """A vector of zeros to add to."""
        return cgutils.alloca_once_value(self.builder, ir.Constant(self.type, [0] * self.lanes))

    def first_lanes(self, n):
        """Mask of the first n lanes."""
        numbers = ir.Constant(ir.VectorType(n.type, self.lanes), list(range(self.lanes)))
        return self.builder.icmp_signed("<", numbers, self.in_all_lanes(n))

    def load(self, matrix, pointer, mask=None):
        """What is at a place of a matrix; 0 in the lanes that the mask leaves out."""
        kind = ir.VectorType(matrix.number, self.lanes)
        pointer = self.builder.bitcast(pointer, kind.as_pointer())
        if mask is None:
            vector = self.builder.load(pointer, align=matrix.n_bytes)
        else:
            suffix = f"v{self.lanes}f{8 * matrix.n_bytes}"
            values = pointer, LANE_NUMBER(matrix.n_bytes), mask, ir.Constant(kind, [0] * self.lanes)
            vector = self._call(f"masked.load.{suffix}.p0{suffix}", kind, *values)
        return vector if kind == self.type else self.builder.fpext(vector, self.type)

    def store(self, vector, matrix, pointer, mask=None):
        pointer = self.builder.bitcast(pointer, self.type.as_pointer())
        if mask is None:
            self.builder.store(vector, pointer, align=matrix.n_bytes)
            return
        name = f"masked.store.{self.suffix}.p0{self.suffix}"
        self._call(name, ir.VoidType(), vector, pointer, LANE_NUMBER(matrix.n_bytes), mask)

    def in_all_lanes(self, value):
        kind = ir.VectorType(value.type, self.lanes)
        nothing = ir.Constant(kind, ir.Undefined)
        one = self.builder.insert_element(nothing, value, LANE_NUMBER(0))
        same = ir.Constant(ir.VectorType(LANE_NUMBER, self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(one, nothing, same)

    def spread(self, pointer):
        """A vector of the number at a pointer, in all lanes."""
        number = self.builder.load(pointer)
        return self.in_all_lanes(
            number if number.type == self.number else self.builder.fpext(number, self.number)
        )

    def add_product(self, variable, a, b):
        """Variable += a * b."""
        total = self._call(f"fmuladd.{self.suffix}", self.type, a, b, self.builder.load(variable))
        self.builder.store(total, variable)

    def sum(self, variable):
        """Sum of a vector's lanes."""
        values = ir.Constant(self.number, 0), self.builder.load(variable)
        return self._call(f"vector.reduce.fadd.{self.suffix}", self.number, *values, fastmath=("reassoc",))


class Matrix:
    """A C-contiguous array of two dimensions."""

    def __init__(self, context, builder, kind, array):
        made = context.make_array(kind)(context, builder, array)
        self.builder = builder
        self.number = context.get_value_type(kind.dtype)
        self.n_bytes = kind.dtype.bitwidth // 8
        self.data = made.data
        self.width = builder.extract_value(made.shape, 1)

    def row(self, i, j):
        """Pointer to element (i, j)."""
        return self.builder.gep(self.data, [self.builder.add(self.builder.mul(i, self.width), j)])

    def rows(self, first, n, j):
        """Pointers to element j of n rows from the first on."""
        return [self.row(self.builder.add(first, first.type(r)), j) for r in range(n)]


class List:
    """An array of one dimension of row numbers."""

    def __init__(self, context, builder, kind, array):
        made = context.make_array(kind)(context, builder, array)
        self.size = builder.extract_value(made.shape, 0)
        self._made, self._context, self._builder, self._dtype = made, context, builder, kind.dtype

    def __getitem__(self, i):
        value = self._builder.load(self._builder.gep(self._made.data, [i]))
        return self._context.cast(self._builder, value, self._dtype, types.intp)


def _can_compile(matrices, total, lists, sizes):
    """Whether the arguments of a tile are what it is made for; numbers may be narrower than the total's."""
    return (
        all(isinstance(array, types.Array) and array.layout == "C" for array in (*matrices, *lists))
        and all(array.ndim == 2 and array.dtype.bitwidth <= total.dtype.bitwidth for array in matrices)
        and all(isinstance(size, types.IntegerLiteral) for size in sizes)
    )


@intrinsic(prefer_literal=True)
def _add_dots(typing_context, values, index, i, n_rows, coef, k, n_outputs, out, source, later, first, shift):
    if not _can_compile((values, coef, out, source), out, (index,), (n_rows, n_outputs)):
        return None

    def generate(context, builder, signature, arguments):
        kinds = signature.args
        vectors = VectorCode(context, builder, out.dtype)
        x, w, o, far = (Matrix(context, builder, kinds[a], arguments[a]) for a in (0, 4, 7, 8))
        numbers = List(context, builder, kinds[1], arguments[1])
        i, k = arguments[2], arguments[5]
        zero, lanes = i.type(0), i.type(vectors.lanes)
        rows = [x.row(numbers[builder.add(i, i.type(r))], zero) for r in range(n_rows.literal_value)]
        lines = w.rows(k, n_outputs.literal_value, zero)
        coming = far.row(arguments[9], arguments[10])
        sums = [[vectors.variable() for _ in lines] for _ in rows]

        def add(j, mask=None):
            emit_prefetch(builder, builder.gep(coming, [builder.ashr(j, arguments[11])]), INTO_L2)
            factors = [vectors.load(w, builder.gep(line, [j]), mask) for line in lines]
            for row, row_sums in zip(rows, sums, strict=True):
                here = vectors.load(x, builder.gep(row, [j]), mask)
                for factor, total in zip(factors, row_sums, strict=True):
                    vectors.add_product(total, here, factor)

        rest = builder.srem(x.width, lanes)
        whole = builder.sub(x.width, rest)
        with cgutils.for_range_slice(builder, zero, whole, lanes, zero.type) as (j, _):
            add(j)
        with builder.if_then(builder.icmp_signed(">", rest, zero)):
            add(whole, vectors.first_lanes(rest))
        for target, row_sums in zip(o.rows(i, len(rows), k), sums, strict=True):
            for c, total in enumerate(row_sums):
                place = builder.gep(target, [i.type(c)])
                builder.store(builder.fadd(builder.load(place), vectors.sum(total)), place)
        return context.get_dummy_value()

    where = types.intp
    return types.void(
        values, index, where, n_rows, coef, where, n_outputs, out, source, where, where, where
    ), generate


def _add_dots_numpy(values, index, i, n_rows, coef, k, n_outputs, out, source, later, first, shift):
    """Scores without intercepts of a tile: of rows index[i], ... for the outputs k, ...

    Meanwhile ``source[later, first:]`` comes into the cache, as many features as here >> shift.

    The sizes of the tile, `n_rows` and `n_outputs`, are constants to the compiler.
    """
    rows = values[index[i : i + n_rows]]
    out[i : i + n_rows, k : k + n_outputs] += rows @ coef[k : k + n_outputs].T


@intrinsic(prefer_literal=True)
def _add_outer_products(typing_context, values, index, slopes, gradient, k, n_outputs, source, ahead):
    if not _can_compile((values, slopes, gradient, source), gradient, (index, ahead), (n_outputs,)):
        return None

    def generate(context, builder, signature, arguments):
        kinds = signature.args
        vectors = VectorCode(context, builder, gradient.dtype)
        x, s, g, far = (Matrix(context, builder, kinds[a], arguments[a]) for a in (0, 2, 3, 6))
        numbers, coming = (List(context, builder, kinds[a], arguments[a]) for a in (1, 7))
        k = arguments[4]
        zero, lanes = k.type(0), k.type(vectors.lanes)

        def add(j, n_vectors, mask=None):
            """A tile: all rows, the given outputs, and n_vectors of features from j on."""
            steps = [k.type(v * vectors.lanes) for v in range(n_vectors)]
            places = [
                [builder.gep(line, [step]) for step in steps]
                for line in g.rows(k, n_outputs.literal_value, j)
            ]
            sums = [[vectors.variable() for _ in steps] for _ in places]
            pairs = list(zip(itertools.chain(*places), itertools.chain(*sums), strict=True))
            for place, total in pairs:
                builder.store(vectors.load(g, place, mask), total)
            with cgutils.for_range(builder, numbers.size, intp=zero.type) as loop:
                # A vector of a row to come beside each row here: many at once would wait for memory.
                n = zero.type(n_vectors)
                which = builder.sdiv(loop.index, n)
                with builder.if_then(builder.icmp_signed("<", which, coming.size)):
                    step = builder.mul(builder.srem(loop.index, n), lanes)
                    emit_prefetch(builder, builder.gep(far.row(coming[which], j), [step]), INTO_L2)
                row = x.row(numbers[loop.index], j)
                here = [vectors.load(x, builder.gep(row, [step]), mask) for step in steps]
                slope = s.row(loop.index, k)
                for c, line_sums in enumerate(sums):
                    factor = vectors.spread(builder.gep(slope, [k.type(c)]))
                    for value, total in zip(here, line_sums, strict=True):
                        vectors.add_product(total, factor, value)
            for place, total in pairs:
                vectors.store(builder.load(total), g, place, mask)

        tile = k.type(_TILE_VECTORS * vectors.lanes)
        tiled = builder.sub(x.width, builder.srem(x.width, tile))
        rest = builder.srem(x.width, lanes)
        whole = builder.sub(x.width, rest)
        with cgutils.for_range_slice(builder, zero, tiled, tile, zero.type) as (j, _):
            add(j, _TILE_VECTORS)
        with cgutils.for_range_slice(builder, tiled, whole, lanes, zero.type) as (j, _):
            add(j, 1)
        with builder.if_then(builder.icmp_signed(">", rest, zero)):
            add(whole, 1, vectors.first_lanes(rest))
        return context.get_dummy_value()

    where = types.intp
    return types.void(values, index, slopes, gradient, where, n_outputs, source, ahead), generate


def _add_outer_products_numpy(values, index, slopes, gradient, k, n_outputs, source, ahead):
    """Add slopes^T X, for the outputs k, ..., to a gradient; meanwhile ask for rows `ahead` of `source`.

    The number of outputs, `n_outputs`, is a constant to the compiler.
    """
    outputs = slice(k, k + n_outputs)
    gradient[outputs] += slopes[: len(index), outputs].T @ values[index]


add_dots = _add_dots_numpy if config.DISABLE_JIT else _add_dots
add_outer_products = _add_outer_products_numpy if config.DISABLE_JIT else _add_outer_products
