"""Everything public is documented as numpydoc has it, with examples that doctest runs."""

import inspect

import pytest
from numpydoc.validate import validate

import sklearn_lossopt

IGNORED = {
    "ES01": "an extended summary: where the first line says all, it is all",
    "SA01": "'See Also' everywhere",
    "EX01": "examples of every method; classes and functions must have them, see below",
    "RT02": "names of return values: `self : object` is scikit-learn's way",
}


def is_ours(thing):
    return (getattr(thing, "__module__", None) or "").startswith("sklearn_lossopt")


def members(name, thing):
    """A class's own public methods and properties; those inherited from scikit-learn are its business."""
    for key, member in inspect.getmembers(thing):
        if isinstance(member, property):
            member = member.fget
        if not key.startswith("_") and inspect.isroutine(member) and is_ours(member):
            yield f"{name}.{key}", member


def public():
    """Names and objects: modules, classes and functions, and what classes have."""
    for name in sklearn_lossopt.__all__:
        thing = getattr(sklearn_lossopt, name)
        if inspect.ismodule(thing):
            yield thing.__name__, thing
            yield from ((f"{thing.__name__}.{key}", getattr(thing, key)) for key in thing.__all__)
        elif not name.startswith("__"):
            yield f"sklearn_lossopt.{name}", thing


TOP = dict(public())
ALL = TOP | {
    key: member
    for name, thing in TOP.items()
    if inspect.isclass(thing)
    for key, member in members(name, thing)
}


@pytest.mark.parametrize("name", ALL)
def test_docstring(name):
    assert inspect.getdoc(ALL[name])
    owner, _, key = name.rpartition(".")
    inherits = not ALL[name].__doc__ and any(
        key in vars(base) and vars(base)[key].__doc__ for base in getattr(TOP.get(owner), "__mro__", ())
    )
    if inherits:
        return  # documented where it is defined first
    errors = [f"{code}: {text}" for code, text in validate(name)["errors"] if code not in IGNORED]
    assert not errors


@pytest.mark.parametrize("name", [name for name, thing in TOP.items() if not inspect.ismodule(thing)])
def test_example(name):
    assert ">>> " in inspect.getdoc(TOP[name])


def test_all_are_found():
    assert len(ALL) > 100
    for name in (
        "sklearn_lossopt.SoftmaxClassifier.partial_fit",
        "sklearn_lossopt.SoftmaxClassifier.predict_proba",
        "sklearn_lossopt.losses.CrossEntropy.mean",
        "sklearn_lossopt.penalties.ElasticNet.l1",
        "sklearn_lossopt.schedules.Plateau.see",
    ):
        assert name in ALL
