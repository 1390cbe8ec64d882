"""How well missing modalities are recovered, whether X keeps its spread, and when an arm must be flagged."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from trainables.cm_arr.config import Config
from trainables.cm_arr.recovery import FlowRecovery
from trainables.epoch import Diagnostic, Embedding, Flag, Tensors, flagged
from trainables.prepared import Prepared
from trainables.selection import Best
from trainables.stacking import Draws, Stack, map_rows
from trainables.training import Finished

#: X spreads less than this share of its spread before training: collapsed.
COLLAPSED_BELOW = 0.1
#: A flow's way there and back misses by more than this share of X's size: not to be relied on.
INVERSE_ABOVE = 0.01
#: Utterances measured a row, and vectors kept for a figure.
MEASURED, KEPT = 400, 400

MEASURES = {
    "spread": (
        "Spread of X after training",
        "Standard deviation of X over dev utterances, as a share of what it was before training, by modality. Below "
        f"{COLLAPSED_BELOW:g} the representation has collapsed: recovering it is then easy and worth nothing.",
    ),
    "relative_error": (
        "Error of recovered X",
        "Squared error of a modality recovered from all others, as a share of its variance, on dev: 0 is perfect, 1 is "
        "no better than always giving the mean.",
    ),
    "cosine": (
        "Cosine of recovered and true X",
        "Mean cosine between recovered and true vectors around the mean of the true ones, on dev: 1 is the right "
        "direction, 0 is no relation.",
    ),
    "latent_size": (
        "Size of the latent Z",
        "Root mean square of Z on dev, by modality: 1 for the standard normal that eq. 7 speaks of. Nothing in eq. 14 "
        "makes it so; `likelihood` does.",
    ),
    "inverse_error": (
        "Error of the inverse flow",
        "Largest difference between X and its way through the flow and back, as a share of X's root mean square: "
        "rounding only, unless the flow is ill-conditioned.",
    ),
}


def finish(config: Config, prepared: Prepared, untrained: Stack, trained: Stack, best: Best) -> Finished:
    """Measure every row at its dev-chosen epoch; what the stage hands on."""
    trained.load(best.tensors)
    artifact = {**best.tensors, **prepared.state()}
    whole = torch.stack(list(prepared.present.values())).all(0).cpu().numpy()
    parts = [fold.dev if len(fold.dev) else fold.train for fold, _ in prepared.task.rows]
    parts = [part[whole[part]] for part in parts]
    if min(map(len, parts)) < 2:
        return Finished(artifact=artifact)
    draws = Draws(prepared.task, "quality", device=prepared.device)
    index = draws.choice(parts, min(MEASURED, *map(len, parts)))
    with torch.no_grad():
        measures = measure(config, prepared, untrained, trained, index)
        embeddings = _embeddings(config, prepared, trained, whole)
    return Finished(artifact=artifact, diagnostics=tuple(_rows(measures)), embeddings=embeddings, flags=flags(measures))


def measure(
    config: Config, prepared: Prepared, untrained: Stack, trained: Stack, index: Tensor
) -> dict[tuple[str, str], Tensor]:
    """(measure, modality) -> its value by row, shape (R,).

    Args:
        config: All settings.
        prepared: The task's tensors.
        untrained: The models before training.
        trained: The models at their dev-chosen epochs.
        index: Utterances that have every modality, shape (R, n).
    """
    every = np.ones(prepared.rows, dtype=bool)
    before, after = (each_missing(prepared, stack, index, every) for stack in (untrained, trained))
    found = {}
    for place, name in enumerate(prepared.modalities):
        x = after["x"][:, :, place].flatten(-2)
        found["spread", name] = spread(x) / spread(before["x"][:, :, place].flatten(-2))
        if config.train.recovery == "flow":
            recovered = after["recovered"][:, place, :, place].flatten(-2)
            found["relative_error", name], found["cosine", name] = closeness(recovered, x)
            found["latent_size", name] = after["latent"][:, :, place].square().mean((-1, -2)).sqrt()
            found["inverse_error", name] = inverse_error(trained, name, after["x"][:, :, place])
    return found


def each_missing(prepared: Prepared, stack: Stack, index: Tensor, rows: np.ndarray) -> Tensors:
    """What `Model.forward` gives when each modality in turn is the missing one: condition k lacks modality k."""
    data = prepared.held_out(index, rows)
    count = len(prepared.modalities)
    others = ~torch.eye(count, dtype=torch.bool, device=prepared.device)
    available = others[None, :, None, :].expand(len(index), count, index.shape[1], count)
    found: Tensors = stack.apply({"x": data["x"], "available": available}, rows)  # type: ignore[arg-type, assignment]
    return found


def spread(x: Tensor) -> Tensor:
    """Standard deviation over utterances, root mean square over values: shape (R, n, V) to (R,)."""
    return x.var(1, correction=0).mean(-1).sqrt()


def closeness(recovered: Tensor, true: Tensor) -> tuple[Tensor, Tensor]:
    """Squared error as a share of the true vectors' variance, and mean cosine around their mean; shape (R,) each.

    Args:
        recovered: Shape (R, n, V).
        true: Shape (R, n, V).
    """
    mean = true.mean(1, keepdim=True)
    error = (recovered - true).square().sum((-1, -2)) / (true - mean).square().sum((-1, -2)).clamp(min=1e-12)
    return error, torch.cosine_similarity(recovered - mean, true - mean, dim=-1).mean(-1)


class _RoundTrip(nn.Module):
    def __init__(self, recovery: FlowRecovery) -> None:
        super().__init__()
        self.recovery = recovery

    def forward(self, x: Tensor) -> Tensor:
        return self.recovery.inverse(self.recovery.latent(x)[0])


def inverse_error(stack: Stack, name: str, x: Tensor) -> Tensor:
    """Largest error of F^-1(F(X)), as a share of X's root mean square: X of shape (R, n, T, C) to (R,)."""
    prefix = f"recovery.{name}."
    params = {
        f"recovery.{key.removeprefix(prefix)}": tensor for key, tensor in stack.params.items() if key.startswith(prefix)
    }
    module = _RoundTrip(stack.module.get_submodule(prefix[:-1]))  # type: ignore[arg-type]
    back = map_rows(partial(functional_call, module), params, x)
    return (back - x).abs().amax((-1, -2, -3)) / x.square().mean((-1, -2, -3)).sqrt().clamp(min=1e-12)


