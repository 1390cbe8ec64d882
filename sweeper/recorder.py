"""What Tune reports of a run, passed on to the tables, the searcher and the progress."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ray import cloudpickle, tune
from ray.exceptions import RayActorError

from sweeper.arms import Arm
from sweeper.artifacts.retention import Retention
from sweeper.failure import reason, why
from sweeper.progress import Progress
from sweeper.results import Writer
from sweeper.searcher import StudySearcher
from sweeper.study import Study
from trainables.errors import InputError

log = logging.getLogger(__name__)


class Stop(tune.Stopper):
    """Ends the experiment from outside: on a signal, or after too many failures. Plain, since Tune pickles it."""

    def __init__(self) -> None:
        self.interrupted = False
        self.too_many = False

    @property
    def asked(self) -> bool:
        """Whether it shall end."""
        return self.interrupted or self.too_many

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Never: no single arm is ended here."""
        return False

    def stop_all(self) -> bool:
        """As `asked`, for Tune."""
        return self.asked


class Recorder(tune.Callback):
    """Passes on what Tune reports: to the tables, the searcher and the progress.

    Tune swallows some exceptions of callbacks and takes others for the arm's. What goes wrong here (a full disk,
    say) is our own affair: it is kept, and ends the experiment with the next step.

    Args:
        study: The study.
        writer: Of its tables.
        searcher: Is told of arms that are over.
        progress: Likewise.
        stop: Is told when too many arms failed.
        retention: Keeps the stages within their limit.
        keys: The stages of an arm.
    """

    def __init__(
        self,
        study: Study,
        writer: Writer,
        searcher: StudySearcher,
        progress: Progress,
        stop: Stop,
        *,
        retention: Retention,
        keys: Callable[[Arm], list[str]],
    ) -> None:
        self._study, self._retention, self._keys = study, retention, keys
        self._writer, self._searcher, self._progress, self._stop = writer, searcher, progress, stop
        self._ended: set[str] = set()
        self._failures: dict[str, str] = {}
        self._error: Exception | None = None

    def check(self) -> None:
        """Raise what went wrong, if anything."""
        if self._error is not None:
            raise self._error

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A worker begins an arm, for the first time or again."""
        self._guard(lambda: self._writer.attempt(arm_of(trial)))

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """An epoch is over. The report is taken out of the result, so that Tune does not keep it."""
        report = result.pop("report", None)
        if "failure" in result:
            self._failures[arm_of(trial)] = result["failure"]
            log.error("arm %s failed: %s\n%s", arm_of(trial), result["failure"], result.pop("trace", ""))
        elif report is not None:
            host = str(result.get("hostname", ""))
            self._guard(lambda: self._writer.report(arm_of(trial), report, host))

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """An arm ran to its end, was stopped early, or said that it failed."""
        self._guard(lambda: self._complete(arm_of(trial)))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """An arm's worker died or raised, and no retry is left."""
        self._guard(lambda: self._give_up(arm_of(trial), _error_of(trial)))

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Tune's loop went round once."""
        self.check()
        self._writer.flush()
        self._progress.update()
        if self._retention.due:
            self._retention.round(self._needed(), self._ended)
            self._ended.clear()

    def _complete(self, arm: str) -> None:
        report = self._writer.running[arm].report
        if arm in self._failures:
            self._over(arm, "failed", self._failures.pop(arm))
        else:
            self._over(arm, "done" if report is not None and report.done else "stopped", "")

    def _give_up(self, arm: str, error: BaseException) -> None:
        if isinstance(error, RayActorError) and "creation task" in str(error):
            # Nothing of the arm was run yet, and no other arm would fare better.
            raise InputError(
                f"Ray's workers cannot start ({reason(error)}); is everything installed on all nodes? "
                f"`sweeper resume {self._study.address}` goes on once it is"
            )
        self._over(arm, "failed", why(error))

    def _over(self, arm: str, status: Any, why: str) -> None:
        row = self._writer.finish(arm, status, why)
        self._searcher.over(row)
        self._progress.over(row)
        if status != "done":
            self._ended.update(self._keys(self._writer.arms[arm]))
        limit = self._study.failures.limit
        self._stop.too_many = limit is not None and self._writer.counts["failed"] >= limit

    def _needed(self) -> set[str]:
        """Stages that an arm may still ask for: of the arms under way or to come, and of what those to come are
        measured from."""
        writer = self._writer
        best = writer.best()
        ids = writer.references() | ({best["arm"]} if best else set())
        ids |= {arm.id for arm in writer.arms.values() if arm.kind == "reference"}
        arms = [writer.arms[each] for each in ids | set(writer.running)] + self._searcher.upcoming()
        return {key for arm in arms for key in self._keys(arm)}

    def _guard(self, action: Callable[[], Any]) -> None:
        try:
            action()
        except Exception as error:
            self._error = self._error or error


def arm_of(trial: Any) -> str:
    """The arm that a trial of Tune's is."""
    return str(trial.config["arm"])


def _error_of(trial: Any) -> BaseException:
    """What Tune gave a trial up for."""
    path = trial.pickled_error_file
    if path is not None and Path(path).exists():
        return cloudpickle.loads(Path(path).read_bytes())
    return RuntimeError(Path(trial.error_file).read_text(encoding="utf-8") if trial.error_file else "unknown error")
