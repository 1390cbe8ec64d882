"""Who counts as hanging, on a clock of our own."""

from types import SimpleNamespace

import pytest

from sweeper import hanging


@pytest.fixture
def killed(monkeypatch):
    found = []
    monkeypatch.setattr(hanging.ray, "kill", lambda actor, no_restart: found.append((actor.name, no_restart)))
    return found


def actor(name):
    return SimpleNamespace(name=name)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_a_worker_that_says_nothing_is_killed_and_no_other(killed):
    clock = Clock()
    watch = hanging.Watch(10, clock=clock)
    watch.begins("a", actor("one"), 0)
    watch.begins("b", actor("two"), 0)
    clock.now = 9
    watch.hears("b")
    assert watch.ends() == []
    clock.now = 11
    assert watch.ends() == ["a"]
    assert killed == [("one", True)]
    assert watch.ends() == [], "it is given time to die"


def test_arms_of_one_trainer_hang_together_and_it_is_begun_anew(killed):
    clock, trainers = Clock(), [actor("first"), actor("second")]
    watch = hanging.Watch(10, trainers, clock)
    for place, arm in enumerate("abcd"):
        watch.begins(arm, actor(f"worker of {arm}"), place)
        watch.hears(arm)
    clock.now = 8
    watch.hears("c")
    clock.now = 12
    assert watch.ends() == ["b", "d"], "a waits for c, which makes progress"
    assert killed == [("second", False)]


def test_a_trainer_may_take_its_time_to_start_and_to_let_an_arm_in(killed):
    clock, trainers = Clock(), [actor("shared")]
    watch = hanging.Watch(10, trainers, clock)
    for arm in "ab":
        watch.begins(arm, actor(f"worker of {arm}"), 0)
    clock.now = 100
    assert watch.ends() == []
    watch.hears("a")
    clock.now = 111
    assert watch.ends() == ["a"], "b waits at the door"
    assert killed == [("shared", False)]


def test_who_is_over_does_not_hang(killed):
    clock = Clock()
    watch = hanging.Watch(10, clock=clock)
    watch.begins("a", actor("one"), 0)
    watch.forgets("a")
    clock.now = 100
    assert watch.ends() == []
    assert killed == []


def test_nobody_hangs_where_no_limit_is_set(killed):
    clock = Clock()
    watch = hanging.Watch(None, clock=clock)
    watch.begins("a", actor("one"), 0)
    clock.now = 1e9
    assert watch.ends() == []
