"""Where stages lie: files in a folder (on a local disk or NFS), or objects in a bucket (`sweeper.artifacts.s3`).

Large files are written whole or not at all. Small ones (claims, marks) are created only where there is none, and
replaced only where they are still what was last seen, so that of several processes one succeeds.
"""

from __future__ import annotations

import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

TEMPORARY = ".tmp"


@dataclass(frozen=True)
class Small:
    """A small file as it was seen.

    Attributes:
        content: All of it.
        version: Another whenever the file was written anew.
    """

    content: bytes
    version: str


@dataclass(frozen=True)
class Entry:
    """A file of the place.

    Attributes:
        name: Its name.
        size: Bytes.
        used: When it was last written or touched, in seconds of the place's own clock.
    """

    name: str
    size: int
    used: float


class Place(Protocol):
    """What a place can do. What goes wrong outside this process is an `OSError`."""

    #: Seconds a waiting process lets pass between two looks at a small file.
    pace: float
    #: What to do where it cannot be used.
    remedy: str

    def writing(self, name: str) -> AbstractContextManager[Path]:
        """A path to write to; once the block is left in good order the file has its name, all at once."""

    def reading(self, name: str) -> AbstractContextManager[Path]:
        """A path to read from while the block runs; `FileNotFoundError` where there is no such file."""

    def see(self, name: str) -> Small | None:
        """A small file, or None."""

    def create(self, name: str, content: bytes) -> str | None:
        """Write a small file where there is none: its version, or None where there is one."""

    def replace(self, name: str, content: bytes, version: str) -> str | None:
        """Replace a small file that is still of that version: its new version, or None where it is not."""

    def touch(self, name: str) -> None:
        """Note that a file was used now."""

    def remove(self, name: str) -> None:
        """Remove a file, if there is one."""

    def entries(self) -> list[Entry]:
        """All files."""


class Folder:
    """A place on a file system. Creating is exclusive on NFS too; replacing is guarded by a lock file.

    Args:
        path: The folder; made when the first file is written.
    """

    pace = 0.0
    remedy = "name another folder"

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """See `Place`."""
        self.path.mkdir(parents=True, exist_ok=True)
        temporary = self.path / f"{uuid.uuid4().hex}{TEMPORARY}"
        try:
            yield temporary
            temporary.replace(self.path / name)
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise

    @contextmanager
    def reading(self, name: str) -> Iterator[Path]:
        """See `Place`."""
        path = self.path / name
        if not path.exists():
            raise FileNotFoundError(path)
        yield path

    def see(self, name: str) -> Small | None:
        """See `Place`."""
        try:
            with (self.path / name).open("rb") as file:
                return Small(file.read(), _version(os.fstat(file.fileno())))
        except FileNotFoundError:
            return None

    def create(self, name: str, content: bytes) -> str | None:
        """See `Place`."""
        try:
            return self._create(name, content)
        except FileExistsError:
            return None
        except FileNotFoundError:
            self.path.mkdir(parents=True, exist_ok=True)
            return self.create(name, content)

    def replace(self, name: str, content: bytes, version: str) -> str | None:
        """See `Place`."""
        with self._alone():
            seen = self.see(name)
            if seen is None or seen.version != version:
                return None
            with self.writing(name) as temporary:
                temporary.write_bytes(content)
                return _version(temporary.stat())

    def touch(self, name: str) -> None:
        """See `Place`."""
        with suppress(FileNotFoundError):
            os.utime(self.path / name)

    def remove(self, name: str) -> None:
        """See `Place`."""
        (self.path / name).unlink(missing_ok=True)

    def entries(self) -> list[Entry]:
        """See `Place`."""
        found = []
        with suppress(FileNotFoundError), os.scandir(self.path) as files:
            for file in files:
                with suppress(FileNotFoundError):
                    status = file.stat()
                    found.append(Entry(file.name, status.st_size, status.st_mtime))
        return found

    def _create(self, name: str, content: bytes) -> str:
        descriptor = os.open(self.path / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            return _version(os.fstat(file.fileno()))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self.path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def place_of(folder: str) -> Place:
    """The place that a folder names: a path, or ``s3://bucket/prefix``.

    Raises:
        InputError: If what a bucket needs is not installed.
    """
    if not folder.startswith("s3://"):
        return Folder(Path(folder))
    from sweeper.artifacts.s3 import Bucket

    return Bucket(folder)


def _version(status: os.stat_result) -> str:
    return f"{status.st_ino}-{status.st_mtime_ns}"
