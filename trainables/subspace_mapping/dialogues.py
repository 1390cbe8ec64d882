"""Dialogues as the network reads them: utterances in turn order, packed end to end into lanes of equal length.

Padding every dialogue to the longest of the batch would more than double the work; lanes leave few places empty. What
belongs to one dialogue is told by its number, and neither the encoders nor the attention cross from one to another.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainables.corpus import Corpus

#: Places (lanes x turns) of a held-out part that are classified at once.
PLACES = 8192


def by_dialogue(corpus: Corpus, order: np.ndarray | None = None) -> list[np.ndarray]:
    """Utterances of each dialogue of a corpus in the order of their turns; equal turns in the corpus's order.

    Args:
        corpus: Gives dialogue and turn of each utterance.
        order: Sorts each dialogue instead of its turns, shape (N,).
    """
    key = corpus.utterances["turn"].to_numpy() if order is None else order
    number = np.unique(corpus.utterances["dialogue"].to_numpy(dtype=str), return_inverse=True)[1]
    ordered = np.lexsort((np.arange(len(key)), key, number))
    return np.split(ordered, np.flatnonzero(np.diff(number[ordered])) + 1)


def fixed_order(utterances: int) -> np.ndarray:
    """A random order that is always the same: how shuffled turns are read outside training, shape (utterances,)."""
    return np.random.default_rng(0).permutation(utterances)


def restricted(dialogues: Sequence[np.ndarray], allowed: np.ndarray, needed: np.ndarray) -> list[np.ndarray]:
    """The allowed utterances of each dialogue that holds a needed one.

    Args:
        dialogues: Utterances of each dialogue.
        allowed: Which utterances may be kept, shape (N,), bool.
        needed: Which utterances make their dialogue worth keeping, shape (N,), bool.
    """
    return [each[allowed[each]] for each in dialogues if (allowed & needed)[each].any()]


def pieces(dialogues: Sequence[np.ndarray], max_turns: int | None) -> list[np.ndarray]:
    """Pieces of at most ``max_turns`` turns; None leaves the dialogues whole."""
    if max_turns is None:
        return list(dialogues)
    return [each[start : start + max_turns] for each in dialogues for start in range(0, len(each), max_turns)]


@dataclass(frozen=True)
class Lanes:
    """Dialogues of R rows in L lanes of T places.

    Attributes:
        index: The utterance at each place, shape (R, L, T); 0 at padding.
        dialogue: Which of the row's dialogues it belongs to, shape (R, L, T); -1 at padding.
        order: How many utterances of the row come before it, shape (R, L, T): what is drawn for an utterance is
            looked up by this, so that it does not depend on how the lanes were packed.
    """

    index: Tensor
    dialogue: Tensor
    order: Tensor

    @classmethod
    def pack(cls, rows: Sequence[Sequence[np.ndarray]], device: torch.device | str = "cpu") -> Lanes:
        """Pack each row's dialogues, longest first, each into the first lane with room; a row may have none."""
        turns = max((len(dialogue) for row in rows for dialogue in row), default=1)
        placed = [_placed([len(dialogue) for dialogue in row], turns) for row in rows]
        lanes = max(1, *(int(lane.max(initial=0)) + 1 for lane, _ in placed))
        tensors = np.zeros((3, len(rows), lanes, turns), dtype=np.int64)
        tensors[1] = -1
        for row, (dialogues, (lane, start)) in enumerate(zip(rows, placed, strict=True)):
            if not dialogues:
                continue
            sizes = np.array([len(dialogue) for dialogue in dialogues])
            before = np.cumsum(sizes) - sizes
            within = np.arange(sizes.sum()) - before.repeat(sizes)
            place = lane.repeat(sizes), start.repeat(sizes) + within
            tensors[0, row][place] = np.concatenate(dialogues)
            tensors[1, row][place] = np.arange(len(sizes)).repeat(sizes)
            tensors[2, row][place] = np.arange(sizes.sum())
        return cls(*torch.from_numpy(tensors).to(device).unbind(0))

    @property
    def valid(self) -> Tensor:
        """Which places are not padding, shape (R, L, T), bool."""
        return self.dialogue >= 0

    @property
    def most(self) -> int:
        """Utterances of the row that has most."""
        return int(self.order.max()) + 1

    def of(self, rows: Tensor) -> Lanes:
        """Those of the given rows, shape (R,), bool."""
        return Lanes(self.index[rows], self.dialogue[rows], self.order[rows])

    def chunks(self) -> Iterator[Lanes]:
        """The same lanes, few at a time."""
        size = max(1, PLACES // max(1, self.index.shape[0] * self.index.shape[2]))
        parts = (tensor.split(size, 1) for tensor in (self.index, self.dialogue, self.order))
        return (Lanes(*each) for each in zip(*parts, strict=True))


def _placed(sizes: Sequence[int], turns: int) -> tuple[np.ndarray, np.ndarray]:
    """Lane and first place of each dialogue: first fit, longest first."""
    lane, start = np.zeros(len(sizes), dtype=np.int64), np.zeros(len(sizes), dtype=np.int64)
    filled: list[int] = []
    open_from = 0
    for each in sorted(range(len(sizes)), key=lambda item: -sizes[item]):
        chosen = next((at for at in range(open_from, len(filled)) if filled[at] + sizes[each] <= turns), len(filled))
        if chosen == len(filled):
            filled.append(0)
        lane[each], start[each] = chosen, filled[chosen]
        filled[chosen] += sizes[each]
        while open_from < len(filled) and filled[open_from] == turns:
            open_from += 1
    return lane, start
