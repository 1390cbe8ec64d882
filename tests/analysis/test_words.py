from __future__ import annotations

import math
from dataclasses import replace

import fake_run
import numpy as np
import pytest

from analysis import words
from analysis.cautions import cautions
from analysis.findings import Findings
from analysis.run import load

NAN = math.nan


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (words.share(0.6034), "60.3"),
        (words.share(NAN), "—"),
        (words.change(-0.012), "−1.2"),
        (words.change(0.012), "+1.2"),
        (words.change(-0.0001), "0.0"),
        (words.with_spread(0.634, 0.0252, 2), "63.40 ± 2.52"),
        (words.with_spread(0.634, NAN), "63.4"),
        (words.plain_with_spread(0.4123, 0.02), "0.412 ± 0.020"),
        (words.plain_with_spread(2.1e-7, 1e-8), "2.1e-07 ± 1.0e-08"),
        (words.plain_with_spread(1234.5, NAN), "1234.5"),
        (words.plain_with_spread(NAN, NAN), "—"),
        (words.number(20000), "20000"),
        (words.interval(-0.01, 0.02), "−1.0 to +2.0"),
        (words.interval(NAN, NAN), "—"),
        (words.p_value(0.0004), "< 0.001"),
        (words.p_value(0.0456), "0.046"),
        (words.p_value(NAN), "—"),
        (words.number(1e-05), "1e-05"),
        (words.number(0.30000000000000004), "0.3"),
        (words.number(True), "True"),
        (words.number(None), "None"),
        (words.settings({}), "nothing changed"),
        (words.settings({"a.b": 0.5, "c": "x"}), "a.b = 0.5, c = x"),
        (words.duration(0.2), "0 s"),
        (words.duration(3725), "1 h 2 min"),
        (words.duration(90061), "1 d 1 h"),
        (words.duration(NAN), "—"),
        (words.plural(1, "arm"), "1 arm"),
        (words.plural(1200, "arm"), "1,200 arms"),
    ],
)
def test_formats(text, expected):
    assert text == expected


def test_the_headline_names_the_arm_its_numbers_and_what_it_was_chosen_from(found):
    first, second, third, fourth, fifth = words.headline(found)
    test, dev = (
        words.with_spread(found.number(found.best, "uar", s), found.number(found.best, "uar_fold_std", s))
        for s in ("test", "dev")
    )
    assert f"{found.name(found.best)}, with a test UAR of {test} %" in first
    assert f"dev (UAR {dev} %) from 7 arms" in second
    assert "5 folds × 3 seeds" in second
    assert third.startswith("The paper's defaults reach")
    assert "95 % interval" in fourth
    lost = f"2 lose UAR beyond chance ({fake_run.USEFUL}; Without what stops early)"
    assert fifth == f"Of 4 ablation rows compared, {lost}, 2 cannot be told from no change."


def test_the_headline_of_a_run_in_which_nothing_is_done(run):
    failed = replace(run, trials=run.trials.assign(status="failed", is_best=False), folds=run.folds.iloc[:0])
    assert words.headline(Findings(failed)) == ["No arm ran to its end: 24 arms begun, 24 failed."]
    going_on = replace(failed, finished=False)
    assert words.headline(Findings(going_on)) == ["No arm is finished yet: 24 arms begun, 24 failed."]


def test_the_headline_says_when_the_papers_defaults_win(bare_folder):
    run = load(bare_folder)
    best = run.trials["score"].where(run.trials["kind"] != "reference", 1.0)
    texts = words.headline(Findings(replace(run, trials=run.trials.assign(score=best))))
    assert texts[0].startswith("The best arm so far is paper defaults")
    assert texts[-1].startswith("These are the paper's defaults")


def _said(run, part: str) -> bool:
    return any(part in text for text in cautions(Findings(run)))


