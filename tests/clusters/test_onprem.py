"""clusters/onprem.yaml, for real: three hosts, ``ray up``, a study, a host that goes away, and nothing left behind."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import lab as labs
import pandas as pd
import pytest
import yaml

from sweeper import results

ASKED = "SWEEPER_CLUSTER_TESTS"
ONPREM = labs.ROOT / "clusters" / "onprem.yaml"
PORT = 6379
#: Eight arms of about a quarter of a minute each, with nothing taken from another run.
STUDY = {
    "corpus": "builtin",
    "method": "concat_mlp",
    "protocol": "leave-one-session-out",
    "seeds": [0, 1],
    "config": {"classify": {"epochs": 120}},
    "sensitivity": {
        "parameters": {"classify.learning_rate": [1e-4, 2e-4, 5e-4, 2e-3, 5e-3, 1e-2, 2e-2]},
        "around": "paper",
    },
    "scheduler": {"kind": "none"},
    "stages": False,
    "resources": {"concurrent": 4},
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not os.environ.get(ASKED), reason=f"takes minutes; set {ASKED}=1 to run it"),
    pytest.mark.skipif(bool(labs.missing()), reason=labs.missing()),
]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[labs.Lab]:
    made = labs.Lab(tmp_path, 3)
    for host in made.hosts:
        # What `python3.11 -m venv` and `pip install` would make.
        (host.home / "venv").symlink_to(sys.prefix)
    yield made
    made.close()


def cluster_file(lab: labs.Lab) -> Path:
    """The file as it stands, with this lab's hosts and key."""
    config = yaml.safe_load(ONPREM.read_text(encoding="utf-8"))
    config["provider"] |= {"head_ip": lab.addresses[0], "worker_ips": lab.addresses[1:]}
    config["auth"] = {"ssh_user": "root", "ssh_private_key": str(lab.key)}
    path = lab.shared / "cluster.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return path


def study(lab: labs.Lab, name: str) -> Path:
    path = lab.shared / f"{name}.yaml"
    path.write_text(yaml.safe_dump({"name": name, "storage": str(lab.shared / "runs"), **STUDY}), encoding="utf-8")
    return path


class Client:
    """Runs commands on the client, and writes down what they say."""

    def __init__(self, lab: labs.Lab, transcript: Path) -> None:
        self._host, self._transcript = lab.client, transcript

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        self._note("$ " + " ".join(words))
        with self._transcript.open("ab") as out:
            return subprocess.Popen(self._host.command(*words), stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    def __call__(self, *words: str, code: int | None = 0) -> str:
        """What a command said; it must end with the given exit code, if one is."""
        begun = self._transcript.stat().st_size if self._transcript.exists() else 0
        ended = self.start(*words).wait(timeout=900)
        said = self._transcript.read_bytes()[begun:].decode(errors="replace")
        assert code in (ended, None), said
        return said

    def _note(self, text: str) -> None:
        with self._transcript.open("a", encoding="utf-8") as out:
            out.write(f"[{time.strftime('%H:%M:%S')}] {text}\n")


def until(true: Callable[[], bool], seconds: float = 600) -> None:
    """Wait for something that must come."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come"
        time.sleep(1)


def of_ray(host: labs.Host) -> list[str]:
    return [line for line in host.processes() if not line.startswith("sshd")]


def all_there(status: str) -> bool:
    """Whether both workers are up; for a while Ray counts one that has gone."""
    return "/4.0 CPU" in status and "(no pending nodes)" in status


def over(lab: labs.Lab, name: str) -> int:
    """How many arms of a run are over."""
    path = lab.shared / "runs" / name / "trials.parquet"
    return len(pd.read_parquet(path)) if path.exists() else 0


def scores(folder: Path) -> pd.DataFrame:
    """All that was measured, whoever measured it."""
    keys = ["name", "stage", "fold", "seed", "split", "condition"]
    return pd.read_parquet(folder / "folds.parquet").sort_values(keys).set_index(keys)


def test_a_study_survives_its_host_and_nothing_stays_behind(lab, tmp_path):
    file, client = str(cluster_file(lab)), Client(lab, tmp_path / "transcript.txt")
    head, worker, doomed = lab.hosts
    client("ray", "get-auth-token", "--generate")
    (lab.client.home / ".ray" / "auth_token").chmod(0o600)
    # Again where the machine is too busy for the 30 seconds that Ray gives a head to come up.
    until(lambda: client.start("ray", "up", "-y", file).wait() == 0)
    until(lambda: all_there(client("ray", "exec", file, "ray status", code=None)))
    check_closed(lab, client)

    running = client.start("ray", "exec", file, f"sweeper run {study(lab, 'cut')} --address auto --no-report")
    until(lambda: over(lab, "cut") >= 1)
    assert results.read_status(lab.shared / "runs" / "cut")["state"] == "running"
    assert of_ray(doomed)
    doomed.kill()
    assert running.wait(timeout=900) == 0
    # Back from a reboot: the head starts Ray on it again.
    back = lab.reboot(lab.hosts.index(doomed))
    until(lambda: any("raylet/raylet" in line for line in of_ray(back)))
    until(lambda: all_there(client("ray", "exec", file, "ray status", code=None)))
    # Ray's other door: a job, which outlives the shell that asked for it.
    command = f"ray job submit --address http://127.0.0.1:8265 -- sweeper run {study(lab, 'job')} --no-report"
    assert "succeeded" in client("ray", "exec", file, command)
    client("ray", "rsync-down", file, f"{lab.shared}/runs/", f"{lab.client.home}/fetched/")

    assert "all nodes have stopped" in client("python", "-m", "sweeper", "cluster", "down", file)
    until(lambda: not of_ray(head) + of_ray(worker) + of_ray(back), 30)
    check_results(lab.client.home / "fetched")


def check_closed(lab: labs.Lab, client: Client) -> None:
    """Who has no token gets nothing; the dashboard is not on the network at all."""
    for host in lab.hosts:
        assert (host.home / ".ray" / "auth_token").stat().st_mode & 0o777 == 0o600
    knock = "import socket, sys; sys.exit(socket.socket().connect_ex((sys.argv[1], int(sys.argv[2]))) != 0)"
    client("python", "-c", knock, lab.addresses[0], str(PORT))
    client("python", "-c", knock, lab.addresses[0], "8265", code=1)


def check_results(fetched: Path) -> None:
    """Every arm is there, those of the lost host were trained again, and no number shows it."""
    cut, job = (pd.read_parquet(fetched / name / "trials.parquet") for name in ("cut", "job"))
    assert list(cut["status"]) == list(job["status"]) == ["done"] * 8
    assert set(cut["host"]) <= {"host2", "host3"}
    assert cut["attempts"].max() > 1, "the host had arms when it went"
    assert set(job["host"]) == {"host2", "host3"}, "the host that came back had arms again"
    pd.testing.assert_frame_equal(scores(fetched / "cut"), scores(fetched / "job"))
