"""The stage `fuse`: train the network of section 3 on dialogues, eq. 13, and keep each row's dev-chosen epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainables import conditions
from trainables.epoch import Epoch, Tensors
from trainables.prepared import Prepared
from trainables.scoring import Part
from trainables.selection import Best
from trainables.stacking import Draws, Means, Optimizer, Stack, map_rows, row_seeds
from trainables.subspace_mapping import measure
from trainables.subspace_mapping.config import Config, Fuse
from trainables.subspace_mapping.model import Network, dropped
from trainables.subspace_mapping.objective import terms, total
from trainables.subspace_mapping.reading import Reader, Utterances, called, represent
from trainables.task import Task
from trainables.training import Classifier, Finished

NAME = "fuse"
#: Rows of a step at a time on a CPU: with more, a third of the time goes into getting memory for the large tensors.
ROWS_AT_ONCE = 5


def build(config: Fuse, prepared: Prepared) -> Stack:
    """One `Network` a row, each initialised under its own seed."""
    seeds = row_seeds(prepared.task, NAME, "init")
    return Stack(lambda: Network(config, prepared.dims, prepared.classes), seeds).to(prepared.device)


def losses(config: Fuse, stack: Stack, params: Tensors, batch: Mapping[str, Any]) -> Tensors:
    """The terms of eq. 13 for one row and batch, each of shape ()."""
    return terms(config, called(stack, params, batch), batch)


def run(config: Config, task: Task, artifacts: Mapping[str, Tensors], state: Tensors | None = None) -> Iterator[Epoch]:
    """Train every row's network; yield after each epoch.

    Its artifact: the parameters of each row at its dev-chosen epoch and the normalisers.
    """
    del artifacts  # the only stage
    settings = config.fuse
    prepared = Prepared.make(task, conditions.chosen(settings.inputs, task.corpus.features))
    reader, stack = Reader(settings, prepared), build(settings, prepared)
    optimizer = Optimizer([stack], learning_rate=settings.learning_rate, weight_decay=settings.weight_decay)
    dev, test = prepared.part("dev"), prepared.part("test")
    dialogues = {part: reader.held_out(part) for part in (dev, test)}
    utterances = Utterances.of(prepared)

    def logits(part: Part, rows: np.ndarray) -> Tensors:
        made = represent(stack, utterances, dialogues[part], ("logits",), rows)["logits"]
        return {conditions.name(prepared.modalities): _taken(made, part.index[rows])}

    def finish(best: Best) -> Finished:
        chosen = build(settings, prepared).load(best.tensors)
        found = measure.measure(settings, reader, chosen, dialogues[test])
        return Finished(
            artifact=best.tensors | prepared.state(),
            diagnostics=found.diagnostics,
            embeddings=found.embeddings,
            flags=found.flags,
        )

    yield from Classifier(
        stage=NAME,
        epochs=settings.epochs,
        stack=stack,
        optimizer=optimizer,
        dev=dev,
        test=test,
        train=partial(_epoch, settings, reader, stack, optimizer),
        logits=logits,
        finish=finish,
    ).run(state)


def _taken(values: Tensor, index: Tensor) -> Tensor:
    """Values (R, N, C) of the utterances (R, n), shape (R, n, C)."""
    return values[torch.arange(len(values), device=values.device)[:, None], index]


def _epoch(config: Fuse, reader: Reader, stack: Stack, optimizer: Optimizer, index: int) -> dict[str, np.ndarray]:
    prepared, means = reader.prepared, Means()
    utterances, weights = Utterances.of(prepared), prepared.weights(config.class_weights)
    row = torch.arange(prepared.rows, device=prepared.device)[:, None, None]
    at_once = ROWS_AT_ONCE if prepared.device.type == "cpu" else None
    width = config.hidden * dropped(config, len(prepared.modalities)) if config.dropout else 0
    for step, lanes in enumerate(reader.batches(Draws(prepared.task, NAME, index))):
        batch = utterances.at(lanes) | {
            "y": prepared.labels[lanes.index],
            "counted": reader.labeled[row, lanes.index] & lanes.valid,
            "weights": weights,
        }
        if width:
            draws = Draws(prepared.task, NAME, "dropout", index, step, device=prepared.device)
            batch["keep"] = draws.keep(1 - config.dropout, lanes.most, width)[row, lanes.order]
        made = map_rows(partial(losses, config, stack), stack.params, batch, at_once=at_once)
        optimizer.step(total(config, made))
        means.add(made)
    return means.result()
