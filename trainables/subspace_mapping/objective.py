"""The losses of sections 3.4 to 3.6, eq. 1-9, 12 and 13, for one row and batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from trainables.epoch import Tensors
from trainables.losses import cmd, masked_mean
from trainables.subspace_mapping.config import Fuse


def cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor, counted: Tensor) -> Tensor:
    """Class-weighted cross entropy of the counted utterances, eq. 1, 2 and 12, as a weighted mean; 0 of none.

    Differs: the paper sums over utterances, which ties the step to the batch; this is the mean.

    Args:
        logits: Shape (..., C).
        labels: Class indices, shape (...); not looked at where not counted.
        weights: Positive weight of each class, shape (C,).
        counted: Shape (...), bool.
    """
    labels = torch.where(counted, labels, 0)
    each = -torch.log_softmax(logits, -1).gather(-1, labels[..., None])[..., 0]
    weight = weights[labels] * counted
    return (each * weight).sum() / weight.sum().clamp(min=1e-12)


def overlap(a: Tensor, b: Tensor, counted: Tensor, *, printed: bool = False) -> Tensor:
    """One term of the difference loss, eq. 6: how far two sets of representations share directions.

    As printed it is the squared Frobenius norm of a^T b, which grows with the square of the batch (millions for
    twenty dialogues) and with the vectors' length, so that shrinking them satisfies it. The default takes unit
    vectors and the mean over utterances: between 0 (orthogonal) and 1 (all utterances on one common axis a side).

    Args:
        a: Shape (n, d).
        b: Shape (n, d).
        counted: Which utterances count, shape (n,), bool.
        printed: Eq. 6 as printed.

    Returns:
        Shape (); 0 where none counts.
    """
    if not printed:
        a, b = F.normalize(a, dim=-1), F.normalize(b, dim=-1) / counted.sum().clamp(min=1)
    return ((a * counted[:, None]).mT @ b).square().sum()


def squared_distance(a: Tensor, b: Tensor, counted: Tensor) -> Tensor:
    """A term of eq. 7 or 8: squared L2 distance over d_h, mean over the utterances that count (0 of none).

    Args:
        a: Shape (n, d).
        b: Shape (n, d).
        counted: Shape (n,), bool.
    """
    return masked_mean((a - b).square().mean(-1), counted)


def terms(config: Fuse, found: Tensors, batch: Mapping[str, Any]) -> Tensors:
    """Every term of eq. 13 that has a weight, unweighted, each of shape ().

    Args:
        config: The stage's settings.
        found: What the network gave.
        batch: ``y`` and ``counted`` (L, T): labels, and which utterances have a loss; ``present`` by modality (L, T);
            ``weights`` (C,).
    """
    y, counted, weights = batch["y"], batch["counted"], batch["weights"]
    there = {name: counted & mask for name, mask in batch["present"].items()}
    made = {"task": cross_entropy(found["logits"], y, weights, counted)}
    made |= {
        f"unimodal {name}": cross_entropy(found[f"logits {name}"], y, weights, mask)
        for name, mask in there.items()
        if f"logits {name}" in found
    }
    if config.beta > 0 and all(f"public {name}" in found for name in there):
        made |= subspace_terms(config, found, there)
    return made


def subspace_terms(config: Fuse, found: Tensors, there: Tensors) -> Tensors:
    """L_sim, L_dif, L_rec and L_cyc, eq. 5-8, each a sum over modalities or over pairs of them.

    Args:
        config: The stage's settings.
        found: What the network gave, shape (L, T, d).
        there: Modality -> which utterances count, shape (L, T), bool.
    """
    flat = {kind: each.flatten(0, -2) for kind, each in found.items()}
    there = {name: mask.flatten() for name, mask in there.items()}
    made: Tensors = {}
    if config.alpha * config.similarity > 0:
        made["similarity"] = _summed(
            cmd(flat[f"public {a}"], flat[f"public {b}"], order=config.cmd_order, present=(there[a], there[b]))
            for a, b in combinations(there, 2)
        )
    if config.alpha * config.difference > 0:
        made["difference"] = _summed(overlaps(flat, there, printed=config.printed_difference).values())
    if config.reconstruction > 0:
        made["reconstruction"] = _summed(
            squared_distance(flat[f"U {name}"], flat[f"rebuilt {name}"], mask) for name, mask in there.items()
        )
    if config.cycle > 0:
        made["cycle"] = _summed(
            squared_distance(flat[f"unique {name}"], flat[f"again {name}"], mask) for name, mask in there.items()
        )
    return made


def overlaps(found: Tensors, there: Tensors, *, printed: bool = False) -> Tensors:
    """Every term of eq. 6, shape () each: unique against unique, and unique against public of a modality.

    Args:
        found: ``public m`` and ``unique m``, shape (n, d).
        there: Modality -> which utterances count, shape (n,), bool.
        printed: Eq. 6 as printed; see `overlap`.
    """
    pairs = {(f"unique {b}", f"unique {a}"): there[a] & there[b] for a, b in combinations(there, 2)}
    pairs |= {(f"unique {name}", f"public {name}"): mask for name, mask in there.items()}
    return {f"{a}, {b}": overlap(found[a], found[b], mask, printed=printed) for (a, b), mask in pairs.items()}


def subspace_loss(config: Fuse, terms: Tensors) -> Tensor:
    """Eq. 9: L_rec + L_cyc + alpha (L_sim + L_dif), of the terms that there are."""
    weights = {
        "reconstruction": config.reconstruction,
        "cycle": config.cycle,
        "similarity": config.alpha * config.similarity,
        "difference": config.alpha * config.difference,
    }
    return _summed(weight * terms[name] for name, weight in weights.items() if name in terms)


def total(config: Fuse, terms: Tensors) -> Tensor:
    """Eq. 13: L_task + L_ua + beta L_sp, with L_ua the sum of the unimodal terms (eq. 3)."""
    unimodal = _summed(term for name, term in terms.items() if name.startswith("unimodal"))
    return terms["task"] + config.unimodal * unimodal + config.beta * subspace_loss(config, terms)


def _summed(values: Iterable[Tensor]) -> Tensor:
    return sum(values, torch.zeros(()))
