"""A database folder in audformat (Wagner et al. 2024): ``db.yaml``, and tables as ``db.NAME.csv`` or ``.parquet``.

The layout is plain, so it is read without the package of that name. Tables that hold the label's column are the
utterances, of whole files or of segments; a table's split is the utterances'. Other columns are looked up by segment,
then by file. Pickled tables are not opened: a pickle runs what is in it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from pydantic import Field

from trainables.corpora import sources
from trainables.corpora.reader import Options, Reader, Row, Tree
from trainables.corpora.table import own_name
from trainables.errors import InputError

HEADER = "db.yaml"
_TIME = re.compile(r"(?:(\d{1,6}) days? )?(\d{1,2}):(\d{1,2}):(\d{1,2}(?:\.\d+)?)")
_SPLITS = {"train": "train", "dev": "dev", "test": "test"}


class Audformat(Options):
    """Options of the reader."""

    label: str = "emotion"
    """Column of the label."""
    tables: list[str] = Field([])
    """Tables of the utterances; all that hold the label, if left out."""
    speaker: str = "speaker"
    """Column of the speaker, in any table."""
    transcript: str = "transcription"
    """Column of the transcript, in any table."""
    session: str = "session"
    """Column of the session, in any table; each speaker is a session where there is none."""
    classes: dict[str, str] = Field({})
    """Class of each label; a label that is not named here gets none. Left out, labels are classes as they are."""


#: File, start and end in seconds; NaN is the file's beginning or end.
@dataclass(frozen=True)
class _Key:
    file: str
    start: float | None
    end: float | None


@dataclass(frozen=True)
class _Entry:
    """A table's row, and where it stands."""

    table: str
    place: str
    key: _Key
    cells: dict[str, Any]


def read(source: Path, options: Audformat) -> Tree:
    """The segments, or files, that have the label's column.

    Raises:
        InputError: If the header or a table cannot be read, or nothing tells the speakers.
    """
    header = _header(sources.folder(source, READER.layout))
    entries = {name: list(_entries(source, name)) for name in header["tables"]}
    chosen = _chosen(source, header, options)
    found: dict[_Key, Row] = {}
    for name in chosen:
        for entry in entries[name]:
            _add(found, entry, options.label, _split(header, name))
    facts = _facts(entries)
    rows = [_row(source, header, key, row, facts, options) for key, row in found.items()]
    _check_speakers(source, rows, options)
    _name(rows)
    return Tree(rows)


def _header(source: Path) -> dict[str, Any]:
    path = source / HEADER
    if not path.is_file():
        raise InputError(f"{source}: holds no {HEADER}; give the folder of an audformat database")
    try:
        header = yaml.safe_load(sources.text(path))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InputError(f"{path}: line {line}: is no YAML ({error.problem}); correct it") from None
    tables = _mapping(_mapping(header).get("tables"))
    if not tables or not all(isinstance(each, dict) for each in tables.values()):
        raise InputError(f"{path}: names no tables; is it the header of an audformat database?")
    return {**header, "tables": {str(name): each for name, each in tables.items()}}


def _mapping(value: Any) -> dict[Any, Any]:
    """A section of the header; empty where it is none."""
    return value if isinstance(value, dict) else {}


def _entries(source: Path, name: str) -> Iterator[_Entry]:
    path = source / f"db.{name}.csv"
    if path.is_file():
        for number, cells in sources.table(path, ("file",), delimiter=","):
            yield _entry(name, f"{path}: line {number}", {key: cell or None for key, cell in cells.items()})
        return
    path = path.with_suffix(".parquet")
    if not path.is_file():
        raise InputError(f"{path}: is not there, nor as .csv; save the database with storage_format='csv'")
    try:
        rows = pq.read_table(path).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: cannot be read ({str(error).splitlines()[0]}); copy it again") from None
    for number, cells in enumerate(rows):
        yield _entry(name, f"{path}: row {number}", cells)


def _entry(table: str, place: str, cells: dict[str, Any]) -> _Entry:
    file = cells.pop("file", None)
    if not file:
        raise InputError(f"{place}: names no file; correct or remove it")
    start, end = (_seconds(place, name, cells.pop(name, None)) for name in ("start", "end"))
    # A segment of no times is the whole file.
    start = start if end is not None else start or None
    return _Entry(table, place, _Key(str(file), start, end), cells)


def _seconds(place: str, name: str, value: Any) -> float | None:
    """``0 days 00:00:01.500000`` as 1.5; None where it is missing."""
    if value is None:
        return None
    if isinstance(value, timedelta):
        return value.total_seconds()
    match = _TIME.fullmatch(str(value))
    if not match:
        expected = "a time like 0 days 00:00:01.5"
        raise InputError(f"{place}: found {value!r} as {name}, expected {expected}; correct it")
    days, hours, minutes, seconds = match.groups(default="0")
    return 86400.0 * int(days) + 3600.0 * int(hours) + 60.0 * int(minutes) + float(seconds)


