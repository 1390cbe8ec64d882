"""Settings of `subspace_mapping`; defaults are those of Du et al. 2024, table 2, where the paper states them.

What the paper leaves open is marked *decision*; the reasons stand in `trainables.subspace_mapping.method`.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from trainables.conditions import Inputs
from trainables.section import Section


class Fuse(Section):
    """The one stage, eq. 1-13: encoders over dialogues, two subspaces, cross-modality attention, classifier."""

    inputs: Inputs = "all"
    """What is classified; with one modality only its encoder and its cross entropy are left (table 3, A and T)."""
    encoder: Literal["bigru", "bilstm", "gru", "none"] = "bigru"
    """What reads a dialogue's utterances in turn order, section 3.3; ``none`` leaves it to the attention."""
    self_attention: bool = True
    """Whether self-attention over the dialogue follows the encoder, section 3.3."""
    subspace: bool = True
    """Whether public and unique representations are formed, eq. 4; else the encoders' outputs are classified."""
    cross_attention: bool = True
    """Whether cross-modality attention exchanges the unique representations, eq. 10 and 11."""
    unimodal: float = Field(1.0, ge=0)
    """Weight of the unimodal auxiliary loss L_ua, eq. 3 and 13 (the paper's is 1); 0 skips it."""
    alpha: float = Field(0.1, ge=0)
    """Weight of the similarity and difference losses in eq. 9; 0 skips both."""
    beta: float = Field(0.1, ge=0)
    """Weight of the subspace loss L_sp in eq. 13; 0 skips it."""
    similarity: float = Field(1.0, ge=0)
    """Weight of L_sim, eq. 5, beside alpha (the paper's is 1); 0 skips it."""
    difference: float = Field(1.0, ge=0)
    """Weight of L_dif, eq. 6, beside alpha (the paper's is 1); 0 skips it."""
    reconstruction: float = Field(1.0, ge=0)
    """Weight of L_rec, eq. 7, in eq. 9 (the paper's is 1); 0 skips it."""
    cycle: float = Field(1.0, ge=0)
    """Weight of L_cyc, eq. 8, in eq. 9 (the paper's is 1); 0 skips it."""
    cmd_order: int = Field(5, ge=1, le=10)
    """K of eq. 5, the highest central moment compared. Decision: that of Zellinger et al. 2017."""
    printed_difference: bool = False
    """Eq. 6 as printed, a sum that grows with the square of the batch, instead of the bounded form. Decision."""
    hidden: int = Field(100, ge=2)
    """d: size of every representation. Decision: the two directions of the encoder have half of it each."""
    heads: int = Field(4, ge=1)
    """Heads of self- and cross-modality attention."""
    dropout: float = Field(0.2, ge=0, lt=1)
    """Dropout after self-attention and after cross-modality attention."""
    max_turns: int | None = Field(None, ge=1)
    """Cut longer dialogues into pieces of so many turns; 1 leaves no context, None cuts nothing."""
    shuffle_turns: bool = False
    """Read the turns of a dialogue in random order: what turn order is worth."""
    learning_rate: float = Field(1e-3, gt=0)
    """Adam's step size. Decision."""
    weight_decay: float = Field(1e-5, ge=0)
    """The paper's L2 weight, as decoupled weight decay."""
    batch_size: int = Field(20, ge=1)
    """Dialogues a step. Decision: the paper says 20 and not of what."""
    epochs: int = Field(150, ge=1)
    """Epochs trained; the one with the best dev UAR counts. Decision (the paper names no dev part)."""
    class_weights: bool = True
    """Weight the cross entropies inversely to class counts of the train rows. Decision."""

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        if self.hidden % self.heads:
            raise ValueError(f"hidden: {self.hidden} cannot be shared by {self.heads} heads; use a multiple")
        if self.hidden % 2 and self.encoder in ("bigru", "bilstm"):
            raise ValueError(f"hidden: {self.hidden} cannot be halved between the two directions; use an even number")
        return self


class Config(Section):
    """All settings of one `subspace_mapping` arm."""

    fuse: Fuse = Fuse()
