"""Ask for memory before it is needed: rows visited in random order defeat the processor's own guesses."""

from llvmlite import ir
from numba import types
from numba.core import cgutils, config
from numba.extending import intrinsic

INTO_L2, INTO_L1 = 2, 3


def emit_prefetch(builder, pointer, level=INTO_L1):
    """Add the hint to code that is being made."""
    number = ir.IntType(32)
    place = builder.bitcast(pointer, ir.IntType(8).as_pointer())
    kind = ir.FunctionType(ir.VoidType(), [place.type, number, number, number])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
    # 0: to read; 1: data
    builder.call(function, [place, number(0), number(level), number(1)])


@intrinsic
def _prefetch(typing_context, array, position):
    def generate(context, builder, signature, arguments):
        made = context.make_array(signature.args[0])(context, builder, arguments[0])
        emit_prefetch(builder, builder.gep(made.data, [arguments[1]]))
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


def _do_nothing(array, position):
    """Without the compiler there is nothing to hint at."""


prefetch = _do_nothing if config.DISABLE_JIT else _prefetch
prefetch.__doc__ = "Hint that the element at a flat position of a C-contiguous array will be read soon."
