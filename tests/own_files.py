"""Files of three classes in each format, for the tests of ``python -m sklearn_lossopt --data``."""

import re

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.datasets import dump_svmlight_file

from sklearn_lossopt.__main__ import main
from sklearn_lossopt._own_data.files import read

N_ROWS = 60
CLASSES = ("ham", "spam", "news")
WORDS = {"ham": "lunch meeting monday", "spam": "prize winner click", "news": "election weather storm"}
FILES = ["data.npz", "data.csv", "data.parquet", "data.svmlight", "data.libsvm", "data.svm"]


def numbers(n_rows=N_ROWS, seed=0):
    """Rows of three classes, well apart."""
    rng = np.random.default_rng(seed)
    y = np.arange(n_rows) % 3
    X = 3 * np.eye(3, 4)[y] + rng.normal(size=(n_rows, 4)).round(3)
    return X, y


def frame(n_rows=N_ROWS, seed=0):
    """The same as named columns with text labels."""
    X, y = numbers(n_rows, seed)
    return pd.DataFrame(X, columns=["a", "b", "c", "d"]).assign(kind=np.array(CLASSES)[y])


def mixed(n_rows=N_ROWS):
    """A column of each kind."""
    rng = np.random.default_rng(1)
    data = frame(n_rows)[["a", "kind"]]
    prose = [" ".join(rng.permutation((WORDS[kind] + " the of and").split())) for kind in data.kind]
    return data.assign(
        flag=rng.random(n_rows) < 0.5,
        day=rng.choice(["mon", "tue"], n_rows),
        subject=prose,
        when=pd.date_range("2024-01-01", periods=n_rows, tz="UTC"),
    )


def table(output):
    """Numbers of each row of the table."""
    lines = output.split("test log loss\n", 1)[1].split("\n\n")[0].splitlines()
    cells = [re.split(r"\*?\s{2,}", line) for line in lines]
    return {name: [float(cell) for cell in cells] for name, *cells in cells}


def write(path, data=None):
    """Write the rows in the format of the path; what to give to predict."""
    X, y = numbers()
    data = frame() if data is None else data
    if path.suffix == ".npz":
        np.savez(path, X=X, y=y)
    elif path.suffix == ".csv":
        data.to_csv(path, index=False)
    elif path.suffix == ".parquet":
        data.to_parquet(path)
    else:
        dump_svmlight_file(X, y, str(path), zero_based=False)
    return path


def command_line(capsys, *arguments):
    """Run; exit code, standard output, standard error."""
    try:
        main(["--quick", *map(str, arguments)])
        code = 0
    except SystemExit as end:
        code = end.code
    output = capsys.readouterr()
    return code, output.out, output.err


def holes(data):
    """Values missing in every column, all of them in one."""
    data = data.astype({"flag": object})
    for i, name in enumerate(data.columns.drop("kind")):
        data.loc[[i, 10 + i], name] = None
    return data.assign(empty=np.nan)


def csr_parts(X, prefix):
    X = sparse.csr_array(X)
    return {f"{prefix}{part}": getattr(X, part) for part in ("data", "indices", "indptr", "shape")}


def reading(path, test=None, target=None, max_features=10**7):
    """The table of a file."""
    return read(path, test, target, max_features)
