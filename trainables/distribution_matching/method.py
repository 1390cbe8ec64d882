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

Deviations from the paper, and decisions where it is silent:

- Eq. 7 read literally does nothing: the MMD compares two sets, and shuffling one of them within the batch leaves both
  sets as they are, so L_pair + L_unpaired = 0 for every batch. ``train.unpaired`` says what is done instead.
  ``shuffled`` is the printed form, kept as a row. ``other dialogues`` puts other utterances in the unpaired place;
  their mean differs from -L_pair only by the B paired ones among B^2 cross terms. The default, ``product kernel``,
  takes the same distance between the joint distribution of paired latents and that of unpaired ones, with a kernel
  on pairs (this is HSIC): it is what "the gap between latent distribution of paired and unpaired should be obviously
  large" asks for, and the only form whose mean does not vanish in large batches. It is small beside the cross entropy:
  with the paper's beta of 0.1 its effect is slight.
- L_pair matches distributions, not pairs: `quality` reports both (``latent_mmd``, ``pair_match``).
- Eq. 3 as printed counts i = j in the first two sums, which adds a constant and no gradient; left out.
- Sigma (eq. 4) is not given: the median distance among the batch's latents, both modalities together, no gradient
  through it. It makes the loss blind to scale, so shrinking the latents gains nothing; under a fixed sigma it
  does, one way to the paper's collapse, and 1 is far too narrow for latents of unit variance in 128 dimensions.
- Collapse to a point shows in the spread of the latents and not in UAR; every row's spread on dev is set against
  that of its untrained encoder, and the arm is flagged.
- Features stored as one vector an utterance get the acoustic auto-encoder whatever the modality (1582 inputs become
  the vector's size). Sequences get figure 4's; the corpus loader gives vectors only today.
- Figure 4: the decoder's transformer attends to the deconvolved sequence alone (a decoder that saw the target would
  not need z); the encoder's positions are sinusoids, the decoder's come from the deconvolutions; 342 is not a multiple
  of table 3's 4 heads, so it takes 3.
- The mean of eq. 2 is over values and over utterances that have the modality, so modalities of all sizes weigh alike.
- Dropout, weight decay, C's hidden layer and class weights: not given; without dropout and decay the classifier fits
  its train speakers within a few epochs.
- Adam and 1e-3, batch 128 and the three weights are the paper's. A step takes 128 labeled and 128 unlabeled utterances;
  an epoch has as many steps as one pass over all train utterances takes, whatever ``data.labels`` and
  ``data.unlabeled_amount``, so that supervised and semi-supervised forms are compared at equal numbers of steps.
- Unlabeled utterances come from the train side only (`Prepared.unlabeled`): the corpus's own, those of a second corpus
  where a study names one, and the train utterances that ``data.labels`` takes the label from. Which those are is drawn
  within each class, so that a small share has all classes.
- Balancing (section 4.2): the vanilla classifier is trained on the row's own labeled part and chosen on dev. The total
  stays; the paper's is 5,000 a class out of 20,000. A class that it never names stays out.
- Testing is on another split than the paper's (its held-out session is cut into dev and test).
- An utterance that lacks a modality counts in no reconstruction of it and in no pair, and its latent is 0 before the
  classifier.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from trainables.corpus import Corpus
from trainables.distribution_matching import pretrain, quality, train
from trainables.distribution_matching.config import Config
from trainables.distribution_matching.fit import WEIGHTS
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
            vectors=tuple(f"train.{name}" for name in (*WEIGHTS, "learning_rate", "weight_decay")),
        ),
    ),
    predict=predict,
    version=1,
    measures=quality.MEASURES,
)
