import json
import os
import subprocess
import sys

import pytest

from sweeper.artifacts import claims
from sweeper.artifacts.claims import LEASE, RENEW, Claims
from sweeper.artifacts.place import Folder

KEY = "tiny-learn-0"
FILE = f"{KEY}.claim"


class Clock:
    """A clock that goes when told."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def two(place, clock):
    """Two processes that know nothing of each other but the place."""
    return Claims(place, clock), Claims(place, clock)


def later(clock, place, seconds=0.0):
    """Let time pass, at least until a waiting process looks again."""
    clock.now += max(seconds, place.pace)


def test_one_gets_it_and_the_other_after_the_release(two, place, clock):
    one, other = two
    assert one.claim(KEY, "a")
    assert one.claim(KEY, "a")
    assert not one.claim(KEY, "of the same process")
    assert not other.claim(KEY, "b")
    assert other.claim("another", "b")
    one.release(KEY, "a")
    later(clock, place)
    assert other.claim(KEY, "b")
    later(clock, place)
    assert not one.claim(KEY, "a")


def test_only_the_holder_releases(two, place, clock):
    one, other = two
    assert one.claim(KEY, "a")
    other.release(KEY, "a")
    one.release(KEY, "b")
    later(clock, place)
    assert not other.claim(KEY, "b")
    one.release(KEY, "a")
    one.release(KEY, "a")
    assert place.see(FILE) is None


def test_a_holder_that_says_nothing_loses_it(two, place, clock):
    one, other = two
    assert one.claim(KEY, "a")
    assert not other.claim(KEY, "b")
    later(clock, place, LEASE - 1)
    assert not other.claim(KEY, "b")
    later(clock, place, 2)
    assert other.claim(KEY, "b")
    assert not one.renew(KEY, "a")
    later(clock, place)
    assert not one.claim(KEY, "a")
    one.release(KEY, "a")
    assert json.loads(place.see(FILE).content)["owner"] == "b"


def test_a_holder_that_makes_progress_keeps_it(two, place, clock):
    one, other = two
    assert one.claim(KEY, "a")
    for _ in range(10):
        assert not other.claim(KEY, "b")
        later(clock, place, LEASE / 2)
        assert one.renew(KEY, "a")
    assert not one.renew(KEY, "b")
    assert not other.renew(KEY, "b")


def test_slow_progress_is_given_more_time(two, place, clock):
    one, other = two
    assert one.claim(KEY, "a")
    later(clock, place, 600)
    assert one.renew(KEY, "a")
    assert not other.claim(KEY, "b")
    later(clock, place, 4 * 600 - 1)
    assert not other.claim(KEY, "b")
    later(clock, place, 2)
    assert other.claim(KEY, "b")


def test_renewing_often_touches_nothing(two, place, clock, monkeypatch):
    one, _ = two
    assert one.claim(KEY, "a")
    monkeypatch.setattr(one, "_place", None)
    later(clock, place, RENEW - 1)
    for _ in range(100):
        assert one.renew(KEY, "a")
        assert one.claim(KEY, "a")


def test_waiting_looks_no_more_often_than_the_place_likes(two, place, clock, monkeypatch):
    one, other = two
    looks = []
    see = place.see
    monkeypatch.setattr(place, "see", lambda name: looks.append(name) or see(name))
    monkeypatch.setattr(place, "pace", 2.0)
    assert one.claim(KEY, "a")
    for _ in range(20):
        assert not other.claim(KEY, "b")
        clock.now += 0.2
    assert len(looks) == 2


def test_an_arm_tried_again_takes_up_its_own_claim(two):
    one, other = two
    assert one.claim(KEY, "a")
    assert other.claim(KEY, "a")


def claimed_by_process(place, **changes):
    """A claim as another process leaves it."""
    command = [sys.executable, "-c", "import os; print(os.getpid())"]
    pid = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    content = json.loads(claims.content_of("a", LEASE)) | {"pid": pid} | changes
    place.create(FILE, json.dumps(content).encode())


def test_a_process_that_is_gone_loses_it_at_once(two, place):
    claimed_by_process(place)
    assert two[0].claim(KEY, "b")


@pytest.mark.parametrize("changes", [{"host": "elsewhere"}, {"pid": os.getppid()}], ids=["elsewhere", "alive"])
def test_else_it_is_waited_for(two, place, clock, changes):
    claimed_by_process(place, **changes)
    assert not two[0].claim(KEY, "b")
    later(clock, place, LEASE + 1)
    assert two[0].claim(KEY, "b")


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"host": 5}'])
def test_an_unreadable_claim_runs_out_too(two, place, clock, content):
    place.create(FILE, content)
    assert not two[0].claim(KEY, "b")
    later(clock, place, LEASE + 1)
    assert two[0].claim(KEY, "b")


def test_of_two_that_wait_one_takes_over(two, place, clock):
    claimed_by_process(place, host="elsewhere")
    assert not any(each.claim(KEY, name) for each, name in zip(two, "bc", strict=True))
    later(clock, place, LEASE + 1)
    assert sorted(each.claim(KEY, name) for each, name in zip(two, "bc", strict=True)) == [False, True]


def test_where_nothing_can_be_claimed_everybody_trains(tmp_path, caplog):
    (tmp_path / "file").touch()
    broken = Claims(Folder(tmp_path / "file" / "stages"))
    assert broken.claim(KEY, "a")
    assert not broken.renew(KEY, "a")
    broken.release(KEY, "a")
    assert "cannot be claimed" in caplog.text


RACE = """
import sys, time
from pathlib import Path
from sweeper.artifacts.claims import Claims
from sweeper.artifacts.place import Folder
folder, name = Path(sys.argv[1]), sys.argv[2]
mine = Claims(Folder(folder / "stages"))
print("ready", flush=True)
sys.stdin.readline()
for turn in range(200):
    while not mine.claim("key", name):
        pass
    inside = folder / "inside"
    inside.touch(exist_ok=False)
    inside.unlink()
    mine.release("key", name)
"""


@pytest.mark.slow
def test_processes_are_never_inside_together(tmp_path):
    command = [sys.executable, "-c", RACE, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    racing = [subprocess.Popen([*command, name], **pipes) for name in "abc"]
    for each in racing:
        assert each.stdout.readline() == "ready\n", each.stderr.read()
    for each in racing:
        each.stdin.write("go\n")
        each.stdin.flush()
    for each in racing:
        _, err = each.communicate()
        assert each.returncode == 0, err
