"""What a reader of a corpus is: where its files lie, what can be chosen, and the counts its papers print."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field

from trainables.section import Section

#: One utterance: columns of the corpus by name. ``recording`` is a `Path`, whether or not a file is there; None means
#: that the corpus itself says there is none.
Row = dict[str, Any]


class Options(Section):
    """What every reader lets one choose."""

    shortest: float = Field(0.0, ge=0)
    """Utterances shorter than this many seconds are left out."""
    classes: dict[str, str] = Field({})
    """Class of each of the corpus's own labels (``label_raw``); a label that is not named here gets none."""


@dataclass
class Tree:
    """What a reader found in a folder.

    Attributes:
        rows: The utterances, in any order.
        notes: What was left aside or had to be decided, a sentence each.
    """

    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Published:
    """Counts that a paper prints of a corpus, or of a part of it.

    Attributes:
        title: Of which part.
        source: Who says so, and where.
        counts: Utterances by value of ``column``.
        column: What is counted by.
        where: The part: only utterances with these values.
        groups: All values of columns such as ``session``: what is not in the tree explains a difference.
        short_too: Whether the count holds utterances that are left out as too short.
    """

    title: str
    source: str
    counts: Mapping[str, int]
    column: str = "label"
    where: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    short_too: bool = False


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Reads one corpus as it is distributed.

    Attributes:
        name: Its name on the command line, also the column ``corpus``.
        title: What the corpus is called.
        citation: Authors, year.
        layout: What the folder to read must hold, in a few words.
        options: What can be chosen; defaults are the papers'.
        read: ``read(source, options)`` parses names and label files, opens no audio, and raises `InputError` naming
            file and line.
        published: Counts to compare with.
    """

    name: str
    title: str
    citation: str
    layout: str
    options: type[Options]
    read: Callable[[Path, Any], Tree]
    published: tuple[Published, ...] = ()
