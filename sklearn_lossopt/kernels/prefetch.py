"""Ask for memory before it is needed: rows visited in random order defeat the processor's own guesses."""

from llvmlite import ir
from numba import types
from numba.core import cgutils, config
from numba.extending import intrinsic


@intrinsic
def _prefetch(typing_context, array, position):
    def generate(context, builder, signature, arguments):
        kind = signature.args[0]
        made = context.make_array(kind)(context, builder, arguments[0])
        pointer = builder.gep(made.data, [arguments[1]])
        generic = builder.bitcast(pointer, ir.IntType(8).as_pointer())
        number = ir.IntType(32)
        function = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(ir.VoidType(), [generic.type, number, number, number]),
            "llvm.prefetch.p0i8",
        )
        # read, keep in all levels of the cache, data
        builder.call(function, [generic, number(0), number(3), number(1)])
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


def _do_nothing(array, position):
    """Without the compiler there is nothing to hint at."""


prefetch = _do_nothing if config.DISABLE_JIT else _prefetch
prefetch.__doc__ = "Hint that the element at a flat position of a C-contiguous array will be read soon."
