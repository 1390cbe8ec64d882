"""A server in front of another that does to requests what networks do."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle
from typing import Any

#: Refused; cut off before it arrived; done, but the answer was lost; late; never answered.
FAULTS = ("refuse", "cut", "lose", "delay", "stall")


class Shaky(ThreadingHTTPServer):
    """The server.

    Args:
        behind: Host and port of the other.

    Attributes:
        every: How many requests pass for one that does not; 0 for all.
        seen: How many requests each fault was done to.
        down: Whether every request is refused.
    """

    daemon_threads = True

    def __init__(self, behind: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind, self.every, self.down = behind, 0, False
        self.seen = dict.fromkeys(FAULTS, 0)
        self._next, self._count, self._lock = cycle(FAULTS), 0, threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def fault(self) -> str:
        """What is done to the next request; empty for nothing."""
        with self._lock:
            if self.down:
                return "refuse"
            self._count += 1
            if not self.every or self._count % self.every:
                return ""
            name = next(self._next)
            self.seen[name] += 1
            return name


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Shaky

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault = self.server.fault()
        if fault == "refuse":
            self._answer(503, {}, b"<Error><Code>SlowDown</Code></Error>")
        elif fault in ("cut", "stall"):
            time.sleep(3 if fault == "stall" else 0)
            self._hang_up()
        else:
            time.sleep(0.3 if fault == "delay" else 0)
            status, headers, content = self._forward(body)
            self._hang_up() if fault == "lose" else self._answer(status, headers, content)

    def _forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        there = http.client.HTTPConnection(self.server.behind)
        there.request(self.command, self.path, body, dict(self.headers))
        reply = there.getresponse()
        found = reply.status, dict(reply.getheaders()), reply.read()
        there.close()
        return found

    def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                self.send_header(name, value)
        self.send_header("Content-Length", headers.get("Content-Length", str(len(content))))
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else content)

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _any

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def in_front_of(url: str) -> Iterator[Shaky]:
    """Serve as long as the block runs."""
    server = Shaky(url.removeprefix("http://"))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
