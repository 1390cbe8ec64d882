"""A finished run's folder with known numbers, made without training."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from search_spaces.change import apply
from sweeper.arms import arm_id
from sweeper.tables import SCHEMAS
from trainables.mi_infogan.config import Config

PAPER = Config()
BEST = apply(PAPER, {"align.alpha": 0.5})
FLAGGED = apply(PAPER, {"generate.depth": 3})
ROW = apply(BEST, {"augment.source": "none"})

#: name, kind, config, status, dev UAR by fold, test UAR by fold (of both seeds), flags
ARMS = (
    ("paper defaults", "reference", PAPER, "done", (0.50, 0.60), (0.40, 0.50), []),
    ("search 0", "search", BEST, "done", (0.60, 0.70), (0.45, 0.65), []),
    ("search 1", "search", FLAGGED, "done", (0.90, 0.90), (0.30, 0.30), ["generator collapsed"]),
    ("search 2", "search", apply(PAPER, {"align.alpha": 9.0}), "stopped", (0.1, 0.1), (0.1, 0.1), []),
    ("Without augmentation", "ablation", ROW, "done", (0.95, 0.95), (0.5, 0.5), []),
)


def ident(name: str) -> str:
    """Id of the arm of that name."""
    return next(arm_id("mi_infogan", arm[2]) for arm in ARMS if arm[0] == name)


def make(folder: Path, *, best: str | None = "search 0", arms: tuple = ARMS) -> Path:
    """Write the tables and the provenance of a run that chose ``best``."""
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder, "trials", [_trial(arm, best) for arm in arms])
    _write(folder, "folds", [row for arm in arms for row in _folds(arm)])
    (folder / "provenance.json").write_text(json.dumps(_provenance()), encoding="utf-8")
    return folder


def _provenance() -> dict:
    return {
        "corpus": {
            "name": "toy",
            "path": "builtin",
            "fingerprint": "f00d",
            "classes": ["angry", "sad"],
            "columns": {"audio": "audio_x"},
        },
        "method": {"name": "mi_infogan", "version": 1},
        "baselines": [],
        "protocol": {"kind": "leave-one-session-out"},
        "seeds": [0, 1],
        "rows": [["a", 0], ["a", 1], ["b", 0], ["b", 1]],
    }


def _trial(arm: tuple, best: str | None) -> dict:
    name, kind, config, status, dev, _, flags = arm
    return {
        "arm": arm_id("mi_infogan", config),
        "name": name,
        "kind": kind,
        "method": "mi_infogan",
        "status": status,
        "flags": flags,
        "config": config.model_dump_json(),
        "score": sum(dev) / len(dev),
        "is_best": name == best,
        "seconds": 10.0,
        "epochs_trained": 20,
    }


def _folds(arm: tuple) -> list[dict]:
    """Two folds, two seeds 0.02 apart; the chosen epoch is 4, 5, 6, 7 over the rows, half that for augment."""
    name, kind, config, _, dev, test, _ = arm
    rows = []
    for stage, final in (("align", False), ("augment", True)):
        for split, values in (("dev", dev), ("test", test)):
            for f, fold in enumerate("ab"):
                for seed in (0, 1):
                    value = values[f] + (0.01 if seed else -0.01) + (0 if final else 0.1)
                    rows.append(
                        {
                            "arm": arm_id("mi_infogan", config),
                            "name": name,
                            "kind": kind,
                            "stage": stage,
                            "final": final,
                            "fold": fold,
                            "seed": seed,
                            "split": split,
                            "condition": "audio",
                            **dict.fromkeys(("uar", "war", "wf1", "macro_f1"), value),
                            "epoch": (4 + 2 * f + seed) // (2 if final else 1),
                        }
                    )
    return rows


def _write(folder: Path, name: str, rows: list[dict]) -> None:
    schema = SCHEMAS[name]
    full = [{column: row.get(column) for column in schema.names} for row in rows]
    pq.write_table(pa.Table.from_pylist(full, schema=schema), folder / f"{name}.parquet")
