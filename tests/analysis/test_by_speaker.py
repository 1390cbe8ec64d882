from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import fake_run
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import aggregate, by_speaker, report, speaker_table
from analysis.errors import ReportError
from analysis.figures import speakers
from analysis.findings import Findings
from analysis.run import Run, load

SMALL = {
    **{"search": 2, "ablation": {}, "control": {}, "sensitivity": {}, "stop_ablation": False},
    **{"stopped": 0, "failed": 0, "flagged": 0, "diagnostics": False, "embeddings": False},
}


def with_speakers(run: Run, counts: dict[tuple[str, str, int], np.ndarray], condition: str = "audio") -> Run:
    """The run, with these counts by (fold, speaker, seed) for its best arm and no others."""
    places = list(counts)
    frame = pd.DataFrame(places, columns=["fold", "speaker", "seed"])
    frame = frame.assign(arm=Findings(run).best, condition=condition, n=[int(counts[each].sum()) for each in places])
    return replace(run, speakers=frame, speaker_confusions=np.stack([counts[each] for each in places]))


def plain_uar(counts: np.ndarray) -> float:
    """Mean of the recalls of the classes that occur, written out."""
    return float(np.mean([row[place] / row.sum() for place, row in enumerate(counts) if row.sum()]))


# reading


def test_the_table_is_read_as_written_and_adds_up_to_the_folds(folder, run):
    raw = pd.read_parquet(folder / "speakers.parquet")
    assert run.speakers["speaker"].tolist() == raw["speaker"].tolist()
    np.testing.assert_array_equal(run.speaker_confusions.reshape(len(raw), -1), np.stack(list(raw["confusion"])))
    best = Findings(run).best
    frame, counts = by_speaker.counts_of(run, best)
    rows = aggregate.final_rows(run)
    rows = rows[(rows["arm"] == best) & (rows["split"] == "test")]
    for row in rows.itertuples():
        mine = (frame["fold"] == row.fold) & (frame["seed"] == row.seed)
        assert mine.sum() == 2
        np.testing.assert_array_equal(counts[mine].sum(axis=0), run.confusions[row.Index])


def test_a_run_of_before_they_were_counted_is_read_and_shows_nothing_of_them(tmp_path):
    found = Findings(load(fake_run.write(tmp_path / "old", fake_run.Plan(**SMALL, speakers=0))))
    assert by_speaker.values_of(found.run, found.best).empty
    assert by_speaker.spread(found.run, found.best) is None
    assert (speaker_table.speakers(found), speakers.speakers(found)) == (None, None)


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy", ignore=shutil.ignore_patterns("report")))


def test_counts_of_another_size_are_refused(copy):
    table = pd.read_parquet(copy / "speakers.parquet")
    table["confusion"] = [each[:9] for each in table["confusion"]]
    table.to_parquet(copy / "speakers.parquet")
    with pytest.raises(ReportError, match=r"speakers\.parquet: a confusion does not hold 4 x 4 counts"):
        load(copy)


def test_a_stranger_among_the_arms_is_refused_once_the_run_is_finished_and_dropped_before(copy):
    table = pd.read_parquet(copy / "speakers.parquet")
    pq.write_table(pa.Table.from_pandas(pd.concat([table, table[:3].assign(arm="x")])), copy / "speakers.parquet")
    with pytest.raises(ReportError, match=r"speakers\.parquet: the arm x is not in trials"):
        load(copy)
    (copy / "journal.jsonl").write_text("")
    run = load(copy)
    assert len(run.speakers) == len(run.speaker_confusions) == len(table)


# numbers


def test_values_are_those_of_the_counts_in_each_condition_and_over_them(several, several_folder):
    best = Findings(several).best
    raw = pd.read_parquet(several_folder / "speakers.parquet").query("arm == @best")
    raw["uar"] = [plain_uar(each.reshape(4, 4)) for each in raw["confusion"]]
    raw["war"] = [each.reshape(4, 4).trace() / each.sum() for each in raw["confusion"]]
    key = ["fold", "speaker", "seed"]
    for condition, mine in [("text", raw[raw["condition"] == "text"]), (None, raw)]:
        values = by_speaker.values_of(several, best, condition)
        expected = mine.groupby(key)[["uar", "war"]].mean()
        assert values.index.names == key
        assert len(values) == 5 * 2 * 3
        for name in ("uar", "war"):
            assert values[name].to_dict() == pytest.approx(expected[name].to_dict())
        assert set(values["n"]) == {120}
        assert set(values["classes"]) == {4}


