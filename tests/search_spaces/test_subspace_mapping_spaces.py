"""The declared ranges, rows and grids fit the config they are about, and the paper's numbers are as printed."""

import pytest

import search_spaces
from search_spaces.change import apply, difference, get_field, paths
from search_spaces.space import Choice
from trainables.subspace_mapping.config import Config

SPACES = search_spaces.get("subspace_mapping")
PAPER = Config()
RANGES = [(name, path, made) for name, space in SPACES.spaces.items() for path, made in space.items()]
ROWS = {row.name: row for row in SPACES.ablation}


@pytest.mark.parametrize(("name", "path", "made"), RANGES)
def test_every_range_names_a_field_that_takes_all_its_values(name, path, made):
    ends = made.options if isinstance(made, Choice) else (made.low, made.high)
    for value in ends:
        assert get_field(apply(PAPER, {path: value}), path) == value


@pytest.mark.parametrize(("name", "path", "made"), RANGES)
def test_every_range_holds_the_paper_default(name, path, made):
    assert get_field(PAPER, path) in made


def test_all_is_the_union_of_the_other_spaces():
    others = {path for name, space in SPACES.spaces.items() if name != "all" for path in space}
    assert others < set(SPACES.spaces["all"])


def test_the_defaults_are_those_of_table_2():
    expected = {
        "batch_size": 20,
        "epochs": 150,
        "dropout": 0.2,
        "hidden": 100,
        "heads": 4,
        "weight_decay": 1e-5,
        "alpha": 0.1,
        "beta": 0.1,
        "unimodal": 1.0,
    }
    assert {name: getattr(PAPER.fuse, name) for name in expected} == expected


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_every_row_names_real_fields_and_changes_each_of_them(row):
    assert set(difference(apply(PAPER, row.change), PAPER)) == set(row.change)
    assert row.claim


def test_no_two_rows_are_the_same_configuration():
    configs = [apply(PAPER, row.change).model_dump_json() for row in ROWS.values()]
    assert len(set(configs)) == len(configs)


def printed(row, table, corpus):
    return [p.mean for p in row.published if p.corpus == corpus and f"table {table} " in p.source]


@pytest.mark.parametrize(
    ("name", "table", "iemocap", "msp_improv"),
    [
        ("Audio only", 3, 69.73, 69.07),
        ("Text only", 3, 80.62, 82.00),
        ("Without L_ua", 3, 81.10, 82.80),
        ("Without cross-modality attention", 6, 85.23, 86.13),
        ("Without L_sp and cross-modality attention", 6, 84.79, 84.64),
        ("Without L_ua, L_sp and cross-modality attention", 6, 80.85, 79.36),
        ("Bi-LSTM without L_ua", 7, 71.36, 69.54),
        ("Bi-LSTM with L_ua", 7, 73.21, 71.26),
        ("Bi-GRU without L_ua", 7, 83.14, 83.35),
        ("Bi-GRU with L_ua", 7, 84.64, 84.93),
        ("Without L_ua", 7, 81.84, 82.80),
    ],
)
def test_the_papers_tables_are_whole_and_as_printed(name, table, iemocap, msp_improv):
    row = ROWS[name]
    assert not row.control
    for corpus, value in (("iemocap", iemocap), ("msp_improv", msp_improv)):
        assert [round(100 * mean, 2) for mean in printed(row, table, corpus)] == [value]


@pytest.mark.parametrize(
    ("recalls", "average"),
    [
        ((57.11, 64.49, 66.15, 91.18), 69.73),
        ((90.74, 88.16, 72.39, 71.18), 80.62),
        ((94.01, 88.30, 73.40, 88.00), 85.92),
        ((84.55, 72.73, 67.21, 51.79), 69.07),
        ((95.01, 84.86, 80.01, 87.12), 86.75),
    ],
)
def test_what_the_paper_calls_weighted_is_the_mean_of_its_recalls(recalls, average):
    """Why its numbers stand beside our UAR (table 3)."""
    assert sum(recalls) / 4 == pytest.approx(average, abs=0.011)


def test_the_full_model_is_that_of_table_3():
    assert [(p.corpus, p.metric, p.mean, p.condition) for p in SPACES.published] == [
        ("iemocap", "uar", 0.8592, "audio+text"),
        ("msp_improv", "uar", 0.8675, "audio+text"),
    ]
    assert all("mean of" in p.source or "average of recalls" in p.source for p in SPACES.published)


def test_single_modalities_are_published_under_their_condition():
    assert {p.condition for p in ROWS["Audio only"].published} == {"audio"}
    assert {p.condition for p in ROWS["Text only"].published} == {"text"}


@pytest.mark.parametrize("name", ["Each utterance its own dialogue", "Turns shuffled"])
def test_what_context_is_worth_is_a_control(name):
    assert ROWS[name].control


@pytest.mark.parametrize(("path", "values"), SPACES.sensitivity.items())
def test_every_grid_fits_its_field_and_holds_the_paper_default(path, values):
    taken = [get_field(apply(PAPER, {path: value}), path) for value in values]
    assert taken == sorted(set(taken))
    assert get_field(PAPER, path) in taken


def test_what_needs_two_modalities_are_fields():
    for fields in SPACES.needs.values():
        assert fields <= set(paths(PAPER))
    assert SPACES.idle("fuse.alpha", ("audio",))
    assert not SPACES.idle("fuse.alpha", ("audio", "text"))
    assert not SPACES.idle("fuse.dropout", ("text",))
