"""MSP-IMPROV: consensus, votes, scenarios, short recordings; and its evaluation file, written again from a table."""

import made_trees
import pandas as pd
import pytest

from trainables import corpus
from trainables.corpora import build, msp_improv
from trainables.errors import InputError

HAPPY, TIE, OTHER, SHORT, SECOND = (
    "S01A-F01-S-FM01",
    "S01A-M01-S-FM01",
    "S01A-F01-P-MF02",
    "S02H-M06-T-FM03",
    "S01A-F01-S-FM02",
)


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "MSP-IMPROV"
    lines = [
        *made_trees.improv_lines(HAPPY, "H", {"P1": "Happy", "P2": "Happy", "WORKER_9-a": "Neutral"}),
        *made_trees.improv_lines(TIE, "X", {"P1": "Sad", "P2": "Angry"}),
        *made_trees.improv_lines(OTHER, "O", {"P1": "Other"}),
        *made_trees.improv_lines(SHORT, "N", {"P1": "Neutral"}),
        *made_trees.improv_lines(SECOND, "S", {"P1": "Angry", "P2": "Angry", "P3": "Sad"}),
    ]
    made_trees.text(root / "Evalution.txt", *lines)
    for name in (HAPPY, TIE, OTHER, SECOND):
        made_trees.improv_wav(root, name, 1.0)
    made_trees.improv_wav(root, SHORT, 0.99)
    made_trees.text(root / "All_human_transcriptions" / f"MSP-IMPROV-{HAPPY}.txt", "How can I not?")
    return root


def rows(tree):
    return {
        row["utterance_id"].removeprefix("MSP-IMPROV-"): row
        for row in msp_improv.read(tree, msp_improv.MspImprov()).rows
    }


def test_labels_are_the_consensus_and_a_tie_has_none(tree, tmp_path):
    made = build.build("msp_improv", tree, tmp_path / "out").utterances
    labels = dict(zip(made["utterance_id"].str.removeprefix("MSP-IMPROV-"), made["label"], strict=True))
    assert {name: label for name, label in labels.items() if isinstance(label, str)} == {HAPPY: "happy", SECOND: "sad"}
    assert set(labels) == {HAPPY, TIE, OTHER, SECOND}


def test_shorter_than_a_second_is_left_out_unless_told_otherwise(tree, tmp_path):
    built = build.build("msp_improv", tree, tmp_path / "out")
    assert SHORT not in "".join(built.utterances["utterance_id"])
    assert "1 utterance shorter than 1 s left out" in built.notes
    other_improvised, all_scenarios = built.comparisons
    assert other_improvised.found == {"angry": 0, "happy": 1, "neutral": 0, "sad": 1}
    assert all_scenarios.found["neutral"] == 1  # the short one, which the published total has too
    whole = build.build("msp_improv", tree, tmp_path / "whole", options={"shortest": 0})
    assert len(whole.utterances) == 5
    assert "options differ from the paper's: shortest=0.0" in whole.comparisons[0].reasons


def test_a_scenario_can_be_used_alone(tree, tmp_path):
    build.build("msp_improv", tree, tmp_path / "out")
    part = corpus.load(tmp_path / "out", labeled=False, where={"scenario": "Other-improvised"})
    assert sorted(part.utterances["utterance_id"].str.removeprefix("MSP-IMPROV-")) == sorted([HAPPY, TIE, SECOND])


def test_names_are_taken_apart(tree):
    found = rows(tree)
    assert [found[HAPPY][name] for name in ("speaker", "session", "scenario", "gender")] == [
        "F01",
        "S01",
        "Other-improvised",
        "f",
    ]
    assert [found[SHORT][name] for name in ("speaker", "session", "scenario")] == ["M06", "S06", "Target-improvised"]
    assert found[OTHER]["scenario"] == "Natural-interaction"


def test_turns_of_a_take_go_back_and_forth(tree):
    found = rows(tree)
    assert {found[name]["dialogue"] for name in (HAPPY, TIE, SECOND)} == {"S01A-01-S-FM"}
    assert [found[name]["turn"] for name in (HAPPY, TIE, SECOND)] == [0, 1, 2]


