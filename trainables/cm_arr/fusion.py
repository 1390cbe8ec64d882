"""Cross-modal fusion, eq. 10-13, and the attention that all parts use."""

from __future__ import annotations

import math
from itertools import permutations

import torch
from torch import Tensor, nn

from trainables.cm_arr.config import Train


def feed_forward(channels: int) -> nn.Sequential:
    """Two linear layers with GELU between."""
    return nn.Sequential(nn.Linear(channels, 2 * channels), nn.GELU(), nn.Linear(2 * channels, channels))


class Attention(nn.Module):
    """Multi-head attention of Vaswani et al. 2017.

    Written out, because torch's own falls back to a loop over rows where states are stacked.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(channels, channels) for _ in range(4))

    def forward(self, query: Tensor, other: Tensor) -> Tensor:
        """Queries of shape (B, T, C) over keys and values of shape (B, S, C), to (B, T, C)."""
        q, k, v = self._split(self.query(query)), self._split(self.key(other)), self._split(self.value(other))
        seen = torch.softmax(q @ k.mT / math.sqrt(q.shape[-1]), -1) @ v
        return self.out(seen.transpose(-2, -3).flatten(-2))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(-2, -3)


class Block(nn.Module):
    """Attention and a feed-forward layer, each with a residual path and LayerNorm."""

    def __init__(self, config: Train) -> None:
        super().__init__()
        self.attention = Attention(config.channels, config.heads)
        self.mlp = feed_forward(config.channels)
        self.norms = nn.ModuleList(nn.LayerNorm(config.channels) for _ in range(2))

    def forward(self, query: Tensor, other: Tensor) -> Tensor:
        """Shape (B, T, C) and (B, S, C) to (B, T, C)."""
        h = self.norms[0](query + self.attention(query, other))
        return self.norms[1](h + self.mlp(h))


class Fusion(nn.Module):
    """Eq. 10-13 and the classifier.

    The paper writes the equations for one missing modality, which is the query. Here every modality is the query once
    over every other, so that nothing depends on which of them is missing, or on how many.

    Args:
        config: The settings.
        modalities: M, two or more.
        classes: How many classes there are.
    """

    def __init__(self, config: Train, modalities: int, classes: int) -> None:
        super().__init__()
        self.pairs = tuple(permutations(range(modalities), 2))
        self.cross = nn.ModuleList(Block(config) for _ in self.pairs)
        self.self_attention = Block(config)
        self.classifier = nn.Linear(len(self.pairs) * config.tokens * config.channels, classes)

    def forward(self, parts: Tensor, keep: Tensor | None = None) -> Tensor:
        """Logits, shape (B, classes).

        Args:
            parts: X of every modality, or what was recovered of it, shape (B, M, T, C).
            keep: Multiplies H (dropout), shape (B, M (M - 1) T C).
        """
        # Contiguous, or torch copies the stacked weights for every utterance: nearly half of a step's time.
        each = [part.contiguous() for part in parts.unbind(-3)]
        crossed = [block(each[n], each[m]) for block, (n, m) in zip(self.cross, self.pairs, strict=True)]
        joined = torch.cat(crossed, -2)
        h = self.self_attention(joined, joined).flatten(-2)
        return self.classifier(h if keep is None else h * keep)
