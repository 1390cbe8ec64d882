"""A fold: train, dev and test parts of a corpus, apart by speaker."""

from __future__ import annotations

from dataclasses import InitVar, dataclass, field

import numpy as np

from trainables.corpus import Corpus
from trainables.errors import InputError

#: The parts of a fold that are labeled.
PARTS = ("train", "dev", "test")


@dataclass(frozen=True, eq=False)
class Fold:
    """One cut of a corpus; arrays hold corpus rows, sorted, int64.

    Attributes:
        name: Such as the speaker that is tested.
        train: Labeled utterances to train on.
        dev: Labeled utterances to choose epochs and arms on.
        test: Labeled utterances to report.
        unlabeled: Unlabeled utterances of the train side.
        speakers: Speaker of every utterance of the corpus; only checked, not kept.
        allow_shared_speakers: Do not check them: only for a corpus whose own split shares speakers.

    Raises:
        InputError: If a speaker or an utterance is in two parts.
    """

    name: str
    train: np.ndarray
    dev: np.ndarray
    test: np.ndarray
    unlabeled: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    speakers: InitVar[np.ndarray | None] = None
    allow_shared_speakers: InitVar[bool] = False

    def __post_init__(self, speakers: np.ndarray | None, allow_shared_speakers: bool) -> None:
        for part in (*PARTS, "unlabeled"):
            rows = np.sort(np.asarray(getattr(self, part), dtype=np.int64))
            rows.flags.writeable = False
            object.__setattr__(self, part, rows)
        everything = np.concatenate([self.train, self.dev, self.test, self.unlabeled])
        if len(np.unique(everything)) < len(everything):
            raise InputError(f"fold {self.name}: an utterance is in two parts; each may be in one only")
        if speakers is None:
            raise InputError(f"fold {self.name}: needs the speakers of all utterances, to keep them apart")
        if not allow_shared_speakers:
            self._check_apart(speakers)

    def _check_apart(self, speakers: np.ndarray) -> None:
        known: dict[object, str] = {}
        for part in PARTS:
            rows = getattr(self, part)
            if part == "train":
                rows = np.concatenate([rows, self.unlabeled])
            for speaker in set(speakers[rows]):
                if speaker in known:
                    raise InputError(
                        f"fold {self.name}: speaker {speaker!r} is in {known[speaker]} and in {part}; "
                        "keep the utterances of a speaker in one part"
                    )
                known[speaker] = part

    @classmethod
    def make(
        cls,
        name: str,
        corpus: Corpus,
        train: np.ndarray,
        dev: np.ndarray,
        test: np.ndarray,
        unlabeled: np.ndarray | None = None,
        *,
        allow_shared_speakers: bool = False,
    ) -> Fold:
        """A fold of a corpus, checked.

        Raises:
            InputError: If a speaker or an utterance is in two parts.
        """
        rest = np.empty(0, dtype=np.int64) if unlabeled is None else unlabeled
        return cls(name, train, dev, test, rest, corpus.speakers, allow_shared_speakers)

    @classmethod
    def for_training(cls, corpus: Corpus, train: np.ndarray) -> Fold:
        """A fold that holds nothing out, for final training; the unlabeled utterances come with it."""
        none = np.empty(0, dtype=np.int64)
        return cls.make("all", corpus, train, none, none, np.flatnonzero(corpus.labels < 0))
