"""What is to be extracted, checked before any work, and what tells one request from another."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from trainables.copies import copy_of, is_copy
from trainables.errors import InputError

#: Encoders of speech that need no weights -> values a vector: openSMILE's functionals by name of the set, and MFCC.
SETS: Mapping[str, str] = {"egemaps": "eGeMAPSv02", "compare": "ComParE_2016", "is10": "IS10"}
SIZES: Mapping[str, int] = {"egemaps": 88, "compare": 6373, "is10": 1582, "mfcc": 80}
NO_SMILE = "opensmile is not installed; install the extra: pip install 'sweeper[opensmile]'"
#: Ends the name of a column of sequences.
SEQUENCE = "_sequence"
#: Raised when the same request gives other numbers.
_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is to be made of every utterance.

    Attributes:
        encoder: ``egemaps``, ``compare``, ``is10`` or ``mfcc``, a hub name or a folder.
        modality: ``audio`` reads recordings, ``text`` transcripts.
        column: The feature column; "" until `checked` names it.
        layer: Hidden layer of a pretrained encoder; None = the last.
        pooling: How its frames or tokens become a vector; None = ``mean``, or as a sentence encoder says.
        sequence: Keep the frames or tokens instead of one vector.
        longest: Read so many seconds of a recording at most.
        window: Encode a recording in windows of so many seconds, and average their vectors by length.
        dtype: Of a pretrained encoder's weights.
        augment: An augmentation in the words of `trainables.augmentations.parse`; None = the recordings as they are.
    """

    encoder: str
    modality: Literal["audio", "text"]
    column: str = ""
    layer: int | None = None
    pooling: str | None = None
    sequence: bool = False
    longest: float | None = None
    window: float | None = None
    dtype: str = "float32"
    augment: str | None = None

    @property
    def pretrained(self) -> bool:
        """Whether a network of transformers is asked for."""
        return not (self.modality == "audio" and self.encoder in SIZES)


def checked(request: Request) -> Request:
    """The request with its column named and its folder absolute, if it can be done here.

    Raises:
        InputError: In one line, if the encoder cannot be had or has no such layer or pooling, an option does not apply
            to it, an extra is not installed, or the name of the column would not be read.
    """
    for name in ("longest", "window"):
        seconds = getattr(request, name)
        if seconds is not None and not (request.modality == "audio" and seconds >= 1):
            raise InputError(f"--{name}: must be at least 1 second of audio, found {seconds:g} for {request.modality}")
    _check_network(request) if request.pretrained else _check_set(request)
    if request.augment is not None:
        request = replace(request, augment=_augmentation(request))
    if request.pretrained and Path(request.encoder).expanduser().is_dir():
        request = replace(request, encoder=str(Path(request.encoder).expanduser().resolve()))
    request = replace(request, column=_column(request))
    if not re.fullmatch(rf"{request.modality}_[^/\\\s]+", request.column):
        raise InputError(
            f"--column: {request.column!r} is not the name of {request.modality} features; "
            f"call it {request.modality}_..., without spaces and slashes"
        )
    return request


def _check_set(request: Request) -> None:
    for name in ("layer", "pooling", "window"):
        if getattr(request, name) is not None:
            raise InputError(f"--{name}: {request.encoder} has none; leave it out")
    if request.dtype != "float32":
        raise InputError(f"--dtype: {request.encoder} has no weights; leave it out")
    if request.encoder in SETS and request.sequence:
        raise InputError(f"--sequence: {request.encoder} are values of a whole utterance; leave it out, or use mfcc")
    if request.encoder in SETS and find_spec("opensmile") is None:
        raise InputError(NO_SMILE)


def _check_network(request: Request) -> None:
    from trainables.encoders import POOLINGS, hub

    hub.library()
    config = hub.config(request.encoder, request.modality)
    hub.check_folder(request.encoder, tokenizer=request.modality == "text")
    if request.pooling is not None and request.pooling not in POOLINGS:
        raise InputError(f"--pooling: {request.pooling!r} is unknown; choose {', '.join(POOLINGS)}")
    if request.layer is not None and not -config.num_hidden_layers <= request.layer <= config.num_hidden_layers:
        raise InputError(
            f"--layer: {request.encoder} has {config.num_hidden_layers} layers, found {request.layer}; "
            f"choose 0 to {config.num_hidden_layers} (0 = before the first)"
        )


def _augmentation(request: Request) -> str:
    from trainables.augmentations import parse

    if request.modality != "audio":
        raise InputError("--augment: changes recordings, and these are transcripts; leave it out, or give --audio")
    return str(parse(request.augment or ""))


def _column(request: Request) -> str:
    """The name that was given, else one of encoder, layer and pooling; of copies with their augmentation."""
    column = request.column or "_".join([request.modality, *_parts(request)]) + (SEQUENCE if request.sequence else "")
    return column if request.augment is None or is_copy(column) else copy_of(column, request.augment)


def _parts(request: Request) -> list[str]:
    if not request.pretrained:
        size = "" if request.sequence else f"{'_' if request.encoder[-1].isdigit() else ''}{SIZES[request.encoder]}"
        return [request.encoder + size]
    name = re.sub(r"[^a-z0-9]+", "_", Path(request.encoder).name.lower()).strip("_") or "encoder"
    layer = [] if request.layer is None else [f"layer{request.layer}".replace("-", "_")]
    return [name, *layer, *([] if request.sequence else [request.pooling or "mean"])]


def identity(request: Request, sources: list[tuple[str, str]]) -> str:
    """SHA-256 (hex) of what can change the vectors: encoder, settings, and the content that they are made of.

    Args:
        request: Checked.
        sources: Utterance id and content (checksum and part of a recording, or transcript) of each utterance.
    """
    settings = {key: value for key, value in asdict(request).items() if key not in ("encoder", "column")}
    encoder = _content(request.encoder) if request.pretrained else request.encoder
    told = json.dumps([_VERSION, encoder, settings, sorted(sources)], ensure_ascii=False)
    return hashlib.sha256(told.encode()).hexdigest()


def _content(encoder: str) -> str:
    from trainables.encoders.hub import content

    return content(encoder)


def padded_to(request: Request) -> float:
    """Seconds that an encoder pads every recording to, and cuts it off at: AST and Whisper; 0 where it does not."""
    if not request.pretrained or request.modality != "audio":
        return 0.0
    from trainables.encoders import hub

    config = hub.config(request.encoder, "audio")
    if config.model_type == "whisper":
        return 30.0
    return config.max_length * 0.01 if config.model_type == "audio-spectrogram-transformer" else 0.0
