"""Kill anything: the short form; the long one is ``python tests/chaos/long.py --arms 2500 --kills 50``."""

import pytest
from chaos import undergo
from settings import settings

SETTINGS = {each.name: each for each in settings(6)}
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_a_run_that_was_killed_again_and_again_is_as_if_nothing_had_happened(tmp_path):
    figures = undergo(SETTINGS["one at a time"], tmp_path, kills=3, seed=3)
    assert figures.kills == {"driver": 1, "worker": 1, "raylet": 1}
    assert figures.differences == []
    assert figures.twice == 0
    assert figures.extra_a_kill <= 0.05
    # One less where the driver was killed before it saw that its raylet was gone; test_raylet.py has that alone.
    assert 1 <= figures.resumes <= 2
