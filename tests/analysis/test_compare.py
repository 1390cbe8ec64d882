from __future__ import annotations

from dataclasses import replace

import fake_run
import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from analysis import aggregate, compare, statistics, tables
from analysis.findings import Findings
from analysis.run import load

matrices = arrays(float, st.tuples(st.integers(2, 8), st.integers(1, 4)), elements=st.integers(-20, 20)).map(
    lambda points: points / 100
)


def test_seeds_are_averaged_within_folds_first():
    rng = np.random.default_rng(0)
    differences = rng.normal(0.01, 0.02, (6, 4))
    found = compare.estimate(differences, 0.25)
    assert found.fold_differences == pytest.approx(differences.mean(axis=1).tolist())
    p, low, high = statistics.corrected_t(differences.mean(axis=1), 0.25)
    assert (found.p, found.low, found.high) == (p, low, high)
    # More copies of the same seeds are no more evidence.
    assert compare.estimate(np.tile(differences, 5), 0.25).p == pytest.approx(p)
    assert found.seed_std == pytest.approx(np.sqrt(differences.var(axis=1, ddof=1).mean()))


@given(matrices)
def test_turning_the_comparison_round_turns_its_sign_only(differences):
    assume(np.ptp(differences) > 0)
    one, other = compare.estimate(differences, 0.2), compare.estimate(-differences, 0.2)
    assert one.difference == pytest.approx(-other.difference)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))
    assert one.p == pytest.approx(other.p, nan_ok=True)
    words = {compare.HELPS: compare.HURTS, compare.HURTS: compare.HELPS}
    verdict = compare.verdict(one, one.p)
    assert compare.verdict(other, other.p) == words.get(verdict, verdict)


@given(matrices, st.randoms(use_true_random=False))
def test_the_order_of_folds_and_seeds_does_not_matter(differences, random):
    folds, seeds = (list(range(size)) for size in differences.shape)
    random.shuffle(folds)
    random.shuffle(seeds)
    one, other = compare.estimate(differences, 0.2), compare.estimate(differences[np.ix_(folds, seeds)], 0.2)
    assert other.difference == pytest.approx(one.difference, abs=1e-12)
    assert (other.low, other.high) == pytest.approx((one.low, one.high), abs=1e-9)


@given(matrices)
def test_the_interval_holds_zero_just_when_p_is_large(differences):
    found = compare.estimate(differences, 0.2)
    assume(found.folds >= compare.MIN_FOLDS and abs(found.p - 0.05) > 1e-6)
    assert (found.low <= 0 <= found.high) == (found.p > 0.05)


def test_one_fold_or_two_are_too_few():
    for folds in (1, 2):
        found = compare.estimate(np.full((folds, 3), 0.2), 0.2)
        assert np.isnan(found.p)
        assert compare.verdict(found, found.p) == compare.TOO_FEW
    with pytest.raises(ValueError, match="share no fold"):
        compare.estimate(np.full((3, 2), np.nan), 0.2)


def test_a_wide_interval_is_no_evidence_of_nothing():
    wide = compare.estimate(np.array([[0.3], [-0.3], [0.2], [-0.2]]), 0.2)
    assert compare.verdict(wide, wide.p) == compare.TOO_FEW
    narrow = compare.estimate(np.array([[0.003], [-0.003], [0.002], [-0.002]]), 0.2)
    assert compare.verdict(narrow, narrow.p) == compare.NO_EVIDENCE


def test_a_missing_row_leaves_the_rest():
    differences = np.array([[0.1, np.nan], [0.3, 0.1], [np.nan, np.nan]])
    found = compare.estimate(differences, 0.2)
    assert found.fold_differences == pytest.approx((0.1, 0.2))


@pytest.mark.slow
def test_false_alarms_stay_near_their_rate():
    """Null studies whose folds differ in what an arm is worth there: the alarm is at most the nominal 5 %."""
    rng = np.random.default_rng(1)
    for folds, seeds in ((5, 3), (10, 1), (4, 5)):
        effects = rng.normal(0, 0.01, (1000, folds, 1)) + rng.normal(0, 0.01, (1000, folds, seeds))
        alarms = [compare.estimate(study, 1 / (folds - 1)).p < 0.05 for study in effects]
        assert np.mean(alarms) < 0.06


