"""The arms of a search as points of the searched ranges, each with a dev score.

Every searched field is an axis from 0 to 1 on its own scale: logarithmic where it was searched so, whole numbers and
options in cells of equal width. Evenly spread places are then what the search itself draws from, which is the measure
that importance and partial dependence are taken over.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis import search
from analysis.run import Run

#: More arms than this add time, not knowledge, to what is fitted on them: so many are drawn.
MOST = 400
#: Whole numbers with at most this many values are taken value by value.
LEVELS = 20


@dataclass(frozen=True, kw_only=True)
class Axis:
    """A searched field.

    Attributes:
        path: Path of the config field.
        low: Smallest value; NaN for options.
        high: Largest value; NaN for options.
        log: Whether it was searched on a log scale.
        whole: Whether it takes whole numbers only.
        options: The values of a choice; empty for numbers.
    """

    path: str
    low: float = math.nan
    high: float = math.nan
    log: bool = False
    whole: bool = False
    options: tuple[Any, ...] = ()

    @property
    def levels(self) -> int | None:
        """How many values it takes, where these are few; None for a continuous one."""
        if self.options:
            return len(self.options)
        values = round(self.high - self.low) + 1
        return values if self.whole and not self.log and values <= LEVELS else None

    def places(self, values: Sequence[Any]) -> np.ndarray:
        """Where values lie, shape (N,), in [0, 1]; NaN for one that is missing or outside of the range."""
        if self.options:
            found = [next((i for i, each in enumerate(self.options) if each == value), math.nan) for value in values]
            return (np.array(found, dtype=float) + 0.5) / len(self.options)
        numbers = np.array([value if search.is_number(value) else math.nan for value in values], dtype=float)
        numbers[~((numbers >= self.low) & (numbers <= self.high))] = math.nan
        start, end = self._ends
        return (self._scale(numbers) - start) / (end - start)

    def values(self, places: np.ndarray) -> np.ndarray:
        """The values at places of [0, 1]: numbers, or the options' indices."""
        places = np.asarray(places, dtype=float)
        if self.options:
            return np.clip(np.floor(places * len(self.options)), 0, len(self.options) - 1)
        start, end = self._ends
        found = start + places * (end - start)
        found = np.clip(np.exp(found) if self.log else found, self.low, self.high)
        return np.rint(found) if self.whole else found

    def grid(self, most: int) -> np.ndarray:
        """Places to look at: one a value where these are few, else evenly over the range."""
        levels = self.levels
        return (np.arange(levels) + 0.5) / levels if levels else np.linspace(0, 1, most)

    @property
    def _ends(self) -> tuple[float, float]:
        half = 0.5 if self.whole else 0.0
        start, end = self._scale(np.array([self.low - half, self.high + half]))
        return float(start), float(end)

    def _scale(self, values: np.ndarray) -> np.ndarray:
        return np.log(values) if self.log else values


class Sample(NamedTuple):
    """Arms of the search that have a score of one and the same kind.

    Attributes:
        axes: The fields searched that took more than one value, P of them.
        places: Where the arms lie, shape (N, P), in [0, 1].
        score: Their dev scores, shape (N,), in [0, 1].
        arms: Their ids, shape (N,).
        budget: Classifying epochs after which the score was read; None for the score of whole arms.
        stopped: Arms left out as they were stopped before they had such a score.
        outside: Arms left out as a value of theirs lies outside of the ranges, or is not set.
        found: Arms there were; N is `MOST` where there were more.
    """

    axes: tuple[Axis, ...]
    places: np.ndarray
    score: np.ndarray
    arms: np.ndarray
    budget: int | None
    stopped: int
    outside: int
    found: int


def axes(run: Run) -> list[Axis]:
    """The searched fields, in the order of the search space."""
    configs = run.trials["config"][search.candidates(run.trials)]
    ranges = run.provenance.get("parameters") or {}
    return [_axis(path, dict(space), configs) for path, space in ranges.items()]


def _axis(path: str, space: dict[str, Any], configs: pd.Series) -> Axis:
    low, high = space.get("low"), space.get("high")
    if isinstance(low, int | float) and isinstance(high, int | float) and low < high:
        log = bool(space.get("log")) and low > 0
        return Axis(path=path, low=float(low), high=float(high), log=log, whole=space.get("kind") == "int")
    return Axis(path=path, options=tuple(space.get("options") or _seen(path, configs)))


def _seen(path: str, configs: pd.Series) -> list[Any]:
    """The values that arms have, where the run does not say what they were chosen from."""
    texts = {json.dumps(config[path], sort_keys=True) for config in configs if path in config}
    return [json.loads(text) for text in sorted(texts)]


def sample(run: Run, rng: np.random.Generator, *, budget: int | None = None) -> Sample:
    """The arms of the search and the reference that have a score, as points.

    Args:
        run: The run.
        rng: Draws `MOST` arms where there are more.
        budget: Read the dev UAR after so many classifying epochs, which arms stopped there have too; None reads the
            score of the arms that ran to their end. Flagged and failed arms are in neither.
    """
    trials = run.trials[search.candidates(run.trials) & (run.trials["flags"].map(len) == 0)]
    score = _scores(run, trials, budget)
    stopped = int(((trials["status"] == "stopped") & score.isna()).sum())
    trials, score = trials[score.notna()], score[score.notna()]
    every = axes(run)
    places = places_of(every, trials["config"])
    inside = ~np.isnan(places).any(axis=1)
    kept = np.flatnonzero(inside)
    moved = np.ptp(places[kept], axis=0) > 0 if len(kept) else np.zeros(len(every), dtype=bool)
    drawn = kept if len(kept) <= MOST else np.sort(rng.choice(kept, MOST, replace=False))
    return Sample(
        axes=tuple(axis for axis, there in zip(every, moved, strict=True) if there),
        places=places[drawn][:, moved],
        score=score.to_numpy(float)[drawn],
        arms=trials["arm"].to_numpy(str)[drawn],
        budget=budget,
        stopped=stopped,
        outside=int((~inside).sum()),
        found=len(kept),
    )


def places_of(axes: Sequence[Axis], configs: Iterable[Mapping[str, Any]]) -> np.ndarray:
    """Where configs lie, shape (N, P); NaN as in `Axis.places`."""
    configs = list(configs)
    places = np.empty((len(configs), len(axes)))
    for index, axis in enumerate(axes):
        places[:, index] = axis.places([config.get(axis.path) for config in configs])
    return places


def _scores(run: Run, trials: pd.DataFrame, budget: int | None) -> pd.Series:
    if budget is None:
        return trials["score"].where(trials["status"] == "done")
    ended = trials["status"].isin(["done", "stopped"])
    return trials["arm"].map(search.dev_at(run, [budget])[budget]).where(ended)
