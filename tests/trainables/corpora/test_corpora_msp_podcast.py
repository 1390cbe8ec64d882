"""MSP-Podcast: consensus labels in both forms, partitions, and speakers whom nobody identified."""

import json

import made_trees
import pytest

from trainables import corpus, protocols
from trainables.corpora import build, msp_podcast
from trainables.errors import InputError

NAMES = ("FileName", "EmoClass", "EmoAct", "EmoVal", "EmoDom", "SpkrID", "Gender", "Split_Set")
LABELS = [
    ("MSP-PODCAST_0001_0008.wav", "N", 2.2, 4.0, 2.6, "30", "Male", "Test1"),
    ("MSP-PODCAST_0001_0009.wav", "H", 3.8, 3.5, 3.7, "Unknown", "Female", "Train"),
    ("MSP-PODCAST_0001_0100.wav", "X", 3.8, 3.5, 3.7, "Unknown", "Female", "Train"),
    ("MSP-PODCAST_0002_0001.wav", "A", 3.8, 3.5, 3.7, "Unknown", "Unknown", "Development"),
    ("MSP-PODCAST_0002_0002_01.wav", "C", 3.8, 3.5, "", "39", "Male", "Test2"),
]


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "MSP-Podcast"
    made_trees.csv_file(root / "Labels" / "labels_consensus.csv", NAMES, LABELS)
    for name, *_ in LABELS:
        made_trees.wav(root / "Audios" / name, 0.2)
    made_trees.text(root / "Transcripts" / "MSP-PODCAST_0001_0008.txt", "you know, a podcast")
    (root / "Transcripts" / "MSP-PODCAST_0001_0009.txt").touch()
    return root


def read(tree, **options):
    return msp_podcast.read(tree, msp_podcast.MspPodcast(**options))


def rows(tree, **options):
    return {row["utterance_id"].removeprefix("MSP-PODCAST_"): row for row in read(tree, **options).rows}


def test_the_unknown_of_a_podcast_are_one_speaker_apart_from_all_others(tree):
    speakers = {name: row["speaker"] for name, row in rows(tree).items()}
    assert speakers == {
        "0001_0008": "speaker_30",
        "0001_0009": "unknown_0001",
        "0001_0100": "unknown_0001",
        "0002_0001": "unknown_0002",
        "0002_0002_01": "speaker_39",
    }
    assert "3 utterances of unknown speakers count as 2 speakers, one a podcast" in read(tree).notes


def test_the_unknown_may_be_a_speaker_an_utterance_or_left_out(tree):
    assert len({row["speaker"] for row in rows(tree, unknown="utterance").values()}) == 5
    dropped = read(tree, unknown="drop")
    assert {row["speaker"] for row in dropped.rows} == {"speaker_30", "speaker_39"}
    assert "3 utterances of unknown speakers left out" in dropped.notes


def test_a_podcast_with_unknown_speakers_in_two_partitions_is_said(tree):
    labels = [(*row[:-1], "Test1") if row[0].endswith("0100.wav") else row for row in LABELS]
    made_trees.csv_file(tree / "Labels" / "labels_consensus.csv", NAMES, labels)
    notes = read(tree).notes
    assert "1 podcast with unknown speakers in several partitions: these count as shared" in notes


def test_partitions_become_splits(tree):
    splits = {name: row["split"] for name, row in rows(tree).items()}
    assert splits == {
        "0001_0008": "test",
        "0001_0009": "train",
        "0001_0100": "train",
        "0002_0001": "dev",
        "0002_0002_01": None,
    }
    assert rows(tree, test="Test2")["0002_0002_01"]["split"] == "test"
    assert rows(tree, test="Test2")["0001_0008"]["split"] is None


def test_json_says_what_csv_says(tree):
    from_csv = read(tree)
    (tree / "Labels" / "labels_consensus.csv").unlink()
    content = {row[0]: dict(zip(NAMES[1:], row[1:], strict=True)) for row in LABELS}
    content[LABELS[-1][0]]["EmoDom"] = None
    (tree / "Labels" / "labels_consensus.json").write_text(json.dumps(content), encoding="utf-8")
    assert read(tree) == from_csv