@pytest.mark.slow
def test_overlapping_training_sets_are_why_it_is_corrected():
    """Folds that share a disturbance, as models with shared training data do: uncorrected, p is far too sure."""
    rng = np.random.default_rng(2)
    folds, ratio = 5, 0.25
    # Correlation between folds of test / (test + train), the value Nadeau and Bengio assume.
    share = ratio / (1 + ratio)
    shape = (2000, folds, 1)
    effects = np.sqrt(share) * rng.normal(0, 0.01, (2000, 1, 1)) + np.sqrt(1 - share) * rng.normal(0, 0.01, shape)
    corrected = np.mean([compare.estimate(study, ratio).p < 0.05 for study in effects])
    plain = np.mean([compare.estimate(study, 0.0).p < 0.05 for study in effects])
    assert corrected == pytest.approx(0.05, abs=0.015)
    assert plain > 0.1


@pytest.mark.parametrize("seed", range(6))
def test_the_useful_part_is_found_and_the_useless_one_is_not(tmp_path, seed):
    plan = fake_run.Plan(seed=seed, search=4, stopped=1, failed=1, flagged=0, diagnostics=False, embeddings=False)
    rows = {one.name: one for one in Findings(load(fake_run.write(tmp_path / "run", plan))).ablation}
    assert rows[fake_run.USEFUL].verdict == compare.HELPS
    assert rows[fake_run.USELESS].verdict != compare.HELPS
    assert rows[fake_run.USEFUL].estimate.difference == pytest.approx(0.06, abs=0.02)


def test_differences_are_the_full_minus_the_ablated_row_by_row(folder, run):
    raw = pd.read_parquet(folder / "folds.parquet")
    raw = raw[(raw["split"] == "test") & raw["final"]]
    one = next(one for one in Findings(run).ablation if one.name == fake_run.USEFUL)
    parent = str(run.arm(one.arm)["parent"])
    values = {(row.arm, row.fold, row.seed): row.uar for row in raw.itertuples() if row.arm in (one.arm, parent)}
    by_fold = [
        np.mean([values[parent, fold, seed] - values[one.arm, fold, seed] for seed in (0, 1, 2)])
        for fold in raw["fold"].unique()
    ]
    assert one.basis == "test"
    assert one.estimate.fold_differences == pytest.approx(tuple(by_fold))
    assert one.parent_uar - one.uar == pytest.approx(np.mean(by_fold))


def test_a_stopped_row_is_compared_on_dev_at_its_budget(folder, run):
    one = next(one for one in Findings(run).ablation if one.status == "stopped")
    assert one.basis == "dev at epoch 3"
    curves = pd.read_parquet(folder / "curves.parquet")
    curves = curves[(curves["budget"] <= 3) & curves["rows"].notna()]
    best = {}
    for arm in (one.arm, str(run.arm(one.arm)["parent"])):
        best[arm] = np.max(np.stack(list(curves["rows"][curves["arm"] == arm])), axis=0)
    arm, parent = best
    assert one.estimate.difference == pytest.approx(float((best[parent] - best[arm]).mean()))
    assert one.verdict == compare.HELPS


def test_the_parent_is_read_in_the_stage_the_stopped_arm_had_reached(run):
    arm = str(run.trials["arm"][run.trials["is_best"]].iloc[0])
    assert np.isnan(compare.at_budget(run, arm, 0)).all()
    early, late = compare.at_budget(run, arm, 4), compare.at_budget(run, arm, 8)
    assert (late >= early).all()
    # Epoch 9 is the first of the last stage: what the stage before had reached does not count there.
    first = run.curve_rows[((run.curves["arm"] == arm) & (run.curves["budget"] == 9)).to_numpy()][0]
    np.testing.assert_allclose(compare.at_budget(run, arm, 9).ravel(), first)


