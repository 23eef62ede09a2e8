"""Rows and labels of a file, and what can be said against them."""

from dataclasses import dataclass, field

import numpy as np
from scipy import sparse


class DataError(ValueError):
    """A file that cannot be used; the message is one line."""


@dataclass
class Table:
    """Rows and labels of a file.

    Attributes
    ----------
    X : ndarray, csr_array or DataFrame of shape (n_rows, n_features)
        The rows.
    y : ndarray of shape (n_rows,)
        Labels: int64, bool or str.
    target : str
        Which part of the file the labels are.
    notes : list of str
        What of the file was changed or left out.
    reader : str
        Python code that reads new rows: an import, and an expression.
    name : str or None
        Name of the target column.
    used : set of str
        Names of the arrays that were used.
    test : Table or None
        Test rows, where the file holds some too.
    """

    X: object
    y: np.ndarray
    target: str
    notes: list = field(default_factory=list)
    reader: str = ""
    name: str | None = None
    used: set = field(default_factory=set)
    test: "Table | None" = None

    @property
    def is_frame(self):
        """Whether columns have names and kinds."""
        return not (isinstance(self.X, np.ndarray) or sparse.issparse(self.X))


def listed(names, most=8):
    """Names in quotes, the first of them where there are many."""
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(repr(str(name)) for name in names[:most]) + more


def broken(path, error):
    """For what a library says of a file: whatever it raises, the file is not what its name says."""
    said = " ".join(str(error).split()) or type(error).__name__
    return DataError(f"{path}: truncated or not a {path.suffix.lower()} file ({said[:300]})")


def as_labels(y, path, name):
    """Labels as int64, bool or str."""
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise DataError(
            f"{path}: {name} must have one label a row, but has shape {y.shape}; of one-hot rows take "
            "argmax(axis=1)"
        )
    if y.dtype.kind == "S":
        y = np.char.decode(y, "utf-8", "replace")
    if y.dtype.kind == "O":
        y = _object_labels(y, path, name)
    if y.dtype.kind == "f":
        _check_whole(y, path, name)
        return y.astype(np.int64)
    if y.dtype.kind in "iu":
        if y.dtype.kind == "u" and y.size and y.max() > np.iinfo(np.int64).max:
            raise DataError(f"{path}: {name} has the label {y.max()}, which is above 2**63 - 1")
        return y.astype(np.int64)
    if y.dtype.kind not in "bU":
        raise DataError(f"{path}: {name} must hold numbers or text, but its dtype is {y.dtype}")
    return y


def _object_labels(y, path, name):
    missing = np.array([label is None or label != label for label in y], dtype=bool)
    _no_missing_labels(missing, path, name)
    kinds = {type(label) for label in y}
    if not (kinds <= {str} or kinds <= {bool, np.bool_} or kinds <= {int, float}):
        held = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise DataError(f"{path}: {name} must hold numbers or text, but holds {held}")
    return np.array(list(y), dtype=str if kinds <= {str} else None)


def _no_missing_labels(missing, path, name):
    if missing.any():
        raise DataError(
            f"{path}: {name} lacks the label of {missing.sum()} of {len(missing)} rows (the first: row "
            f"{missing.argmax() + 1}); take these rows out"
        )


def _check_whole(y, path, name):
    _no_missing_labels(np.isnan(y), path, name)
    fraction = ~(np.abs(y) < 2**53) | (y != np.floor(y))
    if fraction.any():
        raise DataError(
            f"{path}: {name} holds numbers that are not whole, such as {y[fraction.argmax()]:g} (a "
            "regression target?); classes must be whole numbers or text"
        )
