"""Settings of `concat_mlp`; a baseline of ours, so every default is a decision."""

from __future__ import annotations

from pydantic import Field

from trainables.conditions import Inputs
from trainables.section import Section


class Classify(Section):
    """The only stage: a multilayer perceptron on the standardised features of all modalities side by side."""

    inputs: Inputs = "all"
    """Which modalities are classified: all there are, or some of them."""
    hidden: tuple[int, ...] = (256,)
    """Hidden widths, with ReLU; none is a linear layer."""
    dropout: float = Field(0.5, ge=0, lt=1)
    """Dropout on the units of every hidden layer."""
    learning_rate: float = Field(1e-3, gt=0)
    """Adam's step size."""
    weight_decay: float = Field(0.1, ge=0)
    """Decoupled weight decay."""
    batch_size: int = Field(128, ge=2)
    """Utterances a step."""
    epochs: int = Field(20, ge=1)
    """Epochs trained; the one with the best dev UAR counts."""
    class_weights: bool = True
    """Weight the cross entropy inversely to class counts of the train rows."""


class Config(Section):
    """All settings of one `concat_mlp` arm."""

    classify: Classify = Classify()
