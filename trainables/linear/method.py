"""`linear`: balanced multinomial logistic regression on the standardised features of all modalities side by side.

Citation: a baseline of ours, no paper's. Solver: F. Pedregosa et al., "Scikit-learn: Machine Learning in Python",
JMLR 12, 2011.

================================  ==================
what                              function
================================  ==================
objective and its solution        `fit.coefficients`
early fusion of the modalities    `prepared.concatenated`
logits                            `fit.linear`
================================  ==================

Decisions:

- Features are standardised on the fold's train rows; a missing modality is 0 there, the mean of the train rows.
  Utterances with none of the modalities are not trained on, and get no prediction.
- The problem is convex and solved to scikit-learn's tolerance, so seeds do not matter: each fold is solved once and
  copied to all of its seeds. A spread over seeds of 0 is right.
- There is one "epoch", so dev chooses nothing within an arm; C is chosen on dev by a search over arms.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from trainables.corpus import Corpus
from trainables.epoch import Tensors
from trainables.linear import fit
from trainables.linear.config import Config
from trainables.methods import Method, Stage
from trainables.prepared import concatenated, modalities_in, normalised


def predict(config: Config, artifacts: Mapping[str, Tensors], corpus: Corpus) -> np.ndarray:
    """Class probabilities of every utterance under every trained row, shape (rows, utterances, classes).

    NaN where an utterance has none of the modalities it was trained on.
    """
    del config  # the artifact says which modalities it wants
    artifact = artifacts[fit.NAME]
    modalities = modalities_in(artifact)
    x = concatenated(normalised(artifact, corpus, modalities, len(artifact["weight"])))
    probabilities = torch.softmax(fit.linear(artifact, x), -1).numpy()
    probabilities[:, ~np.any([corpus.present[name] for name in modalities], axis=0)] = np.nan
    return np.asarray(probabilities)


METHOD = Method(
    name="linear",
    title="Balanced multinomial logistic regression on concatenated features",
    citation="baseline; solver: Pedregosa et al. 2011, JMLR 12",
    config=Config,
    stages=(
        Stage(
            name=fit.NAME,
            run=fit.run,
            active=lambda config: True,
            epochs=lambda config: 1,
            depends=("fit",),
            classifies=True,
        ),
    ),
    predict=predict,
    version=1,
    measures={
        "steps": ("Steps of the solver", "L-BFGS steps until convergence; equal to max_iter, it did not converge")
    },
)
