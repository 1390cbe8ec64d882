"""Rows side by side: the states of one small model for every fold and seed, stacked along the first axis.

The methods' code is that of a single model; `Stack` keeps R copies of its parameters and maps a function of
(parameters, batch) over them with `torch.vmap`. Adam works element by element, so one optimizer over the stack
is R separate ones. Everything random is drawn row by row from a generator seeded by (fold, seed, stage, epoch):
a row's numbers depend neither on its neighbours nor on where a run was resumed. Several arms are stacked in the same
way: the rows of one after those of another, each with its own step sizes and at its own epoch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from trainables.epoch import Tensors
from trainables.task import Task


def seed_of(*parts: object) -> int:
    """A 63-bit seed from anything printable; equal parts give equal seeds on every machine."""
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def row_seeds(task: Task, *purpose: object) -> list[int]:
    """One seed a row of a task, for a purpose such as ``"align", "init"``.

    An array in the purpose has one value for each arm of the task, such as the epoch it is at.
    """
    size = len(task.rows) // task.arms
    purposes = [[part[arm] if isinstance(part, np.ndarray) else part for part in purpose] for arm in range(task.arms)]
    return [seed_of(fold.name, seed, *purposes[row // size]) for row, (fold, seed) in enumerate(task.rows)]


class Draws:
    """Random numbers for every row of a task, each from its own generator.

    Rows of several arms that have fold, seed and purpose in common get equal numbers, which are drawn once.

    Args:
        task: Gives the rows.
        purpose: What the numbers are for, such as ``"align", epoch``; others get independent numbers. See `row_seeds`.
        device: Where the numbers are put; they are drawn on the CPU, equal on every device.
    """

    def __init__(self, task: Task, *purpose: object, device: torch.device | str = "cpu") -> None:
        self._device = device
        every = row_seeds(task, *purpose)
        seeds = list(dict.fromkeys(every))
        self._first = [every.index(seed) for seed in seeds]
        self._place = torch.tensor([seeds.index(seed) for seed in every]) if len(seeds) < len(every) else None
        self._torch = [torch.Generator().manual_seed(seed) for seed in seeds]
        self._numpy = [np.random.default_rng(seed) for seed in seeds]

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers, shape (R, *shape)."""
        return self._rows(self._filled(torch.randn, shape))

    def keep(self, probability: float, *shape: int) -> Tensor:
        """Dropout's multipliers: 1 / probability with that probability, else 0; shape (R, *shape)."""
        uniform = self._filled(torch.rand, shape)
        return self._rows(uniform.lt_(probability).div_(probability))

    def beta(self, a: float, *shape: int) -> Tensor:
        """Beta(a, a) numbers, shape (R, *shape)."""
        numbers = np.stack([rng.beta(a, a, shape).astype(np.float32) for rng in self._numpy])
        return self._rows(torch.from_numpy(numbers))

    def batches(self, items: Sequence[np.ndarray], steps: int, size: int) -> Tensor:
        """Each row's items in shuffled order, cut into batches, shape (R, steps, size).

        A row with fewer items than ``steps * size`` goes through further shuffles of them.
        """
        own = [items[row] for row in self._first]
        shuffled = [_endless(rng, row, steps * size) for rng, row in zip(self._numpy, own, strict=True)]
        return self._rows(torch.from_numpy(np.stack(shuffled)).view(len(own), steps, size))

    def choice(self, items: Sequence[np.ndarray], count: int) -> Tensor:
        """``count`` items of each row, without repeats as long as there are enough, shape (R, count)."""
        return self.batches(items, 1, count)[:, 0]

    def _filled(self, draw: Callable[..., Tensor], shape: tuple[int, ...]) -> Tensor:
        numbers = torch.empty(len(self._torch), *shape)
        for row, generator in zip(numbers, self._torch, strict=True):
            draw(shape, generator=generator, out=row)
        return numbers

    def _rows(self, drawn: Tensor) -> Tensor:
        """What was drawn for each seed, for the rows that have it."""
        drawn = drawn.to(self._device)
        return drawn if self._place is None else drawn[self._place.to(self._device)]


