"""What estimators make of rows and weights before anything else sees them."""

from contextlib import contextmanager
from numbers import Real

import numpy as np
from scipy import sparse
from sklearn.utils import check_array

from .kernels.rows import has_duplicates
from .problem import as_rows

# These convert to float32 without loss, at half the memory of float64.
SMALL_TYPES = ("bool", "int8", "uint8", "int16", "uint16", "float16")


def dtype_for(X):
    """float32 for small integers, else what `check_array` makes of float32 and float64."""
    types = list(getattr(X, "dtypes", [])) if hasattr(X, "dtypes") else [getattr(X, "dtype", None)]
    names = {str(kind).lower() for kind in types}
    if names and names <= {*SMALL_TYPES, "float32"}:
        return np.float32
    return [np.float64, np.float32]


def without_duplicates(X):
    """X itself, or a copy where it is CSR that stores an entry in parts; order in a row is free."""
    if sparse.issparse(X) and not X.has_canonical_format:
        rows = as_rows(X)
        if has_duplicates(rows.indices, rows.indptr, rows.n_features):
            X = X.copy()
            X.sum_duplicates()
    return X


def check_weight(weight, X, name, *, may_be_zero=False):
    """Row weights as float64; the same rules wherever weights are taken."""
    n_rows = X.shape[0]
    if weight is None:
        return np.ones(n_rows)
    if isinstance(weight, Real):
        weight = np.full(n_rows, weight)
    weight = check_array(weight, ensure_2d=False, dtype=np.float64, input_name=name)
    if weight.shape != (n_rows,):
        raise ValueError(f"{name}.shape == {weight.shape}, expected {(n_rows,)}: give a weight for each row.")
    if (weight < 0).any():
        raise ValueError(
            f"Negative values in data passed to `{name}`: the smallest is {weight.min():g}. Weights must be "
            ">= 0; 0 leaves a row out."
        )
    if not (may_be_zero or weight.any()):
        raise ValueError(f"{name} is zero for all rows ({n_rows}): at least one must be positive.")
    # Only ratios matter but in a stream; the sums of huge weights would overflow.
    return weight if may_be_zero else weight / weight.max()


@contextmanager
def features_kept(estimator):
    """After an error that leaves the coefficients, their features are those that were known before."""
    known, names = vars(estimator), ("n_features_in_", "feature_names_in_")
    before, coef = {name: known[name] for name in names if name in known}, known.get("coef_")
    try:
        yield
    except BaseException:
        if known.get("coef_") is coef:
            for name in names:
                known.pop(name, None)
            known.update(before)
        raise
