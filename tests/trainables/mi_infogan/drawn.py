"""What stage 3 adds under a config, drawn once."""

import torch

from trainables.mi_infogan import align, augment
from trainables.mi_infogan.added import Real
from trainables.mi_infogan.data import Data


class Drawn:
    """A source on a task, and all that it is made of."""

    def __init__(self, config, task, artifacts):
        self.config = config
        self.data = Data.of(self.config, task)
        self.frozen = align.Frozen.load(self.config, self.data, artifacts["align"])
        self.real = Real(self.config, self.data, self.frozen)
        self.pool = augment.Pool.make(self.config, self.data)
        self.source = augment._source(self.config, self.data, self.frozen, self.real, artifacts)
        self.inputs = augment.Inputs(self.config, self.data, self.pool, self.real, self.source)
        self.inputs.draw(1)

    def everything(self):
        """All places of the pool, shape (R, P)."""
        return torch.arange(self.pool.utterance.shape[1]).expand(self.data.rows, -1)
