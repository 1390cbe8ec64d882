"""The epochs of a stage that classifies: train, score, keep each row's best, hand on; the same for every method."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from torch import Tensor

from trainables.epoch import Diagnostic, Embedding, Epoch, Tensors
from trainables.scoring import Part, score
from trainables.selection import Best
from trainables.stacking import Optimizer, Stack


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What a finished stage hands on; the fields are those of `trainables.epoch.Epoch`."""

    artifact: Tensors
    diagnostics: tuple[Diagnostic, ...] = ()
    embeddings: tuple[Embedding, ...] = ()
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Classifier:
    """A stage that classifies.

    Attributes:
        stage: Its name.
        epochs: How many it trains.
        stack: The model of every row; all that is trained.
        optimizer: Trains it.
        dev: The dev part of every row.
        test: The test part of every row.
        train: ``train(epoch)``: one pass over the train rows; the mean of each loss term, shape (R,). What it draws
            may depend on the epoch's number only, so that a resumed stage goes on as if never interrupted.
        logits: ``logits(part, rows)``: by test condition, logits of a part for the rows with a True, shape
            (rows.sum(), n, C).
        finish: ``finish(best)``, after the last epoch: what is handed on, from each row's dev-chosen parameters.
    """

    stage: str
    epochs: int
    stack: Stack
    optimizer: Optimizer
    dev: Part
    test: Part
    train: Callable[[int], dict[str, np.ndarray]]
    logits: Callable[[Part, np.ndarray], Mapping[str, Tensor]]
    finish: Callable[[Best], Finished] = field(default=lambda best: Finished(artifact=dict(best.tensors)))

    def run(self, state: Tensors | None = None) -> Iterator[Epoch]:
        """Train from the start, or from a saved state; yield after each epoch."""
        best = Best(len(self.dev.index))
        speakers, done = self._resume(best, state)
        for index in range(done + 1, self.epochs + 1):
            terms = self.train(index)
            scores = score(best, self.dev, self.test, self.logits, speakers)
            speakers = scores.speakers
            best.keep(scores.better, self.stack.params)
            finished = self.finish(best) if index == self.epochs else None
            yield Epoch(
                stage=self.stage,
                index=index,
                total=self.epochs,
                confusions=scores.confusions,
                speakers=speakers,
                terms=terms,
                snapshot=partial(self._snapshot, best, speakers, index),
                artifact=finished.artifact if finished else None,
                diagnostics=finished.diagnostics if finished else (),
                embeddings=finished.embeddings if finished else (),
                flags=finished.flags if finished else (),
            )

    def _resume(self, best: Best, state: Tensors | None) -> tuple[dict[str, np.ndarray], int]:
        """Take up a saved state; the test counts by speaker it holds and the epochs already trained."""
        if state is None:
            return {}, 0
        self.stack.load(state, "params/")
        self.optimizer.load(state, "adam/")
        best.load(state)
        counts = {name.removeprefix("test/"): each.numpy() for name, each in state.items() if name.startswith("test/")}
        return counts, int(state["epoch"])

    def _snapshot(self, best: Best, speakers: Mapping[str, np.ndarray], epoch: int) -> Tensors:
        place = {f"test/{name}": torch.from_numpy(counts) for name, counts in speakers.items()}
        trained = self.stack.state("params/") | self.optimizer.state("adam/")
        return trained | best.state() | place | {"epoch": torch.tensor(epoch)}
