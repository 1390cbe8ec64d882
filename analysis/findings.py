"""Everything the report says about one run, each part computed once and only when asked for."""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd

from analysis import (
    aggregate,
    by_speaker,
    compare,
    conditions,
    diagnostics,
    evidence,
    factorial,
    generation,
    losses,
    optimism,
    projection,
    response,
    rungs,
    search,
    sensitivity,
    stages,
)
from analysis.conditions import Worth
from analysis.evidence import Evidence
from analysis.factorial import Design, Effect
from analysis.optimism import Optimism
from analysis.response import Response
from analysis.run import Run
from analysis.rungs import Rungs


class Shown(NamedTuple):
    """An arm whose test numbers may be seen: chosen on dev, or fixed beforehand.

    Attributes:
        arm: The arm.
        label: Its name, and what it is.
        row: The ablation row it is, or None.
        own: Whether it is an arm of the study's method, not a baseline.
        control: Whether it is a control of ours.
    """

    arm: str
    label: str
    row: str | None
    control: bool
    own: bool = True


#: Seed of the projection's draw, so that a report made twice is the same.
SEED = 0


class Findings:
    """The numbers behind the figures, tables and words of one run.

    Attributes:
        run: The run.
        best: Arm chosen on dev, or None.
        paper: Arm of the paper's defaults (with the study's fixed settings, if any), or None.
        reference: Arm that ablation and sensitivity were measured from, or None.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.best = search.best_arm(run)
        self.paper = search.paper_arm(run)
        self.reference = search.reference_arm(run)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """`aggregate.summarise` over all arms."""
        return aggregate.summarise(self.run)

    def number(self, arm: str | None, column: str, split: str = "test") -> float:
        """A number of `summary`; NaN when the arm has none."""
        return self._numbers.get((arm, split), {}).get(column, float("nan")) if arm else float("nan")

    @cached_property
    def _numbers(self) -> dict[Any, dict[str, float]]:
        """`summary` as a mapping, for the many single look-ups."""
        return cast("dict[Any, dict[str, float]]", self.summary.to_dict("index"))

    def name(self, arm: str | None) -> str:
        """An arm's name; empty for none."""
        return str(self.run.arm(arm)["name"]) if arm else ""

    @property
    def paper_label(self) -> str:
        """What `paper` is: the paper's defaults, or the study's own settings where it fixed others."""
        changed = self.paper is not None and bool(self.run.arm(self.paper)["changed"])
        return "the study's own settings" if changed else "the paper's defaults"

    @cached_property
    def conditions(self) -> list[str]:
        """The test conditions of the arms' last stages, the full one last."""
        return conditions.ordered(aggregate.final_rows(self.run)["condition"].astype(str).unique())

    @cached_property
    def tested(self) -> list[str]:
        """The test conditions of the best arm, else of the reference."""
        return conditions.tested(self.run, self.best or self.reference)

    @property
    def several(self) -> bool:
        """Whether arms are tested in several conditions, so that their UAR is a mean over these."""
        return len(self.tested) > 1

    @property
    def over(self) -> str:
        """What a mean is over beside folds and seeds, in words; empty with one condition."""
        return f"mean over the conditions {', '.join(self.tested)}" if self.several else ""

    @cached_property
    def shown(self) -> list[Shown]:
        """The best arm, the reference, the paper's defaults, then the ablation rows and baselines that are done."""
        labels: dict[str, list[str]] = {}
        for arm, words in ((self.best, "best"), (self.ablation_parent, "reference"), (self.paper, "")):
            if arm:
                labels.setdefault(arm, []).extend([words] if words else [])
        first = [Shown(arm, _labelled(self.name(arm), words), None, False) for arm, words in labels.items()]
        rows = [one for one in self.ablation if one.status == "done" and one.arm not in labels]
        shown = first + [Shown(one.arm, one.name, one.name, self.is_control(one.name)) for one in rows]
        others = [one for one in self.baselines if one.status == "done"]
        return shown + [Shown(one.arm, f"{one.name} (baseline)", None, False, own=False) for one in others]

    @cached_property
    def top(self) -> pd.DataFrame:
        """Search and reference arms that are done, best dev score first, flagged ones included."""
        trials = self.run.trials
        able = trials[trials["kind"].isin(["search", "reference"]) & (trials["status"] == "done")]
        return able.sort_values("score", ascending=False, kind="stable")

    def best_and(self, most: int) -> pd.DataFrame:
        """The first rows of `top`, and the chosen arm and the paper's defaults however far down they are."""
        always = self.top["arm"].isin([arm for arm in (self.best, self.paper) if arm])
        return self.top[always | (np.arange(len(self.top)) < most)]

    @cached_property
    def ablation(self) -> list[compare.Comparison]:
        """What each ablated component is worth: reference minus ablated, components before controls."""
        arms = self.run.trials[self.run.trials["kind"] == "ablation"]
        arms = arms.assign(control=arms["name"].map(self.is_control)).sort_values("control", kind="stable")
        return compare.against_parent(self.run, arms, sign=-1)

    @cached_property
    def baselines(self) -> list[compare.Comparison]:
        """The arm that baselines are measured from, minus each of them: what the method is worth."""
        return compare.against_parent(self.run, self.run.trials[self.run.trials["kind"] == "baseline"], sign=-1)

    @cached_property
    def evidence(self) -> list[Evidence]:
        """How sure each ablation row's difference is."""
        return evidence.of(self.run, self.ablation, self.ablation_parent)

    @cached_property
    def baseline_evidence(self) -> list[Evidence]:
        """How sure the difference to each baseline is."""
        return evidence.of(self.run, self.baselines, self.baseline_parent)

    @cached_property
    def design(self) -> Design | None:
        """The factorial design among the ablation rows, if they make one up."""
        return factorial.design(self.run, self.ablation_parent)

    @cached_property
    def effects(self) -> list[Effect]:
        """Main effects and interactions of `design`."""
        return factorial.effects(self.run, self.design) if self.design else []

    @cached_property
    def optimism(self) -> Optimism | None:
        """What choosing the best arm flatters its dev score by."""
        return optimism.optimism(self.run)

    def is_control(self, name: str) -> bool:
        """Whether an ablation row is a control of ours rather than a row of the paper."""
        return bool((self.run.provenance.get("ablation") or {}).get(name, {}).get("control", False))

    @cached_property
    def ablation_not_run(self) -> list[str]:
        """Ablation rows that became no arm, as their config equals another arm's or their turn has not come."""
        rows = self.run.provenance.get("ablation") or {}
        there = set(self.run.trials["name"][self.run.trials["kind"] == "ablation"])
        return [name for name in rows if name not in there] if there else []

    @cached_property
    def sensitivity(self) -> list[sensitivity.Curve]:
        """A curve for each probed parameter."""
        return sensitivity.curves(self.run)

    @cached_property
    def gains(self) -> list[stages.StageGain]:
        """Gain of the last stage in the best and paper arms and in the controls."""
        trials = self.run.trials
        controls = trials[(trials["kind"] == "ablation") & (trials["status"] == "done")]
        controls = controls[controls["name"].map(self.is_control).astype(bool)]
        arms = [arm for arm in (self.best, self.reference, self.paper) if arm]
        return stages.gains(self.run, [*arms, *controls["arm"]])

    @cached_property
    def response(self) -> Response | None:
        """What the search teaches about its parameters; None where nothing was searched."""
        return response.response(self.run, np.random.default_rng(SEED))

    @cached_property
    def rungs(self) -> Rungs | None:
        """What stopping early risked; None where nothing was stopped."""
        return rungs.rungs(self.run, np.random.default_rng(SEED))

    @cached_property
    def saved(self) -> search.Saved:
        """What stopping saved."""
        return search.saved(self.run)

    @cached_property
    def confusions(self) -> dict[str, np.ndarray]:
        """Test confusion counts of the best arm by condition, in their order, shape (C, C) each."""
        counts = aggregate.confusion(self.run, self.best) if self.best else {}
        return {name: counts[name] for name in conditions.ordered(counts) if counts[name].sum()}

    @cached_property
    def speakers(self) -> pd.DataFrame:
        """`by_speaker.summary` of the best arm; empty where test speakers were not counted one by one."""
        return by_speaker.summary(self.run, self.best) if self.best else pd.DataFrame()

    @cached_property
    def speaker_spread(self) -> by_speaker.Spread | None:
        """`by_speaker.spread` of the best arm; None where there are not two test speakers to be compared."""
        return by_speaker.spread(self.run, self.best) if self.best else None

    @cached_property
    def by_condition(self) -> pd.DataFrame:
        """`conditions.summary` of the arms shown, on test."""
        return conditions.summary(self.run, [one.arm for one in self.shown], self.conditions)

    def in_condition(self, arm: str | None, group: str) -> tuple[float, float]:
        """Test UAR of an arm shown in a condition, or `conditions.MISSING`, and its spread over folds; NaN if none."""
        row = self._by_condition.get((arm, group), {})
        return row.get("uar", float("nan")), row.get("uar_fold_std", float("nan"))

    @cached_property
    def _by_condition(self) -> dict[Any, dict[str, float]]:
        return cast("dict[Any, dict[str, float]]", self.by_condition.to_dict("index"))

    @cached_property
    def worths(self) -> list[Worth]:
        """What each ablated component is worth in each condition."""
        compared = [one.arm for one in self.shown if one.row or not one.own]
        arms = self.run.trials[self.run.trials["arm"].isin(compared)]
        return conditions.worths(self.run, arms, self.conditions)

    @cached_property
    def measured_arm(self) -> str | None:
        """The best arm if its stages measured anything, else the reference or the paper's defaults."""
        measured = set(self.run.diagnostics["arm"])
        return next((arm for arm in (self.best, self.reference, self.paper) if arm in measured), None)

    @cached_property
    def measures(self) -> list[diagnostics.Measure]:
        """`diagnostics.measures` of `measured_arm`."""
        return diagnostics.measures(self.run, self.measured_arm) if self.measured_arm else []

    @cached_property
    def generation_recalls(self) -> pd.DataFrame:
        """`generation.recalls` of `measured_arm`; empty when there is none."""
        return generation.recalls(self.run, self.measured_arm) if self.measured_arm else pd.DataFrame()

    @cached_property
    def projections(self) -> list[projection.Projection]:
        """Kept vectors in the plane: of the best arm that kept any, and of the first ablation row that did."""
        rng = np.random.default_rng(SEED)
        fixed = [arm for arm in dict.fromkeys((self.best, self.reference, self.paper)) if arm]
        rows = [one.arm for one in self.shown if one.row]
        return [*self._first_projections(fixed, rng), *self._first_projections(rows, rng)]

    def _first_projections(self, arms: list[str], rng: np.random.Generator) -> list[projection.Projection]:
        found = (projection.project(self.run, arm, rng) for arm in arms)
        return next((one for one in found if one), [])

    @cached_property
    def losses(self) -> list[losses.LossCurve]:
        """Loss curves of the best arm and, where it is another, of the reference or the paper's defaults."""
        others = [arm for arm in (self.reference, self.paper) if arm and arm != self.best]
        return losses.curves(self.run, [arm for arm in (self.best, *others[:1]) if arm])

    @cached_property
    def best_against_paper(self) -> compare.Estimate | None:
        """Test UAR of the best arm minus that of the paper's defaults, paired; None when they are one arm."""
        if self.best is None or self.paper is None or self.best == self.paper:
            return None
        rows = aggregate.by_row(aggregate.final_rows(self.run))
        mine, theirs = compare.paired(*(aggregate.values_of(rows, arm) for arm in (self.best, self.paper)))
        return compare.estimate(mine - theirs, compare.size_ratio(self.run)) if mine.size else None

    @property
    def best_verdict(self) -> str:
        """`best_against_paper` in words; empty when there is none. One comparison, so nothing to adjust for."""
        one = self.best_against_paper
        return compare.verdict(one, one.p) if one else ""

    @property
    def baseline_parent(self) -> str | None:
        """The arm that baselines are measured from."""
        parents = self.run.trials["parent"][self.run.trials["kind"] == "baseline"]
        return str(parents.iloc[0]) if len(parents) else None

    @cached_property
    def ablation_parent(self) -> str | None:
        """The arm that ablation rows name as their parent."""
        parents = self.run.trials["parent"][self.run.trials["kind"] == "ablation"]
        return str(parents.iloc[0]) if len(parents) else self.reference


def _labelled(name: str, words: list[str]) -> str:
    return f"{name} ({', '.join(words)})" if words else name
