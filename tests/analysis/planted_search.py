"""Searches with planted truth, made in memory: many arms of few columns, where `fake_run` writes whole folders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from analysis.run import Run
from analysis.space import Axis

WEIGHT = {"kind": "float", "low": 0.01, "high": 100.0, "log": True}
SHARE = {"kind": "float", "low": 0.0, "high": 1.0, "log": False}


@dataclass(kw_only=True)
class Search:
    """What is planted.

    Attributes:
        arms: Arms of the search; one reference more stands before them.
        parameters: Ranges as in a run's provenance; values are drawn evenly over them.
        effect: Places of the arms, shape (N, P) in [0, 1], to their true scores, shape (N,).
        noise: Spread of the final scores around these.
        early: Spread of the scores at the first rung around the final ones less `behind`.
        behind: How far below its final score an arm is at the first rung.
        stop: Whether arms are stopped as by successive halving, one after another.
    """

    arms: int = 60
    parameters: Mapping[str, Mapping[str, Any]] = field(
        default_factory=lambda: {"a.weight": WEIGHT, "a.share": SHARE, "b.share": SHARE}
    )
    effect: Callable[[np.ndarray], np.ndarray] = lambda places: 0.6 - 0.3 * (places[:, 0] - 0.5) ** 2
    noise: float = 0.005
    early: float = 0.01
    behind: float = 0.2
    stop: bool = False
    epochs: int = 27
    grace: int = 3
    factor: int = 3
    seed: int = 0


def axis(path: str, space: Mapping[str, Any]) -> Axis:
    """The axis of a range."""
    if space["kind"] == "choice":
        return Axis(path=path, options=tuple(space["options"]))
    low, high = float(space["low"]), float(space["high"])
    return Axis(path=path, low=low, high=high, log=space["log"], whole=space["kind"] == "int")


def drawn(plan: Search) -> tuple[list[list[Any]], np.ndarray, np.ndarray]:
    """Values of each parameter, the score that every arm would end with, shape (N,), and the curves, shape (N, E)."""
    rng = np.random.default_rng(plan.seed)
    axes = [axis(path, space) for path, space in plan.parameters.items()]
    places = rng.random((plan.arms + 1, len(axes)))
    values = [_values(one, one.values(places[:, index])) for index, one in enumerate(axes)]
    places = np.stack([one.places(mine) for one, mine in zip(axes, values, strict=True)], axis=1)
    final = plan.effect(places) + rng.normal(0, plan.noise, len(places))
    fading = np.exp(-(np.arange(1, plan.epochs + 1) - plan.grace) / 6)
    return values, final, final[:, None] - (plan.behind + plan.early * rng.normal(size=(len(places), 1))) * fading


def searched(run: Run, plan: Search) -> Run:
    """A run like `run` whose arms are those of a planted search."""
    values, final, curves = drawn(plan)
    seen = _stopped(plan, curves) if plan.stop else np.full(len(final), plan.epochs)
    configs = [dict(zip(plan.parameters, row, strict=True)) for row in zip(*values, strict=True)]
    trials = _trials(plan, configs, final, curves, seen)
    scheduler = {"kind": "asha", "grace_period": plan.grace, "reduction_factor": plan.factor, "applies_to": ["search"]}
    provenance = {**run.provenance, "parameters": dict(plan.parameters), "scheduler": scheduler}
    frame, rows = _curves(trials, curves, seen, len(run.rows))
    return replace(run, trials=trials, curves=frame, curve_rows=rows, provenance=provenance)


def _values(one: Axis, values: np.ndarray) -> list[Any]:
    if one.options:
        return [one.options[int(value)] for value in values]
    return [int(value) if one.whole else float(value) for value in values]


def _stopped(plan: Search, curves: np.ndarray) -> np.ndarray:
    """Epochs that each arm sees when one after another meets what the rungs saw before; the reference sees all."""
    rungs: dict[int, list[float]] = {}
    seen = np.full(len(curves), plan.epochs)
    for index, curve in enumerate(curves):
        budget = plan.grace
        while budget < plan.epochs:
            there = rungs.setdefault(budget, [])
            stops = index > 0 and there and curve[budget - 1] < np.percentile(there, 100 * (1 - 1 / plan.factor))
            there.append(curve[budget - 1])
            if stops:
                seen[index] = budget
                break
            budget *= plan.factor
    return seen


def _trials(plan: Search, configs: list[dict], final: np.ndarray, curves: np.ndarray, seen: np.ndarray) -> pd.DataFrame:
    n = len(configs)
    done = seen == plan.epochs
    score = np.where(done, final, curves[np.arange(n), seen - 1])
    able = np.where(done, final, -np.inf)
    trials = pd.DataFrame(
        {
            "arm": [f"arm{index:06d}" for index in range(n)],
            "name": ["paper defaults", *(f"search {index}" for index in range(n - 1))],
            "kind": ["reference", *["search"] * (n - 1)],
            "parent": "", "parameter": "", "value": "", "status": np.where(done, "done", "stopped"), "reason": "",
            "score": score, "epochs": seen, "epochs_planned": plan.epochs, "epochs_trained": seen,
            "epochs_reused": 0, "seconds": 60.0, "started_at": 1e9 + 60.0 * np.arange(n),
            "finished_at": 1e9 + 60.0 * np.arange(1, n + 1), "finished_order": np.arange(n),
            "is_reference": able == able.max(), "is_best": able == able.max(),
        }
    )  # fmt: skip
    objects = {"flags": [()] * n, "config": configs, "changed": configs}
    return trials.assign(**{name: pd.Series(each, dtype=object) for name, each in objects.items()})


def _curves(trials: pd.DataFrame, curves: np.ndarray, seen: np.ndarray, rows: int) -> tuple[pd.DataFrame, np.ndarray]:
    there = np.arange(curves.shape[1]) < seen[:, None]
    arm, epoch = np.nonzero(there)
    frame = pd.DataFrame(
        {
            "arm": trials["arm"].to_numpy()[arm],
            "stage": "train",
            "epoch": epoch + 1,
            "budget": epoch + 1,
            "dev_uar": curves[there],
        }
    )
    return frame, np.repeat(curves[there][:, None], rows, axis=1)
