"""Files of a run folder: put in place whole or not at all, and what is said where the disk will not take them."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

#: What a disk, a mount or a quota says, rather than our own mistakes.
_OF_STORAGE = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR),
    *(errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ETIMEDOUT, errno.ENODEV),
}


class StorageError(Exception):
    """A run cannot be written to where it lies. One line that says what to mend and how to go on."""


@contextmanager
def beside(path: Path, *, sync: bool = False) -> Iterator[Path]:
    """A temporary path to write to, which takes the place of a file at the end; removed where that fails.

    Args:
        path: The file.
        sync: Whether it is to survive the machine, and not just this process.

    Raises:
        OSError: With the file's name, whatever library it came from.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with _named(path):
        try:
            yield temporary
            if sync:
                _sync(temporary)
            temporary.replace(path)
        except BaseException:
            with suppress(OSError):
                # A part of a file that did not fit would keep others from fitting.
                temporary.unlink(missing_ok=True)
            raise


class Lines:
    """A file that lines are added to, each whole or not at all.

    Args:
        path: The file; made when the first line comes.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None

    def add(self, line: str, *, sync: bool = False) -> None:
        """Add a line; with ``sync`` it survives the machine.

        Raises:
            OSError: If it does not fit; what did is cut off again, so that a later line is no part of this one.
        """
        with _named(self._path):
            if self._file is None:
                self._file = self._path.open("ab", buffering=0)
            whole = os.fstat(self._file.fileno()).st_size
            try:
                self._write(line.encode())
                if sync:
                    os.fsync(self._file.fileno())
            except OSError:
                with suppress(OSError):
                    os.ftruncate(self._file.fileno(), whole)
                raise

    def close(self) -> None:
        """Close the file until the next line comes."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, content: bytes) -> None:
        assert self._file is not None
        while content:
            # A disk that is nearly full takes a part.
            content = content[self._file.write(content) :]


@contextmanager
def mendable(folder: Path, address: str) -> Iterator[None]:
    """Turn what a run folder's file system refuses into one line that says how to go on.

    Args:
        folder: The run folder.
        address: What `sweeper resume` calls it.

    Raises:
        StorageError: In place of the `OSError`; others pass.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _OF_STORAGE or not _inside(folder, error.filename):
            raise
        what = os.strerror(error.errno)
        if not folder.exists():
            what = f"{what}: the run folder is gone; put it back"
        raise StorageError(
            f"storage: {error.filename}: {what}; once that is mended, `sweeper resume {address}` goes on with all "
            "that was written"
        ) from error


def _inside(folder: Path, name: object) -> bool:
    return isinstance(name, str) and Path(name).is_relative_to(folder)


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """See to it that an error says which file it is about: neither pyarrow nor a full disk does."""
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        raise
