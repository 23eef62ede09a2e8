"""Arrays without counted references, for kernels that slice them row by row.

Numba counts the references of every view that reaches a function, with atomic instructions that wait for
all stores before them: a sixth of the time of a pass of dual ascent over mnist. A kernel's arguments outlive
it, so that nothing needs to be counted.
"""

from numba import types
from numba.core import cgutils, config
from numba.extending import intrinsic


def _strip(context, builder, kind, value):
    if isinstance(kind, types.Array):
        array = context.make_array(kind)(context, builder, value)
        array.meminfo = cgutils.get_null_value(array.meminfo.type)
        array.parent = cgutils.get_null_value(array.parent.type)
        return array._getvalue()
    if isinstance(kind, types.BaseTuple):
        for i, part in enumerate(kind):
            stripped = _strip(context, builder, part, builder.extract_value(value, i))
            value = builder.insert_value(value, stripped, i)
    return value


@intrinsic
def _borrowed(typing_context, value):
    def generate(context, builder, signature, arguments):
        return _strip(context, builder, signature.args[0], arguments[0])

    return value(value), generate


def _unchanged(value):
    """An array, or a tuple that holds arrays at any depth, for use while its owner keeps it alive."""
    return value


borrowed = _unchanged if config.DISABLE_JIT else _borrowed
