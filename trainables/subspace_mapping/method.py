"""`subspace_mapping`: public and unique representations of audio and text in dialogues, joined by attention.

Citation: X. Du, X. Zhang, D. Wang, Y. Xu, Z. Wu, S. Zhang, X. Zhao, J. Yu, L. Lou, "Integrating Representation
Subspace Mapping with Unimodal Auxiliary Loss for Attention-based Multimodal Emotion Recognition", LREC-COLING 2024.

===========  ====================================================  ==========================================
equation     what                                                  function
===========  ====================================================  ==========================================
section 3.3  recurrent encoder and self-attention over a dialogue  `recurrent.Recurrent`, `attention.Attention`
1, 2, 12     cross entropies of a modality and of all              `objective.cross_entropy`
3            unimodal auxiliary loss                               `objective.total`
4            public and unique encoders                            `model.Network`
5            central moment discrepancy                            `losses.cmd`
6            difference                                            `objective.overlap`, `objective.overlaps`
7, 8         reconstruction, cycle consistency                     `objective.squared_distance`
9            subspace loss                                         `objective.subspace_loss`
10, 11       cross-modality attention                              `attention.Attention`
13           objective                                             `objective.total`
===========  ====================================================  ==========================================

Deviations from the paper, and decisions where it is silent:

- Stored features, standardised on the fold's train rows; the paper's are ComParE (6373 values) and BERT (768).
- A batch is 20 dialogues ("batch size 20", of what is not said). All utterances of the train side are read, those
  without one of the classes too: they are context and have no loss. The paper does not say whether it reads them.
- d = 100 is the size of every representation; each direction of a bidirectional encoder has 50 units, so that both
  together have d. The FC layers and decoders are linear, the encoders of eq. 4 linear with tanh: values in [-1, 1],
  where high moments stay small, and which did not shrink to 0 as sigmoid and ReLU may.
- Self-attention has a residual connection and a LayerNorm, whose scale also keeps eq. 7, which reaches its own target,
  from shrinking U. Cross-modality attention has neither, as eq. 10 and 11 print it; each direction has projections of
  its own.
- Eq. 1, 2 and 12 as means over utterances, weighted inversely to class counts (`class_weights`), not as sums. Eq. 7 and
  8 as means over utterances as well. All losses count the labeled train utterances only.
- Eq. 5 with the norm, which its text calls squared, and K = 5, both as in Zellinger et al. 2017.
- Eq. 6 as printed grows with the square of the batch; by default it is taken on unit vectors, as a mean over
  utterances. `printed_difference` is the printed one.
- The learning rate is not given; the L2 weight is decoupled weight decay. No dev part is named; ours chooses the epoch.
- With one modality (table 3, A and T) there is nothing to map or exchange, and L_ua would repeat L_task: what is left
  is its encoder, self-attention and cross entropy.
- Rows "Bi-GRU", "Bi-LSTM" (table 7) and "GRU" (table 5) classify the concatenated U of both modalities: "the key
  difference between our model and Bi-GRU is whether representation subspace mapping is incorporated", so
  self-attention stays.
- A missing modality is skipped by its encoder (the state stays), is no key of any attention, has no loss, and its
  representations are 0. An utterance with no modality is not trained on.
- The network reads whole dialogues, what follows an utterance included. The controls say what that is worth: "Each
  utterance its own dialogue" (nothing of it) and "Turns shuffled" (all but the order).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from trainables.corpus import Corpus
from trainables.epoch import Tensors
from trainables.methods import Method, Stage
from trainables.subspace_mapping import fuse, measure
from trainables.subspace_mapping.config import Config
from trainables.subspace_mapping.predict import predict


def _predict(config: Config, artifacts: Mapping[str, Tensors], corpus: Corpus) -> np.ndarray:
    return predict(config.fuse, artifacts[fuse.NAME], corpus)


METHOD = Method(
    name="subspace_mapping",
    title="Integrating Representation Subspace Mapping with Unimodal Auxiliary Loss for Attention-based Multimodal "
    "Emotion Recognition",
    citation="Du, Zhang, Wang, Xu, Wu, Zhang, Zhao, Yu, Lou 2024, LREC-COLING",
    config=Config,
    stages=(
        Stage(
            name=fuse.NAME,
            run=fuse.run,
            active=lambda config: True,
            epochs=lambda config: config.fuse.epochs,
            depends=("fuse",),
            classifies=True,
        ),
    ),
    predict=_predict,
    measures=measure.MEASURES,
    turns="fuse.max_turns",
    version=1,
)
