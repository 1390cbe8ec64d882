"""Runs on bad disks and in buckets: the tiny method, and states of a writer that are quick to make."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "sweeper"))

import pytest
import tiny

from search_spaces.change import apply, paths
from sweeper.arms import Arm, arm_id
from sweeper.execute import run_arm
from sweeper.tables import Frame


class Story:
    """A run's arms, trained once, to be told to any number of writers."""

    def __init__(self, task):
        from tiny_method.config import Config
        from tiny_method.method import METHOD

        rows = tuple((fold.name, seed) for fold, seed in task.rows)
        defaults = {"tiny": paths(Config())}
        self.frame = Frame(rows=rows, tested=task.tested, classes=task.corpus.classes, defaults=defaults)
        self.arms, self.reports = [], {}
        for number, rate in enumerate((0.1, 0.2, 0.3, 0.4)):
            config = apply(Config(), {"learn.epochs": 2, "learn.rate": rate})
            kind = "search" if number else "reference"
            known = {"id": arm_id("tiny", config), "method": "tiny", "kind": kind, "name": f"arm {number}"}
            arm = Arm(config=config.model_dump(mode="json"), **known)
            self.arms.append(arm)
            self.reports[arm.id] = tuple(run_arm(METHOD, config, task))

    def tell(self, writer, arm):
        """See an arm through, from where the writer knows it."""
        if arm.id in writer.trials:
            return
        if arm.id not in writer.running:
            writer.start(arm)
        writer.attempt(arm.id)
        for report in self.reports[arm.id]:
            writer.report(arm.id, report, "host")
        writer.finish(arm.id, "done")


@pytest.fixture(scope="session")
def story(tmp_path_factory):
    return Story(tiny.task(tmp_path_factory.mktemp("corpus") / "toy"))
