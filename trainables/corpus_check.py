"""What is in a corpus: counts, gaps, oddities, and the protocols it allows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from trainables import corpus_features
from trainables.conditions import MODALITIES
from trainables.copies import PLUS
from trainables.corpus import BUILTIN, Corpus, builtin, load
from trainables.corpus_files import Files, open_folder, text_column
from trainables.errors import InputError
from trainables.protocols import Allowance, allowed

#: Share of text vectors found in several sessions from which on it is worth a warning.
REPEATED_SHARE = 0.1
#: What corpora call speakers whom nobody knows.
NAMELESS = (
    "unknown",
    "unk",
    "n/a",
    "none",
    "null",
    "nan",
    "?",
    "-",
    "",
    "other",
    "others",
    "various",
    "multiple",
)


_NO_LABELS = "no utterance is labeled: it cannot be trained on, but be the second corpus (unlabeled) of a study"


@dataclass(frozen=True)
class Column:
    """One feature column of a corpus.

    Attributes:
        name: The column.
        modality: Its modality.
        dim: Values a vector.
        missing: Utterances without a vector.
        constant: Values that are the same in every utterance.
        used: Whether `load` takes it when not told otherwise.
    """

    name: str
    modality: str
    dim: int
    missing: int
    constant: int
    used: bool


@dataclass(frozen=True)
class CorpusSummary:
    """What `sweeper data check` shows.

    Attributes:
        name: The corpus.
        fingerprint: Of its default feature columns; "" where a column must be chosen first.
        utterances: How many.
        labeled: How many with a label.
        classes: Utterances by class.
        speakers: Labeled utterances by speaker and class, a row a speaker, with ``utterances`` in all.
        sessions: The same by session.
        splits: The same by split; empty where the corpus has none.
        dialogues: How many.
        columns: All feature columns.
        warnings: What a reader of results on this corpus should know.
        protocols: Every kind of protocol: whether it is allowed, and why not.
        recordings: Utterances with a recording, and their hours as far as they are known; None where the corpus names
            no audio files.
        transcripts: Utterances with a transcript; None where there is no such column.
    """

    name: str
    fingerprint: str
    utterances: int
    labeled: int
    classes: Mapping[str, int]
    speakers: pd.DataFrame
    sessions: pd.DataFrame
    splits: pd.DataFrame
    dialogues: int
    columns: tuple[Column, ...]
    warnings: tuple[str, ...]
    protocols: tuple[Allowance, ...]
    recordings: tuple[int, float] | None = None
    transcripts: int | None = None


def summarise(path: str | Path) -> CorpusSummary:
    """Read a corpus with all its feature columns.

    Raises:
        InputError: As `trainables.corpus.load` does, except that several feature columns are all reported.
    """
    files = builtin() if str(path) == BUILTIN else open_folder(Path(path))
    labeled = _has_labels(files)
    warnings: tuple[str, ...] = () if labeled else (_NO_LABELS,)
    try:
        corpus = load(path, labeled=labeled)
        used, print_ = dict(corpus.columns), corpus.fingerprint
    except InputError as ambiguous:
        first = {m: files.features(m)[0] for m in MODALITIES if files.features(m)}
        corpus = load(path, features=first, labeled=labeled)
        used, print_, warnings = {}, "", (*warnings, str(ambiguous))
    table = corpus.utterances
    classes = table["label"].value_counts().reindex(corpus.classes)
    return CorpusSummary(
        name=corpus.name,
        fingerprint=print_,
        utterances=len(table),
        labeled=int((corpus.labels >= 0).sum()),
        classes={str(name): int(count) for name, count in classes.items()},
        speakers=_counts(corpus, "speaker"),
        sessions=_counts(corpus, "session"),
        splits=_counts(corpus, "split"),
        dialogues=int(table["dialogue"].nunique()),
        columns=_columns(files, corpus, used),
        warnings=(*warnings, *corpus.warnings, *_cut_dependent(corpus)),
        protocols=tuple(allowed(corpus)) if labeled else (),
        recordings=_recordings(corpus),
        transcripts=int(table["transcript"].notna().sum()) if "transcript" in table else None,
    )


def _has_labels(files: Files) -> bool:
    return any(text_column(file, "label").null_count < len(files.ids[file.name]) for file in files.holding("label"))


def _recordings(corpus: Corpus) -> tuple[int, float] | None:
    found = corpus.recordings
    return (int(found.present.sum()), float(np.nansum(found.seconds)) / 3600) if found else None


def _counts(corpus: Corpus, by: str) -> pd.DataFrame:
    table = corpus.utterances
    if by not in table:
        return pd.DataFrame()
    counts = pd.crosstab(table[by], table["label"]).reindex(
        index=sorted(table[by].dropna().unique()), columns=list(corpus.classes), fill_value=0
    )
    counts.insert(0, "utterances", table[by].value_counts().reindex(counts.index))
    return counts.rename_axis(index=by, columns=None)


def _columns(files: Files, corpus: Corpus, used: Mapping[str, str]) -> tuple[Column, ...]:
    position = {name: row for row, name in enumerate(corpus.utterances["utterance_id"])}
    found = []
    for modality in MODALITIES:
        for name in _with_copies(files, modality):
            values, present, _ = corpus_features.read(files, modality, name, position)
            found.append(
                Column(
                    name=name,
                    modality=modality,
                    dim=values.shape[1],
                    missing=int((~present).sum()),
                    constant=len(_constant(values[present])),
                    used=used.get(modality) == name.partition(PLUS)[0],
                )
            )
    return tuple(found)


def _with_copies(files: Files, modality: str) -> Iterator[str]:
    for column in files.features(modality):
        yield column
        yield from files.copies(column) if modality == "audio" else ()


def content_warnings(
    utterances: pd.DataFrame,
    features: Mapping[str, np.ndarray],
    present: Mapping[str, np.ndarray],
    columns: Mapping[str, str],
) -> list[str]:
    """Oddities of a corpus that can mislead a reader of results on it.

    Args:
        utterances: The table of utterances.
        features: Modality -> vectors, shape (N, D).
        present: Modality -> which utterances have it, shape (N,).
        columns: Modality -> feature column.
    """
    found = []
    for modality, column in columns.items():
        values = features[modality][present[modality]]
        if len(constant := _constant(values)):
            places = ", ".join(map(str, constant[:5])) + (", ..." if len(constant) > 5 else "")
            found.append(f"{column}: {len(constant)} of {values.shape[1]} columns do not vary (index {places})")
    return [*found, *_nameless(utterances), *_twice(features, present)]


def _cut_dependent(corpus: Corpus) -> Iterator[str]:
    """What may matter or not, depending on the protocol: `known_texts` and `fold_check` say whether it does."""
    yield from _repeated(corpus)
    for level in ("session", "speaker"):
        yield from _absent_classes(corpus.utterances, level)


def _nameless(utterances: pd.DataFrame) -> Iterator[str]:
    plain = utterances["speaker"].str.casefold().str.strip(" <>()[]._")
    for name in utterances["speaker"][plain.isin(NAMELESS)].unique():
        count = int((utterances["speaker"] == name).sum())
        yield (
            f"{count:,} utterances are of speaker {name!r}, which counts as one: if these are several people, or are "
            "named elsewhere too, parts of a fold share speakers without showing it"
        )


def _constant(values: np.ndarray) -> np.ndarray:
    """Indices of columns with one value only."""
    return np.flatnonzero(values.min(axis=0) == values.max(axis=0))


def _repeated(corpus: Corpus) -> Iterator[str]:
    if "text" not in corpus.features or not corpus.features["text"].shape[1]:
        return
    there = corpus.present["text"]
    sessions = corpus.utterances["session"][there].to_numpy(dtype=object)
    pairs = pd.DataFrame({"key": _row_keys(corpus.features["text"][there]), "session": sessions})
    repeated = pairs.groupby("key")["session"].transform("nunique") > 1
    if repeated.mean() >= REPEATED_SHARE:
        yield (
            f"texts repeat: {repeated.sum()} of {len(pairs)} utterances ({repeated.mean():.0%}) have a text that "
            "also occurs in another session, so test texts may be known from training"
        )


def _twice(features: Mapping[str, np.ndarray], present: Mapping[str, np.ndarray]) -> Iterator[str]:
    for modality in ("audio", "video"):
        if modality in features and features[modality].shape[1]:
            same = pd.Series(_row_keys(features[modality][present[modality]])).duplicated(keep=False).sum()
            if same:
                yield f"{modality}: {same} utterances have the very vector of another; is a recording in twice?"


def _row_keys(values: np.ndarray) -> np.ndarray:
    """Each row as bytes, to be compared as a whole."""
    keys = np.empty(len(values), dtype=object)
    keys[:] = [row.tobytes() for row in values]
    return keys


def _absent_classes(utterances: pd.DataFrame, level: str) -> list[str]:
    labeled = utterances.dropna(subset=["label"])
    total, groups = labeled["label"].nunique(), labeled.groupby(level)["label"].nunique()
    short = groups[groups < total]
    if short.empty or (level == "session" and len(groups) == utterances["speaker"].nunique()):
        return []
    names = ", ".join(short.index[:3]) + (", ..." if len(short) > 3 else "")
    return [f"{len(short)} of {len(groups)} {level}s lack a class ({names})"]
