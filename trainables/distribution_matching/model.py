"""The network of figure 2: one auto-encoder a modality, and a classifier over their joined latents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from trainables.distribution_matching.autoencoders import make
from trainables.distribution_matching.config import Network
from trainables.epoch import Tensors
from trainables.prepared import Prepared
from trainables.stacking import Draws, Stack, map_rows, mlp, row_seeds

#: Utterances encoded at once where nothing is trained, over all rows.
CHUNK = 32768


class Output(NamedTuple):
    """What a model says of B utterances.

    Attributes:
        logits: Shape (B, C).
        z: Latents by modality, shape (B, Z); 0 where the modality is missing.
        rebuilt: x^ by modality, shaped as `Model.target`; empty where not asked for.
    """

    logits: Tensor
    z: Tensors
    rebuilt: Tensors


class Model(nn.Module):
    """Auto-encoders and classifier of one row.

    Args:
        shapes: Shape of one utterance's features by modality, (D,) or (T, D).
        network: The settings.
        classes: How many classes there are.
    """

    def __init__(self, shapes: Mapping[str, Sequence[int]], network: Network, classes: int) -> None:
        super().__init__()
        self.dae: Any = nn.ModuleDict({name: make(name, shape, network) for name, shape in shapes.items()})
        self.C: Any = mlp((len(shapes) * network.latent_dim, *network.classifier, classes))

    @property
    def widths(self) -> dict[str, tuple[int, ...]]:
        """Sizes of the hidden layers that dropout may act on: by modality, and ``C``."""
        return {name: dae.widths for name, dae in self.dae.items()} | {"C": _hidden(self.C)}

    def forward(
        self, x: Tensors, present: Tensors, keep: Mapping[str, Sequence[Tensor]], decode: bool
    ) -> tuple[Tensor, Tensors, Tensors]:
        """The fields of `Output`.

        Args:
            x: Features by modality, shape (B, D) or (B, T, D).
            present: Which are there, shape (B,), bool.
            keep: Dropout's multipliers by modality, and ``C``; empty without dropout.
            decode: Whether to reconstruct.
        """
        z = {name: _where(present[name], dae.encode(x[name], keep.get(name, ()))) for name, dae in self.dae.items()}
        rebuilt = {name: dae.decode(z[name]) for name, dae in self.dae.items()} if decode else {}
        return self._classify(torch.cat(list(z.values()), -1), keep.get("C", ())), z, rebuilt

    def target(self, name: str, x: Tensor) -> Tensor:
        """What the auto-encoder of a modality should give for x: x, a sequence in reverse order."""
        return cast(Tensor, self.dae[name].target(x))

    def _classify(self, z: Tensor, keep: Sequence[Tensor]) -> Tensor:
        masks = iter(keep)
        for layer in self.C:
            z = layer(z)
            if isinstance(layer, nn.ReLU) and keep:
                z = z * next(masks)
        return z


def _where(present: Tensor, z: Tensor) -> Tensor:
    return torch.where(present[:, None], z, 0.0)


def _hidden(classifier: nn.Sequential) -> tuple[int, ...]:
    return tuple(layer.out_features for layer in list(classifier)[:-1] if isinstance(layer, nn.Linear))


def build(network: Network, prepared: Prepared, stage: str) -> Stack:
    """One `Model` a row, each initialised under its own seed."""
    shapes = {name: tuple(features.shape[2:]) for name, features in prepared.features.items()}
    seeds = row_seeds(prepared.task, stage, "init")
    return stacked(network, shapes, prepared.classes, seeds).to(prepared.device)


def stacked(network: Network, shapes: Mapping[str, Sequence[int]], classes: int, seeds: Sequence[int]) -> Stack:
    """One `Model` a seed."""
    return Stack(lambda: Model(shapes, network, classes), seeds)


def call(
    stack: Stack,
    params: Tensors,
    x: Tensors,
    present: Tensors,
    keep: Mapping[str, Sequence[Tensor]] | None = None,
    *,
    decode: bool = False,
) -> Output:
    """One row's model; for use inside `map_rows`."""
    return Output(*functional_call(stack.module, dict(params), (x, present, keep or {}, decode)))


def multipliers(stack: Stack, dropout: float, draws: Draws, batch: int) -> dict[str, list[Tensor]]:
    """Dropout's multipliers for every row, shape (R, B, width) each; empty without dropout."""
    if not dropout:
        return {}
    widths = stack.module.widths
    return {name: [draws.keep(1 - dropout, batch, width) for width in each] for name, each in widths.items()}  # type: ignore[union-attr, operator]


def outputs(stack: Stack, batch: Mapping[str, Tensors], rows: np.ndarray | None = None) -> Output:
    """Every row's model, or those of the given rows, on its own utterances; nothing dropped, nothing rebuilt.

    Args:
        stack: The models.
        batch: ``x`` and ``present`` by modality, shapes (rows, n, ...) and (rows, n).
        rows: Which rows the batch is of, shape (R,), bool; None for all.
    """
    params = stack.params if rows is None else {name: tensor[rows] for name, tensor in stack.params.items()}
    count, size = next(iter(batch["present"].values())).shape
    step = max(1, CHUNK // max(count, 1))
    parts = [_chunk(stack, params, batch, slice(start, start + step)) for start in range(0, max(size, 1), step)]
    return Output(
        torch.cat([each.logits for each in parts], 1),
        {name: torch.cat([each.z[name] for each in parts], 1) for name in parts[0].z},
        {},
    )


def _chunk(stack: Stack, params: Tensors, batch: Mapping[str, Tensors], part: slice) -> Output:
    x, present = ({name: each[:, part] for name, each in batch[key].items()} for key in ("x", "present"))
    return map_rows(lambda params, x, present: call(stack, params, x, present), params, x, present)


def row_outputs(stack: Stack, prepared: Prepared, row: int, index: Tensor) -> Output:
    """One row's model on utterances of the corpus.

    Args:
        stack: The models.
        prepared: The task's tensors.
        row: Which row.
        index: Utterances, shape (1, n).
    """
    mask = np.arange(prepared.rows) == row
    return outputs(stack, prepared.held_out(index, mask), mask)
