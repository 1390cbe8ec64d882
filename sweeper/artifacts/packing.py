"""A stage as tensors and a description, and back; and the checksum by which damage is seen.

The layout is that of one safetensors file: arrays of epoch ``n`` under ``n/...``, what the stage hands on under
``artifact/...``, what it goes on from under ``state/...``; all else, and the checksum, as JSON in the header.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from trainables.epoch import Diagnostic, Embedding, Epoch, Flag, Tensors

#: Raised when the layout changes; part of every key.
FORMAT = 3


class Damaged(Exception):
    """A file is not what was written."""


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What is known of a stage.

    Attributes:
        epochs: What it yielded so far; the last one carries the artifact where the stage is finished.
        state: What it goes on from; empty where it is finished.
        owners: By epoch, the arm that trained it: arms may have trained it one after the other. Where left out,
            ``owner`` stands for all.
        owner: Who trained the last one.
    """

    epochs: tuple[Epoch, ...]
    state: Tensors = field(default_factory=dict)
    owners: tuple[str, ...] = ()
    owner: str = ""

    def __post_init__(self) -> None:
        if not self.owners:
            object.__setattr__(self, "owners", (self.owner,) * len(self.epochs))
        # Also where `dataclasses.replace` brings an old one.
        object.__setattr__(self, "owner", self.owners[-1])


def write(path: Path, recorded: Recorded) -> None:
    """Write a stage to a file."""
    tensors, described = _pack(recorded)
    text = json.dumps(described)
    save_file(tensors, path, metadata={"stage": text, "sha256": _checksum(text, tensors)})


def read(path: Path) -> Recorded:
    """Read a stage, once, into memory of its own: the file may be removed or replaced afterwards.

    Raises:
        Damaged: If the content is not what was written.
        OSError: If it cannot be read.
    """
    try:
        with safe_open(path, framework="pt", backend="pread") as file:
            tensors, metadata = file.get_tensors(), file.metadata()
        text = metadata["stage"]
        if _checksum(text, tensors) != metadata["sha256"]:
            raise Damaged(f"{path.name}: its checksum is another")
        return _unpack(tensors, json.loads(text))
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise Damaged(f"{path.name}: {error}") from None


def strip(epoch: Epoch) -> Epoch:
    """An epoch without its snapshot, which holds on to the models."""
    return Epoch(**{**{name: getattr(epoch, name) for name in epoch.__dataclass_fields__}, "snapshot": dict})


def _checksum(text: str, tensors: Tensors) -> str:
    """SHA-256 over the description and every tensor's name, type, shape and bytes; nothing is copied."""
    content = hashlib.sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        content.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        content.update(tensor.flatten().view(torch.uint8).numpy().data)
    return content.hexdigest()


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
    return tensors, {"owners": list(recorded.owners), "epochs": epochs}


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
    return Recorded(epochs=tuple(epochs), state=state, owners=tuple(described["owners"]))


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
        speakers={name: tensors[f"{number}/speakers/{name}"].numpy() for name in described["speakers"]},
        terms={name: tensors[f"{number}/term/{name}"].numpy() for name in described["terms"]},
        artifact=_inside("artifact/", tensors) if last else None,
        diagnostics=tuple(
            Diagnostic(row=row, measure=measure, value=value, label=label)
            for row, measure, value, label in described["diagnostics"]
        ),
        embeddings=_embeddings(number, described["embeddings"], tensors),
        flags=tuple(Flag(*each) for each in described["flags"]),
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
