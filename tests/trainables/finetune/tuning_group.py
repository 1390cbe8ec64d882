"""What a worker of a group does, in a process of its own; and the same in this process, for comparison."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from trainables.finetune.steps import steps_of
from trainables.mi_infogan import align
from trainables.mi_infogan.config import Config
from trainables.mi_infogan.tune import Tuned
from trainables.task import Task


def epochs(config: Config, task: Task, state: dict[str, torch.Tensor] | None = None) -> list[tuple]:
    """Every epoch's terms and counts, and the artifact of the last."""
    found = []
    for epoch in align.run(config, task, {}, state):
        found.append((epoch.index, epoch.terms, epoch.confusions, epoch.artifact))
    return found


def begun(config: Config, task: Task) -> Tuned:
    """The stage with its first row in the model, moved off its initial values: LoRA begins with zeros."""
    stage = align.run(config, task, {})
    assert isinstance(stage, Tuned)
    stage._rows.enter(0, train=True)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in stage._model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return stage


def gradients(config: Config, task: Task, count: int) -> dict[str, torch.Tensor]:
    """The gradients of one step over the first utterances of the first row, as the optimizer would get them."""
    stage = begun(config, task)
    chosen = stage._data.train[0][:count]
    [step] = steps_of(chosen, 5, size=count, parts=config.align.tuning.accumulate)
    taken: dict[str, torch.Tensor] = {}

    class Instead:
        def step(self) -> None:
            taken.update({n: p.grad.clone() for n, p in stage._model.named_parameters() if p.requires_grad})

        def zero_grad(self) -> None:
            pass

    stage._adam = Instead()
    stage._parallel.train()
    stage._step(0, step, stage._prepared(0, step), stage._counts(0))
    return taken


JOBS = {"epochs": epochs, "gradients": gradients}


def work(rank: int, size: int, folder: str) -> None:
    """One worker: all jobs one after the other, the results into a file."""
    torch.set_num_threads(1)
    base = Path(folder)
    dist.init_process_group("gloo", init_method=f"file://{base / 'meet'}", rank=rank, world_size=size)
    jobs: dict[str, tuple[str, tuple[Any, ...]]] = pickle.loads((base / "jobs").read_bytes())
    results = {name: JOBS[kind](*arguments) for name, (kind, arguments) in jobs.items()}
    (base / f"results{rank}").write_bytes(pickle.dumps(results))
    dist.destroy_process_group()
