"""Errors that teach: each says what is wrong, which value was seen, and what to do.

One table of all errors and warnings of the package (the command line's are in test_main.py); the last
test reads the sources, and fails where a `raise` or `warnings.warn` has no row.
"""

import ast
import functools
import importlib
import pickle
import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sklearn_lossopt
from sklearn_lossopt import LinearSVMClassifier, SoftmaxClassifier, _saved, losses, regularization_path
from sklearn_lossopt._compat import StrOptions
from sklearn_lossopt.exceptions import ModelVersionWarning
from sklearn_lossopt.monitor import Monitor
from sklearn_lossopt.schedules import Cosine, Exponential, Inverse, Plateau, Restarts, Step
from sklearn_lossopt.solvers import Adam, Momentum

PACKAGE = Path(sklearn_lossopt.__file__).parent
X, y = load_iris(return_X_y=True)
ZEROS = np.zeros(150)
THREE = [0, 50, 100]  # a row of each class


def fit(estimator=SoftmaxClassifier, X=X, y=y, **parameters):
    """A trigger: fit with these parameters."""
    return lambda: estimator(random_state=0, **parameters).fit(X, y)


def fit_with(X=X, y=y, early_stopping="auto", **data):
    """A trigger: fit with these weights or validation rows."""
    return lambda: SoftmaxClassifier(early_stopping=early_stopping).fit(X, y, **data)


def stream(y=y, classes=(0, 1, 2), sample_weight=None, **parameters):
    """A trigger: the first call of partial_fit."""
    return lambda: SoftmaxClassifier(**parameters).partial_fit(X, y, classes, sample_weight)


def stream_of_other_classes():
    model = SoftmaxClassifier(random_state=0).partial_fit(X, y, classes=[0, 1, 2])
    model.partial_fit(X, y, classes=[0, 1, 2, 3])


def warm_start_with_other_classes():
    model = SoftmaxClassifier(warm_start=True, random_state=0).fit(X, y)
    model.fit(X, y + 1)


def probabilities_after_a_fit_without():
    model = LinearSVMClassifier(calibration=None).fit(X, y)
    model.set_params(calibration="temperature").predict_proba(X)


def a_file_of_another_version():
    with patch.object(_saved, "__version__", "0.0.7"):
        file = pickle.dumps(SoftmaxClassifier())
    pickle.loads(file)


def onnx_without_skl2onnx():
    with patch.dict(sys.modules, {"skl2onnx": None}):
        sys.modules.pop("sklearn_lossopt.onnx", None)
        importlib.import_module("sklearn_lossopt.onnx")


def path(estimator=None, **arguments):
    """A trigger: a regularization path."""
    return lambda: regularization_path(estimator or SoftmaxClassifier(), X, y, **arguments)


class Row(NamedTuple):
    """How to bring an error or a warning about, its class, and its three parts as regular expressions."""

    trigger: Callable
    kind: type
    wrong: str
    value: str
    remedy: str


