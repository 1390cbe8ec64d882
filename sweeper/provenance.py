"""What a run was made from and with: everything a reader of its tables may want to know later."""

from __future__ import annotations

import json
import platform
import socket
import subprocess
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from search_spaces.space import Choice, Float, Range, Space, Spaces
from sweeper import __version__, intact
from sweeper.arms import rows_in_effect
from sweeper.results import Writer, replace_text
from sweeper.study import Study
from trainables import methods
from trainables.fold_check import class_counts
from trainables.methods import Method
from trainables.protocols import Fold
from trainables.task import Task

FILE = "provenance.json"
#: Without these a run can be neither gone on with nor told of.
NEEDED = ("corpus", "protocol", "seeds", "rows", "method")
_VERSIONS = ("torch", "ray", "optuna", "numpy", "pandas", "pyarrow", "scipy", "safetensors", "pydantic")


def read(folder: Path) -> dict[str, Any]:
    """What is recorded of a run; empty where nothing is yet.

    Raises:
        InputError: If it is damaged.
    """
    path = folder / FILE
    return intact.mapping(path, intact.OF_RUN, NEEDED) if path.exists() else {}


def write(folder: Path, content: Mapping[str, Any]) -> None:
    """Replace what is recorded of a run."""
    replace_text(folder / FILE, json.dumps(content, indent=1, default=_number) + "\n", sync=True)


def describe(
    study: Study, task: Task, method: Method, spaces: Spaces, space: Space, warnings: tuple[str, ...]
) -> dict[str, Any]:
    """All that is known before the first arm.

    Args:
        study: The study, with modalities settled.
        task: Corpus, folds, seeds.
        method: The method.
        spaces: Its ranges, rows and grids.
        space: The searched ranges.
        warnings: Of the protocol, and what of the study has no effect.
    """
    rows = rows_in_effect(study, spaces) if study.ablation else []
    return {
        "id": uuid.uuid4().hex[:12],
        "sweeper": __version__,
        "versions": {name: _version(name) for name in _VERSIONS},
        "git": _commit(),
        "host": socket.gethostname(),
        "python": platform.python_version(),
        "corpus": _corpus(study, task),
        "protocol": study.protocol.model_dump(mode="json"),
        "folds": [_fold(fold, task) for fold in task.folds],
        "rows": [[fold.name, seed] for fold, seed in task.rows],
        "seeds": list(study.seeds),
        "method": _method(method),
        "baselines": [_method(methods.get(name)) for name in study.baselines],
        "published": [asdict(each) for each in spaces.published],
        "parameters": {path: _range(each) for path, each in space.items()},
        "ablation": {
            row.name: {
                "change": dict(change),
                "claim": row.claim,
                "control": row.control,
                "published": [asdict(each) for each in row.published],
            }
            for row, change in rows
        },
        "scheduler": study.scheduler.model_dump(mode="json"),
        "warnings": list(warnings),
        "stages": study.stage_folder,
        "started_at": time.time(),
        "finished_at": None,
        "seconds": 0.0,
        "invocations": 0,
        "selection": {},
    }


def selection(study: Study, writer: Writer) -> dict[str, Any]:
    """Which arm ablation and sensitivity were measured from, and how it was chosen."""
    parents = [
        arm.parent
        for kind in ("ablation", "sensitivity", "reference")
        for arm in writer.arms.values()
        if arm.kind == kind and (arm.parent or kind == "reference")
    ]
    candidates = [row for row in writer.trials.values() if row["kind"] in ("reference", "search")]
    able = [row for row in candidates if row["status"] == "done" and not row["flags"]]
    around = {study.around(kind) for kind in ("ablation", "sensitivity") if getattr(study, kind)}
    text = (
        f"Arms were compared by their mean dev UAR over {len(study.seeds)} seeds and all folds, each fold and seed at "
        f"the epoch its own dev part chose; test was not looked at. {len(able)} of {len(candidates)} candidates "
        "(the reference and the search) ran to their end without a flag."
    )
    if around == {"paper"}:
        text += " Ablation and sensitivity are measured from the study's own config."
    elif around:
        text += " Ablation and sensitivity are measured from the best of them" + (
            ", or the study's own config where the study says so." if "paper" in around else "."
        )
    best = writer.best()
    reference = parents[0] if parents else ""
    return {"reference": reference, "best": best["arm"] if best else "", "text": text}


def _method(method: Method) -> dict[str, Any]:
    """What is cited of a method, and its diagnostics in words: the report knows no method by name."""
    cited = {name: getattr(method, name) for name in ("name", "title", "citation", "version")}
    return cited | {"measures": {name: list(words) for name, words in method.measures.items()}}


def _corpus(study: Study, task: Task) -> dict[str, Any]:
    corpus = task.corpus
    labeled = corpus.labels >= 0
    counts = np.bincount(corpus.labels[labeled], minlength=len(corpus.classes))
    return {
        "path": study.corpus,
        "where": study.where,
        "unlabeled": study.unlabeled,
        "name": corpus.name,
        "fingerprint": corpus.fingerprint,
        "utterances": len(corpus.labels),
        "labeled": int(labeled.sum()),
        "classes": list(corpus.classes),
        "columns": dict(corpus.columns),
        "counts": {name: int(count) for name, count in zip(corpus.classes, counts, strict=True)},
        "warnings": list(corpus.warnings),
    }


def _fold(fold: Fold, task: Task) -> dict[str, Any]:
    speakers = task.corpus.speakers
    parts = {"train": fold.train, "dev": fold.dev, "test": fold.test}
    return {
        "name": fold.name,
        "classes": class_counts(task.corpus, fold),
        **{name: len(rows) for name, rows in parts.items()},
        "speakers": {name: sorted({str(each) for each in speakers[rows]}) for name, rows in parts.items()},
    }


def _range(each: Range) -> dict[str, Any]:
    if isinstance(each, Choice):
        return {"kind": "choice", "options": list(each.options)}
    kind = "float" if isinstance(each, Float) else "int"
    return {"kind": kind, "low": each.low, "high": each.high, "log": each.log}


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """The commit this package is run from, if it is run from a checkout; ``+changes`` where it was edited."""
    here = Path(__file__).resolve().parents[1]
    if not (here / ".git").exists():
        return None
    commands = (["git", "rev-parse", "HEAD"], ["git", "status", "--porcelain", "--untracked-files=no"])
    try:
        commit, changes = (
            subprocess.run(each, cwd=here, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
            for each in commands
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{commit}+changes" if changes else commit


def _number(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"cannot be written as JSON: {value!r}")
