"""Adult census in binary features: 32,561 + 16,281 sparse rows x 123, 2 classes."""

from scipy import sparse
from sklearn.datasets import fetch_openml

from . import prepare, sources, synthetic


def load():
    """CSR float32 of zeros and ones."""
    return sources.obtain("a9a", prepare.table, _stand_in, _fetch)


def _fetch():
    X, y = fetch_openml("a9a", version=1, return_X_y=True, as_frame=False)
    return prepare.cut(sparse.csr_array(X), (y.astype(float) > 0).astype(int), 32_561, 16_281)


def _stand_in():
    return synthetic.sparse_table(32_561, 16_281, 123, 2, per_row=14)
