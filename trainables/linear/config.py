"""Settings of `linear`; a baseline of ours, so every default is a decision."""

from __future__ import annotations

from pydantic import Field

from trainables.conditions import Inputs
from trainables.section import Section


class Fit(Section):
    """The only stage: logistic regression on the standardised features of all modalities side by side."""

    inputs: Inputs = "all"
    """Which modalities are classified: all there are, or some of them."""
    C: float = Field(0.01, gt=0)
    """Inverse strength of the squared penalty, scikit-learn's C. Decision: the best on dev on IEMOCAP features."""
    class_weights: bool = True
    """Weight the cross entropy inversely to class counts of the train rows."""
    max_iter: int = Field(1000, ge=1)
    """Most steps of the solver (L-BFGS)."""


class Config(Section):
    """All settings of one `linear` arm."""

    fit: Fit = Fit()
