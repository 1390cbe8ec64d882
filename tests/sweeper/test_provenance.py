"""What a run records of its method."""

import json

import pytest

from sweeper import provenance
from trainables.methods import METHODS, get


@pytest.mark.parametrize("name", sorted(METHODS))
def test_the_words_of_a_methods_diagnostics_are_recorded(name):
    method = get(name)
    recorded = json.loads(json.dumps(provenance._method(method)))
    assert recorded["name"] == name
    assert recorded["measures"].keys() == method.measures.keys()
    assert all(len(words) == 2 and all(words) for words in recorded["measures"].values())
