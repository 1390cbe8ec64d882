"""Runs in a bucket: every state of it can be read and gone on with, from any machine, by one driver at a time."""

import json
import os
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager

import pandas as pd
import pytest
import test_bad_disks
from shaky import in_front_of
from typer.testing import CliRunner

from sweeper import address, cli, lease, remote
from sweeper.artifacts.place import Folder
from sweeper.files import StorageError
from sweeper.lease import Lease
from sweeper.results import JOURNAL, Writer
from trainables.errors import InputError

RUN = "s3://lab/some/prefix/tiny"
undisturbed = test_bad_disks.undisturbed
tables, finish = test_bad_disks.tables, test_bad_disks.finish


class Bucket(Folder):
    """A bucket in a folder that can be away, and that calls back after each object."""

    pace = 0.001

    def __init__(self, path):
        super().__init__(path)
        self.away, self.after = 0, lambda: None

    def writing(self, name):
        if self.away:
            self.away -= 1
            raise OSError("503 Slow Down")
        return self._and_then(name)

    def remove(self, name):
        super().remove(name)
        self.after()

    def _and_then(self, name):
        @contextmanager
        def put():
            with super(Bucket, self).writing(name) as path:
                yield path
            self.after()

        return put()


@pytest.fixture
def bucket(tmp_path, monkeypatch):
    """What is behind every ``s3://`` for this test; nobody waits for it to come back."""
    made = Bucket(tmp_path / "bucket")
    monkeypatch.setattr(remote, "place", lambda _: made)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "here"))
    monkeypatch.setattr(remote, "_PAUSE", 0.001)
    monkeypatch.setenv("SWEEPER_STORAGE_PATIENCE", "0.05")
    return made


def drive(story, count, *, stop=None, said=None, run=RUN):
    """See arms through as a driver does, on the machine that the environment says this is."""
    folder = address.copy_of(run)
    folder.mkdir(parents=True, exist_ok=True)
    with remote.held(run, folder, (said if said is not None else []).append) as mirror:
        (folder / "study.yaml").write_text("name: tiny\n")
        (folder / "provenance.json").write_text("{}")
        writer = Writer(folder, story.frame, mirror=mirror.push)
        for arm in story.arms[:count]:
            story.tell(writer, arm)
            writer.flush(force=True)
        if stop:
            stop(writer)
        writer.complete()
    return folder


def elsewhere(monkeypatch, tmp_path, name="there"):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / name))


def test_a_bucket_holds_what_the_folder_does_and_another_machine_reads_it(story, bucket, tmp_path, monkeypatch):
    driven = drive(story, 4)
    elsewhere(monkeypatch, tmp_path)
    seen = remote.look(RUN)
    assert seen != driven
    assert tables(seen) == tables(driven)
    assert not (seen / JOURNAL).exists()
    assert (seen / "study.yaml").read_text() == "name: tiny\n"
    assert not (bucket.path / "lock").exists()


def test_every_state_of_the_bucket_is_readable_and_gone_on_with(story, bucket, tmp_path, undisturbed):
    states = []

    def snapshot():
        state = tmp_path / f"state {len(states)}"
        shutil.copytree(bucket.path, state, ignore=shutil.ignore_patterns("*.tmp"))
        states.append(state)

    bucket.after = snapshot
    drive(story, 3)
    assert len(states) > 30
    counts = []
    for state in states:
        if (state / "trials.parquet").exists():
            arms = set(pd.read_parquet(state / "trials.parquet")["arm"])
            assert arms <= set(pd.read_parquet(state / "folds.parquet")["arm"])
        counts.append(len(Writer(state, story.frame).trials))
        finish(state, story)
        assert tables(state) == undisturbed
    assert counts == sorted(counts), "what was in the bucket once is never lost again"
    assert counts[-1] == 3


def test_another_machine_goes_on_where_the_first_was_at_its_last_flush(
    story, bucket, tmp_path, monkeypatch, undisturbed
):
    class Crash(BaseException):
        pass

    def crash(writer):
        raise Crash

    with pytest.raises(Crash):
        drive(story, 2, stop=crash)
    elsewhere(monkeypatch, tmp_path)
    counted = []
    folder = address.copy_of(RUN)
    folder.mkdir(parents=True)
    with remote.held(RUN, folder, print):
        counted = list(Writer(folder, story.frame).trials)
    assert counted == [arm.id for arm in story.arms[:2]]
    assert tables(drive(story, 4)) == undisturbed


def test_a_bucket_that_fails_now_and_then_is_asked_again(story, bucket, undisturbed):
    said = []

    def shaky(writer):
        bucket.away = 3
        story.tell(writer, story.arms[2])
        writer.flush(force=True)
        story.tell(writer, story.arms[3])

    assert tables(drive(story, 2, stop=shaky, said=said)) == undisturbed
    assert [line.partition("; ")[0] for line in said] == [f"storage: {RUN}: 503 Slow Down"]


