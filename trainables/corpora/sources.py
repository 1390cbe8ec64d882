"""Finding and reading the files of a corpus as distributed, with errors that name file and line."""

from __future__ import annotations

import csv
import filecmp
import math
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from trainables.errors import InputError

#: Suffixes that soundfile reads.
AUDIO = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif", ".au", ".sph")
#: Code points U+0080 to U+009F are what is left of Windows' quotes and dashes after a wrong conversion.
_CONTROLS = {code: bytes([code]).decode("cp1252", errors="ignore") for code in range(0x80, 0xA0)}


def malformed(path: Path, number: int, found: str, expected: str) -> InputError:
    """A line that cannot be read.

    Args:
        path: The file.
        number: The line, from 1.
        found: Its text.
        expected: What should be there.
    """
    shown = found if len(found) <= 80 else f"{found[:77]}..."
    return InputError(f"{path}: line {number}: found {shown!r}, expected {expected}; correct or remove the line")


def folder(source: Path, holds: str) -> Path:
    """The folder of a corpus, made sure to be one.

    Args:
        source: What was named.
        holds: What it should hold, for the error.

    Raises:
        InputError: If it is none.
    """
    if not source.is_dir():
        what = "is a file" if source.exists() else "does not exist"
        raise InputError(f"{source}: {what}; give the folder that holds {holds}")
    return source


def walk(root: Path) -> Iterator[Path]:
    """All files below a folder, sorted; links are followed once, what macOS and others hide is passed over."""
    seen: set[tuple[int, int]] = set()
    for place, folders, files in os.walk(root, followlinks=True):
        state = Path(place).stat()
        if (state.st_dev, state.st_ino) in seen:
            folders.clear()
            continue
        seen.add((state.st_dev, state.st_ino))
        folders[:] = sorted(name for name in folders if not hidden(name))
        yield from (Path(place, name) for name in sorted(files) if not hidden(name))


def hidden(name: str) -> bool:
    """Whether a file is no part of a corpus: ``._name`` of macOS, ``.DS_Store``, ``__MACOSX``."""
    return name.startswith((".", "__MACOSX"))


def find(source: Path, names: Sequence[str], holds: str) -> Path:
    """The file of one of these names, in the folder or at most three below; the least deep first.

    Raises:
        InputError: If there is none.
    """
    for depth in range(4):
        for name in names:
            found = [each for each in sorted(source.glob("*/" * depth + name)) if not hidden(each.name)]
            if found:
                return found[0]
    raise InputError(f"{source}: holds no {' or '.join(names)}; give the folder that holds {holds}")


def text(path: Path) -> str:
    """A file as text: UTF-8, or Windows' code page where it is none.

    Raises:
        InputError: If it is not there, empty, or no text.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); put it there, or check its permissions") from None
    if not content.strip():
        raise InputError(f"{path}: is empty; copy it again")
    if b"\0" in content:
        raise InputError(f"{path}: is no text file; copy it again")
    try:
        return content.decode("utf-8-sig").translate(_CONTROLS)
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def lines(path: Path) -> list[str]:
    """The lines of a text file, without their ends.

    Raises:
        InputError: As `text` does.
    """
    return re.split(r"\r\n|\r|\n", text(path).rstrip("\r\n"))


def table(path: Path, needed: Sequence[str] = (), *, delimiter: str | None = None) -> list[tuple[int, dict[str, str]]]:
    """The rows of a CSV file with a header, each with the number of its last line.

    Args:
        path: The file.
        needed: Columns it must have.
        delimiter: What stands between cells; by default the one of ``, ; tab`` that the header holds most of.

    Raises:
        InputError: If a column is missing or twice, or a row has another number of cells than the header.
    """
    content = text(path)
    header = content.lstrip().splitlines()[0]
    reader = csv.reader(
        content.splitlines(keepends=True), delimiter=delimiter or max(",;\t", key=header.count), strict=True
    )
    try:
        names = [name.strip() for name in next(reader)]
        _check_header(path, names, needed)
        rows = []
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(names):
                expected = f"{len(names)} cells as in the header, not {len(cells)}"
                raise malformed(path, reader.line_num, ",".join(cells), expected)
            rows.append((reader.line_num, {name: cell.strip() for name, cell in zip(names, cells, strict=True)}))
    except csv.Error as error:
        raise InputError(f"{path}: line {reader.line_num}: {error}; correct or remove the line") from None
    if not rows:
        raise InputError(f"{path}: has a header and no rows; copy it again")
    return rows


def _check_header(path: Path, names: Sequence[str], needed: Sequence[str]) -> None:
    missing = [name for name in needed if name not in names]
    if missing:
        raise InputError(f"{path}: has no column {', '.join(missing)}, found {', '.join(names[:12])}; is it this file?")
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise InputError(f"{path}: has two columns {twice[0]!r}; rename or remove one")


def number(path: Path, line: int, name: str, cell: str) -> float | None:
    """A cell as a number; None where it is empty or says so.

    Raises:
        InputError: If it is none.
    """
    if cell.casefold() in ("", "nan", "na", "none", "null"):
        return None
    try:
        value = float(cell)
    except ValueError:
        value = math.inf
    if not math.isfinite(value):
        raise malformed(path, line, cell, f"a number in column {name}")
    return value


class Index:
    """Files below a folder by their name without suffix.

    Args:
        root: The folder.
        suffixes: Those that count.

    Attributes:
        copies: Names found several times with the same content, of which the first is used.
    """

    def __init__(self, root: Path, suffixes: Sequence[str] = AUDIO) -> None:
        self._found: dict[str, list[Path]] = {}
        for path in walk(root):
            if path.suffix.lower() in suffixes:
                self._found.setdefault(path.stem, []).append(path)
        self.copies: set[str] = set()

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __contains__(self, stem: str) -> bool:
        return stem in self._found

    def __getitem__(self, stem: str) -> Path:
        """The file of that name.

        Raises:
            InputError: If there are several that differ.
        """
        first, *others = self._found[stem]
        for other in others:
            if not filecmp.cmp(first, other, shallow=False):
                raise InputError(f"{other}: differs from {first}, which has the same name; remove one of the two")
        if others:
            self.copies.add(stem)
        return first

    def get(self, stem: str, otherwise: Path) -> Path:
        """The file of that name, or the place where it should be."""
        return self[stem] if stem in self._found else otherwise

    def notes(self) -> list[str]:
        """What to say about copies."""
        if not self.copies:
            return []
        what = count(len(self.copies), "recording")
        return [f"{what} in the tree more than once, with the same content; one is used"]


def count(number: int, noun: str) -> str:
    """``1 utterance`` or ``2,000 utterances``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
