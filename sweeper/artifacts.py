"""Trained stages on disk, named by what they depend on, so that no arm trains what another has trained.

A finished stage is kept with everything it reported, so that taking it from here and training it give an arm
the same curve, scores and artifact. A stage in flight leaves a partial file now and then, from which the same
arm (after its worker or the whole machine was killed) goes on. Files are safetensors, written beside their
place and moved there whole: whoever reads finds an old file or a new one, never half of one.

Two arms that ask for a stage at the same moment both train it; their numbers are equal, and the later file
replaces the earlier one.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from trainables.epoch import Diagnostic, Embedding, Epoch, Tensors
from trainables.methods import Method
from trainables.task import Task

FINISHED, PARTIAL = ".safetensors", ".partial"
#: Of partial files: raised when a stage can no longer go on from the state that one holds.
STATE_FORMAT = 2


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What is known of a stage.

    Attributes:
        epochs: What it yielded so far; the last one carries the artifact where the stage is finished.
        state: What it goes on from; empty where it is finished.
        owner: Id of the arm that trained it.
    """

    epochs: tuple[Epoch, ...]
    state: Tensors = field(default_factory=dict)
    owner: str = ""


def digest(task: Task) -> str:
    """The identity of a task as 16 hex digits: corpus content, columns, fold indices and seeds."""
    corpus = task.corpus
    content = hashlib.sha256(json.dumps([corpus.fingerprint, dict(corpus.columns), task.seeds]).encode())
    for fold in task.folds:
        content.update(fold.name.encode())
        for part in (fold.train, fold.dev, fold.test, fold.unlabeled):
            content.update(np.asarray([len(part)], dtype=np.int64).tobytes())
            content.update(np.ascontiguousarray(part, dtype=np.int64).tobytes())
    return content.hexdigest()[:16]


def keys(method: Method, config: BaseModel, task_digest: str) -> dict[str, str]:
    """The key of every active stage: two configs share one exactly where they must give equal artifacts.

    Args:
        method: The method.
        config: A config of it.
        task_digest: See `digest`.

    Returns:
        Stage name -> 20 hex digits, in the order of the stages.
    """
    tree = config.model_dump(mode="json")
    content: list[Any] = [method.name, method.version, task_digest]
    found: dict[str, str] = {}
    for stage in method.active(config):
        content.append([stage.name, {path: _value(tree, path) for path in stage.depends}])
        text = json.dumps(content, sort_keys=True)
        found[stage.name] = hashlib.sha256(text.encode()).hexdigest()[:20]
    return found


class Store:
    """A folder of stages.

    Args:
        folder: Where they are; made when the first one is written.
        every: Seconds between partial files of a stage in flight.
    """

    def __init__(self, folder: Path, every: float = 20.0) -> None:
        self.folder = folder
        self.every = every

    def finished(self, key: str) -> Recorded | None:
        """A finished stage, or None."""
        return self._read(key + FINISHED)

    def partial(self, key: str) -> Recorded | None:
        """A stage in flight, or None."""
        return self._read(key + PARTIAL)

    def save(self, key: str, recorded: Recorded) -> None:
        """Keep a stage: as finished where its last epoch is, else as partial."""
        done = recorded.epochs[-1].last
        self._write(key + (FINISHED if done else PARTIAL), recorded)
        if done:
            (self.folder / (key + PARTIAL)).unlink(missing_ok=True)

    def keep_only(self, needed: Collection[str]) -> None:
        """Remove every stage whose key is not needed any more."""
        for path in [*self.folder.glob(f"*{FINISHED}"), *self.folder.glob(f"*{PARTIAL}")]:
            if path.stem not in needed:
                path.unlink(missing_ok=True)

    def drop_litter(self) -> None:
        """Remove files that a killed process never finished; only while nothing else uses the folder."""
        for path in self.folder.glob("*.tmp"):
            path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _read(self, name: str) -> Recorded | None:
        path = self.folder / name
        if not path.exists():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - no mapping
                described = json.loads(file.metadata()["stage"])
        except (SafetensorError, OSError, KeyError, ValueError):
            # Damaged on disk, or removed since: training it again is always right.
            return None
        if name.endswith(PARTIAL) and described.get("format") != STATE_FORMAT:
            return None
        return _unpack(tensors, described)

    def _write(self, name: str, recorded: Recorded) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        tensors, described = _pack(recorded)
        temporary = self.folder / f"{uuid.uuid4().hex}.tmp"
        try:
            save_file(tensors, temporary, metadata={"stage": json.dumps(described)})
            temporary.replace(self.folder / name)
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise


