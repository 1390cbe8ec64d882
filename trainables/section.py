"""What every section of settings has in common: frozen, no unknown keys, no NaN, described by attribute docstrings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, PrivateAttr


class Section(BaseModel):
    """Base of the sections of a method's config and of a study file."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    #: The same section of all arms that are trained side by side, this one first; empty where it is trained alone.
    _arms: tuple[Section, ...] = PrivateAttr(())

    def across(self, name: str) -> tuple[Any, ...]:
        """The value of a field in every arm that is trained side by side with this one; of this one alone, else."""
        return tuple(getattr(each, name) for each in self._arms or (self,))

    @classmethod
    def merged(cls, arms: Sequence[Self]) -> Self:
        """The first of several settings, which knows the others': see `across`."""
        merged = arms[0].model_copy()
        merged._arms = tuple(arms)
        for name, value in merged:
            if isinstance(value, Section):
                # Frozen towards everybody else; a copy, so that the arm's own stays as it is.
                merged.__dict__[name] = type(value).merged([getattr(each, name) for each in arms])
        return merged