def flags(measures: dict[tuple[str, str], Tensor]) -> tuple[Flag, ...]:
    """Warnings: ``representations collapsed`` or ``flow not invertible``, of the rows where it holds."""
    spreads = torch.stack([value for (name, _), value in measures.items() if name == "spread"])
    found = flagged("representations collapsed", ~(spreads >= COLLAPSED_BELOW).all(0))
    errors = [value for (name, _), value in measures.items() if name == "inverse_error"]
    if errors:
        found += flagged("flow not invertible", ~(torch.stack(errors) <= INVERSE_ABOVE).all(0))
    return found


def _rows(measures: dict[tuple[str, str], Tensor]) -> Iterator[Diagnostic]:
    for (name, modality), values in measures.items():
        for row, value in enumerate(values.tolist()):
            yield Diagnostic(row=row, measure=name, value=value, label=modality)


def _embeddings(config: Config, prepared: Prepared, trained: Stack, whole: np.ndarray) -> tuple[Embedding, ...]:
    """True and recovered X of test utterances of an arm's first row, as in fig. 5."""
    test = prepared.task.rows[0][0].test
    test = test[whole[test]]
    if config.train.recovery != "flow" or not len(test):
        return ()
    kept = np.sort(np.random.default_rng(0).permutation(test)[:KEPT])
    labels = prepared.labels.cpu().numpy()[kept]
    found = []
    for row in prepared.task.firsts:
        first = np.arange(prepared.rows) == row
        out = each_missing(prepared, trained, torch.from_numpy(kept)[None].to(prepared.device), first)
        for place, name in enumerate(prepared.modalities):
            kinds = {"true": out["x"][0, :, place], "recovered": out["recovered"][0, place, :, place]}
            for kind, each in kinds.items():
                vectors = each.flatten(-2).cpu().numpy()
                found.append(Embedding(row=row, kind=f"{name}: {kind}", labels=labels, vectors=vectors))
    return tuple(found)
