"""Arms that misbehave in every way there is, beside others: nobody else's end."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import psutil
import pytest
from chaos import ENGINE, PYTHONPATH

pytestmark = [pytest.mark.slow, pytest.mark.timeout(580)]
#: What an arm does, and what is said of it.
WAYS = {
    "learn.nan_at": (2, "stage learn, epoch 2: loss is not finite in 8 of 8 rows ("),
    "learn.error_at": (1, "RuntimeError: the second line says why"),
    "learn.device_full_at": (2, "MemoryError: CUDA out of memory."),
    "learn.die_at": (2, "the worker process died ("),
    "learn.pause": (1000.0, "no epoch for 10 s (failures.hang); its process was killed"),
}
#: They would do the same once more.
HOPELESS = ("learn.nan_at", "learn.error_at")
MIB = 2**20


def drive(folder, *, parameters, resources, retries, **environment) -> tuple[pd.DataFrame, str]:
    """What became of three arms that are as they should be, and of others; and the log of failures."""
    study = {
        "search": None,
        "ablation": None,
        "scheduler": {"kind": "none"},
        "failures": {"hang": 10, "retries": retries},
        "sensitivity": {"parameters": {"tune.gain": [0.5, 1.0], **parameters}},
        "resources": {"cpus_per_trial": 0.5, **resources},
    }
    done = subprocess.run(
        [sys.executable, str(ENGINE / "drive_tiny.py"), str(folder), json.dumps(study)],
        env={**os.environ, "PYTHONPATH": PYTHONPATH, **environment},
        capture_output=True,
        text=True,
        timeout=570,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    run = Path(folder / "runs" / "tiny")
    return pd.read_parquet(run / "trials.parquet").set_index("name"), (run / "failures.log").read_text()


@pytest.mark.parametrize(
    ("resources", "retries"),
    [pytest.param({"concurrent": 2}, 1, marks=pytest.mark.long), ({"concurrent": 3, "side_by_side": 3}, 0)],
    ids=["alone", "together"],
)
def test_five_arms_fail_and_the_others_are_none_the_worse(tmp_path, resources, retries):
    together = "side_by_side" in resources
    parameters = {path: [value] for path, (value, _) in WAYS.items()}
    table, kept = drive(tmp_path, parameters=parameters, resources=resources, retries=retries)
    assert (table["status"] == "done").sum() == 3
    assert (table["status"] == "failed").sum() == 5
    for path, (value, reason) in WAYS.items():
        row = table.loc[f"{path} = {value:g}"]
        assert row["status"] == "failed"
        assert row["reason"].startswith(reason)
        assert f"({row.name}): {row['reason']}" in kept
        # Side by side any arm may have been under way when another ended the trainer of both.
        assert row["attempts"] == 1 if path in HOPELESS and not together else row["attempts"] >= 1 + retries
    died = table.loc[["learn.die_at = 2", "learn.pause = 1000"], "attempts"]
    assert (died >= (2 if together else 1 + retries)).all(), "it may have been another's fault"


@pytest.mark.long
def test_an_arm_that_takes_all_memory_of_the_host_fails_for_that(tmp_path):
    memory = psutil.virtual_memory()
    if memory.available < 6000 * MIB:
        pytest.skip("takes 2.5 GiB of memory for a moment; fewer than 6 GiB are free")
    # So that Ray believes the host full 1.5 GiB from now; others on it may take some of that, too.
    threshold = (memory.total - memory.available + 1500 * MIB) / memory.total
    table, kept = drive(
        tmp_path,
        parameters={"learn.hoard": [2500]},
        resources={"concurrent": 2},
        retries=0,
        RAY_memory_usage_threshold=f"{threshold:.4f}",
    )
    assert (table["status"] == "done").sum() == 3, "whoever was killed beside it is as good as before"
    row = table.loc["learn.hoard = 2500"]
    assert row["reason"].startswith("the host ran out of memory, and the worker process was killed (")
    assert row["attempts"] == 2, "the second time as the only arm"
    assert f"(learn.hoard = 2500): {row['reason']}" in kept
