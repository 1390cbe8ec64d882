"""What `concat_mlp` declares; that ranges, rows and grids fit the config is held for every method at once."""

import pytest

import search_spaces
from search_spaces.change import paths
from trainables.concat_mlp.config import Config

SPACES = search_spaces.get("concat_mlp")
DEFAULT = paths(Config())


def as_json(values):
    return [list(value) if isinstance(value, tuple) else value for value in values]


@pytest.mark.parametrize(("path", "made"), SPACES.spaces["all"].items())
def test_the_default_lies_in_every_range(path, made):
    value = DEFAULT[path]
    assert (tuple(value) if isinstance(value, list) else value) in made


@pytest.mark.parametrize(("path", "values"), SPACES.sensitivity.items())
def test_the_default_is_on_every_grid(path, values):
    assert DEFAULT[path] in as_json(values)


def test_rows_are_controls_of_ours():
    rows = {row.name: row for row in SPACES.ablation}
    assert rows["Linear (no hidden layer)"].change == {"classify.hidden": []}
    assert rows["Without dropout"].change == {"classify.dropout": 0.0}
    assert all(row.control for row in SPACES.ablation)
    assert SPACES.published == ()
