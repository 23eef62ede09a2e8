"""Any file of data, from anyone: nothing of it is run, nothing dropped unsaid."""

from scipy import sparse

from .arrays import read_npz, read_svmlight
from .frames import read_csv, read_parquet
from .table import DataError, listed

FORMATS = {
    ".npz": "npz",
    ".csv": "csv",
    ".parquet": "parquet",
    ".svmlight": "svmlight",
    ".libsvm": "svmlight",
    ".svm": "svmlight",
}
FRAMES = {"csv": read_csv, "parquet": read_parquet}


def read(path, test_path, target, max_features):
    """Read a file and, where one is named, the file of test rows.

    Parameters
    ----------
    path, test_path : Path, Path or None
        The files; the name's end tells the format.
    target : str or None
        Column or array of the labels.
    max_features : int
        Of sparse rows, whose indices cost nothing to write down.

    Returns
    -------
    Table
        With `test` set where there are test rows; their columns are those of the other rows.

    Raises
    ------
    DataError
        If a file cannot be used.
    """
    kinds = [_format(each) for each in (path, test_path) if each]
    if len({kind in FRAMES for kind in kinds}) > 1:
        raise DataError(
            f"{test_path}: its columns cannot be matched with those of {path}: give both as tables (.csv, "
            ".parquet) or both as arrays (.npz, .svmlight)"
        )
    if kinds == ["svmlight", "svmlight"]:
        table, table.test = read_svmlight([path, test_path], target, max_features)
        return table
    table = _read(path, kinds[0], target, max_features)
    if test_path:
        if table.test is not None:
            table.notes.append(f"test rows are those of {test_path}: the ones in {path} are not used")
        # The same column, also where it was found by its place.
        target = None if kinds[1] == "svmlight" else table.name or target
        table.test = _read(test_path, kinds[1], target, max_features, like=table)
    if table.test is not None:
        _match(table, table.test, test_path or path)
    return table


def _format(path):
    """Format of a file that is there."""
    if path.suffix.lower() not in FORMATS:
        raise DataError(f"{path}: unknown format; the file's name must end in one of {', '.join(FORMATS)}")
    if path.exists() and not path.is_file():
        raise DataError(f"{path}: is not a file")
    try:
        path.open("rb").close()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    if not path.stat().st_size:
        raise DataError(f"{path}: is empty")
    return FORMATS[path.suffix.lower()]


def _read(path, kind, target, max_features, like=None):
    """The table of a file; with `like`, of test rows for that table."""
    if kind == "npz":
        return read_npz(path, target, max_features, are_test_rows=like is not None)
    if kind == "svmlight":
        return read_svmlight([path], target, max_features)[0]
    return FRAMES[kind](path, target, like)


def _match(table, test, path):
    """Give test rows the columns of the others, or raise."""
    if not table.is_frame:
        if table.X.shape[1] != test.X.shape[1]:
            raise DataError(
                f"{path}: test rows have {test.X.shape[1]} features, training rows {table.X.shape[1]}"
            )
        if sparse.issparse(table.X) != sparse.issparse(test.X):
            test.X = sparse.csr_array(test.X) if sparse.issparse(table.X) else test.X.toarray()
        return
    missing = [name for name in table.X.columns if name not in test.X.columns]
    if missing:
        raise DataError(f"{path}: no column {listed(missing)}; its columns: {listed(test.X.columns, 50)}")
    more = [name for name in test.X.columns if name not in table.X.columns]
    if more:
        test.notes.append(f"columns of {path} that the training rows lack are not used: {listed(more)}")
    test.X = test.X[list(table.X.columns)]
