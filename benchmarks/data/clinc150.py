"""Short queries to an assistant: 15,000 + 4,500 texts, 150 classes."""

from . import prepare, sources, synthetic


def load():
    """Tf-idf in CSR float32."""
    return sources.obtain("clinc150", prepare.text, _stand_in)


def _stand_in():
    return synthetic.documents(15_000, 4_500, 5_000, 150, length=8)
