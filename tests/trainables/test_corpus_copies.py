"""Columns of augmented copies are read with the column they are copies of, and are no features of their own."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trainables import corpus as corpora
from trainables import synth
from trainables.copies import chosen, unknown
from trainables.errors import InputError
from trainables.protocols import Protocol, cut
from trainables.task import Task

AUDIO = "audio_synth32"


def vectors(table, shift=1.0, missing=()):
    """The audio of a table, shifted; null in some rows."""
    rows = table[AUDIO].to_pylist()
    values = [
        None if number in missing or row is None else [value + shift for value in row]
        for number, row in enumerate(rows)
    ]
    return pa.array(values, pa.list_(pa.float32(), 32))


@pytest.fixture(scope="module")
def table():
    return synth.make()


@pytest.fixture
def folder(table, tmp_path):
    """The built-in corpus in a folder of a name of its own, with copies in a side file."""
    place = tmp_path / "heard"
    place.mkdir()
    pq.write_table(table, place / "main.parquet")
    side = pa.table(
        {
            "utterance_id": table["utterance_id"],
            f"{AUDIO}+speed0.9": vectors(table, 2.0),
            f"{AUDIO}+noise10": vectors(table, 1.0, missing=(3, 4)),
        }
    )
    pq.write_table(side, place / "copies.parquet")
    return place


def test_copies_are_read_with_their_column_and_are_no_choice(folder):
    corpus = corpora.load(folder)
    assert corpus.columns["audio"] == AUDIO
    assert list(corpus.copies) == ["noise10", "speed0.9"]
    there = corpus.present["audio"]
    np.testing.assert_allclose(corpus.copies["speed0.9"][there], corpus.features["audio"][there] + 2.0)
    gone = corpus.utterances["utterance_id"].isin(synth.make()["utterance_id"].to_pylist()[3:5]).to_numpy()
    assert np.isnan(corpus.copies["noise10"][gone]).all()
    assert np.isfinite(corpus.copies["noise10"][there & ~gone]).all()
    assert any("noise10: 2 utterances have no copy" in each for each in corpus.warnings)


def test_what_has_no_copies_stays_what_it_was(folder):
    before = corpora.load("builtin")
    assert before.copies == {}
    with_copies = corpora.load(folder)
    (folder / "copies.parquet").unlink()
    without = corpora.load(folder)
    assert without.fingerprint == before.fingerprint != with_copies.fingerprint


def test_copies_are_part_of_the_fingerprint_wherever_they_lie(folder, table):
    one = corpora.load(folder).fingerprint
    side = pq.read_table(folder / "copies.parquet")
    pq.write_table(table.append_column(f"{AUDIO}+noise10", side[f"{AUDIO}+noise10"]), folder / "main.parquet")
    pq.write_table(side.drop_columns([f"{AUDIO}+noise10"]), folder / "copies.parquet")
    assert corpora.load(folder).fingerprint == one
    other = vectors(table, 2.001)
    place = side.schema.get_field_index(f"{AUDIO}+speed0.9")
    changed = side.set_column(place, f"{AUDIO}+speed0.9", other).drop_columns([f"{AUDIO}+noise10"])
    pq.write_table(changed, folder / "copies.parquet")
    assert corpora.load(folder).fingerprint != one


def test_only_the_copies_of_the_chosen_column_are_read(folder, table):
    side = pa.table({"utterance_id": table["utterance_id"], "audio_other": vectors(table, 5.0)})
    pq.write_table(side, folder / "other.parquet")
    assert set(corpora.load(folder, features={"audio": AUDIO}).copies) == {"noise10", "speed0.9"}
    assert corpora.load(folder, features={"audio": "audio_other"}).copies == {}
    assert corpora.load(folder, modalities=["text"]).copies == {}


def test_utterances_stay_together(folder):
    whole, some = corpora.load(folder), corpora.load(folder, where={"session": "S1"})
    rows = (whole.utterances["session"] == "S1").to_numpy()
    assert 0 < rows.sum() < len(rows)
    for name in whole.copies:
        np.testing.assert_array_equal(some.copies[name], whole.copies[name][rows])
    folds, _ = cut(whole, Protocol(kind="leave-one-session-out"))
    labeled = Task(whole, folds, (0,)).labeled().corpus
    np.testing.assert_array_equal(labeled.copies["speed0.9"], whole.copies["speed0.9"][whole.labels >= 0])


def test_a_second_corpus_has_no_copies(folder, tmp_path, table):
    other = tmp_path / "other"
    other.mkdir()
    pq.write_table(table.slice(0, 60), other / "main.parquet")
    joined = corpora.read(folder, unlabeled=other)
    for vectors_ in joined.copies.values():
        assert vectors_.shape == joined.features["audio"].shape
        assert np.isnan(vectors_[joined.guests]).all()
        assert np.isfinite(vectors_[~joined.guests]).any()
    with pytest.raises(InputError, match="is the corpus itself"):
        corpora.read(folder, unlabeled=folder)


def test_copies_of_another_length_are_refused(folder, table):
    short = pa.array([row and row[:31] for row in table[AUDIO].to_pylist()], pa.list_(pa.float32(), 31))
    pq.write_table(pa.table({"utterance_id": table["utterance_id"], f"{AUDIO}+pitch2": short}), folder / "more.parquet")
    with pytest.raises(InputError, match=r"pitch2: vectors have 31 values, those of audio_synth32 32; extract both"):
        corpora.load(folder)


def test_a_copy_cannot_be_chosen_for_a_modality(folder):
    with pytest.raises(InputError, match=r"no column 'audio_synth32\+noise10'"):
        corpora.load(folder, features={"audio": f"{AUDIO}+noise10"})


def test_the_summary_lists_them(folder):
    found = {each.name: each for each in corpora.inspect(folder).columns}
    assert found[f"{AUDIO}+noise10"].used
    assert found[f"{AUDIO}+noise10"].missing == found[AUDIO].missing + 2


def test_which_copies_are_meant():
    there = ("noise0", "noise10", "speed0.9", "room")
    assert chosen(None, there) == there
    assert chosen(["noise"], there) == ("noise0", "noise10")
    assert chosen(["room", "noise10"], there) == ("noise10", "room")
    assert chosen([], there) == ()
    assert unknown(["noise", "speed1.1"], there) == "speed1.1"
    assert unknown(["noise", "room"], there) == ""
    assert unknown(None, there) == ""
