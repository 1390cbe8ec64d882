"""A corpus: utterances with their speakers, sessions, dialogues and labels, and one feature array a modality.

On disk it is a folder of Parquet files joined on ``utterance_id``; see `load`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa

from trainables import corpus_features, corpus_rows
from trainables import recordings as audio
from trainables.corpus_files import File, Files, in_memory, open_folder, text_column
from trainables.corpus_rows import Where, joined, matching
from trainables.errors import InputError
from trainables.recordings import Recordings

if TYPE_CHECKING:
    from trainables.corpus_check import CorpusSummary

#: The corpus that needs no file: `trainables.synth` makes it in memory.
BUILTIN = "builtin"
#: Raised when the fingerprint of the same content changes.
_FINGERPRINT_VERSION = b"corpus 1"


@dataclass(frozen=True)
class Corpus:
    """What a method is trained on; rows are utterances, sorted by ``utterance_id`` within each corpus.

    Attributes:
        name: The folder's name, or ``builtin``.
        utterances: N rows with ``utterance_id``, ``speaker``, ``session``, ``dialogue``, ``turn``, ``label``
            (NA = unlabeled), ``split`` and ``transcript`` where the corpus has them, and ``corpus`` where it was
            joined from two.
        features: Modality -> vectors, float32, shape (N, D), all NaN where the modality is missing; D is 0 where no
            encoder has made vectors of it yet (column ``recording`` or ``transcript``).
        present: Modality -> which utterances have it, bool, shape (N,).
        labels: Class indices, int64, shape (N,); -1 = unlabeled.
        classes: Class names, sorted.
        columns: Modality -> name of the feature column used.
        fingerprint: SHA-256 (hex) of ids, groups, labels and vectors: the same however the files are named,
            ordered, split or compressed.
        warnings: What a reader of results on this corpus should know.
        recordings: Where the audio of each utterance is; None where the corpus names no files.
        copies: Augmentation -> the audio's vectors of augmented copies, shape (N, D), NaN where there is none; only to
            be trained on. They are columns ``<feature column>+<augmentation>``.
    """

    name: str
    utterances: pd.DataFrame
    features: Mapping[str, np.ndarray]
    present: Mapping[str, np.ndarray]
    labels: np.ndarray
    classes: tuple[str, ...]
    columns: Mapping[str, str]
    fingerprint: str
    warnings: tuple[str, ...]
    recordings: Recordings | None = None
    copies: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def speakers(self) -> np.ndarray:
        """Speaker of each utterance, shape (N,), objects."""
        return self.utterances["speaker"].to_numpy(dtype=object)

    @property
    def guests(self) -> np.ndarray:
        """Which utterances come from a second, unlabeled corpus, shape (N,), bool."""
        if "corpus" not in self.utterances:
            return np.zeros(len(self.labels), dtype=bool)
        return (self.utterances["corpus"] != self.name).to_numpy(dtype=bool, copy=True)


def load(
    path: str | Path,
    *,
    features: Mapping[str, str] | None = None,
    modalities: Sequence[str] | None = None,
    labeled: bool = True,
    where: Where | None = None,
) -> Corpus:
    """Read and check a corpus.

    The folder's ``*.parquet`` files are joined on ``utterance_id``. Main files hold utterances: ``speaker`` and, if
    there are any, ``session`` (else the speaker), ``dialogue`` (else the utterance), ``turn`` (else 0), ``label``
    (null = unlabeled), ``split`` (train, dev or test) and ``transcript``. Feature columns are lists of numbers called
    ``audio_...``, ``text_...`` or ``video_...``, in a main file or in a side file of the same utterances. A vector
    that is null or all NaN, or a false ``has_audio`` (``has_text``, ``has_video``), means a missing modality.
    Audio files are named in a column ``recording``; see `trainables.recordings`. Columns of augmented copies, such as
    ``audio_mfcc+noise10``, are read with the column they are copies of.

    Args:
        path: The folder, or ``builtin`` for the corpus of `trainables.synth`.
        features: Feature column by modality, where there are several; by default the only one of the main files,
            or the only one without gaps.
        modalities: Which modalities to read; by default all.
        labeled: Refuse a corpus that cannot be trained on: no labels, fewer than two classes, or a class with a
            single utterance. Prediction needs none.
        where: Use only utterances with these values, such as ``{"scenario": "improvised"}``.

    Raises:
        InputError: In one line: file, column, row, what was found, and the remedy.
    """
    files = builtin() if str(path) == BUILTIN else open_folder(Path(path))
    columns = corpus_features.choose(files, features, modalities)
    utterances, warnings = _utterances(files)
    position = {name: row for row, name in enumerate(utterances["utterance_id"])}
    keep = matching(files, position, where or {})
    utterances = utterances[keep].reset_index(drop=True)
    if labeled:
        _check_labels(files, utterances["label"])
    arrays: dict[str, np.ndarray] = {}
    present: dict[str, np.ndarray] = {}
    for modality, column in columns.items():
        if column == corpus_features.RAW.get(modality):
            vectors, there = corpus_features.bare(files, modality, position)
        else:
            vectors, there, warning = corpus_features.read(files, modality, column, position)
            warnings += [warning] if warning else []
        arrays[modality], present[modality] = vectors[keep], there[keep]
    from trainables.corpus_check import content_warnings

    warnings += content_warnings(utterances, arrays, present, columns)
    found = audio.of(files, Path(path), position)
    copies: dict[str, np.ndarray] = {}
    if "audio" in columns:
        copies, gaps = corpus_features.read_copies(files, columns["audio"], position, keep, arrays["audio"])
        warnings += gaps
    return _corpus(
        files.corpus, utterances, arrays, present, columns, warnings, found.take(keep) if found else None, copies
    )


def read(
    path: str | Path,
    *,
    features: Mapping[str, str] | None = None,
    modalities: Sequence[str] | None = None,
    where: Where | None = None,
    unlabeled: str | Path | None = None,
) -> Corpus:
    """`load` a corpus to train on, `with_unlabeled` utterances of a second one where that is named.

    Raises:
        InputError: As those two do.
    """
    corpus = load(path, features=features, modalities=modalities, where=where)
    if unlabeled is None:
        return corpus
    try:
        other = load(unlabeled, features=corpus.columns, modalities=tuple(corpus.columns), labeled=False)
    except InputError as error:
        raise InputError(f"unlabeled: {error}") from None
    return with_unlabeled(corpus, other)


def kinds(path: str | Path, corpus: Corpus) -> dict[str, np.ndarray]:
    """Columns by which a part of a corpus can be used alone; see `corpus_rows.kinds`.

    A column whose value tells the class, such as the corpus's own label, is none: it selects classes.

    Raises:
        InputError: If the folder cannot be read.
    """
    files = builtin() if str(path) == BUILTIN else open_folder(Path(path))
    labeled, found = corpus.labels >= 0, corpus_rows.kinds(files, corpus.utterances["utterance_id"].tolist())
    classes = pd.Series(corpus.labels[labeled])
    return {name: each for name, each in found.items() if classes.groupby(each[labeled]).nunique().max() > 1}


def with_unlabeled(corpus: Corpus, other: Corpus) -> Corpus:
    """A labeled corpus with the utterances of another as unlabeled ones, for semi-supervised training.

    Args:
        corpus: What is classified; it alone is held out from and tested on.
        other: Its labels are dropped; it must have the same feature columns.

    Raises:
        InputError: If the two are one corpus, or their vectors differ in size.
    """
    if corpus.fingerprint == other.fingerprint:
        raise InputError("unlabeled: is the corpus itself, whose unlabeled utterances are used anyway; remove it")
    for modality, column in corpus.columns.items():
        sizes = [each.features[modality].shape[1] for each in (corpus, other)]
        if sizes[0] != sizes[1]:
            raise InputError(
                f"unlabeled: {column} of corpus {other.name} has {sizes[1]} values, that of {corpus.name} {sizes[0]}; "
                "extract both with the same settings"
            )
    return _corpus(
        corpus.name,
        joined(corpus.utterances, other.utterances, corpus.name, other.name),
        {name: np.concatenate([corpus.features[name], other.features[name]]) for name in corpus.features},
        {name: np.concatenate([corpus.present[name], other.present[name]]) for name in corpus.present},
        corpus.columns,
        [*corpus.warnings, *(f"unlabeled {other.name}: {each}" for each in other.warnings)],
        corpus.recordings.joined(other.recordings) if corpus.recordings and other.recordings else None,
        {name: _longer(vectors, len(other.labels)) for name, vectors in corpus.copies.items()},
    )


def _longer(vectors: np.ndarray, rows: int) -> np.ndarray:
    """Vectors with rows of NaN behind them."""
    return np.pad(vectors, ((0, rows), (0, 0)), constant_values=np.nan)


def _corpus(
    name: str,
    utterances: pd.DataFrame,
    features: Mapping[str, np.ndarray],
    present: Mapping[str, np.ndarray],
    columns: Mapping[str, str],
    warnings: Sequence[str],
    found: Recordings | None,
    copies: Mapping[str, np.ndarray],
) -> Corpus:
    classes = tuple(sorted(utterances["label"].dropna().unique()))
    index = {each: number for number, each in enumerate(classes)}
    return Corpus(
        name=name,
        utterances=utterances,
        features=features,
        present=present,
        labels=np.array([index.get(label, -1) for label in utterances["label"]], dtype=np.int64),
        classes=classes,
        columns=columns,
        fingerprint=fingerprint(
            utterances, features, present, found if columns.get("audio") == "recording" else None, copies
        ),
        warnings=tuple(warnings),
        recordings=found,
        copies=copies,
    )


def inspect(path: str | Path) -> CorpusSummary:
    """What a corpus holds and which protocols it allows; see `trainables.corpus_check.CorpusSummary`.

    Raises:
        InputError: As `load` does, except that several feature columns of a modality are all reported.
    """
    from trainables.corpus_check import summarise

    return summarise(path)


def builtin() -> Files:
    """The built-in corpus as files in memory."""
    from trainables import synth

    return in_memory(BUILTIN, synth.make())


def fingerprint(
    utterances: pd.DataFrame,
    features: Mapping[str, np.ndarray],
    present: Mapping[str, np.ndarray],
    recordings: Recordings | None = None,
    copies: Mapping[str, np.ndarray] | None = None,
) -> str:
    """SHA-256 (hex) of the content that can change a result.

    Args:
        utterances: Sorted by ``utterance_id``.
        features: Modality -> vectors, shape (N, D).
        present: Modality -> which utterances have it, shape (N,).
        recordings: Where they stand for the audio.
        copies: Augmentation -> vectors, shape (N, D), NaN where there is none.
    """
    digest = hashlib.sha256(_FINGERPRINT_VERSION)

    def add(*parts: bytes) -> None:
        for part in parts:
            digest.update(len(part).to_bytes(8, "little"))
            digest.update(part)

    for name in ("utterance_id", "speaker", "session", "dialogue", "turn", "split", "label", "corpus"):
        if name in utterances:
            texts = [None if pd.isna(value) else str(value) for value in utterances[name]]
            add(name.encode(), *(b"\0" if text is None else b"\1" + text.encode() for text in texts))
    for modality in sorted(features):
        there = present[modality]
        values = np.where(there[:, None], features[modality], 0.0).astype("<f4") + np.float32(0)
        add(modality.encode(), str(values.shape).encode(), there.tobytes(), values.tobytes())
    for name, vectors in sorted((copies or {}).items()):
        add(b"copies", name.encode(), np.isnan(vectors).tobytes(), np.nan_to_num(vectors).astype("<f4").tobytes())
    if recordings is not None:
        add(*(each.encode() for each in recordings.identity()))
    if "text" in features and not features["text"].shape[1]:
        add(*(str(text).encode() for text in utterances["transcript"]))
    return digest.hexdigest()


def _utterances(files: Files) -> tuple[pd.DataFrame, list[str]]:
    """The table of utterances, sorted by id, and what had to be assumed."""
    tables = [_describe(files, file) for file in files.main]
    table = pd.concat(tables, ignore_index=True).sort_values("utterance_id", kind="stable", ignore_index=True)
    _check_side_columns(files, table)
    warnings = []
    for name, source, meaning in (
        ("session", "speaker", "each speaker is a session"),
        ("dialogue", "utterance_id", "each utterance is a dialogue"),
        ("turn", None, "the order inside dialogues is unknown"),
    ):
        if name not in table:
            table[name] = 0 if source is None else table[source]
            warnings.append(f"no column {name}: {meaning}")
    if "label" not in table:
        table["label"] = pd.Series(pd.NA, index=table.index, dtype="str")
    order = ("utterance_id", "speaker", "session", "dialogue", "turn", "split", "label", "transcript")
    return table[[name for name in order if name in table]], warnings


def _describe(files: Files, file: File) -> pd.DataFrame:
    """The describing columns of one main file, in its order."""
    columns: dict[str, object] = {"utterance_id": pd.array(files.ids[file.name], dtype="str")}
    optional = [name for name in ("session", "dialogue", "split", "label", "transcript") if _shared(files, file, name)]
    for name in ("speaker", *optional):
        values = text_column(file, name).to_pylist()
        _check_texts(file, name, values, files.ids[file.name])
        columns[name] = pd.array(values, dtype="str")
    if _shared(files, file, "turn"):
        columns["turn"] = _turns(file, files.ids[file.name])
    return pd.DataFrame(columns)


def _shared(files: Files, file: File, name: str) -> bool:
    """Whether a file has a column; all main files have it or none does."""
    there = [name in each.columns for each in files.main]
    if any(there) and not all(there):
        has, lacks = files.main[there.index(True)].name, files.main[there.index(False)].name
        raise InputError(f"{lacks}: no column {name}, though {has} has one; add it (null where unknown)")
    return name in file.columns


def _check_texts(file: File, name: str, values: list[str | None], ids: list[str]) -> None:
    allowed = {"split": ("train", "dev", "test")}.get(name)
    for row, value in enumerate(values):
        place = f"{file.name}: {name}, row {row} ({ids[row]})"
        if value is None:
            if name in ("speaker", "session", "dialogue"):
                raise InputError(f"{place}: is missing; every utterance needs a {name}")
        elif name == "transcript":
            continue
        elif value != value.strip() or not value:
            raise InputError(f"{place}: {value!r} is blank or padded; remove the spaces, null means none")
        elif allowed and value not in allowed:
            raise InputError(f"{place}: found {value!r}, expected {', '.join(allowed)} or null; rename it")


def _turns(file: File, ids: list[str]) -> np.ndarray:
    column = file.read(["turn"])["turn"]
    if not pa.types.is_integer(column.type):
        raise InputError(f"{file.name}: turn: holds {column.type}, expected whole numbers; write it as int")
    if column.null_count:
        row = int(np.flatnonzero(column.is_null().to_numpy())[0])
        raise InputError(f"{file.name}: turn, row {row} ({ids[row]}): is missing; number the turns from 0")
    try:
        return np.asarray(column.cast(pa.int64()).to_numpy(), dtype=np.int64)
    except pa.ArrowInvalid:
        raise InputError(f"{file.name}: turn: holds numbers beyond 64 bits; number the turns from 0") from None


def _check_side_columns(files: Files, table: pd.DataFrame) -> None:
    """Where a side file repeats speaker or label, it must say the same."""
    for name in ("speaker", "label"):
        if name not in table:
            continue
        truth = dict(zip(table["utterance_id"], table[name], strict=True))
        for file in files.side:
            if name in file.columns:
                for row, (key, value) in enumerate(
                    zip(files.ids[file.name], text_column(file, name).to_pylist(), strict=True)
                ):
                    known: str | None = None if pd.isna(truth[key]) else truth[key]
                    if value != known:
                        raise InputError(
                            f"{file.name}: {name}, row {row} ({key}): {value!r}, but the main file says {known!r}; "
                            "correct one of the two"
                        )


def _check_labels(files: Files, labels: pd.Series) -> None:
    counts = labels.value_counts()
    if len(counts) == 0:
        raise InputError(
            f"{files.main[0].name}: label: no utterance is labeled; add a text column label with the class of each "
            "utterance (null = unlabeled)"
        )
    if len(counts) == 1:
        raise InputError(
            f"{files.main[0].name}: label: all {counts.iloc[0]} labels are {counts.index[0]!r}; "
            "a classifier needs at least 2 classes"
        )
    if counts.min() < 2:
        raise InputError(
            f"{files.main[0].name}: label: class {counts.idxmin()!r} has a single utterance; "
            "a class needs at least 2: set its label to null, or merge it into another class"
        )
