"""Recordings in memory: each file is read once, by however many rows train on it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trainables.kept import kept
from trainables.recordings import Recordings

#: Bytes of waveforms that a process keeps; others are read again each time.
ROOM = 4 << 30
#: 16-bit samples: those of a 16-bit file at the encoder's rate are kept exactly.
_FULL = 32768.0


class Waves:
    """Waveforms of a corpus as 16-bit numbers, whether kept or just read: equal however much fits.

    Args:
        recordings: The recordings.
        rate: Samples a second.
        room: Bytes to keep at most.
    """

    def __init__(self, recordings: Recordings, rate: int, room: int = ROOM) -> None:
        self._recordings, self._rate, self._room = recordings, rate, room
        self._present = recordings.present
        self._kept: dict[int, np.ndarray] = {}

    def seconds(self, utterances: np.ndarray) -> np.ndarray:
        """Lengths as far as the corpus knows them, else 0; shape (n,)."""
        return np.nan_to_num(self._recordings.seconds[utterances])

    def cropped(self, utterance: int, longest: float, place: float = 0.0) -> np.ndarray:
        """A waveform of at most ``longest`` seconds, float32 in [-1, 1], shape (T,); silence where there is none.

        Args:
            utterance: Which one.
            longest: Seconds to keep.
            place: Where a longer one is cropped, from 0 (its beginning) to 1 (its end).

        Raises:
            InputError: If its file cannot be read.
        """
        wave, size = self._read(int(utterance)), max(1, round(longest * self._rate))
        first = round(place * max(0, len(wave) - size))
        return wave[first : first + size].astype(np.float32) / np.float32(_FULL)

    def _read(self, utterance: int) -> np.ndarray:
        if not self._present[utterance]:
            return np.zeros(1, dtype=np.int16)
        if utterance not in self._kept:
            wave = self._recordings.read(utterance, self._rate)
            short = np.clip(np.rint(wave * _FULL), -_FULL, _FULL - 1).astype(np.int16)
            if short.nbytes > self._room:
                return short
            self._room -= short.nbytes
            self._kept[utterance] = short
        return self._kept[utterance]


@kept
def waves_of(recordings: Recordings, rate: int) -> Waves:
    """The waveforms of a corpus, kept from arm to arm."""
    return Waves(recordings, rate)


def by_length(seconds: Sequence[float] | np.ndarray, size: int) -> list[np.ndarray]:
    """Places 0 to n - 1 in batches of ``size`` of like lengths: the longest first, so that memory is asked for once."""
    order = np.argsort(-np.asarray(seconds), kind="stable")
    return [order[first : first + size] for first in range(0, len(order), size)]
