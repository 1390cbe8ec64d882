"""Multi-head attention over the turns of a dialogue: self-attention (section 3.3), cross-modality (eq. 10 and 11)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Attention(nn.Module):
    """Scaled dot-product attention with projections P_q, P_k, P_v a head and one over the joined heads.

    Written out because torch's `MultiheadAttention` does not take a mask a row under vmap without copying it a head.

    Args:
        size: d of queries, keys, values and outputs.
        heads: Into how many parts the projections are cut; eq. 10 and 11 are one of them.
    """

    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.P_q, self.P_k, self.P_v = nn.Linear(size, size), nn.Linear(size, size), nn.Linear(size, size)
        self.out = nn.Linear(size, size)

    def forward(self, target: Tensor, source: Tensor, allowed: Tensor) -> Tensor:
        """softmax(Q K^T / sqrt(d)) V with Q from the target and K, V from the source.

        Args:
            target: What asks, shape (L, T, d).
            source: What is looked at, shape (L, T, d).
            allowed: Which source places each target place may look at, shape (L, T, T), bool.

        Returns:
            Shape (L, T, d); 0 where nothing may be looked at.
        """
        q, k, v = self._split(self.P_q(target)), self._split(self.P_k(source)), self._split(self.P_v(source))
        scores = (q * q.shape[-1] ** -0.5) @ k.mT
        weights = torch.softmax(scores.masked_fill(~allowed[:, None], -1e9), -1)
        joined = (weights @ v).transpose(1, 2).flatten(2)
        return self.out(joined) * allowed.any(-1, keepdim=True)

    def _split(self, x: Tensor) -> Tensor:
        """(L, T, d) to (L, heads, T, d / heads)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)
