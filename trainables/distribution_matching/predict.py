"""Classify a corpus with a trained artifact: normalisers, encoders and classifier, nothing else."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from trainables.corpus import Corpus
from trainables.distribution_matching.config import Config
from trainables.distribution_matching.model import outputs, stacked
from trainables.epoch import Tensors
from trainables.prepared import modalities_in, normalised


def probabilities(config: Config, artifact: Mapping[str, Tensor], corpus: Corpus) -> Tensor:
    """Class probabilities of every utterance, shape (R, N, C); not a number where it has none of the modalities.

    Args:
        config: The settings the artifact was trained under.
        artifact: What the stage `train` handed on; it says which modalities were trained on.
        corpus: What to classify; labels are not looked at. A modality that it lacks is missing everywhere.
    """
    last = max(int(name.split(".")[1]) for name in artifact if name.startswith("C."))
    rows, classes = artifact[f"C.{last}.bias"].shape
    dims = {name: artifact[f"{name}.mean"].shape[-1] for name in modalities_in(artifact)}
    x, present = _inputs(artifact, corpus, dims, rows)
    stack = stacked(config.network, {name: (dim,) for name, dim in dims.items()}, classes, [0] * rows).load(artifact)
    with torch.no_grad():
        logits = outputs(stack, {"x": x, "present": present}).logits
    known = torch.stack(list(present.values())).any(0)
    return torch.where(known[..., None], torch.softmax(logits, -1), torch.nan)


def _inputs(
    artifact: Mapping[str, Tensor], corpus: Corpus, dims: Mapping[str, int], rows: int
) -> tuple[Tensors, Tensors]:
    there = [name for name in dims if name in corpus.features]
    missing = {name: torch.zeros(rows, len(corpus.labels), dim) for name, dim in dims.items() if name not in there}
    found = normalised(artifact, corpus, there, rows) | missing
    masks = {name: torch.from_numpy(corpus.present[name]) for name in there}
    none = torch.zeros(len(corpus.labels), dtype=torch.bool)
    present = {name: masks.get(name, none).expand(rows, -1) for name in dims}
    return {name: found[name] for name in dims}, present
