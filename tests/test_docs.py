"""What the guides promise of completeness."""

import re
from pathlib import Path

import pytest
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.svm import LinearSVC

PAGE = Path(__file__).parents[1] / "docs" / "coming-from.md"


@pytest.mark.parametrize("peer", [LogisticRegression, SGDClassifier, LinearSVC, MLPClassifier])
def test_coming_from_names_every_parameter(peer):
    sections = re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)
    section = next(part for part in sections if part.startswith(f"From `{peer.__name__}`"))
    theirs = [line.split("|")[1] for line in section.splitlines() if line.startswith("|")]
    code = " ".join(re.findall("`([^`]*)`", " ".join(theirs)))
    named = set(re.findall(r"\w+", re.sub(r'"\w*"', "", code)))
    missing = set(peer().get_params()) - named
    assert not missing
