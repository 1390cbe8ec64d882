"""Pretrained encoders as extractors: windows of long recordings, batches within a limit, the device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from trainables import encoders
from trainables.encoders.prepare import SHORTEST
from trainables.extraction.request import Request


class Network:
    """A pretrained encoder of speech or sentences.

    Args:
        request: What is wanted of it.
        device: Where it computes.
        limit: Seconds that a batch of windows may hold.
    """

    def __init__(self, request: Request, device: str, limit: float) -> None:
        self._request, self._device, self._limit = request, device, limit
        asked: dict[str, Any] = {"layer": request.layer, "dtype": request.dtype}
        self._encoder: encoders.AudioEncoder | encoders.TextEncoder
        if request.modality == "audio":
            self._encoder = encoders.load_audio(request.encoder, pooling=request.pooling or "mean", **asked)
            self.rate: int | None = self._encoder.rate
        else:
            self._encoder = encoders.load_text(request.encoder, pooling=request.pooling, **asked)
            self.rate = None
        self._encoder.module.to(device)
        self.size = self._encoder.size

    def __call__(self, given: Sequence[Any], rates: Sequence[int]) -> list[np.ndarray]:
        """For each waveform or sentence a vector, shape (size,), or frames or tokens, shape (T, size)."""
        if self._request.window is None or self.rate is None:
            return self._encoded(given)
        parts = [list(windows(wave, round(self._request.window * self.rate), self.rate)) for wave in given]
        made = iter(self._in_turn([part for each in parts for part in each]))
        return [self._joined([next(made) for _ in each], [len(part) for part in each]) for each in parts]

    def _in_turn(self, parts: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
        most = max(1, int(self._limit / (self._request.window or self._limit)))
        for first in range(0, len(parts), most):
            yield from self._encoded(parts[first : first + most])

    def _joined(self, made: Sequence[np.ndarray], lengths: Sequence[int]) -> np.ndarray:
        if self._request.sequence:
            return np.concatenate(made)
        return np.average(made, axis=0, weights=lengths).astype(np.float32)

    def _encoded(self, given: Sequence[Any]) -> list[np.ndarray]:
        """In halves where the device has no room for all at once."""
        try:
            return self._run(given)
        except torch.OutOfMemoryError:
            if len(given) == 1:
                raise
        half = len(given) // 2
        return self._encoded(given[:half]) + self._encoded(given[half:])

    @torch.inference_mode()
    def _run(self, given: Sequence[Any]) -> list[np.ndarray]:
        batch = self._encoder.prepare(given).to(self._device)
        inputs = batch.inputs.to(self._encoder.module.dtype) if batch.inputs.is_floating_point() else batch.inputs
        out = self._encoder.module(inputs, batch.mask)
        if not self._request.sequence:
            return list(out.pooled.float().cpu().numpy())
        sequence, mask = out.sequence.float().cpu().numpy(), out.mask.cpu().numpy()
        return [rows[real] for rows, real in zip(sequence, mask, strict=True)]


def windows(wave: np.ndarray, size: int, rate: int) -> Iterator[np.ndarray]:
    """Parts of a waveform, each ``size`` samples; a rest too short for an encoder stays with the one before."""
    last = max(len(wave) - round(SHORTEST * rate), 1)
    starts = list(range(0, last, size))
    for start, end in zip(starts, [*starts[1:], len(wave)], strict=True):
        yield wave[start:end]