def _endless(rng: np.random.Generator, items: np.ndarray, count: int) -> np.ndarray:
    shuffles = -(-count // len(items))
    return np.concatenate([rng.permutation(items) for _ in range(shuffles)])[:count]


class Stack:
    """R copies of one module as stacked parameters, shape (R, ...) each.

    Args:
        make: Builds one module; called once a row, under that row's seed.
        seeds: One seed a row.
    """

    def __init__(self, make: Callable[[], nn.Module], seeds: Sequence[int]) -> None:
        copies = []
        with torch.random.fork_rng(devices=[]):
            for seed in seeds:
                torch.manual_seed(seed)
                copies.append(make())
        self.module = copies[0]
        self.params: Tensors = {
            name: torch.stack([dict(copy.named_parameters())[name].detach() for copy in copies])
            for name, _ in self.module.named_parameters()
        }

    def train(self) -> Stack:
        """Let gradients reach the parameters."""
        for tensor in self.params.values():
            tensor.requires_grad_(True)
        return self

    def load(self, tensors: Mapping[str, Tensor], prefix: str = "") -> Stack:
        """Take stacked parameters by name (all of them must be there)."""
        with torch.no_grad():
            for name, tensor in self.params.items():
                tensor.copy_(tensors[prefix + name])
        return self

    def state(self, prefix: str = "") -> Tensors:
        """A copy of the stacked parameters, by prefixed name."""
        return {prefix + name: tensor.detach().clone() for name, tensor in self.params.items()}

    def call(self, params: Mapping[str, Tensor], *inputs: Tensor) -> Tensor:
        """One row's module with its parameters; for use inside `map_rows`."""
        return functional_call(self.module, dict(params), inputs)

    def apply(self, inputs: Tensor, rows: np.ndarray | None = None) -> Tensor:
        """Every row's module on its own inputs, shape (R, ...); of the given rows only, where given."""
        params = self.params if rows is None else {name: tensor[rows] for name, tensor in self.params.items()}
        return map_rows(self.call, params, inputs)

    def to(self, device: torch.device | str) -> Stack:
        """Move the parameters."""
        self.params = {name: tensor.to(device) for name, tensor in self.params.items()}
        return self


def map_rows(function: Callable[..., Any], *stacked: object, at_once: int | None = None) -> Any:
    """Apply a function of one row to every row: inputs and outputs gain a leading axis R.

    Args:
        function: Of one row.
        stacked: Its arguments, each with a leading axis R.
        at_once: So many rows at a time, for steps whose memory would not fit or is slow to get; None takes all.
    """
    return torch.vmap(function, randomness="error", chunk_size=at_once)(*stacked)


class Optimizer:
    """Adam over stacks, with a state that can be saved and taken up again.

    Settings may differ between the arms of the stacks: a sequence has one value for each of them.

    Args:
        stacks: What to train; their parameters must require gradients.
        learning_rate: Step size.
        weight_decay: Decoupled weight decay (0 is plain Adam).
        beta1: Decay of the first moment.
        clip: Longest gradient of a row, over all its parameters; None does not clip.
    """

    def __init__(
        self,
        stacks: Sequence[Stack],
        *,
        learning_rate: float | Sequence[float],
        weight_decay: float | Sequence[float] = 0.0,
        beta1: float | Sequence[float] = 0.9,
        clip: float | None = None,
    ) -> None:
        self._clip = clip
        self._params = [tensor for stack in stacks for tensor in stack.train().params.values()]
        settings = list(_side_by_side(learning_rate, weight_decay, beta1))
        self._arms = len(settings)
        # Each arm's rows are a part of the stack in their own right: views, which Adam changes in place.
        self._parts = list(zip(*(param.detach().chunk(self._arms) for param in self._params), strict=True))
        groups = [
            {"params": list(part), "lr": rate, "weight_decay": decay, "betas": (beta, 0.999)}
            for part, (rate, decay, beta) in zip(self._parts, settings, strict=True)
        ]
        self._adam = torch.optim.AdamW(groups, fused=True)

    def step(self, loss: Tensor) -> None:
        """Descend on the sum of the rows' losses, shape (R,); no row reaches another's parameters.

        A parameter that the loss does not use (a term of weight 0) stays as it is.
        """
        grads: Sequence[Tensor | None] = torch.autograd.grad(loss.sum(), self._params, allow_unused=True)
        if self._clip is not None:
            grads = _clipped(grads, self._clip)
        for place, grad in enumerate(grads):
            # Fused Adam walks through memory: a transposed gradient would reach the wrong parameters.
            chunks = [None] * self._arms if grad is None else grad.contiguous().chunk(self._arms)
            for part, chunk in zip(self._parts, chunks, strict=True):
                part[place].grad = chunk
        self._adam.step()

    def state(self, prefix: str) -> Tensors:
        """Moments, shape (R, ...) each, and step counts, shape (arms,) each, by prefixed name."""
        slots, count = self._adam.state_dict()["state"], len(self._params)
        saved: Tensors = {}
        for index in range(count):
            arms = [slots[arm * count + index] for arm in range(self._arms) if arm * count + index in slots]
            for key in arms[0] if arms else ():
                saved[f"{prefix}{index}.{key}"] = torch.cat([torch.atleast_1d(each[key]) for each in arms])
        return saved

    def load(self, tensors: Mapping[str, Tensor], prefix: str) -> Optimizer:
        """Take up a saved state."""
        full, count = self._adam.state_dict(), len(self._params)
        for name, tensor in tensors.items():
            if name.startswith(prefix):
                index, key = name.removeprefix(prefix).split(".")
                for arm, part in enumerate(tensor.chunk(self._arms)):
                    value = part[0] if key == "step" else part
                    full["state"].setdefault(arm * count + int(index), {})[key] = value.clone()
        self._adam.load_state_dict(full)
        return self


def _side_by_side(*settings: float | Sequence[float]) -> Iterator[tuple[float, ...]]:
    """One tuple of settings for each arm; a single number is every arm's."""
    arms = max(len(each) if isinstance(each, Sequence) else 1 for each in settings)
    return zip(*(each if isinstance(each, Sequence) else [each] * arms for each in settings), strict=True)


def _clipped(grads: Sequence[Tensor | None], longest: float) -> tuple[Tensor | None, ...]:
    """Gradients of each row, shape (R, ...), scaled down to a common norm of at most ``longest``."""
    squares = [grad.flatten(1).square().sum(1) for grad in grads if grad is not None]
    scale = (longest / torch.stack(squares).sum(0).sqrt().clamp(min=1e-12)).clamp(max=1.0)
    return tuple(None if grad is None else grad * scale.view(-1, *[1] * (grad.dim() - 1)) for grad in grads)


class Means:
    """Running means of loss terms over the steps of an epoch, without waiting for the device."""

    def __init__(self) -> None:
        self._sums: Tensors = {}
        self._steps = 0

    def add(self, terms: Mapping[str, Tensor]) -> None:
        """Add one step's terms, shape (R,) each."""
        self._steps += 1
        for name, term in terms.items():
            value = term.detach()
            self._sums[name] = self._sums[name] + value if name in self._sums else value

    def result(self) -> dict[str, np.ndarray]:
        """The means, shape (R,) each."""
        return {name: (value / self._steps).cpu().numpy() for name, value in self._sums.items()}


def mlp(sizes: Sequence[int], *, activation: Callable[[], nn.Module] = nn.ReLU) -> nn.Sequential:
    """Linear layers of those sizes with an activation between, none after the last."""
    layers: list[nn.Module] = []
    for index, (wide, narrow) in enumerate(pairwise(sizes)):
        if index:
            layers.append(activation())
        layers.append(nn.Linear(wide, narrow))
    return nn.Sequential(*layers)
