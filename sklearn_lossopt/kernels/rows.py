"""The rows of X as kernels see them, and what differs between dense and CSR storage.

The storage is the *type* of the argument `rows`, so that every kernel above this file is written
once and compiled once a storage.
"""

import math
from typing import NamedTuple

import numpy as np
from numba.extending import overload

from ._jit import OPTIONS, helper, inlined, kernel
from .prefetch import prefetch
from .tiles import TILE_OUTPUTS, TILE_ROWS, add_dots, add_outer_products
from .vectors import (
    keep_last,
    lanes_of,
    load_as,
    load_first_narrow,
    load_narrow,
    narrow_lanes_of,
    store,
    store_first,
)

ROWS_PER_BLOCK = 32  # rows gathered, scored and differentiated while they are in the cache, at most


class DenseRows(NamedTuple):
    """Rows of shape (n_rows, n_features), C order; coefficients are (n_outputs, n_features)."""

    values: np.ndarray


class NarrowRows(NamedTuple):
    """`DenseRows` of few features, for those kernels that take such rows side by side: see `narrow`."""

    values: np.ndarray


class CSRRows(NamedTuple):
    """Rows in canonical CSR form; coefficients are (n_features, n_outputs)."""

    data: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray
    n_features: int


HUGE_PAGE = 2**21  # bytes of a page that systems give to large arrays, if these begin at one
LINE = 64  # bytes that the processor loads and stores at once
SHORT = 32  # stored entries of a row
FAR = 5_000_000  # bytes that no cache of a core holds
OUTSIDE = 32_000_000  # and few of a processor
NEAR_LINES = 150_000  # bytes of coefficients that stay there beside the rows of a block


def aligned_zeros(shape, dtype):
    """Zeros that begin at a cache line: vectors that straddle two cost half the speed again.

    Large ones begin at a huge page. Otherwise what lies before the first one and after the last, a third
    of the coefficients of text, is in small pages, whose places are looked up in memory itself.
    """
    n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    place = HUGE_PAGE if n_bytes >= 2 * HUGE_PAGE else LINE
    memory = np.zeros(n_bytes + place, np.uint8)
    start = -memory.ctypes.data % place
    return memory[start : start + n_bytes].view(dtype).reshape(shape)


