"""A feature column of a corpus as a side file: written in parts while it is made, put in place once and whole.

Parts lie in a hidden folder beside the corpus's files, so that a killed extraction goes on where it was. What the
column was made of and how is told by a fingerprint in the file's metadata.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sweeper import lock
from sweeper.files import beside
from trainables.errors import InputError

#: Key of the metadata: JSON with ``fingerprint``, ``request``, ``versions`` and ``skipped`` (id -> reason).
METADATA = b"sweeper.features"
#: Parts of a file are called so; no reader of a corpus takes them for one of its files.
_PART = ".part"


class SideFile:
    """The file of one feature column.

    Args:
        folder: The corpus.
        column: The feature column, which gives the file its name.
        sequence: Whether rows are sequences of vectors.
        fingerprint: What tells this content from another.
    """

    def __init__(self, folder: Path, column: str, *, sequence: bool, fingerprint: str) -> None:
        self.path = folder / f"{column}.parquet"
        self._parts = folder / f".{column}.{fingerprint[:16]}.parts"
        self._column, self._sequence, self._fingerprint = column, sequence, fingerprint

    def is_done(self) -> bool:
        """Whether the file is there with this content.

        Raises:
            InputError: If it is there with another.
        """
        if not self.path.exists():
            return False
        told = describe(self.path)
        if told.get("fingerprint") == self._fingerprint:
            return True
        raise InputError(
            f"{self.path}: is there already, from {_words(told)}; "
            "name this column differently (--column), or remove the file"
        )

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the parts, as the only process, while the block runs.

        Raises:
            InputError: If another process writes this column.
        """
        self._parts.mkdir(exist_ok=True)
        try:
            with lock.held(self._parts):
                yield
        finally:
            if self.path.exists():
                shutil.rmtree(self._parts)
            elif not self._found():
                with suppress(OSError):
                    self._parts.rmdir()

    def done(self) -> set[str]:
        """Ids of the utterances in the parts."""
        return {name for path in self._found() for name in pq.read_table(path, columns=["utterance_id"])[0].to_pylist()}

    def add(self, number: int, names: Sequence[str], values: Sequence[np.ndarray]) -> None:
        """Write a part.

        Args:
            number: Orders the parts.
            names: Utterance ids.
            values: Of each a vector (D,), or a sequence (T, D).
        """
        if not names:
            return
        attempt = len(list(self._parts.glob(f"{number:08d}-*{_PART}")))
        with beside(self._parts / f"{number:08d}-{attempt}{_PART}", sync=True) as temporary:
            pq.write_table(table(self._column, names, values, sequence=self._sequence), temporary, compression="zstd")

    def finish(self, missing: Sequence[str], skipped: Mapping[str, str], about: Mapping[str, Any]) -> int:
        """Put the parts together, with nulls for utterances that have none; gives the values of a vector.

        Args:
            missing: Ids without a recording or transcript.
            skipped: Ids of broken ones, and why.
            about: What is said of the content in the metadata, as JSON.

        Raises:
            InputError: If there is no vector at all.
        """
        paths = self._found()
        if not paths:
            why = next(iter(skipped.values()), "there is nothing to encode")
            raise InputError(f"{self.path}: no utterance could be encoded; the first: {why}")
        schema = pq.read_schema(paths[0])
        told = {"fingerprint": self._fingerprint, **about, "skipped": dict(skipped)}
        with (
            beside(self.path, sync=True) as temporary,
            pq.ParquetWriter(
                temporary, schema.with_metadata({METADATA: json.dumps(told)}), compression="zstd"
            ) as writer,
        ):
            for path in paths:
                writer.write_table(pq.read_table(path).replace_schema_metadata(schema.metadata).cast(schema))
            without = [*missing, *skipped]
            if without:
                writer.write_table(pa.table([pa.array(without), pa.nulls(len(without), schema.field(1).type)], schema))
        return int(_vector_type(schema.field(1).type).list_size)

    def _found(self) -> list[Path]:
        return sorted(self._parts.glob(f"*{_PART}"))


def table(column: str, names: Sequence[str], values: Sequence[np.ndarray], *, sequence: bool) -> pa.Table:
    """Vectors as ``fixed_size_list<float>``, sequences as lists of those, by ``utterance_id``."""
    flat = np.concatenate([np.ascontiguousarray(each, dtype=np.float32).reshape(-1) for each in values])
    size = values[0].shape[-1]
    lists: pa.Array = pa.FixedSizeListArray.from_arrays(pa.array(flat), size)
    if sequence:
        ends = np.cumsum([0, *(len(each) for each in values)])
        lists = pa.ListArray.from_arrays(pa.array(ends, pa.int32()), lists)
    return pa.table({"utterance_id": pa.array(list(names), pa.string()), column: lists})


def _vector_type(kind: pa.DataType) -> pa.FixedSizeListType:
    return kind if pa.types.is_fixed_size_list(kind) else kind.value_type


def describe(path: Path) -> dict[str, Any]:
    """What a file says of itself; empty where it was not written by `SideFile`, or cannot be read."""
    try:
        told = json.loads((pq.read_schema(path).metadata or {}).get(METADATA, b"{}"))
    except (pa.ArrowException, OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _words(told: Mapping[str, Any]) -> str:
    request = told.get("request")
    if not request:
        return "elsewhere"
    given = ", ".join(f"{key} {value}" for key, value in request.items() if value not in (None, False, ""))
    return f"another request or another content of the corpus ({given})"