def test_a_bucket_that_stays_away_stops_the_run_and_nothing_is_lost(story, bucket, undisturbed):
    def cut(writer):
        bucket.away = 10**9
        story.tell(writer, story.arms[2])
        try:
            writer.flush(force=True)
        finally:
            # As a driver does on its way out.
            story.tell(writer, story.arms[3])
            writer.flush(force=True)
            writer.close()

    with pytest.raises(StorageError, match=rf"503 Slow Down, for 0.05 s; nothing is lost, .*`sweeper resume {RUN}`"):
        drive(story, 2, stop=cut)
    assert len(pd.read_parquet(bucket.path / "trials.parquet")) == 2
    assert len(pd.read_parquet(address.copy_of(RUN) / "trials.parquet")) == 4
    bucket.away = 0
    drive(story, 4)
    assert tables(bucket.path) == undisturbed


def test_what_never_reached_the_bucket_is_set_aside_once_the_run_went_on_elsewhere(
    story, bucket, tmp_path, monkeypatch, undisturbed
):
    folder = address.copy_of(RUN)

    def cut(writer):
        bucket.away = 10**9
        story.tell(writer, story.arms[2])
        writer.flush(force=True)

    with pytest.raises(StorageError):
        drive(story, 2, stop=cut)
    bucket.away = 0
    with monkeypatch.context() as patch:
        elsewhere(patch, tmp_path)
        drive(story, 4)
    said = []
    drive(story, 4, said=said)
    (aside,) = folder.parent.glob("tiny.aside-*")
    assert said == [f"storage: the run went on elsewhere; what this machine held of it is set aside in {aside}"]
    assert len(pd.read_parquet(aside / "folds.parquet")["arm"].unique()) >= 2
    assert tables(folder) == undisturbed


def test_a_copy_that_is_older_and_was_all_in_the_bucket_is_brought_up_to_date(story, bucket, tmp_path, monkeypatch):
    folder = drive(story, 2)
    with monkeypatch.context() as patch:
        elsewhere(patch, tmp_path)
        drive(story, 4)
    drive(story, 4)
    assert len(pd.read_parquet(folder / "trials.parquet")) == 4
    assert list(folder.parent.glob("*.aside-*")) == []


def test_a_run_that_was_removed_from_the_bucket_begins_anew(story, bucket):
    folder = drive(story, 3)
    shutil.rmtree(bucket.path)
    drive(story, 1)
    assert len(pd.read_parquet(folder / "trials.parquet")) == 1
    (aside,) = folder.parent.glob("tiny.aside-*")
    assert len(pd.read_parquet(aside / "trials.parquet")) == 3


def test_a_refused_run_leaves_nothing_in_the_bucket(bucket):
    folder = address.copy_of(RUN)
    folder.mkdir(parents=True)
    with pytest.raises(InputError, match="refused"):
        refuse(folder)
    assert {path.name for path in bucket.path.iterdir()} <= {".lock"}


def refuse(folder):
    with remote.held(RUN, folder, print):
        shutil.rmtree(folder)
        raise InputError("refused")


def test_where_the_bucket_does_not_answer_what_this_machine_holds_is_shown(story, bucket, monkeypatch, capsys):
    folder = drive(story, 2)

    def away(_):
        raise OSError("connection refused")

    monkeypatch.setattr(bucket, "see", away)
    assert remote.look(RUN) == folder
    assert f"note: {RUN}: connection refused; this is what {folder} holds" in capsys.readouterr().err
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "none"))
    with pytest.raises(StorageError, match="connection refused"):
        remote.look(RUN)


def test_the_path_of_a_copy_means_the_run_in_the_bucket(story, bucket):
    assert address.of(drive(story, 1)) == RUN
    assert address.of("runs/other") == "runs/other"


