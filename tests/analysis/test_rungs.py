from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import planted_search
import pytest
from scipy import stats

from analysis import rungs
from analysis.run import load


def _scheduled(run, **changes):
    scheduler = {"kind": "asha", "grace_period": 3, "reduction_factor": 3} | changes
    trials = run.trials.assign(epochs_planned=changes.pop("planned", 12))
    return replace(run, trials=trials, provenance={**run.provenance, "scheduler": scheduler})


def _risk(run):
    return rungs.rungs(run, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("changes", "budgets"),
    [
        ({"planned": 27}, [3, 9]),
        ({"planned": 28}, [3, 9, 27]),
        ({"grace_period": 10, "planned": 48}, [10, 30]),
        ({"grace_period": 1, "reduction_factor": 2, "planned": 9}, [1, 2, 4, 8]),
        # A rung at 2.25 epochs is passed by the third.
        ({"grace_period": 1, "reduction_factor": 1.5, "planned": 5}, [1, 2, 3, 4]),
        ({"grace_period": 12}, []),
        ({"kind": "fifo"}, []),
        ({"reduction_factor": None}, []),
    ],
)
def test_rungs_lie_where_the_scheduler_puts_them(run, changes, budgets):
    assert rungs.budgets(_scheduled(run, **changes)) == budgets


def _in_stages(run, **lengths):
    """The run with curves of so many classifying epochs a stage, and one after each that classifies nothing."""
    stages = [(stage, epoch + 1) for stage, length in lengths.items() for epoch in range(length)]
    arms = run.trials["arm"][run.trials["kind"].isin(["search", "reference"])]
    curves = pd.DataFrame(
        [
            {"arm": arm, "stage": stage, "epoch": epoch, "budget": budget + 1, "dev_uar": 0.5}
            for arm in arms
            for budget, (stage, epoch) in enumerate(stages)
        ]
    )
    between = curves.assign(stage="generate", epoch=99, dev_uar=np.nan)
    return replace(_scheduled(run, rungs="stages"), curves=pd.concat([curves, between], ignore_index=True))


@pytest.mark.parametrize(
    ("lengths", "budgets"),
    [
        ({"align": 20, "augment": 10}, [3, 7, 20, 24]),
        ({"augment": 9}, [3]),
        ({"align": 2, "augment": 9}, [5]),
        ({"z": 40, "a": 8}, [5, 14, 40, 43]),
    ],
)
def test_rungs_by_stage_lie_where_the_scheduler_puts_them(run, lengths, budgets):
    assert rungs.budgets(_in_stages(run, **lengths)) == budgets


def test_scores_at_a_rung_are_those_the_scheduler_compared(halved):
    _, run = halved
    rows = run.curve_rows + 0.3 * (run.curves["budget"] == 2).to_numpy()[:, None]
    run = replace(run, curve_rows=rows)
    asked = replace(run, provenance={**run.provenance, "scheduler": {**run.provenance["scheduler"], "rungs": "epochs"}})
    before, after = (
        np.concatenate([np.append(rung.halted, rung.searched.early) for rung in _risk(each).rungs])
        for each in (run, asked)
    )
    assert (after > before).all(), "all were better one epoch before the first rung"


def test_agreement_on_a_hand_case():
    early = np.array([1.0, 2, 3, 4, 5, np.nan])
    final = np.array([1.0, 3, 2, 5, 4, 9])
    found = rungs.agreement(early, final)
    # Two neighbours change places twice: 1 - 6 * 4 / (5 * 24), and 8 pairs in order against 2.
    assert found.spearman == pytest.approx(0.8)
    assert found.kendall == pytest.approx(0.6)
    assert len(found.early) == 5
    half = 1.959964 * math.sqrt(1.32 / 2)
    assert (found.low, found.high) == pytest.approx(
        (math.tanh(math.atanh(0.8) - half), math.tanh(math.atanh(0.8) + half))
    )


@pytest.mark.parametrize("final", [[1.0, 2, 3, 4], [2.0] * 6])
def test_no_agreement_is_told_from_few_arms_or_from_scores_that_never_vary(final):
    found = rungs.agreement(np.arange(len(final), dtype=float), np.array(final))
    assert math.isnan(found.spearman)


def test_one_and_the_same_order_has_no_interval():
    found = rungs.agreement(np.arange(8.0), np.arange(8.0) ** 2)
    assert found.spearman == pytest.approx(1)
    assert math.isnan(found.low)


@pytest.mark.slow
def test_the_interval_of_the_rank_correlation_holds_the_truth():
    """Bivariate normal scores with correlation 0.6, whose Spearman is 6 / pi asin(0.3)."""
    rng = np.random.default_rng(0)
    truth, inside = 6 / math.pi * math.asin(0.3), []
    for _ in range(400):
        early, rest = rng.normal(size=(2, 25))
        found = rungs.agreement(early, 0.6 * early + 0.8 * rest)
        inside.append(found.low <= truth <= found.high)
    assert 0.92 <= np.mean(inside) <= 0.98


