"""Classify a corpus with a trained artifact, each utterance from whatever modalities it has."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from trainables.cm_arr import train
from trainables.cm_arr.config import Config
from trainables.corpus import Corpus
from trainables.epoch import Tensors
from trainables.prepared import modalities_in, normalised
from trainables.stacking import Stack


def predict(config: Config, artifacts: Mapping[str, Tensors], corpus: Corpus) -> np.ndarray:
    """Class probabilities of every utterance under every trained row, shape (rows, utterances, classes).

    NaN where an utterance has none of the modalities it was trained on. Labels are not looked at.
    """
    artifact = artifacts[train.NAME]
    names = modalities_in(artifact)
    rows, classes = artifact["fusion.classifier.bias"].shape
    x = normalised(artifact, corpus, names, rows)
    dims = {name: each.shape[-1] for name, each in x.items()}
    present = torch.from_numpy(np.stack([corpus.present[name] for name in names], -1))
    stack = train.build(config.train, dims, classes, [0] * rows).load(artifact)
    probabilities = np.stack([_row(stack, row, x, present) for row in range(rows)])
    probabilities[:, ~present.any(-1).numpy()] = np.nan
    return probabilities


def _row(stack: Stack, row: int, x: Tensors, present: Tensor) -> np.ndarray:
    """Probabilities of one row, shape (N, C); one at a time, because a corpus may be large."""
    params = {name: tensor[row] for name, tensor in stack.params.items()}
    inputs = {"x": {name: each[row] for name, each in x.items()}, "available": present[None]}
    with torch.no_grad():
        out: Tensors = stack.call(params, inputs)  # type: ignore[arg-type, assignment]
    return np.asarray(torch.softmax(out["logits"][0], -1).numpy())
