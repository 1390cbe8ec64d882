"""Distribution matching of latents: L_pair of eq. 6 and L_unpaired of eq. 7, for one row and batch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from trainables.distribution_matching.config import Train
from trainables.epoch import Tensors
from trainables.losses import hsic, median_distance, mmd


def pair(config: Train, z: Tensors, present: Tensors) -> Tensor:
    """Eq. 6, L_pair: the MMD between the first modality (acoustic) and each other one, summed.

    It aligns the two distributions of a batch; which utterance a latent belongs to plays no part.

    Args:
        config: Gives the kernel's bandwidth.
        z: Latents by modality, shape (B, Z).
        present: Which are there, shape (B,), bool; an utterance counts where it has both.
    """
    return _over_pairs(z, present, lambda first, second, both: _mmd(config, first, second, both, both))


def unpair(config: Train, z: Tensors, present: Tensors, others: tuple[Tensors, Tensors] | None) -> Tensor:
    """Eq. 7, L_unpaired: minus the distance between what belongs together and what does not.

    - ``shuffled``: minus the MMD to the batch's own latents in another order, as printed. It is exactly -L_pair.
    - ``other dialogues``: minus the MMD to latents of utterances of other dialogues. Its mean differs from -L_pair
      only through the B pairs among the B^2 cross terms, so by the order of 1/B.
    - ``product kernel``: minus the MMD between pairs and non-pairs under a kernel on pairs, `losses.hsic`.

    Args:
        config: Which form, and the bandwidth.
        z: Latents by modality, shape (B, Z).
        present: Which are there, shape (B,), bool.
        others: Latents and presence of each utterance's unpaired partner; for ``other dialogues`` only.
    """
    if config.unpaired == "product kernel":
        return -_over_pairs(z, present, lambda first, second, both: _hsic(config, first, second, both))
    if config.unpaired == "shuffled":
        others = tuple({name: each.roll(1, 0) for name, each in part.items()} for part in (z, present))  # type: ignore[assignment]
    if others is None:
        raise ValueError(f"unpaired: {config.unpaired!r} needs the latents of the partners")
    return -_unpaired(config, z, present, others)


def _unpaired(config: Train, z: Tensors, present: Tensors, others: tuple[Tensors, Tensors]) -> Tensor:
    first, *rest = z
    far, there = others
    each = []
    for name in rest:
        here = present[first] & present[name]
        partner = there[first] & there[name]
        each.append(_mmd(config, z[first], far[name], here, partner))
    return torch.stack(each).sum(0)


def _over_pairs(z: Tensors, present: Tensors, distance: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Tensor:
    first, *rest = z
    return torch.stack([distance(z[first], z[name], present[first] & present[name]) for name in rest]).sum(0)


def _mmd(config: Train, first: Tensor, second: Tensor, here: Tensor, there: Tensor) -> Tensor:
    sigma = _sigma(config, torch.cat([first, second]), torch.cat([here, there]))
    return mmd(first, second, sigma=sigma, present=(here, there))


def _hsic(config: Train, first: Tensor, second: Tensor, both: Tensor) -> Tensor:
    sigma = (_sigma(config, first, both), _sigma(config, second, both))
    return hsic(first, second, sigma=sigma, present=both)


def _sigma(config: Train, points: Tensor, present: Tensor) -> Tensor | float:
    """Eq. 4's sigma under the config's rule; the median is over the batch's own latents, both sides together."""
    return config.bandwidth if config.sigma == "fixed" else config.bandwidth * median_distance(points, present)
