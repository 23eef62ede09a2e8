"""The data sets, a file each; a new file is found by its name and needs a `load()`."""

from importlib import import_module

NAMES = ("mnist", "cifar10_small", "newsgroups20", "clinc150", "covtype20k", "letter", "a9a", "kdd99", "tall")


def describe(name):
    """First line of a data set's docstring."""
    return import_module(f".{name}", __name__).__doc__.splitlines()[0]


def load(name):
    """Load a data set by name: a `sources.Dataset`."""
    return import_module(f".{name}", __name__).load()
