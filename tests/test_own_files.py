"""Files that ``python -m sklearn_lossopt --data`` reads, refuses, writes and leaves alone."""

import io
import re
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from own_files import (
    CLASSES,
    FILES,
    N_ROWS,
    command_line,
    csr_parts,
    frame,
    holes,
    mixed,
    numbers,
    reading,
    write,
)
from scipy import sparse
from sklearn.datasets import load_svmlight_file

from sklearn_lossopt._own_data import run as run_module
from sklearn_lossopt._own_data.table import DataError


@pytest.fixture
def refused(tmp_path, monkeypatch, capsys):
    """The one line of an error that comes before any work."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run_module, "work", lambda *_: pytest.fail("began to work"))

    def run(*arguments):
        code, out, err = command_line(capsys, *arguments)
        assert code == 2
        assert out == ""
        assert re.fullmatch(r"error: [^\n]+\n", err), err
        return err.removeprefix("error: ")

    return run


# ------------------------------------------------------------------------------------------ what is read


@pytest.mark.parametrize("name", FILES)
def test_formats_hold_the_same_rows(name, tmp_path):
    read_in = reading(write(tmp_path / name))
    X, y = numbers()
    np.testing.assert_allclose(read_in.X.toarray() if sparse.issparse(read_in.X) else read_in.X, X)
    np.testing.assert_array_equal(read_in.y, np.array(CLASSES)[y] if read_in.is_frame else y)


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["Class", "b"], "Class, found by its name"),
        (["y", "label"], "label, found by its name"),
        (["a", "b"], "b, the last one"),
        (["a", "class_name"], "class_name, the last one"),
    ],
)
def test_target_by_name_or_place(names, chosen, tmp_path):
    pd.DataFrame([[1, 2], [3, 4]], columns=names).to_csv(tmp_path / "data.csv", index=False)
    assert reading(tmp_path / "data.csv").target.replace("'", "") == f"column {chosen}"
    assert reading(tmp_path / "data.csv", target=names[0]).target == f"column {names[0]!r}"


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("a,b,c\n1.5,x,0\n2.5,y,1\n", {}),
        ("a;b;c\r\n1,5;x;0\r\n2,5;y;1\r\n", {"sep": ";", "decimal": ","}),
        ("a;b;c\n1.5;x;0\n2.5;y;1\n", {"sep": ";"}),
        ("a\tb\tc\n1.5\tx\t0\n2.5\ty\t1\n", {"sep": "\t"}),
        ("a, b, c\n1.5, x, 0\n2.5, y, 1", {"skipinitialspace": True}),
        ("\ufeffa,b,c\n\n1.5,x,0\n2.5,y,1\n\n", {}),
    ],
)
def test_dialects_of_csv(text, options, tmp_path):
    path = tmp_path / "data.csv"
    path.write_bytes(text.encode())
    read_in = reading(path)
    assert read_in.X.a.tolist() == [1.5, 2.5]
    assert read_in.X.b.tolist() == ["x", "y"]
    assert read_in.y.tolist() == [0, 1]
    assert [note for note in read_in.notes if "read with" in note] == (
        [f"read with {', '.join(f'{k}={v!r}' for k, v in options.items())}"] if options else []
    )
    new_rows = read_in.reader.split("\n")[1].replace('"new.csv"', "path")
    assert eval(new_rows, {"pandas": pd, "path": path}).columns.tolist() == ["a", "b", "c"]


def test_fields_of_any_length_and_lines_within_quotes(tmp_path):
    data = pd.DataFrame({"text": ['a\nb, "c"', "x" * 200_000], "y": [0, 1]})
    data.to_csv(tmp_path / "data.csv", index=False)
    assert reading(tmp_path / "data.csv").X.text.tolist() == data.text.tolist()


def test_index_that_pandas_wrote_is_left_out_and_said_so(tmp_path):
    data = frame()
    data.to_csv(tmp_path / "data.csv")
    data.iloc[[3, 1, 2, *range(4, N_ROWS)]].to_csv(tmp_path / "shuffled.csv")
    read_in = reading(tmp_path / "data.csv")
    assert read_in.X.columns.tolist() == list("abcd")
    assert read_in.notes == ["column 'Unnamed: 0' is left out: it only numbers the rows"]
    assert "Unnamed: 0" in reading(tmp_path / "shuffled.csv").X


def test_parquet_of_decimals_dates_and_an_index(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = {
        "price": pyarrow.array([1, 2]).cast(pyarrow.decimal128(22, 2)),
        "date": pyarrow.array([0, 1], pyarrow.date32()),
        "color": pyarrow.array(["r", "g"]).dictionary_encode(),
        "y": ["u", "v"],
    }
    parquet.write_table(pyarrow.table(columns), tmp_path / "data.parquet")
    X = reading(tmp_path / "data.parquet").X
    assert [X[name].dtype.kind for name in ("price", "date")] == ["f", "M"]
    assert X.color.dtype.name == "category"
    pd.DataFrame({"a": [1, 2], "y": [0, 1]}, index=[7, 9]).to_parquet(tmp_path / "index.parquet")
    assert "__index_level_0__" in reading(tmp_path / "index.parquet").X


def test_arrays_of_npz(tmp_path):
    path = tmp_path / "data.npz"
    X, y = numbers()
    save = {
        "plain": {"X": X, "y": y},
        "parts": {**csr_parts(X, "X_"), "y": y},
        "standard": {
            **csr_parts(X, "X_train_"),
            "y_train": y,
            **csr_parts(X[:9], "X_test_"),
            "y_test": y[:9],
        },
        "images": {"X": X.reshape(-1, 2, 2).astype(np.float32), "y": y[:, None].astype(float)},
        "named": {"X": X, "labels": y.astype("S"), "other": y},
    }
    for name, arrays in save.items():
        np.savez(path, **arrays)
        read_in = reading(path, target="labels" if name == "named" else None)
        np.testing.assert_allclose(
            read_in.X.toarray() if sparse.issparse(read_in.X) else read_in.X, X, rtol=1e-6
        )
        assert (read_in.y.astype(int) == y).all()
        assert (read_in.test is not None) == (name == "standard")
        if name == "named":
            assert read_in.y.dtype.kind == "U"
            assert read_in.notes == [f"arrays of {path} that are not used: 'other'"]
        if name == "images":
            assert read_in.X.dtype == np.float32
            assert ".reshape(-1, 4)" in read_in.reader
    assert read_in.notes


@pytest.mark.parametrize("form", ["csr", "csc"])
def test_npz_of_scipy_with_labels(form, tmp_path):
    X, y = numbers()
    sparse.save_npz(tmp_path / "X.npz", sparse.csr_array(X).asformat(form))
    with np.load(tmp_path / "X.npz") as parts:
        np.savez(tmp_path / "data.npz", y=y, **parts)
    read_in = reading(tmp_path / "data.npz")
    np.testing.assert_array_equal(read_in.X.toarray(), X)
    assert read_in.notes == []


@pytest.mark.parametrize("base", [0, 1])
def test_svmlight_counts_from_0_or_1_and_shares_features_with_the_test(base, tmp_path):
    (tmp_path / "data.svm").write_text("".join(f"{i % 2} {base}:1 {base + 1}:2 # x\n" for i in range(9)))
    (tmp_path / "test.svm").write_text(f"1 {base + 1}:1 {base + 3}:1\n")
    read_in = reading(tmp_path / "data.svm", tmp_path / "test.svm")
    assert read_in.X.shape == (9, 4)
    assert read_in.X.toarray()[0].tolist() == [1, 2, 0, 0]
    assert read_in.test.X.toarray().tolist() == [[0, 1, 0, 1]]
    assert read_in.notes == [f"features are counted from {base}"]
    code = read_in.reader.split("\n")[1].replace('"new.svm"', "path")
    X = eval(code, {"load_svmlight_file": load_svmlight_file, "path": str(tmp_path / "test.svm")})
    assert X.toarray().tolist() == [[0, 1, 0, 1]]


def test_existing_files_are_kept_without_force(refused, tmp_path):
    write(tmp_path / "data.npz")
    for option, name in (("--save", "old.joblib"), ("--out", "old.png")):
        (tmp_path / name).write_bytes(b"old")
        assert refused("--data", "data.npz", option, name) == (
            f"{option} {name}: exists already; --force overwrites it\n"
        )
        assert (tmp_path / name).read_bytes() == b"old"
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    assert "exists already" in refused("--data", "data.npz", "--save", "link")


def test_outputs_that_cannot_be(refused, tmp_path):
    write(tmp_path / "data.npz")
    before = (tmp_path / "data.npz").read_bytes()
    force = ("--data", "data.npz", "--force")
    assert "is a file of data" in refused(*force, "--save", "data.npz")
    assert "is a file of data" in refused(*force, "--test", "data.npz", "--out", "./data.npz")
    assert "name the same file" in refused(*force, "--save", "a.png", "--out", "a.png")
    assert "cannot be written (No such file" in refused(*force, "--save", "missing/model")
    assert "cannot be written (Is a directory)" in refused(*force, "--save", ".")
    assert "must end in one of" in refused(*force, "--out", "picture")
    assert (tmp_path / "data.npz").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["data.npz"]


# ---------------------------------------------------------------------------------------------- errors


def test_files_that_are_none(refused, tmp_path):
    assert refused("--data", "no.csv") == "no.csv: cannot be read (No such file or directory)\n"
    write(tmp_path / "data.csv")
    assert refused("--data", "data.csv", "--test", "no.npz").startswith("no.npz: cannot be read")
    (tmp_path / "folder.csv").mkdir()
    assert refused("--data", "folder.csv") == "folder.csv: is not a file\n"
    for name in ("data.xlsx", "data", "data.csv.gz"):
        (tmp_path / name).write_text("a,b\n1,2\n")
        assert refused("--data", name) == (
            f"{name}: unknown format; the file's name must end in one of .npz, .csv, .parquet, .svmlight, "
            ".libsvm, .svm\n"
        )
    for name in FILES:
        (tmp_path / name).write_bytes(b"")
        assert refused("--data", name) == f"{name}: is empty\n"


@pytest.mark.parametrize("name", FILES)
def test_truncated_and_corrupt_files(name, refused, tmp_path):
    path = write(tmp_path / name)
    whole = path.read_bytes()
    for share in (0.3, 0.5, 0.9):
        part = whole[: int(share * len(whole))]
        if b"\n" in part and not name.endswith(("npz", "parquet")):
            cut = part.rindex(b"\n")  # a line's middle: whole lines are a shorter file, not a broken one
            part = part[: cut + 1] + (b"1.5,2" if name.endswith("csv") else b"1 1:0.5 2")
        path.write_bytes(part)
        error = refused("--data", name)
        assert error.startswith(f"{name}: ")
        assert "truncated" in error
    path.write_bytes(np.random.default_rng(0).bytes(5000))
    error = refused("--data", name)
    assert error.startswith(f"{name}: ")
    assert "truncated" in error or "line" in error


@pytest.mark.parametrize("name", ["data.npz", "data.parquet"])
def test_any_flipped_byte_is_a_reading_or_an_error(name, tmp_path):
    path = write(tmp_path / name)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    n_errors = 0
    for place in rng.integers(0, len(whole), 150):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            reading(path)
        except DataError as error:
            assert str(error).startswith(str(path))  # noqa: PT017
            n_errors += 1
    assert n_errors > 50


@pytest.mark.parametrize("module", ["pandas", "pyarrow"])
def test_missing_packages_name_the_extra(module, refused, tmp_path, monkeypatch):
    names = ["data.csv", "data.parquet"] if module == "pandas" else ["data.parquet"]
    for name in names:
        write(tmp_path / name)
    monkeypatch.setitem(sys.modules, module, None)
    for name in names:
        error = refused("--data", name)
        assert error.startswith(f"{name}: {name[4:]} files need {module} (")
        assert 'pip install "sklearn-lossopt[data]"' in error


def test_no_such_target_lists_what_there_is(refused, tmp_path):
    for name in ("data.csv", "data.parquet"):
        write(tmp_path / name)
        told = f"{name}: no column 'Kind'; its columns: 'a', 'b', 'c', 'd', 'kind'\n"
        assert refused("--data", name, "--target", "Kind") == told
    write(tmp_path / "data.npz")
    assert "no array 'kind'; its arrays: 'X', 'y'" in refused("--data", "data.npz", "--target", "kind")
    np.savez("z.npz", a=[1])
    assert "no array 'X' or 'X_train'" in refused("--data", "z.npz")
    np.savez("z.npz", X=np.ones((3, 2)), labels=[1, 2, 1])
    assert "no array 'y' (--target names another array); its arrays: 'X', 'labels'" in refused(
        "--data", "z.npz"
    )
    write(tmp_path / "data.svm")
    assert "leave --target out" in refused("--data", "data.svm", "--target", "y")


LABELS = {
    "one class": ([1] * 30, "all rows are of one class, 1; at least two are needed"),
    "regression": (range(30), r"30 classes in 30 rows, more than rows / 2 \(a regression target\?\)"),
    "fractions": (np.arange(30) / 4, r"not whole, such as 0\.25 \(a regression target\?\)"),
    "too few": ([0] * 27 + [1] * 2 + [2], "too few rows to tune on: .* '0: 27', '1: 2', '2: 1'"),
    "missing": ([np.nan] + [0, 1] * 14 + [np.nan], r"lacks the label of 2 of 30 rows \(the first: row 1\)"),
    "infinite": ([np.inf] + [0] * 29, "not whole, such as inf"),
}


@pytest.mark.parametrize("case", LABELS)
@pytest.mark.parametrize("name", ["data.csv", "data.npz", "data.svm"])
def test_labels_of_no_use(case, name, refused):
    y, told = LABELS[case]
    y = np.array(y)
    X = np.random.default_rng(0).normal(size=(30, 2))
    if name == "data.csv":
        pd.DataFrame(X, columns=["a", "b"]).assign(y=y).to_csv(name, index=False)
    elif name == "data.npz":
        np.savez(name, X=X, y=y)
    else:
        Path(name).write_text("".join(f"{t} 1:{a} 2:{b}\n" for t, (a, b) in zip(y, X, strict=True)))
    error = refused("--data", name, "--impute")
    assert error.startswith(f"{name}: ")
    assert re.search(told, error), error


def test_missing_text_labels(refused, tmp_path):
    data = frame()
    data.loc[3, "kind"] = None
    write(tmp_path / "data.parquet", data)
    error = refused("--data", "data.parquet", "--impute")
    assert "column 'kind' lacks the label of 1 of 60 rows (the first: row 4)" in error


def test_shapes_that_do_not_match(refused, tmp_path):
    X, y = numbers()
    for arrays, told in (
        ({"X": X, "y": y[:-1]}, "'X' has 60 rows, but 'y' has 59 labels"),
        (
            {"X": X, "y": np.eye(3)[y]},
            "'y' must have one label a row, but has shape (60, 3); of one-hot rows",
        ),
        ({"X": X[:, 0], "y": y}, "'X' must have a row a sample, but has shape (60,)"),
        ({"X": X[:, :0], "y": y}, "has no features"),
        ({"X": X[:0], "y": y[:0]}, "has no rows"),
        ({"X": X.astype(str), "y": y}, "'X' must hold numbers, but its dtype is <U"),
        ({"X": X + 1j, "y": y}, "'X' must hold numbers, but its dtype is complex128"),
        ({"X": X, "y": y.astype("M8[D]")}, "'y' must hold numbers or text, but its dtype is datetime64[D]"),
        ({"X": X * [1, 1, 1, np.inf], "y": y}, "X has 60 infinite values"),
        ({"X": X * 1e200, "y": y}, "too large to square; divide them"),
        (
            {"X_train": X, "y_train": y, "X_test": X[:, 1:], "y_test": y},
            "test rows have 3 features, training",
        ),
        ({"X_train": X, "y_train": y, "X_test": X, "y_test": y + 9}, "none of its labels ('9', '10', '11')"),
        ({"X_train": X, "y_train": y, "X_test": X, "t": y}, "no array 'y_test'"),
    ):
        np.savez("data.npz", **arrays)
        assert told in refused("--data", "data.npz")
    write(tmp_path / "data.csv")
    write(tmp_path / "data.npz")
    frame().drop(columns="b").to_csv("test.csv", index=False)
    assert "test.csv: no column 'b'; its columns: 'a', 'c', 'd'" in refused(
        "--data", "data.csv", "--test", "test.csv"
    )
    frame().assign(b="text").to_csv("test.csv", index=False)
    told = "test.csv: column 'b' holds text, but numbers in the training rows"
    assert told in refused("--data", "data.csv", "--test", "test.csv")
    frame().drop(columns="kind").to_csv("test.csv", index=False)
    assert "no column 'kind'" in refused("--data", "data.csv", "--test", "test.csv")
    assert "give both as tables" in refused("--data", "data.csv", "--test", "data.npz")


def test_missing_values_are_an_error_that_names_the_column(refused, tmp_path):
    for name in ("data.csv", "data.parquet"):
        write(tmp_path / name, holes(mixed())[["a", "day", "kind"]])
        told = f"{name}: column 'a' lacks 2 of 60 values (NaN or empty; the first: row 1); --impute fills"
        assert refused("--data", name, "--target", "kind") == f"{told} them in\n"
    write(tmp_path / "data.csv")
    write(tmp_path / "test.csv", frame().assign(c=np.nan))
    assert refused("--data", "data.csv", "--test", "test.csv").startswith(
        "test.csv: column 'c' lacks 60 of 60"
    )
    write(tmp_path / "data.csv", frame().assign(c=np.inf))
    assert "column 'c' has 60 infinite values" in refused("--data", "data.csv", "--impute")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("5.1,3.5,setosa\n4.9,3.0,setosa\n", "first line must name the columns, but holds '5.1', '3.5'"),
        ("a,a,y\n1,2,3\n", "more than one column is named 'a'"),
        ("a,b,y\n1,2,3\n1,2\n", "line 3 has 2 fields, but the first line names 3 columns: truncated?"),
        ("a,b,y\n1,2,3,4\n", "line 2 has 4 fields"),
        ('a,b,y\n1,"2,3\n', "truncated or not a .csv file (unexpected end of data)"),
        ("a,b,y\n", "has no rows"),
        ("y\n1\n2\n", "no column beside the target, column 'y'"),
        ("\n\n", "truncated or not a .csv file (No columns to parse from file)"),
    ],
)
def test_tables_that_are_none(text, told, refused, tmp_path):
    (tmp_path / "data.csv").write_text(text)
    assert told in refused("--data", "data.csv")


def test_csv_that_is_not_utf8(refused, tmp_path):
    (tmp_path / "data.csv").write_bytes("a,y\ngrün,0\n".encode("latin-1"))
    assert "truncated, or not text in UTF-8" in refused("--data", "data.csv")


def test_parquet_that_is_not_utf8(refused, tmp_path):
    data = frame()
    data.to_parquet("data.parquet", compression=None, use_dictionary=False)
    path = tmp_path / "data.parquet"
    path.write_bytes(path.read_bytes().replace(b"spam", b"sp\xe4m"))
    assert "truncated or not a .parquet file" in refused("--data", "data.parquet")


def test_columns_of_which_no_features_can_be_made(refused):
    frame().assign(parts=[[1, 2]] * N_ROWS).to_parquet("data.parquet")
    assert "column 'parts' holds object (ndarray), of which no features can be made" in refused(
        "--data", "data.parquet", "--target", "kind"
    )


def test_npz_runs_no_code(refused, tmp_path):
    np.savez("data.npz", X=np.array([[1], ["a"]], dtype=object), y=[0, 1])
    assert "loading these runs code of the file" in refused("--data", "data.npz")
    np.save("array.npy", np.ones(3))
    (tmp_path / "array.npy").rename(tmp_path / "data.npz")
    assert "truncated or not a .npz file" in refused("--data", "data.npz")
    with zipfile.ZipFile("data.npz", "w") as file:  # claims rows that are not there
        header = {"descr": "<f8", "fortran_order": False, "shape": (2**40, 2**10)}
        claim = io.BytesIO()
        np.lib.format.write_array_header_1_0(claim, header)
        file.writestr("X.npy", claim.getvalue())
    assert "truncated or not a .npz file" in refused("--data", "data.npz")


HOSTILE = {
    "index too large": ({"indices": [0, 4]}, "'X_indices' has 0 to 4, but must be in [0, 4)"),
    "index negative": ({"indices": [0, -1]}, "'X_indices' has -1 to 0"),
    "index of 64 bits": ({"indices": np.array([0, 2**64 - 1], np.uint64)}, "'X_indices' has 0 to"),
    "indptr falls": ({"indptr": [0, 2, 1, 2]}, "'X_indptr' falls somewhere"),
    "indptr negative": ({"indptr": [-1, 1, 1, 2]}, "'X_indptr' goes from -1 to 2"),
    "indptr too long": ({"indptr": [0, 1, 2, 2, 2]}, "'X_indptr' has 5 entries, but 'X_shape' asks for 4"),
    "indptr beyond": ({"indptr": [0, 1, 2, 9]}, "'X_indptr' goes from 0 to 9, with 2 data and 2 indices"),
    "indptr falls unsigned": ({"indptr": np.array([0, 2, 1, 2], np.uint64)}, "'X_indptr' falls somewhere"),
    "data too short": ({"data": [1.0]}, "with 1 data and 2 indices"),
    "shape of three": ({"shape": [3, 4, 1]}, "'X_shape' must be 2 sizes"),
    "shape negative": ({"shape": [3, -4]}, "'X_shape' must be 2 sizes"),
    "wide": ({"shape": [3, 10**15]}, "1000000000000000 features, more than the 10000000 that --max-features"),
    "tall": ({"shape": [10**15, 4]}, "'X_indptr' has 4 entries, but 'X_shape' asks for 1000000000000001"),
    "fractions": ({"indices": [0.0, 1.5]}, "must hold whole numbers"),
    "text": ({"data": ["a", "b"]}, "'X_data' must hold numbers"),
    "two-dimensional": ({"indices": [[0, 1]]}, "and the others one-dimensional"),
    "a number": ({"indptr": 3}, "and the others one-dimensional"),
    "format": ({"format": "bsr"}, "the format is 'bsr'; save X.tocsr()"),
    "missing": ({"indices": None}, "the sparse rows 'X' lack 'X_indices'"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_csr_parts(case, refused):
    parts = {"data": [1.0, 2.0], "indices": [0, 1], "indptr": [0, 1, 2, 2], "shape": [3, 4]}
    changes, told = HOSTILE[case]
    parts = {f"X_{name}": part for name, part in (parts | changes).items() if part is not None}
    np.savez("data.npz", y=[0, 1, 0], **parts)
    error = refused("--data", "data.npz")
    assert error.startswith("data.npz: ")
    assert told in error


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("1 20000000:1", "20000000 features, more than the 10000000 that --max-features allows"),
        ("1 2147483646:1", "features, more than the 10000000 that --max-features allows"),
        ("1 99999999999999999999:1", "truncated or not a .svm file"),
        ("1 -3:1", "truncated or not a .svm file"),
        ("1 3:1 2:1", "truncated or not a .svm file"),
        ("1 x:1", "truncated or not a .svm file"),
        ("spam 1:1", "truncated or not a .svm file"),
        ("1 1:nan", "X lacks 1 of 21 values"),
    ],
)
def test_hostile_svmlight(line, told, refused, tmp_path):
    (tmp_path / "data.svm").write_text("0 1:1\n1 2:1\n" * 10 + line + "\n")
    error = refused("--data", "data.svm")
    assert error.startswith("data.svm: ")
    assert told in error


def test_max_features_is_a_choice(refused, tmp_path):
    (tmp_path / "data.svm").write_text("0 1:1\n1 9:1\n" * 10)
    assert "9 features, more than the 8" in refused("--data", "data.svm", "--max-features", 8)
    assert reading(tmp_path / "data.svm", max_features=9).X.shape == (20, 9)
