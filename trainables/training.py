"""A stage under way, epoch by epoch; and the epochs of one that classifies, the same for every method.

Several arms can be under way side by side, each at its own epoch. Whatever a stage starts from, goes on from or hands
on has the arms along its leading axis, one after the other: cutting it into as many equal parts gives each arm's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from trainables.epoch import Diagnostic, Embedding, Epoch, Flag, Tensors
from trainables.scoring import Part, score
from trainables.selection import Best
from trainables.stacking import Optimizer, Stack


class Training(ABC, Iterator[Epoch]):
    """A stage under way: asking for the next epoch trains it.

    Args:
        stage: Its name.
        epochs: How many it trains.
        arms: How many arms are trained side by side.

    Attributes:
        done: How many epochs each arm is through, shape (arms,).
    """

    def __init__(self, stage: str, epochs: int, arms: int = 1) -> None:
        self.stage, self.epochs = stage, epochs
        self.done = np.zeros(arms, dtype=np.int64)

    def __next__(self) -> Epoch:
        if (self.done >= self.epochs).any():
            raise StopIteration
        self.done = self.done + 1
        return self.epoch(self.done)

    @abstractmethod
    def epoch(self, index: np.ndarray) -> Epoch:
        """Train one epoch: of each arm the given one, counted from 1, shape (arms,)."""

    @abstractmethod
    def tensors(self) -> Tensors:
        """Copies of all that has been learnt, but for the number of epochs."""

    @abstractmethod
    def load(self, state: Tensors) -> None:
        """Take up what `tensors` gave."""

    def state(self) -> Tensors:
        """What `resumed` goes on from; copies."""
        return self.tensors() | {"epoch": torch.from_numpy(self.done)}

    def resumed(self, state: Tensors | None) -> Training:
        """This stage, gone on with from a saved state; as it is where there is none."""
        if state is not None:
            self.load(state)
            self.done = state["epoch"].cpu().numpy().copy()
        return self

    def ends(self, index: np.ndarray) -> bool:
        """Whether any arm is at its last epoch."""
        return bool((index == self.epochs).any())


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What a finished stage hands on; the fields are those of `trainables.epoch.Epoch`."""

    artifact: Tensors
    diagnostics: tuple[Diagnostic, ...] = ()
    embeddings: tuple[Embedding, ...] = ()
    flags: tuple[Flag, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Classifier:
    """A stage that classifies.

    Attributes:
        stage: Its name.
        epochs: How many it trains.
        arms: How many arms are trained side by side.
        stack: The model of every row; all that is trained.
        optimizer: Trains it.
        dev: The dev part of every row.
        test: The test part of every row.
        train: ``train(epoch)``: one pass over the train rows; the mean of each loss term, shape (R,). What it draws
            may depend on the epoch's number only, one for each arm, so that a resumed stage goes on as if never
            interrupted.
        logits: ``logits(part, rows)``: by test condition, logits of a part for the rows with a True, shape
            (rows.sum(), n, C).
        finish: ``finish(best)``, after an arm's last epoch: what is handed on, from each row's dev-chosen parameters.
    """

    stage: str
    epochs: int
    arms: int = 1
    stack: Stack
    optimizer: Optimizer
    dev: Part
    test: Part
    train: Callable[[np.ndarray], dict[str, np.ndarray]]
    logits: Callable[[Part, np.ndarray], Mapping[str, Tensor]]
    finish: Callable[[Best], Finished] = field(default=lambda best: Finished(artifact=dict(best.tensors)))

    def run(self, state: Tensors | None = None) -> Training:
        """Train from the start, or from a saved state."""
        return _Classifying(self).resumed(state)


class _Classifying(Training):
    """A stage that classifies, under way."""

    def __init__(self, stage: Classifier) -> None:
        super().__init__(stage.stage, stage.epochs, stage.arms)
        self._classifier = stage
        self._best = Best(len(stage.dev.index))
        self._speakers: dict[str, np.ndarray] = {}

    def epoch(self, index: np.ndarray) -> Epoch:
        """Train, score, keep each row's best."""
        stage, best = self._classifier, self._best
        terms = stage.train(index)
        scores = score(best, stage.dev, stage.test, stage.logits, self._speakers)
        self._speakers = dict(scores.speakers)
        best.keep(scores.better, stage.stack.params)
        finished = stage.finish(best) if self.ends(index) else None
        return Epoch(
            stage=self.stage,
            index=int(index[0]),
            total=self.epochs,
            confusions=scores.confusions,
            speakers=scores.speakers,
            terms=terms,
            snapshot=self.state,
            artifact=finished.artifact if finished else None,
            diagnostics=finished.diagnostics if finished else (),
            embeddings=finished.embeddings if finished else (),
            flags=finished.flags if finished else (),
        )

    def tensors(self) -> Tensors:
        """Parameters, Adam's state, each row's best and the test counts by speaker there."""
        stage = self._classifier
        counts = {f"test/{name}": torch.from_numpy(counts) for name, counts in self._speakers.items()}
        return stage.stack.state("params/") | stage.optimizer.state("adam/") | self._best.state() | counts

    def load(self, state: Tensors) -> None:
        """Take up a saved state; the test counts by speaker it holds too."""
        stage = self._classifier
        stage.stack.load(state, "params/")
        stage.optimizer.load(state, "adam/")
        self._best.load(state)
        counts = {name.removeprefix("test/"): each for name, each in state.items() if name.startswith("test/")}
        self._speakers = {name: each.numpy() for name, each in counts.items()}
