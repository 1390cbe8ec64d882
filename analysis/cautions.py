"""What a careful reviewer would object to, said by the report itself."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import cast

import numpy as np

from analysis import aggregate, compare, published, search, statistics
from analysis.findings import Findings
from analysis.words import change, number, plural, share

#: Fewer folds than this are called few.
FEW_FOLDS = 5


def cautions(found: Findings) -> list[str]:
    """Warnings in plain words, the graver first; texts of the corpus and of the protocol as they stand."""
    run = found.run
    written = [*(run.provenance.get("warnings") or []), *(run.provenance["corpus"].get("warnings") or [])]
    texts = [
        *_speakers(found),
        *_folds(found),
        *_flags(found),
        *_edges(found),
        *_absent(found),
        *_seeds(found),
        *_power(found),
        *_published(found),
    ]
    return list(dict.fromkeys([*_unfinished(found), *texts, *_gap(found), *map(str, written)]))


def _unfinished(found: Findings) -> Iterator[str]:
    if not found.run.finished:
        yield "The run is not finished: numbers, choices and verdicts may change."


def _speakers(found: Findings) -> Iterator[str]:
    shared: dict[str, list[str]] = {}
    for fold in found.run.provenance["folds"]:
        parts = {part: set(names) for part, names in (fold.get("speakers") or {}).items()}
        for first, second in (("train", "test"), ("train", "dev"), ("dev", "test")):
            if parts.get(first, set()) & parts.get(second, set()):
                shared.setdefault(f"{first} and {second}", []).append(str(fold["name"]))
    for parts_text, folds in shared.items():
        yield (
            f"Speakers are shared between {parts_text} in {plural(len(folds), 'fold')} ({_some(folds)}): "
            "scores there do not speak for unseen speakers."
        )


def _some(names: list[str], most: int = 4) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _folds(found: Findings) -> Iterator[str]:
    folds = len({fold for fold, _ in found.run.rows})
    if folds == 1:
        yield "There is one fold: spread over folds and tests between arms cannot be computed."
    elif folds < FEW_FOLDS:
        yield f"There are only {folds} folds: intervals are wide, and small effects cannot be told from noise."


#: More flagged arms than this that would have been chosen are said in one sentence.
FEW_FLAGGED = 3


def _flags(found: Findings) -> Iterator[str]:
    flagged = search.flagged(found.run)
    passed = flagged[flagged["passed_over"].astype(bool)].sort_values("score", ascending=False, kind="stable")
    if len(passed) > FEW_FLAGGED:
        best = passed.iloc[0]
        yield (
            f"{len(passed):,} arms scored higher on dev than the arm chosen, but are flagged "
            f"({_some(list(dict.fromkeys(passed['flags'])))}) and were not chosen; the highest is {best['name']} "
            f"({share(float(best['score']))} %)."
        )
        return
    for arm in passed.itertuples(index=False):
        yield (
            f"{arm.name} scored higher on dev ({share(float(cast('float', arm.score)))} %) than the arm chosen, "
            f"but is flagged ({arm.flags}) and was not chosen."
        )


def _edges(found: Findings) -> Iterator[str]:
    if found.best is None:
        return
    for edge in search.edges(found.run, found.best):
        yield (
            f"The best arm's {edge.parameter} = {number(edge.value)} lies at the {edge.end} end of its range "
            f"({number(edge.low)} to {number(edge.high)}): the optimum may lie beyond."
        )


def _absent(found: Findings) -> Iterator[str]:
    if found.best is None or all("classes" in fold for fold in found.run.provenance["folds"]):
        return  # Runs that count classes fold by fold have said so before they began.
    for split in ("test", "dev"):
        absent = aggregate.absent_classes(found.run, found.best, split)
        if absent:
            folds = [f"{fold} lacks {names}" for fold, names in absent.items()]
            yield f"Classes are absent from {split} ({_some(folds)}); UAR there is the mean over the classes present."


def _published(found: Findings) -> Iterator[str]:
    """With the sources as they stand: they say in what a paper's metric or protocol differs."""
    values = [value for one in found.shown for value in published.of_row(found.run, one.row)]
    sources = sorted({value.source for value in values if value.condition in found.conditions})
    if sources:
        yield (
            "Published numbers are shown beside ours to be looked at, not to be compared: features, folds, dev parts "
            f"and choice of epoch are the paper's own ({'; '.join(sources)})."
        )


def _seeds(found: Findings) -> Iterator[str]:
    """Compares both on dev, where the choice was made, each as the spread of a mean over folds."""
    top = found.top[found.top["flags"].map(len) == 0]
    rows = aggregate.final_rows(found.run)
    rows = rows[rows["arm"].isin(list(top["arm"])) & (rows["split"] == "dev")]
    by_seed = rows.groupby(["arm", "seed"], observed=True)["uar"].mean()
    between_seeds = float(np.sqrt(by_seed.groupby("arm", observed=True).var(ddof=1).mean()))
    if len(top) < 3 or math.isnan(between_seeds):
        return
    between_arms = float(np.std(top["score"], ddof=1))
    if between_seeds > between_arms:
        yield (
            "Seeds vary more than arms: with another seed, the dev UAR of one and the same arm spreads by "
            f"{share(between_seeds, 2)} points, that of the {len(top)} finished arms by {share(between_arms, 2)}. "
            "Which arm is best is mostly chance."
        )


def _power(found: Findings) -> Iterator[str]:
    """Silence about an effect that the study was likely to miss is no evidence against it."""
    silent = {one.arm for one in found.ablation if one.verdict not in (compare.HELPS, compare.HURTS)}
    missed = [one for one in found.evidence if one.arm in silent and one.power < statistics.POWER]
    missed = [one for one in missed if abs(one.published) > statistics.ROPE]
    if missed:
        chances = [f"{one.name}: {change(one.published)} points, {100 * one.power:.0f} %" for one in missed]
        yield (
            "These folds and seeds are too few to be sure of seeing what the paper reports. Chance of seeing it, if it "
            f"is there: {_some(chances)}. No evidence for such a row is no evidence against it."
        )


def _gap(found: Findings) -> Iterator[str]:
    dev, test = (found.number(found.best, "uar", split) for split in ("dev", "test"))
    if dev - test > compare.BLIND:
        yield f"The best arm's dev UAR is {change(dev - test)} points above its test UAR: the choice was optimistic."
