"""The study as a Ray Tune script: one function trainable, actors reused, features shared through the object store.

``python with_tune.py JOB OUT``
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import ray
import torch
from ray import tune

from plain import job as jobs
from plain.arm import train_arm
from plain.folds import Arrays


def train(config: dict[str, Any], arms: list[dict[str, Any]], folds: list[Arrays], seeds: list[int]) -> None:
    """Train one arm on all folds and seeds."""
    torch.set_num_threads(1)
    tune.report({"result": train_arm(arms[config["arm"]], [fold.part() for fold in folds], seeds)})


def run(job: jobs.Job) -> list[dict[str, Any]]:
    """Train all arms, as many at a time as there are cores."""
    here = os.pathsep.join(filter(None, (str(Path(__file__).resolve().parents[1]), os.environ.get("PYTHONPATH"))))
    ray.init(
        address="local",
        num_cpus=job["concurrent"],
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        runtime_env={"env_vars": {"PYTHONPATH": here}},
    )
    trainable = tune.with_parameters(train, arms=job["arms"], folds=jobs.folds(job), seeds=job["seeds"])
    with tempfile.TemporaryDirectory(prefix="plain-") as storage:
        results = tune.Tuner(
            tune.with_resources(trainable, {"CPU": 1}),
            param_space={"arm": tune.grid_search(list(range(len(job["arms"]))))},
            tune_config=tune.TuneConfig(max_concurrent_trials=job["concurrent"], reuse_actors=True),
            run_config=tune.RunConfig(name="plain", storage_path=storage, verbose=0),
        ).fit()
        if results.errors:
            raise results.errors[0]
        found = [each.metrics["result"] for each in results]
    ray.shutdown()
    return found


if __name__ == "__main__":
    jobs.main(sys.argv[1:], run)
