"""Suites of benchmarks at a size that takes seconds: that they run, and what their tables hold."""

import io
import json
import sys
from contextlib import redirect_stdout

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_iris

pytest.importorskip("benchmarks", reason="not run from the repository's root")

from benchmarks import data, suites
from benchmarks.__main__ import main
from benchmarks.data.sources import Dataset
from benchmarks.suites import (
    automatic_rate_grid,
    kappa,
    many_classes,
    process,
    restarts,
    roofline,
    small,
    stream,
)


def tables_of(name, **options):
    """Header and cells of each table that a suite yields, and its text."""
    blocks = list(
        suites.get(name).run(**{"data_names": (), "competitor_names": None, "repeats": 1, **options})
    )
    tables = []
    for block in blocks:
        lines = [line.strip("| ").split(" | ") for line in block.splitlines() if line.startswith("|")]
        if lines:
            tables.append((lines[0], lines[2:]))
    return tables, "\n".join(blocks)


@pytest.fixture
def tiny(monkeypatch):
    """A small table and small text in place of every data set."""
    X, y = load_iris(return_X_y=True)
    X = X.astype(np.float32)

    def load(name):
        rows = sparse.csr_array(X) if name in ("newsgroups20", "clinc150") else X
        rows = rows / np.float32(255) if name == "mnist" else rows  # its raw variant is 255 times that
        return Dataset(name, rows[::2], y[::2], rows[1::2], y[1::2], "iris")

    monkeypatch.setattr(data, "load", load)


def test_automatic_rate(tiny):
    tables, text = tables_of("automatic_rate", data_names=("mnist",))
    assert "**mnist** (iris)" in text
    assert len(tables) == 2  # as it is, and in other units
    for header, rows in tables:
        assert header == ["estimator", "alpha", "sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam"]
        assert len(rows) == 6
        # Percent above a lower bound of the optimum; 50 steps on so few rows may end far above.
        assert all(float(cell.removeprefix("< ")) >= 0 for row in rows for cell in row[2:])


def test_automatic_rate_grid(tiny, monkeypatch):
    monkeypatch.setattr(automatic_rate_grid, "ALPHAS", (1e-3,))
    tables, text = tables_of("automatic_rate_grid", data_names=("letter",), competitor_names=("softmax",))
    [(_, [row])] = tables
    points = [float(cell.rstrip("e")) for cell in row[2:-1]]
    assert f"largest: {max(points):.2f} points" in text
    # Rates of X times ten are a hundredth, or a tenth, of those of X.
    X = load_iris().data
    for solver, power in (("sgd", 2), ("adam", 1)):
        ratio = np.divide(automatic_rate_grid._rates(solver, X), automatic_rate_grid._rates(solver, 10 * X))
        assert ratio == pytest.approx(10**power, rel=0.1)


@pytest.mark.parametrize(("kept", "moved"), [(100, 4), (3, 5), (2, 7)])
def test_lines_that_sparse_predictions_move(kept, moved, monkeypatch):
    """Features 0 1, 0 2, 3, 1 2 and 0 of lines that a cache keeps so many of."""
    monkeypatch.setattr(roofline, "L2", 64 * kept)
    rows = [[0, 1], [0, 2], [3], [1, 2], [0]]
    indptr = np.cumsum([0, *map(len, rows)])
    X = sparse.csr_array((np.ones(indptr[-1]), np.concatenate(rows), indptr), shape=(5, 4))
    assert roofline._lines_moved(X, 64) == moved


def test_roofline(tiny, monkeypatch):
    limits = roofline.measure_machine(1 << 16, 32)
    monkeypatch.setattr(roofline, "measure_machine", lambda: limits)
    monkeypatch.setattr(roofline, "DENSE", ((4, 3, 32, np.float32), (4, 1, 1, np.float64)))
    monkeypatch.setattr(roofline, "SECONDS", 1e-5)
    monkeypatch.setattr(roofline, "PREDICTION_SHAPES", ((200, 4, 3),))
    monkeypatch.setattr(roofline, "SPARSE_SHAPE", (500, 300))
    tables, text = tables_of("roofline", data_names=("mnist", "clinc150"))
    assert text.startswith("Memory bandwidth ")
    assert [len(rows) for _, rows in tables] == [2, 2, 9, 1]
    assert [rows[0][0] for _, rows in tables] == ["float32", "clinc150", "200 x 4", "mnist"]


def test_kappa(tiny, monkeypatch):
    make = lambda: kappa.falling_clusters((300, 8, 3), 1.0, 0.5)  # noqa: E731
    monkeypatch.setattr(kappa, "GENERATED", ((make, "300 x 8, 3", ((kappa.SOFTMAX, 1e-3),)),))
    monkeypatch.setattr(kappa, "OF_DATA", ((kappa.SOFTMAX, 1e-2), (kappa.SQUARED, 1e-2)))
    monkeypatch.setattr(kappa, "MULTIPLES", (1, 1000))
    tables, text = tables_of("kappa", data_names=("letter",))
    assert "**letter** (iris)" in text
    assert [len(rows) for _, rows in tables] == [4, 1]
    for header, rows in tables:
        assert header == ["rows", "loss", "alpha", "kappa x 1", "kappa x 1e+03", "as it changes"]
        for *_, right, wrong, changing in rows:
            assert 0 < int(changing) <= 150
            assert right == "-" or int(changing) <= 1.5 * int(right)
            assert wrong == "-" or int(changing) <= int(wrong)


