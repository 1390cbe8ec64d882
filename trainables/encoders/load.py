"""Encoders by hub name or local folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainables.encoders import hub
from trainables.encoders.batch import POOLINGS
from trainables.encoders.module import Encoder
from trainables.encoders.prepare import Sentences, Waveforms, longest
from trainables.errors import InputError


@dataclass(frozen=True)
class AudioEncoder:
    """An encoder of speech.

    Attributes:
        name: Hub name or folder, as given.
        module: The torch module, in evaluation mode.
        prepare: Waveforms to a padded batch.
    """

    name: str
    module: Encoder
    prepare: Waveforms

    @property
    def rate(self) -> int:
        """Samples a second that `prepare` expects."""
        return self.prepare.rate

    @property
    def size(self) -> int:
        """Values of a vector."""
        return self.module.size

    def save(self, folder: str | Path) -> None:
        """Write weights (safetensors), config and preparation; `load_audio` reads the folder."""
        self.module.model.save_pretrained(folder)
        self.prepare.save(folder)


@dataclass(frozen=True)
class TextEncoder:
    """An encoder of sentences.

    Attributes:
        name: Hub name or folder, as given.
        module: The torch module, in evaluation mode.
        prepare: Sentences to a padded batch.
    """

    name: str
    module: Encoder
    prepare: Sentences

    @property
    def size(self) -> int:
        """Values of a vector."""
        return self.module.size

    def save(self, folder: str | Path) -> None:
        """Write weights (safetensors), config and tokenizer; `load_text` reads the folder."""
        self.module.model.save_pretrained(folder)
        self.prepare.save(folder)


def load_audio(
    name: str | Path,
    *,
    layer: int | None = None,
    pooling: str = "mean",
    weights: bool = True,
    dtype: str = "float32",
    settings: Mapping[str, Any] | None = None,
) -> AudioEncoder:
    """Load an encoder of speech: AST, wav2vec 2.0, HuBERT, WavLM or another audio model that ``AutoModel`` knows.

    Args:
        name: Hub name, or folder with ``config.json`` and weights; ``preprocessor_config.json`` where the model's
            preparation differs from its kind's.
        layer: Hidden layer to read, 0 = the input of the first, negative from the end; None = the last, after its norm.
        pooling: One of `POOLINGS`; ``model`` is what AST's classifiers see.
        weights: False builds the model of the config with random weights, for a state that is loaded afterwards.
        dtype: Of the weights: ``float32``, ``bfloat16`` or ``float16``.
        settings: Entries of the model's config to replace, such as ``{"layerdrop": 0.0}``.

    Raises:
        InputError: In one line, if transformers is not installed, the folder or hub name cannot be had, holds no
            weights, or is no encoder of speech.
    """
    model = hub.model(str(name), "audio", weights=weights, dtype=dtype, settings=settings)
    extractor = hub.feature_extractor(str(name), model.config)
    return AudioEncoder(str(name), _encoder(str(name), model, layer, pooling), Waveforms(extractor))


def load_text(
    name: str | Path,
    *,
    layer: int | None = None,
    pooling: str | None = None,
    normalise: bool | None = None,
    weights: bool = True,
    dtype: str = "float32",
    settings: Mapping[str, Any] | None = None,
) -> TextEncoder:
    """Load an encoder of sentences: BERT, RoBERTa, a Llama-like decoder, or a folder of sentence-transformers.

    Args:
        name: Hub name, or folder with ``config.json``, weights and a tokenizer.
        layer: As in `load_audio`.
        pooling: One of `POOLINGS`; None = what a sentence encoder says of itself, else ``mean``.
        normalise: Scale vectors to length 1; None = what a sentence encoder says of itself, else not.
        weights: As in `load_audio`.
        dtype: As in `load_audio`.
        settings: As in `load_audio`.

    Raises:
        InputError: As `load_audio` does, and if there is no tokenizer.
    """
    model = hub.model(str(name), "text", weights=weights, dtype=dtype, settings=settings)
    tokenizer = hub.tokenizer(str(name))
    own = hub.sentence_settings(str(name), pooling)
    module = _encoder(str(name), model, layer, own.pooling, own.normalise if normalise is None else normalise)
    most = min(longest(tokenizer, model.config), own.longest or 1_000_000)
    return TextEncoder(str(name), module, Sentences(tokenizer, most))


def _encoder(name: str, model: Any, layer: int | None, pooling: str, normalise: bool = False) -> Encoder:
    if pooling not in POOLINGS:
        raise InputError(f"pooling: {pooling!r} is unknown; choose {', '.join(POOLINGS)}")
    _check_pooling(name, model, layer, pooling)
    if pooling != "model" and getattr(model, "pooler", None) is not None:
        # Weights that no loss reaches would make data-parallel training wait for their gradients.
        model.pooler = None
    return Encoder(model, layer=_layer(name, model, layer), pooling=pooling, normalise=normalise).eval()


def _check_pooling(name: str, model: Any, layer: int | None, pooling: str) -> None:
    if pooling != "model":
        return
    if getattr(model, "pooler", None) is None and model.config.model_type != "audio-spectrogram-transformer":
        raise InputError(f"pooling: {name} has no pooled output of its own; choose mean, first or last")
    if layer is not None:
        raise InputError("pooling: model is made of the last layer; leave out the layer, or choose mean, first or last")


def _layer(name: str, model: Any, layer: int | None) -> int | None:
    if layer is None:
        return None
    most = int(model.config.num_hidden_layers)
    if not -most <= layer <= most:
        raise InputError(f"layer: {name} has {most} layers, found {layer}; choose 0 to {most} (0 = before the first)")
    return layer if layer >= 0 else most + 1 + layer
