"""What Tune reports of a run, passed on to the tables, the searcher and the progress."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from ray import cloudpickle, tune
from ray.exceptions import RayActorError

from sweeper import connect
from sweeper.arms import Arm
from sweeper.artifacts.retention import Retention
from sweeper.failure import blameless, cause, died, last_lines, out_of_memory, reason, why
from sweeper.hanging import Watch
from sweeper.process import turn_over
from sweeper.progress import Progress
from sweeper.results import Writer
from sweeper.searcher import StudySearcher
from sweeper.study import Study, duration
from trainables.errors import InputError

log = logging.getLogger(__name__)

#: Why arms failed, with the last lines of what they said.
FAILURES = "failures.log"
#: Lines kept of each.
LINES = 30
#: Seconds between two looks at Ray's own processes.
LOOK = 5.0


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
        trainers: Actors that train the arms, where workers share them.
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
        trainers: Sequence[Any] = (),
    ) -> None:
        self._trainers, self._watch = trainers, Watch(study.failures.hang, trainers)
        self._counted: Counter[str] = Counter()
        self._hung: set[str] = set()
        self._failed = 0
        self._resources: Any = None
        self._looked = time.monotonic()
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
        self._hung.discard(arm_of(trial))
        self._watch.begins(arm_of(trial), trial.temporary_state.ray_actor, trial.config["place"])
        self._guard(lambda: self._writer.attempt(arm_of(trial)))

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """An epoch is over. The report is taken out of the result, so that Tune does not keep it."""
        report = result.pop("report", None)
        self._watch.hears(arm_of(trial))
        if "failure" in result:
            self._failures[arm_of(trial)] = result["failure"]
            self._tell(arm_of(trial), result["failure"], result.pop("trace", ""))
        elif report is not None:
            host = str(result.get("hostname", ""))
            self._guard(lambda: self._writer.report(arm_of(trial), report, host))

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """An arm ran to its end, was stopped early, or said that it failed."""
        self._leave(trial)
        self._guard(lambda: self._complete(arm_of(trial)))
        self._lighten(trial)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """An arm's worker died or raised."""
        self._leave(trial)
        self._guard(lambda: self._try_again(trial, _error_of(trial)))
        self._lighten(trial)

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Tune's loop went round once."""
        self.check()
        if time.monotonic() - self._looked > LOOK:
            self._looked = time.monotonic()
            connect.check(str(self._study.address))
        self._hung.update(self._watch.ends())
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

    def _leave(self, trial: Any) -> None:
        """An arm left its worker; its trainer may not have noticed."""
        self._watch.forgets(arm_of(trial))
        if self._trainers:
            self._trainers[trial.config["place"] % len(self._trainers)].drop.remote(trial.trial_id)

    def _lighten(self, trial: Any) -> None:
        """Let go of what nobody asks for any more: Tune keeps all trials as long as it runs.

        Of the statistics over every value of its results, of an answer of its worker that was never looked at, which
        Ray keeps together with the question, and of its own copy of the resources, which are every trial's.
        """
        for name in ("metric_analysis", "metric_n_steps"):
            getattr(trial.run_metadata, name, {}).clear()
        trial._default_result_or_future = None
        self._resources = self._resources or trial.placement_group_factory
        trial.placement_group_factory = self._resources

    def _try_again(self, trial: Any, error: BaseException) -> None:
        """Hand an arm out once more, or give it up.

        Not left to Tune, which knows no difference between an arm whose process died of it and one that was beside
        it: where a shared trainer died, all its arms are begun again alone, and only what happens to them there counts.
        Where the host was out of memory, Ray kills whatever began last: those arms are begun again one at a time.
        """
        arm = arm_of(trial)
        if isinstance(error, RayActorError) and "creation task" in str(error):
            # Nothing of the arm was run yet, and no other arm would fare better.
            raise InputError(
                f"Ray's workers cannot start ({reason(error)}); is everything installed on all nodes? "
                f"`sweeper resume {self._study.address}` goes on once it is"
            )
        told = self._why(arm, error)
        full = out_of_memory(error)
        in_company = not trial.config["only"] if full else bool(self._trainers) and not trial.config["alone"]
        if not blameless(error) and not (in_company and died(error)):
            self._counted[arm] += 1
        trace = "" if died(error) else str(cause(error))
        self._tell(arm, told, trace or last_lines(trial.node_ip, trial.last_result.get("pid")))
        if self._counted[arm] > self._study.failures.retries:
            self._over(arm, "failed", told)
        else:
            self._searcher.again(arm, only=full)

    def _why(self, arm: str, error: BaseException) -> str:
        if arm not in self._hung:
            return why(error)
        self._hung.discard(arm)
        return f"no epoch for {duration(self._study.failures.hang or 0)} (failures.hang); its process was killed"

    def _tell(self, arm: str, why: str, lines: str) -> None:
        """Keep what is known of a failure where no log's end cuts it off."""
        name = self._writer.arms[arm].name
        log.error("arm %s (%s) failed: %s\n%s", arm, name, why, lines)
        shown = "".join(f"    {line}\n" for line in lines.splitlines()[-LINES:])
        path = self._writer.folder / FAILURES
        with suppress(OSError):
            turn_over(path)
            with path.open("a", encoding="utf-8") as file:
                file.write(f"{datetime.now():%Y-%m-%d %H:%M:%S} arm {arm} ({name}): {why}\n{shown}")

    def _over(self, arm: str, status: Any, why: str) -> None:
        row = self._writer.finish(arm, status, why)
        self._searcher.over(row)
        self._progress.over(row)
        if status != "done":
            self._ended.update(self._keys(self._writer.arms[arm]))
        limit = self._study.failures.limit
        # Of this invocation: whoever goes on with a run that was given up wants more than one arm of it.
        self._failed += status == "failed"
        self._stop.too_many = limit is not None and self._failed >= limit

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
