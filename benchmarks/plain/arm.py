"""One arm in the plain way: fold by fold and seed by seed, every stage from scratch."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from plain.mi_infogan import Part, now, train_row


def train_arm(arm: Mapping[str, Any], parts: Sequence[Part], seeds: Sequence[int]) -> dict[str, Any]:
    """Train an arm for the epochs that it had in the recorded run.

    Returns:
        ``arm`` (id), ``began`` and ``ended`` (seconds since 1970), ``seconds``, ``by_stage`` (seconds) and ``stages``:
        stage -> ``dev`` (epochs x rows), ``epoch`` (rows) and ``test`` (rows x C x C), rows fold-major.
    """
    device, clock = parts[0].x.device, dict[str, float]()
    at, begun = time.time(), now(device)
    rows = [train_row(part, seed, arm["config"], arm["epochs"], clock) for part in parts for seed in seeds]
    stages = {}
    for name in rows[0]:
        each = [asdict(row[name]) for row in rows]
        dev = [list(epoch) for epoch in zip(*(row["dev"] for row in each), strict=True)]
        stages[name] = {"dev": dev, "epoch": [row["epoch"] for row in each], "test": [row["test"] for row in each]}
    seconds = now(device) - begun
    spent = {"began": at, "ended": at + seconds, "seconds": seconds, "by_stage": clock}
    return {"arm": arm["arm"], **spent, "stages": stages}
