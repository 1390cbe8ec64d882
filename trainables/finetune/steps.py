"""An epoch's steps: which utterances, in which parts, and which of them each worker encodes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True, eq=False)
class Step:
    """One step of the optimizer.

    Attributes:
        number: Which step of the epoch, from 0.
        parts: Utterances of each part, together those of the step; the parts pass through the encoder one by one.
        places: Where longer recordings are cropped, in [0, 1), part by part.
    """

    number: int
    parts: tuple[np.ndarray, ...]
    places: tuple[np.ndarray, ...]


def steps_of(utterances: np.ndarray, seed: int, *, size: int, parts: int = 1) -> list[Step]:
    """One pass over a row's utterances in shuffled order; the last step is shorter where they do not go up.

    Args:
        utterances: Of the row's train part, shape (n,).
        seed: Of the row and epoch: steps depend on nothing else, neither on other rows nor on the number of workers.
        size: Utterances of a step, of all workers together.
        parts: In how many parts to encode them.
    """
    rng = np.random.default_rng(seed)
    order, places = rng.permutation(utterances), rng.random(len(utterances))
    each = -(-size // parts)
    steps = []
    for number, first in enumerate(range(0, len(order), size)):
        chosen, there = order[first : first + size], places[first : first + size]
        cuts = range(each, len(chosen), each)
        steps.append(Step(number, tuple(np.split(chosen, cuts)), tuple(np.split(there, cuts))))
    return steps


def padded(items: np.ndarray, size: int, filler: float) -> np.ndarray:
    """A worker's share of a part at the size of the longest share, shape (size,): every worker sends as much."""
    return np.concatenate([items, np.full(size - len(items), filler, dtype=items.dtype)])


def ahead(prepare: Callable[[A], B], items: Iterable[A], depth: int = 2) -> Iterator[B]:
    """Prepare items in a thread beside the training, a few ahead and in order."""
    with ThreadPoolExecutor(1, thread_name_prefix="prepare") as pool:
        waiting: deque[Future[B]] = deque()
        for item in items:
            waiting.append(pool.submit(prepare, item))
            if len(waiting) > depth:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
