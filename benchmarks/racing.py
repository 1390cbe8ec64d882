"""What stopping early saves and costs: `python benchmarks/racing.py RUN...` and `--simulate`.

With run folders: replays their recorded curves under each rule, in recorded order and in random ones, and tells the
epochs saved (of all stages), how scores at the rungs agree with final ones, how much dev score the best arm lost and
how often one of the best tenth was stopped. Only arms that were trained to their end count, so record a search with
`--set scheduler.kind=none`. With `--simulate`: how often arms as good as the best are dropped, by planted truth.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from sweeper.places import Planned, Rung, places
from sweeper.racing import Race
from sweeper.scheduler import Halving, Rule
from sweeper.study import Scheduler

#: Best arms whose loss is counted, as a share of all.
TOP = 0.1
#: Fewest arms of which a rank correlation is told.
FEWEST = 5


class Epoch(NamedTuple):
    """A recorded epoch: its stage, which of the stage's, how many of any kind so far, and dev UAR of each row."""

    stage: str
    epoch: int
    spent: int
    rows: np.ndarray | None


@dataclass(frozen=True)
class Recorded:
    """An arm that was trained to its end.

    Attributes:
        arm: Its id.
        score: Its final dev score.
        stages: Its classifying stages.
        epochs: All its epochs.
    """

    arm: str
    score: float
    stages: tuple[Planned, ...]
    epochs: tuple[Epoch, ...]


@dataclass(frozen=True)
class Tried:
    """A way of stopping.

    Attributes:
        name: As printed.
        asked: Where it compares.
        rule: Makes the rule anew, from the number of folds and the dev part over the train part.
        best: Whether rows count at their best epoch of the stage so far, or at the last one.
    """

    name: str
    asked: Scheduler
    rule: Callable[[int, float], Rule]
    best: bool = True


@dataclass(frozen=True)
class Replayed:
    """What one order of arms came to: share of epochs saved, dev score lost, share of the best arms stopped."""

    saved: float
    regret: float
    lost: float


def read(run: Path) -> tuple[list[Recorded], int, float]:
    """The arms of a run that ended, in the order they started; the number of folds; dev part over train part."""
    trials = pd.read_parquet(run / "trials.parquet").sort_values("started_order")
    trials = trials[(trials["status"] == "done") & (trials["kind"] != "baseline")]
    curves = dict(iter(pd.read_parquet(run / "curves.parquet").groupby("arm", sort=False)))
    folds = json.loads((run / "provenance.json").read_text(encoding="utf-8"))["folds"]
    ratio = float(np.mean([fold["dev"] / fold["train"] for fold in folds]))
    return [_recorded(row.arm, row.score, curves[row.arm]) for row in trials.itertuples()], len(folds), ratio


def _recorded(arm: str, score: float, curve: pd.DataFrame) -> Recorded:
    curve = curve.assign(spent=range(1, len(curve) + 1))
    epochs = tuple(
        Epoch(each.stage, each.epoch, each.spent, None if each.rows is None else np.asarray(each.rows))
        for each in curve.itertuples()
    )
    lengths = {each.stage: each.epoch for each in epochs}
    last, classifying = epochs[-1].stage, {each.stage for each in epochs if each.rows is not None}
    stages = (Planned(name, lengths[name], name == last) for name in lengths if name in classifying)
    return Recorded(arm, score, tuple(stages), epochs)


def looks(one: Recorded, tried: Tried) -> Iterator[tuple[Rung, int, np.ndarray, int]]:
    """What the rule sees of an arm: rung, epochs spent by then, dev UAR of each row, number of rungs in all."""
    where = places(one.stages, tried.asked)
    stage, best = "", np.empty(0)
    for each in one.epochs:
        if each.rows is None:
            continue
        best = np.maximum(best, each.rows) if each.stage == stage and tried.best else each.rows
        stage = each.stage
        if (stage, each.epoch) in where:
            yield where[stage, each.epoch], each.spent, best, len(where)


