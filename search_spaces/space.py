"""Ranges over a method's settings: what a search may try, and how it is written down.

A `Space` maps the path of a config field (``"align.alpha"``) to a range. Bounds are inclusive on both sides,
for integers too; each range checks itself when it is made.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainables.copies import unknown
from trainables.errors import InputError


@dataclass(frozen=True)
class Float:
    """A real number between two bounds.

    Attributes:
        low: Smallest value, inclusive.
        high: Largest value, inclusive.
        log: Whether to sample evenly in the logarithm.
        step: Distance between allowed values, counted from ``low``; None allows all.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None

    def __post_init__(self) -> None:
        _check_bounds(self.low, self.high, self.log, self.step)

    def __contains__(self, value: object) -> bool:
        return _is_number(value) and self.low <= float(value) <= self.high  # type: ignore[arg-type]

    def __str__(self) -> str:
        return f"{self.low:g} .. {self.high:g}{_suffix(self.log, self.step)}"


@dataclass(frozen=True)
class Int:
    """A whole number between two bounds, both included.

    Attributes:
        low: Smallest value.
        high: Largest value, itself allowed.
        log: Whether to sample evenly in the logarithm; then ``step`` must be 1.
        step: Distance between allowed values, counted from ``low``.
    """

    low: int
    high: int
    log: bool = False
    step: int = 1

    def __post_init__(self) -> None:
        for name, value in (("low", self.low), ("high", self.high), ("step", self.step)):
            if isinstance(value, bool) or not isinstance(value, int):
                raise InputError(f"{name}: must be a whole number, is {value!r}")
        _check_bounds(self.low, self.high, self.log, None if self.step == 1 else self.step)
        if self.step < 1:
            raise InputError(f"step: must be at least 1, is {self.step}")

    def __contains__(self, value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{self.low} .. {self.high}{_suffix(self.log, None if self.step == 1 else self.step)}, whole"


@dataclass(frozen=True)
class Choice:
    """One of a few values.

    Attributes:
        options: The values, at least two, all different.
    """

    options: tuple[Any, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", tuple(self.options))
        if len(self.options) < 2:
            raise InputError(f"options: need at least two values, found {list(self.options)!r}")
        shown = [repr(option) for option in self.options]
        if len(set(shown)) < len(shown):
            raise InputError(f"options: values must differ, found {list(self.options)!r}")

    def __contains__(self, value: object) -> bool:
        return value in self.options

    def __str__(self) -> str:
        return " | ".join(str(option) for option in self.options)


Range = Float | Int | Choice
Space = Mapping[str, Range]


@dataclass(frozen=True)
class Published:
    """A number a paper reports, to be shown beside ours and marked as theirs.

    Attributes:
        corpus: Name of the corpus, lower case (``iemocap``).
        metric: The metric in our words (``uar``).
        mean: Its mean, in [0, 1].
        std: Its standard deviation as the paper defines it, or None where the paper gives none.
        source: Where it stands, such as ``Ahn et al. 2025, table 3``.
        condition: What was classified, such as ``audio+text``.
    """

    corpus: str
    metric: str
    mean: float
    std: float | None
    source: str
    condition: str = "audio"

    def __post_init__(self) -> None:
        if not 0 <= self.mean <= 1:
            raise InputError(f"mean: must be a share in [0, 1], is {self.mean}")


@dataclass(frozen=True)
class AblationRow:
    """A named replacement in the config, and what is claimed about it.

    Attributes:
        name: The row's name, in the paper's words.
        change: New values by field path.
        claim: What the paper (or we, for a control) say the row shows.
        published: The paper's numbers of this row.
        control: True for rows that are ours, not the paper's.
    """

    name: str
    change: Mapping[str, Any]
    claim: str
    published: tuple[Published, ...] = ()
    control: bool = False

    def __post_init__(self) -> None:
        if not self.change:
            raise InputError(f"ablation row {self.name!r}: changes nothing")


@dataclass(frozen=True, kw_only=True)
class Spaces:
    """All that can be searched, ablated and probed in one method.

    Attributes:
        method: The method's name.
        spaces: Search spaces by name.
        default_space: The one a study gets that names none.
        ablation: Rows of the paper's ablation table, then our controls.
        sensitivity: Values to try for one field at a time, by field path.
        published: The paper's numbers of the full model.
        requires: Modalities the method cannot do without.
        needs: By modality, the fields that change nothing when the study leaves that modality out.
        unlabeled: Whether the method trains on utterances without labels.
    """

    method: str
    spaces: Mapping[str, Space]
    default_space: str
    ablation: tuple[AblationRow, ...]
    sensitivity: Mapping[str, tuple[Any, ...]]
    published: tuple[Published, ...] = ()
    requires: tuple[str, ...] = ()
    needs: Mapping[str, frozenset[str]]
    unlabeled: bool = False

    def __post_init__(self) -> None:
        if self.default_space not in self.spaces:
            raise InputError(f"default_space: {self.default_space!r} is none of {', '.join(self.spaces)}")
        names = [row.name for row in self.ablation]
        if len(set(names)) < len(names):
            raise InputError(f"ablation: two rows of {self.method} have one name")

    def idle(self, path: str, modalities: tuple[str, ...]) -> bool:
        """Whether a field changes nothing when only these modalities are used."""
        return any(path in fields for modality, fields in self.needs.items() if modality not in modalities)


def lacking(change: Mapping[str, Any], modalities: Sequence[str] | None) -> str:
    """The first modality that values of fields called ``inputs`` name and a study does not have; "" if none.

    Args:
        change: Values by field path.
        modalities: What the study has; None while that is open, and then nothing is missing.
    """
    if modalities is None:
        return ""
    named = [
        each
        for path, value in change.items()
        if path.rpartition(".")[2] == "inputs" and value != "all"
        for each in str(value).split("+")
    ]
    return next((each for each in named if each not in modalities), "")


def without_copies(change: Mapping[str, Any], copies: Sequence[str] | None) -> str:
    """The augmented copies of recordings that values ask for and a corpus does not have; "" if none.

    Args:
        change: Values by field path; those of fields called ``copies`` name augmentations, and a ``source`` that is
            ``recordings`` needs any.
        copies: Augmentations that the corpus has copies by; None while that is open, and then nothing is missing.
    """
    if copies is None:
        return ""
    fields = {path.rpartition(".")[2]: value for path, value in change.items()}
    if fields.get("source", "recordings") != "recordings":
        return ""  # copies that nothing adds
    if named := unknown(fields.get("copies"), copies):
        return named
    return "any" if "source" in fields and not copies else ""


def _check_bounds(low: float, high: float, log: bool, step: float | None) -> None:
    for name, value in (("low", low), ("high", high)):
        if not _is_number(value) or not math.isfinite(value):
            raise InputError(f"{name}: must be a finite number, is {value!r}")
    if not low < high:
        raise InputError(f"low: must be below high, found low {low:g} and high {high:g}")
    if log and low <= 0:
        raise InputError(f"low: must be above 0 on a log scale, is {low:g}")
    if step is not None and log:
        raise InputError("step: cannot be combined with log")
    if step is not None and not 0 < step <= high - low:
        raise InputError(f"step: must be above 0 and fit between low and high, is {step:g}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _suffix(log: bool, step: float | None) -> str:
    return (", log" if log else "") + (f", step {step:g}" if step is not None else "")
