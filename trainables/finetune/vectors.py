"""Vectors of utterances by an encoder that is not being trained, or not at the moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from trainables.corpus import Corpus
from trainables.encoders import AudioEncoder, Batch, TextEncoder, load_audio, load_text
from trainables.finetune.steps import ahead
from trainables.finetune.waves import by_length, waves_of
from trainables.finetune.workers import Workers
from trainables.kept import kept

#: AST's classifier, and so the paper, sees the mean of its two class tokens: the model's own pooled output.
_OWN_POOLING = ("audio-spectrogram-transformer",)


def audio_encoder(name: str, pooling: str | None, **more: Any) -> AudioEncoder:
    """An audio encoder with its usual pooling where none is chosen, and nothing random in it but dropout.

    Args:
        name: Hub name or folder.
        pooling: As in the settings.
        more: Passed on to `trainables.encoders.load_audio`.

    Raises:
        InputError: If it cannot be loaded.
    """
    encoder = load_audio(name, pooling=pooling or "mean", **more)
    settings = encoder.module.model.config
    if pooling is None and settings.model_type in _OWN_POOLING:
        encoder.module.pooling = "model"
    # A layer dropped by one worker alone would keep the others waiting for its gradients, and masks are drawn by
    # numpy's global generator; augmentation is a matter of its own.
    for field, value in (("layerdrop", 0.0), ("apply_spec_augment", False)):
        if hasattr(settings, field):
            setattr(settings, field, value)
    return encoder


def text_encoder(name: str, pooling: str | None, **more: Any) -> TextEncoder:
    """A text encoder, padded at the end; arguments and errors as those of `audio_encoder`."""
    encoder = load_text(name, pooling=pooling, **more)
    if hasattr(encoder.module.model.config, "use_cache"):
        encoder.module.model.config.use_cache = False  # nothing is generated
    return encoder


def weights_in(precision: str) -> str:
    """The type of weights that are not trained: half the memory where computing is in bf16 anyway."""
    return "bfloat16" if precision == "bf16" else "float32"


def audio_vectors(corpus: Corpus, name: str, pooling: str | None, longest: float, size: int, precision: str) -> Tensor:
    """Vectors of every recording of a corpus, (N, D); silence where there is none. Kept from arm to arm.

    Args:
        corpus: With recordings.
        name: The encoder.
        pooling: As in the settings.
        longest: Seconds heard of each.
        size: Utterances a batch.
        precision: To compute in.

    Raises:
        InputError: If the encoder cannot be loaded, or a recording not read.
    """
    workers = Workers(precision)
    # In a group, one worker may have kept what another has not.
    compute = _audio if workers.size == 1 else _audio.__wrapped__  # type: ignore[attr-defined]
    return compute(corpus, name, pooling, longest, size, precision)


@kept
def _audio(corpus: Corpus, name: str, pooling: str | None, longest: float, size: int, precision: str) -> Tensor:
    workers = Workers(precision)
    return heard(workers, audio_encoder(name, pooling, dtype=weights_in(precision)), corpus, longest, size)


def text_vectors(corpus: Corpus, name: str, pooling: str | None, size: int, precision: str) -> Tensor:
    """Vectors of every transcript of a corpus, (N, D); of no words where there is none. See `audio_vectors`."""
    workers = Workers(precision)
    compute = _text if workers.size == 1 else _text.__wrapped__  # type: ignore[attr-defined]
    return compute(corpus, name, pooling, size, precision)


@kept
def _text(corpus: Corpus, name: str, pooling: str | None, size: int, precision: str) -> Tensor:
    workers = Workers(precision)
    return said(workers, text_encoder(name, pooling, dtype=weights_in(precision)), texts_of(corpus), size)


def heard(workers: Workers, encoder: AudioEncoder, corpus: Corpus, longest: float, size: int) -> Tensor:
    """What an encoder makes of every recording of a corpus, (N, D), on the CPU."""
    assert corpus.recordings is not None
    waves = waves_of(corpus.recordings, encoder.rate)
    batches = by_length(waves.seconds(np.arange(len(corpus.labels))), size)

    def prepare(places: np.ndarray) -> Batch:
        return encoder.prepare([waves.cropped(each, longest) for each in places])

    return encoded(workers, _pooling(workers, encoder.module), prepare, batches, encoder.size).cpu()


def said(workers: Workers, encoder: TextEncoder, texts: Sequence[str], size: int) -> Tensor:
    """What an encoder makes of every text, (N, D), on the CPU."""
    batches = by_length([len(text) for text in texts], size)

    def prepare(places: np.ndarray) -> Batch:
        return encoder.prepare([texts[each] for each in places])

    return encoded(workers, _pooling(workers, encoder.module), prepare, batches, encoder.size).cpu()


def texts_of(corpus: Corpus) -> list[str]:
    """Transcripts, empty where there is none."""
    return ["" if not isinstance(text, str) else text for text in corpus.utterances["transcript"].to_numpy(object)]


def _pooling(workers: Workers, module: nn.Module) -> Callable[[Batch], Tensor]:
    module.to(workers.device).eval()
    return lambda batch: module(batch.inputs, batch.mask).pooled


def encoded(
    workers: Workers,
    forward: Callable[[Batch], Tensor],
    prepare: Callable[[np.ndarray], Batch],
    batches: Sequence[np.ndarray],
    dim: int,
) -> Tensor:
    """Vectors of everything in the batches, which are dealt to the workers; the same bits for all of them.

    Args:
        workers: Who shares the work.
        forward: A batch on the device to vectors, shape (b, dim).
        prepare: Places to their batch.
        batches: Places 0 to n - 1, each in one batch.
        dim: Values of a vector.

    Returns:
        Shape (n, dim), on the device.
    """
    count = sum(map(len, batches))
    out = torch.zeros(count, dim, device=workers.device)
    with torch.no_grad(), workers.accelerator.autocast():
        for places, batch in ahead(lambda each: (each, prepare(each)), batches[workers.rank :: workers.size]):
            out[torch.from_numpy(places).to(workers.device)] = forward(batch.to(workers.device)).float()
    return workers.added(out)
