"""Arms side by side: one stage of several arms trained as one stack, each arm's numbers as if it were alone.

Arms of one shape (equal settings but for the stage's `vectors`: weights, temperatures, step sizes) are stacked along
the axis of rows. Each may be at its own epoch; arms come and go between epochs, by cutting the stack apart and putting
another together.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from pydantic import BaseModel

from trainables.epoch import Epoch, Tensors
from trainables.methods import Method, Stage
from trainables.section import Section
from trainables.task import Task
from trainables.training import Training


@dataclass(frozen=True, eq=False)
class Seat:
    """What one arm brings to a stage.

    Attributes:
        config: Its settings.
        artifacts: What its earlier stages handed on.
        state: What it goes on from; None before its first epoch.
    """

    config: BaseModel
    artifacts: Mapping[str, Tensors]
    state: Tensors | None = None


def shape(method: Method, stage: Stage, config: BaseModel) -> str | None:
    """What two arms must have in common to be trained side by side in a stage, as text; None where they cannot be.

    That is everything but the numbers that methods take as vectors; of those, whether they are 0, since a term of
    weight 0 is left out. A stage that fine-tunes an encoder has a device to itself.
    """
    if not stage.vectors or stage.distributed(config):
        return None
    tree = config.model_dump(mode="json")
    for path in (path for each in method.stages for path in each.vectors):
        *sections, name = path.split(".")
        section = tree
        for each in sections:
            section = section[each]
        section[name] = bool(section[name])
    return json.dumps([method.name, stage.name, tree], sort_keys=True)


class Lockstep:
    """A stage of several arms of one shape, under way.

    Args:
        stage: The stage.
        task: Corpus, folds and seeds of one arm.
        seats: One an arm; more than one only for a stage with `vectors`.
    """

    def __init__(self, stage: Stage, task: Task, seats: Sequence[Seat]) -> None:
        self._arms, self._total = len(seats), stage.epochs(seats[0].config)
        self._rows = len(task.rows)
        if len(seats) == 1:
            (seat,) = seats
            self._epochs = stage.run(seat.config, task, dict(seat.artifacts), seat.state)
            return
        states = [_begun(stage, task, seat) for seat in seats]
        config = Section.merged([seat.config for seat in seats])  # type: ignore[misc]
        artifacts = {name: _joined([seat.artifacts[name] for seat in seats]) for name in seats[0].artifacts}
        self._epochs = stage.run(config, replace(task, arms=self._arms), artifacts, _joined(states))
        self._done = [int(state["epoch"]) for state in states]

    def step(self) -> list[Epoch]:
        """Train the next epoch of every arm; one `Epoch` each, with a snapshot that is the arm's own."""
        together = next(self._epochs)
        if self._arms == 1:
            return [together]
        self._done = [done + 1 for done in self._done]
        return [self._of(together, arm, index) for arm, index in enumerate(self._done)]

    def states(self) -> list[Tensors]:
        """What each arm goes on from; only of a stage with `vectors`."""
        return _parted(self._training.state(), self._arms)

    def close(self) -> None:
        """Let go of the stage."""
        self._epochs = iter(())

    @property
    def _training(self) -> Training:
        assert isinstance(self._epochs, Training)
        return self._epochs

    def _of(self, epoch: Epoch, arm: int, index: int) -> Epoch:
        """One arm's part of what was trained together."""
        ends = index == self._total
        size, rows = self._rows, slice(arm * self._rows, (arm + 1) * self._rows)

        def own(found: tuple[Any, ...]) -> tuple[Any, ...]:
            mine = [each for each in found if each.row // size == arm] if ends else []
            return tuple(moved(each, each.row % size) for each in mine)

        speakers = {name: _part(counts, arm, self._arms) for name, counts in epoch.speakers.items()}
        return replace(
            epoch,
            index=index,
            confusions={pair: counts[rows] for pair, counts in epoch.confusions.items()},
            speakers=speakers,
            terms={name: values[rows] for name, values in epoch.terms.items()},
            snapshot=lambda: _parted(epoch.snapshot(), self._arms)[arm],
            artifact=_parted(epoch.artifact, self._arms)[arm] if ends and epoch.artifact else None,
            diagnostics=own(epoch.diagnostics),
            embeddings=own(epoch.embeddings),
            flags=own(epoch.flags),
        )


def _begun(stage: Stage, task: Task, seat: Seat) -> Tensors:
    if seat.state is not None:
        return seat.state
    fresh = stage.run(seat.config, task, dict(seat.artifacts), None)
    assert isinstance(fresh, Training)
    return fresh.state()


def _joined(arms: Sequence[Tensors]) -> Tensors:
    """Tensors of several arms one after the other; 0 for an arm that has not got as far as having one."""
    like = {name: tensor for each in arms for name, tensor in each.items()}
    return {
        name: torch.cat([each[name] if name in each else torch.zeros_like(tensor) for each in arms])
        for name, tensor in like.items()
    }


def _parted(tensors: Tensors, arms: int) -> list[Tensors]:
    """The inverse of `_joined`; copies, so that no arm holds on to all."""
    return [{name: _part(tensor, arm, arms).clone() for name, tensor in tensors.items()} for arm in range(arms)]


def _part(values: Any, arm: int, arms: int) -> Any:
    size = len(values) // arms
    return values[arm * size : (arm + 1) * size]


def moved(found: Any, row: int) -> Any:
    """What was found in a row (a diagnostic, an embedding, a flag), as of another row."""
    return found._replace(row=row) if hasattr(found, "_replace") else replace(found, row=row)