class TestLease:
    """Time is told by hand: it passes when somebody sleeps."""

    @pytest.fixture(autouse=True)
    def _clock(self):
        self.now, self.meanwhile = 0.0, lambda: None

    def made(self, place):
        return Lease(place, RUN, clock=lambda: self.now, sleep=self.sleep)

    def sleep(self, seconds):
        self.now += seconds
        self.meanwhile()

    def foreign(self, place):
        """Let a holder seem to run on another host."""
        content = json.loads(place.see("lock").content) | {"host": "other x", "pid": 1}
        place.path.joinpath("lock").write_text(json.dumps(content))

    def test_one_that_is_renewed_refuses_others(self, tmp_path):
        place, said = Folder(tmp_path), []
        first, second = self.made(place), self.made(place)
        first.acquire(said.append)
        self.meanwhile = first.renew
        with pytest.raises(InputError, match=rf"{RUN}: another process \(process {os.getpid()} on .* wait for it"):
            second.acquire(said.append)
        assert first.sure()
        assert "watching for 90 s" in said[0]

    def test_one_of_another_host_is_free_once_it_was_silent(self, tmp_path):
        place, said = Folder(tmp_path), []
        first, second = self.made(place), self.made(place)
        first.acquire(said.append)
        self.foreign(place)
        second.acquire(said.append)
        assert lease.LEASE <= self.now <= 1.2 * lease.LEASE
        assert (first.sure(), second.sure()) == (False, True)
        first.release()
        assert place.see("lock") is not None, "it is no longer the first one's"
        second.release()
        assert place.see("lock") is None

    def test_one_of_a_dead_process_of_this_host_is_free_at_once(self, tmp_path):
        place = Folder(tmp_path)
        self.made(place).acquire(print)
        child = subprocess.Popen([sys.executable, "-c", ""])
        child.wait()
        content = json.loads(place.see("lock").content) | {"pid": child.pid}
        place.path.joinpath("lock").write_text(json.dumps(content))
        self.made(place).acquire(print)
        assert self.now == 0

    def test_a_stopped_process_asks_before_it_goes_on(self, tmp_path):
        place = Folder(tmp_path)
        first = self.made(place)
        first.acquire(print)
        place.path.joinpath("lock").unlink()
        assert first.sure(), "it was renewed a moment ago"
        self.now += lease.LEASE
        assert not first.sure()

    def test_a_renewal_whose_answer_was_lost_is_no_loss(self, tmp_path):
        place = Folder(tmp_path)
        first = self.made(place)
        first.acquire(print)
        place.replace("lock", first._content(), first._version)
        first.renew()
        self.now += lease.LEASE
        assert first.sure()


def test_a_driver_that_lost_its_run_writes_nothing_more(story, bucket):
    folder = address.copy_of(RUN)
    folder.mkdir(parents=True)
    mirror = remote.Mirror(bucket, folder, RUN, lambda: False, 1.0, print)
    (folder / JOURNAL).write_text("x")
    with pytest.raises(StorageError, match="another driver took this run over"):
        mirror.push([JOURNAL])
    mirror.push([JOURNAL])
    assert not bucket.path.exists()


@pytest.mark.slow
def test_a_real_bucket_refuses_a_second_driver_and_shows_a_run_that_goes_on(
    story, bucket_url, tmp_path, monkeypatch, undisturbed
):
    """moto's server instead of a folder, with a reader that never stops reading."""
    url = f"{bucket_url}/tiny"
    for module in (lease, remote):
        monkeypatch.setattr(module, "RENEW", 0.2)
    monkeypatch.setattr("sweeper.artifacts.s3.Bucket.pace", 0.2)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "here"))
    folder = address.copy_of(url)
    folder.mkdir(parents=True)
    over, problems, counts = threading.Event(), [], []

    def read():
        there = tmp_path / "seen"
        while not over.is_set():
            try:
                remote._fetch(remote.place(url), there, url)
                if (there / "trials.parquet").exists():
                    arms = set(pd.read_parquet(there / "trials.parquet")["arm"])
                    counts.append(len(arms))
                    assert arms <= set(pd.read_parquet(there / "folds.parquet")["arm"])
            except Exception as error:
                problems.append(error)

    reader = threading.Thread(target=read)
    with remote.held(url, folder, print) as mirror:
        reader.start()
        (folder / "study.yaml").write_text("name: tiny\n")
        writer = Writer(folder, story.frame, mirror=mirror.push)
        for arm in story.arms:
            story.tell(writer, arm)
            writer.flush(force=True)
        with pytest.raises(InputError, match="another process"), remote.held(url, tmp_path / "other", print):
            pass
        writer.complete()
    over.set()
    reader.join()
    assert problems == []
    assert counts == sorted(counts)
    elsewhere(monkeypatch, tmp_path)
    assert tables(remote.look(url)) == undisturbed