@pytest.fixture(scope="module")
def halved(run):
    plan = planted_search.Search(arms=80, stop=True, noise=0.02, early=0.03, seed=3)
    return plan, planted_search.searched(run, plan)


def test_every_rung_counts_its_arms(halved):
    _, run = halved
    first, second = _risk(run).rungs
    stopped = run.trials[run.trials["status"] == "stopped"]
    assert (first.budget, second.budget) == (3, 9)
    assert first.arms == 81
    assert first.stopped == (stopped["epochs"] == 3).sum() == len(first.halted)
    assert second.arms == 81 - first.stopped
    assert second.stopped == (stopped["epochs"] == 9).sum()
    done = run.trials[run.trials["status"] == "done"]
    assert len(second.searched.final) == len(done)
    curve = run.curves[run.curves["budget"] == 9].set_index("arm")["dev_uar"]
    expected = stats.spearmanr(curve[done["arm"]], done["score"]).statistic
    assert second.searched.spearman == pytest.approx(expected)
    best = done.loc[done["score"].idxmax(), "arm"]
    assert second.place == 1 + (curve > curve[best]).sum()


def test_early_scores_that_tell_everything_risk_nothing(run):
    found = _risk(planted_search.searched(run, planted_search.Search(arms=80, stop=True, early=0.0)))
    assert all(rung.searched.spearman == pytest.approx(1) for rung in found.rungs)
    assert found.kept == 1
    assert found.regret.chance == 0
    assert found.regret.regret == pytest.approx(0, abs=1e-9)
    assert [rung.lost for rung in found.rungs] == [0, 0]


def test_early_scores_that_tell_nothing_may_well_have_cost_the_best(run):
    plan = planted_search.Search(arms=80, stop=True, early=0.5, noise=0.03, seed=1)
    found = _risk(planted_search.searched(run, plan))
    assert found.regret.chance > 0.3
    assert found.regret.worst >= found.regret.regret > 0
    assert sum(rung.lost for rung in found.rungs) == pytest.approx(found.regret.chance)
    assert found.rungs[0].whole.low < 0.4


@pytest.mark.slow
def test_the_chance_of_regret_is_near_how_often_there_is_any(run):
    """Over many searches; few arms go on, so it may err towards more risk, and must not towards less."""
    foretold, seen = [], []
    for seed in range(40):
        plan = planted_search.Search(
            arms=100, stop=True, early=0.06, noise=0.02, seed=seed, effect=lambda places: 0.6 + 0 * places[:, 0]
        )
        searched = planted_search.searched(run, plan)
        found = _risk(searched)
        if found.regret is None:
            continue
        _, final, _ = planted_search.drawn(plan)
        stopped = (searched.trials["status"] == "stopped").to_numpy()
        foretold.append(found.regret.chance)
        seen.append((final[stopped] > final[~stopped].max()).any())
    assert -0.1 < np.mean(foretold) - np.mean(seen) < 0.3


def test_the_share_of_resamples_that_keep_the_best_on_a_hand_case():
    # The arm that ends best is third of nine early: of three kept, it is the last; any two above it make it fall.
    early = np.array([[9.0], [8], [7], [6], [5], [4], [3], [2], [1]])
    final = np.array([0.5, 0.5, 0.9, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4])
    share, passed = rungs._kept(early, final, 3.0, np.random.default_rng(0))
    assert 0.3 < share[0] < 0.95
    assert passed == share[0]
    first, _ = rungs._kept(early[::-1], final, 3.0, np.random.default_rng(0))
    assert first[0] < 0.2


def test_arms_never_up_for_stopping_are_shown_apart(run):
    assert len(_risk(run).rungs[0].free.early) == 0
    spared = _scheduled(run, applies_to=["search"])
    spared = replace(spared, trials=spared.trials.assign(epochs_planned=run.trials["epochs_planned"]))
    found = _risk(spared)
    probed = run.trials[(run.trials["kind"] == "sensitivity") & (run.trials["status"] == "done")]
    assert len(found.rungs[0].free.early) == len(probed)
    assert not _risk(run).regret.wider
    assert found.regret.wider
    assert found.regret.learnt == len(probed) + 7


def test_nothing_stopped_no_rungs(bare_folder, run):
    assert _risk(load(bare_folder)) is None
    assert _risk(_scheduled(run, kind="fifo")) is None


def test_all_stopped_or_one_alone_is_no_trouble(run):
    stopped = replace(run, trials=run.trials.assign(status="stopped", is_best=False))
    found = _risk(stopped)
    assert found.regret is None
    assert math.isnan(found.kept)
    assert all(rung.place == 0 for rung in found.rungs)


def test_it_is_the_same_twice(halved):
    _, run = halved
    first, second = _risk(run), _risk(run)
    assert first.regret == second.regret
    assert [rung.kept for rung in first.rungs] == [rung.kept for rung in second.rungs]
