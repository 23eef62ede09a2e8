"""The pictures of docs/optimizers.md, from scikit-learn's digits: distance to the certified optimum by pass.

Writes docs/images. Needs matplotlib.
"""

import warnings
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from sklearn_lossopt import SoftmaxClassifier

from .. import report

DATA = ()
COMPETITORS = ()
REPEATS = 1
FOLDER = Path(__file__).resolve().parents[2] / "docs" / "images"
ALPHA = 1e-3
COMMON = {"alpha": ALPHA, "tol": None, "random_state": 0}
SGD = {"solver": "sgd", "max_iter": 60, "batch_size": 32, "schedule": "constant"}
MOMENTUM = {**SGD, "solver": "momentum"}


def run(data_names, competitor_names, repeats):
    """Draw each picture; yield a table of where its curves end."""
    X, y = load_digits(return_X_y=True)
    X = X / 16
    scales = 10.0 ** np.random.default_rng(0).uniform(-1.5, 1.5, X.shape[1])
    pictures = {
        "rates": (X, {f"{rate:g}": {**SGD, "learning_rate": rate} for rate in (0.003, 0.3, 3.0, 30.0)}),
        "momentum": (
            X,
            {
                name: {**SGD, "solver": name, "learning_rate": 0.3, "batch_size": "full", "max_iter": 300}
                for name in ("sgd", "momentum", "nesterov")
            },
        ),
        "scales": (
            X * scales,
            {
                "sgd, best of 9 rates": {**SGD, "learning_rate": None},
                "adam, best of 9 rates": {**SGD, "solver": "adam", "learning_rate": None},
                'sgd, learning_rate="auto"': {**SGD, "learning_rate": "auto", "schedule": "auto"},
            },
        ),
        "schedules": (
            X,
            {
                name: {**MOMENTUM, "learning_rate": 0.5, "schedule": name, "max_iter": 70}
                for name in ("constant", "step", "exponential", "cosine", "restarts", "plateau")
            },
        ),
        "average": (
            X,
            {
                "last step": {**SGD, "learning_rate": 2.0},
                "average=True": {**SGD, "learning_rate": 2.0, "average": True},
            },
        ),
    }
    FOLDER.mkdir(exist_ok=True)
    rows = []
    for name, (rows_of_X, runs) in pictures.items():
        best = SoftmaxClassifier(alpha=ALPHA, tol=1e-8, max_iter=5000).fit(rows_of_X, y)
        curves = {title: _curve(rows_of_X, y, params, best.loss_curve_[-1]) for title, params in runs.items()}
        _draw(FOLDER / f"{name}.png", curves)
        rows += [[name, title, len(curve), f"{curve[-1]:.2g}"] for title, curve in curves.items()]
    yield report.table(["picture", "run", "passes", "(F - F*) / F* at the end"], rows)


def _curve(X, y, params, optimum):
    if params["learning_rate"] is None:
        tried = [{**params, "learning_rate": 10.0**power} for power in range(-6, 3)]
        return min((_curve(X, y, each, optimum) for each in tried), key=lambda curve: curve[-1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = SoftmaxClassifier(**{**COMMON, **params}).fit(X, y)
    return np.array(model.loss_curve_) / optimum - 1


def _draw(path, curves):
    from matplotlib.figure import Figure  # without pyplot: always Agg, no window

    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.subplots()
    for title, curve in curves.items():
        axes.semilogy(np.arange(1, len(curve) + 1), np.maximum(curve, 1e-8), label=title)
    axes.set(xlabel="pass", ylabel="(F - F*) / F*", ylim=(None, 200))
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    figure.savefig(path, dpi=90, metadata={"Software": None})
