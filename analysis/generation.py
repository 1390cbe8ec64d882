"""Quality of generated features: are they recognised, do they vary, do they carry what they were given?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.run import Run

#: Measure -> (title, what it says).
MEASURES = {
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
}


class Measure(NamedTuple):
    """One measure of an arm over its folds and seeds.

    Attributes:
        measure: Its name in `diagnostics.parquet`.
        title: Its name in words.
        meaning: What it says.
        value: Mean over folds of the mean over seeds.
        fold_std: Spread of the fold means; NaN with one fold.
        ceiling: The largest value it can take; NaN where there is none or it is not known.
    """

    measure: str
    title: str
    meaning: str
    value: float
    fold_std: float
    ceiling: float


def _fold_means(run: Run, arm: str) -> pd.DataFrame:
    rows = run.diagnostics[run.diagnostics["arm"] == arm]
    rows = rows.assign(label=rows["label"].fillna(""))
    return rows.groupby(["measure", "label", "fold"])["value"].mean().reset_index()


def recalls(run: Run, arm: str) -> pd.DataFrame:
    """Recall by class of the frozen classifier on real and on generated features.

    Returns:
        Indexed by class in the corpus's order: ``real``, ``real_std``, ``generated``, ``generated_std`` (spread
        over folds); empty when the arm generated nothing.
    """
    means = _fold_means(run, arm)
    columns = {}
    for kind in ("real", "generated"):
        by_class = means[means["measure"] == f"recall_{kind}"].groupby("label")["value"]
        columns[kind], columns[f"{kind}_std"] = by_class.mean(), by_class.std(ddof=1)
    table = pd.DataFrame(columns)
    if table["generated"].isna().all():
        return table.iloc[:0]
    return table.reindex([name for name in run.classes if name in table.index]).rename_axis("class")


def measures(run: Run, arm: str) -> list[Measure]:
    """The measures of `MEASURES` that the run wrote for an arm."""
    means = _fold_means(run, arm)
    ceilings = {"mi_y": float(np.log(len(run.classes)))}
    found = []
    for name, (title, meaning) in MEASURES.items():
        values = means["value"][means["measure"] == name]
        if len(values):
            std = float(values.std(ddof=1))
            found.append(Measure(name, title, meaning, float(values.mean()), std, ceilings.get(name, np.nan)))
    return found
