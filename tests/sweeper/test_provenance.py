"""What a run records of its method."""

import json

import pytest
import tiny

from sweeper import provenance
from trainables.methods import METHODS, get


@pytest.mark.parametrize("name", sorted(METHODS))
def test_the_words_of_a_methods_diagnostics_are_recorded(name):
    method = get(name)
    recorded = json.loads(json.dumps(provenance._method(method)))
    assert recorded["name"] == name
    assert recorded["measures"].keys() == method.measures.keys()
    assert all(len(words) == 2 and all(words) for words in recorded["measures"].values())


def test_the_classes_of_every_part_of_a_fold_are_recorded(tmp_path):
    task = tiny.task(tmp_path / "toy")
    for fold in task.folds:
        recorded = json.loads(json.dumps(provenance._fold(fold, task)))
        for part in ("train", "dev", "test"):
            labels = [task.corpus.labels[row] for row in getattr(fold, part)]
            assert recorded["classes"][part] == [labels.count(0), labels.count(1)]
            assert sum(recorded["classes"][part]) == recorded[part]
