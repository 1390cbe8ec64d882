"""The declared ranges, rows and grids of `cm_arr` fit its config, and the printed numbers are the paper's."""

import pytest

import search_spaces
from search_spaces.change import apply, difference, get_field
from search_spaces.space import Choice
from trainables.cm_arr.config import Config

SPACES = search_spaces.get("cm_arr")
PAPER = Config()
RANGES = [(name, path, made) for name, space in SPACES.spaces.items() for path, made in space.items()]
ROWS = {row.name: row for row in SPACES.ablation}


@pytest.mark.parametrize(("name", "path", "made"), RANGES)
def test_every_range_fits_its_field_and_holds_the_default(name, path, made):
    for value in made.options if isinstance(made, Choice) else (made.low, made.high):
        assert get_field(apply(PAPER, {path: value}), path) == value
    assert get_field(PAPER, path) in made


def test_weights_of_equation_14_are_the_papers_and_their_ranges_lie_around_them():
    for path, value in (("train.alpha", 1.0), ("train.beta", 0.1), ("train.lambda_rec", 10.0)):
        made = SPACES.spaces["loss_weights"][path]
        assert get_field(PAPER, path) == value
        assert made.log
        assert made.low * made.high == pytest.approx(value**2, rel=0.2)
    assert get_field(PAPER, "train.batch_size") == 16
    assert get_field(PAPER, "train.epochs") == 100
    assert get_field(PAPER, "train.likelihood") == 0


@pytest.mark.parametrize("row", SPACES.ablation, ids=lambda row: row.name)
def test_every_row_changes_each_field_it_names(row):
    assert set(difference(apply(PAPER, row.change), PAPER)) == set(row.change)
    assert row.claim
    assert row.control != bool(row.published)


def test_no_two_rows_are_the_same_configuration():
    configs = [apply(PAPER, row.change).model_dump_json() for row in SPACES.ablation]
    assert len(set(configs)) == len(configs)


def test_the_rows_of_table_3_and_the_controls_it_needs_are_there():
    paper = ["Baseline", "w/o L_udcl", "w/o L_spcl", "w/o attention", "w/ Point"]
    assert [row.name for row in SPACES.ablation if not row.control] == paper
    controls = {row.name for row in SPACES.ablation if row.control}
    assert {
        "Baseline trained on all conditions",
        "Zeros in place of the missing modality",
        "Learned token in place of the missing modality",
        "L_rec as printed (gradients into X)",
    } <= controls
    assert ROWS["Baseline"].change["train.missing"] == "none"
    assert not any("train.missing" in row.change for row in SPACES.ablation if row.control)


def printed(values, metric, corpus="iemocap"):
    return {
        each.condition: round(100 * each.mean, 2) for each in values if each.metric == metric and each.corpus == corpus
    }


def test_table_3_as_printed():
    """{t}, {s}, {v}, {v,t}, {s,v}, {s,t}, and the average the paper prints below, of WAR and of UAR."""
    order = ("text", "audio", "video", "text+video", "audio+video", "audio+text")
    expected = {
        "Baseline": ((66.63, 55.57, 42.91, 68.71, 61.10, 75.34), (67.15, 57.75, 37.54, 68.94, 62.84, 76.61)),
        "w/o L_udcl": ((69.44, 71.90, 50.24, 71.59, 72.06, 76.51), (70.20, 72.67, 48.35, 72.90, 72.96, 78.04)),
        "w/o L_spcl": ((69.49, 71.89, 51.14, 72.55, 73.37, 77.80), (70.45, 72.99, 48.56, 73.33, 73.86, 78.83)),
        "w/o attention": ((68.71, 71.68, 50.00, 70.72, 72.10, 76.77), (69.75, 72.72, 47.76, 71.53, 73.47, 77.91)),
        "w/ Point": ((66.71, 70.48, 50.35, 71.06, 72.65, 75.53), (67.96, 71.74, 48.99, 72.19, 73.26, 76.67)),
    }
    for name, (war, uar) in expected.items():
        assert printed(ROWS[name].published, "war") == dict(zip(order, war, strict=True))
        assert printed(ROWS[name].published, "uar") == dict(zip(order, uar, strict=True))
        assert {each.source for each in ROWS[name].published} == {"Sun et al. 2024, table 3"}


@pytest.mark.parametrize(
    ("corpus", "war", "uar", "complete"),
    [("iemocap", 70.90, 71.48, (79.86, 81.06)), ("msp_improv", 63.82, 58.39, (72.37, 69.69))],
)
def test_table_2_gives_the_averages_it_prints(corpus, war, uar, complete):
    """Its "Avg." leaves the complete condition out."""
    for metric, average, whole in (("war", war, complete[0]), ("uar", uar, complete[1])):
        values = printed(SPACES.published, metric, corpus)
        assert values.pop("audio+text+video") == whole
        assert len(values) == 6
        assert sum(values.values()) / 6 == pytest.approx(average, abs=0.011)


@pytest.mark.parametrize(("path", "values"), SPACES.sensitivity.items())
def test_every_grid_fits_its_field_and_holds_the_default(path, values):
    taken = [get_field(apply(PAPER, {path: value}), path) for value in values]
    assert taken == sorted(set(taken))
    assert get_field(PAPER, path) in taken


def test_the_grids_hold_the_best_points_of_figure_4():
    for path, best in (("train.alpha", 1.0), ("train.beta", 0.5), ("train.lambda_rec", 10.0)):
        assert best in SPACES.sensitivity[path]
