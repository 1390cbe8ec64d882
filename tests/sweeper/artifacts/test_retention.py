import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper.artifacts import retention
from sweeper.artifacts.place import Entry, Folder
from sweeper.artifacts.retention import DAY, Retention, kept


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path / "stages")


def put(folder, name, size=100, age=0.0):
    with folder.writing(name) as path:
        path.write_bytes(b"x" * size)
    file = folder.path / name
    now = file.stat().st_mtime
    os.utime(file, (now - age, now - age))


def stages(folder):
    return sorted(entry.name for entry in folder.entries() if entry.name.endswith((".safetensors", ".partial")))


def test_the_least_recently_used_goes_first(folder):
    for age, name in enumerate("abcd"):
        put(folder, f"{name}.safetensors", age=100.0 * (age + 1))
    mine = Retention(folder, "run", 350)
    mine.round((), ())
    assert stages(folder) == ["a.safetensors", "b.safetensors", "c.safetensors"]
    folder.touch("c.safetensors")
    put(folder, "e.safetensors")
    mine.round((), ())
    assert stages(folder) == ["a.safetensors", "c.safetensors", "e.safetensors"]


def test_what_a_live_run_needs_stays_whatever_the_limit(folder):
    for name in ("mine.safetensors", "theirs.safetensors", "claimed.partial", "nobodys.safetensors"):
        put(folder, name, age=1000.0)
    folder.create("claimed.claim", b"{}")
    Retention(folder, "other", 10**9).round({"theirs"}, ())
    Retention(folder, "run", 0).round({"mine"}, ())
    assert stages(folder) == ["claimed.partial", "mine.safetensors", "theirs.safetensors"]


def test_a_run_that_was_broken_off_long_ago_needs_nothing(folder):
    put(folder, "theirs.safetensors")
    Retention(folder, "other", 10**9).round({"theirs"}, ())
    mark = folder.path / "other.needed"
    age = mark.stat().st_mtime - DAY
    os.utime(mark, (age + 100, age + 100))
    mine = Retention(folder, "run", 0)
    mine.round((), ())
    assert stages(folder) == ["theirs.safetensors"]
    os.utime(mark, (age - 100, age - 100))
    mine.round((), ())
    assert stages(folder) == []
    assert not mark.exists()


def test_parts_of_arms_that_ended_go_but_nobody_elses(folder):
    for name in ("over", "needed", "claimed", "theirs", "unknown"):
        put(folder, f"{name}.partial")
        put(folder, f"{name}.safetensors")
    folder.create("claimed.claim", b"{}")
    Retention(folder, "other", 10**9).round({"theirs"}, ())
    Retention(folder, "run", 10**9).round({"needed"}, {"over", "needed", "claimed", "theirs"})
    gone = {"over.partial"}
    assert not gone & set(stages(folder))
    assert len(stages(folder)) == 9


def test_a_finished_run_leaves_finished_stages_only(folder):
    put(folder, "a.safetensors")
    put(folder, "b.partial")
    mine = Retention(folder, "run", 10**9)
    mine.round({"a", "b"}, ())
    assert (folder.path / "run.needed").exists()
    mine.finish({"b"})
    assert sorted(entry.name for entry in folder.entries()) == ["a.safetensors"]


def test_litter_of_the_killed_is_removed_after_a_day(folder):
    for name in ("old.tmp", "old.claim"):
        put(folder, name, age=DAY + 100)
    for name in ("new.tmp", "new.claim"):
        put(folder, name, age=DAY - 100)
    put(folder, "study.yaml", age=10 * DAY)
    Retention(folder, "run", 0).finish(())
    assert sorted(entry.name for entry in folder.entries()) == ["new.claim", "new.tmp", "study.yaml"]


def test_rounds_take_a_small_share_of_the_time(folder):
    now = [0.0]
    mine = Retention(folder, "run", 0, lambda: now[0])
    entries = folder.entries

    def slow():
        now[0] += 4.0
        return entries()

    folder.entries = slow
    assert mine.due
    mine.round((), ())
    now[0] += 79.0
    assert not mine.due
    now[0] += 2.0
    assert mine.due


def test_trouble_is_logged_and_the_run_goes_on(tmp_path, caplog):
    (tmp_path / "file").touch()
    mine = Retention(Folder(tmp_path / "file" / "stages"), "run", 0)
    mine.round({"a"}, ())
    mine.finish(())
    assert "cannot be tidied" in caplog.text


def test_what_a_folder_holds_is_counted(folder):
    assert kept(folder) == retention.Kept(0, 0)
    put(folder, "a.safetensors", 300)
    put(folder, "b.partial", 20)
    assert kept(folder) == retention.Kept(1, 320)


ENTRIES = st.lists(
    st.builds(
        Entry,
        name=st.uuids().map(lambda each: f"{each}.safetensors"),
        size=st.integers(0, 50),
        used=st.floats(0, 9),
    ),
    max_size=12,
)


@given(ENTRIES, st.integers(0, 300), st.data())
def test_no_more_is_removed_than_must_be(entries, limit, data):
    safe = {each.name.removesuffix(".safetensors") for each in entries if data.draw(st.booleans())}
    gone = retention._excess(entries, safe, limit)
    left = [each for each in entries if each not in gone]
    free = [each for each in left if each.name.removesuffix(".safetensors") not in safe]
    assert not {each.name.removesuffix(".safetensors") for each in gone} & safe
    assert sum(each.size for each in left) <= limit or not free
    assert not gone or sum(each.size for each in left) + gone[-1].size > limit
    assert all(mine.used >= theirs.used for mine in free for theirs in gone)