def padded(n_features, dtype):
    """The next number of features that fills whole cache lines."""
    per_line = LINE // np.dtype(dtype).itemsize
    return -(-n_features // per_line) * per_line


def read_only(array):
    """A view that cannot be written: kernels take rows in this one form, whatever X was."""
    view = array.view()
    view.flags.writeable = False
    return view


def by_storage(dense, csr, narrow=None):
    """Make a function that is one of these, by the type of its first argument; narrow rows may be as dense.

    They are plain functions with the same arguments; within kernels Numba chooses while it compiles.
    """
    functions = {DenseRows: dense, CSRRows: csr, NarrowRows: narrow or dense}

    def dispatch(rows, *args):
        return functions[type(rows)](rows, *args)

    @overload(dispatch, jit_options=OPTIONS, strict=False)
    def choose(rows, *args):
        return functions[rows.instance_class]

    return dispatch


# ------------------------------------------------------------------ rows that come soon, in random order


@helper
def prefetch_span(array, start, stop):
    """Ask for what flat positions of an array from `start` to `stop` hold: there must be some."""
    for p in range(start, stop, LINE // array.itemsize):
        prefetch(array, p)
    prefetch(array, stop - 1)  # of another cache line where the first does not begin one


def _prefetch_row_dense(rows, i):
    """Ask for a row."""
    n_features = rows.values.shape[1]
    prefetch_span(rows.values, i * n_features, (i + 1) * n_features)


def _prefetch_row_csr(rows, i):
    start, stop = rows.indptr[i], rows.indptr[i + 1]
    if start < stop:
        prefetch_span(rows.data, start, stop)
        prefetch_span(rows.indices, start, stop)


def _prefetch_place_dense(rows, i):
    """Ask for what tells where a row is."""


def _prefetch_place_csr(rows, i):
    prefetch(rows.indptr, i)


prefetch_row = by_storage(_prefetch_row_dense, _prefetch_row_csr)
prefetch_place = by_storage(_prefetch_place_dense, _prefetch_place_csr)


# ------------------------------------------------------------------------------------ gathering


def _gather_dense(rows, index, shift, block):
    """Rows less the shift, and where they are: contiguous, and exact where means are large.

    `block` is an array to write to, read-only `DenseRows` over the same memory, and the numbers
    of its rows: of the types of `rows` and `index`, so that kernels downstream are compiled once.
    """
    copy, near, numbers = block
    if shift.size == 0:
        return rows, index
    for i in range(index.size):
        source = rows.values[index[i]]
        target = copy[i]
        for j in range(shift.size):
            target[j] = source[j] - shift[j]
    return near, numbers[: index.size]


def _gather_csr(rows, index, shift, block):
    return rows, index


gather = by_storage(_gather_dense, _gather_csr)


def new_block(rows, index):
    """Memory for `gather` of `DenseRows`, made in Python: kernels cannot make a read-only array."""
    if not isinstance(rows, DenseRows):
        return None
    block = np.empty((ROWS_PER_BLOCK, rows.values.shape[1]), rows.values.dtype)
    return block, DenseRows(read_only(block)), np.arange(ROWS_PER_BLOCK, dtype=index.dtype)


# --------------------------------------------------------------------------- scores and gradient


def _scores_dense(rows, index, coef, intercept, out, source, ahead):
    """out[i] = coef @ x_index[i] + intercept; meanwhile, rows `ahead` of `source` come into the cache."""
    values = rows.values
    n_rows, n_outputs = index.size, coef.shape[0]
    far = source.values
    later = ahead if ahead.size > 0 else index
    for i in range(n_rows):
        for k in range(n_outputs):
            out[i, k] = intercept[k]
    tiled = n_rows - n_rows % TILE_ROWS
    # A row, or half of one, comes during a tile: much at once would wait for memory.
    n_tiles = n_rows * n_outputs // (TILE_ROWS * TILE_OUTPUTS)
    shift = 1 if 2 * later.size <= n_tiles else 0
    half = (values.shape[1] + 1) // 2 if shift else 0
    tile = 0
    # Coefficients that the near cache cannot hold: only so many meet all rows of the block at a time.
    line = coef.shape[1] * coef.itemsize
    at_once = max(1, NEAR_LINES // (TILE_OUTPUTS * line)) * TILE_OUTPUTS
    for begin in range(0, n_outputs, at_once):
        end = min(begin + at_once, n_outputs)
        for i in range(0, tiled, TILE_ROWS):
            k = begin
            while k < end:
                soon = later[min(tile >> shift, later.size - 1)]
                first = half * (tile & 1)
                tile += 1
                left = end - k
                if left >= TILE_OUTPUTS:
                    add_dots(values, index, i, TILE_ROWS, coef, k, TILE_OUTPUTS, out, far, soon, first, shift)
                    k += TILE_OUTPUTS
                elif left >= 2:
                    add_dots(values, index, i, TILE_ROWS, coef, k, 2, out, far, soon, first, shift)
                    k += 2
                else:
                    add_dots(values, index, i, TILE_ROWS, coef, k, 1, out, far, soon, first, shift)
                    k += 1
    for i in range(tiled, n_rows):
        k = 0
        while k + TILE_OUTPUTS <= n_outputs:
            add_dots(values, index, i, 1, coef, k, TILE_OUTPUTS, out, far, later[0], 0, 0)
            k += TILE_OUTPUTS
        while k < n_outputs:
            add_dots(values, index, i, 1, coef, k, 1, out, far, later[0], 0, 0)
            k += 1


@helper
def add_entries(values, places, factors, first, n, matrix):
    """Add each of `values` times n factors, from `first` on, to the line of `matrix` at its place.

    Factors stay in registers: with a line done in one go they would be loaded again after each store.
    Vectors are narrow: a wide one lies across two cache lines more often than not, and takes twice as long to
    store there. Many processors take long to store a part of a vector, or to load what is beside it. So the
    last one of a line goes over some numbers again: it is loaded before these are stored, or its factors for
    them are 0. And lines of the matrix may have more than n numbers, to fill a vector.
    """
    width = matrix.shape[1]
    lanes = narrow_lanes_of(matrix)
    if n == 1:
        factor = factors[first]
        for p in range(np.uint64(places.size)):  # unsigned, as in `dot_stored`
            matrix[np.uint64(places[p]), 0] += values[p] * factor
        return
    if n < lanes:
        a0 = load_first_narrow(factors, first, n, 0)
        for p in range(places.size):
            place = places[p] * width
            if width < lanes:
                store_first(matrix, place, n, load_first_narrow(matrix, place, n, 0) + a0 * values[p])
            else:
                store(matrix, place, load_narrow(matrix, place) + a0 * values[p])
        return
    k = 0
    while n - k > 2 * lanes:
        last = min(n - k, 3 * lanes) - lanes  # from k on
        a0 = load_narrow(factors, first + k)
        a1 = load_narrow(factors, first + k + lanes)
        a2 = load_narrow(factors, first + k + last)
        for p in range(places.size):
            here = values[p]
            place = places[p] * width + k
            end = load_narrow(matrix, place + last) + a2 * here
            store(matrix, place, load_narrow(matrix, place) + a0 * here)
            store(matrix, place + lanes, load_narrow(matrix, place + lanes) + a1 * here)
            store(matrix, place + last, end)
        k += last + lanes
    if n - k > lanes:
        last = n - k - lanes  # from k on
        a0 = load_narrow(factors, first + k)
        a1 = load_narrow(factors, first + k + last)
        for p in range(places.size):
            here = values[p]
            place = places[p] * width + k
            end = load_narrow(matrix, place + last) + a1 * here
            store(matrix, place, load_narrow(matrix, place) + a0 * here)
            store(matrix, place + last, end)
    elif n > k:
        a0 = keep_last(load_narrow(factors, first + n - lanes), n - k)
        for p in range(places.size):
            place = places[p] * width + n - lanes
            store(matrix, place, load_narrow(matrix, place) + a0 * values[p])


@inlined
def dot_stored(rows, start, stop, values, coef, intercept, out):
    """Score of a sparse row if there is only one, from `values` of its stored entries; in the type of `out`.

    Numbers are unsigned: the compiler looks at those that may be negative, for as long as the rest takes.
    And a call, or a loop over one output, would cost more than its work.
    """
    number = out.dtype.type
    score = number(intercept[0])
    for p in range(np.uint64(stop - start)):
        feature = np.uint64(rows.indices[np.uint64(start) + p])
        score += number(values[p]) * coef[feature, 0]
    return score


@helper
def dot_entries(values, indices, coef, intercept, out, place):
    """Put two or more scores of a sparse row at a place of `out`: four or two vectors stay in registers.

    `values` and `indices` are the row's own: where they are slices of longer arrays, an index that is
    added up might be negative as far as the compiler knows, which it then looks after.
    """
    n_outputs = coef.shape[1]
    n_stored = indices.size
    lanes = lanes_of(out)
    wide = n_outputs - n_outputs % (4 * lanes)
    for k in range(0, wide, 4 * lanes):
        a0 = load_as(intercept, k, lanes, 0, out)
        a1 = load_as(intercept, k + lanes, lanes, 0, out)
        a2 = load_as(intercept, k + 2 * lanes, lanes, 0, out)
        a3 = load_as(intercept, k + 3 * lanes, lanes, 0, out)
        for p in range(n_stored):
            here = values[p]
            line = indices[p] * n_outputs + k
            a0 = a0 + load_as(coef, line, lanes, 0, out) * here
            a1 = a1 + load_as(coef, line + lanes, lanes, 0, out) * here
            a2 = a2 + load_as(coef, line + 2 * lanes, lanes, 0, out) * here
            a3 = a3 + load_as(coef, line + 3 * lanes, lanes, 0, out) * here
        store(out, place + k, a0)
        store(out, place + k + lanes, a1)
        store(out, place + k + 2 * lanes, a2)
        store(out, place + k + 3 * lanes, a3)
    for k in range(wide, n_outputs, 2 * lanes):
        n0 = n_outputs - k
        n1 = n0 - lanes
        a0 = load_as(intercept, k, n0, 0, out)
        if n1 > 0:
            a1 = load_as(intercept, k + lanes, n1, 0, out)
            for p in range(n_stored):
                here = values[p]
                line = indices[p] * n_outputs + k
                a0 = a0 + load_as(coef, line, lanes, 0, out) * here
                a1 = a1 + load_as(coef, line + lanes, n1, 0, out) * here
            store_first(out, place + k, lanes, a0)
            store_first(out, place + k + lanes, n1, a1)
        else:
            for p in range(n_stored):
                line = indices[p] * n_outputs + k
                a0 = a0 + load_as(coef, line, n0, 0, out) * values[p]
            store_first(out, place + k, n0, a0)


def _scores_csr(rows, index, coef, intercept, out, source, ahead):
    """out[i] = x_index[i] @ coef + intercept."""
    data, indices, indptr = rows.data, rows.indices, rows.indptr
    is_one = coef.shape[1] == 1
    for i in range(index.size):
        start, stop = indptr[index[i]], indptr[index[i] + 1]
        if is_one:
            out[i, 0] = dot_stored(rows, start, stop, data[start:stop], coef, intercept, out)
            continue
        dot_entries(data[start:stop], indices[start:stop], coef, intercept, out, i * out.shape[1])


def _add_gradient_dense(rows, index, slopes, gradient, source, ahead):
    """Gradient += slopes^T X; meanwhile, rows `ahead` of `source` come into the cache."""
    values = rows.values
    n_outputs = gradient.shape[0]
    far = source.values
    n_tiles = -(-n_outputs // TILE_OUTPUTS)
    tile = 0
    k = 0
    while k < n_outputs:
        coming = ahead[tile * ahead.size // n_tiles : (tile + 1) * ahead.size // n_tiles]
        tile = min(tile + 1, n_tiles)
        left = n_outputs - k
        if left >= TILE_OUTPUTS:
            add_outer_products(values, index, slopes, gradient, k, TILE_OUTPUTS, far, coming)
            k += TILE_OUTPUTS
        elif left >= 2:
            add_outer_products(values, index, slopes, gradient, k, 2, far, coming)
            k += 2
        else:
            add_outer_products(values, index, slopes, gradient, k, 1, far, coming)
            k += 1


@helper
def prefetch_lines(indices, matrix):
    """Ask for the lines of a sparse row's features, where that pays.

    Most come no sooner than the processor finds them itself by looking ahead, unless rows are so short that
    it would wait for their first lines half of the time, or memory is far.
    """
    if matrix.size * matrix.itemsize <= (FAR if indices.size < SHORT else OUTSIDE):
        return
    n_outputs = matrix.shape[1]
    for p in range(indices.size):
        first = indices[p] * n_outputs
        for k in range(0, n_outputs, LINE // matrix.itemsize):
            prefetch(matrix, first + k)


@helper
def _place_features(indices, lines, slot, base, n_touched, places):
    """Find the slots of a sparse row's features; new ones are given the next.

    Without a branch: which features are new, a third of them, no processor can guess. Numbers are unsigned,
    as in `dot_stored`.
    """
    number = slot.dtype.type
    for p in range(np.uint64(indices.size)):
        j = np.uint64(indices[p])
        known = number(slot[j] - base)
        is_new = known < 0
        place = number(n_touched) if is_new else known
        slot[j] = base + place
        lines[np.uint64(n_touched)] = indices[p]
        n_touched += is_new
        places[p] = place
    return n_touched


def _add_gradient_csr(rows, index, slopes, gradient, source, ahead):
    """Gradient += X^T slopes; lines of slopes may have more numbers than there are outputs."""
    indptr = rows.indptr
    flat = slopes.reshape(-1)
    n_outputs = gradient.shape[1]
    for i in range(index.size):
        if i + 1 < index.size:
            prefetch_lines(rows.indices[indptr[index[i + 1]] : indptr[index[i + 1] + 1]], gradient)
        start, stop = indptr[index[i]], indptr[index[i] + 1]
        first = i * slopes.shape[1]
        add_entries(rows.data[start:stop], rows.indices[start:stop], flat, first, n_outputs, gradient)


def _add_to_slots_dense(rows, index, slopes, gradient, touched, n_touched, source, ahead):
    """All of it: there are no slots."""
    add_gradient(rows, index, slopes, gradient, source, ahead)
    return n_touched


def _add_to_slots_csr(rows, index, slopes, gradient, touched, n_touched, source, ahead):
    """gradient[slot[j] - base] += (X^T slopes)[j]: the touched features, side by side in the cache.

    `touched` is (lines, slot, places, base): the feature of each slot in use, with room for one more than
    there are features; base plus the slot of each feature, less for none yet; and room for some slots. The
    gradient of slots not in use is zero; its lines may have more numbers than there are outputs.
    """
    lines, slot, places, base = touched
    indptr = rows.indptr
    flat = slopes.reshape(-1)
    n_outputs = slopes.shape[1]
    for i in range(index.size):
        start, stop = indptr[index[i]], indptr[index[i] + 1]
        for begin in range(start, stop, places.size):
            end = min(begin + places.size, stop)
            n_touched = _place_features(rows.indices[begin:end], lines, slot, base, n_touched, places)
            add_entries(rows.data[begin:end], places[: end - begin], flat, i * n_outputs, n_outputs, gradient)
    return n_touched


scores = by_storage(_scores_dense, _scores_csr)
add_gradient = by_storage(_add_gradient_dense, _add_gradient_csr)
add_to_slots = by_storage(_add_to_slots_dense, _add_to_slots_csr)


@kernel
def has_duplicates(indices, indptr, n_features):
    """Whether a row of a CSR matrix stores a feature twice; the order in a row does not matter."""
    last_row = np.full(n_features, -1)
    for i in range(indptr.size - 1):
        for p in range(indptr[i], indptr[i + 1]):
            if last_row[indices[p]] == i:
                return True
            last_row[indices[p]] = i
    return False
