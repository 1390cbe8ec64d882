"""Vectors that another program made, such as of faces, read from a file by utterance id."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from trainables.errors import InputError

_FORMS = ".npz, .parquet or .csv"


def read(path: Path) -> dict[str, np.ndarray]:
    """Vectors by utterance id.

    An ``.npz`` holds an array by id, or ``utterance_id`` (N,) and ``features`` (N, D). A table (``.parquet``, ``.csv``)
    has ``utterance_id`` and either one column of lists or columns of numbers. Rows of several frames of an utterance,
    shape (T, D), are averaged; blank or NaN vectors are left out.

    Args:
        path: The file.

    Returns:
        float32 vectors, all of one shape (D,).

    Raises:
        InputError: If it cannot be read, has none of these forms, or its vectors differ in length.
    """
    if not path.is_file():
        raise InputError(f"{path}: there is no such file; give {_FORMS} with vectors by utterance id")
    readers = {".npz": _npz, ".parquet": _table, ".csv": _table}
    if path.suffix.lower() not in readers:
        raise InputError(f"{path}: is no {_FORMS}; convert it")
    made = {name: _vector(path, name, values) for name, values in readers[path.suffix.lower()](path).items()}
    made = {name: values for name, values in made.items() if not np.isnan(values).all()}
    _check(path, made)
    return made


def _npz(path: Path) -> dict[str, Any]:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: cannot be read as npz ({str(error).splitlines()[0]}); write it again") from None
    if set(arrays) == {"utterance_id", "features"}:
        _unique(path, [str(name) for name in arrays["utterance_id"]], len(arrays["features"]))
        return {str(name): row for name, row in zip(arrays["utterance_id"], arrays["features"], strict=True)}
    return arrays


def _table(path: Path) -> dict[str, Any]:
    try:
        table = pd.read_parquet(path) if path.suffix.lower() == ".parquet" else pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({str(error).splitlines()[0]}); write it again") from None
    if "utterance_id" not in table:
        raise InputError(f"{path}: no column utterance_id, found {', '.join(map(str, table.columns[:8]))}; add it")
    ids = table.pop("utterance_id").astype("str").tolist()
    _unique(path, ids, len(table))
    lists = [
        name for name in table if table[name].dtype == object and isinstance(_first(table[name]), list | np.ndarray)
    ]
    if len(lists) > 1:
        raise InputError(f"{path}: holds lists in {', '.join(map(str, lists))}; keep the one that is meant")
    values = table[lists[0]].tolist() if lists else table.select_dtypes("number").to_numpy()
    return {name: row for name, row in zip(ids, values, strict=True) if row is not None}


def _first(column: pd.Series) -> Any:
    known = column.dropna()
    return known.iloc[0] if len(known) else None


def _unique(path: Path, ids: list[str], rows: int) -> None:
    if len(ids) != rows:
        raise InputError(f"{path}: {len(ids)} ids for {rows} vectors; write one id a vector")
    twice = pd.Series(ids)[pd.Series(ids).duplicated()]
    if len(twice):
        raise InputError(f"{path}: {twice.iloc[0]!r} occurs twice; write one vector an utterance")


def _vector(path: Path, name: str, values: Any) -> np.ndarray:
    try:
        array = np.asarray(values, dtype=np.float32)
    except (TypeError, ValueError):
        raise InputError(f"{path}: {name}: holds no numbers; write vectors of numbers") from None
    if array.ndim not in (1, 2) or not array.size:
        raise InputError(f"{path}: {name}: has shape {array.shape}, expected (D,) or (frames, D); correct it")
    return array if array.ndim == 1 else array.mean(0)


def _check(path: Path, made: dict[str, np.ndarray]) -> None:
    if not made:
        raise InputError(f"{path}: holds no vector; write one an utterance")
    first, size = next((name, len(values)) for name, values in made.items())
    for name, values in made.items():
        if len(values) != size:
            raise InputError(f"{path}: {name} has {len(values)} values, {first} {size}; write vectors of one length")
        if not np.isfinite(values).all():
            raise InputError(f"{path}: {name}: holds NaN or infinite values in part; correct it, or leave it out")
