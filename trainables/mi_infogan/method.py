"""`mi_infogan`: mutual-information regularised generation of emotion features.

Citation: C.-S. Ahn, R. Rana, S. Sivadas, C. Busso, J. C. Rajapakse, "Improving Speech Emotion Recognition with
Mutual Information Regularized Generative Model", 2025, arXiv 2510.10078.

=============  ==================================================  =======================================
equation       what                                                function
=============  ==================================================  =======================================
1, 2, 4        encoder, classifier, text embedding                 `align.Baseline`, `align.linear`
3              class-weighted cross entropy                        `losses.weighted_cross_entropy`
5, 6           contrastive and mutual information losses           `losses.info_nce`
7              baseline objective                                  `align.losses`, `align.total`
8              generator                                           `generate.generator`, `generate.sample`
9              adversarial game                                    `generate.discriminator_loss`,
                                                                   `generate.adversarial_loss`
10-13          emotion and text prediction losses                  `generate.information_losses`
14             generator objective                                 `generate.generator_losses`,
                                                                   `generate.total`
section 3.3    what the classifier is fine-tuned on                `augment.Pool`, `added.Generated`
=============  ==================================================  =======================================

Deviations from the paper, and decisions where it is silent:

- Feature form: f_a is a small network over stored features, trained from scratch, ending in a LayerNorm as the
  pooled output of the paper's transformer does. Its learning rate is therefore 1e-3; stages 2 and 3 keep 1e-4.
- Fine-tuning form (`align.encoder`): f_a is the pretrained transformer over recordings, at the paper's 1e-4; its own
  decisions stand in `tune`. The Llama 2 of section 4.2.2 learns by LoRA beside the audio encoder and not before it.
- h has the text embedding's size, because eq. 5 compares the two; `align.feature_dim` reduces both, the text by
  PCA on the fold's train rows. Audio and text are standardised on the train rows, which also removes the common
  direction of text embeddings and gives text and noise the same scale in the generator's input.
- Eq. 14 taken literally, minimised over G, would *maximise* both prediction losses; they are added.
- Eq. 9's generator side is non-saturating by default; `generate.adversarial: saturating` is the printed form.
- Mixup (section 4.2.1) feeds both players Beta-mixed features; D must say the share of the real one, G wants the
  mixture taken for real. The paper gives no form and no parameter; 0.2 is that of Zhang et al. 2018.
- Temperature, noise size, batch size, epochs and Adam's beta1 are not given; see `config`.
- Row "without cross-modal alignment" leaves W_t at its initial values, as a literal reading of the table does;
  row "& mutual information maximization" leaves nothing that ties a generated feature to its label.
- The generator of the last epoch is used: the paper names no criterion, and dev UAR does not notice a generator
  that collapsed. `quality` does, and flags the arm.
- One generated set for all epochs of stage 3 (`augment.redraw` draws anew); the unimodal classifier starts from
  the baseline's own layer ("fine-tuned"), the multimodal one is new. t' = W_t h' + b_t, given real text's length.
- Balancing (section 5.2.3) adds (h', t') pairs of the rarer classes only.
- Controls of ours, each with as many items as generation adds, so as many steps: the real features again; with noise
  (`added.Noisy`, the conventional augmentation of section 1, on h and t instead of the wave form); mixtures of two real
  ones and of their labels (`added.Mixed`, Zhang et al. 2018). In the multimodal form, where generation adds three
  pairings, noise adds the same three, and mixup three mixtures of whole pairs.
- Augmented recordings (`added.Copied`): the frozen encoder's h of stored copies of the train utterances, instead of
  generated ones and as many. Each place has one of its utterance's copies, drawn anew for each; they are normalised
  as the originals are, and the encoder of stage 1 never saw them, as it never saw generated features. An
  augmentation of the audio leaves what is said as it is, so the text beside a copy is the real one: of generation's
  three pairings (h, t'), (h', t), (h', t') only (h', t) has a counterpart, and in the multimodal form all three added
  places hold such pairs, each with a copy of its own. That gives copies no less than generation gets in items and
  steps, and more variety of audio where there are several; it gives them no new text.
- The control cGAN: no text, no prediction losses; instead D has a logit for each class and judges a feature by its own
  label's. The label beside h in D's input, as Mirza and Osindero 2014 have it, would leave the paper's linear D blind
  to whether the two fit. Its learning rate is 1e-3: at 1e-4 generated features are recalled at chance after 15 epochs
  on IEMOCAP, as this D must learn the classes that W_y brings along.
- An utterance without audio takes no part in training and is classified from the mean of the train rows; one
  without text takes no part in eq. 5, 6 and 13 and has the mean text elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import version

import numpy as np
import torch

from trainables.corpus import Corpus
from trainables.epoch import Tensors
from trainables.methods import Method, Stage
from trainables.mi_infogan import align, augment, generate
from trainables.mi_infogan.config import Config
from trainables.mi_infogan.data import check
from trainables.mi_infogan.predict import predict_logits


def _augments(config: Config) -> bool:
    """Unimodal without augmentation, the baseline is the result; multimodal, there is a classifier to train."""
    return config.augment.source != "none" or config.augment.inputs == "audio+text"


def predict(config: Config, artifacts: Mapping[str, Tensors], corpus: Corpus) -> np.ndarray:
    """Class probabilities of every utterance under every trained row, shape (rows, utterances, classes)."""
    with torch.no_grad():
        return np.asarray(torch.softmax(predict_logits(config, artifacts, corpus), -1).numpy())


def outside(config: Config) -> tuple[str, ...]:
    """The content of the encoders that a config names, as it was when this process first asked, and what runs them."""
    names = [name for name in (config.align.encoder, config.align.text_encoder) if name]
    return tuple(map(_content, names)) + ((f"transformers {version('transformers')}",) if names else ())


@cache
def _content(name: str) -> str:
    from trainables.encoders import hub  # only where encoders are used

    return hub.content(name)


METHOD = Method(
    name="mi_infogan",
    title="Improving Speech Emotion Recognition with Mutual Information Regularized Generative Model",
    citation="Ahn, Rana, Sivadas, Busso, Rajapakse 2025, arXiv 2510.10078",
    config=Config,
    stages=(
        Stage(
            name=align.NAME,
            run=align.run,
            active=lambda config: True,
            epochs=lambda config: config.align.epochs,
            depends=("align",),
            classifies=True,
            vectors=("align.alpha", "align.beta", "align.temperature", "align.learning_rate", "align.weight_decay"),
            distributed=lambda config: config.align.tunes,
        ),
        Stage(
            name=generate.NAME,
            run=generate.run,
            active=lambda config: config.augment.source == "generated",
            epochs=lambda config: config.generate.epochs,
            depends=("generate",),
            classifies=False,
            vectors=("generate.lambda_y", "generate.lambda_t", "generate.learning_rate", "generate.beta1"),
        ),
        Stage(
            name=augment.NAME,
            run=augment.run,
            active=_augments,
            epochs=lambda config: config.augment.epochs,
            depends=("augment",),
            classifies=True,
            vectors=("augment.learning_rate",),
        ),
    ),
    predict=predict,
    raw=lambda config: config.align.raw,
    check=check,
    outside=outside,
    measures={
        "spread_ratio": (
            "Spread ratio",
            "spread around the class means, generated / real; 0 is collapse to one prototype a class",
        ),
        "noise_spread": (
            "Noise spread",
            "spread over the noise alone, at fixed label and text / spread of real ones around the class means",
        ),
        "norm_ratio": (
            "Norm ratio",
            "mean length of generated / of real features; far from 1 is a generator that blew up",
        ),
        "mi_y": ("I(c; h), emotion", "lower bound in nats; at most log(number of classes)"),
        "mi_t": ("I(c; h), text", "lower bound in nats; at most the log of the number of texts told apart"),
        "recall_real": ("Recall of real", "share of real features of a class that the frozen classifier calls so"),
        "recall_generated": (
            "Recall of generated",
            "share of generated features of a class that the frozen classifier calls so; near 1 is prototypes",
        ),
    },
    version=1,
)
