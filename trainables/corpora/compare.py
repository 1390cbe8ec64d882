"""Counts of a built corpus beside those that papers print, and why they may differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from trainables.corpora.reader import Published
from trainables.corpora.sources import count


@dataclass(frozen=True)
class Comparison:
    """One published table beside this tree.

    Attributes:
        published: What a paper says.
        found: The same counts here, and those of values that the paper does not have.
        reasons: Why they may differ, most likely first; empty where they are equal.
    """

    published: Published
    found: Mapping[str, int]
    reasons: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Whether every count is the published one."""
        return dict(self.found) == dict(self.published.counts)


@dataclass(frozen=True, kw_only=True)
class Left:
    """What was left out, or is not the default.

    Attributes:
        broken: Utterances whose recording cannot be used.
        options: Options that are not the defaults, as text.
    """

    broken: int
    options: Sequence[str]


def compare(published: Published, kept: pd.DataFrame, short: pd.DataFrame, left: Left) -> Comparison:
    """Count what a paper counts.

    Args:
        published: The paper's counts.
        kept: The utterances of the corpus.
        short: Those that were left out as too short.
        left: What else was left out.
    """
    table = pd.concat([kept, short]) if published.short_too else kept
    part = _part(table, published.where)
    counted = part[published.column].dropna().value_counts()
    names = list(dict.fromkeys([*published.counts, *sorted(counted.index)]))
    if published.column != "label":
        names = list(published.counts)
    found = {name: int(counted.get(name, 0)) for name in names}
    if found == dict(published.counts):
        return Comparison(published, found, ())
    return Comparison(published, found, tuple(_reasons(published, table, left, found)))


def _part(table: pd.DataFrame, where: Mapping[str, str]) -> pd.DataFrame:
    for column, value in where.items():
        table = table[table[column] == value]
    return table


def _reasons(published: Published, table: pd.DataFrame, left: Left, found: Mapping[str, int]) -> list[str]:
    reasons = []
    for column, names in published.groups.items():
        missing = [name for name in names if name not in set(table[column])]
        if missing:
            more = ", ..." if len(missing) > 5 else ""
            reasons.append(f"the tree lacks {len(missing)} of {len(names)} {column}s ({', '.join(missing[:5])}{more})")
    if left.broken:
        reasons.append(f"{count(left.broken, 'utterance')} left out because the recording cannot be used")
    if left.options:
        reasons.append(f"options differ from the paper's: {', '.join(left.options)}")
    if reasons:
        return reasons
    surplus = sum(found.values()) > sum(published.counts.values())
    return [
        "nothing that was left out explains it: another release than the paper's, "
        + ("files added to the tree" if surplus else "files missing from the tree")
        + ", or labels changed by hand"
    ]
