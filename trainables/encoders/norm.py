"""Group normalisation over the real frames of a padded batch.

The base models of wav2vec 2.0, HuBERT and WavLM normalise the first convolution's output over time. On a padded batch
torch's norm counts the padding, so an utterance's vectors would depend on the longest one beside it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class MaskedGroupNorm(nn.Module):
    """`torch.nn.GroupNorm` with a group a channel, over the frames that are no padding.

    Attributes:
        samples: Real samples of each row of the coming batch, shape (B,); None counts every frame.
    """

    def __init__(self, norm: nn.GroupNorm, kernel: int, stride: int) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = norm.weight, norm.bias, norm.eps
        self.kernel, self.stride = kernel, stride
        self.samples: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the output of the convolution, shape (B, C, T)."""
        if self.samples is None:
            return nn.functional.group_norm(x, x.shape[1], self.weight, self.bias, self.eps)
        frames = torch.div(self.samples - self.kernel, self.stride, rounding_mode="floor") + 1
        real = (torch.arange(x.shape[2], device=x.device) < frames[:, None]).unsqueeze(1)
        # In single precision whatever autocast says, as torch does it.
        full = x.float()
        count = frames[:, None, None].clamp(min=1)
        mean = full.where(real, 0).sum(2, keepdim=True) / count
        centred = full - mean
        variance = centred.square().where(real, 0).sum(2, keepdim=True) / count
        scaled = centred * (variance + self.eps).rsqrt() * self.weight[:, None] + self.bias[:, None]
        return scaled.to(x.dtype)


def mask_group_norms(model: Any) -> list[MaskedGroupNorm]:
    """Replace a model's group norm over time, parameters and their names kept; gives the new ones."""
    found = []
    layers = getattr(getattr(model, "feature_extractor", None), "conv_layers", ())
    for layer in layers[:1]:
        norm = getattr(layer, "layer_norm", None)
        if isinstance(norm, nn.GroupNorm) and norm.num_groups == norm.num_channels:
            layer.layer_norm = MaskedGroupNorm(norm, layer.conv.kernel_size[0], layer.conv.stride[0])
            found.append(layer.layer_norm)
    return found
