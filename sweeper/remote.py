"""Runs in a bucket: worked on in a folder of this machine, and copied to the bucket step by step.

The bucket goes through the same states as the folder, in the same order: before tables are replaced there, it gets
the journal that tells what they do not hold yet, and only after them the journal that was cut down. Each object is
put whole. So wherever a driver or its machine ends, the bucket holds a run folder as a killed driver leaves one:
tables that can be read, and all that `sweeper resume` needs on any machine.

Which of the two is newer is never a question of clocks. Every driver writes an id of its own to the bucket before
anything else, and notes it in its folder. A folder that knows the bucket's id was driven last and holds at least what
the bucket does; any other is older, and is replaced, or set aside if it holds something that never reached the bucket.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from sweeper import address as addresses
from sweeper.address import NOTE
from sweeper.artifacts.place import Place, place_of
from sweeper.beat import beating
from sweeper.files import StorageError, beside
from sweeper.lease import LOCK, RENEW, Lease
from trainables.errors import InputError

T = TypeVar("T")
log = logging.getLogger(__name__)

#: Object that names the last driver.
DRIVER = "driver"
#: Written at a run's beginning; read first, since what is finished says so there.
_ABOUT = ("study.yaml", "provenance.json")
#: Read in this order: a trial that is read has its rows in what is read after it.
_READ = ("provenance.json", "journal.jsonl", "trials.parquet")
#: Seconds for which a bucket that fails is asked again, unless `SWEEPER_STORAGE_PATIENCE` says otherwise.
PATIENCE = 300.0
_PAUSE, _LONGEST = 0.5, 15.0


def place(address: str) -> Place:
    """The part of a bucket that belongs to a run."""
    return place_of(address)


def patience() -> float:
    """Seconds for which a bucket that fails is asked again.

    Raises:
        InputError: If the environment states none.
    """
    stated = os.environ.get("SWEEPER_STORAGE_PATIENCE") or str(PATIENCE)
    try:
        return float(stated)
    except ValueError:
        raise InputError(f"SWEEPER_STORAGE_PATIENCE: must be seconds, such as 300; found {stated!r}") from None


class Mirror:
    """Copies a run folder to a bucket.

    After the first failure that outlasts the patience it does nothing more, so that the folder can still be left in
    good order.

    Args:
        place: The run's part of the bucket.
        folder: The run folder.
        address: The run.
        sure: Whether this driver still holds the run.
        limit: Seconds for which a bucket that fails is asked again.
        say: Is told of trouble.
    """

    def __init__(
        self,
        place: Place,
        folder: Path,
        address: str,
        sure: Callable[[], bool],
        limit: float,
        say: Callable[[str], object],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._place, self._folder, self._address, self._sure = place, folder, address, sure
        self._limit, self._say, self._clock, self._sleep = limit, say, clock, sleep
        self._put: dict[str, str] = {}
        self._begun = False
        self.broken = False

    def push(self, names: Sequence[str]) -> None:
        """Put files that changed, in this order; one that is not in the folder is removed from the bucket.

        Raises:
            StorageError: If the bucket failed for too long, or another driver took the run over.
        """
        if self.broken:
            return
        if not self.patiently(self._sure):
            self.broken = True
            raise StorageError(
                f"storage: {self._address}: another driver took this run over, and this one stops; what it did "
                f"since is in {self._folder}"
            )
        first, self._begun = () if self._begun else _ABOUT, True
        for name in (*first, *names):
            self._push(name)

    def settle(self) -> None:
        """Put everything, whether it changed or not: tables before what says that the run is finished."""
        self._put, self._begun = {}, True
        there = {path.name for path in self._folder.glob("*") if path.is_file()} - {LOCK, NOTE, *_ABOUT, *_READ}
        whole = {name for name in there if not name.endswith(".tmp")}
        self.push((*sorted(whole), "trials.parquet", "journal.jsonl", *_ABOUT))

    def patiently(self, action: Callable[[], T]) -> T:
        """Do something with the bucket, again and again where it fails.

        Raises:
            StorageError: If it failed for too long.
        """
        begun, pause = self._clock(), _PAUSE
        while True:
            try:
                return action()
            except OSError as error:
                why = error.strerror or str(error)
                if self._clock() - begun + pause > self._limit:
                    self.broken = True
                    raise self._error(why) from error
                if pause == _PAUSE:
                    self._say(f"storage: {self._address}: {why}; trying again for {self._limit:g} s")
                log.warning("%s: %s; trying again in %g s", self._address, why, pause)
            self._sleep(pause)
            pause = min(2 * pause, _LONGEST)

    def _push(self, name: str) -> None:
        path = self._folder / name
        if not path.exists():
            self.patiently(lambda: self._place.remove(name))
            self._put.pop(name, None)
            return
        content = path.read_bytes()
        known = hashlib.sha256(content).hexdigest()
        if self._put.get(name) != known:
            self.patiently(lambda: _write(self._place, name, content))
            self._put[name] = known

    def _error(self, why: str) -> StorageError:
        return StorageError(
            f"storage: {self._address}: {why}, for {self._limit:g} s; nothing is lost, {self._folder} holds all of it: "
            f"`sweeper resume {self._address}` on this machine goes on once the bucket answers"
        )


@contextmanager
def held(address: str, folder: Path, say: Callable[[str], object]) -> Iterator[Mirror | None]:
    """Drive a run: the newest state of it is in the folder, and reaches the bucket.

    Args:
        address: The run.
        folder: Its run folder, held by this process.
        say: Is told what is waited for.

    Yields:
        What copies to the bucket; None for a run that is in no bucket.

    Raises:
        InputError: If another driver runs, or the bucket cannot be used.
        StorageError: If the bucket failed for too long.
    """
    if not addresses.is_remote(address):
        yield None
        return
    there = place(address)
    lease = Lease(there, address)
    try:
        lease.acquire(say)
    except OSError as error:
        why = error.strerror or error
        raise InputError(f"storage: {address} cannot be used ({why}); {there.remedy}") from None
    try:
        with beating(lease.renew, RENEW):
            mirror = Mirror(there, folder, address, lease.sure, patience(), say)
            _catch_up(mirror, there, folder, address, say)
            try:
                yield mirror
            except Exception:
                _leave(mirror, there, folder)
                raise
            _leave(mirror, there, folder)
    finally:
        with suppress(OSError):
            lease.release()


def look(run: str | Path) -> Path:
    """A folder in which a run can be read: the run folder itself, or for one in a bucket a copy of it.

    The copy is the folder it is driven in where that was on this machine, and else made anew.

    Raises:
        InputError: If the bucket holds no such run.
        StorageError: If it cannot be read.
    """
    address = addresses.of(run)
    if not addresses.is_remote(address):
        return Path(run)
    _check(address)
    there, driven = place(address), addresses.copy_of(address)
    try:
        driver = there.see(DRIVER)
        if driver is None and not driven.exists():
            raise InputError(f"{address}: holds no run; give the address `sweeper run` named")
        if driver is None or driver.content.decode() in _known(driven):
            return driven
        seen = addresses.copy_of(address, "seen")
        _fetch(there, seen, address)
    except OSError as error:
        why = error.strerror or error
        if not driven.exists():
            raise StorageError(f"storage: {address}: {why}; {there.remedy}") from None
        _tell(f"note: {address}: {why}; this is what {driven} holds")
        return driven
    return seen


def share(run: str | Path, folder: Path) -> None:
    """Copy a report to the bucket its run is in; nothing for a run in no bucket.

    Args:
        run: The run.
        folder: The report; goes beside the run's tables, as ``report/...``.

    Raises:
        StorageError: If the bucket failed for too long.
    """
    address = addresses.of(run)
    if not addresses.is_remote(address):
        return
    mirror = Mirror(place(address), folder, address, lambda: True, patience(), _tell)
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        name, content = f"report/{path.relative_to(folder).as_posix()}", path.read_bytes()
        mirror.patiently(lambda name=name, content=content: _write(mirror._place, name, content))  # type: ignore[misc]


def _catch_up(mirror: Mirror, there: Place, folder: Path, address: str, say: Callable[[str], object]) -> None:
    """Bring the folder to where the run is, and note in both that this driver is the last."""
    session = uuid.uuid4().hex
    driver = mirror.patiently(lambda: there.see(DRIVER))
    known = _known(folder)
    if driver is None and known and not _notes(folder).get("first"):
        # It was there and is no more: somebody removed it from the bucket, and begins anew.
        _set_aside(folder, say)
    elif driver is not None and driver.content.decode() not in known:
        if not _notes(folder).get("clean", True):
            _set_aside(folder, say)
        _note(folder, address=address, known=[], clean=True)
        mirror.patiently(lambda: _fetch(there, folder, address))
    # Known before it is written: whatever happens in between, this folder is not taken for an older one.
    last = [] if driver is None else [driver.content.decode()]
    _note(folder, address=address, known=[*last, session], clean=False, first=driver is None)
    mirror.patiently(lambda: _write(there, DRIVER, session.encode()))
    _note(folder, known=[session], first=False)


def _leave(mirror: Mirror, there: Place, folder: Path) -> None:
    """Bring all of a run to the bucket, or take back the note of a run that was refused."""
    if (folder / _ABOUT[0]).exists():
        mirror.settle()
        if not mirror.broken:
            _note(folder, clean=True)
        return
    with suppress(OSError):
        if {entry.name for entry in there.entries()} <= {LOCK, DRIVER}:
            there.remove(DRIVER)


def _fetch(there: Place, folder: Path, address: str) -> None:
    """Copy what a bucket holds of a run to a folder, each file at once, in an order that suits a run going on."""
    names = {entry.name for entry in there.entries() if "/" not in entry.name} - {LOCK, DRIVER}
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.is_file() and path.name not in {*names, LOCK, NOTE}:
            path.unlink()
    if not (folder / NOTE).exists():
        _note(folder, address=address, known=[], clean=True)
    for name in sorted(names, key=lambda name: (name not in _READ, _READ.index(name) if name in _READ else 0, name)):
        with suppress(FileNotFoundError), there.reading(name) as path:
            content = path.read_bytes()
            with beside(folder / name) as temporary:
                temporary.write_bytes(content)


def _write(there: Place, name: str, content: bytes) -> None:
    with there.writing(name) as path:
        path.write_bytes(content)


def _set_aside(folder: Path, say: Callable[[str], object]) -> None:
    """Keep what a folder holds under another name; the lock stays."""
    aside = folder.with_name(f"{folder.name}.aside-{time.strftime('%Y%m%dT%H%M%S')}-{uuid.uuid4().hex[:4]}")
    aside.mkdir(parents=True)
    for path in list(folder.iterdir()):
        if path.name != LOCK:
            path.rename(aside / path.name)
    say(f"storage: the run went on elsewhere; what this machine held of it is set aside in {aside}")


def _notes(folder: Path) -> dict[str, Any]:
    path = folder / NOTE
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def _known(folder: Path) -> list[str]:
    """Drivers whose last state a folder holds, or may hold."""
    return list(_notes(folder).get("known", ()))


def _note(folder: Path, **changes: Any) -> None:
    with beside(folder / NOTE, sync=True) as temporary:
        temporary.write_text(json.dumps({**_notes(folder), **changes}), encoding="utf-8")


def _check(address: str) -> None:
    if not addresses.is_s3(address):
        raise InputError(f"{address}: must be a folder or s3://bucket/prefix/name")


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
