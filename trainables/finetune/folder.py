"""An encoder as tensors, its settings and tokenizer with it, so that a model is complete without where it came from."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainables.encoders import AudioEncoder, TextEncoder, load_audio, load_text
from trainables.epoch import Tensors
from trainables.errors import InputError

#: Ours, beside the files of transformers: what they do not say.
_SETTINGS = "pooling.json"


def files(encoder: AudioEncoder | TextEncoder, kind: str) -> Tensors:
    """The files of an encoder but its weights, as bytes: ``files/<kind>/<name>``."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        encoder.module.model.config.save_pretrained(folder)
        encoder.prepare.save(folder)
        settings = {"pooling": encoder.module.pooling, "normalise": encoder.module.normalise}
        (folder / _SETTINGS).write_text(json.dumps(settings), encoding="utf-8")
        found = [path for path in sorted(folder.iterdir()) if path.is_file()]
        return {f"files/{kind}/{path.name}": _bytes(path.read_bytes()) for path in found}


def weights(state: Mapping[str, Tensor], kind: str) -> Tensors:
    """The state of an encoder under the names that `load` looks for."""
    return {f"{kind}_encoder/{name}": tensor for name, tensor in state.items()}


def load(tensors: Mapping[str, Tensor], kind: str) -> Any:
    """The encoder of a model: ``audio`` or ``text``, with random weights; see `fill`.

    Raises:
        InputError: If it holds none, or one that cannot be built.
    """
    prefix = f"files/{kind}/"
    found = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    if not found:
        raise InputError(
            f"this model holds no {kind} encoder, only what a study keeps of it; train it with `sweeper train`"
        )
    with tempfile.TemporaryDirectory() as name:
        for file, tensor in found.items():
            if Path(file).name != file:
                raise InputError(f"this model names a file {file!r} outside its encoder; train it again")
            (Path(name) / file).write_bytes(tensor.cpu().numpy().tobytes())
        settings = json.loads((Path(name) / _SETTINGS).read_text(encoding="utf-8"))
        if kind == "audio":
            return load_audio(name, pooling=settings["pooling"], weights=False)
        return load_text(name, pooling=settings["pooling"], normalise=settings["normalise"], weights=False)


def fill(encoder: Any, tensors: Mapping[str, Tensor], kind: str, row: int) -> None:
    """Put a row's weights into a loaded encoder; those of the only one, where all rows share an encoder."""
    prefix = f"{kind}_encoder/"
    state = {name.removeprefix(prefix): each for name, each in tensors.items() if name.startswith(prefix)}
    encoder.module.model.load_state_dict({name: each[row % len(each)] for name, each in state.items()})


def _bytes(content: bytes) -> Tensor:
    return torch.frombuffer(bytearray(content), dtype=torch.uint8) if content else torch.empty(0, dtype=torch.uint8)
