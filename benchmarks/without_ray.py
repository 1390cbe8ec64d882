"""The plain loop and our executors in this process, on one device: for a machine that has torch and no Ray."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import agreement
import numpy as np
import recorded
import torch
from estimate import errors, rates, total
from executors import EXECUTORS
from plain import job as jobs
from plain.arm import train_arm
from plain.folds import feature_dim, prepare
from plain.mi_infogan import now

from trainables import methods
from trainables.prepared import default_device
from trainables.task import Task

PLAIN = "plain loop"


def compare(
    study: Path, settings: Sequence[str], given: Path | None, sample: int | None, names: Sequence[str] | None
) -> dict[str, Any]:
    """Time the plain loop and our executors; seconds are those of the device, waited for before clocks are read.

    Args:
        study: The study.
        settings: Changes to it.
        given: Results of another run, whose arms and recorded scores are used; None makes arms up.
        sample: Give the plain loop and ours so many arms, and scale the plain loop up to all; None gives all.
        names: Which executors; None takes all.
    """
    from sweeper.study import load

    asked = load(study, settings)
    data, folds = _cut(asked)
    arms = json.loads(given.read_text())["rounds"][0]["arms"] if given else made_up(asked, data.columns)
    chosen = recorded.sample(arms, sample) if sample else arms
    arrays, device = prepare(data, folds, feature_dim(arms)), default_device()
    parts = [fold.part(device) for fold in arrays]
    task, method = Task(data, folds, asked.seeds), methods.get(asked.method)
    _warm(chosen[0], lambda arm: train_arm(arm, parts, asked.seeds), lambda arm: _all(EXECUTORS, arm, method, task))
    forms: dict[str, Any] = {}
    for name in names or EXECUTORS:
        forms[name] = _timed(chosen, lambda name=name: EXECUTORS[name](chosen, method, task))
        print(f"{name}: {forms[name]['seconds']:.1f} s for {len(chosen)} arms", flush=True)
    forms[PLAIN] = _timed(chosen, lambda: [train_arm(arm, parts, asked.seeds) for arm in chosen])
    first = next(iter(forms.values()))
    found = forms[PLAIN].pop("found")
    for name, form in forms.items():
        form["ratio"] = form["seconds"] / first["seconds"]
        form["agreement"] = {} if name == PLAIN else agreement.compare(found, form.pop("found"))
        form["estimate"] = None
    _foretell(forms, arms, found)
    steps = recorded.row_steps([len(each.train) for each in arrays], len(asked.seeds), arms)
    return {"forms": forms, "arms": arms, "row_steps": steps}


def _foretell(forms: dict[str, Any], arms: Sequence[recorded.Arm], found: Sequence[Mapping[str, Any]]) -> None:
    """Say of forms that were timed arm by arm how long all arms would take them, from the sample's rates."""
    for name, form in forms.items():
        if form["arms"] < len(arms) and form["rates"]:
            form["whole"] = total(arms, form["rates"])
            wrong = f"; each predicted from the others: {[round(each, 2) for each in errors(arms, found)]}"
            said = f"{name}: ESTIMATED {form['whole']:.0f} s for {len(arms)} arms from {form['arms']} measured"
            print(said + (wrong if name == PLAIN else ""), flush=True)


def _cut(study: Any) -> tuple[Any, Any]:
    job = {name: getattr(study, name) for name in ("corpus", "features", "modalities", "where")}
    return jobs.load(job | {"protocol": study.protocol.model_dump()})


def _timed(arms: Sequence[recorded.Arm], run: Callable[[], list[dict[str, Any]]]) -> dict[str, Any]:
    device = default_device()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    begun = now(device)
    found = run()
    seconds = now(device) - begun
    memory = torch.cuda.max_memory_allocated() / 2**20 if device.type == "cuda" else None
    known = all("by_stage" in each for each in found)
    return {
        "seconds": seconds,
        "memory": memory,
        "arms": len(arms),
        "epochs": recorded.epochs(arms),
        "rates": rates(arms, found) if known else {},
        "found": found,
    }


def _warm(arm: recorded.Arm, *runs: Callable[[recorded.Arm], Any]) -> None:
    """One epoch of each stage: what is loaded or compiled at first use is not timed."""
    for run in runs:
        run(arm | {"epochs": dict.fromkeys(arm["epochs"], 1), "config": _brief(arm["config"])})


def _brief(config: Mapping[str, Any]) -> dict[str, Any]:
    return {name: {**section, "epochs": 1} for name, section in config.items()}


def _all(executors: Mapping[str, Any], arm: recorded.Arm, method: Any, task: Task) -> None:
    for run in executors.values():
        run([arm], method, task)


def made_up(study: Any, columns: Mapping[str, str]) -> list[recorded.Arm]:
    """The study's arms around its own config, search points drawn evenly over the space, none stopped."""
    import search_spaces
    from search_spaces.space import Choice
    from sweeper import arms as make
    from sweeper.check import search_space

    study, spaces = study.with_corpus(columns), search_spaces.get(study.method)
    method, reference = methods.get(study.method), make.reference_arm(study)
    found = [reference]
    rng = np.random.default_rng(0)
    for number in range(study.search.trials if study.search else 0):
        point = {}
        for path, each in search_space(study, spaces).items():
            if isinstance(each, Choice):
                point[path] = each.options[rng.integers(len(each.options))]
                continue
            low, high = (np.log(each.low), np.log(each.high)) if each.log else (each.low, each.high)
            value = rng.uniform(low, high)
            point[path] = type(each.low)(np.exp(value) if each.log else value)
        found.append(make.search_arm(study, number, point))
    for around in (make.ablation_arms, make.sensitivity_arms):
        taken = {arm.id for arm in found}
        found += around(study, spaces, study.method_config(), reference.id, taken)
    configs = {arm.id: method.config.model_validate(arm.config) for arm in found}
    return [
        {
            "arm": arm.id,
            "name": arm.name,
            "kind": arm.kind,
            "config": dict(arm.config),
            "epochs": {stage.name: stage.epochs(configs[arm.id]) for stage in method.active(configs[arm.id])},
            "stopped": "",
        }
        for arm in found
    ]


if __name__ == "__main__":
    sys.exit("run benchmarks/study.py --no-ray")
