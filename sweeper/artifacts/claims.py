"""Who trains a stage that several arms ask for: the one that holds its claim.

A claim is a small file beside the stage and a lease: it is renewed while its holder makes progress, and whoever
waits takes it over once the holder is gone. A holder is gone

- at once, where it ran on this host and its process is no more;
- else when its claim was not renewed for as long as it states, at least `LEASE` seconds by the clock of whoever
  waits. Clocks of two hosts are never compared. Holders with slow epochs state four times the longest they took.

Nothing depends on it but time: where two arms train one stage after all (an epoch that takes longer than the lease
before the first renewal, a place that is out of order), their numbers are equal and the later file replaces the
earlier one.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from sweeper.artifacts.place import Place, Small

CLAIM = ".claim"
#: Seconds without renewal after which a claim is free.
LEASE = 90.0
#: Seconds between renewals; calls in between cost nothing.
RENEW = 20.0
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Held:
    """A claim of ours: for whom, the version of its file, and when it was last renewed, with which lease."""

    owner: str
    version: str
    renewed: float
    lease: float = LEASE


class Claims:
    """The claims of one process in a place.

    Args:
        place: Where the stages lie.
        clock: Seconds that never go back.
    """

    def __init__(self, place: Place, clock: Callable[[], float] = time.monotonic) -> None:
        self._place, self._clock = place, clock
        self._held: dict[str, _Held] = {}
        #: Claims of others: when this version was first seen, and when it was last looked at.
        self._seen: dict[str, tuple[str, float]] = {}
        self._looked: dict[str, float] = {}

    def claim(self, key: str, owner: str) -> bool:
        """Whether ``owner`` may train a stage now: it holds the claim, or got it just now."""
        held = self._held.get(key)
        if held:
            return held.owner == owner
        now = self._clock()
        if now - self._looked.get(key, -self._place.pace) < self._place.pace:
            return False
        self._looked[key] = now
        try:
            version = self._acquire(key, owner)
        except OSError as error:
            log.warning("stage %s cannot be claimed, and is trained without: %s", key, error)
            return True
        if version is None:
            return False
        self._held[key] = _Held(owner, version, now)
        self._forget(key)
        return True

    def renew(self, key: str, owner: str) -> bool:
        """Say that the training of a stage makes progress; whether it is still claimed for ``owner``."""
        held, now = self._held.get(key), self._clock()
        if held is None or held.owner != owner:
            return False
        if now - held.renewed < RENEW:
            return True
        lease = max(held.lease, 4 * (now - held.renewed))
        try:
            version = self._place.replace(key + CLAIM, content_of(owner, lease), held.version)
        except OSError as error:
            log.warning("the claim of stage %s cannot be renewed: %s", key, error)
            version = held.version
        if version is None:
            del self._held[key]
            return False
        self._held[key] = replace(held, version=version, renewed=now, lease=lease)
        return True

    def release(self, key: str, owner: str) -> None:
        """Let go of a stage, trained or not; nothing where it is not held."""
        held = self._held.get(key)
        if held is None or held.owner != owner:
            return
        del self._held[key]
        try:
            seen = self._place.see(key + CLAIM)
            if seen is not None and seen.version == held.version:
                self._place.remove(key + CLAIM)
        except OSError as error:
            log.warning("the claim of stage %s cannot be removed, and will run out: %s", key, error)

    def _acquire(self, key: str, owner: str) -> str | None:
        name, content = key + CLAIM, content_of(owner, LEASE)
        version = self._place.create(name, content)
        if version is not None:
            return version
        seen = self._place.see(name)
        if seen is None or not self._gone(key, seen, owner):
            return None
        return self._place.replace(name, content, seen.version)

    def _gone(self, key: str, seen: Small, owner: str) -> bool:
        """Whether the holder of a claim is no more, or is ``owner`` in an earlier attempt."""
        holder = holder_of(seen)
        if holder.get("owner") == owner or ended(holder):
            return True
        version, since = self._seen.get(key, ("", 0.0))
        if version != seen.version:
            self._seen[key] = (seen.version, self._clock())
            return False
        return self._clock() - since > float(holder.get("lease", LEASE))

    def _forget(self, key: str) -> None:
        self._seen.pop(key, None)
        self._looked.pop(key, None)


def content_of(owner: str, lease: float) -> bytes:
    """A claim of this process, other bytes each time."""
    # The time is read by nobody: it makes every renewal another file, also for a place that goes by content.
    now = time.time_ns()
    return json.dumps({"owner": owner, "host": _host(), "pid": os.getpid(), "lease": lease, "at": now}).encode()


def holder_of(seen: Small) -> dict[str, Any]:
    """What a claim says of its holder; empty where it cannot be read."""
    try:
        holder = json.loads(seen.content)
    except ValueError:
        return {}  # Being written, or its writer was killed over it: known by its version alone.
    return holder if isinstance(holder, dict) else {}


def ended(holder: dict[str, Any]) -> bool:
    """Whether a holder ran on this host and is no more."""
    if holder.get("host") != _host():
        return False
    try:
        os.kill(int(holder["pid"]), 0)
    except ProcessLookupError:
        return True
    except (OSError, KeyError, TypeError, ValueError):
        return False
    return False


@cache
def _host() -> str:
    """This host, and among its containers the one whose process ids ours are."""
    namespace = Path("/proc/self/ns/pid")
    return f"{socket.gethostname()} {namespace.readlink() if namespace.exists() else ''}"
