"""Labeled and unlabeled utterances from two corpora: what a study's ``unlabeled`` joins is what eq. 8 runs over."""

import numpy as np
import pytest

from search_spaces.change import apply
from trainables import corpus as corpora
from trainables import synth
from trainables.distribution_matching.config import Config
from trainables.distribution_matching.method import METHOD
from trainables.distribution_matching.parts import Parts
from trainables.prepared import Prepared
from trainables.protocols import Protocol, cut
from trainables.task import Task

CONFIG = Config.model_validate(
    {
        "network": {"hidden": [8], "latent_dim": 4, "classifier": []},
        "pretrain": {"epochs": 1, "batch_size": 64},
        "train": {"epochs": 1, "batch_size": 64},
    }
)


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpora")
    synth.write(folder / "labeled", seed=0)
    synth.write(folder / "other", seed=1)
    joined = corpora.read(folder / "labeled", unlabeled=folder / "other")
    folds, _ = cut(joined, Protocol(kind="group-k-fold", folds=3))
    return Task(joined, folds[:1], (0,))


def test_the_second_corpus_is_unlabeled_and_never_held_out(task):
    prepared, guests = Prepared.make(task), np.flatnonzero(task.corpus.guests)
    parts = Parts.make(CONFIG, prepared)
    assert len(guests) > 100
    assert set(guests[prepared.known[guests]]) <= set(parts.unlabeled[0])
    assert not set(guests) & set(parts.labeled[0])


def test_the_second_corpus_changes_what_is_learnt(task):
    """Its share of the steps' unlabeled batches is what it is of the unlabeled part; labeled ones stay."""
    terms = []
    for change in ({}, {"data.unlabeled_amount": 0.1}, {"train.omega": 0.0}):
        config, artifacts = apply(CONFIG, change), {}
        for stage in METHOD.active(config):
            *_, last = stage.run(config, task, artifacts)
            artifacts[stage.name] = last.artifact
        terms.append(last.terms)
    assert (terms[0]["u_reconstruction"] != terms[1]["u_reconstruction"]).all()
    assert "u_reconstruction" not in terms[2]
