"""Choosing utterances by the values of a column, and joining a second corpus as unlabeled utterances."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import test_corpus

from trainables import corpus as corpora
from trainables.corpus import Corpus, load, with_unlabeled
from trainables.errors import InputError
from trainables.prepared import Prepared
from trainables.protocols import Protocol, cut
from trainables.task import Task

SCENARIO = ["improvised", "scripted", "improvised", None] * 3


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return test_corpus.store(tmp_path / "mine", main=test_corpus.table(scenario=pa.array(SCENARIO)))


def test_where_keeps_the_utterances_with_the_value_and_all_that_is_theirs(folder: Path) -> None:
    whole, part = load(folder), load(folder, where={"scenario": "improvised"})
    keep = np.array([value == "improvised" for value in SCENARIO])
    assert part.utterances["utterance_id"].tolist() == whole.utterances["utterance_id"][keep].tolist()
    assert part.labels.tolist() == whole.labels[keep].tolist()
    for modality in whole.features:
        np.testing.assert_array_equal(part.features[modality], whole.features[modality][keep])
        np.testing.assert_array_equal(part.present[modality], whole.present[modality][keep])
    assert part.fingerprint != whole.fingerprint


def test_several_values_and_several_columns(folder: Path) -> None:
    both = load(folder, where={"scenario": ["improvised", "scripted"]})
    assert len(both.labels) == 9
    one = load(folder, where={"scenario": ["improvised", "scripted"], "session": "S0"})
    assert set(one.utterances["session"]) == {"S0"}


def test_a_class_that_is_left_out_is_no_class(folder: Path) -> None:
    early = load(folder, where={"turn": ["0"]}, labeled=False)
    assert early.classes == ("calm",)
    assert early.labels.tolist() == [0, 0, 0, 0]


def test_kinds_are_the_columns_that_where_could_choose_by(tmp_path: Path) -> None:
    whole = test_corpus.table()
    labels = whole["label"].to_pylist()
    more = {
        "scenario": pa.array(SCENARIO).dictionary_encode(),
        "same": pa.array(["x"] * 12),
        "own": pa.array([f"x{row}" for row in range(12)]),
        "number": pa.array([0, 1] * 6),
        "label_raw": pa.array([f"{each} {row % 2}" for row, each in enumerate(labels)]),
    }
    folder = test_corpus.store(tmp_path / "mine", main=test_corpus.table(**more))
    corpus = load(folder, where={"session": "S0"})
    found = corpora.kinds(folder, corpus)
    # What tells the class, as the corpus's own label or an id does, is none.
    assert list(found) == ["scenario"]
    ids = corpus.utterances["utterance_id"]
    assert found["scenario"].tolist() == [SCENARIO[int(each[1:])] or "" for each in ids]
    assert corpora.kinds(corpora.BUILTIN, load(corpora.BUILTIN)) == {}


def test_utterances_of_a_second_corpus_are_of_no_kind(folder: Path, tmp_path: Path) -> None:
    other = load(test_corpus.store(tmp_path / "other", main=test_corpus.table(rows=4)), labeled=False)
    both = with_unlabeled(load(folder), other)
    assert corpora.kinds(folder, both)["scenario"].tolist() == [each or "" for each in SCENARIO] + [""] * 4


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ({"scenari": "improvised"}, r"where\.scenari: corpus mine has no such column; did you mean scenario\?"),
        ({"scenario": "improvized"}, r"where\.scenario: .*'improvized'; there is improvised, scripted"),
        ({"scenario": "scripted", "speaker": "P0"}, "where: no utterance of corpus mine has all of these values"),
    ],
)
def test_a_choice_that_cannot_be_made_is_refused(folder: Path, where: dict, says: str) -> None:
    with pytest.raises(InputError, match=says):
        load(folder, where=where)


@pytest.fixture
def both(tmp_path: Path) -> tuple[Corpus, Corpus]:
    """Two corpora with equal names of utterances, speakers and sessions; the second's features are shifted."""
    rng = np.random.default_rng(3)
    here = test_corpus.table(16, split=pa.array(["train", "train", "dev", "test"] * 4))
    there = test_corpus.table(
        audio_made3=test_corpus.vectors(rng.normal(size=(12, 3)) * 4 + 10), label=pa.array(["other"] * 12)
    )
    folders = [test_corpus.store(tmp_path / name, main=each) for name, each in (("here", here), ("there", there))]
    return load(folders[0]), load(folders[1], labeled=False)


def test_a_second_corpus_is_all_unlabeled_and_shares_no_name(both: tuple[Corpus, Corpus]) -> None:
    one, other = both
    joined = with_unlabeled(one, other)
    assert joined.classes == one.classes
    assert joined.labels.tolist() == one.labels.tolist() + [-1] * 12
    assert joined.guests.tolist() == [False] * 16 + [True] * 12
    assert not one.guests.any()
    for column in ("utterance_id", "speaker", "session", "dialogue"):
        assert not set(joined.utterances[column][:16]) & set(joined.utterances[column][16:])
    assert set(joined.utterances["split"][16:]) == {"train"}
    assert joined.fingerprint not in (one.fingerprint, other.fingerprint)


def test_the_labels_of_the_second_corpus_are_never_read(tmp_path: Path, both: tuple[Corpus, Corpus]) -> None:
    one, other = both
    other.utterances["label"] = "angry"
    poisoned = with_unlabeled(one, other)
    other.utterances["label"] = "calm"
    assert poisoned.fingerprint == with_unlabeled(one, other).fingerprint


def test_the_second_corpus_is_on_the_train_side_of_every_fold(both: tuple[Corpus, Corpus]) -> None:
    one, joined = both[0], with_unlabeled(*both)
    for kind in ("predefined", "leave-one-speaker-out"):
        before, _ = cut(one, Protocol(kind=kind))
        after, _ = cut(joined, Protocol(kind=kind))
        for old, new in zip(before, after, strict=True):
            for part in ("train", "dev", "test"):
                np.testing.assert_array_equal(getattr(old, part), getattr(new, part))
            assert set(range(16, 28)) <= set(new.unlabeled.tolist())


def test_each_corpus_is_standardised_by_itself(both: tuple[Corpus, Corpus]) -> None:
    joined = with_unlabeled(*both)
    folds, _ = cut(joined, Protocol(kind="leave-one-speaker-out"))
    audio = Prepared.make(Task(joined, folds, (0,))).features["audio"].numpy()
    np.testing.assert_allclose(audio[:, 16:].mean(1), 0, atol=1e-5)
    np.testing.assert_allclose(audio[:, 16:].std(1), 1, atol=1e-5)
    alone = Prepared.make(Task(both[0], cut(both[0], Protocol(kind="leave-one-speaker-out"))[0], (0,)))
    np.testing.assert_array_equal(audio[:, :16], alone.features["audio"].numpy())


def test_a_corpus_that_does_not_fit_is_refused(tmp_path: Path, both: tuple[Corpus, Corpus]) -> None:
    one, _ = both
    with pytest.raises(InputError, match="unlabeled: is the corpus itself"):
        with_unlabeled(one, one)
    wide = test_corpus.store(
        tmp_path / "wide", main=test_corpus.table(audio_made3=test_corpus.vectors(np.ones((12, 5))))
    )
    with pytest.raises(InputError, match="unlabeled: audio_made3 of corpus wide has 5 values, that of here 3"):
        with_unlabeled(one, load(wide))
    with pytest.raises(InputError, match=r"unlabeled: corpus .*nowhere"):
        corpora.read(tmp_path / "here", unlabeled=tmp_path / "nowhere")