# fmt: off
# ruff: noqa: E501
TABLE = {
    # Data.
    "monitor of another estimator": Row(lambda: Monitor().setup(StandardScaler(), None), TypeError, "Monitor watches SoftmaxClassifier and LinearSVMClassifier", "Got StandardScaler", "call set_callbacks of the classifier"),
    "monitor of no fit": Row(lambda: Monitor().accuracy_, AttributeError, "This Monitor has no", "accuracy_", "give it to set_callbacks of a classifier, then call fit"),
    "one-hot y": Row(fit(y=np.eye(3)[y]), ValueError, "y should be a 1d array of labels", r"shape \(150, 3\)", r"pass y\.argmax\(axis=1\)"),
    "one class": Row(fit(y=y * 0), ValueError, "needs rows of at least 2 classes", r"y has 1 class: \[0\]", "Give rows of others"),
    "classes of a warm start": Row(warm_start_with_other_classes, ValueError, "needs the classes of the earlier fit", r"array\(\[0, 1, 2\]\).*array\(\[1, 2, 3\]\)", "Set warm_start=False"),
    "length of weights": Row(fit_with(sample_weight=[1, 2, 3]), ValueError, r"sample_weight\.shape", r"\(3,\), expected \(150,\)", "give a weight for each row"),
    "negative weight": Row(fit_with(sample_weight=ZEROS - 2), ValueError, "Negative values .* `sample_weight`", "the smallest is -2", "must be >= 0; 0 leaves a row out"),
    "no weight": Row(fit_with(sample_weight=ZEROS), ValueError, "sample_weight is zero", r"all rows \(150\)", "at least one must be positive"),
    "no weight in a stream": Row(stream(sample_weight=ZEROS), ValueError, "zero for all rows.*no row is left", r"\(150\)", "Give a row of positive sample_weight"),
    "X_val alone": Row(fit_with(X_val=X), ValueError, "X_val and y_val go together", "X_val was given without y_val", "Give both"),
    "y_val alone": Row(fit_with(y_val=y), ValueError, "X_val and y_val go together", "y_val was given without X_val", "Give both"),
    "sample_weight_val alone": Row(fit_with(sample_weight_val=ZEROS + 1), ValueError, "without X_val and y_val", "sample_weight_val was given", "give them too, or leave it out"),
    "X_val not wanted": Row(fit_with(X_val=X, y_val=y, early_stopping=False), ValueError, "X_val was given, but .* ignores it", "early_stopping=False", "Set early_stopping to 'auto' or True, or leave X_val out"),
    "length of y_val": Row(fit_with(X_val=X, y_val=y[:9]), ValueError, "X_val has .* rows, but y_val", "150 rows.*9 labels", "give one for each row"),
    "labels of y_val": Row(fit_with(X_val=X, y_val=y + 1), ValueError, "y_val has labels that y does not have", r"array\(\[3\]\).*array\(\[0, 1, 2\]\)", "Leave their rows out"),
    "weights of X_val": Row(fit_with(X_val=X, y_val=y, sample_weight_val=ZEROS), ValueError, "sample_weight_val is zero", r"\(150\)", "must be positive"),
    "nothing to hold out": Row(fit_with(X[THREE], y[THREE], early_stopping=True), ValueError, "no rows to hold out: every class has a single row", "early_stopping=True", "Give X_val and y_val, or set early_stopping=False"),
    # Parameters.
    "class_weight of other classes": Row(fit(class_weight={"0": 2}), ValueError, "class_weight names none of the classes", r"\[0, 1, 2\].*\['0'\]", "Use the labels in y as keys"),
    "negative class_weight": Row(fit(class_weight={0: -1.0}), ValueError, "class_weight must hold finite weights", r"Got \{0: -1\.0\}", ">= 0 that are not all zero"),
    "ignored parameters": Row(fit(solver="sdca", batch_size=8, average=True), UserWarning, "solver='sdca' ignores", "batch_size, average", "Set a minibatch solver"),
    "ignored on a path": Row(lambda: regularization_path(SoftmaxClassifier(solver="sdca", batch_size=8), X, y, n_alphas=2), UserWarning, "solver='sdca' ignores", "batch_size", "Set a minibatch solver"),
    "average with L1": Row(fit(average=True, l1_ratio=0.5), ValueError, "does not go with an L1 penalty", "average=True", "Set average=False or l1_ratio=0"),
    "Newton of hinges": Row(fit(LinearSVMClassifier, solver="newton"), ValueError, "solver='newton' needs a smooth loss", "loss='hinge' with multi_class='weston_watkins' and l1_ratio=0", "Use solver='sdca'"),
    "Newton with L1": Row(fit(solver="newton", l1_ratio=0.5), ValueError, "solver='newton' needs .* no L1", "cross-entropy and l1_ratio=0.5", "Use solver='sdca'"),
    "interior point of cross-entropy": Row(fit(solver="interior_point"), ValueError, "solver='interior_point' needs a hinge loss", "cross-entropy and l1_ratio=0", "Use solver='sdca'"),
    "interior point of two classes with L1": Row(fit(LinearSVMClassifier, y=y > 0, solver="interior_point", loss="squared_hinge", l1_ratio=1), ValueError, "needs a hinge loss and l1_ratio=0", "loss='squared_hinge' and l1_ratio=1", "Use solver='sdca'"),
    "share of a solver": Row(fit(solver=Momentum(1.5)), ValueError, "Momentum: momentum", r"Got 1\.5", r"must be a float in \[0, 1\)"),
    "constant of a solver": Row(fit(solver=Adam(epsilon="x")), ValueError, "Adam: epsilon", "Got 'x'", r"must be a float in \(0, inf\)"),
    "a schedule's class": Row(fit(schedule=Exponential), ValueError, "not the class itself", "Got <class .*Exponential'>", r"must be an object.*Exponential\(\)"),
    "a schedule's factor": Row(fit(schedule=lambda epoch: -0.5), ValueError, "schedule must give a finite factor", r"Got -0\.5 for epoch 0", ">= 0 for each epoch"),
    "share of a schedule": Row(fit(schedule=Exponential(1.5)), ValueError, "Exponential: decay", r"it is 1\.5", r"must be in \(0, 1\]"),
    "share that is no number": Row(fit(schedule=Exponential("fast")), ValueError, "Exponential: decay", "it is 'fast'", r"must be in \(0, 1\]"),
    "count of a schedule": Row(fit(schedule=Step(every=0)), ValueError, "Step: every", "it is 0", "must be at least 1"),
    "count that is NaN": Row(fit(schedule=Cosine(period=np.nan)), ValueError, "Cosine: period", "it is nan", "must be at least 1"),
    "decay of a schedule": Row(fit(schedule=Inverse(-1.0)), ValueError, "Inverse: decay", r"it is -1\.0", "must be finite and >= 0"),
    "growth of a schedule": Row(fit(schedule=Restarts(growth=0.5)), ValueError, "Restarts: growth", r"it is 0\.5", "must be finite and >= 1"),
    "threshold of a schedule": Row(fit(schedule=Plateau(threshold=None)), ValueError, "Plateau: threshold", "it is None", "must be finite and >= 0"),
    "cosine without end": Row(lambda: Cosine()(3), ValueError, "Cosine cannot be called yet", "period is None", r"set it, or call what bind\(max_iter\) gives"),
    "plateau that sees nothing": Row(lambda: Plateau(factor=0.1)(3), ValueError, "cannot be called yet", r"Plateau\(factor=0\.1\)", r"call what bind\(max_iter\) gives"),
    # Streams.
    "certified solver of a stream": Row(stream(solver="sdca"), ValueError, "needs all rows at once, so partial_fit cannot use it", "solver='sdca'", "Set solver to 'auto'"),
    "balanced stream": Row(stream(class_weight="balanced"), ValueError, "needs all rows at once, so partial_fit cannot use it", "class_weight='balanced'", "compute_class_weight"),
    "cosine in a stream": Row(stream(schedule="cosine"), ValueError, "needs to know where training ends", "schedule='cosine'", "Use 'constant', 'exponential'"),
    "stream without classes": Row(stream(classes=None), ValueError, "classes must be passed on the first call", "classes=None", "give all labels that will ever come"),
    "stream of one class": Row(stream(classes=[1]), ValueError, "classes must name at least 2", r"Got array\(\[1\]\)", "must name at least 2 classes"),
    "stream of other classes": Row(stream_of_other_classes, ValueError, "not the same as on the last call", r"array\(\[0, 1, 2, 3\]\).*array\(\[0, 1, 2\]\)", "Give those or none"),
    "label that is no class": Row(stream(classes=[0, 1]), ValueError, "labels that are not among the classes", r"array\(\[2\]\).*array\(\[0, 1\]\)", "first call to partial_fit must name all"),
    # How training ended.
    "diverged": Row(fit(learning_rate=1e9, X=1e6 * X), ConvergenceWarning, "SoftmaxClassifier diverged after .* steps are too large", r"learning_rate 1e\+09", "Lower learning_rate or set it to 'auto', or scale the features"),
    "not finite": Row(fit(solver="sdca", X=1e300 * X), ConvergenceWarning, "met numbers that are not finite", r"in pass \d+", "scale them"),
    "no finite rate": Row(fit(solver="momentum", X=1e300 * X), ConvergenceWarning, "met numbers that are not finite", "in pass 1", "scale them"),
    "no finite gap": Row(fit(solver="newton", X=1e300 * X), ConvergenceWarning, "values are too large or too small", "gap of inf at an objective of", "scale them"),
    "passes ran out": Row(fit(solver="momentum", max_iter=2), ConvergenceWarning, "was still improving by more than tol=0.0001", "max_iter=2 passes", "Raise max_iter or learning_rate, or scale"),
    "passes ran out before the gap closed": Row(fit(solver="sdca", max_iter=1), ConvergenceWarning, "ended after 1 passes with a duality gap", r"gap of [\d.]+ at an objective of [\d.]+, more than tol=0\.0001", "Raise max_iter, alpha or tol"),
    "no penalty": Row(fit(alpha=0, solver="sdca", max_iter=3), ConvergenceWarning, "With alpha=0 no gap can be proven", r"gap of [\d.]+", "Set alpha > 0"),
    "rounding": Row(fit(solver="newton", tol=0), ConvergenceWarning, "Rounding errors end all progress", "more than tol=0 asks for", "raise tol, or alpha"),
    # Probabilities, files, the rest.
    "no probabilities": Row(lambda: LinearSVMClassifier(calibration=None).fit(X, y).predict_proba(X), AttributeError, "predict_proba is not available", "calibration=None", "set calibration='temperature'"),
    "no temperature": Row(probabilities_after_a_fit_without, NotFittedError, "it has no temperature", "fitted with calibration=None", "Fit it again with calibration='temperature'"),
    "another version's file": Row(a_file_of_another_version, ModelVersionWarning, "was saved by sklearn_lossopt .* and is read by", rf"0\.0\.7 .* {sklearn_lossopt.__version__}", r"Fit and save it again, or install sklearn-lossopt==0\.0\.7"),
    "ONNX without skl2onnx": Row(onnx_without_skl2onnx, ImportError, "needs skl2onnx", r"could not be imported \(.*skl2onnx", r'pip install "sklearn-lossopt\[onnx\]"'),
    "conjugate of the 0-1 loss": Row(lambda: losses.ZeroOneLoss().conjugate(0.5, 1), TypeError, "has no convex conjugate", "ZeroOneLoss", "Use a convex surrogate"),
    "path of a pipeline": Row(path(make_pipeline(StandardScaler(), SoftmaxClassifier())), TypeError, "needs a SoftmaxClassifier or a LinearSVMClassifier", "Got a Pipeline", "give the last step"),
    "length of a path": Row(path(n_alphas=0, alpha_min_ratio=2), ValueError, "n_alphas must be an int, at least 1, and alpha_min_ratio", "Got 0 and 2", r"at least 1, and alpha_min_ratio in \(0, 1\)"),
    "alphas of a path": Row(path(alphas=[1, -1]), ValueError, "alphas must be", r"Got array\(\[ 1\., -1\.\]\)", "finite and > 0"),
    "path of a minibatch solver": Row(path(SoftmaxClassifier(solver="adam")), ValueError, "needs a certified solver", "solver='adam' gives 'adam'", "Set solver='sdca'"),
}
# fmt: on

