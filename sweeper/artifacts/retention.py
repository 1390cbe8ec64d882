"""What of a shared folder is kept: what a run still needs, and of the rest what was used last, up to a limit.

Several runs share the folder, so each says in a small file, its mark, which stages it still needs; the driver of a
run renews it now and then. Marked stages and claimed ones are never removed, whatever the limit; the mark of a run
that was broken off counts for a day. All times are those of the place's own clock.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from sweeper.artifacts.claims import CLAIM
from sweeper.artifacts.place import TEMPORARY, Entry, Place

FINISHED, PARTIAL, MARK = ".safetensors", ".partial", ".needed"
#: Seconds that the mark of a run counts without renewal, and that a claim or a half-written file lies about.
DAY = 86_400.0
#: Least seconds between two rounds, and the share of time that may go into them.
EVERY, SHARE = 10.0, 0.05
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kept:
    """What a folder holds.

    Attributes:
        stages: Finished stages.
        size: Bytes of all files.
    """

    stages: int
    size: int


def kept(place: Place) -> Kept:
    """What a place holds now."""
    entries = place.entries()
    return Kept(sum(each.name.endswith(FINISHED) for each in entries), sum(each.size for each in entries))


class Retention:
    """A run's care for the folder it shares; for its driver alone.

    Args:
        place: The folder.
        run: Id of the run.
        limit: Bytes to stay under.
        clock: Seconds that never go back.
    """

    def __init__(self, place: Place, run: str, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._place, self._run, self._limit, self._clock = place, run, limit, clock
        self._every, self._next = max(EVERY, 30 * place.pace), clock()

    @property
    def due(self) -> bool:
        """Whether it is time for another round."""
        return self._clock() >= self._next

    def round(self, needed: Collection[str], over: Collection[str]) -> None:
        """Mark what is needed, and remove what is not where there is too much. Trouble is logged.

        Args:
            needed: Keys of stages that this run may still ask for.
            over: Keys of stages of its arms that ended before their end; parts of them are of no use to it.
        """
        begun = self._clock()
        try:
            mark = f"{self._run}{MARK}"
            with self._place.writing(mark) as path:
                path.write_text("\n".join(sorted(needed)), encoding="utf-8")
            self._tidy(over)
        except OSError as error:
            log.warning("the folder of stages cannot be tidied: %s", error)
        end = self._clock()
        self._next = end + max(self._every, (end - begun) / SHARE)

    def finish(self, over: Collection[str]) -> None:
        """Let go of everything at the end of the run: it leaves no parts of stages, and no mark."""
        self.round((), over)
        try:
            self._place.remove(f"{self._run}{MARK}")
        except OSError as error:
            log.warning("the folder of stages cannot be tidied: %s", error)

    def _tidy(self, over: Collection[str]) -> None:
        entries = self._place.entries()
        # Marked a moment ago, by the same clock.
        now = max((each.used for each in entries if each.name == f"{self._run}{MARK}"), default=0.0)
        litter = {each.name for each in entries if _litter(each, now)}
        safe = self._safe([each for each in entries if each.name not in litter])
        ended = {key + PARTIAL for key in set(over) - safe}
        litter |= {each.name for each in entries if each.name in ended}
        left = [each for each in entries if each.name not in litter]
        for name in [*litter, *(each.name for each in _excess(left, safe, self._limit))]:
            self._place.remove(name)

    def _safe(self, entries: list[Entry]) -> set[str]:
        """Keys of what a live run needs: its marks and claims."""
        safe = {_key(each) for each in entries if each.name.endswith(CLAIM)}
        for each in entries:
            seen = self._place.see(each.name) if each.name.endswith(MARK) else None
            safe |= set(seen.content.decode().split()) if seen else set()
        return safe


def _litter(entry: Entry, now: float) -> bool:
    return entry.name.endswith((TEMPORARY, MARK, CLAIM)) and now - entry.used > DAY


def _excess(entries: list[Entry], safe: set[str], limit: int) -> list[Entry]:
    """The least recently used stages, as many as are too much."""
    too_much = sum(each.size for each in entries) - limit
    found = []
    for each in sorted(entries, key=lambda each: each.used):
        if too_much <= 0:
            break
        if each.name.endswith((FINISHED, PARTIAL)) and _key(each) not in safe:
            too_much -= each.size
            found.append(each)
    return found


def _key(entry: Entry) -> str:
    return entry.name.rpartition(".")[0]
