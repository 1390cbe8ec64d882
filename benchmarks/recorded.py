"""What a run of ours recorded: its arms, the epochs each one had by stage, and its scores to be met."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

#: One arm: ``arm`` (id), ``name``, ``kind``, ``config``, ``epochs`` by stage, ``stopped`` (after which stage's epoch;
#: "" where it ran to its end), ``trained`` and ``reused`` epochs, and ``stages``, as in `plain.arm.train_arm`.
Arm = dict[str, Any]


def arms(run: Path) -> list[Arm]:
    """The arms of a finished run in the order they were begun, failed ones left out."""
    trials = pd.read_parquet(run / "trials.parquet").sort_values("started_order")
    curves = dict(list(pd.read_parquet(run / "curves.parquet").groupby("arm")))
    folds = dict(list(pd.read_parquet(run / "folds.parquet").groupby("arm")))
    kept = trials[trials["status"].isin(("done", "stopped")) & trials["arm"].isin(list(curves))]
    return [_arm(row, curves[row["arm"]], folds[row["arm"]]) for row in kept.to_dict("records")]


def _arm(row: Mapping[str, Any], curve: pd.DataFrame, folds: pd.DataFrame) -> Arm:
    epochs = {str(stage): int(each["epoch"].max()) for stage, each in curve.groupby("stage", sort=False)}
    last = list(epochs)[-1]
    return {
        "arm": row["arm"],
        "name": row["name"],
        "kind": row["kind"],
        "config": json.loads(row["config"]),
        "epochs": epochs,
        "stopped": f"{last} {epochs[last]}" if row["status"] == "stopped" else "",
        "trained": int(row["epochs_trained"]),
        "reused": int(row["epochs_reused"]),
        "stages": {str(stage): _stage(curve, each) for stage, each in folds.groupby("stage", sort=False)},
        "seconds_by_stage": _seconds(curve) if not row["epochs_reused"] else {},
    }


def _stage(curve: pd.DataFrame, folds: pd.DataFrame) -> dict[str, Any]:
    stage = folds["stage"].iloc[0]
    epochs = curve[curve["stage"] == stage].sort_values("epoch")
    test = folds[folds["split"] == "test"]
    side = int(np.sqrt(len(test["confusion"].iloc[0])))
    return {
        "dev": [[float(each) for each in rows] for rows in epochs["rows"]],
        "epoch": [int(each) for each in test["epoch"]],
        "test": [np.reshape(each, (side, side)).tolist() for each in test["confusion"]],
    }


def _seconds(curve: pd.DataFrame) -> dict[str, float]:
    """Seconds by stage of an arm that trained all its epochs itself."""
    ordered = curve.sort_values("seconds")
    lengths = ordered["seconds"].diff().fillna(ordered["seconds"])
    return {str(stage): float(each.sum()) for stage, each in lengths.groupby(ordered["stage"], sort=False)}


def sample(found: Sequence[Arm], count: int, seed: int = 0) -> list[Arm]:
    """So many arms, drawn from the strata of equal kind and stop in turn, the largest stratum first."""
    rng, strata = np.random.default_rng(seed), dict[tuple[str, str], list[Arm]]()
    for arm in found:
        strata.setdefault((arm["kind"], arm["stopped"]), []).append(arm)
    shuffled = [[each[place] for place in rng.permutation(len(each))] for each in strata.values()]
    shuffled.sort(key=len, reverse=True)
    turns = [each[turn] for turn in range(len(found)) for each in shuffled if turn < len(each)]
    chosen = {arm["arm"] for arm in turns[:count]}
    return [arm for arm in found if arm["arm"] in chosen]


def job(study: Any, found: Sequence[Arm], concurrent: int) -> dict[str, Any]:
    """What a plain script needs, as JSON: corpus, protocol, seeds and arms.

    Args:
        study: A study with modalities settled.
        found: Its arms.
        concurrent: Arms at a time, or threads.
    """
    content = study.model_dump(mode="json")
    names = ("corpus", "features", "modalities", "where", "protocol", "seeds", "method")
    return {name: content[name] for name in names} | {"arms": list(found), "concurrent": concurrent}


def epochs(found: Sequence[Arm]) -> dict[str, int]:
    """Epochs of all arms by stage, as trained from scratch."""
    counts: dict[str, int] = {}
    for arm in found:
        for stage, count in arm["epochs"].items():
            counts[stage] = counts.get(stage, 0) + count
    return counts


def row_steps(train: Sequence[int], seeds: int, found: Sequence[Arm]) -> dict[str, int]:
    """Steps an epoch of all rows together, by stage; every row takes as many as the largest fold needs.

    Args:
        train: Utterances to train on in each fold.
        seeds: How many there are.
        found: Arms; batch sizes are those of the first, items those of one added for each real.
    """
    config, longest = found[0]["config"], max(train)
    items = {"align": longest, "generate": longest, "augment": 2 * longest}
    return {stage: len(train) * seeds * -(-count // config[stage]["batch_size"]) for stage, count in items.items()}
