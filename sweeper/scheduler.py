"""Which arm is stopped early."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler

from sweeper.results import Writer
from sweeper.study import Study

#: More classifying epochs than an arm will ever have: the rungs have no end.
_FOREVER = 10**9


class StudyScheduler(ASHAScheduler):
    """Asynchronous successive halving over all arms of a study, by mean dev UAR after equal classifying epochs.

    Every arm's scores fill the rungs, but for those of baselines, whose epochs are another method's. Only arms of
    the kinds it applies to are stopped; the reference and baselines never are. Arms are known by their id, so that
    an arm begun again meets its own earlier scores and is not judged twice.

    Args:
        study: The study, whose scheduler it is.
        writer: Its recorded curves fill the rungs of a run that goes on.
    """

    def __init__(self, study: Study, writer: Writer) -> None:
        super().__init__(
            time_attr="budget",
            metric="dev_uar",
            mode="max",
            max_t=_FOREVER,
            grace_period=study.scheduler.grace_period,
            reduction_factor=study.scheduler.reduction_factor,
            stop_last_trials=False,
        )
        self._stops = frozenset(study.scheduler.applies_to)
        for arm, budget, uar in writer.curve_points():
            if writer.arms[arm].kind != "baseline":
                self._bracket.on_result(_Named(arm), budget, uar)

    @property
    def _bracket(self) -> Any:
        return self._brackets[0]

    def on_trial_result(self, tune_controller: Any, trial: Any, result: Mapping[str, Any]) -> str:
        """Whether the arm goes on; an epoch that classified nothing decides nothing."""
        arm, kind = trial.config["arm"], trial.config["kind"]
        if result.get("dev_uar") is None or kind == "baseline":
            return TrialScheduler.CONTINUE
        decision: str = self._bracket.on_result(_Named(arm), result["budget"], result["dev_uar"])
        return decision if kind in self._stops else TrialScheduler.CONTINUE

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: Mapping[str, Any]) -> None:
        """Forget the trial; its scores stay."""
        self._trial_info.pop(trial.trial_id, None)


def scheduler(study: Study, writer: Writer) -> TrialScheduler:
    """The scheduler a study asks for."""
    return StudyScheduler(study, writer) if study.scheduler.kind == "asha" else FIFOScheduler()


@dataclass(frozen=True)
class _Named:
    """What a rung reads of a trial."""

    trial_id: str
