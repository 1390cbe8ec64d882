"""What a method is trained on: a corpus, its folds, and the seeds each fold is repeated with."""

from __future__ import annotations

from dataclasses import dataclass

from trainables.corpus import Corpus
from trainables.protocols import Fold


@dataclass(frozen=True)
class Task:
    """A corpus cut into folds, each trained once with every seed.

    Rows are fold-major: row ``r`` is fold ``r // len(seeds)`` with seed ``seeds[r % len(seeds)]``.
    """

    corpus: Corpus
    folds: tuple[Fold, ...]
    seeds: tuple[int, ...]

    @property
    def rows(self) -> tuple[tuple[Fold, int], ...]:
        """Every (fold, seed), in row order."""
        return tuple((fold, seed) for fold in self.folds for seed in self.seeds)
