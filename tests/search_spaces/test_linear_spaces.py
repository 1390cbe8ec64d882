"""What `linear` declares; that ranges, rows and grids fit the config is held for every method at once."""

import search_spaces
from search_spaces.change import get_field
from trainables.linear.config import Config

SPACES = search_spaces.get("linear")


def test_the_default_lies_in_the_range_and_on_the_grid():
    assert get_field(Config(), "fit.C") in SPACES.spaces[SPACES.default_space]["fit.C"]
    assert get_field(Config(), "fit.C") in SPACES.sensitivity["fit.C"]


def test_each_modality_alone_is_a_row_and_nothing_is_published():
    rows = {row.name: row for row in SPACES.ablation}
    assert rows["Audio only"].change == {"fit.inputs": "audio"}
    assert rows["Text only"].change == {"fit.inputs": "text"}
    assert all(row.control for row in SPACES.ablation)
    assert SPACES.published == ()
    assert SPACES.requires == ()
