"""Data for tests of properties: tables that are as bad as tables come."""

import numpy as np
from hypothesis import strategies as st


@st.composite
def tables(draw):
    """(X, y, whether to make X sparse): constant, huge, tiny, duplicated columns, few rows, rare classes."""
    n_rows = draw(st.integers(2, 40))
    n_features = draw(st.integers(1, 6))
    n_classes = draw(st.integers(2, min(4, n_rows)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    X = rng.normal(size=(n_rows, n_features))
    X *= 10.0 ** np.array(draw(st.lists(st.integers(-8, 8), min_size=n_features, max_size=n_features)))
    if draw(st.booleans()):
        X[:, 0] = draw(st.sampled_from([0.0, 1.0, -1e6]))
    if draw(st.booleans()):
        X[X < 0] = 0
    if draw(st.booleans()):
        X = X.astype(np.float32)
    y = np.r_[np.arange(n_classes), rng.integers(0, n_classes, n_rows - n_classes)]
    return X, y, draw(st.booleans())
