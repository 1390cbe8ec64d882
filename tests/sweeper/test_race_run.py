"""A race as Tune runs it: the clearly worse are dropped, others are not, and a killed run decides as a whole one."""

import json
import math
import os
import signal

import pytest
from test_resume import PATIENCE, drive, finish, tables, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(PATIENCE)]
RACE = {
    "scheduler": {"kind": "race", "grace_period": 2, "reduction_factor": 2, "applies_to": ["search"]},
    "search": {"trials": 8, "sampler": "random"},
    "sensitivity": None,
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raced")
    outcome, _ = finish(drive(folder, **RACE))
    assert outcome["failed"] == 0
    return tables(folder)


def test_arms_far_from_the_best_setting_are_dropped_and_near_ones_are_not(whole):
    away = {
        status: [
            abs(math.log(json.loads(row["config"])["learn"]["rate"] / 0.3))
            for row in whole["trials"]
            if row["kind"] == "search" and row["status"] == status
        ]
        for status in ("stopped", "done")
    }
    assert away["stopped"]
    assert away["done"]
    assert min(away["stopped"]) > min(away["done"])
    best = max(row["score"] for row in whole["trials"] if row["status"] == "done")
    assert all(row["score"] < best for row in whole["trials"] if row["status"] == "stopped")


@pytest.mark.long
def test_a_killed_race_goes_on_and_ends_with_the_same_tables(whole, tmp_path):
    process = drive(tmp_path, **RACE)
    wait_for(process, tmp_path, 6)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=PATIENCE)
    finish(drive(tmp_path, **RACE))
    assert tables(tmp_path) == whole
