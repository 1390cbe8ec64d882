"""Stages as arms and runs use them: taken where they are, claimed and trained where they are not, kept."""

from __future__ import annotations

import logging
import shutil
import uuid
from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from sweeper.artifacts import packing
from sweeper.artifacts.claims import Claims
from sweeper.artifacts.packing import Damaged, Recorded
from sweeper.artifacts.place import TEMPORARY, place_of
from sweeper.artifacts.place import Folder as LocalFolder
from sweeper.artifacts.retention import FINISHED, PARTIAL, Kept, Retention, kept
from trainables.errors import InputError

log = logging.getLogger(__name__)


class Store:
    """A folder of stages that arms, and runs, share. Travels to other processes by pickling.

    A finished stage is kept with everything it reported, so that taking it from here and training it give an arm
    the same curve, scores and artifact. A stage in flight leaves a partial file now and then, from which the same
    arm (after its worker or the whole machine was killed), or another one that asks for the stage, goes on. Files
    are verified when read: a damaged one counts as absent, and is removed.

    To train a stage, an arm claims it, looks for it (again), and releases it when it stops for whatever reason::

        if store.claim(key, owner):
            try: known = store.finished(key) or store.partial(key); ...; store.save(key, ...)
            finally: store.release(key, owner)

    Owners are ids of arms. Those of other runs are shown with the run's id before them: an equal arm of another run
    is another.

    Sharing only saves time: what cannot be read, written or claimed is logged, and the arm goes on.

    Args:
        folder: Where they are, a path or ``s3://bucket/prefix``; a folder is made when the first one is written.
        run: Id of the run, without slashes.
        every: Seconds between partial files of a stage in flight.

    Raises:
        InputError: If what a bucket needs is not installed.
    """

    def __init__(self, folder: Path | str, run: str = "", every: float = 20.0) -> None:
        self.folder, self.run, self.every = str(folder), run, every
        self._place = place_of(self.folder)
        self._claims = Claims(self._place)

    def __reduce__(self) -> tuple[type[Store], tuple[str, str, float]]:
        return Store, (self.folder, self.run, self.every)

    def finished(self, key: str) -> Recorded | None:
        """A finished stage, or None. Notes that it was used."""
        found = self._read(key + FINISHED)
        if found is not None:
            self._touch(key + FINISHED)
        return found

    def partial(self, key: str) -> Recorded | None:
        """A stage in flight, or None."""
        return self._read(key + PARTIAL)

    def save(self, key: str, recorded: Recorded) -> bool:
        """Keep a stage: as finished where its last epoch is, else as partial. Renews the claim.

        Returns:
            Whether it is kept; where not (a full disk), an older partial file still is.
        """
        done = recorded.epochs[-1].last
        self.renew(key, recorded.owner)
        try:
            with self._place.writing(key + (FINISHED if done else PARTIAL)) as path:
                packing.write(path, replace(recorded, owners=tuple(map(self._in_full, recorded.owners))))
            if done:
                self._place.remove(key + PARTIAL)
        except OSError as error:
            log.warning("stage %s cannot be kept in %s, and the arm goes on: %s", key, self.folder, error)
            return False
        return True

    def claim(self, key: str, owner: str) -> bool:
        """Whether an arm may train a stage: False as long as another one does. See `sweeper.artifacts.claims`.

        Cheap enough to be asked again several times a second.
        """
        return self._claims.claim(key, self._in_full(owner))

    def renew(self, key: str, owner: str) -> bool:
        """Keep a claim alive, at no cost if called often; False if it was lost, or never held."""
        return self._claims.renew(key, self._in_full(owner))

    def release(self, key: str, owner: str) -> None:
        """Let others train a stage, or go on with it; nothing where it is not held."""
        self._claims.release(key, self._in_full(owner))

    def has(self, keys: Collection[str]) -> set[str]:
        """Those of the stages that are there, finished.

        Raises:
            OSError: If the folder cannot be read.
        """
        there = {entry.name for entry in self._place.entries()}
        return {key for key in keys if key + FINISHED in there}

    def kept(self) -> Kept:
        """What the folder holds.

        Raises:
            OSError: If it cannot be read.
        """
        return kept(self._place)

    def retention(self, limit: int) -> Retention:
        """What a run's driver keeps the folder within ``limit`` bytes with."""
        return Retention(self._place, self.run, limit)

    def clear(self) -> None:
        """Remove all of it, as far as that is possible; for a folder that nobody shares."""
        with suppress(OSError):
            for entry in self._place.entries():
                self._place.remove(entry.name)
        if isinstance(self._place, LocalFolder):
            shutil.rmtree(self._place.path, ignore_errors=True)

    def check(self) -> None:
        """Make sure that the folder can be written and read.

        Raises:
            InputError: If it cannot.
        """
        name = f"{uuid.uuid4().hex}{TEMPORARY}"
        try:
            with self._place.writing(name) as path:
                path.write_bytes(b"")
            self._place.entries()
            self._place.remove(name)
        except OSError as error:
            why = error.strerror or error
            raise InputError(f"stages.folder: {self.folder} cannot be used ({why}); {self._place.remedy}") from None

    def _read(self, name: str) -> Recorded | None:
        try:
            with self._place.reading(name) as path:
                found = packing.read(path)
        except FileNotFoundError:
            return None
        except Damaged as error:
            log.warning("%s: damaged (%s), trained again", self.folder, error)
            with suppress(OSError):
                self._place.remove(name)
            return None
        except OSError as error:
            log.warning("%s: cannot be read (%s), trained again", name, error)
            return None
        return replace(found, owners=tuple(map(self._in_short, found.owners)))

    def _touch(self, name: str) -> None:
        with suppress(OSError):
            self._place.touch(name)

    def _in_full(self, owner: str) -> str:
        return owner if "/" in owner else f"{self.run}/{owner}"

    def _in_short(self, owner: str) -> str:
        return owner.removeprefix(f"{self.run}/")
