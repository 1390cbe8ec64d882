"""What finished stages measured about themselves, in the words that the method gives its measures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from analysis.run import Run

#: Words of mi_infogan's measures, for runs of before a run recorded them.
_MI_INFOGAN = {
    "spread_ratio": (
        "Spread ratio",
        "spread around the class means, generated / real; 0 is collapse to one prototype a class",
    ),
    "noise_spread": (
        "Noise spread",
        "spread over the noise alone, at fixed label and text / spread of real ones around the class means",
    ),
    "norm_ratio": ("Norm ratio", "mean length of generated / of real features; far from 1 is a generator that blew up"),
    "mi_y": ("I(c; h), emotion", "lower bound in nats; at most log(number of classes)"),
    "mi_t": ("I(c; h), text", "lower bound in nats; at most the log of the number of texts told apart"),
    "recall_real": ("Recall of real", "share of real features of a class that the frozen classifier calls so"),
    "recall_generated": ("Recall of generated", "share of generated features of a class that it calls so"),
}


class Measure(NamedTuple):
    """One measure of an arm over its folds and seeds.

    Attributes:
        measure: Its name in `diagnostics.parquet`.
        label: The class, or other part, it is of; empty for the whole.
        title: Its name in words.
        meaning: What it says.
        value: Mean over folds of the mean over seeds.
        fold_std: Spread of the fold means; NaN with one fold.
    """

    measure: str
    label: str
    title: str
    meaning: str
    value: float
    fold_std: float


def words(run: Run) -> Mapping[str, tuple[str, str]]:
    """Title and meaning of every measure that the run has words for, in the method's order."""
    recorded = (run.provenance.get("method") or {}).get("measures")
    if recorded is None:
        return _MI_INFOGAN
    return {str(name): (str(title), str(meaning)) for name, (title, meaning) in recorded.items()}


def measures(run: Run, arm: str) -> list[Measure]:
    """What was measured of an arm: in the order of `words`, what has none last; classes in the corpus's order."""
    known = words(run)
    means = fold_means(run, arm)
    found = [
        _measure(known, str(name), str(label), values)
        for (name, label), values in means.groupby(["measure", "label"], sort=False)["value"]
    ]
    places = {name: place for place, name in enumerate(known)}
    labels = {label: place for place, label in enumerate(run.classes)}
    return sorted(found, key=lambda one: (places.get(one.measure, len(places)), labels.get(one.label, len(labels))))


def _measure(known: Mapping[str, tuple[str, str]], name: str, label: str, values: pd.Series) -> Measure:
    title, meaning = known.get(name, (name, ""))
    return Measure(name, label, title, meaning, float(values.mean()), float(values.std(ddof=1)))


def fold_means(run: Run, arm: str) -> pd.DataFrame:
    """``measure``, ``label`` (empty for the whole), ``fold`` and ``value``, the mean over seeds, of one arm."""
    rows = run.diagnostics[run.diagnostics["arm"] == arm]
    rows = rows.assign(label=rows["label"].fillna(""))
    return rows.groupby(["measure", "label", "fold"], sort=False)["value"].mean().reset_index()


def averages(run: Run, arm: str) -> dict[str, tuple[float, float]]:
    """Value and spread over folds of every measure of an arm; of one in parts, the mean over them."""
    per_fold = fold_means(run, arm).groupby(["measure", "fold"], sort=False)["value"].mean()
    by_measure = per_fold.groupby("measure", sort=False)
    means, stds = by_measure.mean(), by_measure.std(ddof=1)
    return {str(name): (float(means[name]), float(stds[name])) for name in means.index}
