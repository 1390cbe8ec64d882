"""Feature columns of a corpus: which one stands for a modality, and its vectors as an array."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainables.conditions import MODALITIES
from trainables.copies import augmentation_in
from trainables.corpus_files import File, Files, rows_of, text_column
from trainables.errors import InputError

#: What a modality is before any encoder: columns that methods which bring an encoder read.
RAW: Mapping[str, str] = {"audio": "recording", "text": "transcript"}


def choose(files: Files, features: Mapping[str, str] | None, modalities: Sequence[str] | None) -> dict[str, str]:
    """One feature column for each modality that is wanted.

    Recordings and transcripts (`RAW`) stand for their modality where they are asked for, or where the corpus has no
    stored features at all.

    Args:
        files: The corpus.
        features: Columns asked for, by modality.
        modalities: Which modalities are wanted; None takes all there are.

    Raises:
        InputError: If a modality or column is not there, or several columns could be meant.
    """
    asked = dict(features or {})
    found = _found(files, asked)
    there = [modality for modality in MODALITIES if found[modality]]
    if not there:
        raise InputError(
            f"corpus {files.corpus}: no feature column; expected lists of numbers in columns called "
            f"{', '.join(f'{modality}_...' for modality in MODALITIES)}"
        )
    for modality in (*asked, *(modalities or ())):
        if modality not in there:
            raise InputError(
                f"corpus {files.corpus}: has no {modality} features; it has {', '.join(there)}"
                + ("" if modality in MODALITIES else _nearest(modality, there))
            )
    wanted = tuple(modalities) if modalities is not None else tuple(there)
    for modality in asked:
        if modality not in wanted:
            raise InputError(f"features.{modality}: {modality} is not among the modalities, {', '.join(wanted)}")
    return {modality: _column(files, modality, found[modality], asked.get(modality)) for modality in wanted}


def _found(files: Files, asked: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """The columns that may stand for each modality."""
    stored = {modality: files.features(modality) for modality in MODALITIES}
    raw = {modality: (name,) for modality, name in RAW.items() if any(True for _ in files.holding(name))}
    if not any(stored.values()):
        return {modality: raw.get(modality, ()) for modality in MODALITIES}
    wanted = {modality: names for modality, names in raw.items() if asked.get(modality) in names}
    return {modality: (*names, *wanted.get(modality, ())) for modality, names in stored.items()}


def _column(files: Files, modality: str, found: Sequence[str], asked: str | None) -> str:
    if asked is not None:
        if asked not in found:
            raise InputError(
                f"features.{modality}: corpus {files.corpus} has no column {asked!r}; it has {', '.join(found)}"
                + _nearest(asked, found)
            )
        return asked
    main = tuple(name for name in found if any(name in file.columns for file in files.main))
    usable = main or found
    if len(usable) > 1:
        usable = tuple(name for name in usable if _gapless(files, modality, name)) or usable
    if len(usable) > 1:
        raise InputError(
            f"corpus {files.corpus}: several {modality} columns, {', '.join(found)}; "
            f"choose one, for example features: {{{modality}: {usable[0]}}}"
        )
    return usable[0]


def _nearest(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def _gapless(files: Files, modality: str, column: str) -> bool:
    """Whether every utterance that is said to have the modality has its whole vector."""
    for file in files.all:
        if column in file.columns:
            values = vectors(file, column, files.ids[file.name], finite=False)
            if not np.isfinite(values[_flags(file, modality, len(values))]).all():
                return False
    return True


def read(files: Files, modality: str, column: str, position: Mapping[str, int]) -> tuple[np.ndarray, np.ndarray, str]:
    """The vectors of a feature column, one row an utterance.

    Args:
        files: The corpus.
        modality: Its modality: ``has_<modality>`` may say that an utterance lacks it.
        column: The feature column.
        position: Row of each utterance id, 0 to N - 1.

    Returns:
        Vectors, float32, shape (N, D), NaN where missing; which are there, shape (N,); and a warning, or "".

    Raises:
        InputError: If vectors differ in length, hold infinities or are NaN in part, or the column stands twice.
    """
    size = len(position)
    claimed = np.ones(size, dtype=bool)
    for file in files.holding(f"has_{modality}"):
        rows = rows_of(files.ids[file.name], position)
        claimed[rows] &= _flags(file, modality, len(rows))
    out: np.ndarray | None = None
    filled = np.full(size, -1)
    holders = list(files.holding(column))
    for number, file in enumerate(holders):
        ids = files.ids[file.name]
        values, rows = vectors(file, column, ids), rows_of(ids, position)
        if out is None:
            out = np.full((size, values.shape[1]), np.nan, dtype=np.float32)
        _check_part(holders, number, column, values, filled[rows], out.shape[1])
        out[rows], filled[rows] = values, number
    assert out is not None
    there = ~np.isnan(out).any(axis=1)
    present = there & claimed
    out[~present] = np.nan
    return out, present, _gap_warning(files, modality, column, there, claimed)


def read_copies(
    files: Files, column: str, position: Mapping[str, int], keep: np.ndarray, original: np.ndarray
) -> tuple[dict[str, np.ndarray], list[str]]:
    """The augmented copies of an audio column; none where the corpus has none.

    Args:
        files: The corpus.
        column: The feature column.
        position: Row of each utterance id.
        keep: The utterances that are used, N of them.
        original: The column's own vectors, shape (N, D), NaN where missing.

    Returns:
        Augmentation -> vectors, float32, shape (N, D), NaN where there is no copy; and warnings.

    Raises:
        InputError: As `read`, and if a copy's vectors have another length than the original's.
    """
    found: dict[str, np.ndarray] = {}
    warnings: list[str] = []
    for name in files.copies(column):
        every, there, _ = read(files, "audio", name, position)
        copies = every[keep]
        if copies.shape[1] != original.shape[1]:
            raise InputError(
                f"corpus {files.corpus}: {name}: vectors have {copies.shape[1]} values, those of {column} "
                f"{original.shape[1]}; extract both with the same settings"
            )
        gaps = int((~there[keep] & ~np.isnan(original).any(axis=1)).sum())
        warnings += [f"{name}: {gaps} utterances have no copy; another copy or their own stands in"] if gaps else []
        found[augmentation_in(name)] = copies
    return found, warnings


def _check_part(
    holders: Sequence[File], number: int, column: str, values: np.ndarray, earlier: np.ndarray, dim: int
) -> None:
    file = holders[number]
    if (earlier >= 0).any():
        row = int(np.argmax(earlier >= 0))
        raise InputError(
            f"{file.name}: {column}, row {row}: {holders[earlier[row]].name} has this column for the same "
            "utterance; keep it in one of the two files"
        )
    if values.shape[1] != dim:
        raise InputError(
            f"{file.name}: {column}: vectors have {values.shape[1]} values, those of {holders[0].name} {dim}; "
            "extract both with the same settings"
        )


def bare(files: Files, modality: str, position: Mapping[str, int]) -> tuple[np.ndarray, np.ndarray]:
    """A modality that no encoder has turned into vectors yet: no values, and who has it.

    Returns:
        float32, shape (N, 0); which utterances have a recording, or a transcript that is not blank, shape (N,).

    Raises:
        InputError: If no utterance has one.
    """
    column, present = RAW[modality], np.zeros(len(position), dtype=bool)
    for file in files.holding(column):
        texts = text_column(file, column).to_pylist()
        there = np.array([bool(text and text.strip()) for text in texts], dtype=bool)
        rows = rows_of(files.ids[file.name], position)
        present[rows] |= there & _flags(file, modality, len(rows))
    if not present.any():
        raise InputError(f"corpus {files.corpus}: {column}: is empty in every row; leave {modality} out")
    return np.empty((len(position), 0), dtype=np.float32), present


def _gap_warning(files: Files, modality: str, column: str, there: np.ndarray, claimed: np.ndarray) -> str:
    if not (there & claimed).any():
        raise InputError(
            f"corpus {files.corpus}: {column}: no utterance has a vector; "
            f"choose another {modality} column or leave {modality} out of the modalities"
        )
    gaps = int((claimed & ~there).sum())
    flagged = any(True for _ in files.holding(f"has_{modality}"))
    if gaps and flagged:
        return f"{column}: {gaps} utterances have no vector though has_{modality} is true; they count as missing"
    return ""


def _flags(file: File, modality: str, size: int) -> np.ndarray:
    """``has_<modality>`` of each row of a file; true where the file does not say."""
    name = f"has_{modality}"
    if name not in file.columns:
        return np.ones(size, dtype=bool)
    column = file.read([name])[name]
    if not pa.types.is_boolean(column.type):
        raise InputError(f"{file.name}: {name}: holds {column.type}, expected true or false; write it as bool")
    return np.asarray(column.fill_null(True).to_numpy(), dtype=bool)


def vectors(file: File, column: str, ids: Sequence[str], *, finite: bool = True) -> np.ndarray:
    """The vectors of a column in the file's own order, float32, shape (rows, D); all NaN where null.

    Args:
        file: The file.
        column: A feature column of it.
        ids: The file's utterance ids, for errors.
        finite: Refuse infinities and rows that are NaN in part.

    Raises:
        InputError: If the vectors differ in length, or by ``finite``; it names file, column and row.
    """
    lists = file.read([column])[column].combine_chunks()
    lengths = np.asarray(pc.list_value_length(lists).fill_null(-1).to_numpy(zero_copy_only=False))
    there = lengths >= 0
    if not there.any():
        raise InputError(f"{file.name}: {column}: holds only nulls; fill it or remove the column")
    dim = int(np.bincount(lengths[there].astype(np.int64)).argmax())
    odd = np.flatnonzero(there & (lengths != dim))
    if len(odd):
        raise InputError(
            f"{file.name}: {column}, row {odd[0]} ({ids[odd[0]]}): {lengths[odd[0]]} values, the others have {dim}; "
            "extract it again, or write null where the modality is missing"
        )
    if dim == 0:
        raise InputError(f"{file.name}: {column}: vectors are empty; extract them again")
    flat = lists.drop_null().flatten().to_numpy(zero_copy_only=False)
    values = np.full((len(lists), dim), np.nan, dtype=np.float32)
    with np.errstate(over="ignore"):
        values[there] = np.asarray(flat).reshape(-1, dim).astype(np.float32)
    if finite:
        _check_finite(file, column, ids, values)
    return values


def _check_finite(file: File, column: str, ids: Sequence[str], values: np.ndarray) -> None:
    nan = np.isnan(values)
    for found, bad in (
        ("an infinite value", np.isinf(values)),
        ("NaN", nan & ~nan.all(axis=1, keepdims=True)),
    ):
        rows = np.flatnonzero(bad.any(axis=1))
        if len(rows):
            row, place = int(rows[0]), int(np.argmax(bad[rows[0]]))
            more = f" (and {len(rows) - 1} more rows)" if len(rows) > 1 else ""
            raise InputError(
                f"{file.name}: {column}, row {row} ({ids[row]}){more}: {found} at index {place}; correct it, "
                "or make the whole vector NaN if the modality is missing"
            )
