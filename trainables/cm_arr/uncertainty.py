"""A stored vector as tokens, the uncertainty module over them (fig. 3), and the projection X (section 3.2)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainables.cm_arr.config import Train
from trainables.cm_arr.fusion import Attention, feed_forward


class Tokens(nn.Module):
    """R_n: a vector, shape (B, D), to T tokens of C values, shape (B, T, C).

    A vector is a sequence of length 1, over which a 1-D convolution is a linear map; its T x C channels are cut into
    T tokens, T different views of the vector, so that attention over a sequence has something to attend over.
    """

    def __init__(self, config: Train, dim: int) -> None:
        super().__init__()
        self.shape = (config.tokens, config.channels)
        self.linear = nn.Linear(dim, config.tokens * config.channels)
        self.norm = nn.LayerNorm(config.channels)

    def forward(self, x: Tensor) -> Tensor:
        """Shape (B, D) to (B, T, C)."""
        return self.norm(self.linear(x).unflatten(-1, self.shape))


class Branch(nn.Module):
    """One half of fig. 3: attention over tokens (sequence level), then an MLP over channels (feature level)."""

    def __init__(self, config: Train) -> None:
        super().__init__()
        self.attention = Attention(config.channels, config.heads) if config.umc_attention else None
        self.norm = nn.LayerNorm(config.channels)
        self.mlp = feed_forward(config.channels)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """The attended tokens and the MLP's output on them, shape (B, T, C) each."""
        seen = tokens if self.attention is None else tokens + self.attention(tokens, tokens)
        h = self.norm(seen)
        return h, self.mlp(h)


class Uncertainty(nn.Module):
    """UMC, fig. 3: mean and standard deviation of a diagonal Gaussian over all T x C values of a modality.

    Args:
        config: The settings; representation "point" has a mean only.
    """

    def __init__(self, config: Train) -> None:
        super().__init__()
        self.mean = Branch(config)
        self.deviation = Branch(config) if config.representation == "distribution" else None

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """mu and the square root of Sigma, shape (B, T, C) each; the latter is 0 for points."""
        h, change = self.mean(tokens)
        if self.deviation is None:
            return h + change, torch.zeros_like(h)
        return h + change, F.softplus(self.deviation(tokens)[1])


class Encoder(nn.Module):
    """One modality from its stored vector to its Gaussian and to X.

    Args:
        config: The settings.
        dim: Size of the stored vector.
    """

    def __init__(self, config: Train, dim: int) -> None:
        super().__init__()
        self.tokens = Tokens(config, dim)
        self.uncertainty = None if config.representation == "plain" else Uncertainty(config)
        self.project = nn.Conv1d(config.channels, config.channels, 3, padding=1)

    def forward(self, x: Tensor, keep: Tensor | None, noise: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Mean, standard deviation and X, shape (B, T, C) each.

        Args:
            x: Stored vectors, shape (B, D).
            keep: Multiplies the tokens (dropout), shape (B, T, C).
            noise: Standard normal numbers to draw X with, shape (B, T, C); without them X is made of the mean.
        """
        tokens = self.tokens(x)
        if keep is not None:
            tokens = tokens * keep
        mean, deviation = tokens, torch.zeros_like(tokens)
        if self.uncertainty is not None:
            mean, deviation = self.uncertainty(tokens)
        point = mean if noise is None else mean + deviation * noise
        return mean, deviation, self.project(point.mT).mT
