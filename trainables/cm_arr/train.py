"""The one stage: every part trained together on eq. 14, with modalities taken away at random."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainables import conditions
from trainables.cm_arr import quality
from trainables.cm_arr.config import Config, Train
from trainables.cm_arr.model import Model
from trainables.epoch import Tensors
from trainables.errors import InputError
from trainables.losses import (
    masked_mean,
    matching_nce,
    supervised_contrastive,
    wasserstein2,
    weighted_cross_entropy,
)
from trainables.prepared import Prepared
from trainables.scoring import Part
from trainables.selection import Best
from trainables.stacking import Draws, Means, Optimizer, Stack, map_rows, row_seeds
from trainables.task import Task
from trainables.training import Classifier, Finished, Training

NAME = "train"
#: Weights of eq. 14's terms; of arms that are trained side by side, each has its own.
WEIGHTS = ("alpha", "beta", "lambda_rec", "likelihood")


def modalities(config: Config, task: Task) -> tuple[str, ...]:
    """The modalities in use.

    Raises:
        InputError: If there are fewer than two.
    """
    chosen = conditions.chosen(config.train.inputs, task.corpus.features)
    if len(chosen) < 2:
        raise InputError(
            f"modalities: cm_arr recovers a missing modality from another and needs two or more, found "
            f"{', '.join(chosen)}; name more in modalities and in config.train.inputs"
        )
    return chosen


def build(config: Train, dims: Mapping[str, int], classes: int, seeds: list[int]) -> Stack:
    """One `Model` a row, each initialised under its own seed. The flows' masks are the same in every row."""
    return Stack(lambda: Model(config, dims, classes), seeds)


def prepared_stack(config: Config, prepared: Prepared) -> Stack:
    """The untrained models of a task, on its device."""
    seeds = row_seeds(prepared.task, NAME, "init")
    stack = build(config.train, prepared.dims, prepared.classes, seeds).to(prepared.device)
    stack.module.to(prepared.device)  # for its buffers: the flows' masks
    return stack


def alignment(config: Train, scalars: Mapping[str, Tensor], out: Tensors, present: Tensor) -> Tensor:
    """L_udcl, eq. 1-5: both directions of every pair of modalities, summed.

    Args:
        config: The settings.
        scalars: ``log_scale``, ``log_temperature`` and ``shift``, shape (1,) each. ``shift``, b of eq. 5, cancels.
        out: ``mean`` and ``deviation``, shape (B, M, T, C).
        present: Which modalities an utterance has, shape (B, M), bool.
    """
    mean, spread = out["mean"].flatten(-2), out["deviation"].flatten(-2)
    spread = spread.square() if config.wasserstein == "variance" else spread
    a = -config.scale * torch.exp(scalars["log_scale"])
    temperature = config.temperature * torch.exp(scalars["log_temperature"])
    losses = []
    for n, m in combinations(range(mean.shape[1]), 2):
        distance = wasserstein2(mean[:, n], spread[:, n], mean[:, m], spread[:, m]) / mean.shape[-1]
        similarity = (a * distance + scalars["shift"]) / temperature
        both = present[:, n] & present[:, m]
        losses += [matching_nce(similarity, both), matching_nce(similarity.mT, both)]
    return torch.stack(losses).sum()


def refinement(config: Train, used: Tensor, available: Tensor, labels: Tensor) -> Tensor:
    """L_spcl, section 3.3.1, over every modality of every utterance, recovered ones too.

    Args:
        config: The settings.
        used: X or what was recovered, shape (B, M, T, C).
        available: Shape (B, M), bool. Zeros and learned vectors (the controls) take no part.
        labels: Shape (B,).
    """
    count, modalities = available.shape
    instances = torch.arange(count, device=labels.device).repeat_interleave(modalities)
    there = torch.ones_like(available) if config.recovery == "flow" else available
    return supervised_contrastive(
        used.flatten(-2).flatten(0, 1),
        labels.repeat_interleave(modalities),
        instances,
        temperature=config.spcl_temperature,
        present=there.flatten(),
    )


def recovery(config: Train, recovered: Tensor, x: Tensor, hidden: Tensor) -> Tensor:
    """L_rec, eq. 9, a mean over values, over the modalities that were taken away.

    Args:
        config: The settings; says whether X may move towards what is recovered.
        recovered: Shape (B, M, T, C).
        x: X, shape (B, M, T, C).
        hidden: Shape (B, M), bool.
    """
    target = x if config.stop_gradient == "none" else x.detach()
    return masked_mean((recovered - target).square().mean((-1, -2)).flatten(), hidden.flatten())


def losses(config: Train, stack: Stack, params: Tensors, batch: dict[str, Any]) -> Tensors:
    """The terms of eq. 14 for one row and batch, each of shape (); a weight of 0 skips its term.

    Args:
        config: The settings.
        stack: Gives the module.
        params: The row's parameters.
        batch: What `Model.forward` takes, with ``available`` of one condition, and ``present`` (B, M), ``y`` (B,) and
            ``weights`` (C,).
    """
    out: Tensors = stack.call(params, batch)  # type: ignore[arg-type, assignment]
    available, present = batch["available"][0], batch["present"]
    terms = {"cls": weighted_cross_entropy(out["logits"][0], batch["y"], batch["weights"])}
    if config.alpha > 0:
        terms["udcl"] = alignment(config, params, out, present)
    if config.beta > 0:
        terms["spcl"] = refinement(config, out["used"][0], available, batch["y"])
    if config.recovery == "flow" and config.lambda_rec > 0:
        terms["rec"] = recovery(config, out["recovered"][0], out["x"], present & ~available)
    if config.recovery == "flow" and config.likelihood > 0:
        terms["nll"] = masked_mean(out["nll"].flatten(), present.flatten())
    return terms


