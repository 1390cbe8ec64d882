"""Ablated components in every combination: what each is worth by itself, and what they are worth to each other.

A factorial design takes k components and trains all 2^k arms in which each is there or ablated. The main effect of a
component is what it is worth, averaged over all states of the others; the interaction of two is what the one is worth
while the other is there, minus what it is worth while the other is ablated. Rows that leave out one component at a
time cannot tell these: two components that stand in for each other both look worthless there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, combinations
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis import aggregate, compare
from analysis.run import Run
from analysis.statistics import CONFIDENCE, holm

#: Of more rows than this, none is tried as part of a design that no study asked for.
MOST_ROWS = 16
#: More components at once are not looked for; a study may ask for as many.
MOST_FACTORS = 5

TOGETHER = "worth more together"
INSTEAD = "stand in for each other"

#: Rows that are left out of an arm.
Cell = frozenset[str]


class Effect(NamedTuple):
    """One effect of a design.

    Attributes:
        factors: The rows; one for a main effect, two or more for an interaction.
        estimate: The paired contrast over folds; positive where the component helps.
        p_holm: Its p adjusted over all effects of the design.
        verdict: In words.
    """

    factors: tuple[str, ...]
    estimate: compare.Estimate
    p_holm: float
    verdict: str


class Design(NamedTuple):
    """A complete factorial design found in a run.

    Attributes:
        factors: Names of the rows.
        cells: Arm by the rows that it leaves out; the empty cell is the arm they are measured from.
        values: Test UAR of the cells on the rows that all of them have, shape (cells, F, S).
    """

    factors: tuple[str, ...]
    cells: Mapping[Cell, str]
    values: np.ndarray


def design(run: Run, parent: str | None) -> Design | None:
    """The design a study asked for, or else the largest one that the ablation rows make up by themselves.

    Args:
        run: The run.
        parent: The arm that rows are measured from.

    Returns:
        None where no two components have all their combinations done.
    """
    changes = _changes(run)
    if parent is None or not changes:
        return None
    arms = _done(run)
    for factors in _candidates(run, changes):
        cells = _cells(run.arm(parent)["config"], {name: changes[name] for name in factors}, arms)
        values = _values(run, list(cells.values())) if cells else None
        if cells and values is not None:
            return Design(factors, cells, values)
    return None


def effects(run: Run, found: Design) -> list[Effect]:
    """All effects of a design, main effects first."""
    ratio = compare.size_ratio(run)
    factors = list(_subsets(found.factors, 1))
    estimates = [compare.estimate(_contrast(found.values, list(found.cells), each), ratio) for each in factors]
    adjusted = holm(np.array([one.p for one in estimates]))
    return [
        Effect(each, one, float(p), _verdict(each, one, float(p)))
        for each, one, p in zip(factors, estimates, adjusted, strict=True)
    ]


def _changes(run: Run) -> dict[str, dict[str, Any]]:
    """What each ablation row changes; runs of before this was recorded have none."""
    rows = run.provenance.get("ablation") or {}
    return {name: dict(row["change"]) for name, row in rows.items() if row.get("change")}


def _candidates(run: Run, changes: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, ...]]:
    """Sets of rows to try, the one asked for first, then the largest."""
    asked = tuple((run.study.get("ablation") or {}).get("factorial") or ())
    if asked:
        yield from [asked] if all(name in changes for name in asked) else []
        return
    # Of rows that change several fields at once, most are combinations themselves.
    rows = sorted(changes, key=lambda name: len(changes[name]))[:MOST_ROWS]
    fields = {some: [path for name in some for path in changes[name]] for some in _subsets(rows, 2)}
    apart = [some for some, paths in fields.items() if len(set(paths)) == len(paths)]
    yield from sorted(apart, key=lambda some: (-len(some), len(fields[some])))


def _subsets(names: Sequence[str], least: int) -> Iterator[tuple[str, ...]]:
    """Subsets of at least so many names, the small ones first."""
    most = min(len(names), MOST_FACTORS)
    return chain.from_iterable(combinations(names, count) for count in range(least, most + 1))


def _done(run: Run) -> dict[str, str]:
    """Arm by config, of the arms that have test numbers and may be shown."""
    trials = run.trials[(run.trials["status"] == "done") & run.trials["kind"].isin(["ablation", "reference", "search"])]
    return {_key(config): arm for config, arm in zip(trials["config"], trials["arm"], strict=True)}


def _key(config: Mapping[str, Any]) -> str:
    return repr(sorted((path, _plain(value)) for path, value in config.items()))


def _plain(value: Any) -> Any:
    """1 and 1.0 are one setting; True is another."""
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _cells(
    base: Mapping[str, Any], changes: Mapping[str, Mapping[str, Any]], arms: Mapping[str, str]
) -> dict[Cell, str] | None:
    """The arm of every combination; None where one is lacking or two are the same."""
    cells: dict[Cell, str] = {}
    for some in chain([()], _subsets(list(changes), 1)):
        config = {**base, **{path: value for name in some for path, value in changes[name].items()}}
        arm = arms.get(_key(config))
        if arm is None or arm in cells.values():
            return None
        cells[frozenset(some)] = arm
    return cells


def _values(run: Run, arms: Sequence[str]) -> np.ndarray | None:
    """Test UAR of arms on the rows that all of them have, mean over shared conditions, shape (arms, F, S)."""
    rows = aggregate.by_row(aggregate.final_rows(run))
    joined = pd.concat([aggregate.values_of(rows, arm).rename(arm) for arm in arms], axis=1, join="inner").dropna()
    if joined.empty:
        return None
    wide = joined.reset_index().pivot_table(index="fold", columns="seed", values=list(arms), observed=True)
    return np.stack([wide[arm].to_numpy() for arm in arms])


def _contrast(values: np.ndarray, cells: Sequence[Cell], factors: tuple[str, ...]) -> np.ndarray:
    """Paired contrast of an effect, shape (F, S): signs are positive where all of its components are there."""
    signs = np.array([(-1.0) ** len(cell & set(factors)) for cell in cells])
    return np.tensordot(signs, values, axes=1) / (len(cells) / 2 ** len(factors))


def _verdict(factors: tuple[str, ...], found: compare.Estimate, p_holm: float) -> str:
    if len(factors) == 1 or not p_holm < 1 - CONFIDENCE:
        return compare.verdict(found, p_holm)
    return TOGETHER if found.difference > 0 else INSTEAD
