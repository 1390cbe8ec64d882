"""How many arms run at a time on what there is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sweeper.study import Study
from trainables.errors import InputError

#: Arms of a GPU that are trained side by side unless the study says otherwise: one alone leaves most of it idle.
ARMS_PER_GPU = 8


@dataclass(frozen=True, kw_only=True)
class Slots:
    """How arms are laid out on a cluster.

    Attributes:
        trainers: Processes that train arms.
        each: Most arms that one of them trains side by side.
        concurrent: Arms at a time.
        cpus: CPU cores of each process.
        gpus: GPUs of each process, shares allowed.
    """

    trainers: int
    each: int
    concurrent: int
    cpus: float
    gpus: float


def layout(study: Study, resources: Mapping[str, float]) -> Slots:
    """How many arms run at a time, and what each gets.

    Unless the study says otherwise, a process has one CPU core and trains one arm; where the cluster has GPUs, it has
    one, and trains several arms side by side. As many run at a time as fit, or fewer if the study says so.

    Args:
        study: Its ``resources``.
        resources: What the cluster has: ``CPU``, ``GPU``.

    Raises:
        InputError: If not even one arm fits.
    """
    asked = study.resources
    cpus, has_cpus, has_gpus = asked.cpus_per_trial, resources.get("CPU", 0.0), resources.get("GPU", 0.0)
    gpus = (1.0 if has_gpus else 0.0) if asked.gpus_per_trial == "auto" else asked.gpus_per_trial
    each = (ARMS_PER_GPU if gpus else 1) if asked.side_by_side == "auto" else asked.side_by_side
    fit = int(has_cpus / cpus)
    if gpus:
        # A share of a GPU is never put together from two.
        fit = min(fit, int(has_gpus) * int(1 / gpus) if gpus < 1 else int(has_gpus / gpus))
    if fit < 1:
        raise InputError(
            f"resources: one arm asks for {cpus:g} CPUs and {gpus:g} GPUs, the cluster has {has_cpus:g} and "
            f"{has_gpus:g}; lower cpus_per_trial or gpus_per_trial"
        )
    concurrent = fit * each if asked.concurrent == "auto" else min(asked.concurrent, fit * each)
    return Slots(trainers=min(fit, -(-concurrent // each)), each=each, concurrent=concurrent, cpus=cpus, gpus=gpus)