def total(config: Train, terms: Tensors) -> Tensor:
    """Eq. 14: alpha L_udcl + beta L_spcl + lambda L_rec + L_cls; and, not in the paper, the flows' likelihood."""
    weight = {
        "cls": 1.0,
        "udcl": config.alpha,
        "spcl": config.beta,
        "rec": config.lambda_rec,
        "nll": config.likelihood,
    }
    return torch.stack([weight[name] * term for name, term in terms.items()]).sum(0)


def left_available(config: Train, present: Tensor, uniform: Tensor) -> Tensor:
    """What training leaves of the modalities an utterance has, shape (..., M), bool.

    Args:
        config: The settings.
        present: What it has, shape (..., M), bool.
        uniform: Numbers in [0, 1] that choose among all non-empty subsets, shape (...). Where an utterance has nothing
            of the chosen subset, it keeps all it has.
    """
    if config.missing == "none":
        return present
    count = present.shape[-1]
    subsets = torch.arange(1, 2**count, device=present.device)
    table = (subsets[:, None] >> torch.arange(count, device=present.device)) % 2 == 1
    left = table[(uniform * len(table)).long().clamp(max=len(table) - 1)] & present
    return torch.where(left.any(-1, keepdim=True), left, present)


def under_conditions(names: tuple[str, ...], present: Tensor) -> Tensor:
    """What may be used under every test condition, shape (..., M) to (..., K, M), in the order of `subsets`.

    An utterance that lacks a modality of the condition goes with what is left of it, also where nothing is: the
    condition's other modalities are never looked at.
    """
    table = torch.tensor([[name in each for name in names] for each in conditions.subsets(names)])
    return present.unsqueeze(-2) & table.to(present.device)


def run(config: Config, task: Task, artifacts: Mapping[str, Tensors], state: Tensors | None = None) -> Training:
    """Train every row's model; yield after each epoch.

    Its artifact: the parameters of each row at its dev-chosen epoch and the normalisers.
    """
    del artifacts  # the only stage
    settings = config.train
    prepared = Prepared.make(task, modalities(config, task))
    stack = prepared_stack(config, prepared)
    rate, decay = settings.across("learning_rate"), settings.across("weight_decay")
    optimizer = Optimizer([stack], learning_rate=rate, weight_decay=decay, clip=settings.clip)

    def logits(part: Part, rows: np.ndarray) -> Tensors:
        every = stack.apply(held_out(prepared, part.index[rows], rows), rows)["logits"]  # type: ignore[arg-type, index]
        names = map(conditions.name, conditions.subsets(prepared.modalities))
        return dict(zip(names, every.unbind(1), strict=True))

    def finish(best: Best) -> Finished:
        untrained, trained = prepared_stack(config, prepared), prepared_stack(config, prepared)
        return quality.finish(config, prepared, untrained, trained, best)

    return Classifier(
        stage=NAME,
        epochs=settings.epochs,
        arms=task.arms,
        stack=stack,
        optimizer=optimizer,
        dev=prepared.part("dev"),
        test=prepared.part("test"),
        train=partial(_epoch, settings, prepared, stack, optimizer),
        logits=logits,
        finish=finish,
    ).run(state)


def held_out(prepared: Prepared, index: Tensor, rows: np.ndarray) -> dict[str, Any]:
    """Inputs of `Model.forward` for held-out utterances of some rows, under every condition."""
    data = prepared.held_out(index, rows)
    present = torch.stack(list(data["present"].values()), -1)
    available = under_conditions(prepared.modalities, present).movedim(-2, 1)
    return {"x": data["x"], "available": available}


def _epoch(
    config: Train, prepared: Prepared, stack: Stack, optimizer: Optimizer, index: np.ndarray
) -> dict[str, np.ndarray]:
    draws, means = Draws(prepared.task, NAME, index, device=prepared.device), Means()
    weights = prepared.weights(config.class_weights)
    weighed = config.model_copy(update=prepared.vectors(config, *WEIGHTS))
    steps = prepared.steps(config.batch_size)
    for chosen in draws.batches(prepared.train, steps, config.batch_size).unbind(1):
        batch = _batch(config, prepared, draws, chosen) | {"weights": weights}
        terms = map_rows(partial(losses, config, stack), stack.params, batch)
        optimizer.step(total(weighed, terms))
        means.add(terms)
    return means.result()


def _batch(config: Train, prepared: Prepared, draws: Draws, chosen: Tensor) -> dict[str, Any]:
    """Inputs of a training step, shape (R, ...) each."""
    data, size = prepared.batch(chosen), chosen.shape[1]
    present = torch.stack(list(data["present"].values()), -1)
    left = left_available(config, present, draws.beta(1.0, size))
    batch: dict[str, Any] = {
        "x": data["x"],
        "present": present,
        "available": left.unsqueeze(1),
        "y": prepared.labels[chosen],
    }
    count = len(prepared.modalities)
    if config.dropout:
        batch["keep_tokens"] = draws.keep(1 - config.dropout, size, count, config.tokens, config.channels)
        fused = count * (count - 1) * config.tokens * config.channels
        batch["keep_fused"] = draws.keep(1 - config.dropout, size, fused)
    if config.drawn:
        batch["noise"] = draws.normal(size, count, config.tokens, config.channels)
    return batch
