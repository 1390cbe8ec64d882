"""Which train-side utterances are labeled and which are not, row by row: shares, balance, unpaired partners."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainables.distribution_matching.config import Config
from trainables.prepared import Prepared
from trainables.stacking import Draws, seed_of


@dataclass(frozen=True)
class Parts:
    """What each row trains on; corpus rows.

    Attributes:
        labeled: Utterances whose labels are read.
        unlabeled: Utterances whose labels are not: the corpus's unlabeled ones, and train ones that `Data.labels`
            takes the label from. May repeat some, once balanced.
    """

    labeled: list[np.ndarray]
    unlabeled: list[np.ndarray]

    @classmethod
    def make(cls, config: Config, prepared: Prepared) -> Parts:
        """Take the shares that the config asks for; drawn for each (fold, seed), smaller shares within larger."""
        kept = [_labeled(config, prepared, row) for row in range(prepared.rows)]
        return cls(kept, [_unlabeled(config, prepared, row, part) for row, part in enumerate(kept)])

    def balanced(self, prepared: Prepared, guess: Sequence[np.ndarray]) -> Parts:
        """Section 4.2: as many unlabeled utterances of each class as told by a classifier, in the same total.

        Frequent classes are sub-sampled; rare ones are over-sampled, their utterances all taken once before any is
        taken again. A class that the classifier never names stays out.

        Args:
            prepared: Gives the rows.
            guess: The classifier's class of every utterance of the corpus for each row, shape (N,).
        """
        rows = enumerate(zip(self.unlabeled, guess, strict=True))
        return Parts(
            self.labeled, [_balance(_rng(prepared, row, "balance"), part, each[part]) for row, (part, each) in rows]
        )


def _rng(prepared: Prepared, row: int, purpose: str) -> np.random.Generator:
    fold, seed = prepared.task.rows[row]
    return np.random.default_rng(seed_of(fold.name, seed, "parts", purpose))


def _labeled(config: Config, prepared: Prepared, row: int) -> np.ndarray:
    train, rng = prepared.train[row], _rng(prepared, row, "labels")
    labels = prepared.labels.cpu().numpy()[train]
    shuffled = [rng.permutation(train[labels == label]) for label in range(prepared.classes)]
    return np.sort(np.concatenate([_first(each, config.data.labels) for each in shuffled]))


def _first(items: np.ndarray, share: float) -> np.ndarray:
    """The first share of items, at least one where there are any."""
    return items[: max(1, round(share * len(items)))]


def _unlabeled(config: Config, prepared: Prepared, row: int, labeled: np.ndarray) -> np.ndarray:
    if config.train.unlabeled == "labeled again":
        everything = labeled
    else:
        everything = np.union1d(prepared.unlabeled[row], np.setdiff1d(prepared.train[row], labeled))
    shuffled = _rng(prepared, row, "amount").permutation(everything)
    return np.sort(shuffled[: round(config.data.unlabeled_amount * len(shuffled))])


def _balance(rng: np.random.Generator, items: np.ndarray, guess: np.ndarray) -> np.ndarray:
    found = [rng.permutation(items[guess == label]) for label in np.unique(guess)]
    if not found:
        return items
    return np.sort(np.concatenate([np.resize(each, len(items) // len(found)) for each in found]))


class Partners:
    """Draws, for each utterance of a batch, one of another dialogue from the same row's items.

    Args:
        prepared: Gives the dialogues.
        items: Utterances of each row.
    """

    def __init__(self, prepared: Prepared, items: Sequence[np.ndarray]) -> None:
        _, dialogue = np.unique(prepared.task.corpus.utterances["dialogue"].astype(str), return_inverse=True)
        self._rows = [_by_dialogue(dialogue, each) for each in items]
        self._device = prepared.device

    def draw(self, draws: Draws, chosen: Tensor) -> Tensor:
        """Partners, shape (R, B); where a row has one dialogue only, any of its items."""
        share = draws.beta(1.0, chosen.shape[1]).cpu().numpy().astype(np.float64)
        rows = zip(self._rows, chosen.cpu().numpy(), share, strict=True)
        return torch.from_numpy(np.stack([_other(*table, each, u) for table, each, u in rows])).to(self._device)


def _by_dialogue(dialogue: np.ndarray, items: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Items in order of their dialogue; and of every utterance, where its dialogue starts and how long it is."""
    order = items[np.argsort(dialogue[items], kind="stable")]
    start = np.searchsorted(dialogue[order], dialogue, "left")
    return order, start, np.searchsorted(dialogue[order], dialogue, "right") - start


def _other(order: np.ndarray, start: np.ndarray, size: np.ndarray, chosen: np.ndarray, u: np.ndarray) -> np.ndarray:
    rest = np.maximum(len(order) - size[chosen], 1)
    place = np.minimum((u * rest).astype(np.int64), rest - 1)
    place += np.where(place >= start[chosen], size[chosen], 0)
    return order[place % len(order)]
