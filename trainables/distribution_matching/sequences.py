"""Auto-encoder of a sequence of vectors, figure 4 and table 3 (V, L).

Corpora are read as one vector an utterance today, so nothing trains this yet but its tests: it is chosen wherever
features of shape (T, D) arrive.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from trainables.stacking import mlp


class Convolution(NamedTuple):
    """One layer of table 3; padding is 1 everywhere."""

    kernel: int
    stride: int
    channels: int


#: Table 3 by modality: the convolutions, and the widths between the flattened layer and z.
CONVOLUTIONS: dict[str, tuple[tuple[Convolution, ...], tuple[int, ...]]] = {
    "video": ((Convolution(4, 2, 16), Convolution(5, 2, 64), Convolution(3, 3, 32)), ()),
    "text": ((Convolution(4, 2, 64), Convolution(4, 3, 4)), (512,)),
}
HEADS, BLOCKS = 4, 2


class SequenceAutoEncoder(nn.Module):
    """Transformer, convolutions over (time, feature), z; and back through deconvolutions and a transformer.

    A step whose values are all 0 is padding (the paper pads with zeros): no other step attends to it. The decoder's
    transformer sees what the deconvolutions give and nothing of the target, so all it knows came through z.

    Args:
        steps: T.
        dim: D.
        convolutions: The downsampling layers.
        hidden: Widths between the flattened layer and z.
        latent_dim: Size of z.
    """

    widths = ()  # no dropout inside

    def __init__(
        self, steps: int, dim: int, convolutions: Sequence[Convolution], hidden: Sequence[int], latent_dim: int
    ) -> None:
        super().__init__()
        shapes = _shapes(steps, dim, convolutions)
        self._shape = (convolutions[-1].channels, *shapes[-1])
        sizes = (self._shape[0] * self._shape[1] * self._shape[2], *hidden, latent_dim)
        self.attend = nn.ModuleList(_block(dim) for _ in range(BLOCKS))
        channels = (1, *(each.channels for each in convolutions))
        self.down = nn.ModuleList(
            nn.Conv2d(channels[i], channels[i + 1], each.kernel, each.stride, padding=1)
            for i, each in enumerate(convolutions)
        )
        self.inner = mlp(sizes)
        self.outer = mlp(sizes[::-1])
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(
                channels[i + 1], channels[i], each.kernel, each.stride, padding=1,
                output_padding=_lost(shapes[i], shapes[i + 1], each),
            )
            for i, each in reversed(list(enumerate(convolutions)))
        )  # fmt: skip
        self.unattend = nn.ModuleList(_block(dim) for _ in range(BLOCKS))
        self.last = nn.Linear(dim, dim)

    def encode(self, x: Tensor, keep: Sequence[Tensor] = ()) -> Tensor:
        """z of x, shape (B, T, D) to (B, Z)."""
        del keep
        real = _real(x)
        h = x + _positions(x)
        h = _through(self.attend, h, ~_attended(real))
        h = (h * real[..., None])[:, None]
        for layer in self.down:
            h = torch.relu(layer(h))
        return self.inner(h.flatten(1))

    def decode(self, z: Tensor) -> Tensor:
        """The reversed sequence, shape (B, Z) to (B, T, D)."""
        h = self.outer(z).unflatten(1, self._shape)
        for layer in self.up[:-1]:
            h = torch.relu(layer(h))
        h = self.up[-1](h)[:, 0]
        return self.last(_through(self.unattend, h))

    def target(self, x: Tensor) -> Tensor:
        """What `decode` should give: the sequence in reverse order, its padding first (section 3.1)."""
        return x.flip(-2)


def _through(blocks: nn.ModuleList, h: Tensor, ignored: Tensor | None = None) -> Tensor:
    with sdpa_kernel(SDPBackend.MATH):  # the one that vmap knows
        for block in blocks:
            h = block(h, src_key_padding_mask=ignored)
    return h


def _block(dim: int) -> nn.TransformerEncoderLayer:
    """Self-attention and a feed-forward layer; as many heads of `HEADS` or fewer as divide the size."""
    heads = max(count for count in range(1, HEADS + 1) if dim % count == 0)
    return nn.TransformerEncoderLayer(dim, heads, dim_feedforward=dim, dropout=0.0, batch_first=True)


def _shapes(steps: int, dim: int, convolutions: Sequence[Convolution]) -> list[tuple[int, int]]:
    shapes = [(steps, dim)]
    for each in convolutions:
        shapes.append(tuple((size + 2 - each.kernel) // each.stride + 1 for size in shapes[-1]))  # type: ignore[arg-type]
    return shapes


def _lost(before: tuple[int, int], after: tuple[int, int], layer: Convolution) -> tuple[int, int]:
    """Rows and columns that a strided convolution leaves over, and its deconvolution must add again."""
    first, second = (
        wide - ((narrow - 1) * layer.stride - 2 + layer.kernel) for wide, narrow in zip(before, after, strict=True)
    )
    return first, second


def _real(x: Tensor) -> Tensor:
    """Which steps are not padding, shape (B, T), bool."""
    return (x != 0).any(-1)


def _attended(real: Tensor) -> Tensor:
    """The same, or all steps where none is real, because attention to nothing is not a number."""
    return real | ~real.any(-1, keepdim=True)


def _positions(x: Tensor) -> Tensor:
    """Sinusoids of Vaswani et al. 2017, shape (T, D)."""
    steps, dim = x.shape[-2:]
    time = torch.arange(steps, device=x.device, dtype=x.dtype)[:, None]
    column = torch.arange(dim, device=x.device)
    angle = time / 10000 ** (2 * (column // 2) / dim)
    return torch.where(column % 2 == 0, angle.sin(), angle.cos())
