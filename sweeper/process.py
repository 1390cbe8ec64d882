"""What a run changes in its process, and gives back: signals, loggers, environment variables; and Ray's doors."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import FrameType

from trainables.errors import InputError

#: A log is turned over at this size.
LOG_BYTES = 20_000_000


@contextmanager
def signals(stop: Callable[[], bool]) -> Iterator[None]:
    """Ends the block in good order on the first Ctrl-C or SIGTERM, at once on the second.

    Args:
        stop: Asks for the end; says whether this was the first time.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if not stop():
            raise KeyboardInterrupt

    caught = (signal.SIGINT, signal.SIGTERM)
    # Tune sets one for SIGUSR1 and leaves it.
    before = {each: signal.getsignal(each) for each in (*caught, signal.SIGUSR1)}
    for each in caught:
        signal.signal(each, handle)
    try:
        yield
    finally:
        for each, old in before.items():
            signal.signal(each, old)


@contextmanager
def quiet(folder: Path) -> Iterator[None]:
    """Send what Ray, Optuna and we log to the run's ``sweeper.log``; the older half of a long one is ``.1``."""
    handler = RotatingFileHandler(folder / "sweeper.log", maxBytes=LOG_BYTES, backupCount=1, encoding="utf-8")
    # On a full disk the log ends, and nothing else: what cannot be written of a run is said once.
    handler.handleError = lambda record: None  # type: ignore[method-assign]
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    loggers = [logging.getLogger(name) for name in ("ray", "optuna", "sweeper")]
    before = [(each, each.handlers, each.propagate, each.level) for each in loggers]
    for each in loggers:
        each.handlers, each.propagate = [handler], False
    logging.getLogger("sweeper").setLevel(logging.INFO)
    try:
        yield
    finally:
        for each, handlers, propagate, level in before:
            each.handlers, each.propagate = handlers, propagate
            each.setLevel(level)
        handler.close()


def turn_over(path: Path) -> None:
    """Put a log aside that has grown long, in place of the older one: the next line begins it anew."""
    if path.exists() and path.stat().st_size > LOG_BYTES:
        path.replace(path.with_name(f"{path.name}.1"))


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables for the time of the block; those a user has set stay as they are."""
    added = [name for name in values if name not in os.environ]
    os.environ.update({name: values[name] for name in added})
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def private_token() -> None:
    """See to it that only its owner can read the token that lets others into the cluster; Ray writes it 0644."""
    if os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH"):
        return
    path = Path.home() / ".ray" / "auth_token"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(os.urandom(16).hex())
    elif path.stat().st_mode & 0o077 and path.stat().st_uid == os.getuid():
        path.chmod(0o600)


def knock(address: str) -> None:
    """Refuse an address where nobody listens: Ray itself would try for minutes."""
    if "@" in address:
        # Not shown: it may be a password.
        raise InputError(
            "--address: holds a user name or password, which Ray does not take; give host:port, and the token in "
            "~/.ray/auth_token"
        )
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except OSError as error:
        raise InputError(f"--address {address}: nobody answers there ({error}); is the cluster up?") from None
