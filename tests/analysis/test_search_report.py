from __future__ import annotations

from dataclasses import replace

import fake_run
import numpy as np
import pytest

from analysis import search
from analysis.run import load


def _with_trials(run, **columns):
    return replace(run, trials=run.trials.assign(**columns))


def test_the_chosen_arm_is_the_one_the_run_marked(run):
    assert search.best_arm(run) == run.trials["arm"][run.trials["is_best"]].iloc[0]


def test_without_a_mark_the_best_unflagged_score_is_chosen(run):
    unmarked = _with_trials(run, is_best=False)
    assert search.best_arm(unmarked) == search.best_arm(run)
    top = run.trials.loc[run.trials["score"].idxmax()]
    assert top["flags"] == ("generator collapsed",)
    unflagged = _with_trials(unmarked, flags=[()] * len(run.trials))
    assert search.best_arm(unflagged) == top["arm"]


def test_probing_arms_are_not_chosen_however_well_they_do(run):
    scores = run.trials["score"].mask(run.trials["kind"].isin(["ablation", "sensitivity"]), 0.99)
    assert search.best_arm(_with_trials(run, is_best=False, score=scores)) == search.best_arm(run)


def test_nothing_done_means_nothing_chosen(run):
    running = _with_trials(run, status="stopped", is_best=False)
    assert search.best_arm(running) is None
    assert search.paper_arm(running) is None


def test_best_so_far_never_falls_and_never_counts_flagged_or_stopped_arms(run):
    table = search.best_so_far(run)
    assert table["order"].tolist() == list(range(1, 14))
    assert (np.diff(table["best"].dropna()) >= 0).all()
    assert table["best"].iloc[-1] == run.arm(search.best_arm(run))["score"]
    assert table["score"].max() > table["best"].max()
    assert (np.diff(table["hours"]) > 0).all()


def test_saved_epochs_are_counted_from_stopped_arms_only(run):
    total = search.saved(run)
    # 5 stopped arms of 12 planned epochs each had 3; the failed one had 2, which saves nothing.
    assert (total.arms, total.stopped, total.planned, total.saved) == (24, 5, 24 * 12, 5 * 9)
    assert total.share == pytest.approx(45 / 288)
    assert total.seen == 18 * 12 + 5 * 3 + 2
    assert total.reused == 4 * 8


def test_failed_and_flagged_arms(run):
    assert search.failed(run)["reason"].tolist() == [fake_run.REASONS["failed"]]
    flagged = search.flagged(run)
    assert flagged["flags"].tolist() == ["generator collapsed"]
    assert flagged["passed_over"].tolist() == [True]
    low = run.trials["score"].mask(run.trials["flags"].map(len) > 0, 0.1)
    assert search.flagged(_with_trials(run, score=low))["passed_over"].tolist() == [False]


@pytest.mark.parametrize(
    ("value", "space", "end"),
    [
        (30.0, {"low": 0.03, "high": 30.0, "log": True}, "upper"),
        (0.0302, {"low": 0.03, "high": 30.0, "log": True}, "lower"),
        # On a plain scale this would lie at the lower edge; on a log scale it is the middle.
        (0.95, {"low": 0.03, "high": 30.0, "log": True}, None),
        (0.95, {"low": 0.03, "high": 300.0, "log": False}, "lower"),
        (3, {"low": 1, "high": 3, "log": False}, "upper"),
        (2, {"low": 1, "high": 3, "log": False}, None),
        (0.0, {"low": 0.03, "high": 30.0, "log": True}, None),
        (99.0, {"low": 0.0, "high": 1.0, "log": False}, None),
        ("a", {"low": 0.0, "high": 1.0}, None),
        (1.0, {"kind": "choice"}, None),
    ],
)
def test_values_at_an_edge(run, value, space, end):
    best = search.best_arm(run)
    configs = [{"x": value} if arm == best else {} for arm in run.trials["arm"]]
    changed = replace(_with_trials(run, config=configs), provenance={**run.provenance, "parameters": {"x": space}})
    assert [edge.end for edge in search.edges(changed, best)] == ([end] if end else [])


def test_a_run_of_nothing_but_the_reference(tmp_path):
    plan = fake_run.Plan(search=0, ablation={}, control={}, sensitivity={}, diagnostics=False, embeddings=False)
    run = load(fake_run.write(tmp_path / "run", plan))
    assert search.best_arm(run) == search.paper_arm(run) == search.reference_arm(run)
    assert search.saved(run).share == 0


def test_scores_at_a_budget_are_those_of_the_curves(run):
    table = search.dev_at(run, [2, 3, 9, 99])
    assert table.columns.tolist() == [2, 3, 9, 99]
    assert table[99].isna().all()
    arm = search.best_arm(run)
    curve = run.curves[(run.curves["arm"] == arm) & run.curves["dev_uar"].notna()].set_index("budget")["dev_uar"]
    assert table.loc[arm, [2, 3, 9]].tolist() == curve[[2, 3, 9]].tolist()
    stopped = run.trials["arm"][run.trials["status"] == "stopped"]
    assert table.loc[stopped, 3].notna().all()
    assert table.loc[stopped, 9].isna().all()


def test_best_scores_at_a_budget_are_each_rows_best_of_that_stage(run):
    arm = search.best_arm(run)
    mine = (run.curves["arm"] == arm) & run.curves["dev_uar"].notna()
    for budget in run.curves["budget"][mine]:
        stage = run.curves["stage"][mine & (run.curves["budget"] == budget)].item()
        seen = mine & (run.curves["stage"] == stage) & (run.curves["budget"] <= budget)
        expected = run.curve_rows[seen.to_numpy()].max(axis=0).mean()
        assert search.best_at(run, [budget]).loc[arm, budget] == pytest.approx(expected)


def test_one_reason_keeps_its_numbers(run):
    (reason,) = search.failures(run)["reason"]
    assert reason == fake_run.REASONS["failed"]
    none = _with_trials(run, status="done")
    assert search.failures(none).empty
