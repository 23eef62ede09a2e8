"""``python -m sklearn_lossopt --data FILE``: the report, kinds of columns, test rows, the saved model."""

import io
import re
import subprocess
import sys
from pathlib import Path

import joblib
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
    table,
    write,
)
from scipy import sparse
from sklearn.metrics import accuracy_score

from sklearn_lossopt.__main__ import main
from sklearn_lossopt._own_data import run as run_module


@pytest.fixture
def cli(tmp_path, monkeypatch, capsys):
    """Run in a folder of its own; gives exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: command_line(capsys, *arguments)


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
    assert out.startswith("data.csv: 90 rows, 4 columns, 3 classes; labels: column 'kind', the last one\n")
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
    softmax, svm = map(float, re.findall(r"cross-validated accuracy (\S+);", out))
    assert better == ("LinearSVMClassifier" if svm > softmax else "SoftmaxClassifier")
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
    assert f"{path}: 60 rows, 4 {'columns' if 'parquet' in name else 'features'}, 3 classes; labels: " in out
    model = joblib.load("model")
    X, y = numbers(30, seed=7)
    if "parquet" in name:
        X, y = frame(30, seed=7).drop(columns="kind"), np.array(CLASSES)[y]
    elif "svm" in name:
        X = sparse.csr_array(X)
    assert accuracy_score(y, model.predict(X)) > 0.8


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.uint8, bool])
def test_every_dtype_of_arrays(dtype, cli):
    X, y = numbers()
    np.savez("data.npz", X=np.abs(X).astype(dtype), y=y)
    code, out, err = cli("--data", "data.npz")
    assert code == 0, err
    assert "4 numbers: standardized" in out


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
    labels = model.predict(new)  # imputed inside the pipeline
    # Some releases of pandas have None for what others have NaN for.
    texts = new[["day", "subject"]].astype(object)
    new[["day", "subject"]] = texts.where(texts.notna(), None)
    assert (model.predict(new) == labels).all()


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
    assert "split: 45 training rows, 15 test rows" in out  # 43 + 2, of 58 + 2


# ------------------------------------------------------------------------------------- files written


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
