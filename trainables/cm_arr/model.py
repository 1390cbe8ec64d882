"""The network of one row: encoders, recovery of what is missing, fusion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from trainables.cm_arr.config import Train
from trainables.cm_arr.fusion import Fusion
from trainables.cm_arr.recovery import FixedRecovery, FlowRecovery, estimate, negative_log_likelihood
from trainables.cm_arr.uncertainty import Encoder
from trainables.epoch import Tensors


class Model(nn.Module):
    """CM-ARR, fig. 2.

    Args:
        config: The settings.
        dims: Size of the stored vector by modality, two or more.
        classes: How many classes there are.
    """

    def __init__(self, config: Train, dims: Mapping[str, int], classes: int) -> None:
        super().__init__()
        self.config, self.modalities = config, tuple(dims)
        self.encoders = nn.ModuleDict({name: Encoder(config, dim) for name, dim in dims.items()})
        made = FlowRecovery if config.recovery == "flow" else FixedRecovery
        self.recovery = nn.ModuleDict({name: made(config) for name in dims})
        self.fusion = Fusion(config, len(dims), classes)
        # ln of -a and of tau as multiples of their starting values, and b, of eq. 3-5.
        self.log_scale, self.log_temperature, self.shift = (nn.Parameter(torch.zeros(1)) for _ in range(3))

    def forward(self, batch: Mapping[str, Any]) -> Tensors:
        """Everything the losses and the scores need.

        Args:
            batch: ``x``: modality -> stored vectors, shape (B, D). ``available``: what may be used under each of K
                conditions, shape (K, B, M), bool. In training also ``keep_tokens`` (B, M, T, C), ``keep_fused`` (B, H)
                and ``noise`` (B, M, T, C), where the settings ask for them.

        Returns:
            ``logits`` (K, B, classes); ``mean``, ``deviation`` and ``x`` (B, M, T, C); ``recovered`` and ``used``
            (K, B, M, T, C); with flows ``latent`` (B, M, V) and ``nll`` (B, M).
        """
        out = self._encode(batch)
        found = [self._complete(out, available) for available in batch["available"].unbind(0)]
        out["recovered"], out["used"] = (torch.stack(each) for each in zip(*found, strict=True))
        keep = batch.get("keep_fused")
        out["logits"] = torch.stack([self.fusion(used, keep) for _, used in found])
        return out

    def _encode(self, batch: Mapping[str, Any]) -> Tensors:
        parts = []
        for place, (name, encoder) in enumerate(self.encoders.items()):
            own = [batch[key][:, place] if key in batch else None for key in ("keep_tokens", "noise")]
            parts.append(encoder(batch["x"][name], *own))
        mean, deviation, x = (torch.stack(each, 1) for each in zip(*parts, strict=True))
        out = {"mean": mean, "deviation": deviation, "x": x}
        return out | self._latents(x) if self.config.recovery == "flow" else out

    def _latents(self, x: Tensor) -> Tensors:
        """Eq. 6 for every modality."""
        source = x.detach() if self.config.stop_gradient == "both" else x
        flows: list[FlowRecovery] = [self.recovery[name] for name in self.modalities]  # type: ignore[misc]
        pairs = [each.latent(source[:, place]) for place, each in enumerate(flows)]
        latent = torch.stack([z for z, _ in pairs], 1)
        nll = torch.stack([negative_log_likelihood(*pair) for pair in pairs], 1)
        return {"latent": latent, "nll": nll}

    def _complete(self, out: Tensors, available: Tensor) -> tuple[Tensor, Tensor]:
        """What stands for every modality, and X with that where it is not available; shape (B, M, T, C) each."""
        x = out["x"]
        if self.config.recovery == "flow":
            z = estimate(out["latent"], available)
            recovered = torch.stack([each(z) for each in self.recovery.values()], 1)
        else:
            recovered = torch.stack([each(x[:, n]) for n, each in enumerate(self.recovery.values())], 1)
        return recovered, torch.where(available[..., None, None], x, recovered)
