"""Our executors without Ray: arms one by one, or however many at once an executor takes. Timed as a whole.

A new way to run arms is one function and one line in `EXECUTORS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from plain.mi_infogan import now

from sweeper.execute import Report, course, run_arm
from sweeper.pack import Pack
from trainables.methods import Method
from trainables.prepared import default_device
from trainables.task import Task

#: Arms, method, task -> what came of each arm: ``arm`` and ``stages``, as `plain.arm.train_arm` gives them.
Executor = Callable[[Sequence[Mapping[str, Any]], Method, Task], list[dict[str, Any]]]


def one_by_one(arms: Sequence[Mapping[str, Any]], method: Method, task: Task) -> list[dict[str, Any]]:
    """Each arm from scratch, its folds and seeds stacked; a stopped arm is left after its recorded epochs."""
    return [_one(arm, method, task) for arm in arms]


def _one(arm: Mapping[str, Any], method: Method, task: Task) -> dict[str, Any]:
    left, dev = sum(arm["epochs"].values()), dict[str, list[list[float]]]()
    device, clock = default_device(), dict[str, float]()
    begun = at = now(device)
    report: Report | None = None
    reports = run_arm(method, method.config.model_validate(arm["config"]), task)
    while left:
        report = next(reports)
        left, last, at = left - 1, at, now(device)
        clock[report.stage] = clock.get(report.stage, 0.0) + at - last
        if report.rows is not None:
            dev.setdefault(report.stage, []).append(report.rows.tolist())
    reports.close()
    return {"arm": arm["arm"], "seconds": at - begun, "by_stage": clock, "stages": _stages(report, dev)}


def _stages(report: Report | None, dev: Mapping[str, list[list[float]]]) -> dict[str, Any]:
    return {
        chosen.stage: {
            "dev": dev[chosen.stage],
            "epoch": chosen.epochs.tolist(),
            "test": next(counts for (split, _), counts in chosen.confusions.items() if split == "test").tolist(),
        }
        for chosen in (report.chosen if report else ())
    }


def side_by_side(most: int) -> Executor:
    """At most so many arms at a time, stacked where they are of one shape; the next begins when one ends."""

    def run(arms: Sequence[Mapping[str, Any]], method: Method, task: Task) -> list[dict[str, Any]]:
        pack, waiting, going = Pack(task, most), list(arms), dict[str, _Going]()
        found: dict[str, dict[str, Any]] = {}
        while waiting or going:
            while waiting and len(going) < most:
                arm = waiting.pop(0)
                config = method.config.model_validate(arm["config"])
                pack.add(arm["arm"], course(method, config, task))
                going[arm["arm"]] = _Going(sum(arm["epochs"].values()))
            for name, word in pack.step(list(going)).items():
                if isinstance(word, Exception):
                    raise word
                if going[name].hear(word):
                    pack.drop(name)
                    found[name] = {"arm": name, "stages": _stages(word, going.pop(name).dev)}
        return [found[arm["arm"]] for arm in arms]

    return run


@dataclass
class _Going:
    """An arm under way: epochs left, and dev UAR of each row after each epoch, by stage."""

    left: int
    dev: dict[str, list[list[float]]] = field(default_factory=dict)

    def hear(self, report: Report) -> bool:
        """Take a report; whether it is the arm's last."""
        self.left -= 1
        if report.rows is not None:
            self.dev.setdefault(report.stage, []).append(report.rows.tolist())
        return not self.left


EXECUTORS: dict[str, Executor] = {
    "arm by arm": one_by_one,
    "4 side by side": side_by_side(4),
    "16 side by side": side_by_side(16),
}
