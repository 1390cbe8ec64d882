"""IEMOCAP: majority labels, transcripts, turns; and its whole label files, written again from the feature table."""

import made_trees
import pandas as pd
import pytest

from trainables.corpora import build, iemocap
from trainables.errors import InputError

DIALOGUE = "Ses01F_impro01"


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "IEMOCAP full release"
    made_trees.iemocap_dialogue(
        root,
        DIALOGUE,
        [
            ("F000", 6.29, 8.23, "neu"),
            ("F001", 10.01, 11.39, "exc"),
            ("M000", 7.57, 9.0, "xxx"),
            ("M001", 12.0, 13.0, "fru"),
        ],
    )
    made_trees.iemocap_dialogue(root, "Ses02M_script01_1b", [("M002", 1.0, 2.0, "hap"), ("F000", 3.0, 4.0, "ang")])
    made_trees.text(
        root / "Session1/dialog/transcriptions" / f"{DIALOGUE}.txt",
        f"{DIALOGUE}_F000 [006.2901-008.2357]: Excuse me.",
        f"{DIALOGUE}_M000 [007.5712-010.4750]: Do you have your forms?",
        f"{DIALOGUE}_MXX0 [011.0000-011.5000]: [laughs]",
        "M: ",
    )
    return root


def rows(tree, **options):
    return {row["utterance_id"]: row for row in iemocap.read(tree, iemocap.Iemocap(**options)).rows}


def test_labels_are_the_majority_with_excitement_in_happiness(tree, tmp_path):
    made = build.build("iemocap", tree, tmp_path / "out").utterances.set_index("utterance_id")
    assert made["label"].dropna().to_dict() == {
        f"{DIALOGUE}_F000": "neutral",
        f"{DIALOGUE}_F001": "happy",
        "Ses02M_script01_1b_M002": "happy",
        "Ses02M_script01_1b_F000": "angry",
    }
    assert made.loc[f"{DIALOGUE}_M000", "label_raw"] == "xxx"
    assert made.loc[f"{DIALOGUE}_F001", "label_raw"] == "exc"


def test_other_classes_can_be_chosen(tree, tmp_path):
    built = build.build("iemocap", tree, tmp_path / "out", options={"classes": {"fru": "frustrated", "exc": "excited"}})
    assert set(built.utterances["label"].dropna()) == {"frustrated", "excited"}
    assert built.comparisons == ()


def test_the_speaker_is_who_speaks_and_not_who_wore_the_markers(tree):
    found = rows(tree)
    assert found[f"{DIALOGUE}_M000"]["speaker"] == "Ses01M"
    assert found["Ses02M_script01_1b_F000"]["speaker"] == "Ses02F"
    assert {row["session"] for row in found.values()} == {"Ses01", "Ses02"}


def test_turns_follow_the_start_over_both_speakers(tree):
    turns = {name[-4:]: row["turn"] for name, row in rows(tree).items() if name.startswith(DIALOGUE)}
    assert turns == {"F000": 0, "M000": 1, "F001": 2, "M001": 3}


def test_scenarios_and_ratings(tree):
    found = rows(tree)
    assert found[f"{DIALOGUE}_F000"]["scenario"] == "improvised"
    assert found["Ses02M_script01_1b_M002"]["scenario"] == "scripted"
    assert [found[f"{DIALOGUE}_F000"][name] for name in ("valence", "activation", "dominance")] == [2.5, 3.0, 3.5]


def test_transcripts_that_do_not_match_are_said(tree):
    found = iemocap.read(tree, iemocap.Iemocap())
    texts = {row["utterance_id"][-4:]: row["transcript"] for row in found.rows if row["session"] == "Ses01"}
    assert texts == {"F000": "Excuse me.", "M000": "Do you have your forms?", "F001": None, "M001": None}
    assert found.notes == [
        "4 utterances without a transcript",
        "1 transcript of turns that nobody evaluated left aside",
    ]


