"""Settings of the trivial method."""

from __future__ import annotations

from pydantic import Field

from trainables.section import Section


class Learn(Section):
    """Makes numbers up."""

    rate: float = Field(0.5, ge=0, le=1)
    """What is searched."""
    epochs: int = Field(1, ge=1)
    """Epochs made up."""


class Config(Section):
    """All of it."""

    learn: Learn = Learn()
