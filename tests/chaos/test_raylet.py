"""A driver whose Ray is gone says so, instead of waiting for its arms for ever."""

import json
import os
import subprocess
import sys
import time

import psutil
import pytest
from chaos import ENGINE, PYTHONPATH


@pytest.mark.slow
@pytest.mark.timeout(280)
def test_a_run_whose_raylet_died_ends_and_says_how_to_go_on(tmp_path):
    endless = {"config": {"learn.pause": 1000.0}, "search": None, "ablation": None, "sensitivity": None}
    driver = subprocess.Popen(
        [sys.executable, str(ENGINE / "drive_tiny.py"), str(tmp_path), json.dumps(endless)],
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        stdout=subprocess.DEVNULL,
        stderr=(tmp_path / "said").open("w"),
    )
    journal = tmp_path / "runs" / "tiny" / "journal.jsonl"
    while not (journal.exists() and '"attempt"' in journal.read_text()):
        assert driver.poll() is None, (tmp_path / "said").read_text()
        time.sleep(0.1)
    (raylet,) = [each for each in psutil.Process(driver.pid).children() if each.name() == "raylet"]
    raylet.kill()
    assert driver.wait(timeout=200) != 0
    status = json.loads((tmp_path / "runs" / "tiny" / "status.json").read_text())
    assert status["failed"] == 0, "no arm's fault"
