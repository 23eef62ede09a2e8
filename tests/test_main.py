"""The demonstration, on its reduced grid."""

import io
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from sklearn_lossopt import LinearSVMClassifier, SoftmaxClassifier
from sklearn_lossopt import _demo as demo
from sklearn_lossopt.__main__ import main

NUMBERS = {  # columns with a number: fit time, accuracy, log loss, objective
    "SoftmaxClassifier (tuned)": 4,
    "LinearSVMClassifier (tuned)": 3,
    "LogisticRegression (same objective)": 4,
    "LogisticRegression": 3,
    "SGDClassifier (log_loss)": 3,
    "LinearSVC": 2,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Standard output, standard error and picture of one run."""
    picture = tmp_path_factory.mktemp("main") / "curves.png"
    with pytest.MonkeyPatch.context() as patch:
        out, err = io.StringIO(), io.StringIO()
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", err)
        main(["--quick", "--seed", "1", "--out", str(picture)])
    return out.getvalue(), err.getvalue(), picture


@pytest.fixture
def no_work(monkeypatch):
    """Fail if the long work begins."""
    monkeypatch.setattr(demo, "demonstrate", lambda *_: pytest.fail("began to work"))


def table(output):
    """Numbers of each row of the table."""
    lines = output.split("objective\n", 1)[1].split("\n\n")[0].splitlines()
    cells = [re.split(r"\*?\s{2,}", line) for line in lines]
    return {name: [float(cell) for cell in numbers] for name, *numbers in cells}


def test_table_is_complete(run):
    rows = table(run[0])
    beside = rows.pop("SoftmaxClassifier (same alpha, rate auto)", None)  # only if another rate was chosen
    assert beside is None or len(beside) == NUMBERS["SoftmaxClassifier (tuned)"]
    assert {name: len(numbers) for name, numbers in rows.items()} == NUMBERS
    for seconds, accuracy, *rest in rows.values():
        assert 0 < seconds < 60
        assert 0.9 < accuracy <= 1
        assert all(0 < number < 1 for number in rest)


def test_rows_of_the_same_objective_agree(run):
    rows = table(run[0])
    ours, theirs = rows["SoftmaxClassifier (tuned)"][3], rows["LogisticRegression (same objective)"][3]
    # LogisticRegression's default tol leaves it up to a percent above the optimum.
    assert 0.99 * theirs < ours < 1.2 * theirs


def test_beside_a_tuned_rate_stands_the_automatic_one(monkeypatch):
    monkeypatch.setattr(demo, "TIMED_FITS", 1)
    X, y = load_iris(return_X_y=True)
    data = demo.Data(X, X, y, y)
    softmax = demo.in_pipeline(SoftmaxClassifier(learning_rate=0.01, max_iter=3, random_state=0))
    svm = demo.in_pipeline(LinearSVMClassifier(random_state=0))
    tuned, automatic, *_ = demo.compare(softmax, svm, data, 0)
    assert tuned.name == "SoftmaxClassifier (tuned)"
    assert automatic.name == "SoftmaxClassifier (same alpha, rate auto)"
    assert automatic.objective < tuned.objective
    softmax.set_params(model__learning_rate="auto")
    assert len(demo.compare(softmax, svm, data, 0)) == 6


def test_says_what_was_chosen_and_what_the_test_rows_are_for(run):
    for name in ("SoftmaxClassifier", "LinearSVMClassifier"):
        chosen = re.search(rf"^{name}: best alpha (\S+), best learning rate (\S+) \(", run[0], re.M)
        assert float(chosen[1]) in demo.ALPHAS
        assert chosen[2] in map(str, demo.RATES)
    assert "never seen while choosing" in run[0]


def test_progress_is_a_line_an_estimator_off_a_terminal(run):
    assert re.fullmatch(r"SoftmaxClassifier: 8 fits in \S+ s\nLinearSVMClassifier: 8 fits in \S+ s\n", run[1])


def test_progress_counts_on_a_terminal(monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    progress = demo.Progress("Model", 2)
    X, y = np.array([[0.0], [1.0]]), np.array([0, 1])
    assert progress(LogisticRegression().fit(X, y), X, y) == 1
    progress.finish()
    assert terminal.getvalue().startswith("\rModel: 0/2 fits\rModel: 1/2 fits\rModel: 1 fits in ")


def test_picture_is_a_png(run):
    assert run[2].read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_softmax_objective_is_the_estimators(digits):
    X, y = digits
    pipeline = demo.in_pipeline(SoftmaxClassifier(alpha=1e-2, random_state=0)).fit(X, y)
    objective = demo.softmax_objective(pipeline, demo.Data(X, X, y, y), 1e-2)
    assert objective == pytest.approx(pipeline["model"].loss_curve_[-1], rel=1e-6)


@pytest.mark.parametrize("name", ["curves", "curves.xyz", "missing/curves.png", "folder.png"])
@pytest.mark.usefixtures("no_work")
def test_bad_out_ends_at_once(name, tmp_path, capsys):
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(SystemExit) as end:
        main(["--out", str(tmp_path / name)])
    assert end.value.code == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert re.fullmatch(rf"error: --out \S+{name}: .+\n", output.err)
    assert os.listdir(tmp_path) == ["folder.png"]


@pytest.mark.usefixtures("no_work")
def test_out_without_matplotlib_names_the_extra(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(SystemExit) as end:
        main(["--out", str(tmp_path / "curves.png")])
    assert end.value.code == 2
    assert 'pip install "sklearn-lossopt[plot]"' in capsys.readouterr().err


def test_check_leaves_an_existing_file_as_it_is(tmp_path):
    path = tmp_path / "old.png"
    path.write_bytes(b"old")
    demo.check_picture(path)
    assert path.read_bytes() == b"old"


def test_full_disk_is_one_line(tmp_path, capsys, monkeypatch):
    figure = pytest.importorskip("matplotlib.figure")

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(figure.Figure, "savefig", full)
    pipelines = [demo.in_pipeline(SoftmaxClassifier(max_iter=2, tol=None))] * 2
    X, y = np.random.default_rng(0).normal(size=(40, 3)), np.arange(40) % 2
    pipelines[0].fit(X, y)
    with pytest.raises(SystemExit):
        demo.draw(pipelines, demo.Data(X, X, y, y), tmp_path / "curves.png")
    assert "No space left on device" in capsys.readouterr().err


@pytest.mark.usefixtures("no_work")
def test_bad_seed(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["--seed", "-1"])
    assert "--seed must be in" in capsys.readouterr().err


def test_runs_as_a_module():
    command = [sys.executable, "-m", "sklearn_lossopt", "--out", "curves.xyz"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: --out curves.xyz: ")
