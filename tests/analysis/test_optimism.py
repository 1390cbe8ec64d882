from __future__ import annotations

from dataclasses import replace

import fake_run
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import evidence_tables, optimism
from analysis.findings import Findings
from analysis.run import load


def _by_loops(values: np.ndarray, drawn: np.ndarray) -> list[float]:
    """The same, one draw at a time."""
    scores = []
    for counts in drawn:
        inside = [fold for fold, count in enumerate(counts) for _ in range(count)]
        outside = [fold for fold, count in enumerate(counts) if not count]
        if outside:
            winner = int(np.argmax([sum(arm[fold] for fold in inside) for arm in values]))
            scores.append(float(np.mean(values[winner][outside])))
    return scores


@settings(max_examples=15)
@given(st.integers(2, 6), st.integers(3, 7), st.integers(0, 2**32 - 1))
def test_choosing_again_is_what_a_loop_over_draws_does(arms, folds, seed):
    values = np.random.default_rng(seed).normal(0.6, 0.05, (arms, folds))
    drawn = np.random.default_rng(1).multinomial(folds, np.full(folds, 1 / folds), size=optimism.DRAWS)
    _, outside = optimism._repeat(values, np.random.default_rng(1))
    np.testing.assert_allclose(np.sort(outside), np.sort(_by_loops(values, drawn)))


def test_equal_arms_that_differ_by_luck_alone_are_corrected_to_their_level():
    """200 arms of one true level: the best looks 4 points better; over many studies the correction takes it off."""
    rng = np.random.default_rng(0)
    raw, corrected = [], []
    for _ in range(60):
        values = 0.6 + rng.normal(0, 0.03, (200, 10))
        raw.append(values.mean(axis=1).max())
        corrected.append(optimism._repeat(values, rng)[1].mean())
    assert np.mean(raw) > 0.62
    assert np.mean(corrected) == pytest.approx(0.6, abs=0.004)


def test_one_arm_far_ahead_needs_next_to_no_correction():
    values = np.vstack([np.full(8, 0.7), np.random.default_rng(0).normal(0.5, 0.02, (20, 8))])
    chosen, outside = optimism._repeat(values, np.random.default_rng(0))
    assert (chosen == 0).all()
    assert outside == pytest.approx(np.full(len(outside), 0.7))


def test_only_arms_that_might_have_been_chosen_take_part(run):
    found = optimism.optimism(run)
    arms = run.trials
    able = arms[arms["kind"].isin(["search", "reference"]) & (arms["status"] == "done") & (arms["flags"].map(len) == 0)]
    assert found.arms == len(able)
    assert {arm for arm, _ in found.winners} <= set(able["arm"])
    assert found.dev == pytest.approx(able["score"].max())
    assert found.low <= found.corrected <= found.high
    # The same numbers each time, and test plays no part.
    worse = replace(run, folds=run.folds.assign(uar=run.folds["uar"].where(run.folds["split"] == "dev", 0.0)))
    assert optimism.optimism(worse) == found


def test_the_table_says_what_it_is_corrected_for(found):
    cells = evidence_tables.optimism(found).cells()
    assert [row[0] for row in cells][::2] == ["Dev UAR of the chosen arm", "Test UAR of the chosen arm"]
    assert "of draws" in cells[1][-1]


def test_without_a_choice_or_with_two_folds_there_is_nothing_to_correct(tmp_path):
    alone = load(fake_run.write(tmp_path / "alone", fake_run.Plan(search=0, stopped=0, failed=0, flagged=0)))
    assert optimism.optimism(alone) is None
    assert evidence_tables.optimism(Findings(alone)) is None
    assert optimism.optimism(load(fake_run.write(tmp_path / "two", fake_run.Plan(folds=2)))) is None
