"""Columns of each kind, and the preprocessing that makes features of them."""

import numpy as np
from scipy import sparse
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler, OneHotEncoder, StandardScaler

from .table import DataError, listed

FEW_VALUES = 50  # distinct texts that a column may have, however long, and not be prose
PROSE_WORDS = 3  # words a text has on average, at least, to be prose
RARE_WORDS = 1000  # rows from which on words of a single row are left out
WORD = r"(?u)\b\w+\b"
LARGEST = 1e100  # so that sums of squares are finite
DATE = r"\d{4}-\d\d-\d\d(?:[ T].*)?"


def check_values(table, path, *, impute):
    """Raise DataError where a value is infinite or, without `impute`, missing."""
    if table.is_frame:
        for name in table.X.columns:
            _check(table.X[name], path, f"column {name!r}", impute)
    else:
        values = table.X.data if sparse.issparse(table.X) else table.X
        _check(values, path, "X", impute)


def _check(values, path, what, impute):
    missing = values.isna().to_numpy() if hasattr(values, "isna") else np.isnan(values)
    where = f"; the first: row {missing.argmax() + 1}" if missing.ndim == 1 and what != "X" else ""
    if missing.any() and not impute:
        raise DataError(
            f"{path}: {what} lacks {missing.sum()} of {missing.size} values (NaN or empty{where}); --impute "
            "fills them in"
        )
    if getattr(values.dtype, "kind", "O") == "f":
        infinite = int(np.isinf(values).sum())
        if infinite:
            raise DataError(f"{path}: {what} has {infinite} infinite values; replace them")
        large = np.fmax.reduce(np.abs(np.asarray(values)), axis=None, initial=0)
        if float(large) > LARGEST:  # of float32 the limit itself would overflow
            raise DataError(
                f"{path}: {what} has values as large as {large:g}, too large to square; divide them"
            )


def days(frame):
    """Dates as days since 1970."""
    import pandas

    def count(dates):
        if dates.dt.tz is not None:
            dates = dates.dt.tz_convert("UTC").dt.tz_localize(None)
        return (dates - pandas.Timestamp(0)) / pandas.Timedelta(days=1)

    return frame.apply(count)


def with_nan(texts):
    """Text with NaN for all that is missing: None too, as pandas reads some files in some releases."""
    return texts.astype(object).where(texts.notna(), np.nan)


def tidy(table, path):
    """Give a frame's columns a dtype that says their kind: numbers, dates, categories or text."""
    import pandas

    columns = {name: _tidy(column, path) for name, column in table.X.items()}
    table.X = pandas.DataFrame(columns, index=table.X.index)


def _tidy(column, path):
    if column.dtype.kind in "biufM" or column.dtype.name == "category":
        return column
    held = {type(value) for value in column.dropna()}
    if held <= {bool, int, float}:
        return column.astype(float)
    if held == {str}:
        return with_nan(column)
    kinds = ", ".join(sorted(kind.__name__ for kind in held))
    raise DataError(
        f"{path}: column {column.name!r} holds {column.dtype} ({kinds}), of which no features can be made; "
        "turn it into numbers or text, or take it out"
    )


def kind_of(column):
    """Kind of a column: "number", "date", "category" or "prose"."""
    if column.dtype.kind in "biuf":
        return "number"
    if column.dtype.kind == "M":
        return "date"
    if column.dtype.name == "category":
        return "category"
    texts = column.dropna()
    words = texts.str.count(WORD).mean()
    few = min(FEW_VALUES, len(column) / 2)
    return "prose" if words >= PROSE_WORDS and texts.nunique() > few else "category"


_SORTS = dict.fromkeys("biuf", "numbers") | {"M": "dates"}


def match_kinds(table, test, path):
    """Raise DataError where a column of the test rows is of another kind, as text in place of numbers."""
    columns = {}
    for name, column in test.X.items():
        here = _SORTS.get(table.X[name].dtype.kind, "text")
        there = _SORTS.get(column.dtype.kind, "text")
        if here != there and column.notna().any():
            raise DataError(f"{path}: column {name!r} holds {there}, but {here} in the training rows")
        columns[name] = column if here == there else column.astype(table.X[name].dtype)
    test.X = test.X.assign(**columns)


