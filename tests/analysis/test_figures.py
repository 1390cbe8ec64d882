from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

import fake_run
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.lines import Line2D

from analysis import tables
from analysis.figures import arms, curves, features, figures, search, style
from analysis.findings import Findings
from analysis.run import load

ALL = {
    *("best_arms", "ablation", "sensitivity", "best_so_far", "search", "learning", "saved"),
    *("parallel", "rungs", "speakers"),
    *("confusion", "generation", "tsne", "losses"),
}


def test_every_figure_of_a_full_run_is_drawn_and_saved(found, tmp_path, monkeypatch):
    monkeypatch.setattr(style, "FORMATS", ("png", "svg", "pdf"))
    drawn = {one.key: one for one in figures(found)}
    assert set(drawn) == ALL
    for one in drawn.values():
        text = style.save(one, tmp_path)
        assert (tmp_path / f"{one.key}.png").read_bytes().startswith(b"\x89PNG")
        assert (tmp_path / f"{one.key}.pdf").read_bytes().startswith(b"%PDF")
        assert (tmp_path / f"{one.key}.svg").read_text() == text
        assert "<!--" not in text
        assert one.caption.endswith(".")
        assert one.figure.get_figwidth() in (style.NARROW, style.WIDE)


def test_an_svg_is_the_same_twice(run):
    first, second = (style.svg(arms.best_arms(Findings(run))) for _ in range(2))
    assert first == second


def test_a_bare_run_has_only_the_figures_it_can_fill(bare_folder):
    keys = [one.key for one in figures(Findings(load(bare_folder)))]
    assert keys == ["best_arms", "best_so_far", "search", "learning", "losses", "confusion", "speakers"]


def test_a_run_in_which_all_failed_draws_nothing(run):
    trials = run.trials.assign(status="failed", is_best=False, is_reference=False, score=np.nan)
    empty = replace(run, trials=trials, folds=run.folds.iloc[:0], confusions=run.confusions[:0])
    assert figures(Findings(replace(empty, embeddings=run.embeddings.iloc[:0]))) == []


def test_best_arms_show_dev_and_test_only_where_it_may_be_seen(found):
    lines = arms.best_arms_numbers(found)
    assert [line.mean for line in lines] == sorted((line.mean for line in lines), reverse=True)
    for line in lines:
        assert np.mean(line.folds) == pytest.approx(line.mean)
        assert np.std(line.folds, ddof=1) == pytest.approx(line.fold_std)
        assert np.isnan(line.test) == (not (line.chosen or line.paper))
    assert sum(line.chosen for line in lines) == 1
    assert [line.flagged for line in lines if line.mean == lines[0].mean] == [True]


def test_the_chosen_arm_is_shown_however_many_flagged_ones_score_higher(run):
    best = run.trials["is_best"]
    flags = [() if mine else ("collapsed",) for mine in best]
    more = pd.concat([run.trials.assign(flags=flags), *[_flagged(run, copy) for copy in range(2)]], ignore_index=True)
    lines = arms.best_arms_numbers(found := Findings(replace(run, trials=more)))
    assert len(found.top) > arms.MOST + 1
    assert found.top["arm"].tolist().index(found.best) >= arms.MOST
    assert [line.name for line in lines if line.chosen] == [found.name(found.best)]
    assert tables.best_arms(found).frame["chosen"].sum() == 1


def _flagged(run, copy):
    """The arms of the search once more, flagged, with higher scores and under other names."""
    others = run.trials[(run.trials["kind"] == "search") & (run.trials["status"] == "done")]
    return others.assign(
        arm=[f"{arm}-{copy}" for arm in others["arm"]], flags=[("collapsed",)] * len(others), is_best=False, score=0.9
    )


def test_the_forest_holds_the_tables_numbers(found):
    lines = arms.forest_numbers(found)
    assert [line.name for line in lines] == [one.name for one in found.ablation]
    for line, one in zip(lines, found.ablation, strict=True):
        assert (line.worth, line.low, line.high) == (one.estimate.difference, one.estimate.low, one.estimate.high)
        assert np.mean(line.folds) == pytest.approx(line.worth)


def test_learning_curves_and_where_stages_begin(run):
    best = Findings(run).best
    curve = curves.learning_numbers(run, best)
    assert curve.budget.tolist() == list(range(1, 13))
    assert curve.starts == {"augment": 8.0}
    mine = (run.curves["arm"] == best) & run.curves["dev_uar"].notna()
    np.testing.assert_allclose(curve.mean, run.curves["dev_uar"][mine], rtol=1e-6)
    rows = run.curve_rows[mine.to_numpy()].reshape(12, 5, 3).mean(axis=2)
    np.testing.assert_allclose(curve.fold_std, rows.std(axis=1, ddof=1))
    failed = run.trials["arm"][run.trials["status"] == "failed"].iloc[0]
    assert len(curves.learning_numbers(run, failed).budget) == 2
    assert curves.learning_numbers(run, "nobody") is None