def _chosen(source: Path, header: dict[str, Any], options: Audformat) -> list[str]:
    tables = header["tables"]
    for name in options.tables:
        if name not in tables:
            raise InputError(f"--set tables: {source} has no table {name!r}; it has {', '.join(tables)}")
    holding = [name for name, each in tables.items() if options.label in _mapping(each.get("columns"))]
    chosen = list(options.tables) or holding
    if not chosen:
        raise InputError(f"{source / HEADER}: no table has a column {options.label!r}; name it, --set label=...")
    kinds = {tables[name].get("type") for name in chosen}
    if len(kinds) > 1:
        alike = [name for name in chosen if tables[name].get("type") == tables[chosen[0]].get("type")]
        raise InputError(
            f"{source}: {', '.join(chosen)} hold whole files and segments; choose, such as --set "
            f"'tables=[{', '.join(alike)}]'"
        )
    return chosen


def _add(found: dict[_Key, Row], entry: _Entry, label: str, split: str | None) -> None:
    """Take an entry as an utterance; another table may have it too, and must say the same."""
    value = entry.cells.get(label)
    row = found.setdefault(entry.key, {"label_raw": None, "split": None})
    for name, new in (("label_raw", None if value is None else str(value)), ("split", split)):
        if new is not None and row[name] not in (None, new):
            raise InputError(
                f"{entry.place}: {entry.key.file} is {new!r}, in another table {row[name]!r}; choose tables, "
                "--set tables=[...]"
            )
        row[name] = row[name] if new is None else new


def _split(header: dict[str, Any], name: str) -> str | None:
    split = header["tables"][name].get("split_id")
    known = _mapping(_mapping(header.get("splits")).get(str(split)))
    return _SPLITS.get(str(known.get("type")))


def _facts(entries: dict[str, list[_Entry]]) -> dict[tuple[_Key | str, str], Any]:
    """Every cell that is there, by segment and column, and by file and column."""
    facts: dict[tuple[_Key | str, str], Any] = {}
    for each in (entry for listed in entries.values() for entry in listed):
        for name, value in each.cells.items():
            if value is not None:
                facts.setdefault((each.key, name), value)
                if each.key.start is None and each.key.end is None:
                    facts.setdefault((each.key.file, name), value)
    return facts


def _row(
    source: Path,
    header: dict[str, Any],
    key: _Key,
    row: Row,
    facts: dict[tuple[_Key | str, str], Any],
    options: Audformat,
) -> Row:
    def fact(name: str) -> str | None:
        value = facts.get((key, name), facts.get((key.file, name)))
        return None if value is None else str(value)

    speaker, transcript = fact(options.speaker), fact(options.transcript)
    meaning = _meaning(header, options.speaker, speaker)
    said = _meaning(header, options.transcript, transcript)
    gender = fact("gender") or _mapping(meaning).get("gender")
    return {
        **row,
        "speaker": speaker,
        "session": fact(options.session) or speaker,
        "gender": None if gender is None else {"female": "f", "male": "m"}.get(str(gender), str(gender)),
        "transcript": said if isinstance(said, str) else transcript,
        "recording": source / key.file,
        "start": key.start,
        "end": key.end,
    }


def _meaning(header: dict[str, Any], scheme: str, code: str | None) -> Any:
    """What a scheme says a code stands for: a text, or properties."""
    labels = _mapping(_mapping(_mapping(header.get("schemes")).get(scheme)).get("labels"))
    return {str(key): value for key, value in labels.items()}.get(str(code))


def _check_speakers(source: Path, rows: list[Row], options: Audformat) -> None:
    nameless = [row for row in rows if row["speaker"] is None]
    if nameless:
        raise InputError(
            f"{source}: no table says in a column {options.speaker!r} who speaks in {nameless[0]['recording'].name} "
            f"({len(nameless):,} of {sources.count(len(rows), 'utterance')}); name the column, --set speaker=..."
        )


def _name(rows: list[Row]) -> None:
    taken: Counter[str] = Counter()
    for path in {row["recording"] for row in rows}:
        taken[path.stem] += 1
    for row in rows:
        row["utterance_id"] = own_name(row, taken)
    twice = Counter(row["utterance_id"] for row in rows)
    for row in rows:
        if twice[row["utterance_id"]] > 1:
            row["utterance_id"] += f"_{row['end'] or 0:.3f}"


READER = Reader(
    name="audformat",
    title="an audformat database",
    citation="",
    layout="db.yaml and the tables beside it",
    options=Audformat,
    read=read,
)
