"""The torch module around a pretrained model: batch and mask in, pooled vectors and the masked sequence out."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from trainables.encoders.batch import Encoded, pool
from trainables.encoders.norm import mask_group_norms


class Encoder(nn.Module):
    """A pretrained model with a choice of layer and pooling.

    What an utterance is batched with changes its vectors by rounding only, for wav2vec 2.0, HuBERT, WavLM, AST and text
    models: attention, convolutions and norms keep to the real frames (AST attends to its padding, as it was trained).

    Attributes:
        model: The transformers model; may be replaced by a wrapped one, such as peft's.
        layer: Hidden layer whose output is given: None = the last one after its norm, 0 = what enters the first.
        pooling: One of `trainables.encoders.POOLINGS`.
        normalise: Whether pooled vectors are scaled to length 1.
        size: Values of a vector, H.
    """

    def __init__(self, model: Any, *, layer: int | None = None, pooling: str = "mean", normalise: bool = False) -> None:
        super().__init__()
        self.model = model
        self.layer, self.pooling, self.normalise = layer, pooling, normalise
        self.size = int(model.config.hidden_size)
        self._norms = mask_group_norms(model)

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights; samples and spectrograms are given in it, unless autocast sees to that."""
        return next(self.model.parameters()).dtype

    def forward(self, inputs: Tensor, mask: Tensor) -> Encoded:
        """Encode a padded batch.

        Args:
            inputs: Shape (B, T) or (B, T, F); see `trainables.encoders.Batch`.
            mask: Which of the T are no padding, bool, shape (B, T).
        """
        for norm in self._norms:
            norm.samples = mask.sum(1)
        out = self._call(inputs, mask)
        sequence = out.last_hidden_state if self.layer is None else out.hidden_states[self.layer]
        real = self._frames(mask, sequence.shape[1])
        pooled = out.pooler_output if self.pooling == "model" else pool(sequence, real, self.pooling)
        return Encoded(nn.functional.normalize(pooled, dim=-1) if self.normalise else pooled, sequence, real)

    def _call(self, inputs: Tensor, mask: Tensor) -> Any:
        # AST and Whisper were trained on padded spectrograms and attend to all of them.
        masked = {} if self._is_patched or self._is_fixed else {"attention_mask": mask.long()}
        name = self.model.main_input_name
        return self.model(**{name: inputs, **masked}, output_hidden_states=self.layer is not None, return_dict=True)

    def _frames(self, mask: Tensor, size: int) -> Tensor:
        """Which vectors of the output are real, bool, shape (B, size)."""
        if self._is_patched:
            return self._patches(mask)
        if size == mask.shape[1]:
            return mask
        if not self._is_fixed and hasattr(self.model, "_get_feature_vector_attention_mask"):
            return self.model._get_feature_vector_attention_mask(size, mask.long()).bool()
        lengths = (mask.sum(1) * size / mask.shape[1]).ceil().long().clamp(1, size)
        return torch.arange(size, device=mask.device) < lengths[:, None]

    def _patches(self, mask: Tensor) -> Tensor:
        """AST's patches that begin before the end of an utterance, in the model's order: frequency by time."""
        config = self.model.config
        bands = (config.num_mel_bins - config.patch_size) // config.frequency_stride + 1
        starts = torch.arange(0, mask.shape[1] - config.patch_size + 1, config.time_stride, device=mask.device)
        inside = (starts < mask.sum(1, keepdim=True)).repeat(1, bands)
        tokens = inside.new_zeros(len(inside), 2)
        return torch.cat([tokens, inside], 1)

    @property
    def _is_patched(self) -> bool:
        return bool(self.model.config.model_type == "audio-spectrogram-transformer")

    @property
    def _is_fixed(self) -> bool:
        return bool(self.model.config.model_type == "whisper")
