"""Classify a corpus with trained artifacts: normalisers, encoders and classifier, nothing else."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from trainables.corpus import Corpus
from trainables.epoch import Tensors
from trainables.mi_infogan import align
from trainables.mi_infogan.config import Config
from trainables.prepared import normalised
from trainables.stacking import Stack, mlp


def predict_logits(config: Config, artifacts: Mapping[str, Tensors], corpus: Corpus) -> Tensor:
    """Logits of every utterance under every trained row, shape (rows, N, classes).

    Args:
        config: The settings the artifacts were trained under.
        artifacts: Artifacts of `align` and, where it was trained, `augment`.
        corpus: What to classify; labels are not looked at.
    """
    baseline = artifacts[align.NAME]
    rows, classes, _ = baseline["W_y.weight"].shape
    h = _encode(config, baseline, corpus)
    if "augment" not in artifacts:
        return align.linear(baseline, "W_y", h)
    multimodal = config.augment.inputs == "audio+text"
    inputs = torch.cat([h, _texts(config, baseline, corpus, rows)], -1) if multimodal else h
    hidden = config.augment.hidden if multimodal else ()
    stack = Stack(lambda: mlp((inputs.shape[-1], *hidden, classes)), [0] * rows)
    return stack.load(artifacts["augment"]).apply(inputs)


def _texts(config: Config, baseline: Tensors, corpus: Corpus, rows: int) -> Tensor:
    if not config.align.text_encoder:
        return normalised(baseline, corpus, ("text",), rows)["text"]
    from trainables.mi_infogan import tune  # needs the extra encoders

    return tune.texts(config, baseline, corpus)


def _encode(config: Config, baseline: Tensors, corpus: Corpus) -> Tensor:
    if config.align.encoder:
        from trainables.mi_infogan import tune  # needs the extra encoders

        if config.align.tunes:
            return tune.features(config, baseline, corpus)
        corpus = tune.with_vectors(config, baseline, corpus)
    rows, classes, _ = baseline["W_y.weight"].shape
    x = normalised(baseline, corpus, ("audio",), rows)["audio"]
    text_dim = baseline["W_t.weight"].shape[1] if "W_t.weight" in baseline else 0
    stack = Stack(lambda: align.Baseline(config.align, x.shape[-1], text_dim, classes), [0] * rows)
    return stack.load(baseline).apply(x)
