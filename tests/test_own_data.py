"""``python -m sklearn_lossopt --data FILE``: every format, every error, the saved model."""

import io
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.datasets import dump_svmlight_file, load_svmlight_file
from sklearn.metrics import accuracy_score

from sklearn_lossopt.__main__ import main
from sklearn_lossopt._own_data import run as run_module
from sklearn_lossopt._own_data.files import read
from sklearn_lossopt._own_data.table import DataError

N_ROWS = 60
CLASSES = ("ham", "spam", "news")
WORDS = {"ham": "lunch meeting monday", "spam": "prize winner click", "news": "election weather storm"}


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


@pytest.fixture
def cli(tmp_path, monkeypatch, capsys):
    """Run in a folder of its own; gives exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        try:
            main(["--quick", *map(str, arguments)])
            code = 0
        except SystemExit as end:
            code = end.code
        output = capsys.readouterr()
        return code, output.out, output.err

    return run


@pytest.fixture
def refused(cli, monkeypatch):
    """The one line of an error that comes before any work."""
    monkeypatch.setattr(run_module, "work", lambda *_: pytest.fail("began to work"))

    def run(*arguments):
        code, out, err = cli(*arguments)
        assert code == 2
        assert out == ""
        assert re.fullmatch(r"error: [^\n]+\n", err), err
        return err.removeprefix("error: ")

    return run


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


FILES = ["data.npz", "data.csv", "data.parquet", "data.svmlight", "data.libsvm", "data.svm"]

# ------------------------------------------------------------------------------------- a run that works


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Output, error output and folder of a run with everything."""
    folder = tmp_path_factory.mktemp("whole")
    frame(90).to_csv(folder / "data.csv", index=False)
    out, err = io.StringIO(), io.StringIO()
    arguments = ["--data", "data.csv", "--save", "best.joblib", "--out", "curves.png", "--seed", "3"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", err)
        main(["--quick", *arguments])
    return out.getvalue(), err.getvalue(), folder


def test_report_is_complete(whole):
    out, err, _ = whole
    assert out.startswith("data.csv: 90 rows, 4 features, 3 classes (column 'kind', the last one)\n")
    assert "rows by class: ham 30, news 30, spam 30" in out
    assert "4 columns of numbers, 'a', 'b', 'c', 'd': standardized" in out
    assert "split: 67 training rows, 23 test rows: at random, a quarter for the test, stratified" in out
    assert re.fullmatch(r"tuning alpha: 16 fits in \S+ s\n", err)
    for name in ("SoftmaxClassifier", "LinearSVMClassifier"):
        chosen = re.search(
            rf"^{name}: best alpha (\S+) of .*\n  certified: its objective is (\S+) above", out, re.M
        )
        assert float(chosen[1]) in run_module.QUICK_ALPHAS
        assert 0 <= float(chosen[2]) < 1e-3


def test_table_beside_baseline_and_logistic_regression(whole):
    rows = table(whole[0])
    assert list(rows) == [
        "SoftmaxClassifier (tuned)",
        "LinearSVMClassifier (tuned)",
        "LogisticRegression (same alpha)",
        "majority class",
    ]
    *models, majority = rows.values()
    for seconds, accuracy, loss in models:
        assert 0 < seconds < 60
        assert accuracy > 0.8 > 2 * majority[1]
        assert loss < 0.6 < majority[2]
    assert rows["SoftmaxClassifier (tuned)"][2] == pytest.approx(models[2][2], abs=5e-3)


def test_saved_pipeline_is_the_better_one_and_loads_as_told(whole):
    out, _, folder = whole
    code = re.search(r"\n\n(    import joblib\n(?:    .*\n)+)", out)[1]
    assert "only files that you trust" in out
    new = frame(30, seed=5)
    new.drop(columns="kind").to_csv(folder / "new.csv", index=False)
    lines = code.replace("    ", "").splitlines()
    names = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        exec("\n".join(lines[:-1]), names)
        labels = eval(lines[-1], names)
    assert accuracy_score(new.kind, labels) > 0.8
    better = re.search(r"better in cross-validation: (\w+)", out)[1]
    assert type(names["model"]["model"]).__name__ == better
    # The saved model is the one in the table: fitted on the training rows, not on all.
    assert names["model"]["features"].transformers_[0][1][-1].n_samples_seen_ == 67


def test_picture_is_a_png(whole):
    assert (whole[2] / "curves.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert sorted(path.name for path in whole[2].iterdir() if path.name != "new.csv") == [
        "best.joblib",
        "curves.png",
        "data.csv",
    ]


@pytest.mark.parametrize("name", [name for name in FILES if not name.endswith(("csv", "libsvm", "svm"))])
def test_every_format_runs_and_saves(name, cli, tmp_path):
    path = write(tmp_path / name)
    code, out, err = cli("--data", path, "--save", "model")
    assert code == 0, err
    assert f"{path}: 60 rows, 4 features, 3 classes (" in out
    model = joblib.load("model")
    X, y = numbers(30, seed=7)
    if "parquet" in name:
        X, y = frame(30, seed=7).drop(columns="kind"), np.array(CLASSES)[y]
    elif "svm" in name:
        X = sparse.csr_array(X)
    assert accuracy_score(y, model.predict(X)) > 0.8


def test_same_seed_same_report(cli, tmp_path):
    path = write(tmp_path / "data.npz")

    def report(*seed):
        out = cli("--data", path, *seed)[1]
        return re.sub(r"\d+\.\d{4}  (?=\s*\d\.\d{4}  )|took \S+ s", "", out)

    first = report("--seed", 1)
    assert first == report("--seed", 1)
    assert first != report("--seed", 2)


def test_full_grid_is_wider(cli, tmp_path, capsys):
    path = write(tmp_path / "data.npz")
    main(["--data", str(path)])
    output = capsys.readouterr()
    assert "56 fits" in output.err
    assert "of 1, 0.1, 0.01, 0.001, 0.0001, 1e-05, 1e-06;" in output.out


def test_border_of_the_grid_is_a_warning(cli, tmp_path, monkeypatch):
    path = write(tmp_path / "data.npz")
    monkeypatch.setattr(run_module, "QUICK_ALPHAS", (1e-2,))
    assert cli("--data", path)[1].count("a larger one may be better") == 2
    monkeypatch.setattr(run_module, "QUICK_ALPHAS", (1e3, 1e-2))
    assert "the smallest alpha of those tried: a smaller one" in cli("--data", path)[1]
    monkeypatch.setattr(run_module, "QUICK_ALPHAS", (1e3, 1e-2, 1e3))
    assert "may be better" not in cli("--data", path)[1]


def test_of_equally_good_alphas_the_middle():
    assert run_module._best(np.array([0.5, 0.9, 0.9, 0.9, 0.8])) == 2
    assert run_module._best(np.array([0.9, 0.9, 0.8, 0.7])) == 0
    assert run_module._best(np.array([0.1, 0.2, 0.3])) == 2


def test_runs_as_a_module(tmp_path):
    path = write(tmp_path / "data.npz")
    command = [sys.executable, "-m", "sklearn_lossopt", "--quick", "--data", path, "--target", "labels"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr == f"error: {path}: no array 'labels'; its arrays: 'X', 'y'\n"


def test_import_stays_light():
    code = (
        "import sys, sklearn_lossopt as package; "
        "print([m for m in sys.modules if m.startswith(('matplotlib', package.__name__ + '._own')) "
        "or m.endswith(('._demo', '._console'))])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"


# ------------------------------------------------------------------------------------------ what is read


def reading(path, test=None, target=None, max_features=10**7):
    return read(path, test, target, max_features)


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


def csr_parts(X, prefix):
    X = sparse.csr_array(X)
    return {f"{prefix}{part}": getattr(X, part) for part in ("data", "indices", "indptr", "shape")}


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


# ------------------------------------------------------------------------------------- kinds of columns


@pytest.mark.parametrize("name", ["data.csv", "data.parquet"])
def test_text_columns_become_features_and_are_told(name, cli, tmp_path):
    data = mixed()
    path = write(tmp_path / name, data)
    code, out, err = cli("--data", path, "--target", "kind", "--save", "model")
    assert code == 0, err
    assert "2 columns of numbers, 'a', 'flag': standardized" in out
    assert "1 column of few or short texts, 'day': one-hot" in out or "'day', 'when': one-hot" in out
    assert "'subject': tf-idf of the words" in out or "'subject', 'when': tf-idf of the words" in out
    if name == "data.parquet":
        assert "1 column of dates, 'when': days since 1970, standardized" in out
    else:
        assert "column 'when' holds dates, but as text" in out
    assert table(out)["SoftmaxClassifier (tuned)"][1] > 0.9  # from the prose alone
    new = pd.read_csv(path) if name == "data.csv" else pd.read_parquet(path)
    new.loc[0, ["day", "subject"]] = ["never seen", "words never seen either"]
    labels = joblib.load("model").predict(new)
    assert accuracy_score(data.kind[1:], labels[1:]) > 0.9


def test_categories_and_odd_text_are_told(cli, tmp_path, monkeypatch):
    monkeypatch.setattr(run_module, "work", lambda *_: None)
    data = frame(120).assign(
        name=[f"m{i}" for i in range(120)], age=[str(i) if i % 20 else "?" for i in range(120)]
    )
    data["size"] = pd.Categorical(np.array(["s", "m", "l"])[np.arange(120) % 3])
    data.to_parquet("data.parquet")
    code, out, _ = cli("--data", "data.parquet", "--target", "kind")
    assert code == 0
    assert (
        "3 columns of few or short texts, 'name', 'age', 'size': one-hot; texts of a single row share" in out
    )
    assert "note: column 'name' has another value in each row" in out
    assert re.search(r"note: column 'age' is text only because of \d of its values, such as '\?'; if", out)


def holes(data):
    """Values missing in every column, all of them in one."""
    data = data.astype({"flag": object})
    for i, name in enumerate(data.columns.drop("kind")):
        data.loc[[i, 10 + i], name] = None
    return data.assign(empty=np.nan)


@pytest.mark.parametrize("name", ["data.csv", "data.parquet"])
def test_missing_values_only_with_impute(name, cli, tmp_path):
    path = write(tmp_path / name, holes(mixed()))
    code, out, err = cli("--data", path, "--target", "kind", "--impute", "--save", "model")
    assert code == 0, err
    for told in ("missing values by the median", "a category of their own", "missing values as no words"):
        assert told in out
    assert table(out)["SoftmaxClassifier (tuned)"][1] > 0.8
    model = joblib.load("model")
    new = pd.read_csv(path) if name == "data.csv" else pd.read_parquet(path)
    assert len(model.predict(new)) == N_ROWS  # inside the pipeline


@pytest.mark.parametrize("is_sparse", [False, True])
def test_missing_values_of_arrays(is_sparse, cli):
    X, y = numbers()
    X[[0, 5], [1, 2]] = np.nan
    parts = csr_parts(X, "X_") if is_sparse else {"X": X}
    np.savez("data.npz", y=y, **parts)
    assert cli("--data", "data.npz")[2].startswith("error: data.npz: X lacks 2 of 240 values (NaN or empty)")
    code, out, err = cli("--data", "data.npz", "--impute", "--save", "model")
    assert code == 0, err
    assert "missing values by the median" in out
    assert len(joblib.load("model").predict(sparse.csr_array(X) if is_sparse else X)) == N_ROWS


# -------------------------------------------------------------------------------------------- test rows


def test_test_file_instead_of_a_split(cli):
    frame().to_csv("data.csv", index=False)
    frame(12, seed=4).assign(more=1).to_csv("test.csv", index=False)
    code, out, err = cli("--data", "data.csv", "--target", "kind", "--test", "test.csv")
    assert code == 0, err
    assert "split: 60 training rows, 12 test rows: test rows from test.csv" in out
    assert "note: columns of test.csv that the training rows lack are not used: 'more'" in out


def test_test_rows_within_the_file_or_beside_it(cli, monkeypatch):
    monkeypatch.setattr(run_module, "work", lambda *_: None)
    (X, y), (X_test, y_test) = numbers(), numbers(9, 1)
    np.savez("data.npz", X_train=X, y_train=y, X_test=X_test, y_test=y_test)
    np.savez("test.npz", X_test=sparse.csr_array(X_test[:6]).toarray(), y_test=y_test[:6])
    assert "60 training rows, 9 test rows: test rows from data.npz" in cli("--data", "data.npz")[1]
    out = cli("--data", "data.npz", "--test", "test.npz")[1]
    assert "60 training rows, 6 test rows: test rows from test.npz" in out
    assert "note: test rows are those of test.npz: the ones in data.npz are not used" in out


def test_unknown_classes_of_test_rows_count_as_wrong(cli):
    (X, y), (X_test, y_test) = numbers(), numbers(9, 1)
    y_test[:3] = 7
    np.savez("data.npz", X_train=X, y_train=y, X_test=X_test, y_test=y_test)
    code, out, err = cli("--data", "data.npz")
    assert code == 0, err
    assert "note: 3 test rows are of classes that no training row has ('7'): they count as wrong" in out
    assert table(out)["SoftmaxClassifier (tuned)"][1] < 0.67


def test_text_that_looks_like_numbers_in_the_test_file(cli, monkeypatch):
    monkeypatch.setattr(run_module, "work", lambda *_: None)
    y = np.arange(30) % 2
    pd.DataFrame({"code": np.where(y, "07", "x"), "y": np.where(y, "1", "no")}).to_csv(
        "data.csv", index=False
    )
    pd.DataFrame({"code": ["07"], "y": ["1"]}).to_csv("test.csv", index=False)
    code, _, err = cli("--data", "data.csv", "--test", "test.csv")
    assert code == 0, err
    assert reading(*map(Path, ("data.csv", "test.csv"))).test.X.code.tolist() == ["07"]


def test_rare_classes_stay_in_the_training_rows(cli):
    X, y = numbers()
    y[[0, 1]], y[[2, 3]] = [10, 11], 12
    np.savez("data.npz", X=X, y=y)
    code, out, err = cli("--data", "data.npz")
    assert code == 0, err
    assert "note: classes of a single row are in the training rows alone: '10', '11'" in out


# ------------------------------------------------------------------------------------- files written


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


def test_force_overwrites(cli, tmp_path):
    write(tmp_path / "data.npz")
    for name in ("model", "curves.svg"):
        (tmp_path / name).write_bytes(b"old")
    code, _, err = cli("--data", "data.npz", "--save", "model", "--out", "curves.svg", "--force")
    assert code == 0, err
    assert len(joblib.load("model").predict(numbers()[0])) == N_ROWS
    assert b"<svg" in (tmp_path / "curves.svg").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"data.npz", "model", "curves.svg"}


@pytest.mark.parametrize("force", [True, False])
def test_a_file_that_came_meanwhile_or_a_full_disk(force, cli, tmp_path, monkeypatch):
    write(tmp_path / "data.npz")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run_module.joblib, "dump", full)
    if force:
        (tmp_path / "model").write_bytes(b"old")
    code, _, err = cli("--data", "data.npz", "--save", "model", *["--force"] * force)
    assert code == 2
    assert err.endswith("error: --save model: cannot be written (No space left on device)\n")
    assert {path.name for path in tmp_path.iterdir()} == {"data.npz"} | ({"model"} if force else set())

    def comes(*_):
        (tmp_path / "other").write_bytes(b"theirs")

    monkeypatch.setattr(run_module, "draw", comes)
    if not force:
        code, _, err = cli("--data", "data.npz", "--save", "other", "--out", "a.png")
        assert code == 2
        assert "exists already" in err
        assert (tmp_path / "other").read_bytes() == b"theirs"


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


@pytest.mark.parametrize(
    "options",
    [["--save", "x"], ["--force"], ["--target", "y"], ["--test", "x"], ["--impute"], ["--max-features", "9"]],
)
def test_options_that_need_data(options, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(options)
    assert f"{options[0]}: only with --data FILE" in capsys.readouterr().err


def test_max_features_is_positive(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["--data", "x.svm", "--max-features", "0"])
    assert "--max-features must be at least 1" in capsys.readouterr().err


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


def test_max_features_is_a_choice(refused, cli, tmp_path):
    (tmp_path / "data.svm").write_text("0 1:1\n1 9:1\n" * 10)
    assert "9 features, more than the 8" in refused("--data", "data.svm", "--max-features", 8)
    assert reading(tmp_path / "data.svm", max_features=9).X.shape == (20, 9)
