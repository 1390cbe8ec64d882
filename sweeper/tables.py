"""The columns of a run's tables, and an arm's rows in them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from search_spaces.change import flatten
from sweeper.arms import Arm
from sweeper.execute import Chosen, Report
from trainables import metrics

Status = Literal["done", "stopped", "failed"]
Row = dict[str, Any]

_ARM = [("arm", pa.string()), ("name", pa.string()), ("kind", pa.string())]
_FLOATS = pa.list_(pa.float32())

#: Table name -> columns. The column comments of the documentation are in docs/results.md.
SCHEMAS: Mapping[str, pa.Schema] = {
    "trials": pa.schema(
        [
            *_ARM,
            ("method", pa.string()),
            ("parent", pa.string()),
            ("parameter", pa.string()),
            ("value", pa.string()),
            ("status", pa.string()),
            ("reason", pa.string()),
            ("flags", pa.list_(pa.string())),
            ("config", pa.string()),
            ("changed", pa.string()),
            ("score", pa.float64()),
            ("epochs", pa.int64()),
            ("epochs_planned", pa.int64()),
            ("epochs_trained", pa.int64()),
            ("epochs_reused", pa.int64()),
            ("started_at", pa.float64()),
            ("finished_at", pa.float64()),
            ("seconds", pa.float64()),
            ("started_order", pa.int64()),
            ("finished_order", pa.int64()),
            ("attempts", pa.int64()),
            ("host", pa.string()),
            ("is_reference", pa.bool_()),
            ("is_best", pa.bool_()),
        ]
    ),
    "folds": pa.schema(
        [
            *_ARM,
            ("stage", pa.string()),
            ("final", pa.bool_()),
            ("fold", pa.string()),
            ("seed", pa.int64()),
            ("split", pa.string()),
            ("condition", pa.string()),
            ("uar", pa.float64()),
            ("war", pa.float64()),
            ("wf1", pa.float64()),
            ("macro_f1", pa.float64()),
            ("n", pa.int64()),
            ("absent", pa.int64()),
            ("confusion", pa.list_(pa.int64())),
            ("epoch", pa.int64()),
        ]
    ),
    "speakers": pa.schema(
        [
            ("arm", pa.string()),
            ("fold", pa.string()),
            ("seed", pa.int64()),
            ("condition", pa.string()),
            ("speaker", pa.string()),
            ("n", pa.int64()),
            ("confusion", pa.list_(pa.int32())),
        ]
    ),
    "curves": pa.schema(
        [
            *_ARM,
            ("stage", pa.string()),
            ("epoch", pa.int64()),
            ("budget", pa.int64()),
            ("seconds", pa.float64()),
            ("dev_uar", pa.float64()),
            ("rows", _FLOATS),
            ("terms", pa.map_(pa.string(), _FLOATS)),
        ]
    ),
    "diagnostics": pa.schema(
        [
            ("arm", pa.string()),
            ("fold", pa.string()),
            ("seed", pa.int64()),
            ("stage", pa.string()),
            ("measure", pa.string()),
            ("label", pa.string()),
            ("value", pa.float64()),
        ]
    ),
    "embeddings": pa.schema(
        [
            ("arm", pa.string()),
            ("fold", pa.string()),
            ("seed", pa.int64()),
            ("kind", pa.string()),
            ("label", pa.string()),
            ("vector", _FLOATS),
        ]
    ),
}


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What all arms of a run have in common.

    Attributes:
        rows: Fold name and seed of each row, in row order.
        tested: Row and name of each speaker of the rows' test parts, as `Task.tested`.
        classes: The corpus's class names.
        defaults: The paper's defaults by method and field path, from which ``changed`` is counted.
    """

    rows: tuple[tuple[str, int], ...]
    tested: tuple[tuple[int, str], ...]
    classes: tuple[str, ...]
    defaults: Mapping[str, Mapping[str, Any]]


@dataclass(kw_only=True)
class ArmLog:
    """An arm under way, as seen by the process that writes the tables.

    Attributes:
        arm: The arm.
        started_order: When it was handed out, on the run's clock of events.
        started_at: The same in seconds since 1970.
        attempts: How often its training was begun.
        curve: Its curve rows of the present attempt.
        report: Its latest report.
        host: Where it trains.
    """

    arm: Arm
    started_order: int
    started_at: float
    attempts: int = 0
    curve: list[Row] = field(default_factory=list)
    report: Report | None = None
    host: str = ""

    def begin(self) -> None:
        """Count an attempt; what an earlier one reported comes again from the store."""
        self.attempts += 1
        self.curve, self.report = [], None

    def add(self, report: Report) -> None:
        """Take the next report."""
        self.report = report
        self.curve.append(curve_row(self.arm, report))


def curve_row(arm: Arm, report: Report) -> Row:
    """One epoch of an arm."""
    return {
        **_named(arm),
        "stage": report.stage,
        "epoch": report.epoch,
        "budget": report.budget,
        "seconds": report.seconds,
        "dev_uar": report.dev_uar,
        "rows": None if report.rows is None else _floats(report.rows),
        "terms": [[name, _floats(values)] for name, values in report.terms.items()],
    }