def replay(arms: Sequence[Recorded], seen: Sequence[Sequence[Any]], rule: Rule) -> Replayed:
    """Train the arms one after the other as they stand, each up to where the rule stops it."""
    spent, ended = 0, []
    for one, mine in zip(arms, seen, strict=True):
        stop = next((where for rung, where, rows, count in mine if rule.stops(one.arm, rung, rows, count)), None)
        spent += stop or one.epochs[-1].spent
        ended.append(stop is None)
    scores, stayed = np.array([one.score for one in arms]), np.array(ended)
    top = np.argsort(-scores, kind="stable")[: max(1, round(TOP * len(arms)))]
    return Replayed(
        saved=1 - spent / sum(one.epochs[-1].spent for one in arms),
        regret=float(scores.max() - scores[stayed].max()),
        lost=float((~stayed[top]).mean()),
    )


def agreement(arms: Sequence[Recorded], seen: Sequence[Sequence[Any]]) -> float:
    """Spearman's correlation of scores at a rung with final ones over all arms there, mean over rungs."""
    there: dict[Rung, list[tuple[float, float]]] = {}
    for one, mine in zip(arms, seen, strict=True):
        for rung, _, rows, _ in mine:
            there.setdefault(rung, []).append((float(rows.mean()), one.score))
    pairs = [np.array(each) for each in there.values() if len(each) >= FEWEST]
    found = [stats.spearmanr(*each.T).statistic for each in pairs if np.ptp(each, axis=0).all()]
    return float(np.mean(found)) if found else float("nan")


def ways(grace: int, factor: int) -> list[Tried]:
    """All that are compared, with one grace period and reduction factor."""
    stages = Scheduler(grace_period=grace, reduction_factor=factor, rungs="stages")
    epochs = stages.model_copy(update={"rungs": "epochs"})
    return [
        Tried("asha, rungs by epochs, last epoch", epochs, lambda *_: Halving(factor), best=False),
        Tried("asha, rungs by epochs, best epoch", epochs, lambda *_: Halving(factor)),
        Tried("asha, rungs by stages, last epoch", stages, lambda *_: Halving(factor), best=False),
        Tried("asha, rungs by stages, best epoch", stages, lambda *_: Halving(factor)),
        Tried("race, alpha 0.05", epochs, lambda folds, ratio: Race(0.05, folds, ratio)),
        Tried("race, alpha 0.2", epochs, lambda folds, ratio: Race(0.2, folds, ratio)),
    ]


def table(run: Path, grace: int, factor: int, orders: int) -> pd.DataFrame:
    """One line a rule: in recorded order, and mean and standard error over random orders."""
    arms, folds, ratio = read(run)
    lines = []
    for tried in ways(grace, factor):
        seen = [list(looks(one, tried)) for one in arms]
        rng = np.random.default_rng(0)
        found = [replay(arms, seen, tried.rule(folds, ratio))]
        for _ in range(orders):
            order = rng.permutation(len(arms))
            found.append(replay([arms[i] for i in order], [seen[i] for i in order], tried.rule(folds, ratio)))
        drawn = pd.DataFrame(found[1:] or found)
        lines.append(
            {
                "rule": tried.name,
                "saved": found[0].saved,
                "saved, any order": drawn["saved"].mean(),
                "rank correlation": agreement(arms, seen),
                "regret, points": 100 * found[0].regret,
                "regret, any order": 100 * drawn["regret"].mean(),
                "± (se)": 100 * drawn["regret"].sem(ddof=0),
                "top tenth stopped": drawn["lost"].mean(),
            }
        )
    return pd.DataFrame(lines)


@dataclass(frozen=True)
class Planted:
    """Made-up arms whose truth is known; the noise of a fold's mean difference between two arms has variance 1.

    Attributes:
        arms: How many, one of them after the other.
        behind: How far every second one is truly behind the others, in spreads of a fold's mean difference.
        folds: Folds.
        seeds: Seeds.
        icc: Share of the noise of one row that is its fold's, of what folds do not share.
        overlap: Correlation of two folds' mean differences, from what their training sets share.
        steady: Correlation of a row's noise from one rung to the next.
        rungs: Rungs.
    """

    arms: int = 12
    behind: float = 0.0
    folds: int = 5
    seeds: int = 3
    icc: float = 0.4
    overlap: float = 0.2
    steady: float = 0.5
    rungs: int = 3

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Dev UAR, shape (arms, rungs, folds, seeds)."""
        own = (1 - self.overlap) / 2
        fold = own / (1 + (1 - self.icc) / self.icc / self.seeds) if self.icc else 0.0
        shapes = (self.arms, 1, 1), (self.arms, self.folds, 1), (self.arms, self.folds, self.seeds)
        spreads = np.sqrt([self.overlap / 2, fold, (own - fold) * self.seeds])
        noise = sum(
            spread * self._walk(rng, shape) * np.ones((1, 1, self.folds, self.seeds))
            for spread, shape in zip(spreads, shapes, strict=True)
        )
        return noise - self.behind * (np.arange(self.arms) % 2)[:, None, None, None]

    def _walk(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Noise of unit variance at each rung, shape (arms, rungs, ...)."""
        steps = [rng.standard_normal(shape)]
        for _ in range(1, self.rungs):
            steps.append(self.steady * steps[-1] + np.sqrt(1 - self.steady**2) * rng.standard_normal(shape))
        return np.stack(steps, axis=1)


