"""The only stage: an early fusion network, trained on all folds and seeds at once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from trainables import conditions
from trainables.concat_mlp.config import Classify, Config
from trainables.epoch import Tensors
from trainables.losses import weighted_cross_entropy
from trainables.prepared import Prepared, concatenated
from trainables.scoring import Part
from trainables.selection import Best
from trainables.stacking import Draws, Means, Optimizer, Stack, map_rows, row_seeds
from trainables.task import Task
from trainables.training import Classifier, Finished, Training

NAME = "classify"


class Network(nn.Module):
    """A multilayer perceptron with ReLU and dropout.

    Args:
        sizes: Sizes of its input, hidden layers and output.
    """

    def __init__(self, sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(wide, narrow) for wide, narrow in pairwise(sizes))

    def forward(self, x: Tensor, *keep: Tensor) -> Tensor:
        """Logits, shape (B, D) to (B, C); ``keep`` multiplies the units of each hidden layer (dropout)."""
        for place, layer in enumerate(self.layers):
            if place:
                x = torch.relu(x) * keep[place - 1] if keep else torch.relu(x)
            x = layer(x)
        return x


def build(config: Classify, data: Prepared) -> Stack:
    """One `Network` a row, each initialised under its own seed."""
    seeds = row_seeds(data.task, NAME, "init")
    sizes = (sum(data.dims.values()), *config.hidden, data.classes)
    return Stack(lambda: Network(sizes), seeds).to(data.device)


def run(config: Config, task: Task, artifacts: Mapping[str, Tensors], state: Tensors | None = None) -> Training:
    """Train every row's network; yield after each epoch.

    Its artifact: the parameters of each row at its dev-chosen epoch and the normalisers.
    """
    del artifacts  # the only stage
    settings = config.classify
    data = Prepared.make(task, conditions.chosen(settings.inputs, task.corpus.features))
    stack = build(settings, data)
    across = settings.across
    optimizer = Optimizer([stack], learning_rate=across("learning_rate"), weight_decay=across("weight_decay"))

    def logits(part: Part, rows: np.ndarray) -> Tensors:
        x = concatenated(data.held_out(part.index[rows], rows)["x"])
        return {conditions.name(data.modalities): stack.apply(x, rows)}

    def finish(best: Best) -> Finished:
        return Finished(artifact=best.tensors | data.state())

    return Classifier(
        stage=NAME,
        epochs=settings.epochs,
        arms=task.arms,
        stack=stack,
        optimizer=optimizer,
        dev=data.part("dev"),
        test=data.part("test"),
        train=partial(_epoch, settings, data, stack, optimizer),
        logits=logits,
        finish=finish,
    ).run(state)


def _epoch(
    config: Classify, data: Prepared, stack: Stack, optimizer: Optimizer, index: np.ndarray
) -> dict[str, np.ndarray]:
    draws, means = Draws(data.task, NAME, index, device=data.device), Means()
    weights = data.weights(config.class_weights)

    def loss(params: Tensors, x: Tensor, y: Tensor, weight: Tensor, *keep: Tensor) -> Tensor:
        return weighted_cross_entropy(stack.call(params, x, *keep), y, weight)

    for batch in draws.batches(data.train, data.steps(config.batch_size), config.batch_size).unbind(1):
        x = concatenated(data.batch(batch)["x"])
        keep = [draws.keep(1 - config.dropout, batch.shape[1], wide) for wide in config.hidden if config.dropout]
        each = map_rows(loss, stack.params, x, data.labels[batch], weights, *keep)
        optimizer.step(each)
        means.add({"ser": each})
    return means.result()
