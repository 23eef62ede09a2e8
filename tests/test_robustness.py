"""Thousands of fits with any parameters on tables as bad as they come. Slow: ``pytest -m slow``."""

import warnings
from unittest.mock import patch

import numpy as np
import pytest
from bad_tables import tables
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from sklearn_lossopt import LinearSVMClassifier, SoftmaxClassifier
from sklearn_lossopt.schedules import BY_NAME as SCHEDULES
from sklearn_lossopt.solvers import BY_NAME as SOLVERS
from sklearn_lossopt.solvers import dual

LABELS = {
    "numbers": np.arange(4),
    "negative": np.array([-7, -1, 3, 1000]),
    "floats": np.array([-1.0, 0.0, 1.0, 2.0]),
    "strings": np.array(["a", "b", "c", "longer"]),
    "objects": np.array(["a", "b", "c", "longer"], dtype=object),
}


@st.composite
def estimators(draw):
    """Either estimator with any legal parameters."""
    parameters = {
        "alpha": draw(st.sampled_from([0.0, 1e-8, 1e-4, 1e-2, 1.0, 1e4])),
        "l1_ratio": draw(st.sampled_from([0.0, 0.0, 0.01, 0.5, 1.0])),
        "fit_intercept": draw(st.booleans()),
        "solver": draw(st.sampled_from(["auto", *SOLVERS])),
        "learning_rate": draw(st.sampled_from(["auto", "auto", 1e-6, 0.1, 100.0])),
        "schedule": draw(st.sampled_from(["auto", *SCHEDULES])),
        "batch_size": draw(st.sampled_from(["auto", "full", 1, 7])),
        "max_iter": draw(st.integers(1, 12)),
        "tol": draw(st.sampled_from([None, 0.0, 1e-8, 1e-4, 0.1])),
        "n_iter_no_change": draw(st.integers(1, 5)),
        "early_stopping": draw(st.sampled_from(["auto", True])),
        "validation_fraction": draw(st.sampled_from([0.01, 0.1, 0.9])),
        "average": draw(st.sampled_from([False, False, True, 3])),
        "shuffle": draw(st.booleans()),
        "class_weight": draw(st.sampled_from([None, "balanced"])),
        "n_jobs": draw(st.sampled_from([None, None, 2])),
        "random_state": draw(st.integers(0, 3)),
    }
    if parameters["alpha"] * parameters["l1_ratio"] > 0:
        parameters["average"] = False
    if draw(st.booleans()):
        return SoftmaxClassifier(**parameters)
    return LinearSVMClassifier(
        **parameters,
        loss=draw(st.sampled_from(["hinge", "squared_hinge"])),
        multi_class=draw(st.sampled_from(["weston_watkins", "crammer_singer", "ovr"])),
        calibration=draw(st.sampled_from([None, "temperature"])),
    )


# What a fit may say no to, and no more.
REFUSALS = (
    "needs a smooth loss",
    "needs a hinge loss",
    "found no rows to hold out",
    "partial_fit cannot use it",
    "where training ends",
    "needs all rows at once",
)


@patch.multiple(dual, LONG_PASS=0.0, SHARE_OF_COPIES=np.inf)  # threads on little data too
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))  # so that a failure of one part does not hide the others
def test_any_fit(seed):
    @settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        table=tables(),
        estimator=estimators(),
        labels=st.sampled_from(list(LABELS)),
        weighting=st.sampled_from(["none", "random", "some zero", "huge", "tiny"]),
        streams=st.sampled_from([False, False, False, True]),
    )
    def run(table, estimator, labels, weighting, streams):
        check(table, estimator, LABELS[labels], weighting, streams)

    run()


def check(table, estimator, labels, weighting, streams):
    """Fit twice: the same bits, finite, X as it was, predictions of the right shape and kind."""
    X, numbers, is_sparse = table
    y = labels[numbers]
    rows = sparse.csr_array(X) if is_sparse else X
    before = rows.copy()
    rng = np.random.default_rng(len(y))
    weight = {
        "none": None,
        "random": rng.random(len(y)) + 0.01,
        "some zero": np.r_[np.ones(4), rng.integers(0, 2, max(0, len(y) - 4))][: len(y)],
        "huge": np.full(len(y), 1e30),
        "tiny": np.full(len(y), 1e-30),
    }[weighting]
    found = []
    for _ in range(2):
        model = clone(estimator)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", ConvergenceWarning)
            warnings.simplefilter("ignore", UserWarning)
            try:
                if streams:
                    model.partial_fit(rows, y, classes=np.unique(y), sample_weight=weight)
                    model.partial_fit(rows, y, sample_weight=weight)
                else:
                    model.fit(rows, y, sample_weight=weight)
            except ValueError as refusal:
                assert any(part in str(refusal) for part in REFUSALS), refusal  # noqa: PT017
                return
        found.append((model.coef_.copy(), model.intercept_.copy()))
        n_outputs = 1 if len(model.classes_) == 2 else len(model.classes_)
        assert model.coef_.shape == (n_outputs, X.shape[1])
        assert model.coef_.dtype == X.dtype
        assert np.isfinite(model.coef_).all()
        assert np.isfinite(model.intercept_).all()
        prediction = model.predict(rows)
        assert prediction.shape == y.shape
        assert prediction.dtype == y.dtype
        scores = model.decision_function(rows)
        assert scores.shape == ((len(y),) if n_outputs == 1 else (len(y), n_outputs))
        if hasattr(model, "predict_proba"):
            p = model.predict_proba(rows)
            assert p.shape == (len(y), len(model.classes_))
            assert np.isfinite(p).all()
            assert p.sum(axis=1) == pytest.approx(np.ones(len(y)), abs=1e-5)
        if hasattr(model, "dual_gap_"):
            assert model.dual_gap_ >= 0
    assert (found[0][0] == found[1][0]).all()
    assert (found[0][1] == found[1][1]).all()
    assert abs(rows - before).max() == 0
