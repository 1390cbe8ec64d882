"""Names of augmented copies: a feature column ``audio_mfcc`` may have copies ``audio_mfcc+noise10`` beside it.

Such a column holds what an encoder makes of the same recordings after an augmentation
(`trainables.augmentations`). It is no feature set of its own: it is never used to choose or to test.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

#: Stands between the name of a feature column and that of the augmentation.
PLUS = "+"


def is_copy(column: str) -> bool:
    """Whether a column holds augmented copies of another one.

    Example:
        >>> is_copy("audio_mfcc+noise10"), is_copy("audio_mfcc")
        (True, False)
    """
    return PLUS in column


def copy_of(column: str, augmentation: str) -> str:
    """The column that holds a feature column's copies under an augmentation."""
    return f"{column}{PLUS}{augmentation}"


def augmentation_in(copy: str) -> str:
    """The augmentation of a column of copies.

    Example:
        >>> augmentation_in("audio_mfcc+noise10")
        'noise10'
    """
    return copy.partition(PLUS)[2]


def kind(augmentation: str) -> str:
    """What sort of augmentation a name is of: the word before its settings.

    Example:
        >>> kind("noise10"), kind("pitch-2"), kind("specaugment:masks=3")
        ('noise', 'pitch', 'specaugment')
    """
    found = re.match(r"[A-Za-z_]+", augmentation)
    return found[0] if found else augmentation


def chosen(wanted: Sequence[str] | None, there: Iterable[str]) -> tuple[str, ...]:
    """The augmentations that are meant, in the order in which they are there.

    Args:
        wanted: Augmentations, or kinds of them: ``noise`` means all noise; None means all.
        there: Augmentations that a corpus has copies by.

    Example:
        >>> chosen(["speed", "noise10"], ["noise0", "noise10", "speed0.9", "speed1.1"])
        ('noise10', 'speed0.9', 'speed1.1')
    """
    return tuple(each for each in there if wanted is None or each in wanted or kind(each) in wanted)


def unknown(wanted: Sequence[str] | None, there: Iterable[str]) -> str:
    """The first wanted augmentation, or kind, that a corpus has no copies by; "" if none.

    Example:
        >>> unknown(["noise", "pitch2"], ["noise10", "speed0.9"])
        'pitch2'
    """
    found = tuple(there)
    return next((each for each in wanted or () if not chosen([each], found)), "")


def nearest(name: str, known: Iterable[str]) -> str:
    """``; did you mean ...?`` with the known name nearest to one, or "" when none is near."""
    near = difflib.get_close_matches(name.lower(), [*known], n=1)
    return f"; did you mean {near[0]}?" if near else ""