class TestReports:
    """A report goes beside the tables of a run in a bucket, and is no part of the run."""

    @pytest.fixture
    def page(self, tmp_path):
        folder = tmp_path / "report"
        (folder / "figures").mkdir(parents=True)
        (folder / "index.html").write_text("<p>")
        (folder / "figures" / "best.png").write_bytes(b"\x89PNG")
        return folder

    @pytest.fixture
    def shared(self, tmp_path, monkeypatch):
        """Objects that were put, by name: a folder has no names with a slash in them."""
        put = {}
        monkeypatch.setattr(remote, "_write", lambda place, name, content: put.update({name: content}))
        return put

    def test_all_of_it_is_put(self, page, bucket, shared):
        remote.share(RUN, page)
        assert shared == {"report/figures/best.png": b"\x89PNG", "report/index.html": b"<p>"}

    def test_the_copy_of_a_run_in_a_bucket_means_that_run(self, page, story, bucket, shared, monkeypatch):
        folder = drive(story, 1)
        shared.clear()
        remote.share(folder, page)
        assert set(shared) == {"report/figures/best.png", "report/index.html"}

    def test_a_run_in_a_folder_keeps_its_report(self, page, tmp_path, shared):
        remote.share(tmp_path / "runs" / "tiny", page)
        assert shared == {}

    def test_a_bucket_that_fails_now_and_then_gets_it_all_the_same(self, page, bucket, capsys, monkeypatch):
        monkeypatch.setattr(remote, "_write", self.failing(2, put := []))
        remote.share(RUN, page)
        assert put == ["report/figures/best.png", "report/index.html"]
        assert capsys.readouterr().err == f"storage: {RUN}: 503 Slow Down; trying again for 0.05 s\n"

    def test_one_that_stays_away_is_said_in_one_line(self, page, bucket, monkeypatch):
        monkeypatch.setattr(remote, "_write", self.failing(10**9, []))
        with pytest.raises(StorageError, match=rf"storage: {RUN}: 503 Slow Down, for 0.05 s; .*{page}"):
            remote.share(RUN, page)

    def failing(self, times, put):
        """A write that fails so often, and then notes what it was given."""
        left = iter(range(times))

        def write(place, name, content):
            if next(left, None) is not None:
                raise OSError("503 Slow Down")
            put.append(name)

        return write


@pytest.mark.slow
def test_a_real_bucket_shows_the_report_to_others_and_no_reader_takes_it_for_a_table(
    story, bucket_url, tmp_path, monkeypatch, undisturbed
):
    url = f"{bucket_url}/tiny"
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "here"))
    drive(story, 4, run=url)
    page = tmp_path / "page" / "index.html"
    page.parent.mkdir()
    page.write_text("<p>")
    monkeypatch.setattr("analysis.report.write", lambda runs, out: page)
    done = CliRunner().invoke(cli.app, ["report", url])
    assert done.exit_code == 0, done.stderr
    assert remote.place(url).see("report/index.html").content == b"<p>"
    elsewhere(monkeypatch, tmp_path)
    seen = remote.look(url)
    assert tables(seen) == undisturbed
    assert not (seen / "report").exists()


@pytest.fixture
def shaky(s3_server, bucket_url, tmp_path, monkeypatch):
    """A server in front of the bucket's, which every ``s3://`` of this test goes through."""
    monkeypatch.setattr("sweeper.artifacts.s3.SILENCE", 1.0)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "here"))
    with in_front_of(s3_server) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        yield server


@pytest.mark.slow
def test_a_server_that_refuses_cuts_loses_delays_and_stalls_gives_the_same_tables(
    story, bucket_url, shaky, tmp_path, monkeypatch, undisturbed
):
    """Also where a conditional put was done and its answer was lost."""
    url = f"{bucket_url}/tiny"
    shaky.every = 7
    assert tables(drive(story, 4, run=url)) == undisturbed
    assert min(shaky.seen.values()) > 0, shaky.seen
    shaky.every = 0
    elsewhere(monkeypatch, tmp_path)
    assert tables(remote.look(url)) == undisturbed
    assert remote.place(url).see("lock") is None


@pytest.mark.slow
def test_a_server_that_goes_down_in_the_middle_stops_the_run_which_then_goes_on(
    story, bucket_url, shaky, monkeypatch, undisturbed
):
    url = f"{bucket_url}/tiny"
    monkeypatch.setenv("SWEEPER_STORAGE_PATIENCE", "0.05")
    # This process goes on, so its lease has to run out: it could not be given back.
    monkeypatch.setattr(lease, "LEASE", 1.0)

    def cut(writer):
        shaky.down = True
        story.tell(writer, story.arms[2])
        writer.flush(force=True)

    with pytest.raises(StorageError, match=rf"storage: {url}: .*nothing is lost, .*`sweeper resume {url}`") as caught:
        drive(story, 2, stop=cut, run=url)
    assert "\n" not in str(caught.value)
    shaky.down = False
    assert tables(drive(story, 4, run=url)) == undisturbed


@pytest.mark.slow
def test_no_such_bucket_is_refused_in_one_line(bucket_url, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with (
        pytest.raises(InputError, match=r"storage: s3://no-such-lab/x cannot be used .* is there such a bucket"),
        remote.held("s3://no-such-lab/x", tmp_path / "run", print),
    ):
        pass
    done = CliRunner().invoke(cli.app, ["status", "s3://no-such-lab/x"])
    assert done.exit_code == 2
    assert "holds no run" in done.stderr
