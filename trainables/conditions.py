"""Which modalities are in use or present: names such as ``audio+text``, their order, and every subset of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Literal

from trainables.errors import InputError

#: Every modality there can be, in the order in which names list them; a feature column starts with one and `_`.
MODALITIES = ("audio", "text", "video")
#: What a method may be told to classify: all that the study has, or some of it.
Inputs = Literal["all", "audio", "text", "video", "audio+text", "audio+video", "text+video"]


def name(modalities: Iterable[str]) -> str:
    """The condition in which these modalities are present, such as ``audio+text``."""
    there = set(modalities)
    return "+".join(each for each in MODALITIES if each in there)


def chosen(inputs: str, available: Iterable[str]) -> tuple[str, ...]:
    """The modalities an `Inputs` value stands for.

    Args:
        inputs: ``all``, or names joined by ``+``.
        available: What the corpus and the study have.

    Raises:
        InputError: If one of them is not available.
    """
    there = [each for each in MODALITIES if each in set(available)]
    wanted = there if inputs == "all" else inputs.split("+")
    for each in wanted:
        if each not in there:
            raise InputError(f"config inputs: {inputs!r} needs {each}, which is not there; there is {', '.join(there)}")
    return tuple(wanted)


def subsets(modalities: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Every non-empty subset, the smaller ones first, all of them last."""
    return tuple(each for size in range(1, len(modalities) + 1) for each in combinations(modalities, size))