def preprocessing(table, *, impute):
    """A transformer for the rows, and what it does: a line a kind of column, and notes.

    Parameters
    ----------
    table : Table
        The training rows, tidy.
    impute : bool
        Whether to fill in missing values.

    Returns
    -------
    transformer : object
        Not fitted yet.
    lines : list of str
        What it does with which columns.
    notes : list of str
        What looks odd.
    """
    if table.is_frame:
        return _of_frame(table.X, impute)
    if sparse.issparse(table.X):
        scaler, done = MaxAbsScaler(), "divided by each one's largest absolute value"
    else:
        scaler, done = StandardScaler(), "standardized (mean 0, variance 1)"
    line = f"{table.X.shape[1]} numbers: {done}"
    if not impute:
        return make_pipeline(scaler), [line], []
    imputer = SimpleImputer(strategy="median", keep_empty_features=True)
    return make_pipeline(imputer, scaler), [f"{line}, missing values by the median"], []


def _of_frame(X, impute):
    names = {"number": [], "date": [], "category": [], "prose": []}
    for name in X.columns:
        names[kind_of(X[name])].append(name)
    fill = [SimpleImputer(strategy="median", keep_empty_features=True)] if impute else []
    filled = ", missing values by the median" if impute else ""
    parts, lines = [], []
    if names["number"]:
        parts.append(("numbers", make_pipeline(*fill, StandardScaler()), names["number"]))
        lines.append(f"{_columns(names['number'], 'of numbers')}: standardized (mean 0, variance 1){filled}")
    if names["date"]:
        steps = FunctionTransformer(days), *fill, StandardScaler()
        parts.append(("dates", make_pipeline(*steps), names["date"]))
        lines.append(f"{_columns(names['date'], 'of dates')}: days since 1970, standardized{filled}")
    if names["category"]:
        steps = [FunctionTransformer(with_nan)] * impute + [_encoder(X, names["category"])]
        parts.append(("categories", make_pipeline(*steps), names["category"]))
        own = ", missing values a category of their own" if impute else ""
        values = {name: X[name].nunique() for name in names["category"]}
        if max(values.values()) > FEW_VALUES:
            own += "; texts of a single row share a feature of their column"
        lines.append(f"{_columns(values, 'of few or short texts')}: one-hot{own}")
    for i, name in enumerate(names["prose"]):
        parts.append((f"prose_{i}", _words(len(X), impute), [name]))
    if names["prose"]:
        empty = ", missing values as no words" if impute else ""
        lines.append(f"{_columns(names['prose'], 'of prose')}: tf-idf of the words{empty}")
    return ColumnTransformer(parts), lines, _odd(X)


def _columns(names, kind):
    count = f"{len(names)} column{'s' * (len(names) > 1)}"
    return f"{count} {kind}, {listed(names)}"


def _encoder(X, names):
    """One-hot; of columns with many values those of a single row share a feature."""
    if any(X[name].nunique() > FEW_VALUES for name in names):
        return OneHotEncoder(min_frequency=2, handle_unknown="infrequent_if_exist", dtype=np.float32)
    return OneHotEncoder(handle_unknown="ignore", dtype=np.float32)


def _words(n_rows, impute):
    """Tf-idf of one column."""
    empty = SimpleImputer(strategy="constant", fill_value="", keep_empty_features=True)
    fill = [FunctionTransformer(with_nan), empty] if impute else []
    rare = 2 if n_rows >= RARE_WORDS else 1
    words = TfidfVectorizer(sublinear_tf=True, min_df=rare, token_pattern=WORD, dtype=np.float32)
    return make_pipeline(*fill, FunctionTransformer(np.ravel), words)


def _odd(X):
    """Notes on text that may not be meant as text."""
    import pandas

    notes = []
    for name in X.columns:
        texts = X[name].dropna()
        if texts.dtype != object or not len(texts):
            continue
        words = texts[pandas.to_numeric(texts, errors="coerce").isna()]
        if 0 < len(words) < len(texts) / 2:
            notes.append(
                f"column {name!r} is text only because of {len(words)} of its values, such as "
                f"{words.iloc[0]!r}; if these mean missing, leave them empty"
            )
        elif texts.str.fullmatch(DATE).all():
            notes.append(f"column {name!r} holds dates, but as text; in .parquet files dates become numbers")
        elif kind_of(X[name]) == "category" and texts.nunique() == len(texts) > FEW_VALUES:
            notes.append(f"column {name!r} has another value in each row, as names have: it teaches nothing")
    return notes
