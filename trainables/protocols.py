"""Protocols: how a corpus is cut into folds of train, dev and test, apart by speaker.

Groups (speakers or sessions) are taken in the order of their first utterance, and dealt by size, so renaming
speakers or classes changes no fold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, Self, get_args

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from trainables.corpus import Corpus
from trainables.errors import InputError
from trainables.folds import PARTS, Fold

Kind = Literal["leave-one-speaker-out", "leave-one-session-out", "group-k-fold", "predefined"]
#: How many folds `group-k-fold` makes when not told.
DEFAULT_FOLDS = 5
_DEV: Mapping[Kind, tuple[str, ...]] = {
    "leave-one-speaker-out": ("auto", "same-session", "speaker", "session"),
    "leave-one-session-out": ("auto", "session", "speaker"),
    "group-k-fold": ("auto",),
    "predefined": ("auto",),
}


class Protocol(BaseModel):
    """How to cut a corpus."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    kind: Kind
    """What is held out: each speaker, each session, each of k groups of speakers, or the corpus's own split."""
    dev: Literal["auto", "same-session", "speaker", "session"] = "auto"
    """What dev is. leave-one-speaker-out: the other speakers of the test session (``same-session``, and ``auto``
    where every session has them), the next ``speaker``, or the next ``session``. leave-one-session-out: the next
    ``session`` (``auto``), or one ``speaker`` of it, in turns, while the others train. Else the next group."""
    folds: int | None = Field(None, ge=3)
    """k of group-k-fold (5); for the others, deal speakers or sessions into so many test groups of similar size."""
    group: Literal["speaker", "session"] = "speaker"
    """What group-k-fold deals."""
    seed: int = Field(0, ge=0)
    """Order in which groups of equal size are dealt; matters only where groups are dealt."""

    @model_validator(mode="after")
    def _fits_kind(self) -> Self:
        if self.dev not in _DEV[self.kind]:
            raise ValueError(f"dev: {self.dev} does not fit {self.kind}; use {' or '.join(_DEV[self.kind])}")
        if self.group != "speaker" and self.kind != "group-k-fold":
            raise ValueError(f"group: fits group-k-fold only, not {self.kind}; remove it")
        if self.folds is not None and self.kind == "predefined":
            raise ValueError("folds: a predefined split is one fold; remove it, or use group-k-fold")
        return self


class Allowance(NamedTuple):
    """Whether a corpus allows a protocol.

    Attributes:
        kind: The protocol's kind, all else at its defaults.
        allowed: Whether it can be cut.
        reason: Why not; or what to know: the number of folds, and warnings.
    """

    kind: str
    allowed: bool
    reason: str


def allowed(corpus: Corpus) -> list[Allowance]:
    """Try every kind of protocol on a corpus."""
    answers = []
    for kind in get_args(Kind):
        try:
            folds, warnings = cut(corpus, Protocol(kind=kind))
        except InputError as error:
            answers.append(Allowance(kind, False, str(error)))
        else:
            count = f"{len(folds)} fold{'s' if len(folds) > 1 else ''}"
            answers.append(Allowance(kind, True, "; ".join((count, *warnings))))
    return answers


def cut(corpus: Corpus, protocol: Protocol) -> tuple[tuple[Fold, ...], tuple[str, ...]]:
    """Cut a corpus into folds.

    Args:
        corpus: What to cut.
        protocol: How.

    Returns:
        The folds, and warnings to be shown with every result.

    Raises:
        InputError: If the corpus does not allow the protocol, or a part would lack classes.
    """
    make = {
        "leave-one-speaker-out": _leave_one_speaker_out,
        "leave-one-session-out": _leave_one_session_out,
        "group-k-fold": _group_k_fold,
        "predefined": _predefined,
    }[protocol.kind]
    folds, warnings = make(corpus, protocol)
    for fold in folds:
        _check_classes(corpus, fold, protocol)
    return tuple(folds), (*warnings, *_dialogue_warning(corpus, folds))


def _leave_one_speaker_out(corpus: Corpus, protocol: Protocol) -> tuple[list[Fold], list[str]]:
    names, speaker = _groups(corpus, "speaker")
    blocks = _blocks(corpus, protocol, speaker, len(names))
    sessions, session = _groups(corpus, "session")
    home = session[_first(speaker)]
    choice = _dev_choice(protocol, home[: len(names)], nested=_stranger(speaker, session) is None)
    folds = []
    for number, test in enumerate(blocks):
        if choice == "speaker":
            dev = blocks[(number + 1) % len(blocks)]
        else:
            wanted = home[test[0]] if choice == "same-session" else (home[test[0]] + 1) % len(sessions)
            dev = np.setdiff1d(np.flatnonzero(home == wanted), test)
        name = _name(names, test, number, protocol)
        folds.append(_fold(corpus, name, np.isin(speaker, dev), np.isin(speaker, test)))
    return folds, []