def test_a_class_that_a_speaker_lacks_is_left_out_of_the_mean(run):
    only = np.zeros((4, 4), dtype=int)
    only[1] = [1, 3, 0, 0]
    only[2] = [0, 0, 1, 1]
    both = {("session 1", "x", seed): only * (1 + seed) for seed in (0, 1)}
    short = with_speakers(run, both | {("session 1", "y", seed): np.diag([2, 2, 2, 0]) for seed in (0, 1)})
    table = by_speaker.summary(short, Findings(run).best).loc["session 1"]
    assert table.loc["x", ["uar", "classes", "n", "uar_seed_std"]].tolist() == [(0.75 + 0.5) / 2, 2, 6, 0.0]
    assert table.loc["x", [f"recall_{name}" for name in ("happy", "neutral")]].tolist() == [0.75, 0.5]
    assert np.isnan(table.loc["x", ["recall_angry", "recall_sad"]].to_numpy(float)).all()
    assert table.loc["y", "classes"] == 3
    assert table.loc["y", "uar"] == 1.0


def test_means_and_spread_over_seeds(run):
    best = Findings(run).best
    values = by_speaker.values_of(run, best).pivot_table("uar", ["fold", "speaker"], "seed", observed=True)
    table = by_speaker.summary(run, best)
    np.testing.assert_allclose(table["uar"], values.mean(axis=1))
    np.testing.assert_allclose(table["uar_seed_std"], values.std(axis=1, ddof=1))


def alike(rng, recalls, support, speakers, more=0.0):
    """Counts of speakers whose utterances are right with one probability a class; ``more`` apart from one another."""
    counts = {}
    for speaker in range(speakers):
        rates = np.clip(np.array(recalls) + rng.normal(0, more), 0, 1)
        hits = rng.binomial(support, rates)
        made = np.diag(hits)
        made[np.arange(len(hits)), (np.arange(len(hits)) + 1) % len(hits)] = np.array(support) - hits
        # Seeds that err on the same utterances.
        counts |= {("session 1", f"s{speaker:03d}", seed): made for seed in (0, 1)}
    return counts


@pytest.mark.parametrize(("recalls", "support"), [((0.5, 0.7, 0.9, 0.6), (5, 20, 9, 14)), ((0.6,) * 4, (8, 0, 8, 3))])
def test_chance_is_the_spread_of_speakers_who_are_alike(run, recalls, support):
    made = with_speakers(run, alike(np.random.default_rng(0), recalls, support, 1500))
    between = by_speaker.spread(made, Findings(run).best)
    assert between.speakers == 1500
    assert between.std == pytest.approx(between.chance, rel=0.06)
    assert between.mean == pytest.approx(np.mean([r for r, n in zip(recalls, support, strict=True) if n]), abs=0.01)


def test_what_differs_between_speakers_adds_to_chance(run):
    made = with_speakers(run, alike(np.random.default_rng(1), (0.6,) * 4, (10,) * 4, 800, more=0.1))
    between = by_speaker.spread(made, Findings(run).best)
    assert between.std == pytest.approx(math.hypot(between.chance, 0.1), rel=0.1)
    assert between.lowest < between.mean - 2 * between.chance


counted = st.lists(st.lists(st.integers(0, 6), min_size=4, max_size=4), min_size=4, max_size=4).map(np.array)


@settings(max_examples=40)
@given(st.lists(counted.filter(np.any), min_size=1, max_size=6))
def test_any_counts_have_a_summary(run, counts):
    made = with_speakers(run, {("session 1", f"s{place}", 0): each for place, each in enumerate(counts)})
    best = Findings(run).best
    table = by_speaker.summary(made, best)
    assert table["uar"].tolist() == pytest.approx([plain_uar(each) for each in counts])
    assert table["uar_seed_std"].isna().all()
    between = by_speaker.spread(made, best)
    assert (between is None) == (len(counts) == 1)
    if between:
        assert 0 <= between.lowest <= between.mean <= between.highest <= 1
        assert 0 <= between.chance <= 0.5


