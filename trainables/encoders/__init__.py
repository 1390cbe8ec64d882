"""Pretrained encoders of speech and of text, by transformers (the extra ``encoders``).

`load_audio` and `load_text` take a hub name or a local folder and give an `Encoder`: a torch module whose forward takes
a padded batch with its mask, and beside it the preparation of that batch (waveforms to input, sentences to tokens).
Feature extraction and fine-tuning use the same two::

    encoder = load_audio("facebook/wav2vec2-base", pooling="mean")
    batch = encoder.prepare([wave, other])                # float32 at encoder.rate, any lengths
    pooled, sequence, mask = encoder.module(batch.inputs, batch.mask)

Nothing here imports transformers before an encoder is loaded.
"""

from __future__ import annotations

from trainables.encoders.batch import POOLINGS, Batch, Encoded
from trainables.encoders.load import AudioEncoder, TextEncoder, load_audio, load_text

__all__ = ["POOLINGS", "AudioEncoder", "Batch", "Encoded", "TextEncoder", "load_audio", "load_text"]
