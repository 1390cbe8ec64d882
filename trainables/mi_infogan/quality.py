"""How good generated features are: information terms, class recall, spread; and when an arm must be flagged."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from trainables.epoch import Diagnostic, Embedding, Flag, Report, Tensors, flagged
from trainables.mi_infogan.align import Frozen, linear
from trainables.mi_infogan.data import Data
from trainables.stacking import Draws

#: Generated features spread less than this share of the real ones around their class mean: collapsed.
COLLAPSED_BELOW = 0.1
#: Generated features are longer than this many times the real ones: blown up.
BLOWN_UP_ABOVE = 3.0
#: Conditions measured a row, draws of the noise for each, and vectors kept for a figure.
CONDITIONS, DRAWS, KEPT = 512, 8, 400


#: Features generated for the conditions of utterances, shape (R, n) to (R, n, H), with the next noise of the draws.
Sampler = Callable[[Tensor, Draws], Tensor]


def measure(data: Data, frozen: Frozen, sample: Sampler, information: Callable[[Tensors], Tensors]) -> Report:
    """Measure every row's generator on conditions of its own train part.

    Args:
        data: The task's tensors.
        frozen: The baselines whose features are imitated.
        sample: Generates features.
        information: L_Iy and L_It of a batch, stacked over rows (eq. 11 and 13).
    """
    draws = Draws(data.task, "quality", device=data.device)
    index = draws.choice(data.train, CONDITIONS)
    real = frozen.h[frozen.row, index]
    fakes = torch.stack([sample(index, draws) for _ in range(DRAWS)])
    labels = data.labels[index]
    measures = {
        "noise_spread": fakes.std(0).mean((-1, -2)) / class_spread(real, labels, data.classes),
        "spread_ratio": class_spread(fakes[0], labels, data.classes) / class_spread(real, labels, data.classes),
        "norm_ratio": fakes[0].norm(dim=-1).mean(-1) / real.norm(dim=-1).mean(-1),
        **_information(data, index, fakes[0], information),
    }
    rows = [*_by_row(measures)]
    for name, features in (("recall_generated", fakes[0]), ("recall_real", real)):
        rows += _recalls(name, linear(frozen.heads, "W_y", features).argmax(-1), labels, data.task.corpus.classes)
    return Report(tuple(rows), _embeddings(data, frozen, sample, draws), flags(measures))


def class_spread(features: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Standard deviation around the class means, root mean square over utterances and dimensions.

    Args:
        features: Shape (R, n, H).
        labels: Shape (R, n).
        classes: How many classes there are.

    Returns:
        Shape (R,).
    """
    member = torch.nn.functional.one_hot(labels, classes).float()
    means = member.mT @ features / member.sum(1).clamp(min=1)[..., None]
    return (features - member @ means).square().mean((-1, -2)).sqrt()


def flags(measures: Tensors) -> tuple[Flag, ...]:
    """Warnings about generators: ``generator collapsed`` or ``generator blew up``, of the rows where it holds."""
    norm = measures["norm_ratio"]
    return (
        *flagged("generator collapsed", measures["spread_ratio"] < COLLAPSED_BELOW),
        *flagged("generator blew up", ~torch.isfinite(norm) | (norm > BLOWN_UP_ABOVE)),
    )


def _information(data: Data, index: Tensor, fake: Tensor, information: Callable[[Tensors], Tensors]) -> Tensors:
    """Lower bounds in nats: H(c) - L_Iy <= I(c; h), and log n - L_It <= I(t; h)."""
    terms = information(data.pairs(index) | {"fake": fake})
    share = torch.nn.functional.one_hot(data.labels[index], data.classes).float().mean(1)
    bounds = {"mi_y": torch.special.entr(share).sum(-1) - terms["I_y"]}
    if "I_t" in terms:
        bounds["mi_t"] = float(np.log(index.shape[1])) - terms["I_t"]
    return bounds


def _by_row(measures: Tensors) -> Iterator[Diagnostic]:
    for name, values in measures.items():
        for row, value in enumerate(values.tolist()):
            yield Diagnostic(row=row, measure=name, value=value)


def _recalls(name: str, guess: Tensor, labels: Tensor, classes: tuple[str, ...]) -> Iterator[Diagnostic]:
    for index, label in enumerate(classes):
        member = labels == index
        recall = ((guess == labels) & member).sum(-1) / member.sum(-1)
        for row, value in enumerate(recall.tolist()):
            yield Diagnostic(row=row, measure=name, label=label, value=value)


def _embeddings(data: Data, frozen: Frozen, sample: Sampler, draws: Draws) -> tuple[Embedding, ...]:
    """Real test features of an arm's first row and as many generated for their conditions, as in the paper's fig. 2."""
    test = [fold.test for fold, _ in data.task.rows]
    if not len(test[0]):
        return ()
    index = draws.choice(test, min(KEPT, len(test[0])))
    pair = {"real": frozen.h[frozen.row, index], "generated": sample(index, draws)}
    labels = data.labels[index[0]].cpu().numpy()
    return tuple(
        Embedding(row=row, kind=kind, labels=labels, vectors=features[row].cpu().numpy())
        for row in data.task.firsts
        for kind, features in pair.items()
    )
