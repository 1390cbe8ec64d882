"""What is trained of every row (fold and seed), kept on the CPU while another row has its turn in the one model.

A row takes three times the memory of its trained parameters (Adam's two moments), and once more for its best epoch:
1.4 GB for all 86 million of AST, 10 MB with LoRA.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from trainables.epoch import Tensors

_MOMENTS = ("step", "exp_avg", "exp_avg_sq")
#: How names in a row's state begin.
_STORED = ("params/", "adam/", "scaler/")


class Rows:
    """The trained parameters and Adam's state of R rows.

    Args:
        parameters: What is trained of the model, by name, on its device.
        optimizer: Adam over these, in this order.
        begin: Puts a row's initial values into the model.
        count: R.
        scaler: Of the gradients' scale in fp16; None in other precisions.
    """

    def __init__(
        self,
        parameters: Mapping[str, nn.Parameter],
        optimizer: torch.optim.AdamW,
        begin: Callable[[int], None],
        count: int,
        scaler: torch.amp.GradScaler | None = None,
    ) -> None:
        self._parameters, self._adam, self._begin, self._scaler = parameters, optimizer, begin, scaler
        self._stored: list[Tensors] = [{} for _ in range(count)]
        self._best: list[Tensors] = [{} for _ in range(count)]
        self._live: int | None = None
        self._changed = False
        self._fresh = {} if scaler is None else dict(scaler.state_dict())
        for parameter in parameters.values():
            on = parameter.device if parameter.is_cuda else "cpu"
            self._adam.state[parameter] = {
                "step": torch.zeros((), device=on),
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": torch.zeros_like(parameter),
            }

    def enter(self, row: int, *, train: bool = False) -> None:
        """Put a row's parameters and Adam's state into the model.

        Args:
            row: Which one.
            train: Whether they will change.
        """
        if self._live != row:
            self._store()
            self._put(row)
            self._live = row
        self._changed |= train

    def keep(self, row: int) -> None:
        """Remember a row's parameters as those of its best epoch."""
        self.enter(row)
        self._best[row] = {name: _cpu(parameter) for name, parameter in self._parameters.items()}

    def enter_best(self, row: int) -> None:
        """Put a row as it was at its best epoch into the model, to be looked at; what is not trained as it began."""
        self._store()
        self._live = None
        self._begin(row)
        self._copy(self._best[row])

    def state(self) -> Tensors:
        """All of it, stacked, shape (R, ...) each."""
        self._store()
        return _stacked(self._stored) | _stacked([{f"best/{k}": v for k, v in each.items()} for each in self._best])

    def load(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of `state`."""
        self._live, self._changed = None, False
        for row in range(len(self._stored)):
            own = {name: tensor[row].cpu() for name, tensor in state.items() if name.startswith((*_STORED, "best/"))}
            self._best[row] = {k.removeprefix("best/"): v for k, v in own.items() if k.startswith("best/")}
            self._stored[row] = {k: v for k, v in own.items() if k.startswith(_STORED)}

    def _put(self, row: int) -> None:
        stored = self._stored[row]
        if not stored:
            self._begin(row)
        self._copy({name.removeprefix("params/"): each for name, each in stored.items() if name.startswith("params/")})
        with torch.no_grad():
            for name, parameter in self._parameters.items():
                for moment in _MOMENTS:
                    live = self._adam.state[parameter][moment]
                    live.copy_(stored[f"adam/{name}.{moment}"]) if stored else live.zero_()
        if self._scaler is not None:
            saved = {name.removeprefix("scaler/"): each.item() for name, each in stored.items() if "scaler/" in name}
            self._scaler.load_state_dict({**self._fresh, **saved})

    def _store(self) -> None:
        if self._live is None or not self._changed:
            return
        kept = {f"params/{name}": _cpu(parameter) for name, parameter in self._parameters.items()}
        for name, parameter in self._parameters.items():
            kept |= {f"adam/{name}.{moment}": _cpu(self._adam.state[parameter][moment]) for moment in _MOMENTS}
        if self._scaler is not None:
            scale = self._scaler.state_dict()
            kept |= {f"scaler/{name}": torch.tensor(float(scale[name])) for name in ("scale", "_growth_tracker")}
        self._stored[self._live], self._changed = kept, False

    def _copy(self, tensors: Mapping[str, Tensor]) -> None:
        with torch.no_grad():
            for name, tensor in tensors.items():
                self._parameters[name].copy_(tensor)


def _cpu(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", copy=True)


def _stacked(rows: list[Tensors]) -> Tensors:
    return {name: torch.stack([each[name] for each in rows]) for name in rows[0]}
