"""How fast a study trains: as recorded by an earlier run, or timed on the spot."""

from __future__ import annotations

import json
import time
from pathlib import Path

from search_spaces.change import apply, paths
from sweeper.plan import Plan
from sweeper.study import Study
from trainables import methods
from trainables.corpus import Corpus
from trainables.epoch import Tensors
from trainables.task import Task


def recorded(study: Study, rows: int, fingerprint: str) -> float | None:
    """Seconds per epoch of earlier runs in the same storage, on the same corpus with the same method.

    Args:
        study: The study being planned.
        rows: Its folds times seeds; an earlier run with other rows is scaled.
        fingerprint: The corpus's.

    Returns:
        The mean of the most recent such run, or None if there is none that can be read.
    """
    runs = [path.parent for path in study.run_folder.parent.glob("*/provenance.json")]
    for run in sorted(runs, key=lambda each: (each / "provenance.json").stat().st_mtime, reverse=True):
        try:
            about = json.loads((run / "provenance.json").read_text(encoding="utf-8"))
            same = (about["corpus"]["fingerprint"], about["method"]["name"]) == (fingerprint, study.method)
            speed = _speed(run) * rows / len(about["rows"]) if same else 0.0
        except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError):
            continue
        if speed > 0:
            return speed
    return None


def _speed(run: Path) -> float:
    """Seconds per trained epoch over the finished arms of a run; 0 when none trained."""
    import pandas as pd

    trials = pd.read_parquet(run / "trials.parquet", columns=["seconds", "epochs_trained"])
    trained = trials["epochs_trained"].sum()
    return float(trials["seconds"].sum() / trained) if trained else 0.0


def timed(plan: Plan, corpus: Corpus) -> float:
    """Seconds per epoch on one core here: one epoch of each stage of the study's own config, after one to warm up.

    Args:
        plan: The plan; the stages are weighted by the epochs it counts.
        corpus: Its corpus.
    """
    import torch

    torch.set_num_threads(1)  # as the workers do
    method, config = methods.get(plan.study.method), plan.study.method_config()
    stages = method.active(config)
    known = paths(config)
    lengths = {path: 2 for stage in stages if (path := f"{stage.name}.epochs") in known}
    brief = apply(config, lengths)
    task, artifacts, total, counted = Task(corpus, plan.folds, plan.study.seeds), dict[str, Tensors](), 0.0, 0
    for stage in stages:
        begun = time.perf_counter()
        for epoch in stage.run(brief, task, artifacts, None):
            seconds, begun = time.perf_counter() - begun, time.perf_counter()
            artifacts[stage.name] = epoch.artifact or {}
        planned = sum(group.epochs.get(stage.name, 0) for group in plan.groups)
        total, counted = total + planned * seconds, counted + planned
    return total / counted
