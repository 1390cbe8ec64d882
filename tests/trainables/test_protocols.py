from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from trainables import corpus as corpora
from trainables.corpus import Corpus
from trainables.errors import InputError
from trainables.protocols import Fold, Protocol, allowed, cut

_LEAVE_ONE = ("leave-one-speaker-out", "leave-one-session-out")


def made(
    speaker: Sequence[int],
    label: Sequence[int],
    *,
    session: Sequence[int] | None = None,
    dialogue: Sequence[int] | None = None,
    split: Sequence[str | None] | None = None,
    names: Callable[[int], str] = "P{}".format,
) -> Corpus:
    size = len(speaker)
    session = [s // 2 for s in speaker] if session is None else session
    classes = sorted({each for each in label if each >= 0})
    table = pd.DataFrame(
        {
            "utterance_id": [f"u{row:04d}" for row in range(size)],
            "speaker": [names(each) for each in speaker],
            "session": [f"S{each}" for each in session],
            "dialogue": [f"D{each}" for each in (session if dialogue is None else dialogue)],
            "turn": range(size),
            "label": [None if each < 0 else f"class {each}" for each in label],
        }
    )
    if split is not None:
        table["split"] = list(split)
    return Corpus(
        name="made",
        utterances=table,
        features={},
        present={},
        labels=np.array([-1 if each < 0 else classes.index(each) for each in label]),
        classes=tuple(f"class {each}" for each in classes),
        columns={},
        fingerprint="",
        warnings=(),
    )


@st.composite
def corpora_(draw: st.DrawFn) -> Corpus:
    """2 to 5 sessions of 2 or 3 speakers; every speaker has both of two classes, the rest is free."""
    sessions = draw(st.lists(st.integers(2, 3), min_size=3, max_size=5))
    home = [number for number, size in enumerate(sessions) for _ in range(size)]
    certain = [(speaker, label) for speaker in range(len(home)) for label in (0, 1)]
    free = st.tuples(st.integers(0, len(home) - 1), st.integers(-1, 1))
    rows = draw(st.permutations(certain + draw(st.lists(free, max_size=40))))
    speaker, label = zip(*rows, strict=True)
    return made(speaker, label, session=[home[each] for each in speaker])


_PROTOCOLS = st.sampled_from(
    [
        Protocol(kind="leave-one-speaker-out"),
        Protocol(kind="leave-one-speaker-out", dev="same-session"),
        Protocol(kind="leave-one-speaker-out", dev="speaker"),
        Protocol(kind="leave-one-speaker-out", dev="session"),
        Protocol(kind="leave-one-speaker-out", folds=4),
        Protocol(kind="leave-one-session-out"),
        Protocol(kind="leave-one-session-out", dev="speaker"),
        Protocol(kind="leave-one-session-out", folds=3),
        Protocol(kind="group-k-fold"),
        Protocol(kind="group-k-fold", folds=3, seed=7),
        Protocol(kind="group-k-fold", folds=3, group="session"),
    ]
)


def _contents(folds: Sequence[Fold]) -> list[list[list[int]]]:
    return [[part.tolist() for part in (f.train, f.dev, f.test, f.unlabeled)] for f in folds]


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(corpora_(), _PROTOCOLS)
def test_folds_keep_speakers_apart_and_test_every_labeled_utterance_once(corpus: Corpus, protocol: Protocol) -> None:
    assume(protocol.kind != "group-k-fold" or corpus.utterances["speaker"].nunique() >= 6)
    folds, _ = cut(corpus, protocol)
    labeled = np.flatnonzero(corpus.labels >= 0)
    assert np.sort(np.concatenate([fold.test for fold in folds])).tolist() == labeled.tolist()
    for fold in folds:
        parts = [set(corpus.speakers[part]) for part in (fold.train, fold.dev, fold.test)]
        assert all(parts)
        assert sum(map(len, parts)) == len(set.union(*parts))
        assert not set(corpus.speakers[fold.unlabeled]) & (parts[1] | parts[2])
        rows = np.concatenate([fold.train, fold.dev, fold.test])
        assert len(set(rows)) == len(rows)
        assert (corpus.labels[rows] >= 0).all()
        assert (corpus.labels[fold.unlabeled] < 0).all()


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(corpora_(), _PROTOCOLS)
def test_the_same_corpus_is_cut_the_same_and_names_play_no_part(corpus: Corpus, protocol: Protocol) -> None:
    assume(protocol.kind != "group-k-fold" or corpus.utterances["speaker"].nunique() >= 6)
    folds = _contents(cut(corpus, protocol)[0])
    assert _contents(cut(corpus, protocol)[0]) == folds
    table = corpus.utterances
    renamed = made(
        [99 - int(name[1:]) for name in table["speaker"]],
        [-1 if each < 0 else 1 - each for each in corpus.labels],
        session=[50 - int(name[1:]) for name in table["session"]],
    )
    assert _contents(cut(renamed, protocol)[0]) == folds


# Two sessions of three speakers and one of two: P0 P1 P2 | P3 P4 P5 | P6 P7, each with classes 0 and 1.
_HOME = (0, 0, 0, 1, 1, 1, 2, 2)


@pytest.fixture
def eight() -> Corpus:
    speaker = np.repeat(np.arange(8), 4)
    return made(speaker, np.tile([0, 1, 0, -1], 8), session=[_HOME[each] for each in speaker])


def _speakers(corpus: Corpus, rows: np.ndarray) -> str:
    return " ".join(sorted(set(corpus.speakers[rows])))


@pytest.mark.parametrize(
    ("dev", "expected"),
    [("auto", "P1 P2"), ("same-session", "P1 P2"), ("speaker", "P1"), ("session", "P3 P4 P5")],
)
def test_dev_of_a_left_out_speaker(eight: Corpus, dev: str, expected: str) -> None:
    folds, _ = cut(eight, Protocol(kind="leave-one-speaker-out", dev=dev))
    assert [fold.name for fold in folds] == [f"P{number}" for number in range(8)]
    assert _speakers(eight, folds[0].test) == "P0"
    assert _speakers(eight, folds[0].dev) == expected
    rest = set(eight.speakers) - {"P0", *expected.split()}
    assert set(eight.speakers[folds[0].train]) == set(eight.speakers[folds[0].unlabeled]) == rest


def test_dev_of_a_left_out_session(eight: Corpus) -> None:
    folds, warnings = cut(eight, Protocol(kind="leave-one-session-out"))
    assert [fold.name for fold in folds] == ["S0", "S1", "S2"]
    assert [_speakers(eight, fold.dev) for fold in folds] == ["P3 P4 P5", "P6 P7", "P0 P1 P2"]
    assert warnings == ()
    folds, warnings = cut(eight, Protocol(kind="leave-one-session-out", dev="speaker"))
    assert [_speakers(eight, fold.dev) for fold in folds] == ["P3", "P7", "P2"]
    assert _speakers(eight, folds[0].train) == "P4 P5 P6 P7"
    assert "train and dev share dialogues in 3 of 3 folds" in warnings[0]


def test_without_partners_in_the_session_dev_is_the_next_speaker() -> None:
    corpus = made(np.repeat([0, 1, 2], 2), [0, 1] * 3, session=np.repeat([0, 1, 2], 2))
    folds, _ = cut(corpus, Protocol(kind="leave-one-speaker-out"))
    assert [_speakers(corpus, fold.dev) for fold in folds] == ["P1", "P2", "P0"]
    with pytest.raises(InputError, match=r"protocol\.dev: same-session needs two labeled speakers"):
        cut(corpus, Protocol(kind="leave-one-speaker-out", dev="same-session"))


def test_dealt_folds_are_of_similar_size_and_classes() -> None:
    rng = np.random.default_rng(0)
    speaker = np.repeat(np.arange(30), rng.integers(5, 60, 30))
    corpus = made(speaker, rng.choice(3, len(speaker), p=[0.6, 0.3, 0.1]))
    folds, _ = cut(corpus, Protocol(kind="group-k-fold", folds=5))
    counts = np.array([np.bincount(corpus.labels[fold.test], minlength=3) for fold in folds])
    assert counts.sum(axis=1) / counts.sum() * 5 == pytest.approx(1, abs=0.15)
    assert (np.abs(counts / counts.sum(axis=0) * 5 - 1) < 0.35).all()


def test_the_seed_deals_equal_groups_in_another_order() -> None:
    corpus = made(np.repeat(np.arange(12), 4), [0, 1, 0, 1] * 12)
    first, again, other = (cut(corpus, Protocol(kind="group-k-fold", folds=4, seed=s))[0] for s in (1, 1, 2))
    assert _contents(first) == _contents(again) != _contents(other)


def test_train_and_test_sharing_a_dialogue_is_told(eight: Corpus) -> None:
    _, warnings = cut(eight, Protocol(kind="leave-one-speaker-out", dev="session"))
    assert warnings[0].startswith("train and test share dialogues in 8 of 8 folds")
    assert cut(eight, Protocol(kind="leave-one-speaker-out"))[1] == ()


def test_the_corpus_own_split() -> None:
    split = ["train"] * 4 + ["dev"] * 2 + ["test"] * 2 + [None]
    corpus = made([0, 0, 0, 1, 2, 2, 3, 3, 4], [0, 1, -1, 0, 0, 1, 0, 1, 1], split=split)
    (fold,), warnings = cut(corpus, Protocol(kind="predefined"))
    assert _contents([fold]) == [[[0, 1, 3], [4, 5], [6, 7], [2]]]
    assert "1 labeled utterances have no split and are left out" in warnings


def test_a_split_that_shares_speakers_is_loudly_told() -> None:
    corpus = made([0, 0, 1, 1, 0, 2], [0, 1] * 3, split=["train"] * 2 + ["dev"] * 2 + ["test"] * 2)
    (fold,), warnings = cut(corpus, Protocol(kind="predefined"))
    assert fold.test.tolist() == [4, 5]
    assert warnings[0].startswith("SHARED SPEAKERS: 1 of 2 test speakers, with 50% of the test utterances")


def test_a_session_shared_by_speakers_does_not_keep_them_apart() -> None:
    corpus = made([0, 0, 1, 1, 2, 2, 0, 0], [0, 1] * 4, session=[0, 0, 1, 1, 2, 2, 2, 2])
    with pytest.raises(InputError, match="speaker 'P0' is in several sessions"):
        cut(corpus, Protocol(kind="leave-one-session-out"))
    assert len(cut(corpus, Protocol(kind="leave-one-speaker-out"))[0]) == 3


@pytest.mark.parametrize(
    ("speaker", "label", "kind", "message"),
    [
        ([0, 0, 1, 1], [0, 1, 0, 1], "leave-one-speaker-out", "needs 3 speakers with labels or more, .* has 2"),
        ([0, 0, 1, 1, 2, 2], [0, 1] * 3, "leave-one-session-out", "needs 3 sessions"),
        ([0, 0, 1, 1, 2, 2], [0, 1] * 3, "group-k-fold", "needs 5 speakers"),
        ([0, 0, 1, 1, 2, 2, 3, 3], [0, 1, 0, 1, 0, 0, 0, 1], "leave-one-speaker-out", r"none of class 1"),
        ([0, 0, 2, 2, 4, 4], [0, 1, 0, 2, 0, 1], "leave-one-speaker-out", r"train has 2 of 3 classes"),
        ([0, 0, 1, 1], [0, 1, 0, 1], "predefined", "has no column split"),
    ],
)
def test_what_a_corpus_does_not_allow(speaker: list, label: list, kind: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as refused:
        cut(made(speaker, label), Protocol(kind=kind))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "leave-one-speaker"},
        {"kind": "group-k-fold", "dev": "speaker"},
        {"kind": "predefined", "folds": 3},
        {"kind": "leave-one-session-out", "dev": "same-session"},
        {"kind": "leave-one-session-out", "group": "session"},
        {"kind": "group-k-fold", "folds": 2},
        {"kind": "group-k-fold", "shuffle": True},
    ],
)
def test_a_protocol_checks_itself(wrong: dict) -> None:
    with pytest.raises(ValidationError):
        Protocol.model_validate(wrong)


