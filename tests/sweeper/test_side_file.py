"""Feature columns written in parts, put in place once and whole."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sweeper.side_file import SideFile, describe
from trainables import corpus
from trainables.errors import InputError


@pytest.fixture
def folder(tmp_path):
    table = {"utterance_id": ["a", "b", "c", "d"], "speaker": ["p", "p", "q", "q"], "label": ["x", "y", "x", "y"]}
    pd.DataFrame(table).to_parquet(tmp_path / "main.parquet")
    return tmp_path


def side(folder, fingerprint="one", *, sequence=False):
    return SideFile(folder, "audio_x", sequence=sequence, fingerprint=fingerprint * 16)


def write(file):
    with file.writing():
        file.add(1, ["c"], [np.array([5.0, 6.0])])
        file.add(0, ["a", "b"], [np.array([1.0, 2.0]), np.array([3.0, 4.0])])
        return file.finish(["d"], {}, {"request": {"encoder": "mine"}})


def test_a_column_is_joined_to_the_corpus_with_nulls_where_there_is_nothing(folder):
    assert write(side(folder)) == 2
    found = corpus.load(folder)
    assert found.columns == {"audio": "audio_x"}
    np.testing.assert_array_equal(found.features["audio"][:3], [[1, 2], [3, 4], [5, 6]])
    assert found.present["audio"].tolist() == [True, True, True, False]
    # Parts in their order, whichever came first; nothing else is left.
    assert pq.read_table(folder / "audio_x.parquet")["utterance_id"].to_pylist() == ["a", "b", "c", "d"]
    assert pq.read_schema(folder / "audio_x.parquet").field("audio_x").type == pa.list_(pa.float32(), 2)
    assert sorted(path.name for path in folder.iterdir()) == ["audio_x.parquet", "main.parquet"]


def test_sequences_come_back_as_they_were(folder):
    file, given = side(folder, sequence=True), [np.ones((3, 2)), np.arange(2.0).reshape(1, 2)]
    with file.writing():
        file.add(0, ["a", "b"], given)
        assert file.finish(["c", "d"], {}, {}) == 2
    table = pq.read_table(folder / "audio_x.parquet")
    assert table.schema.field("audio_x").type == pa.list_(pa.list_(pa.float32(), 2))
    read = table["audio_x"].to_pylist()
    assert [np.array(each).tolist() for each in read[:2]] == [each.tolist() for each in given]
    assert read[2:] == [None, None]
    # No vectors, so no feature column: the reader leaves it alone.
    with pytest.raises(InputError, match="no feature column"):
        corpus.load(folder)


def test_the_same_content_is_done_and_another_refused(folder):
    write(side(folder))
    assert side(folder).is_done()
    with pytest.raises(InputError, match=r"is there already, from another request .*encoder mine.*--column"):
        side(folder, "two").is_done()
    pd.DataFrame({"utterance_id": ["a"], "audio_x": [[1.0]]}).to_parquet(folder / "audio_x.parquet")
    with pytest.raises(InputError, match="is there already, from elsewhere"):
        side(folder).is_done()


def test_parts_are_kept_when_the_writing_ends_early(folder):
    file = side(folder)
    with suppress(KeyboardInterrupt), file.writing():
        file.add(0, ["a", "b"], [np.array([1.0, 2.0]), np.array([3.0, 4.0])])
        raise KeyboardInterrupt
    assert not file.path.exists()
    again = side(folder)
    with again.writing():
        assert again.done() == {"a", "b"}
        again.add(0, ["c"], [np.array([5.0, 6.0])])
        again.finish(["d"], {}, {})
    assert pq.read_table(folder / "audio_x.parquet")["utterance_id"].to_pylist() == ["a", "b", "c", "d"]
    # Parts of another request are no part of this one.
    assert side(folder, "two").done() == set()


def test_nothing_is_left_of_what_wrote_nothing(folder):
    with (
        pytest.raises(InputError, match="no utterance could be encoded; the first: a is damaged"),
        side(folder).writing(),
    ):
        side(folder).finish([], {"a": "a is damaged"}, {})
    assert [path.name for path in folder.iterdir()] == ["main.parquet"]


@pytest.mark.parametrize("metadata", [b"{", b"[]", b"\xff"])
def test_metadata_of_others_are_no_description(tmp_path, metadata):
    table = pa.table({"utterance_id": ["a"]}).replace_schema_metadata({b"sweeper.features": metadata})
    pq.write_table(table, tmp_path / "t.parquet")
    assert describe(tmp_path / "t.parquet") == {}


def test_one_process_writes_a_column(folder):
    with side(folder).writing(), pytest.raises(InputError, match="process"), side(folder).writing():
        pass


def test_broken_utterances_are_null_and_named(folder):
    file = side(folder)
    with file.writing():
        file.add(0, ["a"], [np.ones(2)])
        file.finish([], {"b": "b is damaged"}, {})
    assert describe(file.path)["skipped"] == {"b": "b is damaged"}
    assert pq.read_table(file.path)["audio_x"].to_pylist() == [[1.0, 1.0], None]
