from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import planted_search
import pytest

from analysis import importance, response, response_words, search_tables, surrogate
from analysis.figures import importance as importance_figure
from analysis.figures import surrogate as surrogate_figure
from analysis.findings import Findings


@pytest.fixture(scope="module", autouse=True)
def _few_draws():
    """Fewer resamples than a report takes: nothing here is a statement about how wide an interval is."""
    with pytest.MonkeyPatch.context() as patch:
        for module, name in ((importance, "RESAMPLES"), (importance, "SHUFFLES"), (surrogate, "REFITS")):
            patch.setattr(module, name, 3)
        patch.setattr(surrogate, "REPEATS", 2)
        yield


def _found(run, **plan) -> Findings:
    return Findings(planted_search.searched(run, planted_search.Search(**plan)))


@pytest.fixture(scope="module")
def known(run):
    return _found(run, arms=40)


@pytest.fixture(scope="module")
def unknown(run):
    return _found(run, arms=30, effect=lambda places: 0.6 + 0 * places[:, 0], noise=0.02)


def test_whole_arms_come_first_and_suffice_where_they_teach_something(known):
    assert len(known.response.tried) == 1
    assert known.response.shown.sample.budget is None
    assert known.response.shown.knows
    assert known.response.importances.found[0].parameter == "a.weight"
    assert [one.axis.path for one in known.response.partials] == ["a.weight", "a.share", "b.share"]


def test_where_few_ran_to_their_end_all_arms_at_the_first_rung_are_asked(run):
    found = _found(run, arms=30, stop=True, early=0.0, seed=1)
    whole, first = found.response.tried
    assert len(whole.sample.score) < surrogate.FEWEST
    assert not whole.knows
    assert first.sample.budget == 3
    assert len(first.sample.score) == 31
    assert found.response.shown is first
    assert first.knows
    note = search_tables.importance(found).note
    assert "after 3 classifying epochs" in note
    assert "early training only" in note
    drawn = surrogate_figure.partial_dependence(found).figure
    assert drawn.get_supylabel() == "Foretold dev UAR after 3 epochs, %"


def test_a_search_that_teaches_nothing_says_so_and_draws_nothing(unknown):
    assert not unknown.response.shown.knows
    assert unknown.response.partials == unknown.response.pairs == ()
    table = search_tables.surrogate(unknown)
    assert table.frame["knows"].iloc[0].startswith("knows nothing")
    assert "Not to be relied on" in search_tables.importance(unknown).note
    drawn = importance_figure.importance, surrogate_figure.partial_dependence, surrogate_figure.contour
    assert [draw(unknown) for draw in drawn] == [None, None, None]


def test_few_arms_say_so(run):
    table = search_tables.surrogate(Findings(run))
    assert table.frame["arms"].iloc[0] == 7
    assert table.frame["knows"].iloc[0] == "too few arms (7; 10 are needed): nothing is known"
    assert "4 arms stopped early" in table.note


def test_without_a_search_there_is_nothing_to_say(run):
    alone = Findings(replace(run, trials=run.trials[run.trials["kind"] != "search"]))
    assert alone.response is None
    assert search_tables.surrogate(alone) is None
    assert search_tables.importance(alone) is None


def test_the_tables_hold_the_numbers(known):
    errors, important = known.response.shown.errors, known.response.importances.found
    table = search_tables.surrogate(known)
    assert table.frame["rmse"].tolist() == [error.rmse for error in errors]
    assert table.frame["model"].tolist() == [error.model for error in errors]
    table = search_tables.importance(known)
    assert table.frame["fanova_share"].tolist() == [one.fanova.share for one in important]
    assert table.frame["ped_anova_high"].tolist() == [one.ped.high for one in important]
    assert "Not to be relied on" not in table.note


def test_the_figures_follow_importance_and_say_their_error(known):
    panels = surrogate_figure.shown_partials(known.response)
    assert [panel.axis.path for panel in panels] == [one.parameter for one in known.response.importances.found]
    best = known.response.shown.errors[0]
    for draw in (surrogate_figure.partial_dependence, surrogate_figure.contour):
        assert f"R² {best.r2:.2f}" in draw(known).caption
    assert "PED-ANOVA" in importance_figure.importance(known).caption


def test_many_parameters_draw_the_most_important(known, monkeypatch):
    monkeypatch.setattr(surrogate_figure, "MOST", 2)
    monkeypatch.setattr(importance_figure, "MOST", 2)
    assert "1 less important parameters are not drawn" in surrogate_figure.partial_dependence(known).caption
    assert "1 less important parameters are in the table only" in importance_figure.importance(known).caption


def test_a_drawn_arm_outside_of_the_ranges_is_no_trouble(known):
    outside = [{**c, "a.weight": 1e9} if best else c
               for c, best in zip(known.run.trials["config"], known.run.trials["is_best"], strict=True)]  # fmt: skip
    found = Findings(replace(known.run, trials=known.run.trials.assign(config=outside)))
    found.response = known.response
    for draw in (surrogate_figure.partial_dependence, surrogate_figure.contour):
        draw(found).figure.draw_without_rendering()


def test_it_is_the_same_twice(run):
    few = planted_search.searched(run, planted_search.Search(arms=20))
    first, second = (response.response(few, np.random.default_rng(0)) for _ in range(2))
    assert first.importances == second.importances
    assert first.shown.errors == second.shown.errors
    for one, other in zip(first.partials, second.partials, strict=True):
        np.testing.assert_array_equal(one.mean, other.mean)
        np.testing.assert_array_equal(one.std, other.std)


def test_what_the_best_model_knows_in_words(known):
    tried, error = known.response.shown, known.response.shown.errors[0]
    luck = "knows nothing that is sure: held-out arms are foretold better than by their mean (R² 0.50), but luck may do"
    said = {
        (0.5, 0.2): "foretells arms it has not seen (R² 0.50)",
        (0.5, -0.1): f"{luck} that",
        (-0.2, -0.4): "knows nothing: held-out arms are foretold no better than by their mean (R² −0.20)",
    }
    for (r2, low), words in said.items():
        assert response_words.knowledge(tried._replace(errors=(error._replace(r2=r2, r2_low=low),))) == words
    assert math.isnan(search_tables._errors(tried._replace(errors=()))[0]["r2"])
