from __future__ import annotations

from dataclasses import replace

import fake_run
import numpy as np
import pytest

from analysis import by_condition, published, tables
from analysis.cautions import cautions
from analysis.findings import Findings


def _value(condition: str, mean: float, metric: str = "uar", source: str = "A") -> published.Published:
    return published.Published(condition, metric, mean, np.nan, source)


def test_a_mean_over_conditions_needs_every_one_of_them():
    values = [_value("audio", 0.5), _value("text", 0.6, source="B"), _value("audio", 0.9, "war")]
    assert published.over(values, ["audio"]) == values[0]
    both = published.over(values, ["audio", "text"])
    assert both.mean == pytest.approx(0.55)
    assert both.source == "A; B"
    assert published.over(values, ["audio", "text", "audio+text"]) is published.NONE
    assert published.over(values, []) is published.NONE
    assert published.over(values, ["audio"], "war").mean == 0.9


def test_other_corpora_and_unknown_metrics_are_left_out(run):
    written = {"corpus": "MSP-IMPROV", "metric": "uar", "mean": 0.5, "std": None, "source": "A"}
    assert published.on_corpus(run, [written, {**written, "corpus": "iemocap", "metric": "ccc"}]) == []
    (one,) = published.on_corpus(run, [{**written, "corpus": "IEMOCAP"}])
    assert (one.condition, one.mean, np.isnan(one.std)) == ("audio", 0.5, True)
    assert published.of_row(run, None) == []


def test_the_ablation_never_sets_one_condition_beside_a_mean_over_several(several):
    frame = tables.ablation(Findings(several)).frame
    # The paper has all three of the full model, but audio alone of the rows.
    assert frame["published_uar"].iloc[0] == pytest.approx((0.5523 + 0.6302 + 0.7431) / 3)
    assert frame["published_uar"].iloc[1:].isna().all()


def test_a_row_takes_the_number_of_the_condition_it_was_tested_in(run):
    written = [
        {"corpus": "iemocap", "metric": "uar", "mean": mean, "std": None, "source": "A", "condition": name}
        for name, mean in (("audio", 0.5), ("audio+text", 0.7))
    ]
    rows = {name: {**facts, "published": written} for name, facts in run.provenance["ablation"].items()}
    mine = run.folds["name"].astype(str) == fake_run.USELESS
    folds = run.folds.assign(condition=run.folds["condition"].astype(str).mask(mine, "audio+text"))
    changed = replace(run, folds=folds, provenance={**run.provenance, "ablation": rows})
    frame = tables.ablation(Findings(changed)).frame.set_index("row")
    assert frame.loc[fake_run.USEFUL, "published_uar"] == 0.5
    assert frame.loc[fake_run.USELESS, "published_uar"] == 0.7


def test_every_published_number_stands_beside_ours_of_its_metric_and_condition(several):
    found = Findings(several)
    frame = by_condition.published_beside(found).frame
    full = frame[frame["arm"] == found.best]
    assert list(zip(full["condition"], full["metric"], strict=True)) == [
        *(("audio", "uar"), ("text", "uar"), ("audio+text", "uar"), ("audio+text", "war")),
    ]
    assert full["ours"].iloc[1] == found.in_condition(found.best, "text")[0]
    assert full["source"].iloc[3] == f"{fake_run.SOURCE}, 5-fold"


def test_it_is_left_out_where_the_ablation_table_says_it_all(found):
    assert by_condition.published_beside(found) is None


def test_a_study_without_ablation_shows_the_papers_number_too(tmp_path):
    from analysis.run import load

    plan = fake_run.Plan(search=0, ablation={}, control={}, sensitivity={}, published=(("audio", "uar", 0.62, "A"),))
    found = Findings(load(fake_run.write(tmp_path / "run", plan)))
    assert by_condition.published_beside(found).frame["published"].tolist() == [0.62]


def test_sources_are_passed_on_as_a_caution(several, run):
    (text,) = [text for text in cautions(Findings(several)) if text.startswith("Published numbers")]
    assert f"{fake_run.SOURCE}, 5-fold" in text
    corpus = {**run.provenance["corpus"], "name": "emodb"}
    other = Findings(replace(run, provenance={**run.provenance, "corpus": corpus}))
    assert not any(text.startswith("Published") for text in cautions(other))
