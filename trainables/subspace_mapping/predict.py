"""Classify a corpus with trained artifacts: normalisers and network, nothing else."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from trainables.corpus import Corpus
from trainables.epoch import Tensors
from trainables.features import Normaliser
from trainables.prepared import apply, modalities_in
from trainables.stacking import Stack
from trainables.subspace_mapping.config import Fuse
from trainables.subspace_mapping.dialogues import Lanes, by_dialogue, fixed_order, pieces
from trainables.subspace_mapping.model import Network
from trainables.subspace_mapping.reading import Utterances, represent


def predict(config: Fuse, artifact: Tensors, corpus: Corpus) -> np.ndarray:
    """Class probabilities of every utterance under every trained row, read in its dialogue.

    Args:
        config: The settings the artifact was trained under.
        artifact: What the stage handed on.
        corpus: What to classify; labels are not looked at.

    Returns:
        Shape (rows, N, classes); NaN for an utterance with none of the modalities.
    """
    modalities = modalities_in(artifact)
    rows, classes = artifact["W.bias"].shape
    dims = {name: artifact[f"FC.{name}.weight"].shape[-1] for name in modalities}
    stack = Stack(lambda: Network(config, dims, classes), [0] * rows).load(artifact)
    utterances = _utterances(artifact, corpus, modalities, rows)
    logits = represent(stack, utterances, _lanes(config, corpus, rows), ("logits",))["logits"]
    probabilities = torch.softmax(logits, -1).numpy()
    probabilities[:, ~np.any([corpus.present[name] for name in modalities], axis=0)] = np.nan
    return np.asarray(probabilities)


def _utterances(artifact: Mapping[str, torch.Tensor], corpus: Corpus, modalities: list[str], rows: int) -> Utterances:
    features = apply({name: Normaliser.load(artifact, f"{name}.") for name in modalities}, corpus)
    folds = len(next(iter(features.values())))
    return Utterances(
        features=features,
        present={name: torch.from_numpy(corpus.present[name]) for name in modalities},
        fold=torch.arange(folds).repeat_interleave(rows // folds),
    )


def _lanes(config: Fuse, corpus: Corpus, rows: int) -> Lanes:
    order = fixed_order(len(corpus.labels)) if config.shuffle_turns else None
    one = Lanes.pack([pieces(by_dialogue(corpus, order), config.max_turns)])
    return Lanes(*(tensor.expand(rows, -1, -1) for tensor in (one.index, one.dialogue, one.order)))