_NONE = np.empty(0, dtype=np.int64)


@pytest.mark.parametrize(
    ("train", "dev", "test", "unlabeled", "message"),
    [
        ([0], [1], [4], [], r"speaker 'P0' is in train and in dev"),
        ([0, 1], [4], [5], [], r"speaker 'P1' is in dev and in test"),
        ([0, 1], [4, 5], [8], [9], r"speaker 'P2' is in train and in test"),
        ([0], [4], [0, 8], [], "an utterance is in two parts"),
    ],
)
def test_a_fold_with_a_shared_speaker_cannot_be_made(
    eight: Corpus, train: list, dev: list, test: list, unlabeled: list, message: str
) -> None:
    parts = [np.array(part, dtype=np.int64) for part in (train, dev, test, unlabeled)]
    with pytest.raises(InputError, match=message):
        Fold.make("wrong", eight, *parts)
    with pytest.raises(InputError):
        Fold("wrong", *parts)


def test_a_fold_cannot_be_changed_and_travels(eight: Corpus) -> None:
    fold = Fold.make("fold", eight, np.array([2, 0]), np.array([4]), np.array([8]))
    assert fold.train.tolist() == [0, 2]
    with pytest.raises(ValueError, match="read-only"):
        fold.train[0] = 4
    assert _contents([pickle.loads(pickle.dumps(fold))]) == _contents([fold])


