"""Arms that hang, and that take whoever trains them with them: nobody else's end."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from chaos import ENGINE, PYTHONPATH

pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]
LONG = pytest.mark.skipif("SWEEPER_LONG" not in os.environ, reason="takes long; SWEEPER_LONG=1 runs it")
#: Three arms in two, and one that kills whoever trains it, and one that never comes back.
STUDY = """{
    "search": null, "ablation": null, "scheduler": {"kind": "none"}, "failures": {"hang": 8, "retries": 1},
    "sensitivity": {"parameters": {"tune.gain": [0.5, 1.0], "learn.die_at": [2], "learn.pause": [1000.0]}},
    "resources": %s
}"""


@pytest.mark.parametrize(
    "resources",
    [
        pytest.param('{"cpus_per_trial": 0.5, "concurrent": 2}', marks=LONG),
        '{"cpus_per_trial": 0.5, "concurrent": 3, "side_by_side": 3}',
    ],
    ids=["alone", "together"],
)
def test_two_arms_fail_and_the_others_are_none_the_worse(tmp_path, resources):
    command = [sys.executable, str(ENGINE / "drive_tiny.py"), str(tmp_path), STUDY % resources]
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        capture_output=True,
        text=True,
        timeout=270,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    run = Path(tmp_path / "runs" / "tiny")
    table = pd.read_parquet(run / "trials.parquet").set_index("name")
    failed = table[table["status"] == "failed"]
    assert sorted(failed.index) == ["learn.die_at = 2", "learn.pause = 1000"]
    assert failed.loc["learn.pause = 1000", "reason"].startswith("no epoch for 8 s (failures.hang)")
    assert failed.loc["learn.die_at = 2", "reason"].startswith("the worker process died (")
    assert (failed["attempts"] >= 2).all(), "it may have been the host's fault"
    assert (table["status"] == "done").sum() == 3
    kept = (run / "failures.log").read_text()
    assert all(f"({name}): {row['reason']}" in kept for name, row in failed.iterrows())
