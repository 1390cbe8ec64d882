"""Races by planted truth, and replays of made-up curves whose answer is known."""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

import racing  # noqa: E402

from sweeper.places import Planned  # noqa: E402
from sweeper.racing import Race  # noqa: E402

TIMES = 250
FOLDS, SEEDS = 5, 3


def raced(planted: racing.Planted, alpha: float, kind=Race) -> tuple[float, float]:
    """Share of arms dropped, and its standard error over races: arms of one race depend on each other."""
    ratio = planted.overlap / (1 - planted.overlap)
    found = racing.dropped(planted, lambda: kind(alpha, planted.folds, ratio), TIMES, np.random.default_rng(0)).mean(
        axis=1
    )
    return float(found.mean()), float(found.std(ddof=1) / np.sqrt(TIMES))


@pytest.mark.slow
@pytest.mark.parametrize(("folds", "seeds"), [(3, 3), (5, 1), (5, 3), (10, 3)])
@pytest.mark.parametrize("icc", [0.0, 0.8])
def test_an_arm_as_good_as_all_others_is_dropped_no_more_often_than_allowed(folds, seeds, icc):
    planted = racing.Planted(arms=8, folds=folds, seeds=seeds, icc=icc, overlap=1 / folds)
    wrong, error = raced(planted, alpha=0.2)
    assert wrong < 0.2 + 3 * error


@pytest.mark.slow
def test_pairs_as_units_of_their_own_are_dropped_more_often_than_allowed():
    planted = racing.Planted(arms=8, icc=0.8)
    wrong, error = raced(planted, alpha=0.05, kind=racing._Pairs)
    assert wrong > 0.05 + 3 * error
    assert raced(planted, alpha=0.05)[0] < wrong / 2


@pytest.mark.slow
def test_arms_far_behind_are_dropped_and_the_others_are_not():
    planted = racing.Planted(arms=8, behind=6.0)
    found = racing.dropped(planted, lambda: Race(0.05, FOLDS, 0.25), TIMES, np.random.default_rng(0))
    assert found[:, 1::2].mean() > 0.8
    assert found[:, ::2].mean() < 0.05


def test_planted_noise_has_the_variance_and_correlations_it_says():
    planted = racing.Planted(arms=2, icc=0.4, overlap=0.2, steady=0.5, rungs=2)
    rng = np.random.default_rng(0)
    drawn = np.stack([planted.draw(rng) for _ in range(4000)])
    pairs = drawn[:, 0] - drawn[:, 1]
    folds = pairs.mean(axis=-1)
    assert folds[:, 0].var() == pytest.approx(1, abs=0.05)
    assert np.corrcoef(folds[:, 0, 0], folds[:, 0, 1])[0, 1] == pytest.approx(0.2, abs=0.05)
    assert np.corrcoef(folds[:, 0, 0], folds[:, 1, 0])[0, 1] == pytest.approx(0.5, abs=0.05)
    own = pairs[:, 0, 0] - pairs[:, 0, 1]
    assert np.corrcoef(own[:, 0], own[:, 1])[0, 1] == pytest.approx(0.4, abs=0.05)


@pytest.fixture
def run(tmp_path):
    """Nine arms of nine epochs, each level with its score and apart by ten points; no noise but between folds."""
    trials, curves = [], []
    noise = np.random.default_rng(0).normal(0, 0.001, (9, FOLDS * SEEDS))
    for arm in range(9):
        score = 0.1 * arm
        trials.append({"arm": str(arm), "kind": "search", "status": "done", "score": score, "started_order": 8 - arm})
        for epoch in range(1, 10):
            rows = (score + noise[arm]).astype(np.float32)
            curves.append({"arm": str(arm), "stage": "train", "epoch": epoch, "rows": rows})
    pd.DataFrame(trials).to_parquet(tmp_path / "trials.parquet")
    pd.DataFrame(curves).to_parquet(tmp_path / "curves.parquet")
    folds = [{"name": str(fold), "dev": 10, "train": 40} for fold in range(FOLDS)]
    (tmp_path / "provenance.json").write_text(json.dumps({"folds": folds}))
    return tmp_path


def test_what_a_run_tells(run):
    arms, folds, ratio = racing.read(run)
    assert (len(arms), folds, ratio) == (9, FOLDS, 0.25)
    assert [one.arm for one in arms] == [str(arm) for arm in range(8, -1, -1)]
    assert arms[0].stages == (Planned("train", 9, True),)
    assert [each.spent for each in arms[0].epochs] == list(range(1, 10))


def test_with_the_best_first_every_other_arm_is_stopped_at_the_first_rung(run):
    arms, folds, ratio = racing.read(run)
    for tried in racing.ways(grace=3, factor=3):
        seen = [list(racing.looks(one, tried)) for one in arms]
        found = racing.replay(arms, seen, tried.rule(folds, ratio))
        assert found == racing.Replayed(saved=1 - (9 + 8 * 3) / 81, regret=0.0, lost=0.0), tried.name
        assert racing.agreement(arms, seen) == pytest.approx(1)


def test_with_the_best_last_nothing_is_stopped(run):
    arms, folds, ratio = racing.read(run)
    arms = arms[::-1]
    for tried in racing.ways(grace=3, factor=3):
        seen = [list(racing.looks(one, tried)) for one in arms]
        assert racing.replay(arms, seen, tried.rule(folds, ratio)).saved == 0


def test_a_stopped_best_arm_is_regretted(run):
    arms, *_ = racing.read(run)

    class Mistaken:
        def stops(self, arm, rung, rows, looks):
            return arm == "8"

    tried = racing.ways(3, 3)[0]
    found = racing.replay(arms, [list(racing.looks(one, tried)) for one in arms], Mistaken())
    assert found.regret == pytest.approx(0.1)
    assert found.lost == 1


def test_best_epochs_are_kept_within_a_stage_and_not_beyond():
    epochs = [
        racing.Epoch(stage, epoch, 0, np.array([uar]))
        for stage, epoch, uar in (("a", 1, 0.9), ("a", 2, 0.1), ("b", 1, 0.2), ("b", 2, 0.1), ("b", 3, 0.1))
    ]
    one = racing.Recorded("x", 0.2, (Planned("a", 2, False), Planned("b", 3, True)), tuple(epochs))
    last, best = (
        next(each for each in racing.ways(2, 2) if each.asked.rungs == "stages" and each.best == kind)
        for kind in (False, True)
    )
    assert [rows[0] for _, _, rows, _ in racing.looks(one, best)] == [0.9, 0.2]
    assert [rows[0] for _, _, rows, _ in racing.looks(one, last)] == [0.1, 0.1]


def test_one_command_prints_a_table_a_run(run, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["racing.py", str(run), "--orders", "3", "--json"])
    racing.main()
    (lines,) = json.loads(capsys.readouterr().out).values()
    assert [line["rule"] for line in lines] == [tried.name for tried in racing.ways(3, 3)]
    assert all(line["top tenth stopped"] == 0 for line in lines)
