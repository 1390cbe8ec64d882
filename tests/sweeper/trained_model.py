"""A small configuration as a sweep would export it, and where a model trained from it lies."""

from pathlib import Path
from typing import NamedTuple

from search_spaces.change import apply
from sweeper import yamlfile
from trainables.mi_infogan.config import Config

SMALL = {
    "align.hidden": [8],
    "align.epochs": 20,
    "align.batch_size": 16,
    "align.learning_rate": 1e-2,
    "generate.epochs": 2,
    "generate.noise_dim": 4,
    "augment.epochs": 20,
}


class Trained(NamedTuple):
    """Where things are."""

    corpus: Path
    best: Path
    model: Path


def write_best(path: Path, corpus: Path, /, **changes) -> Path:
    """An exported configuration, as if a sweep had chosen it; keywords replace whole keys."""
    number = {"mean": 0.5, "std": 0.1}
    metrics = dict.fromkeys(("uar", "war", "wf1", "macro_f1"), number)
    content = {
        "sweeper": "0.1.0",
        "method": "mi_infogan",
        "method_version": 1,
        "config": apply(Config(), SMALL).model_dump(mode="json"),
        "corpus": {
            "name": "toy",
            "path": str(corpus),
            "fingerprint": "f00d",
            "classes": ["angry", "sad"],
            "columns": {"audio": "audio_toy", "text": "text_toy"},
        },
        "protocol": {"kind": "leave-one-session-out"},
        "seeds": [0, 1],
        "evidence": {
            "run": "runs/toy",
            "arm": "0123456789",
            "name": "search 0",
            "kind": "search",
            "flags": [],
            "folds": 4,
            "chosen_from": 10,
            "finished": 9,
            "selection": "highest mean dev UAR",
            "dev": metrics,
            "test": metrics,
            "epochs": {"align": 12, "augment": 2},
            "reference": {"arm": "9876543210", "dev": metrics, "test": metrics},
        },
    }
    path.write_text(yamlfile.dump(content | changes), encoding="utf-8")
    return path
