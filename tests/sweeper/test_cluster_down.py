"""Which hosts `sweeper cluster down` goes to and what it makes of their answers; on real hosts in tests/clusters."""

import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from sweeper import cluster
from sweeper.cli import app
from trainables.errors import InputError

OWN = {
    "cluster_name": "lab",
    "provider": {"type": "local", "head_ip": "10.0.0.1", "worker_ips": ["10.0.0.2", "10.0.0.3"]},
    "auth": {"ssh_user": "me", "ssh_private_key": "~/key"},
}


@pytest.fixture
def world(tmp_path, monkeypatch):
    """Stand-ins for ssh and for Ray's command, which write down how they were called."""

    def make(ssh: str = "exit 0", ray: str = "exit 0") -> Path:
        calls = tmp_path / "calls"
        for name, body in (("ssh", ssh), ("python", ray)):
            path = tmp_path / name
            path.write_text(f'#!/bin/bash\necho "{name} $*" >> {calls}\n{body}\n')
            path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
        return calls

    return make


def write(folder: Path, content: object) -> Path:
    path = folder / "lab.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def test_every_host_is_stopped_after_ray_down(world, tmp_path):
    calls = world()
    assert cluster.down(write(tmp_path, OWN)) == {}
    down, *hosts = calls.read_text().splitlines()
    assert down == f"python -m ray.scripts.scripts down -y {tmp_path / 'lab.yaml'}"
    assert [f"me@10.0.0.{n} " in host for n, host in zip((2, 3, 1), hosts, strict=True)] == [True] * 3
    assert all(f"-i {Path.home() / 'key'} " in host and "ray stop" in host for host in hosts)


def test_a_host_that_does_not_answer_and_one_that_still_runs_are_named(world, tmp_path):
    world(
        'case "$*" in *10.0.0.2*) echo "No route to host" >&2; exit 255;; *10.0.0.3*) echo still runs: 7; exit 3;; esac'
    )
    result = CliRunner().invoke(app, ["cluster", "down", str(write(tmp_path, OWN))])
    assert result.exit_code == 1
    assert "10.0.0.2: cannot be reached (No route to host)" in result.stderr
    assert "10.0.0.3: still runs: 7" in result.stderr
    assert "10.0.0.1" not in result.stderr


def test_a_head_that_is_gone_does_not_keep_the_workers(world, tmp_path):
    calls = world(ray="exit 1")
    assert cluster.down(write(tmp_path, OWN)) == {}
    assert len(calls.read_text().splitlines()) == 4


def test_instances_of_a_cloud_are_rays_to_end(world, tmp_path):
    calls = world()
    assert cluster.down(write(tmp_path, {"provider": {"type": "aws"}})) == {}
    assert len(calls.read_text().splitlines()) == 1
    world(ray="exit 1")
    with pytest.raises(InputError, match=r"lab\.yaml: `ray down` failed \(exit code 1\)"):
        cluster.down(write(tmp_path, {"provider": {"type": "aws"}}))


@pytest.mark.parametrize("provider", [None, "local", {}, {"type": "local"}, {"type": "local", "head_ip": "10.0.0.1"}])
def test_what_is_no_cluster_file_is_refused_before_anything_is_stopped(world, tmp_path, provider):
    calls = world()
    with pytest.raises(InputError, match=r"lab\.yaml"):
        cluster.down(write(tmp_path, {"provider": provider}))
    assert not calls.exists()
