"""What stands for a missing modality: normalizing flows and channel attention (eq. 6-8), or one of the controls."""

from __future__ import annotations

import math

import torch
import zuko
from torch import Tensor, nn

from trainables.cm_arr.config import Train

_FLOWS = {"affine": zuko.flows.MAF, "spline": zuko.flows.NSF}


def make_flow(config: Train, values: int) -> zuko.flows.Flow:
    """F_n over all values of X_n: couplings, so that the inverse costs two passes whatever the size."""
    return _FLOWS[config.flow](
        values, transforms=config.transforms, passes=2, hidden_features=config.flow_hidden, randperm=False
    )


class ChannelAttentionBlock(nn.Module):
    """Residual channel attention with 1-D convolutions over tokens, section 3.2.

    Args:
        channels: C.
        attention: Whether the channels are weighed; without, the block is a residual pair of convolutions.
    """

    def __init__(self, channels: int, attention: bool) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv1d(channels, channels, 3, padding=1), nn.ReLU(), nn.Conv1d(channels, channels, 3, padding=1)
        )
        self.gate = None
        if attention:
            narrow = channels // 4
            self.gate = nn.Sequential(nn.Linear(channels, narrow), nn.ReLU(), nn.Linear(narrow, channels), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """Shape (B, T, C) to (B, T, C); one weight a channel, from its mean over tokens."""
        change = self.convolutions(x.mT).mT
        if self.gate is not None:
            change = change * self.gate(change.mean(-2)).unsqueeze(-2)
        return x + change


class FlowRecovery(nn.Module):
    """F_n, its inverse and the recovery blocks of one modality."""

    def __init__(self, config: Train) -> None:
        super().__init__()
        self.shape = (config.tokens, config.channels)
        self.flow = make_flow(config, config.tokens * config.channels)
        self.blocks = nn.Sequential(
            *(ChannelAttentionBlock(config.channels, config.channel_attention) for _ in range(config.blocks))
        )

    def latent(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Z_n = F_n(X_n), eq. 6, shape (B, T C), and the log-determinant of its Jacobian, shape (B,)."""
        return self.flow().transform.call_and_ladj(x.flatten(-2))

    def inverse(self, z: Tensor) -> Tensor:
        """The flow backwards, eq. 8: shape (B, T C) to (B, T, C)."""
        return self.flow().transform.inv(z).unflatten(-1, self.shape)

    def forward(self, z: Tensor) -> Tensor:
        """What is recovered from an estimate of Z_n: shape (B, T C) to (B, T, C)."""
        return self.blocks(self.inverse(z))


class FixedRecovery(nn.Module):
    """Controls that recover nothing: a learned vector a modality, or zeros."""

    def __init__(self, config: Train) -> None:
        super().__init__()
        shape = (config.tokens, config.channels)
        self.token = nn.Parameter(torch.zeros(shape)) if config.recovery == "token" else None

    def forward(self, like: Tensor) -> Tensor:
        """The vector for every utterance, in the shape of ``like``, (B, T, C)."""
        return torch.zeros_like(like) if self.token is None else self.token.expand_as(like)


def estimate(latents: Tensor, available: Tensor) -> Tensor:
    """Eq. 7: the mean of the latents of what is available; 0, the Gaussian's mean, where nothing is.

    Args:
        latents: Z of every modality, shape (B, M, V); those that are not available are not read.
        available: Shape (B, M), bool.

    Returns:
        Shape (B, V).
    """
    read = torch.where(available[..., None], latents, 0.0)
    return read.sum(-2) / available.sum(-1, keepdim=True).clamp(min=1)


def negative_log_likelihood(latent: Tensor, log_determinant: Tensor) -> Tensor:
    """-log p(X_n) a value under the flow with a standard normal base, in nats, shape (B,)."""
    normal = -0.5 * (latent.square() + math.log(2 * math.pi)).sum(-1)
    return -(normal + log_determinant) / latent.shape[-1]