def _dev_choice(protocol: Protocol, home: np.ndarray, *, nested: bool) -> str:
    """What dev is when one speaker is tested, given the session of each speaker."""
    nested = nested and protocol.folds is None
    shared = nested and np.unique(home, return_counts=True)[1].min() >= 2
    if protocol.dev == "auto":
        return "same-session" if shared else "speaker"
    if (protocol.dev == "same-session" and not shared) or (protocol.dev == "session" and not nested):
        many = "two labeled speakers or more in each session, " if protocol.dev == "same-session" else ""
        raise InputError(
            f"protocol.dev: {protocol.dev} needs {many}each speaker in one session only, and folds unset; use speaker"
        )
    return protocol.dev


def _leave_one_session_out(corpus: Corpus, protocol: Protocol) -> tuple[list[Fold], list[str]]:
    names, session = _groups(corpus, "session")
    _check_nested(corpus)
    blocks = _blocks(corpus, protocol, session, len(names))
    _, speaker = _groups(corpus, "speaker")
    folds = []
    for number, test in enumerate(blocks):
        dev = np.isin(session, blocks[(number + 1) % len(blocks)])
        if protocol.dev == "speaker":
            candidates = np.unique(speaker[dev & (corpus.labels >= 0)])
            dev = speaker == candidates[number % len(candidates)]
        folds.append(_fold(corpus, _name(names, test, number, protocol), dev, np.isin(session, test)))
    return folds, []


def _group_k_fold(corpus: Corpus, protocol: Protocol) -> tuple[list[Fold], list[str]]:
    if protocol.group == "session":
        _check_nested(corpus)
    names, group = _groups(corpus, protocol.group)
    dealt = protocol.model_copy(update={"folds": protocol.folds or DEFAULT_FOLDS})
    blocks = _blocks(corpus, dealt, group, len(names))
    parts = [np.isin(group, block) for block in blocks]
    after = [*parts[1:], parts[0]]
    folds = [
        _fold(corpus, _name(names, blocks[number], number, dealt), after[number], part)
        for number, part in enumerate(parts)
    ]
    return folds, []


def _name(names: Sequence[str], test: np.ndarray, number: int, protocol: Protocol) -> str:
    """The group that is tested, or the number of the fold where groups are dealt."""
    return names[test[0]] if protocol.folds is None else f"fold {number + 1}"


def _predefined(corpus: Corpus, protocol: Protocol) -> tuple[list[Fold], list[str]]:
    del protocol
    if "split" not in corpus.utterances:
        raise InputError(f"protocol.kind: corpus {corpus.name} has no column split; use another kind")
    split = corpus.utterances["split"].to_numpy(dtype=object)
    rows = {part: np.flatnonzero((split == part) & (corpus.labels >= 0)) for part in PARTS}
    for part, found in rows.items():
        if len(found) == 0:
            raise InputError(f"protocol.kind: corpus {corpus.name} has no labeled utterance with split {part!r}")
    speakers = {part: set(corpus.speakers[found]) for part, found in rows.items()}
    unlabeled = np.flatnonzero((split == "train") & (corpus.labels < 0))
    speakers["train"] |= set(corpus.speakers[unlabeled])
    warnings = []
    if shared := (speakers["train"] | speakers["dev"]) & speakers["test"]:
        spoken = float(np.isin(corpus.speakers[rows["test"]], list(shared)).mean())
        warnings.append(
            f"SHARED SPEAKERS: {len(shared)} of {len(speakers['test'])} test speakers, with {spoken:.0%} of the test "
            "utterances, are also in train or dev; the result does not hold for unseen speakers"
        )
    elif speakers["train"] & speakers["dev"]:
        warnings.append("SHARED SPEAKERS: train and dev share speakers; dev scores are optimistic")
    fold = Fold.make("predefined", corpus, **rows, unlabeled=unlabeled, allow_shared_speakers=bool(warnings))
    if left := int(((corpus.labels >= 0) & ~np.isin(split, PARTS)).sum()):
        warnings.append(f"{left} labeled utterances have no split and are left out")
    return [fold], warnings


def _fold(corpus: Corpus, name: str, dev: np.ndarray, test: np.ndarray) -> Fold:
    """Labeled utterances by masks over the corpus; all that is in neither is train."""
    labeled = corpus.labels >= 0
    train = ~dev & ~test
    parts = (np.flatnonzero(mask) for mask in (train & labeled, dev & labeled, test & labeled, train & ~labeled))
    return Fold.make(name, corpus, *parts)


