"""Where data comes from: a local copy, else a scikit-learn fetcher, else a synthetic stand-in."""

import gzip
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import sparse

from ..report import note

FOLDER_VARIABLE = "SKLEARN_LOSSOPT_DATA"
PARTS = ("train", "test")


@dataclass
class Dataset:
    """Rows and labels ready for `fit`, and where they came from."""

    name: str
    X_train: object
    y_train: np.ndarray
    X_test: object
    y_test: np.ndarray
    source: str

    def __str__(self):
        rows, features = self.X_train.shape
        kind = "CSR " if sparse.issparse(self.X_train) else ""
        n_classes = len(np.unique(self.y_train))
        return (
            f"**{self.name}** ({self.source}): {rows:,} + {self.X_test.shape[0]:,} rows x "
            f"{features:,} features, {kind}{self.X_train.dtype}, {n_classes} classes"
        )


def obtain(name, prepare, stand_in, fetch=None):
    """The first source that delivers, prepared.

    Parameters
    ----------
    name : str
        Name of the data set and of its local files.
    prepare : callable
        ``X_train, y_train, X_test, y_test`` as stored -> the same, ready to use.
    stand_in, fetch : callable
        Give ``X_train, y_train, X_test, y_test`` as stored; no `fetch` where scikit-learn has none.
    """
    stored, source = _local(name), "local copy"
    if stored is None and fetch is not None:
        try:
            stored, source = fetch(), "scikit-learn fetcher"
        except Exception as error:  # offline, moved, changed: whatever it is, a benchmark still runs
            note(f"{name}: cannot be downloaded ({type(error).__name__}: {str(error)[:80]})")
    if stored is None:
        stored, source = stand_in(), "synthetic stand-in"
        note(f"{name}: a synthetic stand-in is used; {FOLDER_VARIABLE} can name a folder of local copies")
    return Dataset(name, *prepare(*stored), source)


def _local(name):
    """The local copy, or None; a broken one raises, since someone put it there to be used."""
    folder = os.environ.get(FOLDER_VARIABLE)
    if not folder:
        return None
    folder = Path(folder)
    if not folder.is_dir():
        raise SystemExit(f"{FOLDER_VARIABLE} names {str(folder)!r}, which is not a folder.")
    if (folder / f"{name}.npz").is_file():
        return _read_arrays(folder / f"{name}.npz")
    texts = [folder / f"{name}_{part}.jsonl.gz" for part in PARTS]
    if all(path.is_file() for path in texts):
        return [column for path in texts for column in _read_texts(path)]
    return None


def _read_arrays(path):
    """Dense or CSR rows and labels of both parts from an npz file."""
    columns = []
    with np.load(path, allow_pickle=False) as arrays:
        for part in PARTS:
            if f"X_{part}" in arrays:
                X = arrays[f"X_{part}"]
            else:
                data, indices, indptr, shape = (
                    arrays[f"X_{part}_{field}"] for field in ("data", "indices", "indptr", "shape")
                )
                X = sparse.csr_array((data, indices, indptr), shape=tuple(shape))
            columns += [X, arrays[f"y_{part}"]]
    return columns


def _read_texts(path):
    """Texts and labels from gzipped lines of JSON."""
    texts, labels = [], []
    with gzip.open(path, mode="rt", encoding="utf-8") as stream:
        for record in map(json.loads, stream):
            texts.append(record["text"])
            labels.append(record["label"])
    return texts, np.array(labels)
