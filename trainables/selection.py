"""Which epoch counts: the first with the best UAR on the fold's dev part. Test has no voice here."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from trainables import metrics
from trainables.epoch import Tensors


def choose_epoch(dev_uar: np.ndarray) -> np.ndarray:
    """Index of the best epoch of each row, the first one where several are equal.

    Args:
        dev_uar: UAR on dev after each epoch, shape (epochs, rows).

    Returns:
        Shape (rows,), counted from 0.
    """
    return np.asarray(np.argmax(dev_uar, axis=0))


class Best:
    """What each row looked like at its best epoch so far.

    Where a task has no dev part (final training), every epoch counts as the best so far: the last one is kept.

    Attributes:
        uar: Best dev UAR so far, shape (rows,); -1 before the first epoch.
        tensors: Stacked tensors of each row's best epoch.
    """

    def __init__(self, rows: int) -> None:
        self.uar = np.full(rows, -1.0)
        self.tensors: Tensors = {}

    def improved(self, dev: Mapping[str, np.ndarray]) -> np.ndarray:
        """Which rows are now better than ever before, shape (rows,).

        Args:
            dev: Confusion counts on dev after this epoch by test condition, shape (rows, C, C) each; the mean
                of their UAR counts.
        """
        if not all(counts.any() for counts in dev.values()):
            return np.ones(len(self.uar), dtype=bool)
        now = np.mean([metrics.uar(counts) for counts in dev.values()], axis=0)
        better: np.ndarray = now > self.uar
        self.uar = np.where(better, now, self.uar)
        return better

    def keep(self, rows: np.ndarray, tensors: Mapping[str, torch.Tensor]) -> None:
        """Keep the given rows of stacked tensors.

        Args:
            rows: Which rows, shape (R,), bool.
            tensors: Tensors of all rows, shape (R, ...) each.
        """
        mask = torch.from_numpy(rows)
        for name, tensor in tensors.items():
            new = tensor.detach().cpu()
            old = self.tensors.get(name, new)
            self.tensors[name] = torch.where(mask.view(-1, *[1] * (new.dim() - 1)), new, old)

    def state(self) -> Tensors:
        """All of it as tensors, to be saved."""
        return {
            "best.uar": torch.from_numpy(self.uar.copy()),
            **{f"best/{k}": v for k, v in self.tensors.items()},
        }

    def load(self, state: Mapping[str, torch.Tensor]) -> Best:
        """The inverse of `state`."""
        self.uar = state["best.uar"].numpy().copy()
        self.tensors = {k.removeprefix("best/"): v for k, v in state.items() if k.startswith("best/")}
        return self
