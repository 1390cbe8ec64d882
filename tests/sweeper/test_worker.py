"""Workers of Tune: what they tell the trainer that they share."""

from types import SimpleNamespace

import pytest

from sweeper import worker
from sweeper.worker import ArmTrainable

CONFIG = {"arm": "a1", "method": "tiny", "config": "{}", "place": 0, "alone": False}


@pytest.fixture
def told(monkeypatch):
    """What a trainer elsewhere is told."""
    monkeypatch.setattr(worker.ray, "get", lambda answer: answer)
    return []


def started(told, trial):
    """A worker that Tune started for a trial."""

    def method(name):
        return SimpleNamespace(remote=lambda arm, *more, **named: told.append((name, arm)) or {"waiting": True})

    one = object.__new__(ArmTrainable)
    one._trial_info = SimpleNamespace(trial_id=trial)
    one.setup(dict(CONFIG), trainers=[SimpleNamespace(**{name: method(name) for name in ("begin", "step", "drop")})])
    return one


def test_an_arm_is_begun_trained_and_let_go(told):
    one = started(told, "t1")
    for _ in range(2):
        one.step()
    one.cleanup()
    assert told == [("begin", "t1"), ("step", "t1"), ("drop", "t1")]


def test_a_worker_that_came_up_too_late_does_not_end_the_arm_that_another_trains(told):
    late, quick = started(told, "t1"), started(told, "t1")
    quick.step()
    late.cleanup()
    quick.step()
    assert told == [("begin", "t1"), ("step", "t1")]


def test_the_next_arm_in_the_same_process_is_another(told):
    one = started(told, "t1")
    one.step()
    one._trial_info = SimpleNamespace(trial_id="t2")
    one.reset_config(dict(CONFIG))
    one.step()
    one.cleanup()
    assert told == [("begin", "t1"), ("drop", "t1"), ("begin", "t2"), ("drop", "t2")]