def test_saved_bars_are_all_arms_in_the_order_of_their_end(run):
    bars = curves.saved_numbers(run)
    assert len(bars) == len(run.trials)
    assert sum(bar.planned - bar.seen for bar in bars if bar.status == "stopped") == 45
    assert curves.saved(Findings(replace(run, trials=run.trials.assign(status="done")))) is None
    words = curves.saved_words(Findings(run).saved)
    assert words.startswith("5 of 24 arms stopped early: 45 of 288 planned epochs (16 %)")


def test_the_scatter_groups_arms(found):
    (alpha, temperature) = search.scatter_numbers(found)
    assert (alpha.parameter, temperature.parameter) == ("align.alpha", "align.temperature")
    assert alpha.log
    groups, counts = np.unique(alpha.group, return_counts=True)
    assert dict(zip(groups, counts, strict=True)) == {"best": 1, "done": 6, "flagged": 1, "stopped": 4}


def test_choices_are_scattered_by_name(run):
    names = ["wide" if index % 2 else "narrow" for index in range(len(run.trials))]
    configs = [{**c, "x": name} for c, name in zip(run.trials["config"], names, strict=True)]
    changed = replace(
        run, trials=run.trials.assign(config=configs), provenance={**run.provenance, "parameters": {"x": {}}}
    )
    (panel,) = search.scatter_numbers(Findings(changed))
    assert panel.options == ("narrow", "wide")
    assert set(panel.x) == {0.0, 1.0}
    assert search.scatter(Findings(changed)) is not None


@given(st.lists(st.lists(st.integers(0, 50), min_size=3, max_size=3), min_size=3, max_size=3))
def test_row_percents_sum_to_a_hundred_or_are_missing(counts):
    counts = np.array(counts)
    totals = features.row_percent(counts).sum(axis=1)
    np.testing.assert_allclose(totals, np.where(counts.sum(axis=1) > 0, 100, np.nan))


def test_a_class_without_utterances_does_not_break_the_matrix(run):
    counts = run.confusions.copy()
    counts[:, 2] = 0
    assert features.confusion(Findings(replace(run, confusions=counts))) is not None


def test_hostile_names_are_drawn_as_they_stand(tmp_path):
    names = {r"$\frac{1}$ <script>alert(1)</script> --> &": -0.05, "語 \x07 _^{}": 0.0}
    plan = fake_run.Plan(ablation=names, classes=("<b>", "$x$", "a&b", "d" * 80), name="<i>x</i>")
    for one in figures(Findings(load(fake_run.write(tmp_path / "run", plan)))):
        text = style.save(one, tmp_path)
        assert not [tag for tag in ET.fromstring(text).iter() if "script" in tag.tag]


@pytest.mark.parametrize("key", ["run-a", "10-arms"])
def test_a_themed_svg_follows_the_page_and_keeps_its_ids_apart(found, key):
    one = arms.best_arms(found)
    text = style.themed(style.svg(one), key)
    assert text.startswith("<svg")
    assert "var(--ink)" in text
    assert style.INK not in text
    ids = {part.split('"')[0] for part in text.split(' id="')[1:]}
    assert ids
    assert all(name.startswith(f"{key}-") for name in ids)
    used = {part.split('"')[0] for part in text.split('href="#')[1:]}
    used |= {part.split(")")[0] for part in text.split("url(#")[1:]}
    assert used <= ids
    assert "viewBox" in text.split(">")[0]
    assert "width=" not in text.split(">")[0]


@pytest.mark.parametrize(("longest", "columns"), [(8, 3), (20, 2), (200, 1)])
def test_a_legend_has_as_many_columns_as_fit(longest, columns):
    with style.look():
        figure = style.canvas(style.NARROW, 2)
        figure.add_subplot()
        style.legend_above(figure, [Line2D([], [], label="x" * longest) for _ in range(5)], 3)
    style.settle(figure)
    (legend,) = figure.legends
    assert legend._ncols == columns
    assert longest == 200 or legend.get_window_extent().x1 <= figure.bbox.x1


def test_names_are_shortened_and_wrapped():
    assert style.shorten("a" * 50, 11) == "aaaaa…aaaaa"
    assert style.shorten("  two\nlines ") == "two lines"
    assert style.wrap("one two three", 8) == "one two\nthree"
    assert style.wrap("a b c d e f", 3, 2) == "a b\nc…f"
    assert all(len(row) <= 10 for row in style.wrap("x" * 99, 10).split("\n"))
