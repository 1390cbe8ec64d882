"""From a corpus as distributed to a corpus folder: read, look at every recording, compare, write all or nothing."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from trainables import corpus
from trainables.corpora import audio, kinds
from trainables.corpora.compare import Comparison, Left, compare
from trainables.corpora.reader import Options, Reader, Row
from trainables.corpora.sources import count, hidden
from trainables.errors import InputError

#: The file that is written, and the key of its metadata that says how.
FILE, META = "utterances.parquet", b"sweeper.build"
#: An end that lies this far behind the file's is the label file's rounding.
SLACK_S = 0.05
_FIRST = ("utterance_id", "corpus", "session", "speaker", "gender", "dialogue", "turn", "split", "label", "label_raw")
_LAST = ("transcript", "recording", "start", "end", "channel", "duration", "checksum")
_TYPES = {
    **dict.fromkeys((*_FIRST, *_LAST), pa.string()),
    **dict.fromkeys(("turn", "channel"), pa.int64()),
    **dict.fromkeys(("start", "end", "duration"), pa.float64()),
}
#: Columns that are left out where nothing is in them: an empty one would say that there is such a thing.
_OPTIONAL = ("gender", "dialogue", "session", "split", "transcript")
_OF_RECORDINGS = ("recording", "start", "end", "channel", "duration", "checksum")


@dataclass(frozen=True, kw_only=True)
class Built:
    """A corpus that was built.

    Attributes:
        reader: What read it.
        folder: Where it lies.
        utterances: Its table.
        comparisons: Its counts beside published ones; none where the classes are the user's own.
        notes: What was left aside or had to be decided, a sentence each.
        broken: Recordings that cannot be used and were left out, a line each.
    """

    reader: Reader
    folder: Path
    utterances: pd.DataFrame
    comparisons: tuple[Comparison, ...]
    notes: tuple[str, ...]
    broken: tuple[str, ...]


def build(
    kind: str,
    source: str | Path,
    out: str | Path,
    *,
    options: Mapping[str, Any] | None = None,
    skip_broken: bool = False,
    force: bool = False,
    watch: audio.Watch | None = None,
) -> Built:
    """Read a corpus as distributed and write it as a corpus folder.

    Args:
        kind: A reader, see `kinds.KINDS`.
        source: The folder to read; nothing in it is changed.
        out: The folder to write; may hold the source, or be it, and then paths are relative.
        options: Fields of the reader's options.
        skip_broken: Leave out utterances whose recording is missing, empty or damaged, instead of refusing.
        force: Replace what an earlier build of the same kind wrote to ``out``.
        watch: Told how many recordings are looked at, of how many.

    Raises:
        InputError: In one line; nothing is written then.
    """
    reader, source, out = kinds.get(kind), Path(source).expanduser(), Path(out).expanduser()
    chosen = settle(reader, options or {})
    check_out(out, source, kind, force=force)
    tree = reader.read(source, chosen)
    if not tree.rows:
        raise InputError(f"{source}: holds no utterance; give the folder that holds {reader.layout}")
    broken = _measure(tree.rows, out, watch)
    if broken and not skip_broken:
        raise InputError(_refusal(broken, len(tree.rows)))
    usable = [row for row in tree.rows if row["utterance_id"] not in broken]
    if not usable:
        raise InputError(f"{source}: {_refusal(broken, len(tree.rows))}")
    kept = [row for row in usable if not _too_short(row, chosen.shortest)]
    short = [row for row in usable if _too_short(row, chosen.shortest)]
    if not kept:
        raise InputError(
            f"{source}: all {count(len(short), 'utterance')} are shorter than {chosen.shortest:g} s; set shortest lower"
        )
    table, dropped = (
        _labeled(pd.DataFrame(rows, columns=list(kept[0])), chosen, reader.name) for rows in (kept, short)
    )
    notes = [*tree.notes, *_short_note(len(short), chosen.shortest)]
    left = Left(broken=len(broken), short=len(short), shortest=chosen.shortest, options=_changed(reader, chosen))
    own_classes = chosen.classes != reader.options().classes
    comparisons = () if own_classes else tuple(compare(each, table, dropped, left) for each in reader.published)
    lines = tuple(broken.values())
    stored = arrow(table, _described(reader, source, chosen, notes, lines))
    _write(stored, out)
    return Built(
        reader=reader,
        folder=out,
        utterances=stored.to_pandas(),
        comparisons=comparisons,
        notes=tuple(notes),
        broken=lines,
    )


def settle(reader: Reader, given: Mapping[str, Any]) -> Options:
    """A reader's options.

    Raises:
        InputError: If there is no such option, or its value is no good.
    """
    known = reader.options.model_fields
    for name in given:
        if name not in known:
            raise InputError(f"--set {name}: {reader.name} has no such option; it has {', '.join(known)}")
    try:
        return reader.options.model_validate(dict(given))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise InputError(f"--set {place}: {message}, found {str(first['input'])[:60]!r}; correct it") from None


def check_out(out: Path, source: Path, kind: str, *, force: bool) -> None:
    """Make sure that writing would take nothing away that cannot be made again.

    Args:
        out: The folder to write.
        source: The folder to read: it, and folders around it, may be written to.
        kind: The reader.
        force: Whether an earlier build may be replaced.

    Raises:
        InputError: If the folder holds anything else.
    """
    if not out.exists():
        return
    if not out.is_dir():
        raise InputError(f"{out}: is a file; name a new folder")
    tables = sorted(each.name for each in out.glob("*.parquet"))
    if others := [name for name in tables if name != FILE]:
        raise InputError(
            f"{out}: holds {others[0]}, which would be joined to the new utterances; build into another folder"
        )
    if tables:
        _check_former(out, kind, force=force)
        return
    strangers = sorted(each.name for each in out.iterdir() if not hidden(each.name))
    if strangers and not _inside(source, out):
        raise InputError(f"{out}: holds {strangers[0]} and no corpus; name a new or an empty folder")


def _check_former(out: Path, kind: str, *, force: bool) -> None:
    former = described(out)
    if former.get("kind") != kind:
        what = f"a corpus of kind {former['kind']}" if "kind" in former else f"a {FILE} that data build did not write"
        raise InputError(f"{out}: holds {what}; name another folder")
    if not force:
        raise InputError(f"{out}: holds a built corpus already; --force builds it again, or name another folder")


def described(folder: Path) -> dict[str, Any]:
    """How a corpus folder was built: kind, source, options, notes; empty where it was not."""
    try:
        metadata = pq.read_schema(folder / FILE).metadata or {}
        found = json.loads(metadata.get(META, b"{}"))
    except (pa.ArrowException, OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _measure(rows: list[Row], out: Path, watch: audio.Watch | None) -> dict[str, str]:
    """Fill in length, checksum and path of every recording.

    Returns:
        What is wrong with those that cannot be used, by utterance.
    """
    looked = audio.examine([row["recording"] for row in rows if row.get("recording") is not None], watch)
    broken = {}
    for row in rows:
        row.update({name: row.get(name) for name in _OF_RECORDINGS})
        path = row["recording"]
        if path is None:
            continue
        facts = looked[path]
        wrong = facts if isinstance(facts, str) else _wrong_part(row, facts)
        if wrong:
            broken[row["utterance_id"]] = f"{path}: {wrong}"
        elif isinstance(facts, audio.Facts):
            row["duration"] = _length(row, facts)
            row["checksum"] = facts.checksum
            row["recording"] = place(path, out)
    return broken


def _wrong_part(row: Row, facts: audio.Facts) -> str:
    """What is wrong with the part of a file that an utterance names, "" if nothing is."""
    start, end, channel = row.get("start") or 0.0, row.get("end"), row.get("channel")
    if not math.isfinite(start) or start < 0 or start >= facts.seconds or (end is not None and end <= start):
        return f"has {facts.seconds:.3f} s, which {row['utterance_id']} from {start:g} s on is no part of"
    if end is not None and end > facts.seconds + SLACK_S:
        return f"ends at {facts.seconds:.3f} s, before {row['utterance_id']} does at {end:g} s"
    if channel is not None and channel >= facts.channels:
        return f"has {count(facts.channels, 'channel')}, {row['utterance_id']} is in channel {channel} (from 0)"
    return ""


def _length(row: Row, facts: audio.Facts) -> float:
    end = row.get("end")
    return round(min(facts.seconds, facts.seconds if end is None else end) - (row.get("start") or 0.0), 6)


def place(path: Path, out: Path) -> str:
    """How a corpus in ``out`` calls a file: from itself where the file lies inside, else by its whole path."""
    whole, folder = _absolute(path), _absolute(out)
    return str(whole.relative_to(folder)) if whole.is_relative_to(folder) else str(whole)


def _absolute(path: Path) -> Path:
    """Without ``..``, and with links as they are: a data disk is often reached through one."""
    return Path(os.path.abspath(path))  # noqa: PTH100


def _inside(path: Path, folder: Path) -> bool:
    return _absolute(path).is_relative_to(_absolute(folder))


def _refusal(broken: Mapping[str, str], all_: int) -> str:
    return (
        f"{next(iter(broken.values()))} ({len(broken):,} of {count(all_, 'utterance')} cannot be used); "
        "put the recordings right, or leave such utterances out with --skip-broken"
    )


def _too_short(row: Row, shortest: float) -> bool:
    return row["duration"] is not None and row["duration"] < shortest


def _short_note(number: int, shortest: float) -> list[str]:
    return [f"{count(number, 'utterance')} shorter than {shortest:g} s left out"] if number else []


def _labeled(table: pd.DataFrame, options: Options, name: str) -> pd.DataFrame:
    """With the classes of labels, and the name of the corpus."""
    raw = table["label_raw"]
    label = raw.map(options.classes) if options.classes else raw
    return table.assign(corpus=name, label=label.astype(object).where(label.notna(), None))


def _changed(reader: Reader, options: Options) -> list[str]:
    default = reader.options()
    return [
        f"{name}={getattr(options, name)}"
        for name in reader.options.model_fields
        if getattr(options, name) != getattr(default, name)
    ]


def _described(
    reader: Reader, source: Path, options: Options, notes: Sequence[str], broken: Sequence[str]
) -> dict[str, Any]:
    return {
        "kind": reader.name,
        "source": str(_absolute(source)),
        "options": options.model_dump(mode="json"),
        "notes": list(notes),
        "left_out": list(broken),
    }


def arrow(table: pd.DataFrame, metadata: Mapping[str, Any]) -> pa.Table:
    """A table of utterances as it is stored: sorted by id, columns in a fixed order, each of its type."""
    table = table.sort_values("utterance_id", kind="stable")
    others = [name for name in table.columns if name not in (*_FIRST, *_LAST)]
    names = [name for name in (*_FIRST, *others, *_LAST) if name in table.columns and not _empty(table, name)]
    columns = {name: _column(table[name], name) for name in names}
    return pa.table(columns).replace_schema_metadata({META: json.dumps(metadata, ensure_ascii=False).encode()})


def _empty(table: pd.DataFrame, name: str) -> bool:
    if name in _OF_RECORDINGS:
        return bool(table["recording"].isna().all())
    return name not in ("label", "label_raw") and bool(table[name].isna().all())


def _column(values: pd.Series, name: str) -> pa.Array:
    plain = [None if value is None or value != value else value for value in values.tolist()]
    return pa.array(plain, _TYPES.get(name))


def _write(table: pa.Table, out: Path) -> None:
    """Put the file in its place, once it is whole and has been read as a corpus."""
    made = [each for each in (out, *out.parents) if not each.exists()]
    out.mkdir(parents=True, exist_ok=True)
    trial = out / f".build.{os.getpid()}"
    try:
        trial.mkdir()
        pq.write_table(table, trial / FILE, compression="zstd")
        corpus.load(trial, labeled=False)
        (trial / FILE).replace(out / FILE)
        made = []
    finally:
        (trial / FILE).unlink(missing_ok=True)
        for each in (trial, *made):
            if each.exists():
                each.rmdir()