def test_falling_clusters_have_their_spectrum():
    X, _ = kappa.falling_clusters((50_000, 16, 2), 1.0, 0.0)
    found = np.linalg.eigvalsh(np.cov(X.T))[::-1]
    assert found == pytest.approx(1 / np.arange(1, 17), rel=0.05)


def test_many_classes(monkeypatch):
    monkeypatch.setattr(many_classes, "SIZE", (600, 8, 5))
    monkeypatch.setattr(many_classes, "PATIENCE", 1.0)
    [(header, rows)], text = tables_of("many_classes", competitor_names=("logistic_regression",))
    assert text.startswith("600 x 8, 5 classes; Bayes accuracy 0.")
    assert [row[0].startswith("SoftmaxClassifier") for row in rows] == [True, True, True, False]
    near = dict(zip(header, rows[0], strict=True))["(F - F*) / F*"]
    assert float(near) <= many_classes.NEAR


def test_bayes_accuracy_of_clusters():
    assert many_classes.make_clusters((4000, 64, 20), accuracy=0.9)[2] == pytest.approx(0.9, abs=0.03)


def test_stream(monkeypatch):
    def run_here(module, task, *arguments):
        printed = io.StringIO()
        with redirect_stdout(printed):
            stream._stream(*arguments)
        return json.loads(printed.getvalue())

    monkeypatch.setattr(stream, "run_python", run_here)
    monkeypatch.setattr(stream, "_file_table", lambda: "the file")
    monkeypatch.setattr(stream, "CHUNK", 1000)
    monkeypatch.setattr(stream, "N_ROWS", 20_000)
    tables, _ = tables_of("stream")
    header, rows = tables[0]
    assert [row[0] for row in rows] == list(stream.STREAMS)
    assert all(0.9 < float(row[header.index("ratio")]) < 2 for row in rows)


@pytest.mark.parametrize("kind", stream.STREAMS)
def test_sources_of_streams(kind):
    source = stream.Source(kind, 4)
    early, late = source.chunk(0), source.chunk(3)
    assert early[0].shape == late[0].shape == (stream.CHUNK, stream.N_FEATURES)
    grown = late[0].std(axis=0) / early[0].std(axis=0)
    assert (grown.min() > 900) == (kind == "scales a thousandfold midway")
    assert (stream.N_CLASSES - 1 in early[1]) == (kind != "a class unseen until midway")
    assert (early[2] is None) == (kind != "weights")


@pytest.mark.skipif(sys.platform != "linux", reason="limits data without mapped files on Linux only")
def test_stream_of_a_file(tmp_path):
    figures = process.run_python(
        "benchmarks.suites.stream", "file", str(tmp_path), str(2 * stream.CHUNK), str(1 << 33)
    )
    assert not figures["loading_fails"]  # a limit far above the file
    assert figures["file"] > 2 * stream.CHUNK * stream.N_FEATURES * 4
    assert figures["best"] > figures["accuracy"] > 0.3


def test_small(tiny, monkeypatch):
    monkeypatch.setattr(small, "PREDICTIONS", 2)
    monkeypatch.setattr(small, "SETS", {"iris": load_iris})
    (fits, predictions), _ = tables_of("small", data_names=("newsgroups20",))
    for (header, rows), names in ((fits, ["iris"]), (predictions, ["iris", "newsgroups20"])):
        assert [row[0] for row in rows] == names
        assert all(len(row) == len(header) for row in rows)
        assert "target" in header


def test_every_suite_is_listed(capsys):
    main(["--list"])
    listing = capsys.readouterr().out
    assert all(f"  {name} " in listing for name in suites.NAMES)


def test_restarts(tiny):
    [(header, rows)], _ = tables_of(
        "restarts", data_names=("letter", "clinc150"), competitor_names=("softmax",)
    )
    assert [row[:2] for row in rows] == [["letter", "softmax"], ["clinc150", "softmax"]]
    assert all(row[header.index("same bits")] == "yes" for row in rows)
    assert all(float(cell) >= 0 for row in rows for cell in row[2:-1])


def test_convergence(tiny):
    tables, _ = tables_of("convergence", data_names=("letter", "clinc150"), competitor_names=("softmax",))
    assert len(tables) == 4  # each as it is, and scaled
    for _, [row] in tables:
        assert row[0] == "softmax"
        for cell in row[1:]:
            gap, passes, seconds, _ = cell.split(", ")
            assert float(gap.split()[0]) <= 1e-4
            assert 1 <= int(passes) <= 200
            assert float(seconds) >= 0


def test_new_rows_of_restarts_are_a_hundredth():
    kept = restarts._but_a_hundredth(1000)
    assert len(kept) == 990 == len(set(kept))
    assert (kept != range(990)).sum() == 10
