"""Rare and absent classes of folds, and methods that read a dialogue which folds cut."""

from __future__ import annotations

import numpy as np
import pytest
import test_protocols
from hypothesis import given
from hypothesis import strategies as st

from trainables.fold_check import FEW, class_counts, class_warnings, context_warnings
from trainables.folds import Fold
from trainables.protocols import Protocol, cut

SPEAKERS = Protocol(kind="leave-one-speaker-out")
FIELDS = {"reader": "read.turns"}


def corpus_of(counts):
    """One speaker a fold, with these utterances by class."""
    pairs = [(place, label) for place, row in enumerate(counts) for label, n in enumerate(row) for _ in range(n)]
    return test_protocols.made([speaker for speaker, _ in pairs], [label for _, label in pairs])


def one_by_one(corpus):
    """A fold a speaker, without the protocol's own demands on classes."""
    speakers = corpus.speakers
    names = list(dict.fromkeys(speakers))
    folds = []
    for place, name in enumerate(names):
        dev = names[(place + 1) % len(names)]
        parts = (~np.isin(speakers, [name, dev]), speakers == dev, speakers == name)
        folds.append(Fold.make(name, corpus, *map(np.flatnonzero, parts)))
    return folds


sizes = st.lists(st.lists(st.integers(0, 12), min_size=3, max_size=3).filter(any), min_size=3, max_size=5)


@given(sizes)
def test_absent_and_rare_classes_are_those_counted_by_hand(table):
    corpus = corpus_of([*table, [20, 20, 20]])
    folds = one_by_one(corpus)
    held = {
        part: [np.bincount(corpus.labels[getattr(f, part)], minlength=3) for f in folds] for part in ("test", "dev")
    }
    texts = list(class_warnings(corpus, folds))
    for part, rows in held.items():
        lacking = sum(not row.all() for row in rows)
        said = [text for text in texts if text.startswith(f"classes are absent from {part} in")]
        assert len(said) == bool(lacking)
        if said:
            assert f"absent from {part} in {lacking} of {len(folds)} folds" in said[0]
    steps = [1 / n / (row > 0).sum() for rows in held.values() for row in rows for n in row if 0 < n < FEW]
    few = [text for text in texts if "fewer than 10 utterances" in text]
    assert len(few) == bool(steps)
    if steps:
        assert few[0].endswith(f"by up to {100 * max(steps):.1f} points")
        hit = sum(any(0 < n < FEW for n in row) for row in held["test"])
        assert (f"in test of {hit} of {len(folds)} folds" in few[0]) == bool(hit)


def test_what_is_said_of_them():
    corpus = corpus_of([[30, 30, 30], [30, 0, 4], [0, 30, 30], [30, 30, 30]])
    folds = one_by_one(corpus)
    assert list(class_warnings(corpus, folds)) == [
        "classes are absent from test in 2 of 4 folds (P1 lacks class 1; P2 lacks class 0); UAR there is the mean over "
        "the classes present",
        "classes are absent from dev in 2 of 4 folds (P0 lacks class 1; P1 lacks class 0); UAR there is the mean over "
        "the classes present",
        "classes have fewer than 10 utterances in test of 1 of 4 folds (least: 4 of class 2 in P1), in dev of 1 of 4 "
        "folds (least: 4 of class 2 in P0): one utterance moves the UAR of such a fold by up to 12.5 points",
    ]
    assert class_counts(corpus, folds[1]) == {"train": [60, 60, 60], "dev": [0, 30, 30], "test": [30, 0, 4]}


def test_large_folds_with_all_classes_are_fine():
    corpus = corpus_of([[FEW] * 2] * 4)
    assert list(class_warnings(corpus, one_by_one(corpus))) == []


def dyads(sessions=3, each=12):
    """Two speakers a session, who speak in turns in its one dialogue."""
    rows = [(2 * session + turn % 2, turn // 2 % 2) for session in range(sessions) for turn in range(2 * each)]
    return test_protocols.made([speaker for speaker, _ in rows], [label for _, label in rows])


def test_dev_beside_test_in_a_dialogue_is_told_to_methods_that_read_it():
    corpus = dyads()
    folds, _ = cut(corpus, SPEAKERS)
    (text,) = context_warnings(corpus, folds, SPEAKERS, FIELDS)
    assert text == (
        "DEV READS TEST: reader reads an utterance with the others of its dialogue (read.turns), and in 6 of 6 folds "
        "100% of the dev utterances have test utterances in theirs: dev, which chooses epochs and arms, sees test "
        "features, though no labels; protocol.dev: session (train and test then share them) or protocol: {kind: "
        "leave-one-session-out} keeps the dialogues of dev and test apart; read.turns: 1 reads no other utterance"
    )
    assert list(context_warnings(corpus, folds, SPEAKERS, {})) == []
    assert len(list(context_warnings(corpus, folds, SPEAKERS, FIELDS | {"other": "x"}))) == 2


@pytest.mark.parametrize(
    ("protocol", "share"),
    [
        ({"kind": "leave-one-speaker-out", "dev": "session"}, None),
        ({"kind": "leave-one-session-out"}, None),
        ({"kind": "leave-one-session-out", "dev": "speaker"}, None),
        ({"kind": "leave-one-speaker-out", "dev": "speaker"}, "in 3 of 6 folds 50%"),
    ],
)
def test_remedies_do_what_they_promise(protocol, share):
    corpus, protocol = dyads(), Protocol.model_validate(protocol)
    folds, _ = cut(corpus, protocol)
    texts = list(context_warnings(corpus, folds, protocol, FIELDS))
    assert len(texts) == (share is not None)
    assert all(share in text for text in texts)


def test_a_remedy_that_the_corpus_does_not_allow_is_not_named():
    """Every dialogue goes across all speakers, so that no protocol keeps it whole."""
    corpus = test_protocols.made([0, 1, 2, 3] * 8, [0, 0, 0, 0, 1, 1, 1, 1] * 4, dialogue=[0] * 32)
    folds, _ = cut(corpus, SPEAKERS)
    (text,) = context_warnings(corpus, folds, SPEAKERS, FIELDS)
    assert text.endswith("though no labels; read.turns: 1 reads no other utterance")