# What the command line says of a user's files is tested with the files (test_own_data.py, test_own_files.py).
OF_THE_COMMAND_LINE = {"__main__.py", "_console.py", "_demo.py", "_own_data"}


class Outcome(NamedTuple):
    """What a trigger brought about: message, class, and the place of the statement."""

    kind: type
    message: str
    file: Path
    line: int


@functools.cache
def outcome(name):
    """Bring about a row's error or warning; only one."""
    seen = []

    def warn(message, category=UserWarning, stacklevel=1, **_):
        frame = sys._getframe(1)
        kind = type(message) if isinstance(message, Warning) else category
        seen.append(Outcome(kind, str(message), Path(frame.f_code.co_filename), frame.f_lineno))
        original(message, category, stacklevel + 1)

    original = warnings.warn
    with warnings.catch_warnings(record=True) as caught, patch("warnings.warn", warn):
        warnings.simplefilter("always")
        try:
            TABLE[name].trigger()
        except Exception as error:
            seen.append(_of_error(error))
    assert len(seen) == 1, seen
    first_line = outcome.__wrapped__.__code__.co_firstlineno  # the triggers stand above
    for warning in caught:  # the line of the user's call, neither one of ours nor that of who calls the user
        assert warning.filename == __file__
        assert warning.lineno < first_line
    assert len(caught) <= 1, [str(warning.message) for warning in caught]
    return seen[0]


