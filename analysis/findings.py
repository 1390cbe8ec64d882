"""Everything the report says about one run, each part computed once and only when asked for."""

from __future__ import annotations

from functools import cached_property
from typing import Any, cast

import numpy as np
import pandas as pd

from analysis import aggregate, compare, generation, projection, search, sensitivity, stages
from analysis.run import Run

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
        """The test conditions of the arms' last stages, sorted."""
        return sorted(map(str, aggregate.final_rows(self.run)["condition"].unique()))

    @cached_property
    def top(self) -> pd.DataFrame:
        """Search and reference arms that are done, best dev score first, flagged ones included."""
        trials = self.run.trials
        able = trials[trials["kind"].isin(["search", "reference"]) & (trials["status"] == "done")]
        return able.sort_values("score", ascending=False, kind="stable")

    @cached_property
    def ablation(self) -> list[compare.Comparison]:
        """What each ablated component is worth: reference minus ablated, components before controls."""
        arms = self.run.trials[self.run.trials["kind"] == "ablation"]
        arms = arms.assign(control=arms["name"].map(self.is_control)).sort_values("control", kind="stable")
        return compare.against_parent(self.run, arms, sign=-1)

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
    def saved(self) -> search.Saved:
        """What stopping saved."""
        return search.saved(self.run)

    @cached_property
    def confusion(self) -> np.ndarray | None:
        """Test confusion counts of the best arm, shape (C, C); None when it has none."""
        if self.best is None:
            return None
        counts = aggregate.confusion(self.run, self.best)
        return counts if counts.sum() else None

    @cached_property
    def generation_arm(self) -> str | None:
        """The best arm if its generator was measured, else the reference's or paper's."""
        measured = set(self.run.diagnostics["arm"])
        return next((arm for arm in (self.best, self.reference, self.paper) if arm in measured), None)

    @cached_property
    def generation_recalls(self) -> pd.DataFrame:
        """`generation.recalls` of `generation_arm`; empty when there is none."""
        return generation.recalls(self.run, self.generation_arm) if self.generation_arm else pd.DataFrame()

    @cached_property
    def generation_measures(self) -> list[generation.Measure]:
        """`generation.measures` of `generation_arm`."""
        return generation.measures(self.run, self.generation_arm) if self.generation_arm else []

    @cached_property
    def projection(self) -> projection.Projection | None:
        """Real and generated features in the plane, of the best arm that kept both."""
        rng = np.random.default_rng(SEED)
        arms = dict.fromkeys(arm for arm in (self.best, self.reference, self.paper) if arm)
        found = (projection.project(self.run, arm, rng) for arm in arms)
        return next((one for one in found if one), None)

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

    @cached_property
    def ablation_parent(self) -> str | None:
        """The arm that ablation rows name as their parent."""
        parents = self.run.trials["parent"][self.run.trials["kind"] == "ablation"]
        return str(parents.iloc[0]) if len(parents) else self.reference
