"""Stages as arms and runs use them: taken where they are, claimed and trained where they are not, kept."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Collection
from pathlib import Path

from sweeper.artifacts import packing
from sweeper.artifacts.claims import Claims
from sweeper.artifacts.packing import Damaged, Recorded
from sweeper.artifacts.place import TEMPORARY, Folder, Place

FINISHED, PARTIAL = ".safetensors", ".partial"
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

    Sharing only saves time: what cannot be read, written or claimed is logged, and the arm goes on.

    Args:
        folder: Where they are; made when the first one is written.
        run: Id of the run, by which its epochs are told from those of others.
        every: Seconds between partial files of a stage in flight.
    """

    def __init__(self, folder: Path | str, run: str = "", every: float = 20.0) -> None:
        self.folder, self.run, self.every = str(folder), run, every
        self._place = _place(self.folder)
        self._claims = Claims(self._place)

    def __reduce__(self) -> tuple[type[Store], tuple[str, str, float]]:
        return Store, (self.folder, self.run, self.every)

    def owner(self, arm: str) -> str:
        """Who trains for an arm of this run: equal arms of other runs are others."""
        return f"{self.run}/{arm}"

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
        self._claims.renew(key, recorded.owners[-1])
        try:
            with self._place.writing(key + (FINISHED if done else PARTIAL)) as path:
                packing.write(path, recorded)
            if done:
                self._place.remove(key + PARTIAL)
        except OSError as error:
            log.warning("stage %s cannot be kept in %s, and the arm goes on: %s", key, self.folder, error)
            return False
        return True

    def claim(self, key: str, owner: str) -> bool:
        """Whether ``owner`` may train a stage: False as long as somebody alive does. See `sweeper.artifacts.claims`.

        Args:
            key: The stage.
            owner: See `owner`.
        """
        return self._claims.claim(key, owner)

    def renew(self, key: str, owner: str) -> bool:
        """Keep a claim alive, at no cost if called often; False if it was lost, or never held."""
        return self._claims.renew(key, owner)

    def release(self, key: str, owner: str) -> None:
        """Let others train a stage, or go on with it; nothing where it is not held."""
        self._claims.release(key, owner)

    def keep_only(self, needed: Collection[str]) -> None:
        """Remove every stage whose key is not needed any more."""
        for entry in self._place.entries():
            stem, _, end = entry.name.rpartition(".")
            if f".{end}" in (FINISHED, PARTIAL) and stem not in needed:
                self._remove(entry.name)

    def drop_litter(self) -> None:
        """Remove files that a killed process never finished; only while nothing else uses the folder."""
        for entry in self._place.entries():
            if entry.name.endswith(TEMPORARY):
                self._remove(entry.name)

    def clear(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _read(self, name: str) -> Recorded | None:
        try:
            with self._place.reading(name) as path:
                return packing.read(path)
        except FileNotFoundError:
            return None
        except Damaged as error:
            log.warning("%s: damaged (%s), trained again", self.folder, error)
            self._remove(name)
        except OSError as error:
            log.warning("%s: cannot be read (%s), trained again", name, error)
        return None

    def _remove(self, name: str) -> None:
        try:
            self._place.remove(name)
        except OSError as error:
            log.warning("%s: cannot be removed (%s)", name, error)

    def _touch(self, name: str) -> None:
        try:
            self._place.touch(name)
        except OSError as error:
            log.warning("%s: cannot be noted as used (%s)", name, error)


def _place(folder: str) -> Place:
    return Folder(Path(folder))
