"""How many arms run at a time on what there is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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
        spread: Worker processes of each arm, where several train one; they have the CPUs and GPUs.
    """

    trainers: int
    each: int
    concurrent: int
    cpus: float
    gpus: float
    spread: int = 1


@dataclass(frozen=True, kw_only=True)
class Spread:
    """How a stage that can use several workers is trained (`sweeper.groups`).

    Attributes:
        groups: Worker groups of an arm; each trains some of the folds.
        workers: Workers of a group; each step is split between them.
        cpus: CPU cores of a worker.
        gpus: GPUs of a worker.
        task: Corpus, folds and seeds: a reference into Ray's object store.
        modules: The module of each method.
        folder: Where groups keep what they go on from: a place that all nodes see.
        retries: How often a group goes on after it lost a worker.
    """

    groups: int
    workers: int
    cpus: float
    gpus: float
    task: Any
    modules: Mapping[str, str]
    folder: str
    retries: int


def layout(study: Study, resources: Mapping[str, float]) -> Slots:
    """How many arms run at a time, and what each gets.

    Unless the study says otherwise, a process has one CPU core and trains one arm; where the cluster has GPUs, it has
    one, and trains several arms side by side. As many run at a time as fit, or fewer if the study says so. Of an arm
    that is spread over workers each worker is such a process.

    Args:
        study: Its ``resources``.
        resources: What the cluster has: ``CPU``, ``GPU``.

    Raises:
        InputError: If not even one arm fits.
    """
    asked = study.resources
    cpus, has_cpus, has_gpus = asked.cpus_per_trial, resources.get("CPU", 0.0), resources.get("GPU", 0.0)
    gpus = (1.0 if has_gpus else 0.0) if asked.gpus_per_trial == "auto" else asked.gpus_per_trial
    several = ARMS_PER_GPU if gpus and asked.spread == 1 else 1
    each = several if asked.side_by_side == "auto" else asked.side_by_side
    fit = int(has_cpus / cpus)
    if gpus:
        # A share of a GPU is never put together from two.
        fit = min(fit, int(has_gpus) * int(1 / gpus) if gpus < 1 else int(has_gpus / gpus))
    fit //= asked.spread
    if fit < 1:
        times, remedy = (f"{asked.spread} x ", "workers, groups, ") if asked.spread > 1 else ("", "")
        raise InputError(
            f"resources: one arm asks for {times}{cpus:g} CPUs and {gpus:g} GPUs, the cluster has {has_cpus:g} and "
            f"{has_gpus:g}; lower {remedy}cpus_per_trial or gpus_per_trial"
        )
    concurrent = fit * each if asked.concurrent == "auto" else min(asked.concurrent, fit * each)
    trainers = min(fit, -(-concurrent // each))
    return Slots(trainers=trainers, each=each, concurrent=concurrent, cpus=cpus, gpus=gpus, spread=asked.spread)
