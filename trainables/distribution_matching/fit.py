"""How a row is trained on labeled and unlabeled utterances: what both stages share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainables import conditions
from trainables.distribution_matching.config import Network, Train
from trainables.distribution_matching.model import build, multipliers, outputs
from trainables.distribution_matching.objective import losses, total
from trainables.distribution_matching.parts import Partners, Parts
from trainables.epoch import Tensors
from trainables.prepared import Prepared
from trainables.scoring import Part
from trainables.selection import Best
from trainables.stacking import Draws, Means, Optimizer, Stack, map_rows
from trainables.training import Classifier, Finished, Training

#: Weights of eq. 9's terms; of arms that are trained side by side, each has its own.
WEIGHTS = ("alpha", "beta", "omega")


@dataclass(frozen=True, kw_only=True)
class Fit:
    """One stage's training.

    Attributes:
        stage: Its name.
        network: The networks' settings.
        settings: Weights, learning rate, epochs and so on.
        prepared: The task's tensors.
        parts: What each row trains on.
    """

    stage: str
    network: Network
    settings: Train
    prepared: Prepared
    parts: Parts

    def run(self, finish: Callable[[Best], Finished], state: Tensors | None = None) -> Training:
        """Train every row; yield after each epoch."""
        stack, settings = build(self.network, self.prepared, self.stage), self.settings
        across = settings.across
        optimizer = Optimizer([stack], learning_rate=across("learning_rate"), weight_decay=across("weight_decay"))
        return Classifier(
            stage=self.stage,
            epochs=settings.epochs,
            arms=self.prepared.task.arms,
            stack=stack,
            optimizer=optimizer,
            dev=self.prepared.part("dev"),
            test=self.prepared.part("test"),
            train=partial(self.epoch, stack, optimizer),
            logits=partial(self._logits, stack),
            finish=finish,
        ).run(state)

    def epoch(self, stack: Stack, optimizer: Optimizer, index: np.ndarray) -> dict[str, np.ndarray]:
        """One epoch's steps; the mean of each loss term, shape (R,)."""
        means = Means()
        weighed = self.settings.model_copy(update=self.prepared.vectors(self.settings, *WEIGHTS))
        for batch in self.batches(stack, index):
            terms = map_rows(partial(losses, self.settings, stack), stack.params, batch)
            optimizer.step(total(weighed, terms))
            means.add(terms)
        return means.result()

    def batches(self, stack: Stack, index: np.ndarray) -> Iterator[dict[str, Any]]:
        """The batches of an epoch, as `objective.losses` wants them with a leading axis of rows.

        There are as many as one pass over all train utterances takes, whatever share of them has kept its label and
        however large the unlabeled part is: all forms take equal steps. Labeled batches are the same in all forms.
        """
        prepared, size, device = self.prepared, self.settings.batch_size, self.prepared.device
        steps = prepared.steps(size)
        draws, more = (Draws(prepared.task, self.stage, *name, index, device=device) for name in ((), ("more",)))
        labeled = draws.batches(self.parts.labeled, steps, size)
        unlabeled = more.batches(self._unlabeled, steps, size) if self.semi else None
        for step in range(steps):
            chosen = [labeled[:, step], *([] if unlabeled is None else [unlabeled[:, step]])]
            if self.settings.unpaired == "other dialogues" and self.matches:
                chosen += [partners.draw(more, each) for partners, each in zip(self._partners, chosen, strict=True)]
            together = torch.cat(chosen, 1)
            batch: dict[str, Any] = {
                **prepared.batch(together),
                "y": prepared.labels[chosen[0]],
                "weights": self._weights,
                "keep": multipliers(stack, self.network.dropout, draws, together.shape[1]),
            }
            yield batch | ({"use": self._use} if self.semi else {})

    @cached_property
    def semi(self) -> bool:
        """Whether there is anything for eq. 8."""
        asked = self.settings.omega > 0 and (self.settings.alpha > 0 or self.matches)
        return asked and any(map(len, self.parts.unlabeled))

    @property
    def matches(self) -> bool:
        """Whether there is anything to match: a weight, and two modalities."""
        return self.settings.beta > 0 and len(self.prepared.modalities) > 1

    def used(self, row: int) -> int:
        """How many different utterances a row's eq. 8 is computed on."""
        return len(np.unique(self.parts.unlabeled[row])) if self.semi else 0

    @cached_property
    def _unlabeled(self) -> list[np.ndarray]:
        """Each row's unlabeled part; where it is empty its labeled one, which `_use` then leaves out."""
        pairs = zip(self.parts.unlabeled, self.parts.labeled, strict=True)
        return [unlabeled if len(unlabeled) else labeled for unlabeled, labeled in pairs]

    @cached_property
    def _use(self) -> Tensor:
        return torch.tensor([len(part) > 0 for part in self.parts.unlabeled], device=self.prepared.device)

    @cached_property
    def _partners(self) -> list[Partners]:
        parts = [self.parts.labeled, *([self._unlabeled] if self.semi else [])]
        return [Partners(self.prepared, part) for part in parts]

    @cached_property
    def _weights(self) -> Tensor:
        return self.prepared.weights(self.settings.class_weights, self.parts.labeled)

    def _logits(self, stack: Stack, part: Part, rows: np.ndarray) -> Mapping[str, Tensor]:
        condition = conditions.name(self.prepared.modalities)
        return {condition: outputs(stack, self.prepared.held_out(part.index[rows], rows), rows).logits}
