"""Run folders as `sweeper run` leaves them, made in a moment and without Ray."""

from __future__ import annotations

import time
from pathlib import Path

from rich.console import Console

import search_spaces
from sweeper import folder as folders
from sweeper import plan, provenance
from sweeper.arms import reference_arm
from sweeper.execute import run_arm
from sweeper.progress import Progress
from sweeper.results import Writer
from sweeper.study import build
from sweeper.tables import Frame
from sweeper.yamlfile import Document
from trainables import methods
from trainables.task import Task


def make(folder: Path, corpus: Path, *, finished: bool) -> Path:
    """A run of one arm, finished or broken off."""
    content = {
        "name": folder.name,
        "corpus": str(corpus),
        "method": "linear",
        "protocol": {"kind": "leave-one-session-out"},
        "seeds": [0],
        "storage": str(folder.parent),
        "config": {"fit": {"inputs": "audio"}},
    }
    study = build(Document(folder, content))
    data = plan.corpus_of(study)
    planned = plan.make(study, data)
    task, method, spaces = Task(data, planned.folds, study.seeds), methods.get("linear"), search_spaces.get("linear")
    folder.mkdir()
    described = provenance.describe(planned.study, task, method, spaces, planned.space, planned.notes)
    recorded = folders.enter(folder, planned.study, described)
    frame = Frame(
        rows=tuple((fold.name, seed) for fold, seed in task.rows),
        tested=task.tested,
        classes=data.classes,
        defaults={"linear": {}},
    )
    writer = Writer(folder, frame)
    _train(writer, planned, task, finished)
    recorded["selection"] = provenance.selection(planned.study, writer)
    recorded["finished_at"] = time.time() if finished else None
    provenance.write(folder, recorded)
    Progress(writer, planned.arms, Console(quiet=True)).write("finished" if finished else "interrupted")
    (writer.complete if finished else writer.close)()
    return folder


def _train(writer: Writer, planned: plan.Plan, task: Task, finished: bool) -> None:
    """See the reference through; of the run that is broken off, hand it out a second time under another name."""
    arm, method = reference_arm(planned.study), methods.get("linear")
    writer.start(arm)
    writer.attempt(arm.id)
    for report in run_arm(method, method.config.model_validate(arm.config), task):
        writer.report(arm.id, report, "host")
    writer.finish(arm.id, "done", "")
    writer.flush(force=True)
    if not finished:
        config = {**arm.config, "fit": {**arm.config["fit"], "C": 7.0}}
        writer.start(type(arm)(id="0123456789", method="linear", kind="search", name="search 0", config=config))
        writer.attempt("0123456789")
