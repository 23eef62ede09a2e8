"""Rows side by side: squares of numbers turned over in registers, and the products of rows that lie so.

A row of few features fills no vector, or few, and sums over a vector's lanes would cost more than its
products. Side by side there are none: a vector holds a number of each of as many rows as it has lanes.
"""

import functools

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils, config
from numba.extending import intrinsic

from ._jit import helper
from .tiles import LANE_NUMBER, List, Matrix, VectorCode
from .vectors import HAS_QUICK_MASKS, lanes_of, load, load_first, store, store_first

PART = 16  # bytes: many processors are slower to move numbers from one part of a vector to another


# ------------------------------------------------------------------------------------- squares


def _rounds(lanes, n_bytes):
    """What each round mixes of two vectors: the lanes (of the second after those of the first) of two others.

    First neighbours are interleaved within each part, then whole parts.
    """
    part = min(lanes, PART // n_bytes)
    half = part // 2
    for size in (2**i for i in range(part.bit_length() - 1)):
        low = [
            source * lanes + start + place + i
            for start in range(0, lanes, part)
            for place in range(0, half, size)
            for source in (0, 1)
            for i in range(size)
        ]
        yield low, [lane + half for lane in low]
    for _ in range((lanes // part).bit_length() - 1):
        even = [start + i for start in range(0, 2 * lanes, 2 * part) for i in range(part)]
        yield even, [lane + part for lane in even]


def _mixed(rows, n_bytes, mix):
    """The columns of a square, in the order in which they come out."""
    groups = [[row] for row in rows]  # of vectors with numbers of the same rows
    for wanted in _rounds(len(rows), n_bytes):
        groups = [
            [mix(a, b, lanes) for a, b in zip(first, second, strict=True) for lanes in wanted]
            for first, second in zip(groups[::2], groups[1::2], strict=True)
        ]
    return groups[0]


@functools.cache
def _order(lanes, n_bytes):
    """Which column comes out at which place."""
    places = [[(r, c) for c in range(lanes)] for r in range(lanes)]
    columns = _mixed(places, n_bytes, lambda a, b, wanted: [(a + b)[lane] for lane in wanted])
    return [column[0][1] for column in columns]


def _turn(vectors, rows):
    """The columns of a square of vectors."""
    n_bytes = 8 if vectors.number == ir.DoubleType() else 4

    def mix(a, b, wanted):
        lanes = ir.Constant(ir.VectorType(LANE_NUMBER, vectors.lanes), wanted)
        return vectors.builder.shuffle_vector(a, b, lanes)

    found = dict(zip(_order(vectors.lanes, n_bytes), _mixed(rows, n_bytes, mix), strict=True))
    return [found[c] for c in range(vectors.lanes)]


def _is_matrix(kind):
    return isinstance(kind, types.Array) and kind.layout == "C" and kind.ndim == 2


def _numbers(builder, first, n, lanes):
    """Row numbers from the first on; those beyond the n-th are the n-th again."""
    last = builder.sub(n, n.type(1))
    for i in range(lanes):
        is_there = builder.icmp_signed("<", n.type(i), last)
        yield builder.add(first, builder.select(is_there, n.type(i), last))


@intrinsic
def _turn_in(typing_context, source, index, r, n_rows, c, n_columns, target, i, j):
    if not (_is_matrix(source) and _is_matrix(target) and source.dtype == target.dtype):
        return None

    def generate(context, builder, signature, arguments):
        kinds = signature.args
        vectors = VectorCode(context, builder, target.dtype)
        x, out = (Matrix(context, builder, kinds[a], arguments[a]) for a in (0, 6))
        numbers = _numbers(builder, arguments[2], arguments[3], vectors.lanes)
        if index != types.none:
            which = List(context, builder, kinds[1], arguments[1])
            numbers = (which[number] for number in numbers)
        mask = vectors.first_lanes(arguments[5])
        rows = [vectors.load(x, x.row(number, arguments[4]), mask) for number in numbers]
        places = out.rows(arguments[7], vectors.lanes, arguments[8])
        for column, place in zip(_turn(vectors, rows), places, strict=True):
            vectors.store(column, out, place)
        return context.get_dummy_value()

    where = types.intp
    return types.void(source, index, where, where, where, where, target, where, where), generate


def _turn_in_numpy(source, index, r, n_rows, c, n_columns, target, i, j):
    """Put a square of rows index[r], ... (None: r, ...), from column c on, into lines i, ..., at place j.

    As many as a vector has lanes: rows beyond `n_rows` are the last again, columns beyond `n_columns` are 0.
    """
    lanes = lanes_of(target)
    numbers = r + np.minimum(np.arange(lanes), n_rows - 1)
    here = source[numbers if index is None else index[numbers], c : c + min(lanes, n_columns)]
    target[i : i + lanes, j : j + lanes] = 0
    target[i : i + here.shape[1], j : j + lanes] = here.T


@intrinsic
def _turn_out(typing_context, source, r, n_rows, c, n_columns, target):
    if not (_is_matrix(source) and _is_matrix(target) and source.dtype == target.dtype):
        return None

    def generate(context, builder, signature, arguments):
        kinds = signature.args
        vectors = VectorCode(context, builder, target.dtype)
        lines, out = (Matrix(context, builder, kinds[a], arguments[a]) for a in (0, 5))
        r, n_rows, c, n_columns = arguments[1:5]
        rows = [
            vectors.load(lines, lines.row(number, c))
            for number in _numbers(builder, r, n_rows, vectors.lanes)
        ]
        columns = _turn(vectors, rows)

        mask = vectors.first_lanes(n_rows) if HAS_QUICK_MASKS else None
        for m, column in enumerate(columns):
            with builder.if_then(builder.icmp_signed("<", c.type(m), n_columns), likely=True):
                vectors.store(column, out, out.row(builder.add(c, c.type(m)), r), mask)
        return context.get_dummy_value()

    where = types.intp
    return types.void(source, where, where, where, where, target), generate


def _turn_out_numpy(source, r, n_rows, c, n_columns, target):
    """Put a square of lines r, ..., from column c on, into rows c, ... of a matrix, from column r on.

    As many as a vector has lanes, but only `n_columns` columns and, where that is quick, `n_rows` lines:
    elsewhere there must be as many as lanes.
    """
    lanes = lanes_of(target)
    n_rows, n_columns = min(n_rows, lanes), min(n_columns, lanes)
    target[c : c + n_columns, r : r + n_rows] = source[r : r + n_rows, c : c + n_columns].T


# ------------------------------------------------------------------------------------ products


@intrinsic(prefer_literal=True)
def _score_tile(typing_context, lines, i, coef, intercept, k, n_outputs, out):
    is_literal = isinstance(n_outputs, types.IntegerLiteral)
    if not (is_literal and all(map(_is_matrix, (lines, coef, out))) and intercept.layout == "C"):
        return None

    def generate(context, builder, signature, arguments):
        kinds = signature.args
        vectors = VectorCode(context, builder, out.dtype)
        x, w, scores = (Matrix(context, builder, kinds[a], arguments[a]) for a in (0, 2, 6))
        start = context.make_array(kinds[3])(context, builder, arguments[3]).data
        i, k = arguments[1], arguments[4]
        n = n_outputs.literal_value
        factors = w.rows(k, n, k.type(0))
        sums = [vectors.variable() for _ in range(n)]
        for c, total in enumerate(sums):
            place = builder.gep(start, [builder.add(k, k.type(c))])
            builder.store(vectors.spread(place), total)
        with cgutils.for_range(builder, w.width, intp=k.type) as loop:
            here = vectors.load(x, x.row(loop.index, i))
            for factor, total in zip(factors, sums, strict=True):
                vectors.add_product(total, here, vectors.spread(builder.gep(factor, [loop.index])))
        for total, place in zip(sums, scores.rows(k, n, i), strict=True):
            vectors.store(builder.load(total), scores, place)
        return context.get_dummy_value()

    where = types.intp
    return types.void(lines, where, coef, intercept, where, n_outputs, out), generate


def _score_tile_numpy(lines, i, coef, intercept, k, n_outputs, out):
    """Scores of a vector of rows, side by side from column i on, in lines k, ... of `out`.

    The number of outputs is a constant to the compiler, as in `_gradient_tile`.
    """
    rows, outputs = slice(i, i + lanes_of(out)), slice(k, k + n_outputs)
    out[outputs, rows] = coef[outputs] @ lines[: coef.shape[1], rows] + intercept[outputs, np.newaxis]


@intrinsic(prefer_literal=True)
def _gradient_tile(typing_context, values, index, shift, slopes, gradient, k, n_outputs):
    is_literal = isinstance(n_outputs, types.IntegerLiteral)
    if not (is_literal and all(map(_is_matrix, (values, slopes, gradient))) and shift.layout == "C"):
        return None

    def generate(context, builder, signature, arguments):
        kinds = signature.args
        vectors = VectorCode(context, builder, gradient.dtype)
        x, s, g = (Matrix(context, builder, kinds[a], arguments[a]) for a in (0, 3, 4))
        which = List(context, builder, kinds[1], arguments[1])
        origin = context.make_array(kinds[2])(context, builder, arguments[2])
        has_origin = builder.icmp_signed(">", builder.extract_value(origin.shape, 0), x.width.type(0))
        k = arguments[5]
        zero, lanes = k.type(0), k.type(vectors.lanes)
        n = n_outputs.literal_value
        factors = s.rows(k, n, zero)
        # The last vector goes over some features again, which count once: loaded where others are beside it,
        # it would wait for memory that belongs to another row.
        last = builder.sub(x.width, lanes)
        last = builder.select(builder.icmp_signed(">", last, zero), last, zero)
        with cgutils.for_range_slice(builder, zero, x.width, lanes, zero.type) as (at, _):
            j = builder.select(builder.icmp_signed("<", at, last), at, last)
            mask = vectors.first_lanes(builder.sub(x.width, j))
            is_done = vectors.first_lanes(builder.sub(at, j))
            new = builder.and_(mask, builder.not_(is_done))
            with_origin = builder.and_(new, vectors.in_all_lanes(has_origin))
            less = vectors.load(x, builder.gep(origin.data, [j]), with_origin)
            places = g.rows(k, n, j)
            sums = [vectors.variable() for _ in places]
            for place, total in zip(places, sums, strict=True):
                builder.store(vectors.load(g, place, mask), total)
            with cgutils.for_range(builder, which.size, intp=zero.type) as loop:
                here = builder.fsub(vectors.load(x, x.row(which[loop.index], j), new), less)
                for factor, total in zip(factors, sums, strict=True):
                    vectors.add_product(total, here, vectors.spread(builder.gep(factor, [loop.index])))
            for place, total in zip(places, sums, strict=True):
                vectors.store(builder.load(total), g, place, mask)
        return context.get_dummy_value()

    return types.void(values, index, shift, slopes, gradient, types.intp, n_outputs), generate


def _gradient_tile_numpy(values, index, shift, slopes, gradient, k, n_outputs):
    """Add the slopes of rows, side by side in lines k, ..., times the rows less `shift`, empty for none."""
    outputs = slice(k, k + n_outputs)
    rows = values[index] - (shift if shift.size else 0)
    gradient[outputs] += slopes[outputs, : len(index)] @ rows


if config.DISABLE_JIT:
    turn_in, turn_out = _turn_in_numpy, _turn_out_numpy
    score_tile, gradient_tile = _score_tile_numpy, _gradient_tile_numpy
else:
    turn_in, turn_out, score_tile, gradient_tile = _turn_in, _turn_out, _score_tile, _gradient_tile


@helper
def turn(rows, n_rows, lines):
    """Put some rows, whole ones of a matrix, side by side, a column in a line."""
    n_columns = rows.shape[1]
    lanes = lanes_of(lines)
    if n_columns == 1:
        for i in range(0, n_rows, lanes):
            store(lines, i, load_first(rows, i, n_rows - i, 0))
        return
    for i in range(0, n_rows, lanes):
        for k in range(0, n_columns, lanes):
            turn_in(rows, None, i, n_rows - i, k, n_columns - k, lines, k, i)


@helper
def turn_back(lines, n_rows, rows):
    """Put lines of numbers of some rows back into whole rows of a matrix."""
    n_columns = rows.shape[1]
    lanes = lanes_of(lines)
    if n_columns == 1:
        for i in range(0, n_rows, lanes):
            store_first(rows, i, n_rows - i, load(lines, i))
        return
    whole = n_columns if HAS_QUICK_MASKS else n_columns - n_columns % lanes
    for i in range(0, n_rows, lanes):
        for k in range(0, whole, lanes):
            turn_out(lines, k, n_columns - k, i, n_rows - i, rows)
    for i in range(n_rows):
        for k in range(whole, n_columns):
            rows[i, k] = lines[k, i]
