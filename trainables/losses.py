"""Losses as pure functions of tensors: no weight, no device, no logging. Methods write the sums."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def info_nce(anchor: Tensor, candidate: Tensor, *, temperature: float, present: Tensor | None = None) -> Tensor:
    r"""InfoNCE of paired embeddings, one direction: each anchor must find its own candidate in the batch.

    .. math:: -\frac1n \sum_i \log \frac{\exp(\mathrm{sim}(a_i, c_i)/\tau)}{\sum_j \exp(\mathrm{sim}(a_i, c_j)/\tau)}

    with sim the cosine. Row i of both inputs is one utterance; the other rows are its negatives.

    Source: van den Oord et al. 2018; as Ahn et al. 2025, eq. 5 (t, h), eq. 6 and 13 (t, W_t h + b_t), where
    the sum runs over the audio side only.

    Args:
        anchor: What asks, shape (B, D); need not be normalised.
        candidate: What is looked for, shape (B, D).
        temperature: tau, divides the cosines; positive, dimensionless.
        present: Which anchors exist, shape (B,), 0 or 1; the mean is over these (0 when there is none).
            Their candidates still serve as negatives.

    Returns:
        The mean loss in nats, shape (); log B when all candidates are equal.

    Raises:
        ValueError: If the shapes differ, B < 2, or ``temperature <= 0``.

    Example:
        >>> round(info_nce(torch.ones(4, 8), torch.ones(4, 8), temperature=0.1).exp().item(), 3)
        4.0
    """
    if anchor.shape != candidate.shape:
        raise ValueError(f"anchor {tuple(anchor.shape)} and candidate {tuple(candidate.shape)} must be equal in shape")
    if anchor.shape[0] < 2:
        raise ValueError(f"InfoNCE needs a batch of at least 2, not {anchor.shape[0]}")
    if temperature <= 0:
        raise ValueError(f"temperature must be > 0, not {temperature}")
    cosine = F.normalize(anchor, dim=-1) @ F.normalize(candidate, dim=-1).T
    loss = -torch.log_softmax(cosine / temperature, dim=-1).diagonal()
    return loss.mean() if present is None else masked_mean(loss, present)


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of the values where ``mask`` is 1, shape (); 0 where it is 0 everywhere.

    Args:
        values: Shape (B,).
        mask: 0 or 1, shape (B,).
    """
    mask = mask.to(values.dtype)
    return (values * mask).sum() / mask.sum().clamp(min=1)


def weighted_cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Cross entropy with one weight a class, as a mean weighted by the labels' weights.

    Source: Ahn et al. 2025, eq. 3 and section 4.2.3. Equal to torch's ``cross_entropy(weight=...)``; written out
    because that one does not batch over stacked rows.

    Args:
        logits: Unnormalised log-probabilities, shape (B, C).
        labels: Class indices, shape (B,).
        weights: Positive weight of each class, shape (C,).

    Returns:
        The mean loss in nats, shape ().
    """
    each = -torch.log_softmax(logits, dim=-1).gather(-1, labels[:, None])[:, 0]
    weight = weights[labels]
    return (each * weight).sum() / weight.sum()
