"""Runs that are broken off, in processes of their own: killed, interrupted, and gone on with."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import tiny

from sweeper.results import read_status
from sweeper.tables import SCHEMAS

HERE = Path(__file__).parent
#: Of a clock, or of how often a run was broken off; everything else must be equal.
NOT_COMPARED = ["started_at", "finished_at", "seconds", "attempts"]
PATIENCE = 280
#: One arm at a time, so that the whole study is determined; a pause leaves time to break it off.
STUDY = {
    "search": {"trials": 5},
    "resources": {"cpus_per_trial": 0.5, "concurrent": 1},
    "config": {"learn.pause": 0.05},
}
pytestmark = [pytest.mark.slow, pytest.mark.timeout(PATIENCE)]


def drive(folder: Path, **changes) -> subprocess.Popen:
    """A process that runs the study, in a process group of its own, as from a shell."""
    environment = {**os.environ, "PYTHONPATH": tiny.PYTHONPATH, "PYTHONWARNINGS": "default"}
    return subprocess.Popen(
        [sys.executable, str(HERE / "drive_tiny.py"), str(folder), json.dumps({**STUDY, **changes})],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen) -> tuple[dict, str]:
    """The outcome and what was said, once the process is through."""
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    return json.loads(out), err


def tables(folder: Path) -> dict[str, list[dict]]:
    run = folder / "runs" / "tiny"
    return {
        name: json.loads(
            pd.read_parquet(run / f"{name}.parquet")
            .drop(columns=NOT_COMPARED, errors="ignore")
            .to_json(orient="records", double_precision=15)
        )
        for name in SCHEMAS
    }


def wait_for(process: subprocess.Popen, folder: Path, handed_out: int) -> None:
    """Wait until so many arms were handed out."""
    journal, trials = (folder / "runs" / "tiny" / name for name in ("journal.jsonl", "trials.parquet"))
    while process.poll() is None:
        started = journal.read_text().count('"event": "start"') if journal.exists() else 0
        over = len(pd.read_parquet(trials, columns=["arm"])) if trials.exists() else 0
        if started + over >= handed_out:
            return
        time.sleep(0.02)
    raise AssertionError(f"it ended before it could be broken off: {process.communicate()}")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing happened to."""
    folder = tmp_path_factory.mktemp("whole")
    outcome, err = finish(drive(folder))
    assert outcome["failed"] == 0
    assert not outcome["interrupted"]
    quiet = [line for line in err.splitlines() if "arms" in line or "/" in line or line.startswith("note: ")]
    assert err.splitlines() == quiet, "nothing but progress and notes is shown"
    return tables(folder)


@pytest.mark.long
def test_the_same_study_gives_the_same_tables_in_another_process(whole, tmp_path):
    finish(drive(tmp_path))
    assert tables(tmp_path) == whole


@pytest.mark.parametrize("handed_out", [pytest.param(3, marks=pytest.mark.long), 8])
def test_a_killed_run_goes_on_and_ends_with_the_same_tables(whole, tmp_path, handed_out):
    process = drive(tmp_path)
    wait_for(process, tmp_path, handed_out)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=PATIENCE)
    assert read_status(tmp_path / "runs" / "tiny")["state"] == "killed"
    outcome, _ = finish(drive(tmp_path))
    assert not outcome["interrupted"]
    assert tables(tmp_path) == whole
    outcome, _ = finish(drive(tmp_path))
    assert outcome["already"]


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
def test_an_interrupted_run_ends_in_good_order_and_goes_on(whole, tmp_path, number):
    process = drive(tmp_path)
    wait_for(process, tmp_path, 4)
    # As from a terminal, Ray's processes get it too.
    os.killpg(process.pid, number) if number == signal.SIGINT else os.kill(process.pid, number)
    outcome, err = finish(process)
    assert outcome["interrupted"]
    assert "Traceback" not in err
    run = tmp_path / "runs" / "tiny"
    assert read_status(run)["state"] == "interrupted"
    assert json.loads((run / "provenance.json").read_text())["finished_at"] is None
    assert len(pd.read_parquet(run / "trials.parquet")) == outcome["done"] + outcome["stopped"]
    assert not (run / "lock").exists()
    finish(drive(tmp_path))
    assert tables(tmp_path) == whole
    assert json.loads((run / "provenance.json").read_text())["invocations"] == 2


def test_a_second_signal_quits_at_once(tmp_path):
    process = drive(tmp_path, config={"learn.pause": 1000.0}, search=None)
    wait_for(process, tmp_path, 1)
    os.kill(process.pid, signal.SIGINT)
    assert "once more" in read_until(process.stderr, "once more")
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode != 0
    assert "KeyboardInterrupt" in err
    assert read_status(tmp_path / "runs" / "tiny")["state"] == "interrupted"


def read_until(stream, word: str) -> str:
    for line in stream:
        if word in line:
            return line
    return ""


def test_a_second_process_is_refused_while_the_first_runs(tmp_path):
    endless = {"config": {"learn.pause": 1000.0}, "search": None}
    first = drive(tmp_path, **endless)
    wait_for(first, tmp_path, 1)
    second = drive(tmp_path, **endless)
    _, err = second.communicate(timeout=PATIENCE)
    assert second.returncode != 0
    assert f"another process (process {first.pid} on" in err
    os.kill(first.pid, signal.SIGINT)
    outcome, _ = finish(first)
    assert outcome["interrupted"]


@pytest.mark.long
def test_killed_in_the_middle_of_several_arms_nothing_is_lost_or_doubled(tmp_path):
    several = {"resources": {"cpus_per_trial": 0.5, "concurrent": 3}}
    process = drive(tmp_path, **several)
    wait_for(process, tmp_path, 5)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=PATIENCE)
    outcome, _ = finish(drive(tmp_path, **several))
    trials = pd.read_parquet(tmp_path / "runs" / "tiny" / "trials.parquet")
    assert outcome["failed"] == 0
    assert trials["arm"].is_unique
    assert (trials["kind"] == "search").sum() == 5
    assert sorted(trials["started_order"].tolist() + trials["finished_order"].tolist()) == list(range(2 * len(trials)))
    folds = pd.read_parquet(tmp_path / "runs" / "tiny" / "folds.parquet")
    assert not folds.duplicated(["arm", "stage", "fold", "seed", "split", "condition"]).any()
    assert set(folds["arm"]) == set(trials["arm"])
