from __future__ import annotations

from dataclasses import replace

import fake_run
import numpy as np
import pandas as pd
import pytest

from analysis import aggregate, by_arm, by_condition, compare, conditions, files, report, stages, tables
from analysis.figures import conditions as drawing
from analysis.figures import features
from analysis.findings import Findings
from analysis.run import load
from analysis.words import headline

NAMES = ("audio", "text", "audio+text")


@pytest.fixture
def many(several) -> Findings:
    return Findings(several)


@pytest.fixture(scope="module")
def raw(several_folder) -> pd.DataFrame:
    """The test rows of last stages."""
    table = pd.read_parquet(several_folder / "folds.parquet")
    return table[table["final"] & (table["split"] == "test")]


def _by_fold(raw: pd.DataFrame, arm: str, names: tuple[str, ...]) -> np.ndarray:
    """UAR of each fold, the mean over seeds and some conditions, in loops."""
    mine = [row for row in raw.itertuples() if row.arm == arm and row.condition in names]
    return np.array([np.mean([row.uar for row in mine if row.fold == fold]) for fold in raw["fold"].unique()])


def test_the_full_condition_comes_last_and_is_not_missing_anything():
    names = ["audio+text+video", "video", "text", "audio+text", "audio"]
    assert conditions.ordered(names) == ["audio", "text", "video", "audio+text", "audio+text+video"]
    assert conditions.full(names) == "audio+text+video"
    assert conditions.missing(names) == ["audio", "text", "video", "audio+text"]
    assert conditions.groups(NAMES) == {**{name: [name] for name in NAMES}, "missing": ["audio", "text"]}


@pytest.mark.parametrize("names", [["audio"], ["audio", "text"], []])
def test_without_a_full_one_nothing_is_missing(names):
    assert conditions.full(names) is None
    assert list(conditions.groups(names)) == names


def test_one_missing_condition_is_no_mean():
    assert list(conditions.groups(["audio", "audio+text"])) == ["audio", "audio+text"]


def test_every_condition_has_the_numbers_of_its_own_rows(many, raw):
    for group, names in (*((name, (name,)) for name in NAMES), ("missing", ("audio", "text"))):
        folds = _by_fold(raw, many.best, names)
        mean, std = many.in_condition(many.best, group)
        assert mean == pytest.approx(folds.mean())
        assert std == pytest.approx(folds.std(ddof=1))
    assert np.isnan(many.in_condition("nobody", "audio")).all()


def test_uar_is_the_mean_over_conditions_and_they_add_no_spread(many, raw):
    folds = _by_fold(raw, many.best, NAMES)
    assert many.number(many.best, "uar") == pytest.approx(folds.mean())
    assert many.number(many.best, "uar_fold_std") == pytest.approx(folds.std(ddof=1))
    mine = raw[raw["arm"] == many.best]
    rows = mine.groupby(["fold", "seed"])["uar"].mean()
    assert many.number(many.best, "uar_seed_std") == pytest.approx(rows.groupby("fold").var(ddof=1).mean() ** 0.5)
    table = aggregate.folds_of(many.run, many.best)
    np.testing.assert_allclose(table["test"], folds)
    np.testing.assert_allclose(table["test_seed_std"], rows.groupby("fold").std(ddof=1))
    assert (table["n"] == 240).all()


def test_recalls_are_means_over_conditions_and_each_by_itself(many):
    each = [aggregate.recalls(many.run, many.best, condition=name) for name in NAMES]
    whole = aggregate.recalls(many.run, many.best)
    np.testing.assert_allclose(whole["recall"], np.mean([table["recall"] for table in each], axis=0))
    assert (whole["n"] == each[0]["n"]).all()
    frame = tables.recalls(many).frame
    np.testing.assert_allclose(frame["audio+text"], each[2]["recall"])


def test_confusions_are_kept_apart(many, raw):
    assert list(many.confusions) == list(NAMES)
    mine = raw[(raw["arm"] == many.best) & (raw["condition"] == "text")]
    np.testing.assert_array_equal(many.confusions["text"], np.sum(list(mine["confusion"]), axis=0).reshape(4, 4))
    drawn = features.confusion(many)
    assert [axes.get_title(loc="left") for axes in drawn.figure.axes[:3]] == list(NAMES)
    # Counts are those of one seed: every class has its 60 utterances a fold.
    texts = [text.get_text() for text in drawn.figure.axes[0].texts]
    assert sum(int(text) for text in texts if "%" not in text) == pytest.approx(5 * 240, abs=8)


def test_the_ablation_pairs_conditions_with_themselves(many, raw):
    one = next(one for one in many.ablation if one.name == fake_run.USELESS)
    differences = _by_fold(raw, many.best, NAMES) - _by_fold(raw, one.arm, NAMES)
    assert one.basis == "test"
    assert one.estimate.fold_differences == pytest.approx(tuple(differences))
    worths = {w.group: w for w in many.worths if w.arm == one.arm}
    assert list(worths) == [*NAMES, "missing"]
    for name in NAMES:
        own = _by_fold(raw, many.best, (name,)) - _by_fold(raw, one.arm, (name,))
        assert worths[name].estimate.fold_differences == pytest.approx(tuple(own))


