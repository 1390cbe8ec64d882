import io
import json
import os
import socket
import subprocess
import sys
import time

import pytest
import tiny
from rich.console import Console
from tiny_method.config import Config

from search_spaces.change import apply, paths
from sweeper.arms import Arm, arm_id
from sweeper.execute import Report
from sweeper.progress import Clock, Progress, snapshot
from sweeper.results import STATUS, Writer, read_status
from sweeper.tables import Frame

FRAME = Frame(rows=(("s0", 0),), tested=(), classes=("angry", "sad"), defaults={"tiny": paths(Config())})


@pytest.fixture(autouse=True)
def _tiny():
    tiny.register()
    yield
    tiny.unregister()


def arm(number: int, kind: str = "search") -> Arm:
    config = apply(Config(), {"learn.rate": 1.0 + number})
    return Arm(
        id=arm_id("tiny", config),
        method="tiny",
        kind=kind,
        name=f"search {number}",
        config=config.model_dump(mode="json"),
    )


def report(score: float, budget: int = 8) -> Report:
    return Report(stage="tune", epoch=1, total=3, budget=budget, planned=8, seconds=0.0, score=score, done=budget == 8)


@pytest.fixture
def writer(tmp_path) -> Writer:
    """Two arms done, one stopped, one failed, one half way."""
    writer = Writer(tmp_path, FRAME)
    endings = (("done", 0.5, ""), ("done", 0.7, ""), ("stopped", 0.9, ""), ("failed", 0.1, "it broke"))
    for number, (status, score, why) in enumerate(endings):
        writer.start(arm(number))
        writer.attempt(arm(number).id)
        writer.report(arm(number).id, report(score))
        writer.finish(arm(number).id, status, why)
    writer.start(arm(9))
    writer.attempt(arm(9).id)
    writer.report(arm(9).id, report(0.3, budget=4))
    return writer


def test_a_snapshot_counts_arms_and_names_the_best(writer):
    now = snapshot(writer, 10, Clock())
    assert (now.done, now.stopped, now.failed, now.running, now.over, now.planned) == (2, 1, 1, 1, 4, 10)
    assert (now.best, now.best_score) == ("search 1", 0.7)


def test_the_rate_counts_what_this_invocation_achieved(writer):
    """Two of the four were over before; with the half one, 2.5 arms in 50 seconds."""
    now = snapshot(writer, 10, Clock(begun=time.monotonic() - 50, before=2))
    assert now.rate == pytest.approx(3.0, rel=0.05)
    assert now.left == pytest.approx((10 - 4 - 0.5) / (2.5 / 50), rel=0.05)


def test_before_anything_is_achieved_nothing_is_foretold(writer):
    now = snapshot(writer, 10, Clock(before=4, begun=time.monotonic() + 1))
    assert (now.rate, now.left) == (None, None)


def test_more_arms_than_were_planned_are_counted(writer):
    assert snapshot(writer, 1, Clock()).planned == 5


def test_plain_lines_where_there_is_no_terminal(writer):
    out = io.StringIO()
    with Progress(writer, 10, Console(file=out, width=40)) as progress:
        progress.over(writer.trials[arm(3).id])
    first, second = out.getvalue().splitlines()
    assert first.startswith("4/10 arms; 1 running, 1 stopped, 1 failed, best dev UAR 0.700 (search 1)")
    assert second.startswith("4/10 search 3 failed: it broke")
    assert "\x1b" not in out.getvalue()


def test_lines_are_not_repeated_at_every_turn(writer):
    out = io.StringIO()
    with Progress(writer, 10, Console(file=out)) as progress:
        for _ in range(100):
            progress.update()
    assert len(out.getvalue().splitlines()) == 1


def test_a_terminal_gets_a_live_picture_and_failures_stay(writer):
    out = io.StringIO()
    with Progress(writer, 10, Console(file=out, force_terminal=True, width=100)) as progress:
        progress.over(writer.trials[arm(1).id])
        progress.over(writer.trials[arm(3).id])
    assert "search 3 failed: it broke" in out.getvalue()
    assert "search 1 done" not in out.getvalue()
    assert "4/10 arms" in out.getvalue()


def test_names_are_no_markup(writer):
    out = io.StringIO()
    row = {**writer.trials[arm(1).id], "name": "learn.kind = [bold]"}
    with Progress(writer, 10, Console(file=out)) as progress:
        progress.over(row)
    assert "learn.kind = [bold]" in out.getvalue()


def test_status_can_be_read_while_and_after_it_runs(writer, tmp_path):
    progress = Progress(writer, 10, Console(file=io.StringIO()))
    with progress:
        status = read_status(tmp_path)
        assert (status["state"], status["pid"], status["host"]) == ("running", os.getpid(), socket.gethostname())
        assert {name: status[name] for name in ("done", "stopped", "failed", "running", "planned")} == {
            "done": 2,
            "stopped": 1,
            "failed": 1,
            "running": 1,
            "planned": 10,
        }
    progress.write("interrupted")
    assert read_status(tmp_path)["state"] == "interrupted"


def test_a_killed_run_is_told_from_a_running_one(writer, tmp_path):
    Progress(writer, 10, Console(file=io.StringIO())).write("running")
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    content = json.loads((tmp_path / STATUS).read_text())
    (tmp_path / STATUS).write_text(json.dumps({**content, "pid": process.pid}))
    assert read_status(tmp_path)["state"] == "killed"
    (tmp_path / STATUS).write_text(json.dumps({**content, "pid": process.pid, "host": "elsewhere"}))
    assert read_status(tmp_path)["state"] == "running", "of other hosts nothing is known"
