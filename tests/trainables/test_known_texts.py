"""Test texts known from train: counted here one by one, in Python sets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainables import corpus as corpora
from trainables.corpus import Corpus
from trainables.folds import Fold
from trainables.known_texts import Known, known_texts, warnings
from trainables.protocols import Protocol, cut


def made(
    texts: list[str | None], speakers: list[int], labels: list[int] | None = None, *, vectors: bool = False
) -> Corpus:
    """A corpus of one utterance a text, by transcript or by one vector a distinct text."""
    size = len(texts)
    labels = [place % 2 for place in range(size)] if labels is None else labels
    names = sorted({text for text in texts if text is not None})
    features = np.array([[np.nan] * 3 if each is None else [names.index(each)] * 3 for each in texts], np.float32)
    table = pd.DataFrame(
        {
            "utterance_id": [f"u{row:03d}" for row in range(size)],
            "speaker": [f"p{each}" for each in speakers],
            "session": [f"p{each}" for each in speakers],
            "dialogue": [f"d{row}" for row in range(size)],
            "turn": 0,
            "label": [None if each < 0 else str(each) for each in labels],
        }
    )
    if not vectors:
        table["transcript"] = pd.array(texts, dtype="str")
    return Corpus(
        name="made",
        utterances=table,
        features={"text": features} if vectors else {},
        present={"text": np.array([each is not None for each in texts])} if vectors else {},
        labels=np.array(labels),
        classes=("0", "1"),
        columns={},
        fingerprint="",
        warnings=(),
    )


def by_speaker(corpus: Corpus) -> list[Fold]:
    """One fold a speaker, the next one is dev; parts may lack a class."""
    names, speakers, labeled = corpus.utterances["speaker"].unique(), corpus.speakers, corpus.labels >= 0
    folds = []
    for place, name in enumerate(names):
        dev = names[(place + 1) % len(names)] if len(names) > 1 else ""
        parts = (~np.isin(speakers, [name, dev]), speakers == dev, speakers == name)
        folds.append(Fold.make(name, corpus, *(np.flatnonzero(part & labeled) for part in parts)))
    return folds


LINES = ("what are you doing here", "I do not know that", "leave me alone now please", "yeah", None)


@given(
    st.lists(st.tuples(st.sampled_from(LINES), st.integers(0, 3), st.integers(-1, 1)), min_size=1, max_size=40),
    st.booleans(),
)
def test_every_test_text_is_looked_up_in_its_folds_labeled_train_part(rows, vectors):
    texts, speakers, labels = map(list, zip(*rows, strict=True))
    corpus = made(texts, speakers, labels, vectors=vectors)
    folds = by_speaker(corpus)
    counted = {line for line in LINES if line and (vectors or len(line.split()) >= 4)}
    found, of = {}, {}
    for fold in folds:
        train = {texts[row] for row in fold.train}
        asked = [texts[row] for row in fold.test if texts[row] in counted]
        of[fold.name], found[fold.name] = len(asked), sum(each in train for each in asked)
    got = known_texts(corpus, folds)
    if not sum(of.values()):
        assert got is None
        return
    assert (got.by, got.known, got.of) == ("vector" if vectors else "transcript", sum(found.values()), sum(of.values()))
    assert got.worst == pytest.approx(max(found[name] / of[name] for name in of if of[name]))


def test_case_punctuation_and_spaces_do_not_tell_texts_apart_but_words_do():
    said = [
        "Well, WHAT is -- this?",
        "well what is this",
        "well what is that",
        " Well  what is this! ",
        "a b c d",
        "e f g h",
    ]
    corpus = made(said, [0, 1, 0, 2, 1, 2])
    assert known_texts(corpus, by_speaker(corpus))[1:3] == (3, 6)


def test_an_unlabeled_utterance_teaches_no_label():
    corpus = made(["one two three four"] * 3, [0, 1, 2], [0, -1, 1])
    folds = [Fold.make("x", corpus, np.array([], int), np.array([2]), np.array([0]), np.array([1]))]
    assert known_texts(corpus, folds)[1:3] == (0, 1)


def test_a_corpus_without_texts_says_nothing():
    corpus = replace(made(["a"] * 4, [0, 1, 2, 3], vectors=True), features={}, present={})
    assert known_texts(corpus, by_speaker(corpus)) is None
    assert list(warnings(corpus, by_speaker(corpus))) == []


@pytest.mark.parametrize(
    ("by", "known", "many"),
    [("transcript", 9, False), ("transcript", 10, True), ("vector", 14, False), ("vector", 15, True)],
)
def test_from_which_share_on_it_is_worth_a_warning(by, known, many):
    assert Known(by, known, 100, "x", 0.5).many == many


def scripted() -> tuple[Corpus, np.ndarray, np.ndarray]:
    """Half of what each of four speakers says is a script that all read; and columns that tell so, or tell nothing."""
    rows = [(speaker, line, script) for speaker in range(4) for line in range(10) for script in (True, False)]
    texts = [
        f"these are line words {line}" if script else f"my own {speaker} line {line}" for speaker, line, script in rows
    ]
    corpus = made(texts, [speaker for speaker, _, _ in rows], [line % 2 for _, line, _ in rows])
    kind = np.array(["scripted" if script else "improvised" for *_, script in rows], dtype=object)
    return corpus, kind, np.array([["x", "y"][line % 2] for _, line, _ in rows], dtype=object)


def test_the_warning_has_numbers_and_the_column_that_helps():
    corpus, kind, other = scripted()
    (text,) = warnings(corpus, by_speaker(corpus), lambda: {"other": other, "scenario": kind})
    assert text == (
        "KNOWN TEXTS: 40 of 80 test utterances (50%; 50% in p0) have the words (4 or more) of an utterance of their "
        "train part: results there do not speak for new sentences; where: {scenario: improvised} keeps 40 of 80 "
        "labeled utterances and leaves 0%"
    )


def test_of_several_kinds_all_that_are_free_are_kept():
    corpus, kind, _ = scripted()
    four = np.array([f"{each} {'ab'[row % 4 // 2]}" for row, each in enumerate(kind)], dtype=object)
    (text,) = warnings(corpus, by_speaker(corpus), lambda: {"four": four})
    assert "where: {four: [improvised a, improvised b]} keeps 40 of 80" in text


def test_no_remedy_is_named_that_loses_a_class_or_most_of_the_corpus():
    corpus, kind, _ = scripted()
    labels = np.where(kind == "improvised", 0, corpus.labels)
    one_class = replace(corpus, labels=labels)
    few = np.where(np.arange(80) < 70, "most", kind).astype(object)
    for each, column in ((one_class, kind), (corpus, few), (corpus, np.full(80, "", dtype=object))):
        (text,) = warnings(each, by_speaker(each), lambda column=column: {"scenario": column})
        assert text.endswith("do not speak for new sentences")


def test_columns_are_not_read_where_there_is_nothing_to_warn_of():
    corpus = made([f"a sentence with number {row}" for row in range(8)], [0, 1, 2, 3] * 2)

    def never():
        raise AssertionError("a folder of Parquet files was read for nothing")

    assert list(warnings(corpus, by_speaker(corpus), never)) == []


# real corpora


@pytest.mark.parametrize(
    ("name", "column", "kept", "free"),
    [
        ("iemocap", "scenario", "improvised", {"scenario": "improvised"}),
        ("msp_improv", "scenario", "[improvised_other, natural]", {"scenario": ["improvised_other", "natural"]}),
    ],
)
def test_scripts_and_target_sentences_are_found_and_can_be_left_out(
    name: str, column: str, kept: str, free: dict, shared_data: Callable[[str], Path]
) -> None:
    folder, protocol = shared_data(name), Protocol(kind="leave-one-session-out")
    corpus = corpora.load(folder, modalities=["text"])
    (text,) = warnings(corpus, cut(corpus, protocol)[0], lambda: corpora.kinds(folder, corpus))
    assert f"where: {{{column}: {kept}}} keeps" in text
    part = corpora.load(folder, modalities=["text"], where=free)
    assert list(warnings(part, cut(part, protocol)[0])) == []
    # What the warning promises is what there is.
    assert text.endswith(f"leaves {known_texts(part, cut(part, protocol)[0]).share:.0%}")


def test_two_sentences_said_by_all_are_found(shared_data: Callable[[str], Path]) -> None:
    corpus = corpora.load(shared_data("ravdess"))
    folds, _ = cut(corpus, Protocol(kind="leave-one-speaker-out"))
    assert known_texts(corpus, folds)[1:3] == (1440, 1440)
    assert len(list(warnings(corpus, folds, lambda: corpora.kinds(shared_data("ravdess"), corpus)))) == 1


def test_short_answers_of_a_series_are_no_script(shared_data: Callable[[str], Path]) -> None:
    corpus = corpora.load(shared_data("meld"))
    assert list(warnings(corpus, cut(corpus, Protocol(kind="predefined"))[0])) == []