def dropped(planted: Planted, rule: Callable[[], Rule], times: int, rng: np.random.Generator) -> np.ndarray:
    """Which arms the rule stopped, shape (times, arms); arms come in a random order."""
    out = np.zeros((times, planted.arms), dtype=bool)
    for stopped in out:
        drawn, judge = planted.draw(rng), rule()
        for arm in rng.permutation(planted.arms):
            rungs = (Rung("", level) for level in range(planted.rungs))
            stopped[arm] = any(
                judge.stops(str(arm), rung, rows.ravel(), planted.rungs)
                for rung, rows in zip(rungs, drawn[arm], strict=True)
            )
    return out


class _Pairs(Race):
    """For comparison: pairs over fold and seed as if each were a unit of its own, with the same correction."""

    def p_value(self, differences: np.ndarray) -> float:
        return Race(self._alpha, np.size(differences), self._ratio).p_value(differences)


class _Once(Race):
    """For comparison: as if one look at one rival were all."""

    def threshold(self, rivals: int, looks: int) -> float:
        return self._alpha


def simulated(times: int, alpha: float) -> pd.DataFrame:
    """How often each rule drops one of twelve equal arms (wrong), and arms that are 3 spreads behind (right)."""
    lines = []
    for folds, seeds in ((2, 3), (3, 3), (5, 1), (5, 3), (10, 3)):
        for icc, overlap in ((0.0, 0.0), (0.4, 1 / folds), (0.8, 1 / folds)):
            equal = Planted(folds=folds, seeds=seeds, icc=icc, overlap=overlap)
            behind = replace(equal, behind=3.0)
            # Nadeau and Bengio: a correlation of r between folds is a ratio of r / (1 - r).
            rules = {
                name: partial(kind, alpha, folds, 1 / (folds - 1))
                for name, kind in (("race", Race), ("pairs", _Pairs), ("one look", _Once))
            } | {"asha": partial(Halving, 3)}
            line: dict[str, Any] = {"folds": folds, "seeds": seeds, "icc": icc, "overlap": round(overlap, 2)}
            for name, rule in rules.items():
                line[f"{name}: wrong"] = dropped(equal, rule, times, np.random.default_rng(0)).mean()
                line[f"{name}: right"] = dropped(behind, rule, times, np.random.default_rng(1))[:, 1::2].mean()
            lines.append(line)
    return pd.DataFrame(lines)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("runs", nargs="*", type=Path, help="run folders")
    options.add_argument("--grace", type=int, default=3)
    options.add_argument("--factor", type=int, default=3)
    options.add_argument("--orders", type=int, default=200, help="random orders of the arms")
    options.add_argument("--simulate", type=int, default=0, metavar="TIMES", help="simulated races of each kind")
    options.add_argument("--alpha", type=float, default=0.05)
    options.add_argument("--json", action="store_true")
    asked = options.parse_args()
    tables = {run.name: table(run, asked.grace, asked.factor, asked.orders) for run in asked.runs}
    if asked.simulate:
        tables["simulated"] = simulated(asked.simulate, asked.alpha)
    if asked.json:
        print(json.dumps({name: json.loads(each.to_json(orient="records")) for name, each in tables.items()}))
        return
    for name, each in tables.items():
        print(f"\n{name}\n{each.to_string(index=False, float_format=lambda value: f'{value:.3f}')}")


if __name__ == "__main__":
    main()
