"""A cluster of one node on free ports, with a home of its own: started by ``ray start``, ended by its process id."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.prefix) / "bin"


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


class Cluster:
    """The head, running.

    Args:
        folder: Home, and temporary folder; short, since Ray puts sockets into it.
        secrets: Variables that are in everybody's environment.

    Attributes:
        address: Of the head.
        dashboard: Its address in the browser.
        token: What lets clients in.
        home: Where the token file is.
    """

    def __init__(self, folder: Path, secrets: dict[str, str]) -> None:
        self.home, self.temporary, self._secrets = folder / "home", folder / "ray", secrets
        (self.home / ".ray").mkdir(parents=True)
        port, page, client, agent = free_ports(4)
        self.address, self.dashboard = f"127.0.0.1:{port}", f"http://127.0.0.1:{page}"
        make = [BIN / "ray", "get-auth-token", "--generate"]
        subprocess.run(make, env=self.environment(), capture_output=True, check=True)
        path = self.home / ".ray" / "auth_token"
        path.chmod(0o600)
        self.token = path.read_text()
        self._log = (folder / "start.log").open("w")
        command = [BIN / "ray", "start", "--head", "--block", "--num-cpus=2", "--num-gpus=0", "--disable-usage-stats"]
        command += ["--node-ip-address=127.0.0.1", f"--port={port}", f"--dashboard-port={page}"]
        command += [f"--ray-client-server-port={client}", f"--dashboard-agent-listen-port={agent}"]
        self._head = subprocess.Popen(
            [*command, f"--temp-dir={self.temporary}"],
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._wait(page, folder)

    def _wait(self, port: int, folder: Path) -> None:
        for _ in range(600):
            assert self._head.poll() is None, (folder / "start.log").read_text()
            with socket.socket() as knock:
                if knock.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.2)
        raise AssertionError((folder / "start.log").read_text())

    def environment(self, **changes: str) -> dict[str, str]:
        """Variables of a client; keywords replace some."""
        fixed = {"PATH": f"{BIN}:/usr/local/bin:/usr/bin:/bin", "HOME": str(self.home), "PYTHONPATH": str(ROOT)}
        mode = {"RAY_AUTH_MODE": "token", "OMP_NUM_THREADS": "1"}
        return {**fixed, **mode, **self._secrets, **changes}

    def run(self, *words: str, **changes: str) -> subprocess.CompletedProcess[str]:
        """A command of a client."""
        env = self.environment(**changes)
        return subprocess.run(words, env=env, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)

    def close(self) -> None:
        """End the head, which ends its own; what is left of its session is killed."""
        self._head.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._head.wait(timeout=30)
        with suppress(ProcessLookupError):
            os.killpg(self._head.pid, signal.SIGKILL)
        self._log.close()
