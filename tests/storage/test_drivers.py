"""Real drivers, Ray and all, through the command line: the same study in a folder, in a bucket and on a bad disk."""

import contextlib
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest
import test_bad_disks
import tiny
from typer.testing import CliRunner

from sweeper import cli, remote
from sweeper.study import to_yaml

HERE = Path(__file__).parent
#: Seconds, on a machine that has other things to do.
PATIENCE = 900
pytestmark = [pytest.mark.slow, pytest.mark.timeout(PATIENCE)]
small_disk, full, tables = test_bad_disks.small_disk, test_bad_disks.full, test_bad_disks.tables


class Machine:
    """Commands of a machine with a home of its own; studies run on one corpus."""

    def __init__(self, home, corpus):
        self.home, self.corpus = home, corpus
        home.mkdir()

    def start(self, *arguments):
        path = os.pathsep.join([str(HERE), tiny.PYTHONPATH])
        environment = {**os.environ, "PYTHONPATH": path, "XDG_STATE_HOME": str(self.home), "COLUMNS": "200"}
        command = [sys.executable, str(HERE / "sweeper_tiny.py"), *map(str, arguments)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, env=environment, start_new_session=True, **pipes)

    def run(self, *arguments):
        """Exit code, standard output and standard error of a command."""
        process = self.start(*arguments)
        return process, *process.communicate(timeout=PATIENCE)

    def study(self, storage):
        """A study file; one arm at a time, so that the whole study is determined."""
        study = tiny.study(
            self.corpus,
            search={"trials": 3},
            ablation=None,
            sensitivity=None,
            config={"learn.pause": 0.05},
            resources={"cpus_per_trial": 0.5, "concurrent": 1},
            storage=str(storage),
            stages={"shared": True} if "://" in str(storage) else {"folder": str(self.home / "stages")},
        )
        path = self.home / "study.yaml"
        path.write_text(to_yaml(study))
        return path


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    tiny.register()
    yield folder
    tiny.unregister()


@pytest.fixture(scope="module")
def whole(corpus, tmp_path_factory):
    """The tables of a run in a folder that nothing happened to."""
    machine = Machine(tmp_path_factory.mktemp("whole") / "here", corpus)
    done, _, err = machine.run("run", machine.study(machine.home / "runs"), "--no-report")
    assert done.returncode == 0, err
    return tables(machine.home / "runs" / "tiny")


def wait(process, read):
    """Wait until an arm is in the trials table that somebody reads."""
    while not over(read):
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def over(read):
    try:
        return len(pd.read_parquet(io.BytesIO(read())))
    except (AttributeError, FileNotFoundError):
        return 0


def listening(pid):
    """Addresses on which a process or one that it began waits for others."""
    found = []
    for each in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            found += [one.laddr.ip for one in each.net_connections("tcp") if one.status == psutil.CONN_LISTEN]
    return found


def test_a_study_in_a_bucket_killed_and_gone_on_with_elsewhere_gives_the_tables_of_a_folder(
    whole, corpus, bucket_url, tmp_path, monkeypatch
):
    url = f"{bucket_url}/tiny"
    here, there = (Machine(tmp_path / name, corpus) for name in ("here", "there"))
    desk = tmp_path / "desk"
    desk.mkdir()
    first = here.start("run", here.study(bucket_url), "--no-report")
    wait(first, lambda: remote.place(url).see("trials.parquet").content)
    doors = listening(first.pid)
    assert len(doors) >= 5, "Ray's control store, its raylet, agents and workers, and the driver"
    assert {each.removeprefix("::ffff:") for each in doors} == {"127.0.0.1"}
    os.kill(first.pid, signal.SIGKILL)
    first.communicate(timeout=PATIENCE)
    done, _, err = there.run("resume", url, "--no-report")
    assert done.returncode == 0, err
    assert f"run: {url}" in err
    assert tables(there.home / "sweeper" / "runs" / url.removeprefix("s3://")) == whole
    # Readers need no process of their own: a machine is where its copies are.
    monkeypatch.setenv("XDG_STATE_HOME", str(desk))
    assert f"{url}: finished" in read("status", url)
    assert tables(desk / "sweeper" / "seen" / url.removeprefix("s3://")) == whole
    read("export", url, "-o", str(desk / "best.yaml"))
    assert f"run: {url}" in (desk / "best.yaml").read_text()


def read(*arguments):
    """What a command that only reads a run says."""
    done = CliRunner(env={"COLUMNS": "200"}).invoke(cli.app, arguments)
    assert done.exit_code == 0, done.stderr
    return done.stdout


def test_a_disk_that_is_full_in_the_middle_is_said_in_one_line_and_the_run_goes_on(whole, corpus, small_disk, tmp_path):
    here = Machine(tmp_path / "here", corpus)
    folder = small_disk / "tiny"
    process = here.start("run", here.study(small_disk), "--no-report")
    wait(process, (folder / "trials.parquet").read_bytes)
    with full(small_disk):
        _, err = process.communicate(timeout=PATIENCE)
        assert over((folder / "trials.parquet").read_bytes)
    assert process.returncode == 3, err
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith(f"error: storage: {folder}")
    assert f"No space left on device; once that is mended, `sweeper resume {folder}` goes on" in err
    done, _, err = here.run("resume", folder, "--no-report")
    assert done.returncode == 0, err
    assert tables(folder) == whole
