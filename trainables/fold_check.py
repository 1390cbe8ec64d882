"""What a corpus cut into folds can mislead a reader of its results about: rare classes, dialogues that are cut."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from trainables.corpus import Corpus
from trainables.errors import InputError
from trainables.folds import PARTS, Fold
from trainables.protocols import Protocol, cut

#: Fewer utterances of a class than this are few.
FEW = 10
#: Other protocols are tried, to name a remedy, only where they cut no more folds than this.
MOST_TRIED = 100


def class_counts(corpus: Corpus, fold: Fold) -> dict[str, list[int]]:
    """Utterances by class of each labeled part of a fold."""
    parts = {part: corpus.labels[getattr(fold, part)] for part in PARTS}
    return {part: np.bincount(labels, minlength=len(corpus.classes)).tolist() for part, labels in parts.items()}


def class_warnings(corpus: Corpus, folds: Sequence[Fold]) -> Iterator[str]:
    """Held-out parts that lack a class, or have so little of one that a single utterance moves UAR by points."""
    counts = [class_counts(corpus, fold) for fold in folds]
    tables = {part: np.array([each[part] for each in counts]) for part in ("test", "dev")}
    for part, table in tables.items():
        if (table == 0).any():
            yield _absent(corpus, folds, part, table)
    parts = [_least(corpus, folds, part, table) for part, table in tables.items() if _few(table).any()]
    if parts:
        most = max(_step(table) for table in tables.values())
        yield (
            f"classes have fewer than {FEW} utterances {', '.join(parts)}: one utterance moves the UAR of such a fold "
            f"by up to {100 * most:.1f} points"
        )


def _absent(corpus: Corpus, folds: Sequence[Fold], part: str, table: np.ndarray) -> str:
    names = np.array(corpus.classes, dtype=object)
    lacking = [
        f"{fold.name} lacks {', '.join(names[row == 0])}"
        for fold, row in zip(folds, table, strict=True)
        if (row == 0).any()
    ]
    more = f"; and {len(lacking) - 3} more" if len(lacking) > 3 else ""
    return (
        f"classes are absent from {part} in {len(lacking)} of {len(folds)} folds ({'; '.join(lacking[:3])}{more}); UAR "
        "there is the mean over the classes present"
    )


def _few(table: np.ndarray) -> np.ndarray:
    return (table > 0) & (table < FEW)


def _least(corpus: Corpus, folds: Sequence[Fold], part: str, table: np.ndarray) -> str:
    fold, label = map(int, np.unravel_index(np.where(_few(table), table, FEW).argmin(), table.shape))
    least = f"{table[fold, label]} of {corpus.classes[label]} in {folds[fold].name}"
    return f"in {part} of {_few(table).any(axis=1).sum()} of {len(folds)} folds (least: {least})"


def _step(table: np.ndarray) -> float:
    """The most that one utterance can move UAR by: 1 over utterances of its class and over classes there."""
    with np.errstate(divide="ignore"):
        steps = 1 / table / (table > 0).sum(axis=1, keepdims=True)
    return float(steps[_few(table)].max(initial=0.0))


def context_warnings(
    corpus: Corpus, folds: Sequence[Fold], protocol: Protocol, fields: Mapping[str, str]
) -> Iterator[str]:
    """What it means that a method reads other utterances of a dialogue where folds cut dialogues.

    Args:
        corpus: The corpus.
        folds: Its folds.
        protocol: How they were cut.
        fields: Of the methods that do: the config field that says how many turns are read together.
    """
    dialogue = _dialogues(corpus)
    shared = [_shared(dialogue, fold.dev, fold.test) for fold in folds]
    dev = max(1, sum(len(fold.dev) for fold in folds))
    for method, field in fields.items() if any(shared) else ():
        yield (
            f"DEV READS TEST: {method} reads an utterance with the others of its dialogue ({field}), and in "
            f"{sum(each > 0 for each in shared)} of {len(folds)} folds {sum(shared) / dev:.0%} of the dev utterances "
            "have test utterances in theirs: dev, which chooses epochs and arms, sees test features, though no labels; "
            f"{_remedy(corpus, protocol)}{field}: 1 reads no other utterance"
        )


def _dialogues(corpus: Corpus) -> np.ndarray:
    """Number of the dialogue of each utterance, shape (N,)."""
    return pd.factorize(corpus.utterances["dialogue"])[0]


def _shared(dialogue: np.ndarray, part: np.ndarray, other: np.ndarray) -> int:
    """How many utterances of a part have one of another part in their dialogue."""
    return int(np.isin(dialogue[part], dialogue[other]).sum())


def _remedy(corpus: Corpus, protocol: Protocol) -> str:
    """Protocols near the study's that keep the dialogues of dev and test apart; "" if there are none."""
    nearest: tuple[tuple[str, dict[str, Any]], ...] = (
        ("protocol.dev: session", {"dev": "session"}),
        ("protocol: {kind: leave-one-session-out}", {"kind": "leave-one-session-out", "dev": "auto"}),
    )
    dialogue, found = _dialogues(corpus), []
    if corpus.utterances["session"].nunique() > MOST_TRIED or corpus.utterances["speaker"].nunique() > MOST_TRIED:
        return ""
    for text, change in nearest:
        try:
            folds, _ = cut(corpus, Protocol.model_validate(protocol.model_dump() | {"group": "speaker"} | change))
        except (InputError, ValidationError):
            continue
        if not any(_shared(dialogue, fold.dev, fold.test) for fold in folds):
            train = any(_shared(dialogue, fold.train, fold.test) for fold in folds)
            found.append(text + (" (train and test then share them)" if train else ""))
    return f"{' or '.join(found)} keeps the dialogues of dev and test apart; " if found else ""
