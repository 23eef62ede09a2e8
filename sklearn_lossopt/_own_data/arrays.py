"""Files of numbers: .npz, .svmlight."""

import numpy as np
from scipy import sparse

from .table import DataError, Table, as_labels, broken, listed

PARTS = ("data", "indices", "indptr", "shape")


def read_npz(path, target, max_features, *, are_test_rows=False):
    """Read arrays X, y, or X_train, y_train, X_test, y_test."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as members:
            arrays = {name: members[name] for name in members.files}
    except Exception as error:  # zipfile, zlib, tokenize, ...: a hostile file finds them all
        if "Object arrays" in str(error):
            raise DataError(
                f"{path}: holds Python objects, and loading these runs code of the file; save text as "
                "numpy.array(labels, dtype=str)"
            ) from error
        raise broken(path, error) from error
    name = target or "y"
    ends = ("_test", "", "_train") if are_test_rows else ("", "_train")
    end = next((end for end in ends if _has_rows(arrays, f"X{end}")), "")
    table = _arrays(path, arrays, end, name, target, max_features)
    used = table.used
    if end == "_train" and not are_test_rows and _has_rows(arrays, "X_test"):
        table.test = _arrays(path, arrays, "_test", name, target, max_features)
        used |= table.test.used
    unused = [key for key in arrays if key not in used]
    if unused:
        table.notes.append(f"arrays of {path} that are not used: {listed(unused)}")
    return table


def _has_rows(arrays, name):
    return name in arrays or f"{name}_data" in arrays or (name == "X" and set(PARTS) <= set(arrays))


def _arrays(path, arrays, end, name, target, max_features):
    """The table of the arrays whose names have this end: "", "_train" or "_test"."""
    x_name, y_name = f"X{end}", name if name in arrays and end != "_test" else f"{name}{end}"
    if end == "_test" and name.endswith("_train"):
        y_name = f"{name.removesuffix('_train')}_test"
    there = f"its arrays: {listed(arrays, 50) or 'none'}"
    if not _has_rows(arrays, x_name):
        raise DataError(
            f"{path}: no array 'X' or 'X_train' (or, sparse, X_data, X_indices, X_indptr, X_shape); {there}"
        )
    if y_name not in arrays:
        hint = "" if target else " (--target names another array)"
        raise DataError(f"{path}: no array {y_name!r}{hint}; {there}")
    notes = []
    if x_name in arrays:
        X, used = _dense(arrays[x_name], path, x_name, notes), {x_name}
    else:
        X, used = _csr(arrays, path, x_name, max_features)
    y = as_labels(arrays[y_name], path, repr(y_name))
    if X.shape[0] != len(y):
        raise DataError(f"{path}: {x_name!r} has {X.shape[0]} rows, but {y_name!r} has {len(y)} labels")
    if x_name in arrays:
        flat = f".reshape(-1, {X.shape[1]})" if arrays[x_name].ndim > 2 else ""
        reader = f'import numpy\nnumpy.load("new.npz")["{x_name}"]{flat}'
    else:
        reader = 'import scipy.sparse\nscipy.sparse.load_npz("new.npz")'
    return Table(X, y, f"array {y_name!r}", notes, reader, used=used | {y_name})


def _dense(X, path, name, notes):
    if X.dtype.kind not in "fiub":
        raise DataError(
            f"{path}: {name!r} must hold numbers, but its dtype is {X.dtype}; a table with text can be read "
            "from .csv or .parquet"
        )
    if X.ndim < 2:
        raise DataError(f"{path}: {name!r} must have a row a sample, but has shape {X.shape}")
    if X.ndim > 2:
        notes.append(f"{name!r} of shape {X.shape}: each sample's {X[:1].size} values are put in one row")
        X = X.reshape(len(X), -1) if len(X) else X.reshape(0, int(np.prod(X.shape[1:])))
    if X.dtype.kind in "iub" or X.dtype.itemsize < 4:
        X = X.astype(np.float32 if X.dtype.itemsize <= 2 else np.float64)
    return X.astype(np.float64) if X.dtype.itemsize > 8 else X


def _csr(arrays, path, name, max_features):
    """Rows of CSR parts, every number of which may be hostile; and the names of the parts."""
    prefix = f"{name}_" if f"{name}_data" in arrays else ""
    keys = [prefix + part for part in PARTS]
    missing = [key for key in keys if key not in arrays]
    if missing:
        raise DataError(f"{path}: the sparse rows {name!r} lack {listed(missing)}")
    data, indices, indptr, shape = (arrays[key] for key in keys)
    form = arrays.get(f"{prefix}format", np.array("csr"))
    form = form.item() if form.ndim == 0 else ""
    form = form.decode("ascii", "replace") if isinstance(form, bytes) else form

    def bad(what):
        return DataError(f"{path}: not the parts of a CSR matrix: {what}")

    if form not in ("csr", "csc"):
        raise bad(f"the format is {form!r}; save X.tocsr()")
    if any(part.dtype.kind not in "iu" for part in (indices, indptr, shape)):
        raise bad(f"{listed(keys[1:])} must hold whole numbers")
    if data.dtype.kind not in "fiub":
        raise bad(f"{keys[0]!r} must hold numbers, but its dtype is {data.dtype}")
    if shape.shape != (2,) or min(shape) < 0 or any(part.ndim != 1 for part in (data, indices, indptr)):
        raise bad(f"{keys[3]!r} must be 2 sizes, and the others one-dimensional")
    n_rows, n_columns = (int(size) for size in shape)
    _not_too_many(n_columns, path, max_features)
    n_major, n_minor = (n_rows, n_columns) if form == "csr" else (n_columns, n_rows)
    if len(indptr) != n_major + 1:
        raise bad(f"{keys[2]!r} has {len(indptr)} entries, but {keys[3]!r} asks for {n_major + 1}")
    if len(data) != len(indices) or indptr[0] != 0 or indptr[-1] != len(data):
        raise bad(
            f"{keys[2]!r} goes from {indptr[0]} to {indptr[-1]}, with {len(data)} data and "
            f"{len(indices)} indices"
        )
    if (indptr[1:] < indptr[:-1]).any():
        raise bad(f"{keys[2]!r} falls somewhere")
    if len(indices) and not (indices.min() >= 0 and indices.max() < n_minor):
        raise bad(f"{keys[1]!r} has {indices.min()} to {indices.max()}, but must be in [0, {n_minor})")
    kind = sparse.csr_array if form == "csr" else sparse.csc_array
    data = data if data.dtype in (np.float32, np.float64) else data.astype(np.float64)
    indices, indptr = (part.astype(np.int64) for part in (indices, indptr))
    used = {*keys, *({f"{prefix}format", f"{prefix}_is_array"} & set(arrays))}
    used |= {"_is_array"} & set(arrays)
    return sparse.csr_array(kind((data, indices, indptr), shape=(n_rows, n_columns))), used


def _not_too_many(n_columns, path, max_features):
    if n_columns > max_features:
        raise DataError(
            f"{path}: {n_columns} features, more than the {max_features} that --max-features allows"
        )


def read_svmlight(paths, target, max_features):
    """Tables of files that share their features."""
    from sklearn.datasets import load_svmlight_file

    if target is not None:
        raise DataError(f"{paths[0]}: each line begins with its label: leave --target out")
    loaded = []
    for path in paths:
        try:
            X, y, queries = load_svmlight_file(path, zero_based=True, query_id=True)
        except Exception as error:  # ValueError, OverflowError, MemoryError, UnicodeDecodeError, ...
            if isinstance(error, OverflowError):
                told = f"an index is too large: not more than the {max_features} that --max-features allows"
                raise broken(path, told) from error
            raise broken(path, error) from error
        notes = ["its qid fields are not used"] if np.any(queries) else []
        loaded.append(Table(sparse.csr_array(X), as_labels(y, path, "the first field"), "first field", notes))
    # As the format's inventor counts: from 1, unless an index of 0 shows otherwise.
    first = min((table.X.indices.min() for table in loaded if table.X.nnz), default=1)
    is_zero_based = bool(first == 0)
    n_features = max(table.X.shape[1] for table in loaded) - (not is_zero_based)
    for path, table in zip(paths, loaded, strict=True):
        X = table.X
        _not_too_many(X.shape[1] - (not is_zero_based), path, max_features)
        indices = X.indices if is_zero_based else X.indices - 1
        table.X = sparse.csr_array((X.data, indices, X.indptr), shape=(X.shape[0], max(n_features, 0)))
    loaded[0].notes.append(f"features are counted from {0 if is_zero_based else 1}")
    loaded[0].reader = (
        "from sklearn.datasets import load_svmlight_file\n"
        f'load_svmlight_file("new.svm", n_features={n_features}, zero_based={is_zero_based})[0]'
    )
    return loaded