def test_older_releases_have_partitions_and_speakers_in_files_of_their_own(tree):
    expected = rows(tree)
    made_trees.csv_file(tree / "Labels" / "labels_consensus.csv", NAMES[:5], [row[:5] for row in LABELS])
    made_trees.text(tree / "Partitions.txt", *(f"{row[7]}; {row[0]}" for row in LABELS), "")
    made_trees.text(tree / "Speaker_ids.txt", *(f"{row[0]}; {row[5]}" for row in LABELS))
    found = rows(tree)
    assert {name: (row["speaker"], row["split"]) for name, row in found.items()} == {
        name: (row["speaker"], row["split"]) for name, row in expected.items()
    }


def test_a_partition_said_otherwise_is_noted(tree):
    made_trees.text(tree / "Partitions.txt", f"Test1; {LABELS[0][0]}", f"Test1; {LABELS[1][0]}")
    assert "1 utterance in another partition in Partitions.txt; the labels' own is used" in read(tree).notes


def test_no_partition_at_all_is_refused(tree):
    made_trees.csv_file(tree / "Labels" / "labels_consensus.csv", NAMES[:7], [row[:7] for row in LABELS])
    with pytest.raises(InputError, match=r"has no column Split_Set, and there is no Partitions\.txt"):
        read(tree)


def test_turns_are_segments_in_their_order(tree):
    found = rows(tree)
    assert [found[name]["turn"] for name in ("0001_0008", "0001_0009", "0001_0100")] == [0, 1, 2]
    assert [found[name]["turn"] for name in ("0002_0001", "0002_0002_01")] == [0, 1]
    assert found["0002_0001"]["dialogue"] == "podcast_0002"


def test_transcripts_may_be_empty_or_missing(tree):
    found = rows(tree)
    assert found["0001_0008"]["transcript"] == "you know, a podcast"
    assert found["0001_0009"]["transcript"] is found["0001_0100"]["transcript"] is None


def test_recordings_without_labels_are_said(tree):
    made_trees.wav(tree / "Audios" / "MSP-PODCAST_0009_0001.wav")
    assert "1 recording without labels left aside (Test3's are not public)" in read(tree).notes


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (("clip.wav", *LABELS[0][1:]), "found 'clip.wav', expected a name like MSP-PODCAST_0001_0008.wav"),
        (LABELS[0], "each file once, it is in line 2"),
        ((*LABELS[0][:2], "high", *LABELS[0][3:]), "found 'high', expected a number in column EmoAct"),
        (LABELS[0][:4], "expected 8 cells as in the header, not 4"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(tree, row, expected):
    if len(row) == 8 and row[2] == "high":
        row = ("MSP-PODCAST_0003_0001.wav", *row[1:])
    path = made_trees.csv_file(tree / "Labels" / "labels_consensus.csv", NAMES, [*LABELS, row])
    with pytest.raises(InputError) as error:
        read(tree)
    assert str(error.value).startswith(f"{path}: line 7: ")
    assert expected in str(error.value)


def test_json_that_is_none_is_refused(tree):
    (tree / "Labels" / "labels_consensus.csv").unlink()
    made_trees.text(tree / "Labels" / "labels_consensus.json", "{", '"a": ')
    with pytest.raises(InputError, match=r"labels_consensus\.json: line 3: is no JSON"):
        read(tree)


def test_unknown_speakers_do_not_tie_the_parts_of_the_split_together(tree, tmp_path):
    """What the pseudo-speakers are for: the corpus's own split shares no speaker."""
    labels = [
        (f"MSP-PODCAST_{podcast:04d}_{number:04d}.wav", "NHSA"[number % 4], 1, 1, 1, "Unknown", "Male", part)
        for podcast, part in ((1, "Train"), (2, "Development"), (3, "Test1"))
        for number in range(8)
    ]
    made_trees.csv_file(tree / "Labels" / "labels_consensus.csv", NAMES, labels)
    for name, *_ in labels:
        made_trees.wav(tree / "Audios" / name, 0.05)
    build.build("msp_podcast", tree, tmp_path / "out")
    _, warnings = protocols.cut(corpus.load(tmp_path / "out"), protocols.Protocol(kind="predefined"))
    assert not [each for each in warnings if "SHARED" in each]