def test_what_macos_left_behind_is_no_label_file(tree):
    before = rows(tree)
    (tree / "Session1/dialog/EmoEvaluation" / f"._{DIALOGUE}.txt").write_bytes(b"\0\5\26\7")
    (tree / "Session1/dialog/transcriptions" / f"._{DIALOGUE}.txt").write_bytes(b"\0\5\26\7")
    assert rows(tree) == before


def test_the_folder_above_will_do(tree):
    assert rows(tree.parent) == rows(tree)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("[1.0 - 2.0]\tSes01F_impro01_F009\tneu", "[start - end] name category"),
        ("[1.0 - x]\tSes01F_impro01_F009\tneu\t[1, 2, 3]", "[start - end] name category"),
        ("[1.0 - 2.0]\tSes01F_impro02_F009\tneu\t[1, 2, 3]", "an utterance of dialogue Ses01F_impro01"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(tree, line, expected):
    path = tree / "Session1/dialog/EmoEvaluation" / f"{DIALOGUE}.txt"
    number = len(path.read_text(encoding="utf-8").splitlines()) + 1
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    with pytest.raises(InputError) as error:
        rows(tree)
    assert str(error.value).startswith(f"{path}: line {number}: found ")
    assert expected in str(error.value)


def test_a_cut_label_file_is_refused(tree):
    path = made_trees.text(tree / "Session1/dialog/EmoEvaluation" / f"{DIALOGUE}.txt", "% [START_TIME - END_TIME]")
    with pytest.raises(InputError, match="holds no line like"):
        rows(tree)
    path.write_bytes(b"")
    with pytest.raises(InputError, match="is empty; copy it again"):
        rows(tree)


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no folder Session1 to Session5"):
        iemocap.read(tmp_path, iemocap.Iemocap())
    (tmp_path / "Session1").mkdir()
    with pytest.raises(InputError, match="has no folder dialog/EmoEvaluation"):
        iemocap.read(tmp_path, iemocap.Iemocap())


def test_missing_sessions_explain_the_difference(tree, tmp_path):
    four, all_ = build.build("iemocap", tree, tmp_path / "out").comparisons
    assert four.found == {"angry": 1, "happy": 2, "neutral": 1, "sad": 0}
    assert four.reasons == ("the tree lacks 3 of 5 sessions (Ses03, Ses04, Ses05)",)
    assert all_.found == {"iemocap": 6}


@pytest.mark.slow
def test_all_5531_utterances(shared_data, tmp_path):
    """The label files of the whole corpus, written from the real table of labels and times."""
    path = shared_data("iemocap") / "iemocap.parquet"
    names = ["utterance_id", "speaker", "session", "dialogue", "turn", "label", "label_raw", "scenario"]
    real = pd.read_parquet(path, columns=[*names, "start_s", "end_s"])
    for dialogue, part in real.groupby("dialogue"):
        ends = part["utterance_id"].str.removeprefix(f"{dialogue}_")
        turns = zip(ends, part["start_s"], part["end_s"], part["label_raw"], strict=True)
        made_trees.iemocap_dialogue(tmp_path, dialogue, turns, audio=False)
    found = iemocap.read(tmp_path, iemocap.Iemocap())
    table = pd.DataFrame(found.rows)
    table["label"] = table["label_raw"].map(iemocap.Iemocap().classes)
    counts = table["label"].value_counts().to_dict()
    assert counts == dict(iemocap.READER.published[0].counts)
    assert sum(counts.values()) == 5531
    merged = real.merge(table, on="utterance_id", suffixes=("", "_read"), validate="one_to_one")
    assert len(merged) == len(real) == 10039
    for name in ("speaker", "session", "dialogue", "label_raw", "scenario"):
        assert merged[name].astype(object).equals(merged[f"{name}_read"].astype(object)), name
    assert (merged["turn"] == merged["turn_read"]).mean() > 0.999  # times in the table are rounded, a few starts tie
