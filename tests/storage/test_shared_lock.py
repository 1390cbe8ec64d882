"""The lock of a run folder that hosts share, also where the kernel's lock does not reach from one to the other."""

import errno
import fcntl
import json
import os
import threading
import time

import pytest

from sweeper import lock, study
from trainables.errors import InputError


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    monkeypatch.setattr(lock, "LEASE", 0.5)
    monkeypatch.setattr(lock, "TOUCH", 0.05)


def left(folder, host="other", pid=1):
    """A lock file as another process leaves it."""
    (folder / "lock").write_text(json.dumps({"host": host, "pid": pid}))


def test_what_a_killed_host_left_is_taken_over_after_a_while(tmp_path):
    left(tmp_path)
    said = []
    with lock.held(tmp_path, said.append):
        assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()
    assert said == [f"{tmp_path}: watching for 0.5 s whether process 1 on other, which began it, still runs"]
    assert not (tmp_path / "lock").exists()


def test_a_host_that_still_touches_it_keeps_it(tmp_path):
    left(tmp_path)
    over = threading.Event()

    def touch():
        while not over.wait(0.05):
            os.utime(tmp_path / "lock")

    holder = threading.Thread(target=touch)
    holder.start()
    try:
        with pytest.raises(InputError, match="another process \\(process 1 on other\\)"):
            take(tmp_path)
    finally:
        over.set()
        holder.join()
    assert json.loads((tmp_path / "lock").read_text()) == {"host": "other", "pid": 1}


def take(folder):
    with lock.held(folder, lambda text: None):
        pass


def test_a_holder_touches_its_lock(tmp_path):
    with lock.held(tmp_path):
        first = (tmp_path / "lock").stat().st_mtime_ns
        while (tmp_path / "lock").stat().st_mtime_ns == first:
            time.sleep(0.01)


def test_a_file_system_without_locks_goes_by_the_file(tmp_path, monkeypatch):
    def none(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    left(tmp_path, host=os.uname().nodename, pid=2**22 + 1)
    take(tmp_path)
    with lock.held(tmp_path), pytest.raises(InputError, match=f"process {os.getpid()} on"):
        take(tmp_path)


@pytest.mark.parametrize("place", ["gs://lab/x", "s3://", "s3://key:secret@lab/x", "https://lab/x"])
def test_other_places_than_folders_and_s3_are_refused(tmp_path, place):
    path = tmp_path / "study.yaml"
    path.write_text(f"name: x\ncorpus: builtin\nmethod: linear\nprotocol: leave-one-session-out\nstorage: {place}\n")
    with pytest.raises(InputError, match=r"study\.yaml, line 5: storage: must be a folder or s3://bucket/prefix"):
        study.load(path)