def _of_error(error):
    """The error, or the one that it comes from, that the package raised."""
    while error is not None:
        frame = error.__traceback__
        while frame.tb_next is not None:
            frame = frame.tb_next
        file = Path(frame.tb_frame.f_code.co_filename)
        if file.is_relative_to(PACKAGE):
            return Outcome(type(error), str(error), file, frame.tb_lineno)
        error = error.__cause__
    raise AssertionError("an error that is not the package's own")


@pytest.mark.parametrize("name", TABLE)
def test_message(name):
    row, found = TABLE[name], outcome(name)
    assert found.kind is row.kind
    for part in (row.wrong, row.value, row.remedy):
        assert re.search(part, found.message), found.message
    assert "  " not in found.message


@pytest.mark.parametrize("estimator", [SoftmaxClassifier, LinearSVMClassifier])
def test_each_parameter_is_checked(estimator):
    constraints = estimator._parameter_constraints
    assert constraints.keys() == estimator().get_params(deep=False).keys()
    for name, allowed in constraints.items():
        for call in (lambda model: model.fit(X, y), lambda model: model.partial_fit(X, y, [0, 1, 2])):
            with pytest.raises(ValueError, match=f"'{name}' parameter of {estimator.__name__}") as caught:
                call(estimator(**{name: "nonsense"}))
            message = str(caught.value)
            assert re.search(r"must be .+\. Got 'nonsense' instead\.", message), message
            for constraint in allowed:
                if isinstance(constraint, StrOptions):
                    assert all(repr(option) in message for option in constraint.options), message


def statements(file):
    """First and last line of each statement that raises an error of its own or warns."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Raise):
            # Errors that are passed on, and methods that a subclass must have, tell users nothing.
            is_own = isinstance(node.exc, ast.Call)
        else:
            is_own = isinstance(node, ast.Call) and ast.unparse(node.func) in ("warnings.warn", "warn")
        if is_own:
            yield node.lineno, node.end_lineno


def test_the_table_is_complete():
    reached = {(found.file, found.line) for found in map(outcome, TABLE)}
    missing, n_statements = [], 0
    for file in sorted(PACKAGE.rglob("*.py")):
        if OF_THE_COMMAND_LINE & set(file.relative_to(PACKAGE).parts):
            continue
        for first, last in statements(file):
            if "RuntimeError" in file.read_text().splitlines()[first - 1] and file.name == "_compat.py":
                continue  # of a scikit-learn without callbacks: test_callbacks.py
            n_statements += 1
            if not any((file, line) in reached for line in range(first, last + 1)):
                missing.append(f"{file.relative_to(PACKAGE)}:{first}")
    assert not missing
    assert n_statements > 40
