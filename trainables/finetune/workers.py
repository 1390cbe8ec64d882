"""The workers that share each step: accelerate's device, precision and data parallelism, and what crosses between them.

Every worker computes the losses of the *whole* batch from everybody's features, so that contrastive negatives are
those of all workers and means are over the whole batch, and has gradients for its own features only.
DistributedDataParallel averages gradients over workers; `Workers.gather` is made so that the average is the gradient of
one process that had the whole batch to itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from trainables.errors import InputError

EXTRA = "accelerate is not installed; install the extra encoders: pip install 'sweeper[encoders]'"
#: What accelerate calls them.
_PRECISION = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}
#: How launchers tell a process its place; accelerate looks there and nowhere else.
_PLACE = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")


class Workers:
    """This process's place among the workers; a single one where torch.distributed was not initialised.

    Args:
        precision: ``fp32``, ``bf16`` or ``fp16``.

    Attributes:
        accelerator: Accelerate's.
        device: Where this worker computes.
        rank: Which worker this is, from 0.
        size: How many there are.

    Raises:
        InputError: If accelerate is missing, or this device cannot compute in that precision.
    """

    def __init__(self, precision: str = "fp32") -> None:
        check_precision(precision)
        Accelerator, DDP = _library()
        from accelerate.state import AcceleratorState, GradientState

        # Settings of the arm before must not stay: accelerate keeps them for the whole process, which outlives an arm.
        AcceleratorState._reset_state(reset_partial_state=True)
        GradientState._reset_state()
        with _told():
            self.accelerator: Any = Accelerator(
                mixed_precision=_PRECISION[precision],
                cpu=not torch.cuda.is_available(),
                kwargs_handlers=[DDP(broadcast_buffers=False, gradient_as_bucket_view=True)],
            )
        self.device: torch.device = self.accelerator.device
        self.rank, self.size = _place()

    def share(self, count: int) -> slice:
        """This worker's part of ``count`` items: equal parts in order, the last ones shorter or empty."""
        each = self.longest(count)
        return slice(min(self.rank * each, count), min((self.rank + 1) * each, count))

    def longest(self, count: int) -> int:
        """Items in the longest share of ``count``."""
        return -(-count // self.size)

    def gather(self, own: Tensor, count: int) -> Tensor:
        """Everybody's features, from each worker's own.

        The gradient of the own features is that of the loss times the number of workers: to be used where every worker
        computes the same loss from what is gathered and gradients are averaged over workers afterwards.

        Args:
            own: Features of this worker's `share`, padded at the end to the longest share, shape (n, H).
            count: Items of all workers together.

        Returns:
            Shape (count, H), in order.
        """
        if self.size == 1:
            return own[:count]
        return _Gather.apply(own.contiguous(), self.rank, self.size)[:count]

    def added(self, own: Tensor) -> Tensor:
        """The sum over workers, for results that each has a part of; the same bits everywhere."""
        if self.size > 1:
            dist.all_reduce(own)
        return own


class _Gather(torch.autograd.Function):
    """All-gather of equal shapes, along the first axis.

    As every worker has the same loss, the sum over workers of what all_gather's gradient would bring is the own
    gradient times their number: nothing needs to be sent back.
    """

    @staticmethod
    def forward(ctx: Any, own: Tensor, rank: int, size: int) -> Tensor:
        ctx.place = slice(rank * len(own), (rank + 1) * len(own))
        ctx.size = size
        parts = [torch.empty_like(own) for _ in range(size)]
        dist.all_gather(parts, own)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return grads[0][ctx.place] * ctx.size, None, None


def check_precision(precision: str) -> None:
    """Refuse a precision that this device cannot compute in.

    Raises:
        InputError: Names the device and what it can do.
    """
    cuda = torch.cuda.is_available()
    if precision == "fp16" and not cuda:
        raise InputError("config.align.tuning.precision: fp16 needs a GPU, and there is none; use bf16 or fp32")
    if precision == "bf16" and cuda and not torch.cuda.is_bf16_supported(including_emulation=False):
        name = torch.cuda.get_device_name()
        raise InputError(f"config.align.tuning.precision: {name} cannot compute in bf16; use fp16 or fp32")


def _place() -> tuple[int, int]:
    return (dist.get_rank(), dist.get_world_size()) if dist.is_available() and dist.is_initialized() else (0, 1)


@contextmanager
def _told() -> Iterator[None]:
    """The environment as accelerate wants it, which must agree with torch.distributed, for the time of the block."""
    rank, size = _place()
    before = dict(os.environ)
    try:
        if size > 1:
            # As the group was made already, nobody is called at that address: it only must be there.
            guessed = {"LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": size, "MASTER_ADDR": "127.0.0.1"}
            own = {name: before.get(name, str(value)) for name, value in guessed.items()}
            os.environ.update(own | {"RANK": str(rank), "WORLD_SIZE": str(size)})
        else:  # whatever a launcher left: nobody is there to meet
            for name in _PLACE:
                os.environ.pop(name, None)
        os.environ.setdefault("OMP_NUM_THREADS", str(torch.get_num_threads()))  # else it sets another number
        yield
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)


def _library() -> tuple[Any, Any]:
    try:
        from accelerate import Accelerator, DistributedDataParallelKwargs
    except ImportError:
        raise InputError(EXTRA) from None
    return Accelerator, DistributedDataParallelKwargs