def test_arms_without_a_condition_in_common_are_not_compared(run):
    rows = run.folds.assign(condition=run.folds["condition"].astype(str))
    child = str(run.trials["arm"][run.trials["name"] == fake_run.USEFUL].iloc[0])
    rows.loc[rows["arm"] == child, "condition"] = "audio+text"
    changed = replace(run, folds=rows)
    one = next(one for one in Findings(changed).ablation if one.arm == child)
    assert one.estimate is None
    assert one.verdict == compare.NOT_COMPARABLE


def test_the_ratio_comes_from_the_folds(run):
    assert compare.size_ratio(run) == pytest.approx(240 / 720)
    folds = [{**fold, "train": 0} for fold in run.provenance["folds"]]
    unknown = replace(run, provenance={**run.provenance, "folds": folds})
    assert compare.size_ratio(unknown) == pytest.approx(1 / 4)


def test_pairs_are_rows_that_both_have(run):
    rows = aggregate.by_row(aggregate.final_rows(run))
    arm = str(run.trials["arm"].iloc[0])
    values = aggregate.values_of(rows, arm)
    assert len(values) == 15
    first, second = compare.paired(values, values.iloc[1:] - 0.1)
    assert np.isnan(first[0, 0])
    np.testing.assert_allclose((first - second)[1:], 0.1)
    assert aggregate.values_of(rows, "nobody").empty
    assert compare.paired(values, aggregate.values_of(rows, "nobody"))[0].shape == (0, 0)


def test_an_arm_tested_in_other_conditions_has_its_numbers_and_no_verdict(run):
    mine = run.folds["name"].astype(str) == fake_run.USELESS
    folds = run.folds.assign(condition=run.folds["condition"].astype(str).mask(mine, "text"))
    found = Findings(replace(run, folds=folds))
    row = tables.ablation(found).frame.set_index("row").loc[fake_run.USELESS]
    assert row["verdict"] == "not comparable: tested with text"
    assert row["uar"] == pytest.approx(found.number(row["arm"], "uar"))
    assert np.isnan(row["difference"])


def _seeing(run, mine: str, theirs: str, **inputs):
    """A run whose useless row was tested with `mine` and its reference with `theirs`."""
    row = run.folds["name"].astype(str) == fake_run.USELESS
    folds = run.folds.assign(condition=np.where(row, mine, theirs))
    configs = [
        {**config, "augment.inputs": inputs.get("row", "all") if name == fake_run.USELESS else "all"}
        for name, config in zip(run.trials["name"], run.trials["config"], strict=True)
    ]
    changed = replace(run, folds=folds, trials=run.trials.assign(config=configs))
    return next(one for one in Findings(changed).ablation if one.name == fake_run.USELESS)


def test_a_row_that_was_told_to_see_less_is_compared_with_what_sees_all(run):
    one = _seeing(run, "audio", "audio+text", row="audio")
    same = next(one for one in Findings(run).ablation if one.name == fake_run.USELESS)
    assert one.basis == "test with audio only"
    assert one.estimate.fold_differences == same.estimate.fold_differences


@pytest.mark.parametrize(
    ("mine", "theirs", "row"),
    [("audio", "audio+text", "all"), ("audio+text", "audio", "audio+text"), ("audio", "text", "audio")],
)
def test_a_row_that_sees_more_or_else_or_was_not_told_is_not(run, mine, theirs, row):
    assert _seeing(run, mine, theirs, row=row).verdict == compare.NOT_COMPARABLE


def test_what_is_seen_alone_but_not_among_many_is_not_called_no_evidence():
    differences = np.array([[0.02], [0.025], [0.03], [0.02], [0.015]])
    found = compare.estimate(differences, 0.25)
    assert compare.seen_alone(found)
    assert compare.verdict(found, 0.2) == compare.TOO_FEW
    assert compare.verdict(found, found.p) == compare.HELPS
    nothing = compare.estimate(differences - 0.022, 0.25)
    assert compare.verdict(nothing, 1.0) == compare.NO_EVIDENCE
