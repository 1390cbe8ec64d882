import io

import pytest
from rich.console import Console

from sweeper import render
from trainables.epoch import Epoch

RUNNING = {
    "state": "running",
    "done": 3,
    "stopped": 2,
    "failed": 1,
    "running": 2,
    "planned": 20,
    "best": "search 4",
    "best_score": 0.61234,
    "arms_per_minute": 2.0,
    "seconds_left": 400.0,
    "updated_at": "2026-11-02T10:00:00+00:00",
}


def said(status):
    out = io.StringIO()
    Console(file=out, width=200).print(render.status("runs/x", status))
    return out.getvalue()


def test_a_running_run_says_how_far_it_is():
    text = said(RUNNING)
    assert "runs/x: running" in text
    assert "6 of at most 20 arms are over (2 running, 3 done, 2 stopped, 1 failed)" in text
    assert "search 4, UAR 0.612" in text
    assert "about 7 min left at 2.0 arms a minute" in text
    assert "resume" not in text


def test_a_run_whose_process_was_killed_says_so_and_what_to_do():
    text = said({**RUNNING, "state": "killed"})
    assert "its process is gone (last heard of at 2026-11-02T10:00:00+00:00)" in text
    assert "`sweeper resume runs/x` goes on" in text
    assert "left at" not in text


@pytest.mark.parametrize(("state", "resumes"), [("finished", False), ("interrupted", True), ("failed", True)])
def test_a_run_that_is_over(state, resumes):
    text = said({**RUNNING, "state": state, "seconds_left": None})
    assert f"runs/x: {state}" in text
    assert "(2 begun, 3 done" in text
    assert ("resume" in text) == resumes


def test_a_run_without_a_candidate_has_no_best():
    assert "best" not in said({**RUNNING, "best": "", "best_score": None})


def test_training_shows_a_bar_a_stage():
    out = io.StringIO()
    with render.epochs(Console(file=out, width=100, force_terminal=True)) as watch:
        for stage, total in (("align", 3), ("augment", 2)):
            for index in range(1, total + 1):
                watch(Epoch(stage=stage, index=index, total=total))
    text = out.getvalue()
    for part in ("align", "3/3", "augment", "2/2"):
        assert part in text


def test_training_that_never_began_shows_nothing():
    out = io.StringIO()
    with render.epochs(Console(file=out, force_terminal=True)):
        pass
    assert out.getvalue() == ""
