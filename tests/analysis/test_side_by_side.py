from __future__ import annotations

import fake_run
import numpy as np
import pytest

from analysis import compare, report, side_by_side
from analysis.findings import Findings
from analysis.run import load

QUIET = {"search": 0, "ablation": {}, "control": {}, "sensitivity": {}, "diagnostics": False, "embeddings": False}


@pytest.fixture
def many(several) -> Findings:
    return Findings(several)


def _baseline(path, **changes) -> Findings:
    """A baseline on the same folds: same seed of the plan, so the same levels of its folds."""
    plan = fake_run.Plan(**{"name": "linear", "method": "linear", **QUIET, **changes})
    return Findings(load(fake_run.write(path / plan.name, plan)))


def test_runs_are_paired_by_fold_on_the_conditions_they_share(many, tmp_path):
    linear = _baseline(tmp_path, conditions={"audio+text": 0.0})
    frame = side_by_side.comparison([many, linear]).frame
    row = frame.iloc[1]
    ours, theirs = many.in_condition(many.best, "audio+text")[0], linear.number(linear.best, "uar")
    assert row["compared_on"] == "audio+text"
    assert row["difference"] == pytest.approx(theirs - ours)
    assert row["verdict"] == "worse"
    assert "worse (on audio+text)" in side_by_side.comparison([many, linear]).cells()[1]


def test_folds_that_all_runs_find_hard_do_not_blur_the_difference(many, tmp_path):
    """Paired, the interval is far narrower than the spread over folds would make it."""
    linear = _baseline(tmp_path, conditions={"audio+text": 0.0}, fold_noise=0.04)
    row = side_by_side.comparison([many, linear]).frame.iloc[1]
    spread = compare.estimate(np.array([[-0.04], [0.04], [0.0], [0.03], [-0.03]]), 0.2)
    assert row["high"] - row["low"] < (spread.high - spread.low) / 2


def test_runs_of_other_seeds_are_still_paired_by_fold(many, tmp_path):
    linear = _baseline(tmp_path, conditions={"audio+text": 0.0}, seeds=(7,))
    row = side_by_side.comparison([many, linear]).frame.iloc[1]
    assert row["verdict"] in ("worse", "better", compare.NO_EVIDENCE, compare.TOO_FEW)
    assert np.isfinite(row["difference"])


def test_another_fingerprint_is_no_other_corpus_but_other_folds_are(many, tmp_path):
    linear = _baseline(tmp_path, conditions={"audio+text": 0.0})
    linear.run.provenance["corpus"]["fingerprint"] = "with an unlabeled corpus"
    assert side_by_side.comparison([many, linear]).frame["verdict"].iloc[1] == "worse"
    linear.run.provenance["folds"][0]["speakers"]["test"] = ["somebody else"]
    assert side_by_side.comparison([many, linear]).frame["verdict"].iloc[1] == side_by_side.NOT_SAME


def test_no_condition_in_common_is_said(many, tmp_path):
    video = _baseline(tmp_path, conditions={"video": 0.0})
    assert side_by_side.comparison([many, video]).frame["verdict"].iloc[1] == compare.NOT_COMPARABLE


def test_a_run_without_a_finished_arm_is_said(many, tmp_path):
    linear = _baseline(tmp_path)
    linear.best = None
    assert side_by_side.comparison([many, linear]).frame["verdict"].iloc[1] == "no finished arm"
    assert side_by_side.drawings([many, linear]) == []


def test_every_condition_has_its_own_lines_first_run_first(many, tmp_path):
    linear = _baseline(tmp_path, conditions={"audio": -0.05, "audio+text": 0.0})
    (_, table), (figure,) = side_by_side.comparisons([many, linear]), side_by_side.drawings([many, linear])
    assert list(zip(table.frame["condition"], table.frame["run"], strict=True)) == [
        *(("audio", "several"), ("audio", "linear"), ("text", "several")),
        *(("audio+text", "several"), ("audio+text", "linear")),
    ]
    theirs = table.frame.set_index(["condition", "run"]).loc[("audio", "linear")]
    expected = linear.in_condition(linear.best, "audio")[0] - many.in_condition(many.best, "audio")[0]
    assert theirs["difference"] == pytest.approx(expected)
    assert theirs["p_holm"] >= theirs["p"]
    assert figure.key == "comparison"


def test_one_condition_for_all_makes_one_table(found, tmp_path):
    runs = [found, _baseline(tmp_path)]
    made, drawn = side_by_side.comparisons(runs), side_by_side.drawings(runs)
    assert [table.key for table in made] == ["comparison"]
    assert "Tested with" not in [column.heading for column in made[0].columns]
    assert [one.key for one in drawn] == ["comparison"]


def test_the_page_of_several_runs_has_their_figure(several_folder, tmp_path, undrawn):
    linear = _baseline(tmp_path, conditions={"audio+text": 0.0})
    path = report.write([several_folder, linear.run.path], tmp_path / "out")
    text = path.read_text()
    assert "Runs side by side, by condition" in text
    assert "Best arms of the runs" in text
    assert (tmp_path / "out" / "figures" / "comparison.svg").exists()
    assert (tmp_path / "out" / "tables" / "comparison_by_condition.tex").exists()


def test_a_run_whose_rows_were_each_tested_in_another_condition_stands_beside(many, tmp_path):
    """Together they make several conditions, but no arm has all that miss something."""
    tested = {fake_run.USEFUL: ("audio",), fake_run.USELESS: ("text",)}
    plan = fake_run.several(name="single", diagnostics=False, embeddings=False, stop_ablation=False)
    plan.tested_in = dict.fromkeys((*plan.control, "paper defaults"), ("audio+text",)) | tested
    plan.search, plan.sensitivity = 0, {}
    single = Findings(load(fake_run.write(tmp_path / "single", plan)))
    assert single.conditions == ["audio", "text", "audio+text"]
    assert single.tested == ["audio+text"]
    (_, table), drawn = side_by_side.comparisons([many, single]), side_by_side.drawings([many, single])
    assert table.frame.set_index("run").loc["single", "condition"] == "audio+text"
    assert len(drawn) == 1