def test_votes_are_kept_and_held_against_the_consensus(tree):
    assert rows(tree)[HAPPY]["votes"] == "Happy:2 Neutral:1"
    notes = msp_improv.read(tree, msp_improv.MspImprov()).notes
    assert "1 consensus label not what most evaluators chose; the consensus is kept" in notes


def test_an_evaluator_who_stands_there_twice_counts_once(tree):
    path = tree / "Evalution.txt"
    lines = path.read_text(encoding="utf-8").splitlines()
    made_trees.text(path, *lines[:2], lines[1], *lines[2:])
    assert rows(tree)[HAPPY]["votes"] == "Happy:2 Neutral:1"


def test_ratings_may_be_missing(tree):
    found = rows(tree)[HAPPY]
    assert [found[name] for name in msp_improv._RATINGS] == [2.4, 2.8, None, 3.2]


def test_transcripts_are_found_by_name(tree):
    found = rows(tree)
    assert found[HAPPY]["transcript"] == "How can I not?"
    assert found[TIE]["transcript"] is None


def test_a_recording_that_nobody_evaluated_is_said(tree):
    made_trees.improv_wav(tree, "S05A-F02-R-FF01")
    assert "1 recording that nobody evaluated left aside" in msp_improv.read(tree, msp_improv.MspImprov()).notes


@pytest.mark.parametrize(
    ("lines", "number", "expected"),
    [
        (["UTD-IMPROV-S01A-F01-S-FM09.avi; Happy; A:1"], 1, "UTD-IMPROV-....avi; letter; A:number"),
        (["UTD-IMPROV-S01-F01.avi; H; A:1.0; V:1.0; D:1.0 ; N:1.0;"], 1, "a name like S01A-F01-P-FM01"),
        (["", "P1; Happy; ; A:1.0;"], 2, "an evaluator's vote below its utterance"),
        (made_trees.improv_lines(HAPPY, "H", {}) * 2, 3, "each utterance once, it is in line 1"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(tree, lines, number, expected):
    path = made_trees.text(tree / "Evalution.txt", *lines)
    with pytest.raises(InputError) as error:
        rows(tree)
    assert str(error.value).startswith(f"{path}: line {number}: found ")
    assert expected in str(error.value)


def test_no_evaluation_file_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"holds no Evalution\.txt or Evaluation\.txt"):
        msp_improv.read(tmp_path, msp_improv.MspImprov())


@pytest.mark.slow
def test_all_of_sessions_1_to_4(shared_data, tmp_path):
    """The evaluation file of four real sessions, written from the table of its labels."""
    path = shared_data("msp_improv") / "msp_improv_s1-4.parquet"
    real = pd.read_parquet(path, columns=["utterance_id", "speaker", "session", "label", "label_raw", "scenario"])
    names = real["utterance_id"].str.removeprefix("MSP-IMPROV-")
    lines = [
        line
        for name, raw in zip(names, real["label_raw"], strict=True)
        for line in made_trees.improv_lines(name, raw, {})
    ]
    made_trees.text(tmp_path / "Evalution.txt", *lines)
    table = pd.DataFrame(msp_improv.read(tmp_path, msp_improv.MspImprov()).rows)
    merged = real.merge(table, on="utterance_id", suffixes=("", "_read"), validate="one_to_one")
    assert len(merged) == len(real) == len(table)
    for name in ("speaker", "session", "label_raw"):
        assert (merged[name] == merged[f"{name}_read"]).all(), name
    label = merged["label_raw"].map(msp_improv.MspImprov().classes)
    assert (label.fillna("") == merged["label"].fillna("")).all()
    scenario = {
        "read_target": "Target-read",
        "improvised_target": "Target-improvised",
        "natural": "Natural-interaction",
    }
    assert (merged["scenario"].map(scenario).fillna("Other-improvised") == merged["scenario_read"]).all()
    assert not table.duplicated(["dialogue", "turn"]).any()
