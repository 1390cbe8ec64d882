"""The network of section 3 for one row: from the utterances of a batch of dialogues to logits and representations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import permutations

import torch
from torch import Tensor, nn

from trainables.epoch import Tensors
from trainables.subspace_mapping.attention import Attention
from trainables.subspace_mapping.config import Fuse
from trainables.subspace_mapping.recurrent import Recurrent


def mapped(config: Fuse, modalities: int) -> bool:
    """Whether there are subspaces, eq. 4: asked for, and more than one modality to map."""
    return config.subspace and modalities > 1


def crossed(config: Fuse, modalities: int) -> bool:
    """Whether unique representations are exchanged, eq. 10 and 11."""
    return mapped(config, modalities) and config.cross_attention


def rebuilt(config: Fuse, modalities: int) -> bool:
    """Whether a loss needs the decoders, eq. 7 and 8."""
    return mapped(config, modalities) and config.beta > 0 and config.reconstruction + config.cycle > 0


def dropped(config: Fuse, modalities: int) -> int:
    """How many outputs of size d get dropout: those of self- and of cross-modality attention."""
    crossing = modalities * (modalities - 1) if crossed(config, modalities) else 0
    return crossing + (modalities if config.self_attention else 0)


def named(kind: str, by_modality: Tensors) -> Tensors:
    """``{"audio": x}`` of a kind such as ``public`` as ``{"public audio": x}``."""
    return {f"{kind} {name}": each for name, each in by_modality.items()}


class Network(nn.Module):
    """Encoders, subspaces, cross-modality attention and classifiers.

    Args:
        config: The stage's settings.
        dims: Size of each modality's features.
        classes: How many classes there are.
    """

    def __init__(self, config: Fuse, dims: Mapping[str, int], classes: int) -> None:
        super().__init__()
        d, count = config.hidden, len(dims)
        self.config, self.modalities = config, tuple(dims)
        self.pairs = tuple(permutations(dims, 2)) if mapped(config, count) else ()

        def each(make: Callable[[], nn.Module], wanted: bool, names: Iterable[str] = dims) -> nn.ModuleDict:
            return nn.ModuleDict({name: make() for name in names} if wanted else {})

        arrows = [_arrow(*pair) for pair in self.pairs]
        self.FC = nn.ModuleDict({name: nn.Linear(dim, d) for name, dim in dims.items()})
        self.recurrent = None if config.encoder == "none" else Recurrent(count, d, config.encoder)
        self.self_attention = each(lambda: Attention(d, config.heads), config.self_attention)
        self.norm = each(lambda: nn.LayerNorm(d), config.self_attention)
        self.E_pub = nn.Linear(d, d) if self.pairs else nn.Identity()
        self.E_uni = each(lambda: nn.Linear(d, d), bool(self.pairs))
        self.cross = each(lambda: Attention(d, config.heads), crossed(config, count), arrows)
        parts = count + (len(arrows) if self.cross else count if self.pairs else 0)
        self.W = nn.Linear(d * parts, classes)
        self.W_m = each(lambda: nn.Linear(d, classes), count > 1 and config.unimodal > 0)
        self.D = each(lambda: nn.Linear(d, d), rebuilt(config, count))

    def forward(self, x: Tensors, present: Tensors, dialogue: Tensor, keep: Tensor | None = None) -> Tensors:
        """Represent and classify every utterance.

        Args:
            x: Modality -> features, shape (L, T, D).
            present: Modality -> which utterances have it, shape (L, T), bool; False at padding.
            dialogue: Number of the dialogue at each place, shape (L, T).
            keep: Dropout's multipliers, shape (L, T, n d) with n of `dropped`; None drops nothing.

        Returns:
            ``logits``, and for each modality m ``logits m`` (of L_ua), shape (L, T, C); ``U m``, ``public m``,
            ``unique m``, ``rebuilt m`` and ``again m`` (the unique part of the rebuilt), shape (L, T, d). What no loss
            needs is left out. U, public and unique are 0 where the modality is missing.
        """
        drop = _Dropout(keep, self.config.hidden)
        same = dialogue[:, :, None] == dialogue[:, None, :]
        allowed = {name: same & present[name][:, None, :] for name in self.modalities}
        U = self._encode(x, present, dialogue, allowed, drop)
        found, fused = named("U", U), list(U.values())
        if self.W_m:
            found |= named("logits", {name: head(U[name]) for name, head in self.W_m.items()})
        if self.pairs:
            public = {name: _only(torch.tanh(self.E_pub(each)), present[name]) for name, each in U.items()}
            unique = {name: _only(self._unique(name, each), present[name]) for name, each in U.items()}
            found |= named("public", public) | named("unique", unique) | self._rebuild(public, unique)
            fused = [*self._exchange(unique, present, allowed, drop), *public.values()]
        return found | {"logits": self.W(torch.cat(fused, -1))}

    def _encode(self, x: Tensors, present: Tensors, dialogue: Tensor, allowed: Tensors, drop: _Dropout) -> Tensors:
        """U_m, section 3.3: one vector an utterance that knows its dialogue."""
        h = {name: self.FC[name](x[name]) for name in self.modalities}
        if self.recurrent is not None:
            read = self.recurrent([h[name] for name in h], [present[name] for name in h], dialogue)
            h = dict(zip(h, read, strict=True))
        if self.self_attention:
            seen = {name: attend(h[name], h[name], allowed[name]) for name, attend in self.self_attention.items()}
            h = {name: self.norm[name](h[name] + drop(each)) for name, each in seen.items()}
        return {name: _only(each, present[name]) for name, each in h.items()}

    def _unique(self, name: str, U: Tensor) -> Tensor:
        """E_m^uni of eq. 4."""
        return torch.tanh(self.E_uni[name](U))

    def _rebuild(self, public: Tensors, unique: Tensors) -> Tensors:
        """What eq. 7 compares with U, and what eq. 8 compares with the unique representations."""
        if not self.D:
            return {}
        back = {name: decode(public[name] + unique[name]) for name, decode in self.D.items()}
        return named("rebuilt", back) | named("again", {name: self._unique(name, each) for name, each in back.items()})

    def _exchange(self, unique: Tensors, present: Tensors, allowed: Tensors, drop: _Dropout) -> list[Tensor]:
        """F of eq. 10 and 11; without cross-modality attention the unique representations themselves."""
        if not self.cross:
            return list(unique.values())
        seen = [
            self.cross[_arrow(source, target)](unique[target], unique[source], allowed[source])
            for source, target in self.pairs
        ]
        return [_only(drop(each), present[target]) for each, (_, target) in zip(seen, self.pairs, strict=True)]


class _Dropout:
    """Hands out the multipliers of one output after the other."""

    def __init__(self, keep: Tensor | None, size: int) -> None:
        self._keep = iter(()) if keep is None else iter(keep.split(size, -1))

    def __call__(self, x: Tensor) -> Tensor:
        multiplier = next(self._keep, None)
        return x if multiplier is None else x * multiplier


def _only(x: Tensor, present: Tensor) -> Tensor:
    return torch.where(present[..., None], x, torch.zeros((), dtype=x.dtype, device=x.device))


def _arrow(source: str, target: str) -> str:
    return f"{source}_to_{target}"
