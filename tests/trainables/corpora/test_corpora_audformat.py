"""audformat databases: the layout that its package 1.4.3 writes, from its plain files."""

import made_trees
import pandas as pd
import pytest

from trainables.corpora import audformat, build
from trainables.errors import InputError

# As the package wrote it for such a database, line by line.
HEADER = """name: mydb
source: x
usage: unrestricted
languages: [deu]
schemes:
  emotion:
    dtype: str
    labels:
      anger: {category: ang}
      happiness: {category: hap}
  speaker:
    dtype: int
    labels:
      3: {gender: male}
      8: {gender: female}
  transcription:
    dtype: str
    labels: {a01: Der Lappen.}
splits:
  held_out: {type: test}
  train: {type: train}
tables:
  emotion.test:
    type: filewise
    split_id: held_out
    columns:
      emotion: {scheme_id: emotion, rater_id: gold}
  emotion.train:
    type: filewise
    split_id: train
    columns:
      emotion: {scheme_id: emotion, rater_id: gold}
  files:
    type: filewise
    columns:
      speaker: {scheme_id: speaker}
      transcription: {scheme_id: transcription}
      duration: {}
"""
SEGMENTS = """  segments:
    type: segmented
    columns:
      mood: {scheme_id: emotion}
"""


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "mydb"
    made_trees.text(root / "db.yaml", HEADER + SEGMENTS)
    made_trees.text(root / "db.emotion.test.csv", "file,emotion", "wav/b.wav,happiness")
    made_trees.text(root / "db.emotion.train.csv", "file,emotion", "wav/a.wav,anger")
    made_trees.text(
        root / "db.files.csv",
        "file,speaker,transcription,duration",
        "wav/a.wav,3,a01,0 days 00:00:01.500000",
        "wav/b.wav,8,a01,0 days 00:00:02",
    )
    made_trees.text(
        root / "db.segments.csv",
        "file,start,end,mood",
        "wav/a.wav,0 days 00:00:00.000000,0 days 00:00:00.500000,anger",
        "wav/a.wav,0 days 00:00:00.500000,,",
    )
    made_trees.wav(root / "wav" / "a.wav", 1.5)
    made_trees.wav(root / "wav" / "b.wav", 2)
    return root


def rows(tree, **options):
    return {row["utterance_id"]: row for row in audformat.read(tree, audformat.Audformat(**options)).rows}


def test_tables_splits_and_schemes_become_a_corpus(tree, tmp_path):
    made = build.build("audformat", tree, tmp_path / "out").utterances.set_index("utterance_id")
    assert made["label"].to_dict() == {"a": "anger", "b": "happiness"}
    assert made["split"].to_dict() == {"a": "train", "b": "test"}
    assert made["speaker"].to_dict() == {"a": "3", "b": "8"}
    assert made["gender"].to_dict() == {"a": "m", "b": "f"}
    assert made["transcript"].to_dict() == {"a": "Der Lappen.", "b": "Der Lappen."}
    assert made["duration"].to_dict() == {"a": 1.5, "b": 2.0}


def test_segments_have_times_and_the_facts_of_their_file(tree, tmp_path):
    made = build.build("audformat", tree, tmp_path / "out", options={"label": "mood"}).utterances
    assert made["duration"].tolist() == [0.5, 1.0]
    assert made["speaker"].tolist() == ["3", "3"]
    assert made["label_raw"].isna().tolist() == [False, True]
    assert made["utterance_id"].tolist() == ["a_0.000", "a_0.500"]


def test_tables_may_be_parquet(tree):
    expected = rows(tree, label="mood")
    path = tree / "db.segments.csv"
    table = pd.read_csv(path)
    for name in ("start", "end"):
        table[name] = pd.to_timedelta(table[name])
    table["mood"] = table["mood"].astype("category")
    table.to_parquet(tree / "db.segments.parquet", index=False)
    path.unlink()
    assert rows(tree, label="mood") == expected


def test_a_pickled_table_is_not_opened(tree):
    (tree / "db.files.csv").rename(tree / "db.files.pkl")
    with pytest.raises(InputError, match=r"nor as \.csv; save the database with storage_format='csv'"):
        rows(tree)


def test_two_tables_that_disagree_are_refused(tree):
    made_trees.text(tree / "db.emotion.test.csv", "file,emotion", "wav/b.wav,happiness", "wav/a.wav,happiness")
    with pytest.raises(InputError, match=r"wav/a\.wav is '.*', in another table '.*'; choose tables"):
        rows(tree)
    assert rows(tree, tables=["emotion.train"])["a"]["label_raw"] == "anger"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"label": "valence"}, "no table has a column 'valence'"),
        ({"speaker": "who"}, "no table says in a column 'who' who speaks in b.wav (2 of 2 utterances)"),
        ({"tables": ["feelings"]}, "has no table 'feelings'; it has emotion.test"),
        ({"tables": ["files", "segments"]}, "files, segments hold whole files and segments"),
    ],
)
def test_options_that_name_nothing_are_refused(tree, options, expected):
    with pytest.raises(InputError) as error:
        rows(tree, **options)
    assert expected in str(error.value)


def test_a_time_or_header_that_cannot_be_read_is_named(tree):
    path = made_trees.text(tree / "db.segments.csv", "file,start,end,mood", "wav/a.wav,soon,,anger")
    with pytest.raises(InputError) as error:
        rows(tree, label="mood")
    assert str(error.value).startswith(f"{path}: line 2: found 'soon' as start")
    made_trees.text(tree / "db.yaml", "name: [", "tables: {")
    with pytest.raises(InputError, match=r"db\.yaml: line \d: is no YAML"):
        rows(tree)
    made_trees.text(tree / "db.yaml", "name: x")
    with pytest.raises(InputError, match=r"db\.yaml: names no tables"):
        rows(tree)
    (tree / "db.yaml").unlink()
    with pytest.raises(InputError, match=r"holds no db\.yaml"):
        rows(tree)
