"""One process a run folder.

A lock of the kernel holds the folder, and a killed process lets go of it by itself. Some shared file systems keep such
locks to each host, or have none: so the holder also touches the lock file every few seconds. A file that another host
left is watched before it is taken for a leftover, and clocks of two hosts are never compared.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sweeper.beat import beating
from trainables.errors import InputError

LOCK = "lock"
#: Seconds between two touches, and for how long a file of another host must stay untouched to be a leftover.
TOUCH, LEASE = 5.0, 30.0
_UNKNOWN = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}


@contextmanager
def held(folder: Path, say: Callable[[str], None] | None = None) -> Iterator[None]:
    """Hold a run folder as long as the block runs; a killed process lets go of it by itself.

    Args:
        folder: The run folder.
        say: Is told what is waited for; by default standard error is.

    Raises:
        InputError: If another process holds it; names its host and process id.
    """
    path = folder / LOCK
    descriptor = _acquire(path)
    try:
        _watch(path, descriptor, say or _say)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({"host": socket.gethostname(), "pid": os.getpid()}).encode(), 0)
    except BaseException:
        os.close(descriptor)
        raise
    try:
        with beating(lambda: os.utime(descriptor), TOUCH):
            yield
    finally:
        # Removed while still held: whoever opened it meanwhile sees that its file is gone, and tries again.
        with suppress(OSError):
            path.unlink(missing_ok=True)
        os.close(descriptor)


def _acquire(path: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _UNKNOWN:
                os.close(descriptor)
                raise _refusal(path) from None
        if _is(path, descriptor):
            return descriptor
        os.close(descriptor)


def _watch(path: Path, descriptor: int, say: Callable[[str], None]) -> None:
    """Make sure that a lock file that was left is one, where the kernel may not know."""
    holder = _read(path)
    if not holder or (holder["host"] == socket.gethostname() and _free(descriptor, holder["pid"])):
        return
    say(f"{path.parent}: watching for {LEASE:g} s whether {_words(holder)}, which began it, still runs")
    seen, until = os.fstat(descriptor).st_mtime_ns, time.monotonic() + LEASE
    while time.monotonic() < until:
        time.sleep(min(1.0, LEASE / 10))
        # Opened anew: over a network, that is when a file's times are asked for.
        if not path.exists() or path.stat().st_mtime_ns != seen:
            raise _refusal(path)


def _free(descriptor: int, pid: int) -> bool:
    """Whether a process of this host lets go: what it held is ours, or it is no more where locks are unknown."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return not Path(f"/proc/{pid}").exists()
    return True


def _refusal(path: Path) -> InputError:
    return InputError(
        f"{path.parent}: another process ({_words(_read(path))}) is running this study; wait for it, stop it, "
        "or run under another name (--set name=...)"
    )


def _is(path: Path, descriptor: int) -> bool:
    try:
        return path.stat().st_ino == os.fstat(descriptor).st_ino
    except FileNotFoundError:
        return False


def _read(path: Path) -> dict[str, Any]:
    """Who holds it; empty where that is not known."""
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        return {"host": str(holder["host"]), "pid": int(holder["pid"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _words(holder: dict[str, Any]) -> str:
    return f"process {holder['pid']} on {holder['host']}" if holder else "unknown"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
