"""Stage 1, section 3.1: audio encoder and classifier, aligned with the text embeddings (eq. 1-7)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from trainables.epoch import Tensors
from trainables.losses import info_nce, weighted_cross_entropy
from trainables.mi_infogan.config import Align, Config
from trainables.mi_infogan.data import Data
from trainables.scoring import Part
from trainables.stacking import Draws, Means, Optimizer, Stack, map_rows, row_seeds
from trainables.task import Task
from trainables.training import Classifier, Finished, Training

NAME = "align"
#: Size of h where neither a text embedding nor the config gives one.
DEFAULT_DIM = 128


class Baseline(nn.Module):
    """Encoder f_a, classifier (W_y, b_y) and text projection (W_t, b_t).

    The encoder ends in a LayerNorm, as the pooled output of the paper's transformer does.

    Args:
        config: The stage's settings.
        audio_dim: Size of the stored audio features.
        text_dim: Size of the text embedding, and so of h (eq. 5 compares them); 0 without text.
        classes: How many classes there are.
    """

    def __init__(self, config: Align, audio_dim: int, text_dim: int, classes: int) -> None:
        super().__init__()
        feature_dim = text_dim or config.feature_dim or DEFAULT_DIM
        sizes = (audio_dim, *config.hidden)
        self.inner = nn.ModuleList(nn.Linear(wide, narrow) for wide, narrow in pairwise(sizes))
        self.outer = nn.Linear(sizes[-1], feature_dim)
        self.norm = nn.LayerNorm(feature_dim)
        self.W_y = nn.Linear(feature_dim, classes)
        self.W_t = nn.Linear(feature_dim, text_dim) if text_dim else None

    def forward(self, x: Tensor, keep: Tensor | None = None) -> Tensor:
        """h = f_a(x), eq. 1: shape (B, D) to (B, H); ``keep`` multiplies the last hidden units (dropout)."""
        for layer in self.inner:
            x = torch.relu(layer(x))
        return self.norm(self.outer(x if keep is None else x * keep))


def build(config: Config, data: Data) -> Stack:
    """One `Baseline` a row, each initialised under its own seed."""
    seeds = row_seeds(data.task, NAME, "init")
    sizes = data.dims["audio"], data.dims.get("text", 0), data.classes
    return Stack(lambda: Baseline(config.align, *sizes), seeds).to(data.device)


def linear(params: Mapping[str, Tensor], layer: str, h: Tensor) -> Tensor:
    """Apply one of the prediction layers, ``W_y`` or ``W_t``, to h: eq. 2, 6, 10 and 12."""
    return h @ params[f"{layer}.weight"].mT + params[f"{layer}.bias"].unsqueeze(-2)


def losses(config: Align, stack: Stack, params: Tensors, batch: Tensors) -> Tensors:
    """The terms of eq. 7 for one row and batch, each of shape (); a weight of 0 skips its term.

    Args:
        config: The stage's settings.
        stack: Gives the module.
        params: The row's parameters.
        batch: ``x`` (B, D), ``t`` (B, K), ``y`` (B,), ``has_text`` (B,), ``weights`` (C,) and, with dropout,
            ``keep`` (B, hidden).
    """
    h = stack.call(params, *(batch[name] for name in ("x", "keep") if name in batch))
    return terms_of(config, params, h, batch)


def terms_of(config: Align, heads: Mapping[str, Tensor], h: Tensor, batch: Tensors) -> Tensors:
    """The terms of eq. 7 for one row and batch from its features, each of shape (); a weight of 0 skips its term.

    Args:
        config: The stage's settings.
        heads: W_y, b_y and, with text, W_t, b_t.
        h: Features, shape (B, H).
        batch: ``t`` (B, K), ``y`` (B,), ``has_text`` (B,), ``weights`` (C,).
    """
    t, present = batch["t"], batch["has_text"]
    terms = {"ser": weighted_cross_entropy(linear(heads, "W_y", h), batch["y"], batch["weights"])}
    if config.alpha > 0 and t.shape[-1]:
        terms["cl"] = info_nce(t, h, temperature=config.temperature, present=present)
    if config.beta > 0 and t.shape[-1]:
        terms["mi"] = info_nce(t, linear(heads, "W_t", h), temperature=config.temperature, present=present)
    return terms


def total(config: Align, terms: Tensors) -> Tensor:
    """Eq. 7: L_SER + alpha L_CL + beta L_MI."""
    weight = {"ser": 1.0, "cl": config.alpha, "mi": config.beta}
    return torch.stack([weight[name] * term for name, term in terms.items()]).sum(0)


def run(config: Config, task: Task, artifacts: Mapping[str, Tensors], state: Tensors | None = None) -> Training:
    """Train every row's baseline; yield after each epoch.

    Its artifact: the parameters of each row at its dev-chosen epoch and the normalisers; where encoders make the
    features, these too (`tune`).
    """
    del artifacts  # the first stage
    if config.align.raw:
        from trainables.mi_infogan import tune  # needs the extra encoders

        return tune.run(config, task, state)
    return train(config, Data.of(config, task), state)


def train(
    config: Config, data: Data, state: Tensors | None, more: Callable[[Tensors], Tensors] = lambda best: {}
) -> Training:
    """Train every row's baseline over stored features, or such as a frozen encoder has made.

    Args:
        config: All settings.
        data: The task's tensors.
        state: What to go on from.
        more: What else to hand on, from the parameters at each row's dev-chosen epoch.
    """
    stack = build(config, data)
    across = config.align.across
    optimizer = Optimizer([stack], learning_rate=across("learning_rate"), weight_decay=across("weight_decay"))

    def logits(part: Part, rows: np.ndarray) -> Tensors:
        h = stack.apply(data.x[data.fold[rows], part.index[rows]], rows)
        return {"audio": linear({name: tensor[rows] for name, tensor in stack.params.items()}, "W_y", h)}

    return Classifier(
        stage=NAME,
        epochs=config.align.epochs,
        arms=data.task.arms,
        stack=stack,
        optimizer=optimizer,
        dev=data.part("dev"),
        test=data.part("test"),
        train=partial(_epoch, config.align, data, stack, optimizer),
        logits=logits,
        finish=lambda best: Finished(artifact=best.tensors | data.state() | more(best.tensors)),
    ).run(state)


def _epoch(config: Align, data: Data, stack: Stack, optimizer: Optimizer, index: np.ndarray) -> dict[str, np.ndarray]:
    draws, means = Draws(data.task, NAME, index, device=data.device), Means()
    weights = data.weights(config.class_weights)
    vectors = data.vectors(config, "alpha", "beta", "temperature")

    def row(params: Tensors, batch: Tensors, temperature: Tensor) -> Tensors:
        return losses(config.model_copy(update={"temperature": temperature}), stack, params, batch)

    for batch in draws.batches(data.train, data.steps(config.batch_size), config.batch_size).unbind(1):
        inputs = {**data.pairs(batch), "weights": weights}
        if config.dropout and config.hidden:
            inputs["keep"] = draws.keep(1 - config.dropout, batch.shape[1], config.hidden[-1])
        terms = map_rows(row, stack.params, inputs, vectors["temperature"])
        optimizer.step(total(config.model_copy(update=vectors), terms))
        means.add(terms)
    return means.result()


@dataclass(frozen=True)
class Frozen:
    """A finished baseline as the later stages use it.

    Attributes:
        stack: The baselines, at each row's dev-chosen epoch; their heads only, where h was handed on.
        h: Features of every labeled utterance, shape (R, N, H).
        row: 0 to R - 1, shape (R, 1), to index h with.
    """

    stack: Stack
    h: Tensor
    row: Tensor

    @property
    def heads(self) -> Tensors:
        """W_y, b_y, W_t, b_t."""
        return {name: tensor for name, tensor in self.stack.params.items() if name.startswith("W_")}

    @classmethod
    def load(cls, config: Config, data: Data, artifact: Tensors) -> Frozen:
        """Rebuild the baselines from the stage's artifact and apply their encoders, eq. 1.

        Where the artifact holds the features, the encoder has been at work already: then there is none in the stack.
        """
        row = torch.arange(data.rows, device=data.device)[:, None]
        if "h" in artifact:
            h = artifact["h"].to(data.device)
            return cls(_heads(data, h.shape[-1]).load(artifact), h, row)
        stack = build(config, data).load(artifact)
        with torch.no_grad():
            h = torch.stack([_encode(stack, row, data.x[fold]) for row, fold in enumerate(data.fold[:, 0])])
        return cls(stack, h, row)


def _heads(data: Data, feature_dim: int) -> Stack:
    """W_y and, with text, W_t of every row, to be loaded."""

    def make() -> nn.Module:
        heads = nn.Module()
        heads.W_y = nn.Linear(feature_dim, data.classes)
        if data.t.shape[-1]:
            heads.W_t = nn.Linear(feature_dim, data.t.shape[-1])
        return heads

    return Stack(make, [0] * data.rows).to(data.device)


def _encode(stack: Stack, row: int, x: Tensor) -> Tensor:
    return stack.call({name: tensor[row] for name, tensor in stack.params.items()}, x)
