"""Where in its training an arm is compared with others: after which epochs of which stages.

A score early in one stage says little beside one late in another, so a rung belongs to a stage. Its places are the
stage's end and, going back, a ``reduction_factor``-th of the stage each time: 20 epochs and a factor of 3 give 20, 7
and 3. Arms whose stage is longer or shorter meet at the same share of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pydantic import BaseModel

from sweeper.study import Scheduler
from trainables.methods import Method


class Planned(NamedTuple):
    """A classifying stage of an arm.

    Attributes:
        name: The stage.
        epochs: How many it has.
        final: Whether nothing comes after it, so that stopping at its end would save nothing.
    """

    name: str
    epochs: int
    final: bool


class Rung(NamedTuple):
    """A place at which arms are compared; arms meet where both are equal.

    Attributes:
        stage: The stage; empty where stages do not matter.
        level: How often the stage was cut, from its end (0); or the classifying epochs so far.
    """

    stage: str
    level: int


def planned(method: Method, config: BaseModel) -> tuple[Planned, ...]:
    """The classifying stages that an arm goes through, in order."""
    active = method.active(config)
    return tuple(Planned(stage.name, stage.epochs(config), stage is active[-1]) for stage in active if stage.classifies)


def places(stages: Sequence[Planned], asked: Scheduler) -> dict[tuple[str, int], Rung]:
    """The rungs of an arm by stage and epoch of the stage (from 1), in the order in which it meets them.

    Args:
        stages: The arm's classifying stages.
        asked: Units, grace period and reduction factor.
    """
    if asked.rungs == "epochs":
        return _by_budget(stages, asked)
    found: dict[tuple[str, int], Rung] = {}
    for stage in stages:
        cuts = _cuts(stage.epochs, asked.grace_period, asked.reduction_factor)
        found |= {(stage.name, epoch): Rung(stage.name, level) for level, epoch in cuts if level or not stage.final}
    return found


def _cuts(epochs: int, least: int, factor: int) -> list[tuple[int, int]]:
    """Level and epoch of each place in a stage, earliest first."""
    found: list[tuple[int, int]] = []
    level, parts = 0, 1
    while (epoch := -(-epochs // parts)) >= least and (not found or epoch < found[-1][1]):
        found.append((level, epoch))
        level, parts = level + 1, parts * factor
    return found[::-1]


def _by_budget(stages: Sequence[Planned], asked: Scheduler) -> dict[tuple[str, int], Rung]:
    """Places at grace period x reduction factor ** k classifying epochs, whatever the stage."""
    clock = [(stage.name, epoch) for stage in stages for epoch in range(1, stage.epochs + 1)]
    found: dict[tuple[str, int], Rung] = {}
    budget = asked.grace_period
    # An arm at its last epoch is over and not judged.
    while budget < len(clock) + (not stages[-1].final if stages else 0):
        found[clock[budget - 1]] = Rung("", budget)
        budget *= asked.reduction_factor
    return found
