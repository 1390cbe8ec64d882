"""So many trivial arms under our engine: ``python with_sweeper.py ARMS SEEDS FOLDER OUT [PROFILE]``."""

from __future__ import annotations

import cProfile
import json
import sys
import time
from pathlib import Path

import pandas as pd
import psutil

from sweeper import runner
from sweeper.results import Writer
from sweeper.study import Study
from trainables import methods
from trivial import spaces
from trivial.watch import Memory


def study(arms: int, seeds: int, folder: str) -> Study:
    """The reference and so many search arms, drawn at random, none stopped, two at a time."""
    return Study.model_validate(
        {
            "name": "trivial",
            "corpus": "builtin",
            "method": "trivial",
            "modalities": ["audio"],
            "protocol": "leave-one-session-out",
            "seeds": list(range(seeds)),
            "search": {"trials": arms - 1, "sampler": "random"},
            "scheduler": {"kind": "none"},
            "resources": {"cpus_per_trial": 1, "concurrent": 2},
            "storage": folder,
        }
    )


def main(arms: str, seeds: str, folder: str, out: str, profile: str = "") -> None:
    methods.METHODS["trivial"] = "trivial"
    sys.modules["search_spaces.trivial"] = spaces
    first: list[float] = []
    report = Writer.report

    def noted(self: Writer, *arguments: object, **named: object) -> None:
        if not first:
            first.append(time.time())
        report(self, *arguments, **named)  # type: ignore[arg-type]

    Writer.report = noted  # type: ignore[method-assign, assignment]
    asked, profiler, memory = study(int(arms), int(seeds), folder), cProfile.Profile(), Memory()
    if profile:
        profiler.enable()
    with memory:
        outcome = runner.run(asked)
    if profile:
        profiler.disable()
        profiler.dump_stats(profile)
    trials = pd.read_parquet(outcome.run / "trials.parquet").sort_values("finished_order")
    over = trials["finished_at"].to_numpy()
    found = {
        "arms": int(outcome.done),
        "failed": outcome.failed,
        "to_first_epoch": first[0] - psutil.Process().create_time(),
        "seconds": float(over[-1] - trials["started_at"].min()),
        "over": [float(each) for each in over - trials["started_at"].min()],
        "memory": memory.at(over),
        "files": sum(path.is_file() for path in outcome.run.rglob("*")),
        "scratch_files": memory.files,
    }
    Path(out).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
