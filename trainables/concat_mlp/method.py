"""`concat_mlp`: a small network on the standardised features of all modalities side by side (early fusion).

Citation: a baseline of ours, no paper's; what any method that fuses modalities must beat at equal features.

================================  ========================================
what                              function
================================  ========================================
class-weighted cross entropy      `losses.weighted_cross_entropy`
early fusion of the modalities    `prepared.concatenated`
network                           `classify.Network`
================================  ========================================

Decisions:

- Features are standardised on the fold's train rows; a missing modality is 0 there, the mean of the train rows, and
  the network is not told that it is missing. Utterances with none of the modalities are not trained on, and get no
  prediction.
- One hidden layer with dropout and decoupled weight decay, AdamW, a fixed number of epochs, dev chooses the epoch:
  the same trainer, optimiser, batches and choice as the other methods here, so that a difference is the method's.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from trainables.concat_mlp import classify
from trainables.concat_mlp.config import Config
from trainables.corpus import Corpus
from trainables.epoch import Tensors
from trainables.methods import Method, Stage
from trainables.prepared import concatenated, modalities_in, normalised
from trainables.stacking import Stack


def predict(config: Config, artifacts: Mapping[str, Tensors], corpus: Corpus) -> np.ndarray:
    """Class probabilities of every utterance under every trained row, shape (rows, utterances, classes).

    NaN where an utterance has none of the modalities it was trained on.
    """
    artifact = artifacts[classify.NAME]
    modalities = modalities_in(artifact)
    rows, classes = artifact[f"layers.{len(config.classify.hidden)}.bias"].shape
    x = concatenated(normalised(artifact, corpus, modalities, rows))
    sizes = (x.shape[-1], *config.classify.hidden, classes)
    stack = Stack(lambda: classify.Network(sizes), [0] * rows).load(artifact)
    with torch.no_grad():
        probabilities = torch.softmax(stack.apply(x), -1).numpy()
    probabilities[:, ~np.any([corpus.present[name] for name in modalities], axis=0)] = np.nan
    return np.asarray(probabilities)


METHOD = Method(
    name="concat_mlp",
    title="Early fusion network on concatenated features",
    citation="baseline",
    config=Config,
    stages=(
        Stage(
            name=classify.NAME,
            run=classify.run,
            active=lambda config: True,
            epochs=lambda config: config.classify.epochs,
            depends=("classify",),
            classifies=True,
            vectors=("classify.learning_rate", "classify.weight_decay"),
        ),
    ),
    predict=predict,
    version=1,
)
