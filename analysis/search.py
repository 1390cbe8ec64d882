"""What the search did: how the best grew, what stopping saved, what failed, what was flagged, where it ended."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.run import Run

#: A value this close to an end of its range, as a share of the range, counts as lying at the edge.
EDGE = 0.02

_CANDIDATES = ("reference", "search")
_NUMBER = r"\d+(?:\.\d+)?(?:[eE][+-]?\d+)?"


class Saved(NamedTuple):
    """Classifying epochs of all arms.

    Attributes:
        arms: Arms begun.
        stopped: Arms stopped early.
        planned: Epochs they would have had.
        seen: Epochs they had.
        saved: Epochs that stopped arms did not need.
        share: Saved over planned, in [0, 1]; 0 when nothing was planned.
        reused: Epochs of any stage that were taken from stored stages instead of trained again.
        trained: Epochs of any stage that were trained.
    """

    arms: int
    stopped: int
    planned: int
    seen: int
    saved: int
    share: float
    reused: int
    trained: int


class Edge(NamedTuple):
    """A searched value of the best arm that lies at an end of its range."""

    parameter: str
    value: float
    low: float
    high: float
    end: str


def candidates(trials: pd.DataFrame) -> pd.Series:
    """Arms of the search, and the reference."""
    return trials["kind"].isin(_CANDIDATES)


def eligible(trials: pd.DataFrame) -> pd.Series:
    """Arms that selection may choose: from the search or the reference, done, unflagged, with a score."""
    return candidates(trials) & (trials["status"] == "done") & (trials["flags"].map(len) == 0) & trials["score"].notna()


def best_arm(run: Run) -> str | None:
    """The arm chosen on dev: the one the run marked, else the best score so far; None when none is done."""
    marked = run.trials["arm"][run.trials["is_best"]]
    if len(marked):
        return str(marked.iloc[0])
    able = run.trials[eligible(run.trials)]
    return None if able.empty else str(able["arm"].iloc[int(able["score"].argmax())])


def paper_arm(run: Run) -> str | None:
    """The arm of the paper's defaults (with the study's fixed settings), when it is done."""
    found = run.trials[(run.trials["kind"] == "reference") & (run.trials["status"] == "done")]
    return None if found.empty else str(found["arm"].iloc[0])


def reference_arm(run: Run) -> str | None:
    """The arm that ablation and sensitivity were measured from."""
    marked = run.trials["arm"][run.trials["is_reference"]]
    if len(marked):
        return str(marked.iloc[0])
    done = run.trials["arm"][run.trials["status"] == "done"]
    parents = run.trials["parent"][run.trials["parent"].isin(set(done))]
    return str(parents.iloc[0]) if len(parents) else paper_arm(run)


def best_so_far(run: Run) -> pd.DataFrame:
    """The search in the order in which its arms ended.

    Returns:
        ``order`` (from 1), ``arm``, ``name``, ``status``, ``flagged``, ``score`` (dev), ``best`` (so far,
        among arms that may be chosen; NaN before the first), ``hours`` (since the first arm began, NaN if unknown).
    """
    trials = run.trials[candidates(run.trials)].sort_values("finished_order", kind="stable")
    able = eligible(trials)
    order = np.arange(1, len(trials) + 1)
    began = trials["started_at"].min() if "started_at" in trials and len(trials) else math.nan
    ended = trials["finished_at"] if "finished_at" in trials else pd.Series(math.nan, trials.index)
    return pd.DataFrame(
        {
            "order": order,
            "arm": trials["arm"].to_numpy(),
            "name": trials["name"].to_numpy(),
            "status": trials["status"].to_numpy(),
            "flagged": (trials["flags"].map(len) > 0).to_numpy(),
            "score": trials["score"].to_numpy(),
            "best": trials["score"].where(able).cummax().ffill().to_numpy(),
            "hours": ((ended - began) / 3600).to_numpy(dtype=float),
        }
    )


def dev_at(run: Run, budgets: Sequence[int]) -> pd.DataFrame:
    """Dev UAR after given numbers of classifying epochs.

    Returns:
        Indexed by arm, a column for each of `budgets`; NaN where an arm did not get so far.
    """
    return _at(run.curves, run.curves["dev_uar"], budgets)


def best_at(run: Run, budgets: Sequence[int]) -> pd.DataFrame:
    """As `dev_at`, each fold and seed at its best epoch of that stage so far: what the scheduler compares."""
    by_row = pd.DataFrame(run.curve_rows).groupby([run.curves["arm"], run.curves["stage"]], sort=False)
    return _at(run.curves, by_row.cummax().mean(axis=1), budgets)


def _at(curves: pd.DataFrame, uar: pd.Series, budgets: Sequence[int]) -> pd.DataFrame:
    there = uar.notna() & curves["budget"].isin(list(budgets))
    read = curves.assign(uar=uar)[there].pivot_table(index="arm", columns="budget", values="uar", aggfunc="last")
    return read.reindex(columns=list(budgets))


def saved(run: Run) -> Saved:
    """What stopping and stored stages saved over all arms of the run."""
    trials = run.trials
    stopped = trials[trials["status"] == "stopped"]
    spared = int((stopped["epochs_planned"] - stopped["epochs"]).clip(lower=0).sum())
    planned = int(trials["epochs_planned"].sum())
    return Saved(
        arms=len(trials),
        stopped=len(stopped),
        planned=planned,
        seen=int(trials["epochs"].sum()),
        saved=spared,
        share=spared / planned if planned else 0.0,
        reused=int(trials["epochs_reused"].sum()),
        trained=int(trials["epochs_trained"].sum()),
    )


def failed(run: Run) -> pd.DataFrame:
    """Failed arms: ``name``, ``kind``, ``reason``, ``epochs``."""
    arms = run.trials[run.trials["status"] == "failed"]
    return arms[["name", "kind", "reason", "epochs"]].reset_index(drop=True)


def failures(run: Run) -> pd.DataFrame:
    """Failed arms by reason, the most frequent first; reasons that differ in their numbers alone are one.

    Returns:
        ``reason`` (numbers that differ as an ellipsis), ``arms`` (how many), ``such_as`` (three names),
        ``names``, ``epochs_low`` and ``epochs_high`` (fewest and most that they had seen).
    """
    arms = failed(run)
    groups = arms.groupby(arms["reason"].str.replace(_NUMBER, "…", regex=True), sort=False)
    table = pd.DataFrame(
        {
            "reason": [key if len(set(mine["reason"])) > 1 else mine["reason"].iloc[0] for key, mine in groups],
            "arms": [len(mine) for _, mine in groups],
            "such_as": [", ".join(mine["name"].astype(str)[:3]) + " …" * (len(mine) > 3) for _, mine in groups],
            "names": [", ".join(mine["name"].astype(str)) for _, mine in groups],
            "epochs_low": [mine["epochs"].min() for _, mine in groups],
            "epochs_high": [mine["epochs"].max() for _, mine in groups],
        }
    )
    return table.sort_values("arms", ascending=False, kind="stable", ignore_index=True)


def flagged(run: Run) -> pd.DataFrame:
    """Flagged arms: ``name``, ``kind``, ``score``, ``flags`` (joined), ``passed_over``.

    ``passed_over``: the arm scored higher on dev than the one chosen, which it would have been but for its flag.
    """
    arms = run.trials[run.trials["flags"].map(len) > 0].reset_index(drop=True)
    best = best_arm(run)
    bar = run.arm(best)["score"] if best else math.inf
    return pd.DataFrame(
        {
            "name": arms["name"],
            "kind": arms["kind"],
            "score": arms["score"],
            "flags": arms["flags"].map(lambda flags: ", ".join(map(str, flags))),
            "passed_over": candidates(arms)
            & (arms["status"] == "done")
            & (arms["score"] > bar)
            & (arms["arm"] != best),
        }
    )


def edges(run: Run, arm: str) -> list[Edge]:
    """Searched values of an arm that lie at an end of their range: the optimum may lie beyond."""
    config = run.arm(arm)["config"]
    ranges = run.provenance.get("parameters") or {}
    found = (_edge(path, space, config.get(path)) for path, space in ranges.items())
    return [edge for edge in found if edge]


def _edge(path: str, space: dict[str, Any], value: Any) -> Edge | None:
    if not all(is_number(x) for x in (space.get("low"), space.get("high"), value)):
        return None
    low, high = float(space["low"]), float(space["high"])
    if low >= high:
        return None
    on_log = bool(space.get("log")) and low > 0
    if on_log and value <= 0:
        return None
    scale = math.log if on_log else float
    place = (scale(value) - scale(low)) / (scale(high) - scale(low))
    if not -EDGE <= place <= 1 + EDGE or EDGE < place < 1 - EDGE:
        return None
    return Edge(path, value, low, high, "lower" if place <= EDGE else "upper")


def is_number(value: Any) -> bool:
    """Whether a config's value is a number; a truth value is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)
