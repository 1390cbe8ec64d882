"""One stage that classifies and trains nothing: the share of hits rises with `learn.rate`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from trainables.epoch import Epoch
from trainables.methods import Method, Stage
from trainables.task import Task
from trivial.config import Config


def _learn(config: Config, task: Task, artifacts: Any, state: Any) -> Iterator[Epoch]:
    hits = round(100 * config.learn.rate)
    classes = len(task.corpus.classes)
    one = np.full((classes, classes), 1, dtype=np.int64) + np.diag(np.full(classes, hits))
    counts = np.tile(one, (len(task.rows), 1, 1))
    for index in range(1, config.learn.epochs + 1):
        yield Epoch(
            stage="learn",
            index=index,
            total=config.learn.epochs,
            confusions={("dev", "audio"): counts, ("test", "audio"): counts},
            terms={"loss": np.full(len(task.rows), 1 - config.learn.rate)},
            artifact={} if index == config.learn.epochs else None,
        )


METHOD = Method(
    name="trivial",
    title="Nothing",
    citation="none",
    config=Config,
    stages=(
        Stage(
            name="learn",
            run=_learn,
            active=lambda config: True,
            epochs=lambda config: config.learn.epochs,
            depends=("learn",),
            classifies=True,
        ),
    ),
    predict=lambda config, artifacts, corpus: np.zeros((1, len(corpus.labels), len(corpus.classes))),
    version=1,
)
