"""Auto-encoders of one modality, table 3: stacked linear layers for vectors, `sequences` for sequences."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from trainables.distribution_matching.config import Network
from trainables.distribution_matching.sequences import CONVOLUTIONS, SequenceAutoEncoder
from trainables.stacking import mlp


class VectorAutoEncoder(nn.Module):
    """Figure 3: x -> z -> x^ through symmetric stacked linear layers with ReLU between.

    Args:
        dim: Size of x, the paper's 1582.
        hidden: Widths between x and z, the paper's 512 and 256.
        latent_dim: Size of z, the paper's 128.
    """

    def __init__(self, dim: int, hidden: Sequence[int], latent_dim: int) -> None:
        super().__init__()
        self.widths = tuple(hidden)
        sizes = (dim, *hidden, latent_dim)
        self.encoder = nn.ModuleList(nn.Linear(wide, narrow) for wide, narrow in pairwise(sizes))
        self.decoder = mlp(sizes[::-1])

    def encode(self, x: Tensor, keep: Sequence[Tensor] = ()) -> Tensor:
        """z of x, shape (B, D) to (B, Z); ``keep`` multiplies the hidden units (dropout), one tensor a layer."""
        for index, layer in enumerate(self.encoder[:-1]):
            x = torch.relu(layer(x))
            x = x * keep[index] if keep else x
        return self.encoder[-1](x)

    def decode(self, z: Tensor) -> Tensor:
        """x^ of z, shape (B, Z) to (B, D)."""
        return self.decoder(z)

    def target(self, x: Tensor) -> Tensor:
        """What `decode` should give: x itself."""
        return x


def make(modality: str, shape: Sequence[int], network: Network) -> VectorAutoEncoder | SequenceAutoEncoder:
    """The auto-encoder for features of that shape: (D,) for vectors, (T, D) for sequences."""
    if len(shape) == 1:
        return VectorAutoEncoder(shape[0], network.hidden, network.latent_dim)
    steps, dim = shape
    convolutions, hidden = CONVOLUTIONS.get(modality, CONVOLUTIONS["text"])
    return SequenceAutoEncoder(steps, dim, convolutions, hidden, network.latent_dim)
