"""Kill anything: the short form; the long one is ``python tests/chaos/long.py --arms 2500 --kills 50``."""

import pytest
from chaos import undergo
from settings import settings

SETTINGS = {each.name: each for each in settings(8)}
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.mark.parametrize(("name", "kills"), [("one at a time", 3)])
def test_a_run_that_was_killed_again_and_again_is_as_if_nothing_had_happened(tmp_path, name, kills):
    figures = undergo(SETTINGS[name], tmp_path, kills=kills, seed=3)
    assert figures.kills.total() == kills
    assert figures.differences == []
    assert figures.twice == 0
    assert figures.extra_a_kill <= 0.05
