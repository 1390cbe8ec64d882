"""From a corpus as distributed to a corpus folder: read, look at every recording, compare, write all or nothing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError

from trainables.corpora import audio, kinds, store
from trainables.corpora.compare import Comparison, Left, compare
from trainables.corpora.reader import Options, Reader, Row
from trainables.corpora.sources import count
from trainables.corpora.store import OF_RECORDINGS
from trainables.errors import InputError

#: An end that lies this far behind the file's is the label file's rounding.
SLACK_S = 0.05


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
    store.check_out(out, source, kind, force=force)
    tree = reader.read(source, chosen)
    if not tree.rows:
        raise InputError(f"{source}: holds no utterance; give the folder that holds {reader.layout}")
    broken = _measure(tree.rows, out, watch)
    if broken and (not skip_broken or len(broken) == len(tree.rows)):
        raise InputError(_refusal(broken, len(tree.rows)))
    usable = [row for row in tree.rows if row["utterance_id"] not in broken]
    kept, short = _by_length(source, _labeled(usable, reader, chosen), chosen.shortest)
    notes = (*tree.notes, *_notes(kept, short, chosen))
    stored = store.arrow(kept, _described(reader, source, chosen, notes, broken.values()))
    store.write(stored, out)
    return Built(
        reader=reader,
        folder=out,
        utterances=stored.to_pandas(),
        comparisons=_compared(reader, chosen, kept, short, broken),
        notes=notes,
        broken=tuple(broken.values()),
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


def _measure(rows: list[Row], out: Path, watch: audio.Watch | None) -> dict[str, str]:
    """Fill in length, checksum and path of every recording.

    Returns:
        What is wrong with those that cannot be used, by utterance.
    """
    looked = audio.examine([row["recording"] for row in rows if row.get("recording") is not None], watch)
    broken = {}
    for row in rows:
        row.update({name: row.get(name) for name in OF_RECORDINGS})
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
            row["recording"] = store.place(path, out)
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


def _refusal(broken: Mapping[str, str], all_: int) -> str:
    return (
        f"{next(iter(broken.values()))} ({len(broken):,} of {count(all_, 'utterance')} cannot be used); "
        "put the recordings right, or leave such utterances out with --skip-broken"
    )


def _labeled(rows: Sequence[Row], reader: Reader, options: Options) -> pd.DataFrame:
    """A table of utterances, with the classes of their labels and the name of the corpus."""
    table = pd.DataFrame(rows)
    raw = table["label_raw"]
    label = raw.map(options.classes) if options.classes else raw
    return table.assign(corpus=reader.name, label=label.astype(object).where(label.notna(), None))


def _by_length(source: Path, table: pd.DataFrame, shortest: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Utterances that are long enough, or have no recording, and those that are too short."""
    short = table["duration"].astype(float) < shortest
    if short.all():
        what = count(len(table), "utterance")
        raise InputError(f"{source}: all {what} are shorter than {shortest:g} s; set shortest lower")
    return table[~short], table[short]


def _notes(kept: pd.DataFrame, short: pd.DataFrame, options: Options) -> Iterator[str]:
    if len(short):
        yield f"{count(len(short), 'utterance')} shorter than {options.shortest:g} s left out"
    heard = kept[kept["checksum"].notna()]
    if twice := int(heard.duplicated(["checksum", "start", "end", "channel"], keep=False).sum()):
        yield f"{count(twice, 'utterance')} with the very recording of another: is one in twice?"


def _compared(
    reader: Reader, options: Options, kept: pd.DataFrame, short: pd.DataFrame, broken: Mapping[str, str]
) -> tuple[Comparison, ...]:
    """Counts beside the published ones; none where the classes are the user's own."""
    if options.classes != reader.options().classes:
        return ()
    left = Left(broken=len(broken), options=_changed(reader, options))
    return tuple(compare(each, kept, short, left) for each in reader.published)


def _changed(reader: Reader, options: Options) -> list[str]:
    default = reader.options()
    return [
        f"{name}={getattr(options, name)}"
        for name in reader.options.model_fields
        if getattr(options, name) != getattr(default, name)
    ]


def _described(
    reader: Reader, source: Path, options: Options, notes: Iterable[str], broken: Iterable[str]
) -> dict[str, Any]:
    return {
        "kind": reader.name,
        "source": str(store.absolute(source)),
        "options": options.model_dump(mode="json"),
        "notes": list(notes),
        "left_out": list(broken),
    }
