"""What a method is trained on: a corpus, its folds, and the seeds each fold is repeated with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from trainables.corpus import Corpus
from trainables.folds import PARTS
from trainables.kept import kept
from trainables.protocols import Fold


@dataclass(frozen=True)
class Task:
    """A corpus cut into folds, each trained once with every seed.

    Rows are fold-major: row ``r`` is fold ``r // len(seeds)`` with seed ``seeds[r % len(seeds)]``. Where several arms
    are trained side by side, the rows of the first are followed by those of the second, and so on.

    Attributes:
        corpus: The corpus.
        folds: Its folds.
        seeds: Each fold is trained once with each.
        arms: How many arms are trained side by side.
        final: Whether what is trained must classify other corpora: then artifacts hold all that takes, encoders too.
    """

    corpus: Corpus
    folds: tuple[Fold, ...]
    seeds: tuple[int, ...]
    arms: int = 1
    final: bool = False

    @property
    def rows(self) -> tuple[tuple[Fold, int], ...]:
        """Every (fold, seed) of every arm, in row order."""
        return tuple((fold, seed) for fold in self.folds for seed in self.seeds) * self.arms

    @property
    def firsts(self) -> range:
        """The first row of each arm."""
        return range(0, len(self.rows), len(self.folds) * len(self.seeds))

    @cached_property
    def tested(self) -> tuple[tuple[int, str], ...]:
        """Every (row, speaker of its test part): rows in order, and in each row the speakers by name."""
        speakers = self.corpus.speakers
        by_fold = [sorted(set(speakers[fold.test])) for fold in self.folds]
        names = [each for each in by_fold for _ in self.seeds] * self.arms
        return tuple((row, name) for row, each in enumerate(names) for name in each)

    def labeled(self) -> Task:
        """The task on its labeled utterances alone; folds keep their names, so rows keep their seeds and draws."""
        corpus, folds = _labeled(self.corpus, self.folds)
        return replace(self, corpus=corpus, folds=folds)


@kept
def _labeled(corpus: Corpus, folds: tuple[Fold, ...]) -> tuple[Corpus, tuple[Fold, ...]]:
    rows = np.flatnonzero(corpus.labels >= 0)
    place = np.cumsum(corpus.labels >= 0) - 1
    smaller = replace(
        corpus,
        utterances=corpus.utterances.iloc[rows].reset_index(drop=True),
        features={name: features[rows] for name, features in corpus.features.items()},
        present={name: present[rows] for name, present in corpus.present.items()},
        labels=corpus.labels[rows],
        recordings=corpus.recordings.take(rows) if corpus.recordings else None,
        copies={name: vectors[rows] for name, vectors in corpus.copies.items()},
    )
    cut = []
    for fold in folds:
        parts = [place[getattr(fold, part)] for part in PARTS]
        # Whether speakers are apart was checked, or allowed, when the fold was made.
        cut.append(Fold.make(fold.name, smaller, *parts, allow_shared_speakers=True))
    return smaller, tuple(cut)
