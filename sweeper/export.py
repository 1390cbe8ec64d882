"""The one configuration to train for keeps, with the evidence it was chosen on."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from search_spaces.change import did_you_mean
from sweeper import __version__, address, intact, yamlfile
from trainables.errors import InputError

METRICS = ("uar", "war", "wf1", "macro_f1")
#: What is read of a run.
_NEEDED = ("corpus", "method", "baselines", "protocol", "seeds")
_COLUMNS = {
    "trials": ("arm", "name", "kind", "method", "status", "flags", "config", "score", "is_best"),
    "folds": ("arm", "stage", "final", "fold", "split", "epoch", *METRICS),
}
#: What is kept of the corpus: where it is and which of it was used.
_CORPUS = ("name", "path", "where", "unlabeled", "fingerprint", "classes", "columns")
_SELECTION = "highest mean dev UAR over folds and seeds; test took no part in it"


def best(run: str | Path, arm: str | None = None) -> dict[str, Any]:
    """The chosen arm of a run, or another, as one self-contained mapping.

    Args:
        run: A run folder.
        arm: Id or name of the arm; None takes the one chosen on dev.

    Returns:
        ``sweeper, method, config, corpus, protocol, seeds, evidence``: all that `sweeper train` needs.

    Raises:
        InputError: If the folder is no run, the arm is unknown or unfinished, or none is finished.
    """
    run = Path(run)
    about, trials, folds = _read(run)
    chosen = _find(run, trials, arm) if arm else _chosen(run, trials)
    method = {each["name"]: each for each in (*about["baselines"], about["method"])}[chosen["method"]]
    return {
        "sweeper": __version__,
        "method": method["name"],
        "method_version": method["version"],
        "config": _config(run, chosen["config"]),
        "corpus": {key: about["corpus"].get(key) for key in _CORPUS},
        "protocol": about["protocol"],
        "seeds": about["seeds"],
        "evidence": _evidence(run, about, trials, folds, chosen),
    }


def write(run: str | Path, out: str | Path, arm: str | None = None) -> dict[str, Any]:
    """Write `best` as YAML; see there."""
    content = best(run, arm)
    out = Path(out)
    if out.is_dir():
        raise InputError(f"{out}: is a folder; name the file to write, such as {out / 'best.yaml'}")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(yamlfile.dump(content), encoding="utf-8")
    return content


def summary(folds: pd.DataFrame, arm: str, split: str) -> dict[str, dict[str, float | None]]:
    """Mean and spread of every metric of an arm on one split, after its last stage.

    Args:
        folds: The run's folds table.
        arm: The arm's id.
        split: ``dev`` or ``test``.

    Returns:
        By metric, ``mean`` and ``std`` over folds of the mean over seeds (and conditions); the standard
        deviation has n - 1 below, and is None for a single fold.
    """
    rows = folds[(folds["arm"] == arm) & (folds["split"] == split) & folds["final"]]
    by_fold = rows.groupby("fold")[list(METRICS)].mean()
    return {
        metric: {"mean": _number(by_fold[metric].mean()), "std": _number(by_fold[metric].std(ddof=1))}
        for metric in METRICS
    }


def chosen_epochs(folds: pd.DataFrame, arm: str) -> dict[str, int]:
    """By classifying stage, the mean over rows of the epoch that dev chose, rounded, at least 1."""
    rows = folds[(folds["arm"] == arm) & (folds["split"] == "dev")]
    means = rows.groupby("stage", sort=False)["epoch"].mean()
    return {str(stage): max(1, round(float(mean))) for stage, mean in means.items()}


def _config(run: Path, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputError(f"{run / 'trials.parquet'}: config: is no JSON ({error}); {intact.OF_RUN}") from None


def _evidence(
    run: Path, about: Mapping[str, Any], trials: pd.DataFrame, folds: pd.DataFrame, chosen: pd.Series
) -> dict[str, Any]:
    arm = str(chosen["arm"])
    finished = trials[trials["status"] == "done"]
    reference = trials[trials["kind"] == "reference"]["arm"].tolist()
    return {
        "run": address.of(run.resolve()),
        "arm": arm,
        "name": str(chosen["name"]),
        "kind": str(chosen["kind"]),
        "flags": [str(flag) for flag in chosen["flags"]],
        "folds": int(folds[folds["arm"] == arm]["fold"].nunique()),
        "chosen_from": int(trials["kind"].isin(["reference", "search"]).sum()),
        "finished": len(finished),
        "selection": about.get("selection", {}).get("text") or _SELECTION,
        "dev": summary(folds, arm, "dev"),
        "test": summary(folds, arm, "test"),
        "epochs": chosen_epochs(folds, arm),
        "reference": _reference(folds, reference[0]) if reference else None,
    }


def _reference(folds: pd.DataFrame, arm: str) -> dict[str, Any]:
    return {"arm": arm, "dev": summary(folds, arm, "dev"), "test": summary(folds, arm, "test")}


def _read(run: Path) -> tuple[dict[str, Any], pd.DataFrame, pd.DataFrame]:
    if not (run / "provenance.json").is_file():
        raise InputError(f"{run}: is no run folder, it holds no provenance.json; give the folder `sweeper run` named")
    try:
        about = intact.mapping(run / "provenance.json", intact.OF_RUN, _NEEDED)
        trials, folds = (
            intact.table(run / f"{name}.parquet", columns).to_pandas() for name, columns in _COLUMNS.items()
        )
    except FileNotFoundError:
        name = next(name for name in ("trials.parquet", "folds.parquet") if not (run / name).is_file())
        raise InputError(f"{run}: no arm is finished, {name} is missing; `sweeper resume {run}`") from None
    if not set(trials["arm"][trials["status"] == "done"]) <= set(folds["arm"]):
        place = run / "folds.parquet"
        raise InputError(f"{place}: lacks arms of trials.parquet; are the tables of one run? {intact.OF_RUN}")
    return about, trials, folds


def _chosen(run: Path, trials: pd.DataFrame) -> pd.Series:
    """The arm marked best; in an unfinished run, the best so far."""
    marked = trials[trials["is_best"].fillna(False).astype(bool)]
    if len(marked):
        return marked.iloc[0]
    finished = trials[(trials["status"] == "done") & trials["kind"].isin(["reference", "search"])]
    sound = finished[finished["flags"].map(len) == 0].dropna(subset=["score"])
    if sound.empty:
        raise InputError(
            f"{run}: no arm is finished without a flag; `sweeper status {run}` says how it stands, or name an arm "
            "with --arm"
        )
    return sound.sort_values("score", ascending=False, kind="stable").iloc[0]


def _find(run: Path, trials: pd.DataFrame, asked: str) -> pd.Series:
    rows = trials[(trials["arm"] == asked) | (trials["name"] == asked)]
    if rows.empty:
        raise InputError(f"{run}: --arm: there is no {asked!r}{did_you_mean(asked, trials['name'])}")
    if rows.iloc[0]["status"] != "done":
        raise InputError(f"{run}: --arm: {asked!r} is {rows.iloc[0]['status']}, not done; name a finished arm")
    return rows.iloc[0]


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(float(value), 6)
