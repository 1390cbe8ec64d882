"""What runs in Tune's workers: arms, one after the other.

A worker trains its arm itself, or asks the trainer that it shares with others; then it is light: it never loads torch.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import ray
from ray import tune
from ray.exceptions import RayActorError

#: Seconds until a trainer that is away is asked again.
AWAY = 1.0


class Training(Protocol):
    """Whoever trains arms: see `sweeper.trainer.Trainer`."""

    def begin(self, name: str, method: str, settings: str, *, owner: str, alone: bool) -> None:
        """Take in an arm."""

    def step(self, arm: str) -> dict[str, Any]:
        """Train its next epoch."""

    def drop(self, arm: str) -> None:
        """Let go of it."""


class ArmTrainable(tune.Trainable):
    """One arm after the other; each step is one epoch.

    An arm that cannot go on ends with a ``failure`` in its last result instead of an exception: only what may
    pass (the worker's death, a full device, a file system's trouble) is left to Tune's retries.
    """

    _begun: bool

    def setup(
        self,
        config: dict[str, Any],
        *,
        trainers: Sequence[Any] = (),
        task: Any = None,
        own: Mapping[str, Any] | None = None,
    ) -> None:
        """Prepare the process and begin its first arm.

        Args:
            config: ``arm`` (id), ``method`` (name), ``config`` (JSON), ``place`` (the number of its trainer) and
                ``alone`` (whether to be trained beside no other).
            trainers: Actors that train arms, where workers share them.
            task: Else corpus, folds and seeds, from the object store without a copy,
            own: and what else this process's own trainer is made of.
        """
        self._trainers: list[Training] = [_Elsewhere(each) for each in trainers] or [_here(task, own or {})]
        self._take(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin the next arm in the same process."""
        self.cleanup()
        self._take(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Train one epoch, or take it from the store; the first step of an arm only says that its trainer has it.

        Whoever watches for arms that hang counts from there: a trainer of several may take its time to start, and to
        let one in that is to be alone.
        """
        if not self._begun:
            # Not when it is taken: a worker whose trainer is away would count as one that cannot start.
            asked = self._asked
            self._trainer.begin(self._name, asked["method"], asked["config"], owner=asked["arm"], alone=asked["alone"])
            self._begun = True
            if isinstance(self._trainer, _Elsewhere):
                return {"waiting": True}
        told = self._trainer.step(self._name)
        return {**told, "report": _Sealed(told["report"])} if "report" in told else told

    def cleanup(self) -> None:
        """Let go of the arm.

        Not of one that was never begun: Tune gives an arm for which a process is started to another that is free
        before that, and ends the first one when it has come up, while the arm is being trained.
        """
        if self._begun:
            self._trainer.drop(self._name)

    def _take(self, config: dict[str, Any]) -> None:
        # Of the trial, which is another one when an arm is tried again.
        self._name, self._asked = str(self.trial_id), dict(config)
        self._begun = False
        self._trainer: Training = self._trainers[config["place"] % len(self._trainers)]


def _here(task: Any, own: Mapping[str, Any]) -> Training:
    from sweeper.trainer import Trainer  # loads torch

    return Trainer(task=task, **own)


class TrainerActor:
    """A trainer as an actor. Whoever is given an actor loads what its class is made of; here that is not torch.

    Args:
        task: Corpus, folds and seeds.
        made_of: What else the trainer is made of.
    """

    def __init__(self, task: Any, **made_of: Any) -> None:
        self._trainer = _here(task, made_of)

    def begin(self, name: str, method: str, settings: str, *, owner: str, alone: bool) -> None:
        """See `Training.begin`."""
        self._trainer.begin(name, method, settings, owner=owner, alone=alone)

    def step(self, arm: str) -> dict[str, Any]:
        """See `Training.step`."""
        return self._trainer.step(arm)

    def drop(self, arm: str) -> None:
        """See `Training.drop`."""
        self._trainer.drop(arm)


class _Elsewhere:
    """A trainer in another process."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    def begin(self, name: str, method: str, settings: str, *, owner: str, alone: bool) -> None:
        while True:
            try:
                ray.get(self._actor.begin.remote(name, method, settings, owner=owner, alone=alone))
                return
            except RayActorError as error:
                # It died of another arm, or is on its way back: this one had not come in yet.
                if "creation task" in str(error):
                    raise
                time.sleep(AWAY)

    def step(self, arm: str) -> dict[str, Any]:
        told: dict[str, Any] = ray.get(self._actor.step.remote(arm))
        return told

    def drop(self, arm: str) -> None:
        self._actor.drop.remote(arm)


class _Sealed:
    """A pickled object that passes through this process, and is opened where it arrives: the driver."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __reduce__(self) -> tuple[Any, ...]:
        return pickle.loads, (self._content,)
