"""Runs a study on Ray: one Tune experiment an invocation, in which every arm is a trial.

Tune starts and stops the arms, Optuna suggests them, ASHA ends them early. What becomes of them is written by
`sweeper.results`, and what is needed to go on after a crash stands in the run folder; Tune's own files go to a
temporary folder and are removed.
"""

from __future__ import annotations

import logging
import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from pydantic import ValidationError
from ray import tune
from rich.console import Console
from rich.text import Text

import search_spaces
from search_spaces.change import paths
from sweeper import connect, files, lock, lost, plan, process, provenance, remote
from sweeper import folder as folders
from sweeper.arms import Arm
from sweeper.artifacts import Store, digest, keys
from sweeper.layout import Slots, Spread, layout
from sweeper.progress import Progress
from sweeper.recorder import Recorder, Stop, arm_of
from sweeper.results import Writer
from sweeper.scheduler import scheduler
from sweeper.searcher import StudySearcher
from sweeper.study import Study
from sweeper.tables import Frame
from sweeper.worker import ArmTrainable, TrainerActor
from trainables import methods
from trainables.errors import InputError
from trainables.methods import Method
from trainables.task import Task

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a run.

    Attributes:
        run: The run folder; of a run in a bucket, the copy on this machine.
        address: What commands call the run.
        done: Arms that ran to their end.
        stopped: Arms that early stopping ended.
        failed: Arms that failed; their reasons stand in ``trials.parquet``.
        interrupted: Whether it was stopped before its end and can be gone on with.
        given_up: Whether it was ended by ``failures.limit``, and can be gone on with.
        already: Whether it was finished before, and nothing was run.
        best: Name of the best candidate; empty if none finished unflagged.
        best_score: Its dev score.
    """

    run: Path
    address: str = ""
    done: int
    stopped: int
    failed: int
    interrupted: bool = False
    given_up: bool = False
    already: bool = False
    best: str = ""
    best_score: float | None = None


def run(study: Study, *, address: str | None = None, console: Console | None = None) -> Outcome:
    """Run a study, or go on with it: what is finished in its run folder is not done again.

    Args:
        study: The study; its run folder is ``study.run_folder``.
        address: Ray cluster to use; by default the one in ``RAY_ADDRESS``, or else a local one.
        console: Where progress is shown; standard error by default.

    Returns:
        Counts of arms, and whether the run was interrupted (Ctrl-C or SIGTERM).

    Raises:
        InputError: If the corpus or the run folder does not fit the study, or the cluster is too small.
        StorageError: If the run folder, or the bucket it is in, can no longer be written to.
    """
    console = console or Console(stderr=True)
    corpus = plan.corpus_of(study)
    planned = plan.make(study, corpus)
    job = _Job(planned, Task(corpus, planned.folds, study.seeds), console)
    new = not job.folder.exists()
    if new:
        connect.knock(address)
    job.folder.mkdir(parents=True, exist_ok=True)
    with (
        files.mendable(job.folder, study.address),
        lock.held(job.folder),
        remote.held(study.address, job.folder, job.say) as job.mirror,
    ):
        recorded = folders.enter(job.folder, job.study, job.describe())
        # Before anything is written: a damaged run is refused as it is.
        writer = job.writer()
        if folders.finished(job.folder, recorded):
            return job.outcome(writer, already=True)
        try:
            with process.quiet(job.folder):
                return job.run(recorded, writer, address)
        except InputError:
            if new and not job.writer().arms:
                # No arm was begun: what is refused leaves nothing behind.
                shutil.rmtree(job.folder)
            raise


class _Job:
    """One invocation."""

    def __init__(self, planned: plan.Plan, task: Task, console: Console) -> None:
        self.planned, self.task, self.console = planned, task, console
        self.study = planned.study
        self.folder = self.study.run_folder.resolve()
        self.method: Method = methods.get(self.study.method)
        self.spaces = search_spaces.get(self.study.method)
        self.device = "cpu"
        self.mirror: remote.Mirror | None = None

    def say(self, text: str) -> None:
        """Show a line."""
        self.console.print(Text(text), soft_wrap=True)

    def describe(self) -> dict[str, Any]:
        """What is to be recorded of a new run."""
        notes = tuple(each for each in self.planned.notes if each not in self.task.corpus.warnings)
        return provenance.describe(self.study, self.task, self.method, self.spaces, self.planned.space, notes)

    def writer(self) -> Writer:
        """The run's writer, where the last invocation left it."""
        frame = Frame(
            rows=tuple((fold.name, seed) for fold, seed in self.task.rows),
            tested=self.task.tested,
            classes=self.task.corpus.classes,
            defaults={name: paths(methods.config_of(name)()) for name in (self.study.method, *self.study.baselines)},
        )
        return Writer(self.folder, frame, mirror=self.mirror.push if self.mirror else None)

    def outcome(self, writer: Writer | None = None, **state: bool) -> Outcome:
        """The counts as they are now."""
        writer = writer or self.writer()
        status = [row["status"] for row in writer.trials.values()]
        best = writer.best()
        return Outcome(
            run=self.study.run_folder,
            address=self.study.address,
            **{name: status.count(name) for name in ("done", "stopped", "failed")},  # type: ignore[arg-type]
            best=best["name"] if best else "",
            best_score=best["score"] if best else None,
            **state,
        )

    def run(self, recorded: dict[str, Any], writer: Writer, address: str | None) -> Outcome:
        """Run what is left."""
        begun = time.time()
        self._open_stages(recorded)
        recorded["invocations"] += 1
        provenance.write(self.folder, recorded)
        progress = Progress(writer, self.planned.arms, self.console)
        stop, finished = Stop(), False
        try:
            with ExitStack() as stack:
                stack.enter_context(connect.cluster(address, dashboard=self.study.resources.spread > 1))
                # After Ray, which sets a handler of its own that ends the process.
                stack.enter_context(process.signals(lambda: self._interrupt(stop)))
                slots = layout(self.study, connect.capacity())
                self._announce(writer, slots)
                stack.enter_context(progress)
                self._tune(writer, progress, stop, slots)
            finished = not stop.asked and not writer.running
        finally:
            recorded["seconds"] += time.time() - begun
            self._close(writer, progress, recorded, "finished" if finished else _state(stop))
        return self.outcome(writer, interrupted=stop.interrupted, given_up=stop.too_many)

    def keys(self, arm: Arm) -> list[str]:
        """The stages of an arm."""
        method = methods.get(arm.method)
        try:
            config = method.config.model_validate(arm.config)
        except ValidationError:
            return []  # Refused: the arm fails before its first stage.
        return list(keys(method, config, self.digest, self.device, self.study.resources.matmul).values())

    def _open_stages(self, recorded: dict[str, Any]) -> None:
        folder = self.study.stage_folder
        folder = folder if "://" in folder else str(Path(folder).resolve())
        # Runs of before runs had an id get one.
        self.store = Store(folder, recorded.setdefault("id", uuid.uuid4().hex[:12]))
        self.store.check()
        self.retention = self.store.retention(self.study.stages.limit if self.study.stages.shared else 0)
        self.digest = digest(self.task)
        recorded["stages"] = folder

    def _close_stages(self, writer: Writer) -> None:
        """Leave no part of a stage, and what is finished to other runs."""
        ended = [arm for arm in writer.arms.values() if writer.trials[arm.id]["status"] != "done"]
        self.retention.finish({key for arm in ended for key in self.keys(arm)})
        if not self.study.stages.shared:
            self.store.clear()

    def _interrupt(self, stop: Stop) -> bool:
        """Ask for the end; whether this is the first time."""
        if stop.interrupted:
            return False
        stop.interrupted = True
        self.console.print("stopping; once more to quit at once")
        return True

    def _close(self, writer: Writer, progress: Progress, recorded: dict[str, Any], state: str) -> None:
        recorded["selection"] = provenance.selection(self.study, writer)
        if state == "finished":
            writer.complete()
            recorded["finished_at"] = time.time()
        else:
            writer.flush(force=True)
            writer.close()
        provenance.write(self.folder, recorded)
        if state == "finished":
            self._close_stages(writer)
        progress.write(state)

    def _announce(self, writer: Writer, slots: Slots) -> None:
        over, again = len(writer.trials), len(writer.running)
        parts = [f"run: {self.study.address}", f"at most {self.planned.arms} arms, {slots.concurrent} at a time"]
        if over or again:
            parts.append(f"{over} are over, {again} go on where they were")
        self.console.print(Text("; ".join(parts)), soft_wrap=True)
        for note in self.planned.notes:
            self.console.print(Text(f"note: {note}", style="yellow"), soft_wrap=True)

    def _tune(self, writer: Writer, progress: Progress, stop: Stop, slots: Slots) -> None:
        # Of the arm's own process, which has no GPU where its workers have them.
        self.device = "cuda" if slots.gpus and slots.spread == 1 else "cpu"
        searcher = StudySearcher(self.study, self.spaces, self.planned.space, writer, slots.concurrent, slots.trainers)
        trainers, trainable = self._trainable(slots)
        recorder = Recorder(
            self.study,
            writer,
            searcher,
            progress,
            stop,
            retention=self.retention,
            keys=self.keys,
            trainers=trainers,
        )
        with (
            process.environment({**connect.ENVIRONMENT, "TUNE_MAX_PENDING_TRIALS_PG": str(slots.concurrent)}),
            tempfile.TemporaryDirectory(prefix="sweeper-") as scratch,
            lost.known_to_tune(),
        ):
            tune.run(
                trainable,
                name="tune",
                storage_path=scratch,
                num_samples=-1,
                search_alg=searcher,
                scheduler=scheduler(self.study, writer, self.task.folds),
                stop=stop,
                callbacks=[recorder],
                reuse_actors=True,
                # Whether an arm is tried again says the recorder.
                max_failures=0,
                raise_on_failed_trial=False,
                verbose=0,
                trial_name_creator=arm_of,
                trial_dirname_creator=arm_of,
            )
        recorder.check()

    def _trainable(self, slots: Slots) -> tuple[list[Any], Any]:
        """What Tune runs: workers that train, or light ones that share trainers, and those."""
        modules = {name: methods.METHODS[name] for name in (self.study.method, *self.study.baselines)}
        made_of = {
            "modules": modules,
            "store": self.store,
            "threads": max(1, int(slots.cpus)),
            "matmul": self.study.resources.matmul,
            "most": slots.each,
        }
        if slots.spread > 1:
            # The CPUs and GPUs are its workers', not its own. Tune refuses a worker that asks for nothing at all.
            made_of["spread"] = self._spread(slots, modules)
            own = tune.with_parameters(ArmTrainable, task=self.task, own=made_of)
            return [], tune.with_resources(own, {"memory": 1.0})
        if slots.each == 1:
            resources = {"CPU": slots.cpus} | ({"GPU": slots.gpus} if slots.gpus else {})
            own = tune.with_parameters(ArmTrainable, task=self.task, own=made_of)
            return [], tune.with_resources(own, resources)
        actor = ray.remote(TrainerActor).options(
            num_cpus=slots.cpus, num_gpus=slots.gpus, max_concurrency=2 * slots.each + 2, max_restarts=-1
        )
        # Kept as long as the run: a trainer that is begun anew is given it again.
        self.shared = ray.put(self.task)
        trainers = [actor.remote(task=self.shared, **made_of) for _ in range(slots.trainers)]
        light = tune.with_resources(tune.with_parameters(ArmTrainable, trainers=trainers), {"memory": 1.0})
        return trainers, light

    def _spread(self, slots: Slots, modules: Mapping[str, str]) -> Spread:
        # Kept as long as the run, for workers that begin late.
        self.shared = ray.put(self.task)
        return Spread(
            groups=self.study.resources.groups,
            workers=self.study.resources.workers,
            cpus=slots.cpus,
            gpus=slots.gpus,
            task=self.shared,
            modules=modules,
            folder=f"{self.store.folder}-groups",
            retries=self.study.failures.retries,
        )


def _state(stop: Stop) -> str:
    if sys.exc_info()[0] is not None and not stop.interrupted:
        return "failed"
    return "failed" if stop.too_many else "interrupted"
