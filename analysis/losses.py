"""How every loss term went down, epoch by epoch, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq

from analysis.run import Run


class LossCurve(NamedTuple):
    """One term of one stage of an arm, unweighted.

    Attributes:
        arm: The arm.
        stage: The stage.
        term: The term's name.
        epoch: Epochs of the stage, shape (E,).
        mean: Mean over folds and seeds, shape (E,).
        std: Spread over folds and seeds (ddof 1), shape (E,); NaN with one.
    """

    arm: str
    stage: str
    term: str
    epoch: np.ndarray
    mean: np.ndarray
    std: np.ndarray


def curves(run: Run, arms: Sequence[str]) -> list[LossCurve]:
    """The loss curves of some arms, arm by arm, in the order in which stages and terms came.

    Read only when asked for, and of these arms alone: the terms of all arms are the bulk of a run's tables.
    """
    rows = _rows(run, arms)
    if rows.empty:
        return []
    keys = ["arm", "stage", "term"]
    # Arms as they were given, not as they ended.
    rows = rows.sort_values("arm", key=lambda column: column.map(list(arms).index), kind="stable")
    epochs = rows.groupby([*keys, "epoch"], sort=False)["value"].agg(["mean", "std"]).reset_index()
    return [
        LossCurve(str(arm), str(stage), str(term), *(mine[name].to_numpy(float) for name in ("epoch", "mean", "std")))
        for (arm, stage, term), mine in epochs.groupby(keys, sort=False)
    ]


def _rows(run: Run, arms: Sequence[str]) -> pd.DataFrame:
    """One row an arm, stage, epoch, term and fold-seed row whose value is finite."""
    path = run.path / "curves.parquet"
    if not arms or "terms" not in pq.read_schema(path).names:
        return pd.DataFrame()
    table = pq.read_table(path, columns=["arm", "stage", "epoch", "terms"], filters=pc.field("arm").isin(list(arms)))
    table = table.to_pandas(maps_as_pydicts="lossy")
    table["terms"] = [list((terms or {}).items()) for terms in table["terms"]]
    table = table.explode("terms", ignore_index=True).dropna(subset="terms")
    if table.empty:
        return table
    table["term"], table["value"] = zip(*table.pop("terms"), strict=True)
    table = table.explode("value", ignore_index=True)
    table["value"] = table["value"].astype(float)
    return table[np.isfinite(table["value"])]
