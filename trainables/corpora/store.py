"""The file of a corpus that was built: where it may be written, its columns, and writing it whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from trainables import corpus
from trainables.corpora.sources import hidden
from trainables.errors import InputError

#: The file that is written, and the key of its metadata that says how.
FILE, META = "utterances.parquet", b"sweeper.build"
#: What belongs to a recording.
OF_RECORDINGS = ("recording", "start", "end", "channel", "duration", "checksum")
_FIRST = ("utterance_id", "corpus", "session", "speaker", "gender", "dialogue", "turn", "split", "label", "label_raw")
_LAST = ("transcript", *OF_RECORDINGS)
_TYPES = {
    **dict.fromkeys((*_FIRST, *_LAST), pa.string()),
    **dict.fromkeys(("turn", "channel"), pa.int64()),
    **dict.fromkeys(("start", "end", "duration"), pa.float64()),
}


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


def place(path: Path, out: Path) -> str:
    """How a corpus in ``out`` calls a file: from itself where the file lies inside, else by its whole path."""
    whole, folder = absolute(path), absolute(out)
    return str(whole.relative_to(folder)) if whole.is_relative_to(folder) else str(whole)


def absolute(path: Path) -> Path:
    """Without ``..``, and with links as they are: a data disk is often reached through one."""
    return Path(os.path.abspath(path))  # noqa: PTH100


def _inside(path: Path, folder: Path) -> bool:
    return absolute(path).is_relative_to(absolute(folder))


def arrow(table: pd.DataFrame, metadata: Mapping[str, Any]) -> pa.Table:
    """A table of utterances as it is stored: sorted by id, columns in a fixed order, each of its type."""
    table = table.sort_values("utterance_id", kind="stable")
    others = [name for name in table.columns if name not in (*_FIRST, *_LAST)]
    names = [name for name in (*_FIRST, *others, *_LAST) if name in table.columns and not _empty(table, name)]
    columns = {name: _column(table[name], name) for name in names}
    return pa.table(columns).replace_schema_metadata({META: json.dumps(metadata, ensure_ascii=False).encode()})


def _empty(table: pd.DataFrame, name: str) -> bool:
    """Whether a column is left out: an empty one would say that there is such a thing."""
    if name in OF_RECORDINGS:
        return bool(table["recording"].isna().all())
    return name not in ("label", "label_raw") and bool(table[name].isna().all())


def _column(values: pd.Series, name: str) -> pa.Array:
    kind = _TYPES.get(name)
    plain = [None if pd.isna(value) else value for value in values.tolist()]
    # A column of numbers with gaps has become one of floats on its way.
    whole = [None if value is None else int(value) for value in plain] if kind == pa.int64() else plain
    return pa.array(whole, kind)


def write(table: pa.Table, out: Path) -> None:
    """Put the file in its place, once it is whole and has been read as a corpus.

    Args:
        table: Of `arrow`.
        out: The folder, made if need be; removed again where writing fails.
    """
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
