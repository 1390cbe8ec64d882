"""Any CSV file: columns by their usual names or by given ones, paths, splits, and what is wrong in a line."""

import made_trees
import pytest

from trainables.corpora import build, table
from trainables.errors import InputError

NAMES = ("File", "Speaker ID", "Emotion", "Text", "room", "set")
LINES = [
    ("wavs/one.wav", "anna", "joy", "hello, you", "kitchen", "training"),
    ("wavs/two", "ben", "rage", "", "", "val"),
    ("wavs\\three.wav", "ben", "", "bye", "hall", ""),
]


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "our own corpus"
    made_trees.csv_file(root / "labels.csv", NAMES, LINES)
    for name in ("one", "two", "three"):
        made_trees.wav(root / "wavs" / f"{name}.wav", 0.2)
    return root


def rows(tree, **options):
    return {row["utterance_id"]: row for row in table.read(tree, table.Table(**options)).rows}


def test_columns_are_known_by_their_usual_names(tree):
    found = rows(tree)
    assert {name: row["speaker"] for name, row in found.items()} == {"one": "anna", "two": "ben", "three": "ben"}
    assert [found["one"][name] for name in ("label_raw", "transcript", "split", "room")] == [
        "joy",
        "hello, you",
        "train",
        "kitchen",
    ]
    assert [found["two"][name] for name in ("transcript", "split", "room")] == [None, "dev", None]
    assert found["three"]["label_raw"] is None


def test_paths_may_lack_a_suffix_or_come_from_windows(tree):
    found = rows(tree)
    assert found["two"]["recording"] == (tree / "wavs" / "two.wav").absolute()
    assert found["three"]["recording"] == (tree / "wavs" / "three.wav").absolute()


def test_it_becomes_a_corpus(tree, tmp_path):
    built = build.build("csv", tree, tmp_path / "out", options={"classes": {"joy": "happy", "rage": "angry"}})
    made = built.utterances.set_index("utterance_id")
    assert made["label"].dropna().to_dict() == {"one": "happy", "two": "angry"}
    assert made.loc["one", "room"] == "kitchen"
    as_they_are = build.build("csv", tree / "labels.csv", tmp_path / "raw").utterances.set_index("utterance_id")
    assert as_they_are["label"].dropna().to_dict() == {"one": "joy", "two": "rage"}


def test_columns_can_be_named(tree):
    made_trees.text(tree / "labels.csv", "who;what;clip;Emotion", "anna;happy;one;x")
    found = rows(tree, columns={"speaker": "who", "label": "what", "recording": "clip"}, audio="wavs")
    assert found["one"]["label_raw"] == "happy"
    assert found["one"]["Emotion"] == "x"
    assert found["one"]["recording"].name == "one.wav"


def test_parts_of_a_file_have_names_and_times_of_their_own(tree, tmp_path):
    made_trees.csv_file(
        tree / "labels.csv",
        ("file", "start", "end", "speaker", "label", "channel", "turn"),
        [
            ("wavs/long.wav", 0, 0.5, "a", "x", 0, 1),
            ("wavs/long.wav", 0.5, "", "b", "y", 1, 0),
            ("wavs/long.wav", 1, "", "b", "y", "", 2),
        ],
    )
    made_trees.wav(tree / "wavs" / "long.wav", 1.5, channels=2)
    made = build.build("csv", tree, tmp_path / "out").utterances
    assert made["utterance_id"].tolist() == ["long_0.000", "long_0.500", "long_1.000"]
    assert made["duration"].tolist() == [0.5, 1.0, 0.5]
    assert made["channel"].tolist()[:2] == [0, 1]
    assert made["channel"].isna().tolist() == [False, False, True]
    assert made["turn"].tolist() == [1, 0, 2]
    assert made["checksum"].nunique() == 1


def test_recordings_of_one_name_in_two_folders_are_told_apart(tree):
    made_trees.csv_file(tree / "labels.csv", ("file", "speaker"), [("a/x.wav", "a"), ("b/x.wav", "b")])
    assert set(rows(tree)) == {"a_x", "b_x"}


def test_transcripts_alone_make_a_corpus(tree, tmp_path):
    made_trees.csv_file(
        tree / "labels.csv", ("id", "speaker", "text", "label"), [("u1", "a", "hi", "x"), ("u2", "b", "ho", "y")]
    )
    made = build.build("csv", tree, tmp_path / "out").utterances
    assert made["transcript"].tolist() == ["hi", "ho"]
    assert "recording" not in made


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        (("file,emotion", "a,b"), {}, "has no column speaker, found file, emotion; folds keep speakers apart"),
        (("speaker,emotion", "a,b"), {}, "has neither recordings nor transcripts"),
        (
            ("file,speaker", "a,b"),
            {"columns": {"label": "mood"}},
            "has no column 'mood' for label; it has file, speaker",
        ),
        (("file,speaker", "a,b"), {"columns": {"mood": "file"}}, "there is no column 'mood' to fill"),
        (("file,speaker", "a,b", "c,"), {}, "line 3: found '', expected a speaker in column speaker"),
        (("file,speaker,split", "a,b,later"), {}, "line 2: found 'later', expected train, dev or test"),
        (("file,speaker,start", "a,b,soon"), {}, "line 2: found 'soon', expected a number in column start"),
        (("file,speaker,channel", "a,b,0.5"), {}, "line 2: found '0.5', expected a whole number from 0"),
        (("file,speaker,turn", "a,b,1", "c,b,"), {}, "line 3: found '', expected a turn in column turn"),
        (("id,file,speaker", "x,a,b", "x,c,b"), {}, "line 3: found 'x', expected each utterance once, it is in line 2"),
        (("file,file,speaker", "a,b,c"), {}, "has two columns 'file'"),
        (("file,speaker",), {}, "has a header and no rows"),
        (("file,speaker", 'a,"b', "c,d"), {}, "line 3"),
    ],
)
def test_what_cannot_be_read_is_named(tree, content, options, expected):
    path = made_trees.text(tree / "labels.csv", *content)
    with pytest.raises(InputError) as error:
        rows(tree, **options)
    assert expected in str(error.value)
    assert str(path) in str(error.value) or "--set columns" in str(error.value)


def test_which_file_is_asked_where_there_are_several(tree):
    made_trees.text(tree / "more.tsv", "file\tspeaker", "a\tb")
    with pytest.raises(InputError, match=r"holds labels\.csv, more\.tsv; name the file"):
        rows(tree)
    assert set(rows(tree, file="more.tsv")) == {"a"}
    for path in tree.glob("*.?sv"):
        path.unlink()
    with pytest.raises(InputError, match=r"holds no \*\.csv; name the file"):
        rows(tree)