# table and figure


def test_the_table_is_of_the_best_arm_alone_the_lowest_first(found):
    table = speaker_table.speakers(found)
    expected = by_speaker.summary(found.run, found.best)
    assert table.frame.set_index("speaker")["uar"].to_dict() == pytest.approx(
        expected.reset_index().set_index("speaker")["uar"].to_dict()
    )
    assert table.frame["uar"].is_monotonic_increasing
    headings = [column.heading for column in table.columns]
    assert headings == ["Speaker", "Fold", "Test UAR, %", "angry", "happy", "neutral", "sad", "Utterances"]
    first, cells = table.frame.iloc[0], table.cells()[0]
    assert cells[0] == first["speaker"]
    assert cells[2].startswith(f"{100 * first['uar']:.1f} ± ")
    assert cells[3] == f"{100 * first['recall_angry']:.1f}"
    assert cells[-1] == "120"


def test_a_lacking_class_is_said(run):
    lacking = {("session 1", name, 0): np.diag([3, 3, 3, last]) for name, last in (("x", 0), ("y", 3))}
    found = Findings(with_speakers(run, lacking))
    table = speaker_table.speakers(found)
    place = [column.heading for column in table.columns].index("Classes")
    assert sorted(cells[place] for cells in table.cells()) == ["3 of 4", "4 of 4"]
    assert [dot.whole for dot in speakers.numbers(found)] == [False, True]
    assert "lacks a class" in speakers.speakers(found).caption


def test_conditions_are_in_the_csv_each_by_itself(several):
    found = Findings(several)
    frame = speaker_table.speakers(found).frame.set_index(["fold", "speaker"])
    for name in ("audio", "text", "audio+text"):
        alone = by_speaker.summary(several, found.best, name)["uar"]
        assert frame[f"uar {name}"].to_dict() == pytest.approx(alone.to_dict())


@pytest.mark.parametrize(("many", "lines"), [(2, 2), (40, 40), (41, 24), (500, 24)])
def test_of_many_speakers_the_ends_are_drawn_and_printed(run, many, lines):
    found = Findings(with_speakers(run, alike(np.random.default_rng(2), (0.6,) * 4, (9,) * 4, many)))
    dots = speakers.numbers(found)
    assert [dot.uar for dot in dots] == sorted(dot.uar for dot in dots)
    assert len(dots) == many
    drawn = speakers.speakers(found)
    axes = drawn.figure.axes
    names = [label.get_text() for label in axes[0].get_yticklabels()]
    assert len([name for name in names if name != "⋮"]) == lines
    assert names[0] == dots[0].name
    assert names[-1] == dots[-1].name
    assert len(axes) == (1 if many <= speakers.MOST else 2)
    if many > speakers.MOST:
        assert sum(bar.get_height() for bar in axes[1].patches) == many
    table = speaker_table.speakers(found)
    assert len(table.frame) == many
    assert len(table.cells()) == (many if many <= speaker_table.MOST else 2 * speaker_table.ENDS)
    assert table.cells()[-1][0] == dots[-1].name


def test_words_of_the_spread(run):
    between = by_speaker.Spread(24, 0.6, 0.071, 0.45, 0.72, 0.032)
    assert speaker_table.in_words(between) == (
        "Between the 24 speakers UAR spreads by 7.1 points (45.0 to 72.0 %); were all recognised alike, so few "
        "utterances each would make it up to 3.2."
    )


@pytest.mark.slow
def test_the_report_has_a_section_of_speakers(tmp_path, undrawn):
    run = fake_run.write(tmp_path / "run", fake_run.Plan(**SMALL))
    text = report.write([run]).read_text()
    assert "By test speaker" in text
    assert len(pd.read_csv(run / "report" / "tables" / "speakers.csv")) == 10
    assert json.loads((run / "provenance.json").read_text())["folds"][0]["speakers"]["test"][0] in text
