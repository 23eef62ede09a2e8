"""From data as stored to what the benchmarks fit."""

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import MaxAbsScaler


def images(X_train, y_train, X_test, y_test):
    """Pixels in a row, divided by 255."""

    def flat(X):
        return np.ascontiguousarray(X.reshape(len(X), -1), dtype=np.float32) / np.float32(255)

    return flat(X_train), y_train, flat(X_test), y_test


def table(X_train, y_train, X_test, y_test):
    """Values as they are, in float32."""
    return X_train.astype(np.float32), y_train, X_test.astype(np.float32), y_test


def text(X_train, y_train, X_test, y_test):
    """Tf-idf of words."""
    vectorizer = TfidfVectorizer(sublinear_tf=True, min_df=2, dtype=np.float32)
    return vectorizer.fit_transform(X_train), y_train, vectorizer.transform(X_test), y_test


def wide_ranges(X_train, y_train, X_test, y_test):
    """Log and scaling for counts up to 1e9; rows of classes absent from training are left out."""
    known = np.isin(y_test, y_train)
    scaler = MaxAbsScaler()
    X_train = scaler.fit_transform(X_train.astype(np.float32).log1p())
    return X_train, y_train, scaler.transform(X_test[known].astype(np.float32).log1p()), y_test[known]


def raw_ranges(X_train, y_train, X_test, y_test):
    """Values as they are, in float32; rows of classes absent from training are left out."""
    known = np.isin(y_test, y_train)
    return X_train.astype(np.float32), y_train, X_test[known].astype(np.float32), y_test[known]


def split(X, y, n_train, n_test):
    """A random split, always the same, in the order of `Dataset`."""
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, train_size=n_train, test_size=n_test, random_state=0
    )
    return X_train, y_train, X_test, y_test


def cut(X, y, n_train, n_test):
    """The standard split of sets whose test rows come last."""
    end = n_train + n_test
    return X[:n_train], y[:n_train], X[n_train:end], y[n_train:end]
