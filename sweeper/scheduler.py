"""Which arm is stopped early."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from ray.tune.experiment import Trial
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler

from sweeper.arms import Arm
from sweeper.places import Rung, places, planned
from sweeper.results import Writer
from sweeper.study import Scheduler, Study
from trainables import methods
from trainables.folds import Fold


class Rule(Protocol):
    """Who is stopped at a rung."""

    def stops(self, arm: str, rung: Rung, rows: np.ndarray, looks: int) -> bool:
        """Whether an arm is stopped at a rung; it is remembered there, and not judged there again.

        Args:
            arm: Its id.
            rung: The rung.
            rows: Dev UAR of each row at its best epoch of the stage so far, shape (rows,).
            looks: How many rungs the arm has in all.
        """


class Halving:
    """Asynchronous successive halving: Tune's ASHA, one of its rungs at each of ours.

    Args:
        factor: One in so many arms goes on.
    """

    def __init__(self, factor: int) -> None:
        self._factor = factor
        self._rungs: dict[Rung, Any] = {}

    def stops(self, arm: str, rung: Rung, rows: np.ndarray, looks: int) -> bool:
        """As `Rule.stops`, by the mean over rows."""
        if rung not in self._rungs:
            asha = ASHAScheduler(grace_period=1, max_t=1, reduction_factor=self._factor, stop_last_trials=False)
            self._rungs[rung] = asha._brackets[0]
        decision: str = self._rungs[rung].on_result(_Named(arm), 1, float(np.mean(rows, dtype=np.float64)))
        return decision == TrialScheduler.STOP


class InOrder(FIFOScheduler):
    """Arms as they were handed out, all to their end.

    Tune's own looks for the next one among all trials that there ever were: time with the square of their number.

    Args:
        writer: Knows the arms.
    """

    def __init__(self, writer: Writer) -> None:
        super().__init__()
        self._running = writer.running

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        """The first one that waits."""
        waiting = {
            each.config["arm"]: each for each in tune_controller.get_live_trials() if each.status == Trial.PENDING
        }
        return next((waiting[arm] for arm in self._running if arm in waiting), None)


class StudyScheduler(InOrder):
    """Compares the arms of a study at its rungs, by the dev UAR of each row at its best epoch of the stage so far.

    Every arm's scores fill the rungs, but for those of baselines, whose epochs are another method's. Only arms of
    the kinds it applies to are stopped; the reference and baselines never are. Arms are known by their id, so that
    an arm begun again meets its own earlier scores and is not judged twice.

    Args:
        asked: What the study asks for.
        writer: Knows the arms; its recorded curves fill the rungs of a run that goes on.
        rule: Who is stopped at a rung.
    """

    def __init__(self, asked: Scheduler, writer: Writer, rule: Rule) -> None:
        super().__init__(writer)
        self._asked, self._arms, self._rule = asked, writer.arms, rule
        self._under_way: dict[str, _Climber] = {}
        for point in writer.curve_points():
            self._take(writer.arms[point.arm], point.stage, point.epoch, point.rows)
        self._under_way.clear()

    def on_trial_result(self, tune_controller: Any, trial: Any, result: Mapping[str, Any]) -> str:
        """Whether the arm goes on; an epoch that classified nothing decides nothing."""
        arm, report = self._arms[trial.config["arm"]], result.get("report")
        if report is None or report.rows is None:
            return TrialScheduler.CONTINUE
        behind = self._take(arm, report.stage, report.epoch, report.rows)
        return TrialScheduler.STOP if behind and arm.kind in self._asked.applies_to else TrialScheduler.CONTINUE

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: Mapping[str, Any]) -> None:
        """Forget where the arm was; its scores stay."""
        self._under_way.pop(trial.config["arm"], None)

    def _take(self, arm: Arm, stage: str, epoch: int, rows: np.ndarray) -> bool:
        """Take the next epoch of an arm; whether the rule would stop it there."""
        if arm.kind == "baseline":
            return False
        climber = self._under_way.get(arm.id) or self._under_way.setdefault(arm.id, _Climber.of(arm, self._asked))
        best = climber.best(stage, epoch, rows)
        rung = climber.rungs.get((stage, epoch))
        return rung is not None and self._rule.stops(arm.id, rung, best, len(climber.rungs))


def scheduler(study: Study, writer: Writer, folds: Sequence[Fold]) -> TrialScheduler:
    """The scheduler a study asks for."""
    asked = study.scheduler
    if asked.kind == "none":
        return InOrder(writer)
    if asked.kind == "asha":
        return StudyScheduler(asked, writer, Halving(asked.reduction_factor))
    from sweeper.racing import Race  # loads scipy, which takes a second

    ratio = float(np.mean([len(fold.dev) / len(fold.train) for fold in folds]))
    return StudyScheduler(asked, writer, Race(asked.alpha, len(folds), ratio))


@dataclass
class _Climber:
    """An arm under way: its rungs by stage and epoch, and the best epoch of each row in the present stage."""

    rungs: Mapping[tuple[str, int], Rung]
    stage: str = ""
    rows: np.ndarray | None = None

    @classmethod
    def of(cls, arm: Arm, asked: Scheduler) -> _Climber:
        method = methods.get(arm.method)
        return cls(places(planned(method, method.config.model_validate(arm.config)), asked))

    def best(self, stage: str, epoch: int, rows: np.ndarray) -> np.ndarray:
        # As the tables keep them, so that what is read from there decides as it did before.
        rows = np.asarray(rows, dtype=np.float32)
        if self.rows is None or stage != self.stage or epoch == 1:
            self.stage, self.rows = stage, rows
        self.rows = np.maximum(self.rows, rows)
        return self.rows


@dataclass(frozen=True)
class _Named:
    """What a rung reads of a trial."""

    trial_id: str
