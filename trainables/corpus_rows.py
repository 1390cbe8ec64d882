"""Which utterances of a corpus are used: those with certain values in a column, and those of a second corpus."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

from trainables.corpus_files import DESCRIPTION, Files, text_column
from trainables.errors import InputError

#: Column values that select utterances: column -> value, or values.
Where = Mapping[str, str | Sequence[str]]


def matching(files: Files, position: Mapping[str, int], where: Where) -> np.ndarray:
    """The utterances that have one of the wanted values in every column.

    Args:
        files: The corpus's files.
        position: Row of each utterance id, 0 to N - 1.
        where: The wanted values, as text; any column of the main files will do.

    Returns:
        Shape (N,), bool.

    Raises:
        InputError: If there is no such column, a value does not occur in it, or nothing is left.
    """
    keep = np.ones(len(position), dtype=bool)
    for column, wanted in where.items():
        values = _column(files, position, column)
        asked = [wanted] if isinstance(wanted, str) else list(wanted)
        known = sorted({str(value) for value in values if value is not None})
        for value in asked:
            if value not in known:
                raise InputError(
                    f"where.{column}: no utterance of corpus {files.corpus} has {value!r}; there is {_some(known)}"
                )
        keep &= np.isin(values.astype(str), asked)
    if not keep.any():
        raise InputError(f"where: no utterance of corpus {files.corpus} has all of these values")
    return keep


def kinds(files: Files, ids: Sequence[str], most: int = 12) -> dict[str, np.ndarray]:
    """Columns that `matching` could select a kind of utterances by: text of 2 to 12 values.

    Args:
        files: The corpus's files.
        ids: The utterances wanted; those of another corpus have no value.
        most: Columns with more values are left out.

    Returns:
        Column -> values, "" where there is none, shape (len(ids),), objects.
    """
    position = {name: row for row, name in enumerate(each for file in files.main for each in files.ids[file.name])}
    rows = [position.get(each, -1) for each in ids]
    names = {field.name for file in files.main for field in file.schema if _is_text(field.type)} - set(DESCRIPTION)
    found = {}
    for name in sorted(names):
        known = [*_column(files, position, name), None]
        values = np.array([known[row] or "" for row in rows], dtype=object)
        if 2 <= len(set(values) - {""}) <= most:
            found[name] = values
    return found


def _is_text(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _column(files: Files, position: Mapping[str, int], column: str) -> np.ndarray:
    holders = [file for file in files.main if column in file.columns]
    if not holders:
        there = sorted({name for file in files.main for name in file.columns})
        near = difflib.get_close_matches(column, there, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there is {_some(there)}"
        raise InputError(f"where.{column}: corpus {files.corpus} has no such column; {hint}")
    values = np.full(len(position), None, dtype=object)
    for file in holders:
        rows = [position[name] for name in files.ids[file.name]]
        values[rows] = text_column(file, column).to_pylist()
    return values


def _some(names: Sequence[str], most: int = 12) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def joined(utterances: pd.DataFrame, other: pd.DataFrame, name: str, other_name: str) -> pd.DataFrame:
    """A table of utterances with those of a second corpus as unlabeled ones, all of them train side.

    Names of the second corpus get its name in front, so that no speaker, session or dialogue is taken for one of
    the first.

    Args:
        utterances: Of the first corpus.
        other: Of the second; its labels are dropped.
        name: Of the first corpus, for the new column ``corpus``.
        other_name: Of the second.
    """
    guest = other.drop(columns=[each for each in other if each not in utterances]).copy()
    for column in ("utterance_id", "speaker", "session", "dialogue"):
        guest[column] = f"{other_name}/" + guest[column].astype("str")
    guest["label"] = pd.Series(pd.NA, index=guest.index, dtype="str")
    if "split" in utterances:
        guest["split"] = "train"
    both = [utterances.assign(corpus=name), guest.assign(corpus=other_name)]
    return pd.concat(both, ignore_index=True)
