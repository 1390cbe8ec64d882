"""One driver a run in a bucket, on whichever machine: an object that only one can create, and that is kept fresh.

Its holder replaces it every `RENEW` seconds, on the condition that it is still what it wrote. Who finds it takes it
over at once where the holder ran on this host and is no more, and else when it was not renewed for `LEASE` seconds by
its own clock; who sees it renewed is refused.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

from sweeper.artifacts.claims import content_of, ended, holder_of
from sweeper.artifacts.place import Place, Small
from trainables.errors import InputError

LOCK = "lock"
#: Seconds without renewal after which the run is free, and between renewals.
LEASE, RENEW = 90.0, 20.0


def _clock() -> float:
    """Seconds that never go back, and that pass while this process or its machine is stopped."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Lease:
    """The right to drive a run.

    Args:
        place: The run's part of the bucket.
        address: The run, for messages.
        clock: Seconds that never go back.
        sleep: Waits so many seconds.
    """

    def __init__(
        self,
        place: Place,
        address: str,
        clock: Callable[[], float] = _clock,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._place, self._address, self._clock, self._sleep = place, address, clock, sleep
        self._owner = uuid.uuid4().hex
        self._version = ""
        self._renewed = 0.0
        self._lost = False

    def acquire(self, say: Callable[[str], object]) -> None:
        """Take it, or wait until it is known whether its holder still runs.

        Args:
            say: Is told what is waited for.

        Raises:
            InputError: If another driver runs.
            OSError: If the bucket does not answer.
        """
        while (version := self._try(say)) is None:
            pass
        self._version, self._renewed = version, self._clock()

    def renew(self) -> None:
        """Keep it; does nothing once it is lost.

        Raises:
            OSError: If the bucket does not answer; it is still held until another takes it.
        """
        if self._lost:
            return
        version = self._place.replace(LOCK, self._content(), self._version)
        if version is None:
            # The answer to an earlier renewal may have been lost on its way.
            seen = self._place.see(LOCK)
            version = seen.version if seen is not None and self._ours(seen) else None
        if version is None:
            self._lost = True
        else:
            self._version, self._renewed = version, self._clock()

    def sure(self) -> bool:
        """Whether it is held: asks where it was not renewed for long (a stopped process, a bucket that was away).

        Raises:
            OSError: If it cannot be asked.
        """
        if self._clock() - self._renewed > LEASE / 2:
            self.renew()
        return not self._lost

    def release(self) -> None:
        """Let go of it; nothing where another holds it.

        Raises:
            OSError: If the bucket does not answer; it then runs out.
        """
        seen = self._place.see(LOCK)
        if seen is not None and self._ours(seen):
            self._place.remove(LOCK)

    def _try(self, say: Callable[[str], object]) -> str | None:
        version = self._place.create(LOCK, self._content())
        if version is not None:
            return version
        seen = self._place.see(LOCK)
        if seen is None:
            return None
        if self._ours(seen):
            return seen.version
        if not ended(holder_of(seen)):
            self._watch(seen, say)
        return self._place.replace(LOCK, self._content(), seen.version)

    def _watch(self, seen: Small, say: Callable[[str], object]) -> None:
        """Return once the holder was silent for long enough.

        Raises:
            InputError: If it is not.
        """
        holder = holder_of(seen)
        who = f"process {holder.get('pid', '?')} on {str(holder.get('host', '?')).partition(' ')[0]}"
        say(f"{self._address}: watching for {LEASE:g} s whether {who}, which began it, still runs")
        until = self._clock() + LEASE
        while self._clock() < until:
            self._sleep(min(self._place.pace or LEASE / 50, LEASE / 10))
            now = self._place.see(LOCK)
            if now is None:
                return
            if now.version != seen.version:
                raise InputError(
                    f"{self._address}: another process ({who}) is running this study; wait for it, stop it, or run "
                    "under another name (--set name=...)"
                )

    def _content(self) -> bytes:
        return content_of(self._owner, LEASE)

    def _ours(self, seen: Small) -> bool:
        return holder_of(seen).get("owner") == self._owner
