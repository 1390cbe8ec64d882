"""Settings of `distribution_matching`; defaults are those of Liang et al. 2020, section 4.2 and table 3.

What the paper leaves open is marked *decision*; the reasons stand in `trainables.distribution_matching.method`.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trainables.conditions import Inputs
from trainables.section import Section


class Data(Section):
    """What is encoded and classified, and which train utterances are labeled."""

    inputs: Inputs = "all"
    """Which modalities are encoded and classified, table 4."""
    labels: float = Field(1.0, gt=0, le=1)
    """Share of each class's train labels that is kept; the other train utterances join the unlabeled part. A smaller
    share lies within a larger one of the same fold and seed."""
    unlabeled_amount: float = Field(1.0, ge=0, le=1)
    """Share of the unlabeled part that is used, fig. 7a; a smaller share lies within a larger one."""
    balance: bool = True
    """Section 4.2: sample the unlabeled part so that each class, as told by the vanilla classifier, is as frequent."""


class Network(Section):
    """Table 3: one auto-encoder a modality, and the classifier over their joined latents (eq. 5)."""

    hidden: tuple[int, ...] = Field((512, 256), min_length=1)
    """Hidden widths of an encoder of vectors; the decoder mirrors them. The paper's for 1,582 acoustic values;
    decision: the same for any modality that is stored as one vector an utterance."""
    latent_dim: int = Field(128, ge=1)
    """Size of each modality's latent z."""
    classifier: tuple[int, ...] = (128,)
    """Hidden widths of the classifier C. Decision (the paper: "neural network based")."""
    dropout: float = Field(0.5, ge=0, lt=1)
    """Dropout on the encoders' and the classifier's hidden units. Decision."""


class Pretrain(Section):
    """Section 4.2: a vanilla classifier (cross entropy alone) that labels the unlabeled part, to balance it."""

    learning_rate: float = Field(1e-3, gt=0)
    """Adam's step size. Decision: as the main stage."""
    weight_decay: float = Field(0.1, ge=0)
    """Decoupled weight decay. Decision."""
    batch_size: int = Field(128, ge=2)
    """Labeled utterances a step. Decision: as the main stage."""
    epochs: int = Field(15, ge=1)
    """Epochs trained; the one with the best dev UAR labels. Decision."""
    class_weights: bool = True
    """Weight the cross entropy inversely to class counts of the labeled rows. Decision."""


class Train(Section):
    """Eq. 1-9: classification, reconstruction and matching, on labeled and unlabeled utterances together."""

    alpha: float = Field(0.2, ge=0)
    """Weight of the reconstruction loss, eq. 6-8; 0 skips it."""
    beta: float = Field(0.1, ge=0)
    """Weight of the paired and unpaired matching losses, eq. 6-8; 0 skips both."""
    omega: float = Field(0.3, ge=0)
    """Weight of the unlabeled part, eq. 9; 0 skips it: the fully-supervised form."""
    unpaired: Literal["product kernel", "other dialogues", "shuffled", "none"] = "product kernel"
    """What pushes unpaired samples apart (eq. 7). ``shuffled`` is eq. 7 as printed, where both matching terms cancel
    exactly; ``none`` is eq. 6; ``other dialogues`` draws the partner from another dialogue; ``product kernel`` takes
    the MMD between pairs and non-pairs, with a kernel on pairs. Decision."""
    sigma: Literal["median", "fixed"] = "median"
    """Eq. 4's sigma: ``bandwidth`` times the median distance of the batch's latents, or ``bandwidth`` itself.
    Decision."""
    bandwidth: float = Field(1.0, gt=0)
    """Eq. 4's sigma, see ``sigma``."""
    unlabeled: Literal["unlabeled", "labeled again"] = "unlabeled"
    """What eq. 8 is computed on: the unlabeled utterances; or the labeled ones a second time (a control)."""
    learning_rate: float = Field(1e-3, gt=0)
    """Adam's step size."""
    weight_decay: float = Field(0.1, ge=0)
    """Decoupled weight decay. Decision."""
    batch_size: int = Field(128, ge=4)
    """Labeled utterances a step, and as many unlabeled ones beside them."""
    epochs: int = Field(20, ge=1)
    """Epochs trained; the one with the best dev UAR counts. Decision: fig. 7b's best models lie at 10 to 15."""
    class_weights: bool = True
    """Weight the cross entropy inversely to class counts of the labeled rows. Decision."""


class Config(Section):
    """All settings of one `distribution_matching` arm."""

    data: Data = Data()
    network: Network = Network()
    pretrain: Pretrain = Pretrain()
    train: Train = Train()

    @property
    def semi_supervised(self) -> bool:
        """Whether eq. 8 is asked for at all."""
        return self.train.omega > 0 and (self.train.alpha > 0 or self.train.beta > 0)

    @property
    def pseudo_labels(self) -> bool:
        """Whether the vanilla classifier is needed."""
        wanted = self.data.balance and self.data.unlabeled_amount > 0 and self.train.unlabeled == "unlabeled"
        return self.semi_supervised and wanted
