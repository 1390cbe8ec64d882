"""Settings of `cm_arr`; defaults are those of Sun et al. 2024, section 4.2, where the paper states them.

What the paper leaves open is marked *decision*; the reasons stand in `trainables.cm_arr.method`.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from trainables.conditions import Inputs
from trainables.section import Section


class Train(Section):
    """The only stage: all of eq. 14 at once."""

    inputs: Inputs = "all"
    """Which modalities are used, two or more: all there are, or some of them."""
    alpha: float = Field(1.0, ge=0)
    """Weight of the alignment loss L_udcl, eq. 2-5; 0 skips it."""
    beta: float = Field(0.1, ge=0)
    """Weight of the refinement loss L_spcl, section 3.3.1; 0 skips it. Section 4.5 calls 0.5 the best."""
    lambda_rec: float = Field(10.0, ge=0)
    """Weight of the recovery loss L_rec, eq. 9, a mean over values; 0 skips it."""
    likelihood: float = Field(0.0, ge=0)
    """Weight of the flows' negative log-likelihood a value, which eq. 14 lacks; 0, as printed, skips it."""
    representation: Literal["distribution", "point", "plain"] = "distribution"
    """What is aligned: Gaussians of the uncertainty module; its means alone (row "w/ Point"); the tokens, without the
    module (row "Baseline")."""
    drawn: bool = False
    """Whether in training X is made of a sample of the Gaussian instead of its mean. Decision."""
    wasserstein: Literal["deviation", "variance"] = "deviation"
    """The second term of eq. 1: between standard deviations, which is the 2-Wasserstein distance; or between
    variances, as printed."""
    temperature: float = Field(1.0, gt=0)
    """tau of eq. 3-4 before training; learned. Decision."""
    scale: float = Field(0.1, gt=0)
    """-a of eq. 5 before training, of a distance that is a mean over values; learned. Decision: only a / tau acts."""
    spcl_temperature: float = Field(0.1, gt=0)
    """Temperature of L_spcl. Decision: that of Khosla et al. 2020."""
    umc_attention: bool = True
    """Attention over tokens in the uncertainty module, fig. 3."""
    tokens: int = Field(4, ge=1)
    """Tokens that a stored vector becomes. Decision."""
    channels: int = Field(32, ge=4)
    """Values of a token, a multiple of 4 and of ``heads``. Decision."""
    heads: int = Field(4, ge=1)
    """Heads of every attention. Decision."""
    recovery: Literal["flow", "zeros", "token"] = "flow"
    """What stands for a missing modality: eq. 6-8 and the recovery blocks; zeros; a learned vector (controls)."""
    flow: Literal["affine", "spline"] = "affine"
    """Couplings of the flows: affine, as in the flow of DiCMoR; neural splines, 25 times as slow. Decision."""
    transforms: int = Field(4, ge=2)
    """Couplings a flow, two to reach every value. Decision."""
    flow_hidden: tuple[int, ...] = Field((64,), min_length=1)
    """Hidden widths of a coupling's network. Decision."""
    blocks: int = Field(2, ge=1)
    """Residual channel attention blocks after the inverse flow. Decision ("multiple")."""
    channel_attention: bool = True
    """Channel attention in those blocks; without it (row "w/o attention") they are residual convolutions."""
    stop_gradient: Literal["both", "target", "none"] = "both"
    """Where gradients of recovery end: before X on both sides; at the target of eq. 9 only; nowhere, as printed."""
    missing: Literal["subsets", "none"] = "subsets"
    """What is missing in training: each non-empty subset of the modalities is left equally often (decision); nothing
    (row "Baseline")."""
    dropout: float = Field(0.5, ge=0, lt=1)
    """Dropout on the tokens and on the fused representation H. Decision."""
    learning_rate: float = Field(1e-3, gt=0)
    """Adam's step size. The paper's 1e-5 is for fine-tuned encoders; it leaves stored features near chance."""
    weight_decay: float = Field(0.1, ge=0)
    """Decoupled weight decay. Decision."""
    clip: float | None = Field(None, gt=0)
    """Longest gradient of a step; null does not clip. Decision."""
    batch_size: int = Field(16, ge=2)
    """Utterances a step, each other one's negatives, section 4.2."""
    epochs: int = Field(100, ge=1)
    """Epochs trained, section 4.2; the one with the best dev UAR, mean over all conditions, counts."""
    class_weights: bool = True
    """Weight the cross entropy inversely to class counts of the train rows. Decision."""

    @model_validator(mode="after")
    def _divisible(self) -> Self:
        for name, part in (("heads", self.heads), ("4", 4)):
            if self.channels % part:
                raise ValueError(f"channels: {self.channels} is no multiple of {name}")
        if self.drawn and self.representation != "distribution":
            raise ValueError(f"drawn: {self.representation} has no Gaussian to draw from")
        return self


class Config(Section):
    """All settings of one `cm_arr` arm."""

    train: Train = Train()
