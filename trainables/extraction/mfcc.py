"""Mel-frequency cepstral coefficients by torchaudio."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

#: Samples a second, coefficients, mel channels, and samples of a frame and between two.
RATE, COEFFICIENTS, MELS, FRAME, SHIFT = 16_000, 40, 64, 400, 160


class Mfcc:
    """40 coefficients of frames of 25 ms every 10 ms: their mean and standard deviation, or the frames themselves.

    Power spectrum (Hann window), 64 mel channels (HTK scale), 10 log10 with the floor 80 dB below an utterance's
    peak, orthonormal DCT-II, as `torchaudio.transforms.MFCC`. The standard deviation is that of the frames (divided by
    their number). Waveforms shorter than a frame are padded with silence.
    """

    rate: int | None = RATE

    def __init__(self, sequence: bool = False) -> None:
        from torchaudio.transforms import MFCC

        self._sequence = sequence
        self.size = COEFFICIENTS if sequence else 2 * COEFFICIENTS
        mel = {"n_fft": FRAME, "hop_length": SHIFT, "n_mels": MELS, "center": False}
        self._mfcc = MFCC(RATE, n_mfcc=COEFFICIENTS, melkwargs=mel)

    def __call__(self, waves: Sequence[np.ndarray], rates: Sequence[int]) -> list[np.ndarray]:
        """For each waveform a vector, shape (80,), or frames, shape (T, 40)."""
        return [self._one(wave) for wave in waves]

    def _one(self, wave: np.ndarray) -> np.ndarray:
        padded = np.pad(wave, (0, max(0, FRAME - len(wave))))
        frames = np.asarray(self._mfcc(torch.from_numpy(padded)).T.numpy())
        return frames if self._sequence else np.concatenate([frames.mean(0), frames.std(0)])