def trial_row(log: ArmLog, frame: Frame, status: Status, reason: str, finished_at: float, order: int) -> Row:
    """One arm that is over.

    Args:
        log: The arm.
        frame: Of the run.
        status: How it ended.
        reason: Why it failed; empty otherwise.
        finished_at: Seconds since 1970.
        order: When it ended, on the run's clock of events.
    """
    arm, report = log.arm, log.report
    settings, defaults = flatten(arm.config), frame.defaults[arm.method]
    return {
        **_named(arm),
        "method": arm.method,
        "parent": arm.parent,
        "parameter": arm.parameter,
        "value": None if arm.parameter is None else json.dumps(arm.value),
        "status": status,
        "reason": reason,
        "flags": list(report.flags) if report else [],
        "config": json.dumps(arm.config),
        "changed": json.dumps({path: value for path, value in settings.items() if defaults.get(path) != value}),
        "score": report.score if report and status != "failed" else None,
        "epochs": report.budget if report else 0,
        "epochs_planned": report.planned if report else 0,
        "epochs_trained": report.trained if report else 0,
        "epochs_reused": report.reused if report else 0,
        "started_at": log.started_at,
        "finished_at": finished_at,
        "seconds": finished_at - log.started_at,
        "started_order": log.started_order,
        "finished_order": order,
        "attempts": log.attempts,
        "host": log.host,
        "is_reference": False,
        "is_best": False,
    }


def fold_rows(arm: Arm, report: Report, frame: Frame) -> list[Row]:
    """Every classifying stage of an arm, fold by fold, at the epochs its dev parts chose."""
    return [row for chosen in report.chosen for row in _fold_rows(arm, chosen, frame)]


def speaker_rows(arm: Arm, report: Report, frame: Frame) -> list[Row]:
    """The test speakers of an arm's last classifying stage, one by one, at the epochs its dev parts chose."""
    return [
        {
            "arm": arm.id,
            "fold": frame.rows[row][0],
            "seed": frame.rows[row][1],
            "condition": condition,
            "speaker": speaker,
            "n": sum(counts),
            "confusion": counts,
        }
        for chosen in report.chosen
        for condition, stacked in chosen.speakers.items()
        for (row, speaker), counts in zip(frame.tested, stacked.reshape(len(stacked), -1).tolist(), strict=True)
    ]


def diagnostic_rows(arm: Arm, report: Report, frame: Frame) -> list[Row]:
    """What an arm's finished stages measured."""
    return [
        {
            "arm": arm.id,
            "fold": frame.rows[each.row][0],
            "seed": frame.rows[each.row][1],
            "stage": stage,
            "measure": each.measure,
            "label": each.label,
            "value": each.value,
        }
        for stage, each in report.diagnostics
    ]


def embeddings(arm: Arm, report: Report, frame: Frame) -> pa.Table:
    """The vectors an arm's last report keeps."""
    tables = []
    for each in report.embeddings:
        fold, seed = frame.rows[each.row]
        n, width = each.vectors.shape
        vectors = pa.ListArray.from_arrays(
            np.arange(n + 1, dtype=np.int32) * np.int32(width),
            pa.array(np.asarray(each.vectors, dtype=np.float32).ravel()),
        )
        columns = {
            "arm": [arm.id] * n,
            "fold": [fold] * n,
            "seed": [seed] * n,
            "kind": [each.kind] * n,
            "label": [frame.classes[label] if label >= 0 else None for label in each.labels],
            "vector": vectors,
        }
        tables.append(pa.table(columns, schema=SCHEMAS["embeddings"]))
    return pa.concat_tables(tables) if tables else SCHEMAS["embeddings"].empty_table()


def table(name: str, rows: Sequence[Row]) -> pa.Table:
    """Rows as a table with the columns of that name."""
    if name == "curves":
        # As read from JSON the pairs are lists, which Arrow takes for no pairs.
        rows = [{**row, "terms": [tuple(pair) for pair in row["terms"]]} for row in rows]
    return pa.Table.from_pylist(list(rows), schema=SCHEMAS[name])


def _named(arm: Arm) -> Row:
    return {"arm": arm.id, "name": arm.name, "kind": arm.kind}


def _fold_rows(arm: Arm, chosen: Chosen, frame: Frame) -> list[Row]:
    rows: list[Row] = []
    for (split, condition), stacked in chosen.confusions.items():
        found = zip(frame.rows, _measures(stacked), chosen.epochs.tolist(), strict=True)
        rows += [
            {
                **_named(arm),
                "stage": chosen.stage,
                "final": chosen.final,
                "fold": fold,
                "seed": seed,
                "split": split,
                "condition": condition,
                **measured,
                "epoch": epoch,
            }
            for (fold, seed), measured, epoch in found
        ]
    return rows


def _measures(counts: np.ndarray) -> list[Row]:
    """Every metric of stacked confusion matrices, shape (R, C, C); none where a part has no utterance."""
    n = counts.sum((-2, -1))
    columns: dict[str, list[Any]] = {
        "n": n.tolist(),
        "confusion": counts.reshape(len(counts), -1).tolist(),
        "absent": (counts.sum(-1) == 0).sum(-1).tolist(),
    }
    for name in ("uar", "war", "wf1", "macro_f1"):
        scores = iter(getattr(metrics, name)(counts[n > 0]).tolist())
        columns[name] = [next(scores) if there else None for there in n.tolist()]
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _floats(values: np.ndarray) -> list[float | None]:
    """As single precision, which is what the tables hold, so that the journal and the tables agree."""
    return [None if math.isnan(each) else each for each in np.asarray(values, dtype=np.float32).tolist()]
