from __future__ import annotations

import json
from dataclasses import replace

import fake_run
import numpy as np
import pytest

from analysis import by_speaker, compare, evidence, evidence_tables, statistics
from analysis.cautions import cautions
from analysis.findings import Findings
from analysis.run import load


def _published(run, full: float, rows: dict[str, float]):
    """The run with the paper's numbers of the full model and of some rows."""

    def number(mean):
        return [
            {"corpus": "iemocap", "metric": "uar", "mean": mean, "std": None, "source": "A 2025", "condition": "audio"}
        ]

    provenance = json.loads(json.dumps(run.provenance)) | {"published": number(full)}
    for name, row in provenance["ablation"].items():
        row["published"] = number(rows[name]) if name in rows else []
    return replace(run, provenance=provenance)


def test_numbers_are_those_of_the_statistics_on_the_same_differences(run):
    found = Findings(run)
    compared = {one.arm: one.estimate for one in found.ablation}
    ratio = compare.size_ratio(run)
    assert [one.name for one in found.evidence] == [one.name for one in found.ablation if one.status == "done"]
    for one in found.evidence:
        differences = np.array(compared[one.arm].fold_differences)
        assert one.effect == statistics.effect_size(differences, ratio)
        assert one.posterior == statistics.posterior(differences, ratio)
        assert one.detectable == statistics.detectable(differences.std(ddof=1), 5, ratio)
        assert np.isnan([one.published, one.power]).all()
        assert one.folds_needed is None


def test_speakers_are_drawn_where_they_were_counted(run, tmp_path):
    found = Findings(run)
    useful = next(one for one in found.evidence if one.name == fake_run.USEFUL)
    assert (useful.unit, useful.units) == ("speakers", 10)
    mine, theirs = (by_speaker.values_of(run, arm)["uar"] for arm in (useful.arm, found.reference))
    expected = (theirs - mine).groupby(["fold", "speaker"], observed=True).mean().mean()
    assert useful.bootstrap.value == pytest.approx(expected)
    before = load(fake_run.write(tmp_path / "before", fake_run.Plan(speakers=0)))
    useful = next(one for one in Findings(before).evidence if one.name == fake_run.USEFUL)
    assert (useful.unit, useful.units) == ("folds", 5)
    assert useful.bootstrap.value == pytest.approx(useful.estimate.difference)


def test_the_planted_effect_is_sure_and_the_planted_null_is_the_same(run):
    by_name = {one.name: one for one in Findings(run).evidence}
    useful, useless = by_name[fake_run.USEFUL], by_name[fake_run.USELESS]
    assert useful.posterior.above > 0.95
    assert useful.effect.low > 0
    assert useful.bootstrap.low > 0
    assert max(useless.posterior.below, useless.posterior.above) < 0.9
    assert useless.bootstrap.low < 0 < useless.bootstrap.high


def test_a_published_gain_gets_its_power(run):
    known = _published(run, 0.62, {fake_run.USEFUL: 0.56, fake_run.USELESS: 0.6199})
    by_name = {one.name: one for one in Findings(known).evidence}
    useful, useless = by_name[fake_run.USEFUL], by_name[fake_run.USELESS]
    assert useful.published == pytest.approx(0.06)
    assert useful.power > 0.9
    assert useful.folds_needed <= 5
    assert useless.power < 0.1
    assert useless.folds_needed is None
    table = evidence_tables.ablation(Findings(known))
    assert [column.heading for column in table.columns][-3:] == ["Published, points", "Power for it", "Folds for it"]
    cells = {row[0]: row[-3:] for row in table.cells()}
    assert cells[fake_run.USELESS][0] == "0.0"
    assert cells[fake_run.USELESS][2] == "> 200"


def test_stopped_rows_and_too_few_folds_have_no_evidence(run, tmp_path):
    stopped = set(run.trials["arm"][run.trials["status"] != "done"])
    assert not stopped & {one.arm for one in Findings(run).evidence}
    two = Findings(load(fake_run.write(tmp_path / "two", fake_run.Plan(folds=2))))
    assert two.evidence == []
    assert evidence_tables.ablation(two) is None


def test_one_seed_gives_no_seed_component(tmp_path):
    found = Findings(load(fake_run.write(tmp_path / "one", fake_run.Plan(seeds=(0,)))))
    assert all(np.isnan(one.between_seeds) for one in found.evidence)
    assert all(row[5] == row[6] == "—" for row in evidence_tables.spread(found).cells())


def test_variance_components_are_those_of_a_one_way_analysis(run):
    """Mean squares between and within folds, by the textbook."""
    found = Findings(run)
    table = evidence_tables.spread(found).frame.set_index("arm")
    rows = run.folds[(run.folds["arm"] == found.best) & run.folds["final"] & (run.folds["split"] == "test")]
    groups = [mine["uar"].to_numpy() for _, mine in rows.groupby("fold", observed=True)]
    within = np.mean([group.var(ddof=1) for group in groups])
    between = 3 * np.var([group.mean() for group in groups], ddof=1)
    line = table.loc[found.best]
    assert line["between_seeds"] == pytest.approx(np.sqrt(within))
    assert line["between_folds"] == pytest.approx(np.sqrt((between - within) / 3))
    assert line["seed_share"] == pytest.approx(within / (within + (between - within) / 3))


def test_rows_told_to_see_less_draw_folds(several):
    assert all(one.unit == "speakers" or one.estimate.folds == one.units for one in evidence.of(several, [], None))
    found = Findings(several)
    assert {one.unit for one in found.evidence} == {"speakers"}


def test_a_published_effect_that_is_likely_to_be_missed_is_a_caution(run):
    rows = {fake_run.USEFUL: 0.56, fake_run.USELESS: 0.60}
    known = Findings(_published(run, 0.62, rows))
    (text,) = [text for text in cautions(known) if "too few to be sure" in text]
    useless = next(one for one in known.evidence if one.name == fake_run.USELESS)
    assert f"{fake_run.USELESS}: +2.0 points, {100 * useless.power:.0f} %" in text
    # An effect that was seen was not missed, however unlikely that was.
    assert fake_run.USEFUL not in text
    assert not [text for text in cautions(Findings(run)) if "too few to be sure" in text]
