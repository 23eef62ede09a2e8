"""What of an estimator goes into a model file: plain data and the version that wrote it."""

import warnings

from scipy import sparse

from . import schedules, solvers
from ._calibration import RecentScores
from ._stream import Stream
from ._units import Units
from ._version import __version__
from .exceptions import ModelVersionWarning
from .kernels.block_losses import LossRoom
from .kernels.minibatch import Geometry, State
from .kernels.rows import DenseRows, aligned_zeros
from .kernels.steps import Average, Parameters
from .problem import Moments
from .solvers.stochastic import MinibatchState

# What a stream has learned; `slot` tells its storage. The rest of `State` is scratch.
LEARNED = "coef", "intercept", "average", "intercept_average", "slot"
VERSION_MARK = "_sklearn_lossopt_version"
KIND = "_sklearn_lossopt_kind"  # the key that tells packed objects from dicts of the user's

# What an estimator may hold. Written as dicts, so that only the estimator's class must be trusted (skops).
KINDS = {
    kind.__name__: kind
    for kind in (
        *(kind for kind in solvers.BY_NAME.values()),
        *(kind for kind in schedules.BY_NAME.values()),
        *(Stream, Units, RecentScores, MinibatchState, Moments),
        *(Average, DenseRows, Geometry, LossRoom, Parameters, State),
        *(sparse.csr_array, sparse.csr_matrix),
    )
}


def pack(value):
    """An object of the package, and all that it holds, as plain dicts; anything else as it is.

    Subclasses, which only their author can make again, are left as they are.
    """
    kind = type(value)
    if kind is tuple:
        return tuple(map(pack, value))
    if KINDS.get(kind.__name__) is not kind:
        return value
    if sparse.issparse(value):
        parts = {name: getattr(value, name) for name in ("data", "indices", "indptr", "shape")}
    else:
        parts = value._asdict() if isinstance(value, tuple) else vars(value)
    if kind is State:
        parts = {name: parts[name] for name in LEARNED}
    if kind is Parameters:  # 0 between passes, and of a feature as long as a vector at least
        parts["gradient"] = value.gradient.shape, value.gradient.dtype.str
    return {KIND: kind.__name__, **{name: pack(part) for name, part in parts.items()}}


def unpack(value):
    """The object that `pack` has made plain."""
    if type(value) is tuple:
        return tuple(map(unpack, value))
    if type(value) is not dict or KIND not in value:
        return value
    kind = KINDS[value[KIND]]
    parts = {name: unpack(part) for name, part in value.items() if name != KIND}
    if issubclass(kind, sparse.sparray | sparse.spmatrix):
        matrix = (parts["data"], parts["indices"], parts["indptr"])
        return kind(matrix, shape=parts["shape"])
    if kind is State:
        parts = dict.fromkeys(State._fields) | parts
    if kind is Parameters:
        parts["gradient"] = aligned_zeros(*parts["gradient"])
    if issubclass(kind, tuple):
        return kind(**parts)
    made = object.__new__(kind)
    made.__dict__.update(parts)
    return made


def to_state(attributes):
    """What to save of an estimator with these attributes, which stay as they are."""
    # The dual variables are as large as X may be, and only of use to a warm start.
    state = {name: pack(value) for name, value in attributes.items() if name != "_dual"}
    state[VERSION_MARK] = __version__
    return state


def from_state(state, estimator_name):
    """The attributes of a saved estimator; warns where another version has saved it."""
    version = state.get(VERSION_MARK)
    if version != __version__:
        warnings.warn(
            ModelVersionWarning(estimator_name, __version__, version),
            stacklevel=3,
        )
    return {name: unpack(value) for name, value in state.items() if name != VERSION_MARK}
