"""The study as an Optuna script: one process, one arm after the other, torch on all cores if that is faster.

``python with_optuna.py JOB OUT``
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import optuna
import torch

from plain import job as jobs
from plain.arm import train_arm
from plain.mi_infogan import Part, train_row


def threads(parts: Sequence[Part], arm: dict[str, Any], most: int) -> int:
    """1 or all, whichever trains an epoch of one row faster: matrices this small may only wait for more."""
    seconds = {}
    for count in (1, most):
        torch.set_num_threads(count)
        for _ in range(2):  # the first one warms up
            begun = time.perf_counter()
            train_row(parts[0], 0, arm["config"], {"align": 1}, {})
            seconds[count] = time.perf_counter() - begun
    return min(seconds, key=seconds.__getitem__)


def run(job: jobs.Job) -> list[dict[str, Any]]:
    """Train all arms."""
    parts, arms, found = [fold.part() for fold in jobs.folds(job)], job["arms"], list[dict[str, Any]]()
    torch.set_num_threads(threads(parts, arms[0], job["concurrent"]))

    def objective(trial: optuna.Trial) -> float:
        arm = arms[trial.suggest_int("arm", 0, len(arms) - 1)]
        found.append(train_arm(arm, parts, job["seeds"]) | {"threads": torch.get_num_threads()})
        last = list(found[-1]["stages"].values())[-1]
        return max(sum(rows) / len(rows) for rows in last["dev"])

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize")
    for index in range(len(arms)):
        study.enqueue_trial({"arm": index})
    study.optimize(objective, n_trials=len(arms))
    return found


if __name__ == "__main__":
    jobs.main(sys.argv[1:], run)
