"""What all arms would take, from a sample of them: seconds an epoch of each stage, times the recorded epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Arms = Sequence[Mapping[str, Any]]


def rates(recorded: Arms, measured: Arms) -> dict[str, float]:
    """Seconds an epoch by stage (all rows), what an arm takes beside its stages spread over these.

    Args:
        recorded: Arms with their ``epochs`` by stage.
        measured: Some of them with ``seconds`` and ``by_stage``.
    """
    epochs = {arm["arm"]: arm["epochs"] for arm in recorded}
    seconds: dict[str, float] = {}
    counts: dict[str, int] = {}
    for arm in measured:
        whole = arm["seconds"] / sum(arm["by_stage"].values())
        for stage, each in arm["by_stage"].items():
            seconds[stage] = seconds.get(stage, 0.0) + each * whole
            counts[stage] = counts.get(stage, 0) + epochs[arm["arm"]][stage]
    return {stage: seconds[stage] / counts[stage] for stage in seconds}


def total(arms: Arms, rate: Mapping[str, float]) -> float:
    """Seconds of these arms, one after the other.

    Raises:
        KeyError: If a stage was never measured.
    """
    return sum(count * rate[stage] for arm in arms for stage, count in arm["epochs"].items())


def errors(recorded: Arms, measured: Arms) -> list[float]:
    """Of each measured arm, its time predicted from the other ones over its time, less 1; none where that cannot be."""
    known, found = {arm["arm"]: arm for arm in recorded}, []
    for arm in measured:
        rate = rates(recorded, [each for each in measured if each is not arm])
        if set(known[arm["arm"]]["epochs"]) <= set(rate):
            found.append(total([known[arm["arm"]]], rate) / arm["seconds"] - 1)
    return found
