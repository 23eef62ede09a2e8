"""Stand-ins of the same shape and kind as the real data: for trying the benchmarks, not for figures."""

import numpy as np
from scipy import sparse

from .prepare import cut


def table(n_train, n_test, n_features, n_classes, *, noise=1.0, top=255, kind=np.uint8):
    """Integers from 0 to `top` around a random center for each class."""
    rng = np.random.default_rng(0)
    y = np.arange(n_train + n_test) % n_classes
    rng.shuffle(y)
    centers = rng.standard_normal((n_classes, n_features), dtype=np.float32)
    X = centers[y]
    X += (1 + 3 * noise) * rng.standard_normal(X.shape, dtype=np.float32)
    X = np.clip(top * (0.5 + X / (8 * (1 + noise))), 0, top).astype(kind)
    return cut(X, y, n_train, n_test)


def documents(n_train, n_test, n_words, n_classes, *, length):
    """Texts of words whose frequencies fall as 1 / rank, a fifth of them particular to the class."""
    rng = np.random.default_rng(0)
    y = np.arange(n_train + n_test) % n_classes
    rng.shuffle(y)
    rank = (n_words ** rng.random((len(y), length))).astype(np.int64)  # log-uniform: density 1 / rank
    own = rng.random(rank.shape) < 0.2
    word = np.where(own, (rank % 50) * n_classes + y[:, None], rank)
    texts = [" ".join(f"w{number}" for number in row) for row in word]
    labels = np.array([f"class{number}" for number in y])
    return cut(texts, labels, n_train, n_test)


def sparse_table(n_train, n_test, n_features, n_classes, *, per_row, top=1):
    """CSR rows with a few features on, more often those of the class."""
    rng = np.random.default_rng(0)
    y = np.arange(n_train + n_test) % n_classes
    rng.shuffle(y)
    column = rng.integers(n_features, size=(len(y), per_row))
    own = rng.random(column.shape) < 0.3
    column = np.where(own, (column % 5) * n_classes + y[:, None], column) % n_features
    value = np.float32(top) ** rng.random(column.shape, dtype=np.float32)
    start = np.arange(0, column.size + 1, per_row)
    X = sparse.csr_array((value.ravel(), column.ravel(), start), shape=(len(y), n_features))
    X.sum_duplicates()
    return cut(X, y, n_train, n_test)
