"""`distribution_matching`: semi-supervised multi-modal emotion recognition with cross-modal distribution matching.

Citation: J. Liang, R. Li, Q. Jin, "Semi-supervised Multi-modal Emotion Recognition with Cross-Modal Distribution
Matching", ACM Multimedia 2020, arXiv 2009.02598.

=============  ==================================================  =======================================
equation       what                                                function
=============  ==================================================  =======================================
figure 3       auto-encoder of a vector                            `autoencoders.VectorAutoEncoder`
figure 4       auto-encoder of a sequence, reversed target         `sequences.SequenceAutoEncoder`
2              reconstruction                                      `objective.reconstruction`
3, 4           maximum mean discrepancy, Gaussian kernel           `losses.mmd`, `losses.gaussian_kernel`
5              classification of joined latents                    `model.Model`,
                                                                   `losses.weighted_cross_entropy`
6              paired matching                                     `matching.pair`
7              unpaired matching                                   `matching.unpair`
8              unlabeled part                                      `objective.unsupervised`
1, 9           whole objective                                     `objective.losses`, `objective.total`
section 4.2    balancing of the unlabeled part                     `pretrain`, `parts.Parts.balanced`
=============  ==================================================  =======================================
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from trainables.corpus import Corpus
from trainables.distribution_matching import pretrain, quality, train
from trainables.distribution_matching.config import Config
from trainables.distribution_matching.predict import probabilities
from trainables.epoch import Tensors
from trainables.methods import Method, Stage


def predict(config: Config, artifacts: Mapping[str, Tensors], corpus: Corpus) -> np.ndarray:
    """Class probabilities of every utterance under every trained row, shape (rows, utterances, classes)."""
    return np.asarray(probabilities(config, artifacts[train.NAME], corpus).numpy())


_SHARED = ("data.inputs", "data.labels", "network")

METHOD = Method(
    name="distribution_matching",
    title="Semi-supervised Multi-modal Emotion Recognition with Cross-Modal Distribution Matching",
    citation="Liang, Li, Jin 2020, ACM Multimedia, arXiv 2009.02598",
    config=Config,
    stages=(
        Stage(
            name=pretrain.NAME,
            run=pretrain.run,
            active=lambda config: config.pseudo_labels,
            epochs=lambda config: config.pretrain.epochs,
            depends=("pretrain", *_SHARED),
            classifies=True,
        ),
        Stage(
            name=train.NAME,
            run=train.run,
            active=lambda config: True,
            epochs=lambda config: config.train.epochs,
            depends=("train", "data.balance", "data.unlabeled_amount", *_SHARED),
            classifies=True,
        ),
    ),
    predict=predict,
    version=1,
    measures=quality.MEASURES,
)
