from __future__ import annotations

from trainables.section import Section


class GroupConfig(Section):
    """Settings of the method that several workers can train."""

    epochs: int = 3
    rate: float = 0.5
    dies_at: int = 0
    """The second worker of a group dies at this epoch, the first time."""
    marker: str = ""
    """Where it notes that it has."""
    wrong_at: int = 0
    """An exception is raised at this epoch."""


class Config(Section):
    """All settings."""

    fit: GroupConfig = GroupConfig()