def _groups(corpus: Corpus, column: str) -> tuple[list[str], np.ndarray]:
    """Names in the order of first utterance, of groups with a labeled one first; index of each utterance's."""
    values = corpus.utterances[column].to_numpy(dtype=object)
    labeled = dict.fromkeys(values[corpus.labels >= 0])
    names = list(labeled | dict.fromkeys(values))
    index = {name: number for number, name in enumerate(names)}
    return names[: len(labeled)], np.array([index[value] for value in values], dtype=np.int64)


def _first(groups: np.ndarray) -> np.ndarray:
    """Row of the first utterance of each group."""
    return np.unique(groups, return_index=True)[1]


def _stranger(speaker: np.ndarray, session: np.ndarray) -> int | None:
    """Row of an utterance outside the first session of its speaker, if there is one."""
    away = np.flatnonzero(session != session[_first(speaker)][speaker])
    return int(away[0]) if len(away) else None


def _check_nested(corpus: Corpus) -> None:
    row = _stranger(_groups(corpus, "speaker")[1], _groups(corpus, "session")[1])
    if row is not None:
        raise InputError(
            f"protocol.kind: speaker {corpus.speakers[row]!r} is in several sessions, so sessions do not keep "
            "speakers apart; use leave-one-speaker-out or group-k-fold by speaker"
        )


def _blocks(corpus: Corpus, protocol: Protocol, group: np.ndarray, count: int) -> list[np.ndarray]:
    """Which groups each fold tests: one each, or dealt into ``folds`` blocks of similar size and classes."""
    k = protocol.folds
    least = 3 if k is None else k
    if count < least:
        what = protocol.group if protocol.kind == "group-k-fold" else protocol.kind.split("-")[2]
        raise InputError(
            f"protocol: {protocol.kind} needs {least} {what}s with labels or more, corpus {corpus.name} has {count}; "
            "use fewer folds or another kind"
        )
    if k is None:
        return [np.array([number]) for number in range(count)]
    return _deal(corpus, group, count, k, protocol.seed)


def _deal(corpus: Corpus, group: np.ndarray, count: int, k: int, seed: int) -> list[np.ndarray]:
    """Deal groups, largest first, each to the block that keeps class counts most even."""
    labeled = corpus.labels >= 0
    counts = np.zeros((count, len(corpus.classes)))
    np.add.at(counts, (group[labeled], corpus.labels[labeled]), 1)
    share = counts / counts.sum(axis=0)
    order = np.random.default_rng(seed).permutation(count) if seed else np.arange(count)
    order = order[np.argsort(-counts.sum(axis=1)[order], kind="stable")]
    held, sizes, dealt = np.zeros((k, share.shape[1])), np.zeros(k), np.zeros(count, dtype=np.int64)
    for place, number in enumerate(order):
        left = count - place
        empty = sizes == 0
        uneven = ((held + share[number]) ** 2 - held**2).sum(axis=1).round(9)
        # As many groups left as empty blocks: each of them must go to an empty one.
        rank = np.lexsort((np.arange(k), sizes, uneven, ~empty if left <= empty.sum() else np.zeros(k)))
        block = rank[0]
        held[block] += share[number]
        sizes[block] += counts[number].sum()
        dealt[number] = block
    return [np.flatnonzero(dealt == block) for block in range(k)]


def _check_classes(corpus: Corpus, fold: Fold, protocol: Protocol) -> None:
    for part in PARTS:
        held = np.unique(corpus.labels[getattr(fold, part)])
        needed = len(corpus.classes) if part == "train" else 2
        if len(held) >= needed:
            continue
        lacking = [name for number, name in enumerate(corpus.classes) if number not in held]
        remedy = "use another kind" if protocol.kind == "predefined" else "set protocol.folds to make larger parts"
        raise InputError(
            f"protocol: {protocol.kind}, fold {fold.name}: {part} has {len(held)} of {len(corpus.classes)} classes "
            f"(none of {', '.join(lacking)}) and needs {needed}; {remedy}, or merge classes"
        )


def _dialogue_warning(corpus: Corpus, folds: Sequence[Fold]) -> list[str]:
    dialogue = corpus.utterances["dialogue"].to_numpy(dtype=object)
    for part in ("test", "dev"):
        hit = [fold for fold in folds if set(dialogue[fold.train]) & set(dialogue[getattr(fold, part)])]
        if hit:
            return [
                f"train and {part} share dialogues in {len(hit)} of {len(folds)} folds: what was said, or how a "
                "partner answered, may be known from training"
            ]
    return []


__all__ = ["Allowance", "Fold", "Kind", "Protocol", "allowed", "cut"]
