"""Long life, the short form; the long one is ``python tests/chaos/soak.py --seconds 2700 --arms 10000``."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from soak import Look, draw, grown, slopes, soak


@pytest.fixture
def short():
    """A folder with a short path: Ray puts sockets there."""
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def look(minute: int, **values) -> Look:
    common = {"arms": 100 * minute, "memory": 300.0, "files": 80, "threads": 60, "logs": 1.0, "log_files": 30}
    rest = {"seconds": 60.0 * minute, "scratch_files": 4, "cpu": 1.0, "family": 900.0}
    return Look(**{**common, **rest, **values})


def test_what_grows_is_seen_and_what_jitters_is_not():
    noise = np.random.default_rng(0).normal(size=100)
    looks = [look(n, memory=300 + noise[n], files=80 + n // 2, threads=60 + n % 2) for n in range(100)]
    found = slopes(looks)
    assert found["files"]["arms"] == pytest.approx(50, rel=0.02)
    assert found["files"]["hour"] == pytest.approx(30, rel=0.02)
    assert abs(found["memory"]["arms"]) < 4 * found["memory"]["arms_error"]
    assert grown(found) == ["files"]


@pytest.mark.slow
@pytest.mark.timeout(280)
@pytest.mark.long
def test_files_and_threads_of_a_driver_stay_as_many_as_they_were(short):
    looks = soak(short, arms=150, seconds=200, pause=0.0, every=0.25)
    assert looks[-1].arms > 100, (short / "driver.log").read_text()
    # About 40 of each: one that every arm left behind would show.
    assert max(each.files for each in looks) < 100
    assert max(each.threads for each in looks) < 100
    draw(looks, short / "looks.png")
    assert (short / "looks.png").stat().st_size > 10_000
