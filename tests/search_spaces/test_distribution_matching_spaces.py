"""What `distribution_matching` declares; that ranges, rows and grids fit the config is held elsewhere."""

import pytest

import search_spaces
from search_spaces.change import paths
from trainables.distribution_matching.config import Config

SPACES = search_spaces.get("distribution_matching")
DEFAULT = paths(Config())
ROWS = {row.name: row for row in SPACES.ablation}


def test_the_defaults_are_the_papers():
    printed = {"alpha": 0.2, "beta": 0.1, "omega": 0.3, "learning_rate": 1e-3, "batch_size": 128}
    assert {name: DEFAULT[f"train.{name}"] for name in printed} == printed
    assert [*DEFAULT["network.hidden"], DEFAULT["network.latent_dim"]] == [512, 256, 128]


@pytest.mark.parametrize(("path", "made"), SPACES.spaces["all"].items())
def test_the_default_lies_in_every_range(path, made):
    assert DEFAULT[path] in made


@pytest.mark.parametrize(("path", "values"), SPACES.sensitivity.items())
def test_the_default_is_on_every_grid(path, values):
    assert DEFAULT[path] in values


def published(number):
    """(row, condition) -> UAR in per cent, of one table."""
    full = [("", each) for each in SPACES.published]
    every = [*full, *((name, each) for name, row in ROWS.items() for each in row.published)]
    return {
        (name, each.condition): round(100 * each.mean, 1)
        for name, each in every
        if each.source == f"Liang et al. 2020, table {number}"
    }


def test_table_4_is_as_printed():
    assert published(4) == {
        ("Audio alone, fully-supervised", "audio"): 58.5,
        ("Text alone, fully-supervised", "text"): 64.8,
        ("Video alone, fully-supervised", "video"): 45.4,
    }


def test_table_5_is_as_printed():
    assert published(5) == {
        ("Fully-supervised", "audio+video"): 60.8,
        ("", "audio+video"): 61.2,
        ("Fully-supervised", "audio+text"): 68.6,
        ("", "audio+text"): 72.1,
        ("Fully-supervised", "audio+text+video"): 72.5,
        ("", "audio+text+video"): 74.5,
    }


def test_table_6_is_as_printed():
    assert published(6) == {
        ("Audio alone, fully-supervised", "audio"): 40.2,
        ("Text alone, fully-supervised", "text"): 53.0,
        ("Fully-supervised", "audio+text"): 56.1,
        ("", "audio+text"): 57.1,
    }


def test_table_7_is_whole_and_as_printed():
    """Its rows with both parts are table 5's with all three modalities."""
    all_three = "audio+text+video"
    assert published(7) == {
        ("Fully-supervised, without reconstruction and MMD", all_three): 71.5,
        ("Fully-supervised, without reconstruction", all_three): 71.5,
        ("Fully-supervised, without MMD", all_three): 71.7,
        ("Without reconstruction", all_three): 71.5,
    }
    for name, change in {
        "Fully-supervised, without reconstruction and MMD": {"train.omega", "train.alpha", "train.beta"},
        "Fully-supervised, without reconstruction": {"train.omega", "train.alpha"},
        "Fully-supervised, without MMD": {"train.omega", "train.beta"},
        "Without reconstruction": {"train.alpha"},
        "Fully-supervised": {"train.omega"},
    }.items():
        assert ROWS[name].change == dict.fromkeys(change, 0.0)


def test_what_is_read_into_equation_7_and_its_controls_are_rows():
    controls = {row.name: dict(row.change) for row in SPACES.ablation if row.control}
    assert controls["Eq. 7 as printed (unpaired by shuffling)"] == {"train.unpaired": "shuffled"}
    assert controls["Unpaired from other dialogues"] == {"train.unpaired": "other dialogues"}
    assert controls["Labeled utterances in place of unlabeled ones"] == {"train.unlabeled": "labeled again"}
    assert not any(row.published for row in SPACES.ablation if row.control)


def test_figure_7a_and_the_amount_of_labels_are_grids():
    assert SPACES.sensitivity["data.unlabeled_amount"] == (0.0, 0.25, 0.5, 0.75, 1.0)
    assert SPACES.sensitivity["data.labels"] == (0.1, 0.25, 0.5, 1.0)
    assert SPACES.unlabeled
