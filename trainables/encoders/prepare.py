"""From waveforms and sentences to the padded batch of an encoder; no module is needed for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from trainables.encoders.batch import Batch
from trainables.errors import InputError

#: Shorter waveforms are padded with silence to so many seconds: below it there may be no frame at all.
SHORTEST = 0.25
#: AST's frames, after Kaldi: 25 ms every 10 ms.
_FRAME, _SHIFT = 0.025, 0.010
#: Models whose position numbers begin after that of the padding, which takes from the longest sentence.
_SHIFTED = ("roberta", "camembert", "mpnet", "longformer")


class Waveforms:
    """Prepares waveforms, by the feature extractor that the model was trained with.

    Attributes:
        extractor: Of transformers.
        rate: Samples a second that it expects.
    """

    def __init__(self, extractor: Any) -> None:
        self.extractor = extractor
        self.rate = int(extractor.sampling_rate)

    def __call__(self, waves: Sequence[np.ndarray]) -> Batch:
        """Normalise and pad.

        Args:
            waves: Mono, at `rate`, each of shape (T,), any lengths.

        Raises:
            InputError: If there is none.
        """
        if not waves:
            raise InputError("waves: there is none; give at least one waveform")
        padded = [self._at_least(np.asarray(wave, dtype=np.float32)) for wave in waves]
        whole = "max_length" if hasattr(self.extractor, "nb_max_frames") else True
        made = self.extractor(
            padded, sampling_rate=self.rate, padding=whole, return_tensors="pt", return_attention_mask=True
        )
        inputs = made[self.extractor.model_input_names[0]].float()
        mask = made.get("attention_mask")
        return Batch(inputs, self._spectrogram_mask(padded, inputs) if mask is None else mask.bool())

    def _at_least(self, wave: np.ndarray) -> np.ndarray:
        missing = round(SHORTEST * self.rate) - len(wave)
        return np.pad(wave, (0, missing)) if missing > 0 else wave

    def _spectrogram_mask(self, waves: Sequence[np.ndarray], inputs: torch.Tensor) -> torch.Tensor:
        """AST's extractor pads and says nothing of it; its frames are Kaldi's."""
        frames = [1 + int((len(wave) / self.rate - _FRAME) / _SHIFT + 1e-9) for wave in waves]
        return torch.arange(inputs.shape[1]) < torch.tensor(frames)[:, None]

    def save(self, folder: str | Path) -> None:
        """Write the settings beside a model, so that the folder can be loaded."""
        self.extractor.save_pretrained(folder)


class Sentences:
    """Prepares sentences by the tokenizer that the model was trained with.

    Attributes:
        tokenizer: Of transformers.
        longest: Tokens a sentence at most, special ones counted; the rest is cut off.
    """

    def __init__(self, tokenizer: Any, longest: int) -> None:
        self.tokenizer, self.longest = tokenizer, longest

    def __call__(self, texts: Sequence[str]) -> Batch:
        """Tokenise and pad at the end.

        Raises:
            InputError: If there is none.
        """
        if not texts:
            raise InputError("texts: there is none; give at least one sentence")
        made = self.tokenizer(list(texts), padding=True, truncation=True, max_length=self.longest, return_tensors="pt")
        mask = made["attention_mask"].bool()
        if mask.shape[1] == 0:
            inputs = torch.full((len(texts), 1), self.tokenizer.pad_token_id)
            return Batch(inputs, torch.ones_like(inputs, dtype=torch.bool))
        # A sentence without a token is read as one of padding: every row needs something to pool.
        mask[:, 0] = True
        return Batch(made["input_ids"], mask)

    def save(self, folder: str | Path) -> None:
        """Write the tokenizer beside a model, so that the folder can be loaded."""
        self.tokenizer.save_pretrained(folder)


def longest(tokenizer: Any, config: Any) -> int:
    """Tokens that a model takes at most."""
    positions = int(getattr(config, "max_position_embeddings", 0) or 512)
    if any(name in config.model_type for name in _SHIFTED):
        positions -= 2
    return min(positions, int(min(tokenizer.model_max_length, 1_000_000)))
