"""What goes into an encoder and what comes out, and the pooling in between."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

#: How a sequence becomes one vector; ``model`` is the model's own pooled output, where it has one.
POOLINGS = ("mean", "first", "last", "model")


class Batch(NamedTuple):
    """A padded batch.

    Attributes:
        inputs: Samples (B, T), frames (B, T, F) or token numbers (B, T).
        mask: Which of the T are no padding, bool, shape (B, T).
    """

    inputs: Tensor
    mask: Tensor

    def to(self, device: torch.device | str) -> Batch:
        """The same on a device."""
        return Batch(self.inputs.to(device, non_blocking=True), self.mask.to(device, non_blocking=True))


class Encoded(NamedTuple):
    """What an encoder makes of a batch.

    Attributes:
        pooled: One vector an utterance, shape (B, H).
        sequence: Vectors of frames, patches or tokens, shape (B, T', H); of the padding they mean nothing.
        mask: Which of the T' are real, bool, shape (B, T'); AST's two class tokens are no frames, so false.
    """

    pooled: Tensor
    sequence: Tensor
    mask: Tensor


def pool(sequence: Tensor, mask: Tensor, pooling: str) -> Tensor:
    """One vector for each sequence.

    Args:
        sequence: Shape (B, T, H), padded at the end.
        mask: Which of the T count, bool, shape (B, T); at least one in each row.
        pooling: ``mean`` or ``last`` of those that count, or ``first`` of all: a class token, where there is one.

    Returns:
        Shape (B, H).
    """
    if pooling == "first":
        return sequence[:, 0]
    if pooling == "last":
        places = torch.arange(mask.shape[1], device=mask.device).expand_as(mask)
        return sequence[torch.arange(len(mask), device=mask.device), places.masked_fill(~mask, 0).amax(1)]
    weight = mask.unsqueeze(-1).to(sequence.dtype)
    return (sequence * weight).sum(1) / weight.sum(1).clamp(min=1)
