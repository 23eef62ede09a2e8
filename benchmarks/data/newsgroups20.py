"""Twenty newsgroups by date, headers kept: 11,314 + 7,532 documents, 20 classes."""

from sklearn.datasets import fetch_20newsgroups

from . import prepare, sources, synthetic


def load():
    """Tf-idf in CSR float32."""
    return sources.obtain("newsgroups20", prepare.text, _stand_in, _fetch)


def _fetch():
    columns = []
    for part in sources.PARTS:
        bunch = fetch_20newsgroups(subset=part)
        columns += [bunch.data, bunch.target]
    return columns


def _stand_in():
    return synthetic.documents(5_000, 2_000, 100_000, 20, length=150)
