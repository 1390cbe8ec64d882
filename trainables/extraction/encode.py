"""Batches of utterances to vectors: reading ahead, augmentation, encoding, and what is broken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol

import numpy as np

from trainables import recordings
from trainables.errors import InputError
from trainables.extraction.items import Item
from trainables.extraction.request import SIZES, Request

#: Batches that are read while one is encoded.
AHEAD = 2


class Extractor(Protocol):
    """What makes vectors.

    Attributes:
        rate: Samples a second that it wants; None = each recording's own, or it reads texts.
        size: Values of a vector.
    """

    rate: int | None
    size: int

    def __call__(self, given: Sequence[Any], rates: Sequence[int], /) -> list[np.ndarray]:
        """A vector (size,), or a sequence (T, size), for each waveform or sentence."""
        ...


class Made(NamedTuple):
    """What became of an utterance.

    Attributes:
        item: The utterance.
        array: float32, shape (size,), or (T, size) of a sequence; None where it is broken.
        reason: Why it is broken, in one line; else "".
    """

    item: Item
    array: np.ndarray | None
    reason: str = ""


def load(request: Request, device: str = "cpu", limit: float = 60.0) -> Extractor:
    """The extractor that a request names.

    Args:
        request: Checked.
        device: Where a network computes.
        limit: Seconds that a batch may hold, where the extractor itself cuts recordings into windows.

    Raises:
        InputError: If it cannot be had.
    """
    if request.pretrained:
        from trainables.extraction.network import Network

        return Network(request, device, limit)
    if request.encoder == "mfcc":
        from trainables.extraction.mfcc import Mfcc

        return Mfcc(request.sequence)
    from trainables.extraction.smile import Functionals

    found = Functionals(request.encoder)
    assert found.size == SIZES[request.encoder]
    return found


def vectors(extractor: Extractor, request: Request, batches: Sequence[Sequence[Item]]) -> Iterator[Made]:
    """Encode batches; the next ones are read meanwhile.

    Args:
        extractor: What `load` made.
        request: Checked.
        batches: What `trainables.extraction.batches` made, or some of it.

    Yields:
        Every item once, in order.
    """
    with ThreadPoolExecutor(max_workers=1) as reader:
        coming = [reader.submit(_read, batch, extractor.rate, request) for batch in batches[:AHEAD]]
        for number in range(len(batches)):
            read = coming.pop(0).result()
            if number + AHEAD < len(batches):
                coming.append(reader.submit(_read, batches[number + AHEAD], extractor.rate, request))
            yield from _encode(extractor, read)


class _Read(NamedTuple):
    item: Item
    content: Any
    rate: int
    reason: str


def _read(batch: Sequence[Item], rate: int | None, request: Request) -> list[_Read]:
    return [_one(item, rate, request) for item in batch]


def _one(item: Item, rate: int | None, request: Request) -> _Read:
    if not item.path:
        return _Read(item, item.text, 0, "")
    try:
        used = rate or _own_rate(item.path)
        end = _earlier(item, request.longest)
        wave = recordings.read(item.path, rate=used, start=item.start, end=end, channel=item.channel)
    except InputError as error:
        return _Read(item, None, 0, str(error))
    if not np.isfinite(wave).all():
        return _Read(item, None, 0, f"{item.path}: holds samples that are no finite numbers; convert it again")
    return _Read(item, _augmented(item, wave, used, request), used, "")


def _earlier(item: Item, longest: float | None) -> float | None:
    """Where to end in the file, so that no more than the longest allowed is read."""
    if longest is None:
        return item.end
    end = (item.start or 0.0) + longest
    return end if item.end is None else min(end, item.end)


def _own_rate(path: str) -> int:
    import soundfile

    try:
        return int(soundfile.info(path).samplerate)
    except (soundfile.SoundFileError, RuntimeError, OSError):
        # `recordings.read` says what is wrong with it.
        return recordings.RATE


def _augmented(item: Item, wave: np.ndarray, rate: int, request: Request) -> np.ndarray:
    if request.augment is None:
        return wave
    from trainables.augmentations import parse

    augmentation = parse(request.augment)
    return augmentation(wave, rate, augmentation.generator(item.name))


def _encode(extractor: Extractor, read: Sequence[_Read]) -> Iterator[Made]:
    whole = [each for each in read if not each.reason]
    made = iter(extractor([each.content for each in whole], [each.rate for each in whole]) if whole else ())
    for each in read:
        yield Made(each.item, None, each.reason) if each.reason else _finite(each.item, next(made))


def _finite(item: Item, values: np.ndarray) -> Made:
    if values.size and np.isfinite(values).all():
        return Made(item, values)
    return Made(item, None, f"{item.path or item.name}: its features are no finite numbers; is it too short or silent?")
