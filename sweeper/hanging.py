"""Ends arms that make no progress: their worker or trainer is killed, and what comes of that is a failure like others.

Seen from the driver, since a process that hangs cannot be trusted to say so. Where several arms share a trainer, any
progress there is progress of all: they wait for each other.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

import ray

log = logging.getLogger(__name__)


class Watch:
    """Who was heard of when.

    Args:
        limit: Seconds without an epoch after which an arm hangs; None watches nobody.
        trainers: Actors that several workers share; without any, each worker trains for itself.
        clock: Seconds that never go back.
    """

    def __init__(
        self, limit: float | None, trainers: Sequence[Any] = (), clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit, self._trainers, self._clock = limit, trainers, clock
        self._heard: dict[str, float] = {}
        self._where: dict[str, Any] = {}

    def begins(self, arm: str, actor: Any, place: int) -> None:
        """A worker begins an arm; where trainers are shared, time counts once the arm is first heard of.

        Args:
            arm: Its id.
            actor: The worker.
            place: Number of its trainer, where trainers are shared.
        """
        self._where[arm] = self._trainers[place % len(self._trainers)] if self._trainers else actor
        if not self._trainers:
            self.hears(arm)

    def hears(self, arm: str) -> None:
        """An arm made progress, was taken in by its trainer, or said that it waits for another's stage."""
        if arm in self._where:
            self._heard[arm] = self._clock()

    def forgets(self, arm: str) -> None:
        """An arm is over, or has lost its worker or trainer."""
        self._heard.pop(arm, None)
        self._where.pop(arm, None)

    def ends(self) -> list[str]:
        """Kill the processes of arms that hang; their names."""
        if self._limit is None:
            return []
        now, ended = self._clock(), []
        for actor in {id(each): each for each in self._where.values()}.values():
            arms = [arm for arm in self._heard if self._where[arm] is actor]
            if not arms or now - max(self._heard[arm] for arm in arms) < self._limit:
                continue
            log.error("no epoch of %s for %g s; the process that trains it is killed", ", ".join(arms), self._limit)
            # A trainer is begun anew by Ray, a worker by Tune.
            ray.kill(actor, no_restart=not self._trainers)
            for arm in arms:
                self.hears(arm)
            ended += arms
        return ended
