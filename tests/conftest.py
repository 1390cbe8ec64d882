"""What tests of several packages share."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is no failure: nothing here is timed.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

_ROOT = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what takes minutes, unless it is asked for."""
    if "SWEEPER_LONG" in os.environ:
        return
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker(pytest.mark.skip(reason="takes long; SWEEPER_LONG=1 runs it"))


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """Folder of a real corpus by name; skips where it is not there (set SWEEPER_DATA to say where)."""

    def find(name: str) -> Path:
        base = Path(os.environ.get("SWEEPER_DATA", _ROOT.parent / "shared" / "data"))
        if not (base / name).is_dir():
            pytest.skip(f"real corpus {name} is not in {base}; set SWEEPER_DATA to the folder that holds it")
        return base / name

    return find


@pytest.fixture(scope="session")
def sweeper() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command line in a process of its own: ``sweeper(folder, "run", "study.yaml")``."""

    def call(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
        command = [sys.executable, "-m", "sweeper", *arguments]
        return subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=900, check=False
        )

    return call


@pytest.fixture(scope="session")
def quickstart(
    sweeper: Callable[..., subprocess.CompletedProcess[str]], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A folder with the studies in it, as a fresh clone has them, where the README's first command was run.

    It is run once, however many processes the tests have; each of them has a copy.
    """
    base = tmp_path_factory.getbasetemp()
    made = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "quickstart"
    with made.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (made / "runs/quickstart/report/index.html").exists():
            shutil.copytree(_ROOT / "studies", made / "studies", dirs_exist_ok=True)
            result = sweeper(made, "run", "studies/quickstart.yaml")
            assert result.returncode == 0, result.stderr
    return shutil.copytree(made, tmp_path_factory.mktemp("clone") / "quickstart")


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """Address of an S3 server on this machine; skips where it is not installed."""
    missing = [name for name in ("obstore", "moto", "flask", "flask_cors", "boto3") if find_spec(name) is None]
    if missing:
        pytest.skip(f"s3 is not tested without {', '.join(missing)} (pip install -e '.[dev]')")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait(f"http://127.0.0.1:{port}", server)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def _wait(url: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        try:
            urllib.request.urlopen(f"{url}/moto-api/")
        except OSError:
            assert server.poll() is None, "the S3 server ended"
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the S3 server does not answer")


@pytest.fixture
def bucket_url(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """``s3://...`` of a bucket of its own, with what is needed to use it in the environment."""
    import boto3

    environment = {"ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret", "REGION": "us-east-1"}
    for name, value in environment.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    name = f"lab-{uuid.uuid4().hex}"
    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket=name)
    return f"s3://{name}/some/prefix"