def test_the_fold_for_final_training_holds_nothing_out(eight: Corpus) -> None:
    fold = Fold.for_training(eight, np.flatnonzero(eight.labels >= 0))
    assert (len(fold.train), len(fold.dev), len(fold.test), len(fold.unlabeled)) == (24, 0, 0, 8)


_FOLDS = {
    "iemocap": (10, 5, 5, None),
    "msp_improv": (8, 4, 5, None),
    "emodb": (10, 10, 5, None),
    "ravdess": (24, 24, 5, None),
    "meld": (None, None, 5, 1),
    "cmu_mosi": (None, None, 5, 1),
}


@pytest.mark.parametrize("name", _FOLDS)
def test_what_the_real_corpora_allow(name: str, shared_data: Callable[[str], Path]) -> None:
    answers = allowed(corpora.load(shared_data(name)))
    found = [int(each.reason.split()[0]) if each.allowed else None for each in answers]
    assert tuple(found) == _FOLDS[name]
    assert all(each.reason for each in answers)


def test_iemocap_dev_is_the_other_speaker_of_the_test_session(shared_data: Callable[[str], Path]) -> None:
    corpus = corpora.load(shared_data("iemocap"), modalities=["audio"])
    folds, _ = cut(corpus, Protocol(kind="leave-one-speaker-out"))
    by_name = {fold.name: fold for fold in folds}
    assert _speakers(corpus, by_name["Ses03M"].dev) == "Ses03F"
    assert "Ses03" not in _speakers(corpus, by_name["Ses03M"].train)
    assert sum(len(fold.test) for fold in folds) == 5531
    (meld,), warnings = cut(corpora.load(shared_data("meld")), Protocol(kind="predefined"))
    assert (len(meld.train), len(meld.dev), len(meld.test)) == (9989, 1109, 2610)
    assert warnings[0].startswith("SHARED SPEAKERS: 70 of 100")
    with pytest.raises(InputError, match=r"set protocol\.folds"):
        cut(corpora.load(shared_data("cmu_mosi")), Protocol(kind="leave-one-speaker-out"))
    assert len(cut(corpora.load(shared_data("cmu_mosi")), Protocol(kind="leave-one-speaker-out", folds=10))[0]) == 10
