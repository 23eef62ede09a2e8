"""Dense rows two at a time, for dual coordinate ascent: one trip through the coefficients for both.

The second row's scores are corrected by the pair's inner product for what the first row's step changes:
the same iterates as one by one, for half of the loads and stores of coefficients.
"""

from numba import types
from numba.core import cgutils, config
from numba.extending import intrinsic

from ._jit import helper
from .prefetch import emit_prefetch
from .tiles import TILE_OUTPUTS, Matrix, VectorCode
from .vectors import lanes_of, load, load_first, spread, store, total

SCORES, CHANGES = 0, 2  # first lines of the two rows' scores and changes in `room`


@intrinsic(prefer_literal=True)
def _add_then_dots(typing_context, coef, k, n_outputs, loaded, old, new, room, source, later):
    arrays = (coef, loaded, room, source)
    if not isinstance(n_outputs, types.IntegerLiteral) or any(a.dtype != coef.dtype for a in arrays):
        return None

    def generate(context, builder, signature, arguments):
        kinds = signature.args
        code = VectorCode(context, builder, coef.dtype)
        w, x, r, far = (Matrix(context, builder, kinds[a], arguments[a]) for a in (0, 3, 6, 7))
        k, old, new, later = arguments[1], arguments[4], arguments[5], arguments[8]
        zero, lanes = k.type(0), k.type(code.lanes)
        lines = w.rows(k, n_outputs.literal_value, zero)
        before, coming = x.rows(old, 2, zero), x.rows(new, 2, zero)
        scores = r.rows(k.type(SCORES), 2, k)
        steps = [
            [code.spread(builder.gep(line, [k.type(c)])) for c in range(len(lines))]
            for line in r.rows(k.type(CHANGES), 2, k)
        ]
        sums = [[code.variable() for _ in lines] for _ in coming]
        here = code.variable()
        far_row = far.row(later, zero)

        with cgutils.for_range_slice(builder, zero, w.width, lanes, zero.type) as (j, _):
            emit_prefetch(builder, builder.gep(far_row, [j]))
            a, b, c, d = (code.load(x, builder.gep(line, [j])) for line in (*before, *coming))
            for n, line in enumerate(lines):
                place = builder.gep(line, [j])
                builder.store(code.load(w, place), here)
                code.add_product(here, steps[0][n], a)
                code.add_product(here, steps[1][n], b)
                value = builder.load(here)
                code.store(value, w, place)
                code.add_product(sums[0][n], value, c)
                code.add_product(sums[1][n], value, d)
        for line, row_sums in zip(scores, sums, strict=True):
            for n, one in enumerate(row_sums):
                place = builder.gep(line, [k.type(n)])
                builder.store(builder.fadd(builder.load(place), code.sum(one)), place)
        return context.get_dummy_value()

    where = types.intp
    arguments = coef, where, n_outputs, loaded, where, where, room, source, where
    return types.void(*arguments), generate


def _add_then_dots_numpy(coef, k, n_outputs, loaded, old, new, room, source, later):
    """Add the outer products of a pair's changes and rows, then the scores of the next pair, to `room`.

    For the outputs k, ..., as many as `n_outputs`, a constant to the compiler. Rows are lines of `loaded`,
    from `old` and from `new` on. Meanwhile row `later` of `source` comes into the cache.
    """
    outputs = slice(k, k + n_outputs)
    coef[outputs] += room[CHANGES : CHANGES + 2, outputs].T @ loaded[old : old + 2]
    room[SCORES : SCORES + 2, outputs] += loaded[new : new + 2] @ coef[outputs].T


add_then_dots = _add_then_dots_numpy if config.DISABLE_JIT else _add_then_dots


@helper
def move_on(coef, intercept, loaded, old, new, room, values, first_later, second_later):
    """Add what a pair of rows changed; then put the next pair's scores into `room`.

    Meanwhile two rows of `values` come into the cache: memory is asked for little by little, as many
    requests at once would wait for each other.
    """
    n_outputs = coef.shape[0]
    lanes = lanes_of(coef)
    width = room.shape[1]
    for k in range(0, n_outputs, lanes):
        b = load_first(intercept, k, n_outputs - k, 0)
        store(room, SCORES * width + k, b)
        store(room, (SCORES + 1) * width + k, b)
    k = 0
    while k < n_outputs:
        later = first_later if 2 * k < n_outputs else second_later
        left = n_outputs - k
        if left >= TILE_OUTPUTS:
            add_then_dots(coef, k, TILE_OUTPUTS, loaded, old, new, room, values, later)
            k += TILE_OUTPUTS
        elif left >= 2:
            add_then_dots(coef, k, 2, loaded, old, new, room, values, later)
            k += 2
        else:
            add_then_dots(coef, k, 1, loaded, old, new, room, values, later)
            k += 1


@helper
def inner_product(loaded, first):
    """Of two rows side by side in `loaded`."""
    lanes = lanes_of(loaded)
    width = loaded.shape[1]
    a0 = a1 = spread(loaded.dtype.type(0), loaded)
    place = first * width
    tiled = width - width % (2 * lanes)
    for j in range(place, place + tiled, 2 * lanes):
        a0 = a0 + load(loaded, j) * load(loaded, j + width)
        a1 = a1 + load(loaded, j + lanes) * load(loaded, j + lanes + width)
    for j in range(place + tiled, place + width, lanes):
        a0 = a0 + load(loaded, j) * load(loaded, j + width)
    return total(a0 + a1)


@helper
def correct_second(room, factor):
    """Add ``factor * change`` of a pair's first row to the scores of its second."""
    lanes = lanes_of(room)
    width = room.shape[1]
    for k in range(0, width, lanes):
        place = (SCORES + 1) * width + k
        store(room, place, load(room, place) + load(room, CHANGES * width + k) * factor)
