"""The utterances of a corpus that a request is about, and batches of like length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from trainables import recordings
from trainables.corpus_files import Files, open_folder, text_column
from trainables.errors import InputError
from trainables.extraction.request import Request

#: Letters that count as a second, so that batches of transcripts are limited as those of their recordings are.
LETTERS = 15.0


class Item(NamedTuple):
    """One utterance to encode: the part of a file, or a text.

    Attributes:
        name: Its ``utterance_id``.
        seconds: About its length: orders and limits batches.
        path: Its audio file; "" where it is a text.
        start: Where it begins there, in seconds; None = at the beginning.
        end: Where it ends there; None = at the end.
        channel: Which channel; None = the mean of all.
        text: Its transcript; "" where it is audio.
    """

    name: str
    seconds: float
    path: str = ""
    start: float | None = None
    end: float | None = None
    channel: int | None = None
    text: str = ""


@dataclass(frozen=True)
class Work:
    """What there is to do in a corpus.

    Attributes:
        items: Utterances to encode, in the corpus's order.
        missing: Ids of those without a recording or transcript.
        sources: Utterance id and content of each of the items; see `identity`.
        columns: Every column that the corpus has in its files -> the file's name.
    """

    items: tuple[Item, ...]
    missing: tuple[str, ...]
    sources: list[tuple[str, str]]
    columns: dict[str, str]


def work(folder: Path, request: Request) -> Work:
    """Look into a corpus for what a request is about.

    Raises:
        InputError: If the folder is no corpus, or none of its utterances has what is to be encoded.
    """
    files = open_folder(folder)
    ids = [name for file in files.main for name in files.ids[file.name]]
    found = _audio(files, folder.resolve(), ids, request) if request.modality == "audio" else _texts(files)
    if not found:
        column = {"audio": "recording", "text": "transcript"}[request.modality]
        raise InputError(
            f"corpus {files.corpus}: no utterance has a {column}; "
            f"fill a text column {column} in {files.main[0].name}, or write the corpus with `sweeper data build`"
        )
    columns = {name: file.name for file in files.all for name in file.columns}
    missing = tuple(name for name in ids if name not in found)
    items = tuple(item for item, _ in found.values())
    return Work(items, missing, [(item.name, content) for item, content in found.values()], columns)


def _audio(files: Files, folder: Path, ids: list[str], request: Request) -> dict[str, tuple[Item, str]]:
    found = recordings.of(files, folder, {name: row for row, name in enumerate(ids)})
    if found is None:
        return {}
    made = {}
    for row, (name, path, content) in enumerate(zip(ids, found.paths, found.identity(), strict=True)):
        if path is not None:
            seconds = _seconds(float(found.seconds[row]), path)
            channel = int(found.channel[row])
            item = Item(
                name=name,
                seconds=min(seconds, request.longest or seconds),
                path=str(path),
                start=_given(found.start[row]),
                end=_given(found.end[row]),
                channel=None if channel < 0 else channel,
            )
            made[name] = (item, content)
    return made


def _given(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _seconds(known: float, path: Path) -> float:
    """The length the corpus states, else the file's; 0 for one that cannot be read, which is found out later."""
    if not np.isnan(known):
        return known
    import soundfile

    try:
        return float(soundfile.info(path).duration)
    except (soundfile.SoundFileError, RuntimeError, OSError):
        return 0.0


def _texts(files: Files) -> dict[str, tuple[Item, str]]:
    made = {}
    for file in files.main:
        if "transcript" in file.columns:
            for name, text in zip(files.ids[file.name], text_column(file, "transcript").to_pylist(), strict=True):
                if text and text.strip():
                    made[name] = (Item(name=name, seconds=len(text) / LETTERS, text=text), text)
    return made


def batches(items: Sequence[Item], limit: float, floor: float = 0.0) -> list[tuple[Item, ...]]:
    """Items of like length together, the longest first.

    Args:
        items: In any order: the batches depend on what they are, not on their order.
        limit: Seconds of a batch at most, padding counted; an item that is longer is a batch of its own.
        floor: Seconds that the encoder pads everything to.
    """
    return list(_batches(sorted(items, key=lambda item: (-item.seconds, item.name)), limit, floor))


def _batches(ordered: Sequence[Item], limit: float, floor: float) -> Iterator[tuple[Item, ...]]:
    batch: list[Item] = []
    for item in ordered:
        if batch and (len(batch) + 1) * max(batch[0].seconds, floor) > limit:
            yield tuple(batch)
            batch = []
        batch.append(item)
    if batch:
        yield tuple(batch)
