from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import planted_search
import pytest

from analysis import left_out, rungs_words, search_tables
from analysis.findings import Findings
from analysis.rungs import Regret


def test_the_robust_range_is_told_in_values_and_in_factors(found):
    table = search_tables.robust(found)
    alpha, depth = (row for row in table.frame.itertuples(index=False))
    own = found.run.arm(found.reference)["config"]["align.alpha"]
    assert (alpha.parameter, depth.parameter) == ("align.alpha", "generate.depth")
    assert (alpha.robust_low, alpha.robust_high) == (0.3, 3.0)
    assert (alpha.factor_low, alpha.factor_high) == pytest.approx((0.3 / own, 3 / own))
    assert alpha.tested == (0.0, 0.1, 0.3, own, 3.0, 10.0)
    assert (depth.robust_low, depth.robust_high, depth.open_low, depth.open_high) == (1, 2, True, False)
    assert "lost more than 1 point" in table.note
    robust = [cells[4] for cells in table.cells()]
    assert robust == ["0.3 to 3", "≤ 1 to 2"]
    assert "fANOVA, %" not in [column.heading for column in table.columns]


def test_importance_stands_beside_where_the_search_taught_any(run, found):
    found.response = Findings(planted_search.searched(run, planted_search.Search(arms=30))).response
    table = search_tables.robust(found)
    assert "fANOVA, %" not in [column.heading for column in table.columns]
    weight = found.response.importances.found[0]
    renamed = (weight._replace(parameter="align.alpha"), *found.response.importances.found[1:])
    found.response = found.response._replace(importances=found.response.importances._replace(found=renamed))
    table = search_tables.robust(found)
    assert table.frame["fanova"].iloc[0] == weight.fanova.share
    assert math.isnan(table.frame["fanova"].iloc[1])
    assert [cells[-1] for cells in table.cells()][1] == "—"


def test_no_sensitivity_no_range(run):
    alone = replace(run, trials=run.trials[run.trials["kind"] != "sensitivity"])
    assert search_tables.robust(Findings(alone)) is None


def test_rungs_hold_the_numbers_and_name_what_is_not_known(found):
    table, risk = search_tables.rungs(found), found.rungs
    assert table.frame["budget"].tolist() == [3, 9]
    assert table.frame["spearman"].tolist() == [rung.searched.spearman for rung in risk.rungs]
    assert table.frame["kept"].tolist() == [rung.kept for rung in risk.rungs]
    assert "only survivors are seen" in table.note
    assert "multiple imputation" in table.note
    assert "never up for stopping" not in [column.heading for column in table.columns]
    spared = {**found.run.provenance["scheduler"], "applies_to": ["search"]}
    other = Findings(replace(found.run, provenance={**found.run.provenance, "scheduler": spared}))
    assert "never up for stopping" in [column.heading for column in search_tables.rungs(other).columns]


def test_nothing_stopped_no_table(run):
    assert search_tables.rungs(Findings(replace(run, trials=run.trials.assign(status="done")))) is None


@pytest.mark.parametrize(
    ("chance", "words"),
    [(0.0, "under 1 %"), (0.004, "under 1 %"), (0.35, "35 %"), (0.999, "over 99 %"), (1.0, "over 99 %")],
)
def test_no_chance_is_said_to_be_none_or_sure(chance, words):
    assert rungs_words.percent(chance) == words
    regret = Regret(stopped=3, learnt=9, wider=False, beaten=0.2, chance=chance, regret=0.004, worst=0.01)
    said = rungs_words._regret(regret)
    assert f"any would have is {words}," in said
    assert "0.2 of 3 stopped arms" in said
    assert "0.4 points of dev score (one time in twenty more than 1.0)" in said


def test_failed_arms_are_listed_by_reason_where_there_are_many(found, run):
    assert left_out.failed(found).frame["name"].tolist() == ["search 6"]
    many = pd.concat([run.trials, *[run.trials[run.trials["status"] == "failed"]] * 12], ignore_index=True)
    failed = many["status"] == "failed"
    reasons = [f"diverged: loss is not finite at epoch {i}" if i % 3 else "out of memory" for i in range(failed.sum())]
    many.loc[failed, "reason"] = reasons
    many.loc[failed, "arm"] = [f"failed{i}" for i in range(failed.sum())]
    many.loc[failed, "epochs"] = np.arange(failed.sum())
    table = left_out.failed(Findings(replace(run, trials=many)))
    assert table.frame["reason"].tolist() == ["diverged: loss is not finite at epoch …", "out of memory"]
    assert table.frame["arms"].tolist() == [8, 5]
    assert table.frame["epochs_low"].tolist() == [1, 0]
    assert table.frame["epochs_high"].tolist() == [11, 12]
    assert table.cells()[0][-1] == "search 6, search 6, search 6 …"