def test_a_component_that_works_in_one_condition_alone_is_found_there(many):
    worths = {w.group: w for w in many.worths if w.name == fake_run.USELESS}
    assert worths["audio"].verdict == compare.HELPS
    assert worths["text"].verdict != compare.HELPS
    cells = next(row for row in by_condition.worth(many).cells() if row[0] == fake_run.USELESS)
    assert [cell.endswith("*") for cell in cells[1:3]] == [True, False]


def test_a_row_tested_in_some_conditions_is_compared_on_these(tmp_path):
    plan = fake_run.several(tested_in={fake_run.USEFUL: ("audio",)}, embeddings=False)
    found = Findings(load(fake_run.write(tmp_path / "run", plan)))
    one = next(one for one in found.ablation if one.name == fake_run.USEFUL)
    assert one.basis == "test on audio"
    assert one.estimate.difference == pytest.approx(0.06, abs=0.02)
    assert one.parent_uar == pytest.approx(found.in_condition(found.best, "audio")[0])
    (cells,) = [row for row in tables.ablation(found).cells() if row[0] == fake_run.USEFUL]
    assert cells[5] == "helps (test on audio)"
    frame = by_condition.scores(found).frame.set_index("row")
    assert frame.loc[fake_run.USEFUL, ["text", "missing", "all"]].isna().all()
    assert frame.loc[fake_run.USEFUL, "audio"] == pytest.approx(one.uar)
    assert "Conditions" in [column.heading for column in by_arm.recalls(found).columns]


def test_the_table_by_condition_holds_ours_and_below_it_the_papers(many):
    table = by_condition.scores(many)
    assert [c.heading for c in table.columns] == ["Arm", *NAMES, "mean, some missing", "mean, all"]
    ours, theirs = table.frame.iloc[0], table.frame.iloc[1]
    assert ours["row"] == f"{many.name(many.best)} (best, reference)"
    assert ours["all"] == many.number(many.best, "uar")
    assert theirs["published"]
    assert theirs["missing"] == pytest.approx((0.5523 + 0.6302) / 2)
    assert theirs["all"] == pytest.approx((0.5523 + 0.6302 + 0.7431) / 3)
    assert fake_run.SOURCE in table.note
    assert "over audio, text." in table.note


def test_lines_of_the_figure_are_those_of_the_table(many):
    lines = drawing.numbers(many)
    frame = by_condition.scores(many).frame
    assert [line.label.removesuffix(" †") for line in lines] == list(frame["row"][~frame["published"]])
    assert lines[0].scores["text"] == many.in_condition(many.best, "text")
    assert lines[0].published == {"audio": 0.5523, "text": 0.6302, "audio+text": 0.7431}
    assert lines[1].published == {}
    assert drawing.by_condition(many).caption.endswith("on the paper's own features and folds.")


def test_one_condition_needs_none_of_it(found):
    assert not found.several
    assert by_condition.scores(found) is by_condition.worth(found) is drawing.by_condition(found) is None
    assert "condition" not in " ".join(headline(found))


def test_the_page_says_what_uar_is_a_mean_over(many, several_folder, tmp_path, undrawn):
    assert "mean over the conditions audio, text, audio+text" in headline(many)[0]
    assert headline(many)[2].startswith("By condition it reaches")
    assert "mean over 3 conditions" in report.tiles(many)[0][2]
    text = report.write([several_folder], tmp_path).read_text()
    for heading in ("By condition", "What each component is worth, by condition", "mean, some missing"):
        assert heading in text
    made = {table.key: files.latex(table) for table in tables.tables(many)}
    assert r"audio+text" in made["by_condition"]


def test_gains_of_a_stage_are_told_apart_by_condition(many):
    frame = tables.stage_gains(many).frame
    assert list(frame["condition"][frame["arm"] == many.best]) == list(NAMES)
    assert "Condition" in [column.heading for column in tables.stage_gains(many).columns]


def test_gains_of_unlike_stages_name_them(many):
    gains = stages.gains(many.run, [many.best])
    unlike = [*gains, gains[0]._replace(before="warm-up")]
    many.__dict__["gains"] = unlike
    headings = [column.heading for column in tables.stage_gains(many).columns]
    assert {"Stages", "Before, %", "After, %"} <= set(headings)


def test_what_a_row_was_tested_in_does_not_depend_on_the_others(several):
    kept = (several.folds["kind"] != "ablation") | (several.folds["condition"] == "audio")
    folds = several.folds[kept].reset_index(drop=True)
    found = Findings(replace(several, folds=folds, confusions=several.confusions[kept.to_numpy()]))
    assert conditions.tested(found.run, found.best) == list(NAMES)
    assert conditions.tested(found.run, found.shown[-1].arm) == ["audio"]
    assert conditions.tested(found.run, None) == []


def test_the_heat_map_has_every_number_where_it_belongs(many):
    table = drawing.heat_map_numbers(many)
    assert list(table.columns) == ["audio", "text", conditions.MISSING, "audio+text"]
    best = table.loc[next(one.label for one in many.shown if one.arm == many.best)]
    assert best["audio"] == pytest.approx(many.in_condition(many.best, "audio")[0])
    # Two conditions miss something, with equally many folds and seeds: the mean over them is their mean.
    assert best[conditions.MISSING] == pytest.approx((best["audio"] + best["text"]) / 2)
    axes = drawing.heat_map(many).figure.axes[0]
    assert f"{100 * best['text']:.1f}" in [text.get_text() for text in axes.texts]


def test_one_condition_is_no_map(found):
    assert drawing.heat_map(found) is None