def test_many_flagged_arms_are_one_caution(run):
    best = run.trials["score"].max()
    others = (run.trials["kind"] == "search") & (run.trials["status"] == "done") & ~run.trials["is_best"]
    assert others.sum() > 3
    scores = run.trials["score"].mask(others, best + np.arange(len(run.trials)) / 1000)
    flags = [("collapsed",) if mine else () for mine in others]
    texts = cautions(Findings(replace(run, trials=run.trials.assign(score=scores, flags=flags))))
    (text,) = [text for text in texts if "flagged" in text]
    highest = run.trials["name"][scores.idxmax()]
    assert text.startswith(f"{others.sum()} arms scored higher on dev than the arm chosen, but are flagged (collapsed)")
    assert f"the highest is {highest} ({100 * scores.max():.1f} %)" in text


def test_cautions_of_a_sound_run_are_few(run):
    texts = cautions(Findings(run))
    assert any("but is flagged (generator collapsed)" in text for text in texts)
    assert not any("share" in text or "folds:" in text or "absent" in text or "not finished" in text for text in texts)


def test_an_unfinished_run_of_two_folds_says_both(bare_folder):
    run = load(bare_folder)
    assert _said(run, "not finished")
    assert _said(run, "only 2 folds")


def test_shared_speakers_are_named_with_their_folds(run):
    folds = [dict(fold) for fold in run.provenance["folds"]]
    folds[1] = {**folds[1], "speakers": {"train": ["a", "b"], "dev": ["c"], "test": ["b"]}}
    changed = replace(run, provenance={**run.provenance, "folds": folds})
    assert _said(changed, "shared between train and test in 1 fold (session 2)")


def test_texts_of_corpus_and_protocol_are_passed_on(run):
    corpus = {**run.provenance["corpus"], "warnings": ["texts repeat"]}
    assert _said(replace(run, provenance={**run.provenance, "corpus": corpus, "warnings": ["w1"]}), "texts repeat")
    assert _said(replace(run, provenance={**run.provenance, "corpus": corpus, "warnings": ["w1"]}), "w1")


def test_absent_classes_are_said_once(run):
    counts = run.confusions.copy()
    counts[:, 2] = 0
    lacking = replace(run, confusions=counts)
    assert _said(lacking, "Classes are absent from test")
    # A run that records the classes of its folds has warned of them before it began.
    folds = [{**fold, "classes": {"test": [60, 60, 0, 60]}} for fold in run.provenance["folds"]]
    told = {**run.provenance, "folds": folds, "warnings": ["classes are absent from test in 5 of 5 folds"]}
    texts = cautions(Findings(replace(lacking, provenance=told)))
    assert [text for text in texts if "absent from test" in text] == ["classes are absent from test in 5 of 5 folds"]


def test_a_value_at_the_edge_is_said(run):
    space = {"low": 0.0001, "high": run.arm(Findings(run).best)["config"]["align.alpha"], "log": True}
    changed = replace(run, provenance={**run.provenance, "parameters": {"align.alpha": space}})
    assert _said(changed, "upper end of its range")


def test_seeds_that_vary_more_than_arms_are_said(tmp_path):
    plan = fake_run.Plan(curvature=0, search=8, stopped=0, failed=0, flagged=0, per_class=400)
    noisy = replace(plan, seed_noise=0.05, arm_noise=0)
    assert _said(load(fake_run.write(tmp_path / "noisy", noisy)), "Seeds vary more than arms")
    calm = replace(plan, seed_noise=0, arm_noise=0.03)
    assert not _said(load(fake_run.write(tmp_path / "calm", calm)), "Seeds vary more than arms")


def test_an_optimistic_choice_is_said(run):
    dev = run.folds["split"] == "dev"
    optimistic = run.folds.assign(uar=np.where(dev, run.folds["uar"] + 0.1, run.folds["uar"]))
    assert _said(replace(run, folds=optimistic), "points above its test UAR")
    assert not _said(run, "points above its test UAR")


def test_an_absent_class_is_said(run):
    counts = run.confusions.copy()
    counts[((run.folds["fold"] == "session 3") & (run.folds["split"] == "test")).to_numpy(), 0] = 0
    assert _said(replace(run, confusions=counts), "absent from test (session 3 lacks angry)")
