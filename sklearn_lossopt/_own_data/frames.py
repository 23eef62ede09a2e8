"""Files of named columns: .csv, .parquet."""

import csv
import re
import sys

import numpy as np

from .table import DataError, Table, as_labels, broken, listed

TARGETS = ("target", "label", "class", "y")  # names of a target column, in any case


def _need(path, module):
    try:
        return __import__(module, fromlist=["_"])
    except ImportError as error:
        raise DataError(
            f"{path}: {path.suffix.lower()} files need {module.split('.')[0]} ({error}). "
            'Install it: pip install "sklearn-lossopt[data]"'
        ) from error


def read_csv(path, target, like=None):
    """Read a file with a line of names; text is what is text in the table `like`."""
    pandas = _need(path, "pandas")
    limit = csv.field_size_limit(sys.maxsize)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            head = file.read(1 << 16)
            options = _dialect(head)
            file.seek(0)
            n_rows = _check_lines(path, file, options)
        frame = pandas.read_csv(
            path, encoding="utf-8-sig", index_col=False, low_memory=False, dtype=_texts(like), **options
        )
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: truncated, or not text in UTF-8 ({error.reason})") from error
    except DataError:
        raise
    except Exception as error:  # pandas and csv have many ways to fail
        raise broken(path, error) from error
    finally:
        csv.field_size_limit(limit)
    if len(frame) != n_rows:
        raise DataError(f"{path}: {n_rows} lines of values became {len(frame)} rows: look at its quotes")
    notes = [f"read with {', '.join(f'{k}={v!r}' for k, v in options.items())}"] if options else []
    arguments = "".join(f", {key}={value!r}" for key, value in options.items())
    return _table(path, target, frame, notes, f'import pandas\npandas.read_csv("new.csv"{arguments})')


def _texts(like):
    """Dtypes for the columns that are text in another file, as "7" may be."""
    if like is None or not like.is_frame:
        return None
    texts = {name: str for name, column in like.X.items() if column.dtype.kind not in "biufM"}
    return texts | ({like.name: str} if like.y.dtype.kind == "U" else {})


def _dialect(head):
    """Options of pandas for what differs from plain commas."""
    line = head.split("\n", 1)[0]
    separator = max(",;\t", key=line.count)
    options = {} if separator == "," else {"sep": separator}
    if f"{separator} " in line:
        options["skipinitialspace"] = True
    if separator == ";":
        number = r"(?<=[;\n])-?\d+{}\d+(?=[;\r\n])"
        if len(re.findall(number.format(","), head)) > len(re.findall(number.format(r"\."), head)):
            options["decimal"] = ","
    return options


def _check_lines(path, file, options):
    """Number of rows; raises where lines differ in their fields, which pandas would fill up."""
    separator = options.get("sep", ",")
    skips = options.get("skipinitialspace", False)
    lines = csv.reader(file, delimiter=separator, skipinitialspace=skips, strict=True)
    names = next((line for line in lines if line), [])
    numbers = [name for name in names if _is_number(name)]
    # Whole numbers that rise are the names pandas gives by itself.
    if numbers and not (all(n.isdecimal() for n in numbers) and sorted(set(numbers), key=int) == numbers):
        raise DataError(
            f"{path}: the first line must name the columns, but holds {listed(numbers)}: put a line of names "
            "before it"
        )
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise DataError(f"{path}: more than one column is named {listed(twice)}")
    n_rows = 0
    for line in lines:
        if line and len(line) != len(names):
            raise DataError(
                f"{path}: line {lines.line_num} has {len(line)} fields, but the first line names "
                f"{len(names)} columns: truncated?"
            )
        n_rows += bool(line)
    return n_rows


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return text.strip().lower() not in ("nan", "inf", "infinity")


def read_parquet(path, target, like=None):
    """Read a file of columns."""
    _need(path, "pandas")
    pyarrow, parquet = _need(path, "pyarrow"), _need(path, "pyarrow.parquet")
    try:
        with path.open("rb") as file:  # a name alone might be taken for a data set's folder
            columns = parquet.ParquetFile(file).read()
        columns.validate(full=True)  # or text that is not UTF-8 shows later
        for i, column in enumerate(columns.schema):
            if pyarrow.types.is_decimal(column.type):
                columns = columns.set_column(i, column.name, columns.column(i).cast(pyarrow.float64()))
        frame = columns.to_pandas(date_as_object=False, ignore_metadata=True)
    except Exception as error:
        raise broken(path, error) from error
    frame.columns = frame.columns.astype(str)
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise DataError(f"{path}: more than one column is named {listed(twice)}")
    return _table(path, target, frame, [], 'import pandas\npandas.read_parquet("new.parquet")')


def _table(path, target, frame, notes, reader):
    """The table of a frame: its target apart, a row index of pandas' left out."""
    names = list(frame.columns)
    if target is None:
        by_case = {str(name).lower(): name for name in reversed(names)}
        target = next((by_case[name] for name in TARGETS if name in by_case), names[-1] if names else None)
        said = f"column {target!r}, " + (
            "found by its name" if str(target).lower() in TARGETS else "the last one"
        )
    elif target in names:
        said = f"column {target!r}"
    else:
        raise DataError(f"{path}: no column {target!r}; its columns: {listed(names, 50)}")
    if not len(frame):
        raise DataError(f"{path}: has no rows")
    X = frame.drop(columns=target)
    for name in names:
        unnamed = re.fullmatch(r"Unnamed: \d+|__index_level_\d+__", name)
        if unnamed and name != target and np.array_equal(frame[name], np.arange(len(frame))):
            X = X.drop(columns=name)
            notes.append(f"column {name!r} is left out: it only numbers the rows")
    if not X.shape[1]:
        raise DataError(f"{path}: no column beside the target, {said}")
    return Table(X, as_labels(frame[target], path, f"column {target!r}"), said, notes, reader, target)
