"""Recordings: the audio files of a corpus, or the part of each that is an utterance, as waveforms.

Read by soundfile, resampled by torchaudio, any rate and any number of channels; see `read`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from trainables.corpus_files import File, Files, rows_of, text_column
from trainables.errors import InputError

#: Samples a second that speech encoders were trained on.
RATE = 16_000
#: The columns of a main file, beside ``recording``: seconds in the file (null = its beginning, its end), which channel
#: (null = the mean of all), length in seconds, and 16 hex digits of SHA-256 over the file's bytes.
COLUMNS = ("recording", "start", "end", "channel", "duration", "checksum")


@dataclass(frozen=True, eq=False)
class Recordings:
    """Where the audio of N utterances is.

    Attributes:
        paths: File of each utterance; None where it has none.
        start: Seconds inside the file, shape (N,); NaN is its beginning.
        end: Seconds inside the file, shape (N,); NaN is its end.
        channel: Channel, shape (N,); -1 is the mean of all.
        seconds: Length of each, shape (N,); NaN where unknown.
        checksum: SHA-256 of each file's bytes, 16 hex digits; empty where unknown.
    """

    paths: tuple[Path | None, ...]
    start: np.ndarray
    end: np.ndarray
    channel: np.ndarray
    seconds: np.ndarray
    checksum: tuple[str, ...]

    @property
    def present(self) -> np.ndarray:
        """Which utterances have a recording, shape (N,), bool."""
        return np.array([path is not None for path in self.paths], dtype=bool)

    def read(self, row: int, rate: int = RATE) -> np.ndarray:
        """The waveform of an utterance, float32, shape (T,).

        Raises:
            InputError: If it has none, or its file cannot be read.
        """
        path = self.paths[row]
        if path is None:
            raise InputError(f"utterance {row}: has no recording; leave it out")
        start, end = (None if np.isnan(each[row]) else float(each[row]) for each in (self.start, self.end))
        channel = int(self.channel[row])
        return read(path, rate=rate, start=start, end=end, channel=None if channel < 0 else channel)

    def take(self, rows: np.ndarray) -> Recordings:
        """Those of some utterances only.

        Args:
            rows: Indices or a mask, shape (n,) or (N,).
        """
        index = np.flatnonzero(rows) if rows.dtype == bool else rows
        arrays = {name: getattr(self, name)[index] for name in ("start", "end", "channel", "seconds")}
        return Recordings(
            paths=tuple(self.paths[each] for each in index),
            checksum=tuple(self.checksum[each] for each in index),
            **arrays,
        )

    def joined(self, other: Recordings) -> Recordings:
        """These, then those of other utterances."""
        names = ("start", "end", "channel", "seconds")
        arrays = {name: np.concatenate([getattr(self, name), getattr(other, name)]) for name in names}
        return Recordings(paths=self.paths + other.paths, checksum=self.checksum + other.checksum, **arrays)

    def identity(self) -> tuple[str, ...]:
        """What of each recording can change a result: its content and the part that is used, not where it lies."""
        parts = zip(self.checksum, self.paths, self.start, self.end, self.channel, strict=True)
        return tuple(
            "" if path is None else f"{checksum or path.name} {start:.6f} {end:.6f} {channel}"
            for checksum, path, start, end, channel in parts
        )


def read(
    path: str | Path,
    *,
    rate: int = RATE,
    start: float | None = None,
    end: float | None = None,
    channel: int | None = None,
) -> np.ndarray:
    """A file's waveform, or a part of it.

    Args:
        path: Any format that soundfile knows (WAV, FLAC, Ogg, MP3).
        rate: Samples a second wanted; resampled where the file has another rate.
        start: Where to begin, in seconds.
        end: Where to end, in seconds.
        channel: Which channel, from 0; None takes the mean of all.

    Returns:
        float32 in [-1, 1], shape (T,).

    Raises:
        InputError: If the file is missing, damaged or empty, or has no such part or channel.
    """
    import soundfile  # loads a C library; corpora of features never need it

    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: there is no such recording; put it there, or build the corpus again")
    try:
        with soundfile.SoundFile(path) as file:
            own = file.samplerate
            first, last = _frames(path, file.frames, own, start, end)
            file.seek(first)
            samples = file.read(last - first, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, RuntimeError) as error:
        what = str(error).splitlines()[0].rstrip(".")
        raise InputError(f"{path}: is no audio file that can be read ({what}); copy or convert it again") from None
    if not len(samples):
        raise InputError(f"{path}: holds no sample; leave it out")
    return _resampled(_mono(path, samples, channel), own, rate)


def _frames(path: Path, frames: int, rate: int, start: float | None, end: float | None) -> tuple[int, int]:
    first = 0 if start is None else round(start * rate)
    last = frames if end is None else min(frames, round(end * rate))
    if not 0 <= first < max(last, 1):
        wanted = f"{start or 0:g} s to {'its end' if end is None else f'{end:g} s'}"
        raise InputError(f"{path}: has no {wanted}, it is {frames / rate:.3f} s long; correct start and end")
    return first, last


def _mono(path: Path, samples: np.ndarray, channel: int | None) -> np.ndarray:
    if channel is None:
        return samples.mean(axis=1, dtype=np.float32)
    if channel >= samples.shape[1]:
        raise InputError(f"{path}: has {samples.shape[1]} channels, counted from 0, and no channel {channel}")
    return np.ascontiguousarray(samples[:, channel])


def _resampled(samples: np.ndarray, own: int, rate: int) -> np.ndarray:
    if own == rate:
        return samples
    import torch
    from torchaudio.functional import resample

    shared = math.gcd(own, rate)
    wave = resample(torch.from_numpy(samples), own // shared, rate // shared)
    return np.asarray(wave.numpy(), dtype=np.float32)


def of(files: Files, folder: Path | None, position: dict[str, int]) -> Recordings | None:
    """The recordings that a corpus names; None where it names none.

    Args:
        files: The corpus.
        folder: Where relative paths begin.
        position: Row of each utterance id.

    Raises:
        InputError: If a column holds something else than it should.
    """
    holders = [file for file in files.main if "recording" in file.columns]
    if not holders:
        return None
    size = len(position)
    paths: list[Path | None] = [None] * size
    checksum = [""] * size
    numbers = {name: np.full(size, np.nan) for name in ("start", "end", "duration", "channel")}
    for file in holders:
        rows = rows_of(files.ids[file.name], position)
        for row, name in zip(rows, text_column(file, "recording").to_pylist(), strict=True):
            paths[row] = None if name is None else _place(name, folder)
        for name, values in numbers.items():
            values[rows] = _numbers(file, name, files.ids[file.name])
        if "checksum" in file.columns:
            for row, text in zip(rows, text_column(file, "checksum").to_pylist(), strict=True):
                checksum[row] = text or ""
    return Recordings(
        paths=tuple(paths),
        start=numbers["start"],
        end=numbers["end"],
        channel=np.nan_to_num(numbers["channel"], nan=-1).astype(np.int64),
        seconds=_seconds(numbers),
        checksum=tuple(checksum),
    )


def _place(name: str, folder: Path | None) -> Path:
    path = Path(name).expanduser()
    return path if path.is_absolute() or folder is None else folder / path


def _seconds(numbers: dict[str, np.ndarray]) -> np.ndarray:
    cut = numbers["end"] - np.nan_to_num(numbers["start"])
    return np.where(np.isnan(numbers["duration"]), cut, numbers["duration"])


def _numbers(file: File, name: str, ids: list[str]) -> np.ndarray:
    if name not in file.columns:
        return np.full(len(ids), np.nan)
    column: Any = file.read([name])[name]
    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type) or pa.types.is_null(column.type)):
        raise InputError(f"{file.name}: {name}: holds {column.type}, expected numbers; write it as float64")
    values = np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
    bad = np.flatnonzero(np.isinf(values) | (values < 0))
    if len(bad):
        raise InputError(
            f"{file.name}: {name}, row {bad[0]} ({ids[bad[0]]}): found {values[bad[0]]:g}, expected 0 or more; "
            "correct it"
        )
    return values
