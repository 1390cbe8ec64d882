"""So many trivial arms under Ray Tune alone: ``python trivial_tune.py ARMS SEEDS FOLDER OUT``.

A class trainable with reused actors, two at a time, a random search, Tune's own files: the fast way its
documentation knows. Each arm hands back as many numbers as one of ours does.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import ray
from ray import tune
from trivial.watch import Memory


class Trivial(tune.Trainable):
    """Makes numbers up."""

    def setup(self, config: dict[str, Any]) -> None:
        self._config = config

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._config = new_config
        return True

    def step(self) -> dict[str, Any]:
        rate, rows = self._config["rate"], self._config["rows"]
        counts = [[1 + round(100 * rate * (index % 5 == 0)) for index in range(16)]] * rows
        return {"done": True, "score": rate, "dev": counts, "test": counts}


class _Noted(tune.Callback):
    """Notes when arms are over."""

    def __init__(self) -> None:
        self.over: list[float] = []
        self.first = 0.0

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.first = self.first or time.time()

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.over.append(time.time())


def main(arms: str, seeds: str, folder: str, out: str) -> None:
    ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    noted, memory, at = _Noted(), Memory(), time.time()
    with memory:
        tune.Tuner(
            tune.with_resources(Trivial, {"CPU": 1}),
            param_space={"rate": tune.uniform(0, 1), "rows": 6 * int(seeds)},
            tune_config=tune.TuneConfig(num_samples=int(arms), max_concurrent_trials=2, reuse_actors=True),
            run_config=tune.RunConfig(
                name="trivial",
                storage_path=folder,
                verbose=0,
                callbacks=[noted],
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        ).fit()
    found = {
        "arms": len(noted.over),
        "failed": 0,
        "to_first_epoch": noted.first - psutil.Process().create_time(),
        "seconds": noted.over[-1] - at,
        "over": [each - at for each in noted.over],
        "memory": memory.at(noted.over),
        "files": sum(path.is_file() for path in Path(folder).rglob("*")),
        "scratch_files": 0,
    }
    Path(out).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
