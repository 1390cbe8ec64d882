"""Recurrent encoders over lanes of dialogues, section 3.3: GRU or LSTM, one or both directions, all modalities at once.

Written out because torch's own have no batching rule under vmap and cannot start anew inside a lane; as one loop over
turns in which modalities and directions are batched, because their matrices are small. Nothing passes from one dialogue
to the next, and an utterance without the modality, like padding, leaves the state as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

#: (gates of the input, gates of the state, cell, size) -> (next state, next cell)
Cell = Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


def gru_cell(gates: Tensor, inner: Tensor, state: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """One turn of a GRU as torch defines it; gates in the order r, z, n, shape (..., 3 units) each."""
    r, z, _ = (gates + inner).chunk(3, -1)
    n = torch.tanh(gates.chunk(3, -1)[2] + torch.sigmoid(r) * inner.chunk(3, -1)[2])
    return torch.lerp(n, state, torch.sigmoid(z)), cell


def lstm_cell(gates: Tensor, inner: Tensor, state: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """One turn of an LSTM as torch defines it; gates in the order i, f, g, o, shape (..., 4 units) each."""
    i, f, g, o = (gates + inner).chunk(4, -1)
    cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(cell), cell


class Recurrent(nn.Module):
    """G encoders side by side, G = modalities x directions.

    Args:
        modalities: How many modalities.
        size: Size of an input and of an output.
        kind: ``bigru``, ``bilstm`` or ``gru``; with two directions each has half the size.
    """

    def __init__(self, modalities: int, size: int, kind: str) -> None:
        super().__init__()
        self.directions = 2 if kind.startswith("bi") else 1
        self.units = size // self.directions
        self.cell, gates = (lstm_cell, 4) if kind == "bilstm" else (gru_cell, 3)
        groups, bound = modalities * self.directions, self.units**-0.5

        def made(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.empty(*shape).uniform_(-bound, bound))

        self.weight_x, self.bias_x = made(groups, size, gates * self.units), made(groups, 1, gates * self.units)
        self.weight_h, self.bias_h = made(groups, self.units, gates * self.units), made(groups, 1, gates * self.units)

    def forward(self, x: Sequence[Tensor], present: Sequence[Tensor], dialogue: Tensor) -> list[Tensor]:
        """Read every lane.

        Args:
            x: One tensor a modality, shape (L, T, size).
            present: Which utterances have the modality, shape (L, T), bool.
            dialogue: Number of the dialogue at each place, shape (L, T).

        Returns:
            One tensor a modality, shape (L, T, size).
        """
        inputs = self._directed(torch.stack(list(x)))
        there = self._directed(torch.stack(list(present))[..., None])
        goes_on = self._directed(dialogue[None, ..., None].expand(len(x), -1, -1, -1))
        goes_on = torch.cat([torch.zeros_like(goes_on[:1], dtype=torch.bool), goes_on[1:] == goes_on[:-1]])
        turns, groups, lanes, size = inputs.shape
        gates = torch.baddbmm(self.bias_x, inputs.transpose(0, 1).reshape(groups, turns * lanes, size), self.weight_x)
        gates = gates.view(groups, turns, lanes, -1)
        state = cell = torch.zeros_like(gates[:, 0, :, : self.units])
        states = []
        for now, here, carried in zip(gates.unbind(1), there.unbind(0), goes_on.unbind(0), strict=True):
            state, cell = state * carried, cell * carried
            inner = torch.baddbmm(self.bias_h, state, self.weight_h)
            next_state, next_cell = self.cell(now, inner, state, cell)
            state, cell = torch.where(here, next_state, state), torch.where(here, next_cell, cell)
            states.append(state)
        return self._undirected(torch.stack(states, 2))

    def _directed(self, x: Tensor) -> Tensor:
        """(M, L, T, K) to (T, G, L, K); the second direction reads from the last turn to the first."""
        both = torch.stack([x, x.flip(2)], 1) if self.directions == 2 else x[:, None]
        return both.flatten(0, 1).permute(2, 0, 1, 3)

    def _undirected(self, states: Tensor) -> list[Tensor]:
        """(G, L, T, units) to a list of (L, T, size), directions side by side in turn order."""
        groups = states.unflatten(0, (-1, self.directions)).unbind(1)
        ordered = [groups[0]] + [each.flip(2) for each in groups[1:]]
        return list(torch.cat(ordered, -1).unbind(0))
