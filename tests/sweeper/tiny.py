"""Makes the tiny method known to this process, and studies of it."""

import os
import sys
from pathlib import Path

from made_corpus import make
from tiny_method import spaces

from sweeper.study import Study
from trainables import methods
from trainables.corpus import load
from trainables.protocols import Protocol, cut
from trainables.task import Task

HERE = Path(__file__).parent
#: For worker processes: this folder and the root of the checkout.
PYTHONPATH = os.pathsep.join([str(HERE), str(HERE.parents[1])])
PROTOCOL = Protocol(kind="leave-one-session-out")


def register() -> None:
    methods.METHODS["tiny"] = "tiny_method"
    sys.modules["search_spaces.tiny"] = spaces


def unregister() -> None:
    methods.METHODS.pop("tiny", None)
    sys.modules.pop("search_spaces.tiny", None)


def task(folder: Path) -> Task:
    """The toy corpus, four folds, two seeds."""
    if not folder.exists():
        make(folder)
    corpus = load(folder, modalities=("audio",))
    folds, _ = cut(corpus, PROTOCOL)
    return Task(corpus, folds, (0, 1))


def study(folder: Path, /, **changes) -> Study:
    """A study of the tiny method on a toy corpus inside ``folder``; keywords replace whole keys."""
    if not (folder / "toy").exists():
        make(folder / "toy")
    content = {
        "name": "tiny",
        "corpus": str(folder / "toy"),
        "method": "tiny",
        "modalities": ["audio"],
        "protocol": PROTOCOL,
        "seeds": [0, 1],
        "search": {"trials": 6},
        "ablation": {},
        "sensitivity": {},
        "scheduler": {"grace_period": 2, "reduction_factor": 2},
        "resources": {"cpus_per_trial": 0.5, "concurrent": 2},
        "storage": str(folder / "runs"),
    }
    return Study.model_validate(content | changes)
