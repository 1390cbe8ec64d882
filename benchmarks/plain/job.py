"""What the plain scripts are given and give back: JSON files."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from plain.folds import Arrays, feature_dim, prepare
from trainables import corpus
from trainables.protocols import Protocol, cut

#: Corpus, protocol, seeds and arms; see `recorded.job`.
Job = dict[str, Any]


def read(path: str | Path) -> Job:
    """A job; see `recorded.job`."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def load(job: Job) -> tuple[corpus.Corpus, tuple[Any, ...]]:
    """The job's corpus and its folds."""
    data = corpus.read(
        job["corpus"], features=job["features"], modalities=tuple(job["modalities"]), where=job["where"] or None
    )
    return data, cut(data, Protocol.model_validate(job["protocol"]))[0]


def folds(job: Job) -> list[Arrays]:
    """The job's corpus, cut and prepared."""
    return prepare(*load(job), feature_dim(job["arms"]))


def main(arguments: Sequence[str], run: Callable[[Job], list[dict[str, Any]]]) -> None:
    """``script.py JOB OUT``: train the job's arms, write what came of them."""
    job, out = arguments
    Path(out).write_text(json.dumps(run(read(job))), encoding="utf-8")
