"""Disks that are full, read-only or gone: a clear stop, tables that can be read all the while, and a way on."""

import contextlib
import json
import os
import shutil
import subprocess
import threading

import pandas as pd
import pytest

from analysis import run as runs
from sweeper.files import Lines, StorageError, beside, mendable
from sweeper.results import JOURNAL, Writer, read_journal
from sweeper.tables import SCHEMAS

TIMES = ["started_at", "finished_at", "seconds", "attempts"]


def tables(folder):
    """All tables without their clocks, as plain values."""
    return {
        name: json.loads(
            pd.read_parquet(folder / f"{name}.parquet").drop(columns=TIMES, errors="ignore").to_json(orient="records")
        )
        for name in SCHEMAS
    }


@pytest.fixture
def small_disk(tmp_path):
    """A file system of a quarter of a megabyte, mounted for the test; ``remount`` and ``fill`` go with it."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(disk)]
    if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a small file system cannot be mounted here (needs root)")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def remount(disk, how):
    subprocess.run(["mount", "-o", f"remount,{how}", str(disk)], check=True)


@contextlib.contextmanager
def full(disk):
    """Leave no room on a disk for the time of the block."""
    with (disk / "ballast").open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
        while True:
            ballast.write(b"x" * 4096)
    yield
    (disk / "ballast").unlink()


@pytest.fixture(scope="module")
def undisturbed(story, tmp_path_factory):
    """The tables of a run that nothing happened to."""
    folder = tmp_path_factory.mktemp("undisturbed")
    writer = Writer(folder, story.frame)
    for arm in story.arms:
        story.tell(writer, arm)
    writer.complete()
    return tables(folder)


def finish(folder, story):
    """Go on with a run in a new process, so to speak, up to its end."""
    writer = Writer(folder, story.frame)
    for arm in story.arms:
        story.tell(writer, arm)
    writer.complete()


@pytest.mark.parametrize("told", [0, 1, 2])
def test_a_full_disk_stops_a_run_that_then_goes_on(story, small_disk, undisturbed, told):
    folder = small_disk / "run"
    folder.mkdir()
    writer = Writer(folder, story.frame)
    for arm in story.arms[:told]:
        story.tell(writer, arm)
        writer.flush(force=True)
    with full(small_disk):
        before = tables(folder) if told else None
        with pytest.raises(StorageError, match=r"No space left on device; once .* `sweeper resume x` goes on"):
            fill(writer, story, folder, told)
        with contextlib.suppress(OSError):
            writer.flush(force=True)
        assert before is None or tables(folder) == before
    writer.close()
    assert len(list(read_journal(folder))) >= 0, "every line that is there is whole"
    finish(folder, story)
    assert tables(folder) == undisturbed


def fill(writer, story, folder, told):
    with mendable(folder, "x"):
        story.tell(writer, story.arms[told])
        writer.flush(force=True)


def test_arms_that_end_while_the_disk_is_full_are_whole_in_tables_written_later(story, small_disk, undisturbed):
    folder = small_disk / "run"
    folder.mkdir()
    writer = Writer(folder, story.frame)
    story.tell(writer, story.arms[0])
    with full(small_disk), pytest.raises(OSError, match="No space"):
        story.tell(writer, story.arms[1])
    # As a driver does on its way out.
    writer.flush(force=True)
    writer.close()
    trials, folds = (pd.read_parquet(folder / f"{name}.parquet") for name in ("trials", "folds"))
    assert set(trials["arm"]) == set(folds["arm"])
    finish(folder, story)
    assert tables(folder) == undisturbed


def test_a_disk_that_becomes_read_only_stops_a_run_that_then_goes_on(story, small_disk, undisturbed):
    remount(small_disk, "size=8m")
    folder = small_disk / "run"
    folder.mkdir()
    writer = Writer(folder, story.frame)
    story.tell(writer, story.arms[0])
    writer.flush(force=True)
    writer.close()
    remount(small_disk, "ro")
    with pytest.raises(StorageError, match="Read-only file system"):
        fill(writer, story, folder, 1)
    assert len(pd.read_parquet(folder / "trials.parquet")) == 1
    remount(small_disk, "rw")
    finish(folder, story)
    assert tables(folder) == undisturbed


def test_a_run_folder_that_is_moved_away_stops_the_run_and_is_not_made_anew(story, tmp_path, undisturbed):
    folder, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    folder.mkdir()
    writer = Writer(folder, story.frame)
    story.tell(writer, story.arms[0])
    folder.rename(elsewhere)
    with pytest.raises(StorageError, match="the run folder is gone; put it back"):
        fill(writer, story, folder, 1)
    assert not folder.exists()
    writer.close()
    elsewhere.rename(folder)
    finish(folder, story)
    assert tables(folder) == undisturbed


def test_what_did_not_fit_leaves_no_part_behind(small_disk):
    lines, path = Lines(small_disk / "lines"), small_disk / "file"
    lines.add("first\n")
    path.write_text("old")
    with full(small_disk):
        with pytest.raises(OSError, match="No space"):
            lines.add("second" * 9999 + "\n")
        with pytest.raises(OSError, match="No space") as caught, beside(path) as temporary:
            temporary.write_bytes(b"new" * 99999)
        assert caught.value.filename == str(path)
        assert sorted(each.name for each in small_disk.iterdir()) == ["ballast", "file", "lines"]
    lines.add("third\n")
    assert (small_disk / "lines").read_text() == "first\nthird\n"
    assert path.read_text() == "old"


def test_other_errors_are_not_taken_for_the_disks(tmp_path):
    for error in (OSError("no number"), FileNotFoundError(2, "No such file", "/elsewhere"), ValueError("x")):
        with pytest.raises(type(error)) as caught, mendable(tmp_path, "x"):
            raise error
        assert caught.value is error


def test_tables_can_be_read_at_every_instant(story, tmp_path):
    writer = Writer(tmp_path, story.frame)
    about = {
        "rows": [list(row) for row in story.frame.rows],
        "finished_at": None,
        "corpus": {"classes": list(story.frame.classes)},
    }
    over, seen, problems = threading.Event(), [], []

    def read():
        while not over.is_set():
            try:
                found = runs.load(tmp_path)
                # Whoever finds an arm among the trials finds all of its rows.
                assert set(found.trials["arm"]) == set(found.folds["arm"]) == set(found.curves["arm"])
                seen.append(len(found.trials))
            except Exception as error:
                problems.append(error)

    story.tell(writer, story.arms[0])
    writer.flush(force=True)
    base = json.loads(json.dumps(about))
    (tmp_path / "study.yaml").write_text("name: tiny\n")
    (tmp_path / "provenance.json").write_text(json.dumps(_about(base)))
    reader = threading.Thread(target=read)
    reader.start()
    for arm in story.arms[1:]:
        story.tell(writer, arm)
        for _ in range(5):
            writer.flush(force=True)
    while not problems and (not seen or seen[-1] < len(story.arms)):
        pass
    over.set()
    reader.join()
    assert problems == []
    assert seen == sorted(seen)


def _about(known):
    """As much of a provenance as a reader insists on."""
    return {"method": {"name": "tiny"}, "seeds": [0, 1], "folds": [], "parameters": {}, "ablation": {}, **known}


def test_a_copy_of_the_folder_at_every_step_is_gone_on_with(story, tmp_path, undisturbed, monkeypatch):
    """Wherever the machine ends: after each file that is put in place, and each line of the journal."""
    folder, copies = tmp_path / "run", []
    folder.mkdir()

    def snapshot(*_):
        copy = tmp_path / f"copy {len(copies)}"
        shutil.copytree(folder, copy)
        copies.append(copy)

    writer = Writer(folder, story.frame, mirror=snapshot)
    for arm in story.arms[:3]:
        story.tell(writer, arm)
        writer.flush(force=True)
    assert len(copies) == 9
    for copy in copies:
        finish(copy, story)
        assert tables(copy) == undisturbed
    assert not (copies[0] / JOURNAL).exists()
