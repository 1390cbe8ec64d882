"""Places to keep stages in: a folder, and a bucket of a server that speaks S3."""

import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from importlib.util import find_spec

import pytest

from sweeper.artifacts.place import Folder, Place


@pytest.fixture(scope="session")
def s3_server():
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


def _wait(url: str, server: subprocess.Popen) -> None:
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
def bucket_url(s3_server, monkeypatch) -> str:
    """``s3://...`` of a bucket of its own, with what is needed to use it in the environment."""
    import boto3

    environment = {"ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret", "REGION": "us-east-1"}
    for name, value in environment.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    name = f"lab-{uuid.uuid4().hex}"
    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket=name)
    return f"s3://{name}/some/prefix"


@pytest.fixture(params=["folder", pytest.param("bucket", marks=pytest.mark.slow)])
def place(request, tmp_path) -> Place:
    """An empty place of each kind."""
    if request.param == "folder":
        return Folder(tmp_path / "stages")
    from sweeper.artifacts.s3 import Bucket

    return Bucket(request.getfixturevalue("bucket_url"))
