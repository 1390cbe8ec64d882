"""A study on somebody else's cluster: closed to whoever has no token, and no secret left anywhere."""

import os
import shutil
import stat
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import cluster_here
import pandas as pd
import pytest
import yaml

ASKED = "SWEEPER_CLUSTER_TESTS"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not os.environ.get(ASKED), reason=f"takes minutes; set {ASKED}=1 to run it"),
]

SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "planted-aws-3f9c1e77",
    "HF_TOKEN": "hf_planted5b21d8",
    "SOME_URL": "https://somebody:planted-password-88@example.org/",
}
STUDY = {
    "corpus": "builtin",
    "method": "concat_mlp",
    "protocol": "leave-one-session-out",
    "seeds": [0],
    "config": {"classify": {"epochs": 2}},
    "sensitivity": {"parameters": {"classify.learning_rate": [1e30]}, "around": "paper"},
    "scheduler": {"kind": "none"},
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[cluster_here.Cluster]:
    folder = Path(tempfile.mkdtemp(prefix="sw-"))
    made = cluster_here.Cluster(folder, SECRETS)
    yield made
    made.close()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("studies")


def study(folder: Path, name: str) -> str:
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({"name": name, "storage": str(folder / "runs"), **STUDY}), encoding="utf-8")
    return str(path)


def check_run(folder: Path, name: str) -> None:
    """One arm as it should be, and one that diverges."""
    trials = pd.read_parquet(folder / "runs" / name / "trials.parquet")
    assert sorted(trials["status"]) == ["done", "failed"]


def test_a_study_runs_at_an_address(cluster, folder):
    result = cluster.run("sweeper", "run", study(folder, "direct"), "--address", cluster.address)
    assert result.returncode == 1, result.stderr
    check_run(folder, "direct")
    (folder / "said").write_text(result.stdout + result.stderr)
    assert (folder / "runs" / "direct" / "report" / "index.html").exists()


def test_a_study_runs_as_a_job(cluster, folder):
    """The job's environment says where the cluster is; its exit code is the command's."""
    command = ["sweeper", "run", study(folder, "job"), "--no-report"]
    result = cluster.run("ray", "job", "submit", "--address", cluster.dashboard, "--", *command)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "exit code 1" in result.stdout + result.stderr
    check_run(folder, "job")
    (folder / "job said").write_text(result.stdout + result.stderr)


@pytest.mark.parametrize("token", ["0" * 32, None], ids=["wrong", "none"])
def test_who_has_no_token_is_refused(cluster, folder, tmp_path, token):
    mode = {"RAY_AUTH_TOKEN": token} if token else {"RAY_AUTH_MODE": "disabled"}
    command = ["sweeper", "run", study(folder, "stranger"), "--address", cluster.address]
    result = cluster.run(*command, HOME=str(tmp_path), **mode)
    assert result.returncode == 2
    assert "no Ray cluster lets us in" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (folder / "runs" / "stranger").exists()


def answer(url: str, token: str | None) -> int:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.status
    except urllib.error.HTTPError as error:
        return error.code


def test_the_dashboard_answers_nobody_else(cluster):
    jobs = f"{cluster.dashboard}/api/jobs/"
    assert [answer(jobs, token) for token in (None, cluster.token)] == [401, 200]


def test_the_token_is_readable_to_its_owner_alone(cluster):
    assert stat.S_IMODE((cluster.home / ".ray" / "auth_token").stat().st_mode) == 0o600


def test_no_secret_was_written_anywhere(cluster, folder):
    """Of the environment or of the cluster, in run folders, stages, reports, or on the screen.

    Logs in Ray's temporary folder are Ray's own: its agent for runtime environments writes down variables of a job.
    """
    planted = [each.encode() for each in (*SECRETS.values(), "planted-password-88", cluster.token)]
    written = [path for path in folder.rglob("*") if path.is_file()]
    assert len(written) > 30
    found = [(path.name, each) for path in written for each in planted if each in path.read_bytes()]
    assert found == []


@pytest.mark.parametrize("key", ["storage", "stages.folder"])
def test_a_password_in_a_bucket_is_refused_unseen(cluster, folder, key):
    asked = ["sweeper", "run", study(folder, "bucket"), "--set", f"{key}=s3://me:planted-password-88@bucket/runs"]
    result = cluster.run(*asked)
    assert result.returncode == 2
    assert "planted-password-88" not in result.stdout + result.stderr
    assert not (folder / "runs" / "bucket").exists()


def test_a_password_in_an_address_is_refused_unseen(cluster, folder):
    asked = ["sweeper", "run", study(folder, "address"), "--address", "ray://me:planted-password-88@127.0.0.1:1"]
    result = cluster.run(*asked)
    assert result.returncode == 2
    assert "--address" in result.stderr
    assert "planted-password-88" not in result.stdout + result.stderr
    assert not (folder / "runs" / "address").exists()
