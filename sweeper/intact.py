"""Reads what a run or a model keeps in files, and says in one line which one is damaged."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from trainables.errors import InputError

#: What to do about a damaged file of a run.
OF_RUN = "restore it from a copy, or run the study under another name (--set name=...)"


def mapping(path: Path, remedy: str, needed: Sequence[str] = ()) -> dict[str, Any]:
    """The keys and values of a JSON file.

    Raises:
        InputError: If it is no JSON, holds something else, or lacks a key.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is damaged ({error}); {remedy}") from None
    if not isinstance(found, dict):
        raise InputError(f"{path}: must hold keys and values, holds a {type(found).__name__}; {remedy}")
    for key in needed:
        if key not in found:
            raise InputError(f"{path}: the key {key} is missing; {remedy}")
    return found


def table(path: Path, needed: Sequence[str] = ()) -> pa.Table:
    """A table of a run.

    Raises:
        InputError: If it is no Parquet, was cut off, or lacks a column.
    """
    try:
        found = pq.read_table(path)
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: is damaged ({str(error).splitlines()[0]}); {OF_RUN}") from None
    for name in needed:
        if name not in found.column_names:
            raise InputError(f"{path}: lacks the column {name}; {OF_RUN}")
    return found
