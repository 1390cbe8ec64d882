"""Which utterances are read together, in training and held out, and what every row's network makes of them.

Context is features, never labels. A train dialogue holds the utterances of the row's train side, labeled or not; the
labeled ones have a loss. A held-out dialogue is read whole, as it would be in use: where dev is one speaker of a
session, its dialogues hold utterances of train speakers too, and dev is then optimistic (test is not).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call

from trainables.epoch import Tensors
from trainables.prepared import Prepared
from trainables.scoring import Part
from trainables.stacking import Draws, Stack, map_rows
from trainables.subspace_mapping.config import Fuse
from trainables.subspace_mapping.dialogues import Lanes, by_dialogue, fixed_order, pieces, restricted


@dataclass(frozen=True)
class Utterances:
    """Features of all utterances; F folds, R rows, N utterances.

    Attributes:
        features: Modality -> normalised features, shape (F, N, D).
        present: Modality -> which utterances have it, shape (N,), bool.
        fold: The fold of each row, shape (R,).
    """

    features: Mapping[str, Tensor]
    present: Mapping[str, Tensor]
    fold: Tensor

    @classmethod
    def of(cls, prepared: Prepared) -> Utterances:
        """Those of a task."""
        return cls(prepared.features, prepared.present, prepared.fold[:, 0])

    def at(self, lanes: Lanes, rows: Tensor | None = None) -> dict[str, Any]:
        """What the network reads: ``x`` and ``present`` by modality, ``dialogue``.

        Args:
            lanes: Of the given rows.
            rows: Which rows, shape (R,), bool; None is all.
        """
        fold = (self.fold if rows is None else self.fold[rows])[:, None, None]
        return {
            "x": {name: features[fold, lanes.index] for name, features in self.features.items()},
            "present": {name: mask[lanes.index] & lanes.valid for name, mask in self.present.items()},
            "dialogue": lanes.dialogue,
        }


@dataclass(frozen=True)
class Reader:
    """The dialogues of a task.

    Attributes:
        config: The stage's settings.
        prepared: The task's tensors.
    """

    config: Fuse
    prepared: Prepared

    @cached_property
    def dialogues(self) -> list[np.ndarray]:
        """Utterances of every dialogue of the corpus in turn order, or in a fixed random order where it is shuffled."""
        corpus = self.prepared.task.corpus
        return by_dialogue(corpus, fixed_order(len(corpus.labels)) if self.config.shuffle_turns else None)

    @cached_property
    def train(self) -> list[list[np.ndarray]]:
        """Dialogues to train each row on: those with a labeled train utterance."""
        sides = zip(self.prepared.train, self.prepared.unlabeled, strict=True)
        return [restricted(self.dialogues, self._mask(train, rest), self._mask(train)) for train, rest in sides]

    @cached_property
    def labeled(self) -> Tensor:
        """Which utterances have a loss in each row, shape (R, N), bool."""
        masks = np.stack([self._mask(part) for part in self.prepared.train])
        return torch.from_numpy(masks).to(self.prepared.device)

    def batches(self, draws: Draws) -> Iterator[Lanes]:
        """One pass over each row's train dialogues, ``batch_size`` of them at a time."""
        items, size = [np.arange(len(dialogues)) for dialogues in self.train], self.config.batch_size
        order = self._new_order(draws) if self.config.shuffle_turns else None
        for chosen in draws.batches(items, self.prepared.steps(size, items), size).unbind(1):
            picked = [[self.train[row][each] for each in part] for row, part in enumerate(chosen.tolist())]
            if order is not None:
                picked = [[each[order[row, each].argsort()] for each in part] for row, part in enumerate(picked)]
            yield self.lanes(picked)

    def held_out(self, part: Part) -> Lanes:
        """Whole dialogues of a held-out part, for every row."""
        every = np.ones(len(self.prepared.labels), dtype=bool)
        rows = zip(part.index.cpu().numpy(), part.valid.cpu().numpy(), strict=True)
        return self.lanes([restricted(self.dialogues, every, self._mask(index[valid])) for index, valid in rows])

    def lanes(self, rows: Sequence[Sequence[np.ndarray]]) -> Lanes:
        """Dialogues of each row, cut to `max_turns` and packed."""
        return Lanes.pack([pieces(row, self.config.max_turns) for row in rows], self.prepared.device)

    def _new_order(self, draws: Draws) -> np.ndarray:
        every = np.arange(len(self.prepared.labels))
        return draws.choice([every] * self.prepared.rows, len(every)).cpu().numpy()

    def _mask(self, *parts: np.ndarray) -> np.ndarray:
        mask = np.zeros(len(self.prepared.labels), dtype=bool)
        mask[np.concatenate(parts)] = True
        return mask


def called(stack: Stack, params: Tensors, batch: Mapping[str, Any]) -> Tensors:
    """What one row's `Network` gives for a batch; with dropout where the batch has ``keep``."""
    arguments = {name: batch[name] for name in ("x", "present", "dialogue", "keep") if name in batch}
    return functional_call(stack.module, params, (), arguments)


def represent(
    stack: Stack, utterances: Utterances, lanes: Lanes, kinds: Sequence[str], rows: np.ndarray | None = None
) -> Tensors:
    """What each row's network makes of the utterances in its lanes, without dropout.

    Args:
        stack: The networks of all rows.
        utterances: What they read.
        lanes: Of all rows.
        kinds: Which outputs of `Network`.
        rows: Which rows, shape (R,), bool; None is all.

    Returns:
        Kind -> shape (rows, N, ...); 0 for utterances that are in none of the row's lanes.
    """
    mask = torch.ones_like(utterances.fold, dtype=torch.bool) if rows is None else torch.from_numpy(rows)
    params = {name: tensor[mask] for name, tensor in stack.params.items()}
    count = len(next(iter(utterances.present.values())))

    def wanted(params: Tensors, batch: dict[str, Any]) -> Tensors:
        found = called(stack, params, batch)
        return {kind: found[kind] for kind in kinds}

    made: Tensors = {}
    with torch.no_grad():
        for chunk in lanes.of(mask).chunks():
            found = map_rows(wanted, params, utterances.at(chunk, mask))
            row, lane, turn = chunk.valid.nonzero(as_tuple=True)
            for kind, values in found.items():
                whole = made.setdefault(kind, values.new_zeros(len(values), count, values.shape[-1]))
                whole[row, chunk.index[row, lane, turn]] = values[row, lane, turn]
    return made
