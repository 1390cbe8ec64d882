"""Eq. 1-9 for one row and batch: every term by its name, and their weighted sum."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from trainables.distribution_matching import matching
from trainables.distribution_matching.config import Train
from trainables.distribution_matching.model import Output, call
from trainables.epoch import Tensors
from trainables.losses import masked_mean, weighted_cross_entropy
from trainables.stacking import Stack

#: Put before the names of eq. 8's terms.
UNLABELED = "u_"


def losses(config: Train, stack: Stack, params: Tensors, batch: Mapping[str, Any]) -> Tensors:
    """The terms of eq. 6-9 for one row and batch, each of shape (); a weight of 0 skips its term.

    Labeled and unlabeled utterances, and the partners of both where eq. 7 draws them, go through the model at once.

    Args:
        config: The stage's settings.
        stack: Gives the module.
        params: The row's parameters.
        batch: ``x`` and ``present`` by modality, of the labeled, the unlabeled and the partners' utterances, in that
            order; ``y`` (B,) of the labeled ones; ``weights`` (C,); ``keep`` of the multipliers; ``use`` (), whether
            the row has an unlabeled part, where there is one.
    """
    x, present, size = batch["x"], batch["present"], len(batch["y"])
    out = call(stack, params, x, present, batch["keep"], decode=config.alpha > 0)
    terms = {"classification": weighted_cross_entropy(out.logits[:size], batch["y"], batch["weights"])}
    semi = "use" in batch
    both = (1 + semi) * size
    for index, prefix in enumerate(("", UNLABELED)[: 1 + semi]):
        part = slice(index * size, (index + 1) * size)
        partner = slice(both + part.start, both + part.stop)
        each = unsupervised(config, stack, x, present, out, part, partner)
        terms |= {prefix + name: torch.where(batch["use"], term, 0.0) if index else term for name, term in each.items()}
    return terms


def unsupervised(
    config: Train, stack: Stack, x: Tensors, present: Tensors, out: Output, part: slice, partner: slice
) -> Tensors:
    """L_rec, L_pair and L_unpaired of one part of a batch; eq. 8, and the same terms in eq. 7.

    Args:
        config: The stage's settings.
        stack: Gives the module.
        x: Features by modality.
        present: Which are there.
        out: What the model says of all of them.
        part: Which utterances.
        partner: Their unpaired partners, where eq. 7 draws them.
    """
    terms: Tensors = {}
    here = {name: mask[part] for name, mask in present.items()}
    if config.alpha > 0:
        terms["reconstruction"] = torch.stack(
            [
                reconstruction(out.rebuilt[name][part], stack.module.target(name, x[name][part]), here[name])  # type: ignore[operator]
                for name in x
            ]
        ).sum(0)
    if config.beta > 0 and len(x) > 1:
        z = {name: each[part] for name, each in out.z.items()}
        terms["pair"] = matching.pair(config, z, here)
        if config.unpaired != "none":
            others = {name: each[partner] for name, each in out.z.items()}, {n: m[partner] for n, m in present.items()}
            terms["unpair"] = matching.unpair(config, z, here, others)
    return terms


def reconstruction(rebuilt: Tensor, target: Tensor, present: Tensor) -> Tensor:
    """Eq. 2, L_DAE: squared error, mean over values and over the utterances that have the modality; shape ().

    Args:
        rebuilt: x^, shape (B, ...).
        target: x, or the reversed sequence, of the same shape.
        present: Which are there, shape (B,), bool.
    """
    return masked_mean((rebuilt - target).square().flatten(1).mean(1), present)


def total(config: Train, terms: Tensors) -> Tensor:
    """Eq. 9: L_cls + alpha L_rec + beta (L_pair + L_unpaired) + omega (the same without L_cls, unlabeled)."""
    weight = {"classification": 1.0, "reconstruction": config.alpha, "pair": config.beta, "unpair": config.beta}
    unlabeled = {UNLABELED + name: config.omega * each for name, each in weight.items()}
    return torch.stack([(weight | unlabeled)[name] * term for name, term in terms.items()]).sum(0)