def strip(epoch: Epoch) -> Epoch:
    """An epoch without its snapshot, which holds on to the models."""
    return Epoch(**{**{name: getattr(epoch, name) for name in epoch.__dataclass_fields__}, "snapshot": dict})


def _value(tree: dict[str, Any], path: str) -> Any:
    value: Any = tree
    for name in path.split("."):
        value = value[name]
    return value


def _pack(recorded: Recorded) -> tuple[Tensors, dict[str, Any]]:
    tensors: Tensors = {f"state/{name}": _plain(each) for name, each in recorded.state.items()}
    for name, each in (recorded.epochs[-1].artifact or {}).items():
        tensors[f"artifact/{name}"] = _plain(each)
    for number, epoch in enumerate(recorded.epochs):
        for name, values in epoch.terms.items():
            tensors[f"{number}/term/{name}"] = _tensor(values)
        for (split, condition), counts in epoch.confusions.items():
            tensors[f"{number}/confusion/{split}/{condition}"] = _tensor(counts)
        for condition, counts in epoch.speakers.items():
            tensors[f"{number}/speakers/{condition}"] = _tensor(counts)
        for place, embedding in enumerate(epoch.embeddings):
            tensors[f"{number}/labels/{place}"] = _tensor(embedding.labels)
            tensors[f"{number}/vectors/{place}"] = _tensor(embedding.vectors)
    epochs = [_describe(epoch) for epoch in recorded.epochs]
    return tensors, {"format": STATE_FORMAT, "owner": recorded.owner, "epochs": epochs}


def _describe(epoch: Epoch) -> dict[str, Any]:
    return {
        "stage": epoch.stage,
        "index": epoch.index,
        "total": epoch.total,
        "flags": list(epoch.flags),
        "diagnostics": [[each.row, each.measure, each.value, each.label] for each in epoch.diagnostics],
        "embeddings": [[each.row, each.kind] for each in epoch.embeddings],
        "terms": list(epoch.terms),
        "confusions": [list(pair) for pair in epoch.confusions],
        "speakers": list(epoch.speakers),
    }


def _unpack(tensors: Tensors, described: dict[str, Any]) -> Recorded:
    epochs = [_epoch(number, each, tensors) for number, each in enumerate(described["epochs"])]
    state = _inside("state/", tensors)
    return Recorded(epochs=tuple(epochs), state=state, owner=described["owner"])


def _epoch(number: int, described: dict[str, Any], tensors: Tensors) -> Epoch:
    last = described["index"] >= described["total"]
    return Epoch(
        stage=described["stage"],
        index=described["index"],
        total=described["total"],
        confusions={
            (split, condition): tensors[f"{number}/confusion/{split}/{condition}"].numpy()
            for split, condition in described["confusions"]
        },
        # Stages that were finished before speakers were told apart have none.
        speakers={name: tensors[f"{number}/speakers/{name}"].numpy() for name in described.get("speakers", [])},
        terms={name: tensors[f"{number}/term/{name}"].numpy() for name in described["terms"]},
        artifact=_inside("artifact/", tensors) if last else None,
        diagnostics=tuple(
            Diagnostic(row=row, measure=measure, value=value, label=label)
            for row, measure, value, label in described["diagnostics"]
        ),
        embeddings=_embeddings(number, described["embeddings"], tensors),
        flags=tuple(described["flags"]),
    )


def _embeddings(number: int, described: Sequence[Any], tensors: Tensors) -> tuple[Embedding, ...]:
    return tuple(
        Embedding(
            row=row,
            kind=kind,
            labels=tensors[f"{number}/labels/{place}"].numpy(),
            vectors=tensors[f"{number}/vectors/{place}"].numpy(),
        )
        for place, (row, kind) in enumerate(described)
    )


def _inside(prefix: str, tensors: Tensors) -> Tensors:
    return {name.removeprefix(prefix): each for name, each in tensors.items() if name.startswith(prefix)}


def _tensor(values: Any) -> torch.Tensor:
    # A copy: arrays may be read-only views, and a saved tensor must not share memory with another.
    return torch.from_numpy(np.array(values, order="C"))


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().cpu().contiguous().clone()
