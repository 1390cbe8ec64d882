"""One parameter at a time: how test UAR moves when it leaves the reference's value."""

from __future__ import annotations

import json
import math
from typing import Any, NamedTuple

import numpy as np

from analysis.aggregate import final_rows, summarise
from analysis.compare import Comparison, against_parent
from analysis.run import Run
from analysis.search import is_number, reference_arm

#: Loss of UAR that a parameter's robust range allows.
TOLERANCE = 0.01


class Point(NamedTuple):
    """One value of a parameter.

    Attributes:
        value: The value.
        position: Where it stands along the axis: log10 on a log scale (0 a step left of the least), its
            index for named choices, else itself.
        status: ``done``, ``stopped`` or ``failed``.
        is_reference: Whether it is the reference's own value.
        dev: Dev score of the arm; NaN when it has none.
        test: Test UAR, mean of fold means; NaN unless done.
        change: Test UAR minus the reference's, paired; NaN unless done.
        fold_std: Spread over folds of the paired change; NaN with one fold.
        seed_std: Spread of the paired change between seeds within a fold; NaN with one seed.
        fold_changes: The change, fold by fold.
        verdict: On the value against the reference, adjusted over all values of all parameters.
    """

    value: Any
    position: float
    status: str
    is_reference: bool
    dev: float
    test: float
    change: float
    fold_std: float
    seed_std: float
    fold_changes: tuple[float, ...]
    verdict: str


class Curve(NamedTuple):
    """All values of one parameter, in order.

    Attributes:
        parameter: Path of the config field.
        log: Whether positions are log10.
        points: By position; one of them the reference's own value.
        robust: Least and greatest value, around the reference's own, between which no tested value lost more than
            `TOLERANCE`; None for named choices.
    """

    parameter: str
    log: bool
    points: tuple[Point, ...]
    robust: tuple[Any, Any] | None


def curves(run: Run) -> list[Curve]:
    """A curve for each parameter that was probed; empty when none was or the reference is not done."""
    reference = reference_arm(run)
    arms = run.trials[run.trials["kind"] == "sensitivity"]
    if reference is None or arms.empty or reference not in set(final_rows(run)["arm"]):
        return []
    arms = arms[arms["parent"].isin(["", reference])].assign(parent=reference)
    compared = against_parent(run, arms, sign=1)
    scores = dict(zip(arms["arm"], arms["score"], strict=True))
    points: dict[str, list[tuple[Any, Comparison, float]]] = {}
    for comparison, trial in zip(compared, arms.itertuples(index=False), strict=True):
        value = _value(str(trial.value))
        points.setdefault(str(trial.parameter), []).append((value, comparison, scores[comparison.arm]))
    for path, comparison, score in _elsewhere(run, reference, set(points)):
        points[path].append((run.arm(comparison.arm)["config"][path], comparison, score))
    return [_curve(run, reference, path, found) for path, found in points.items()]


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _elsewhere(run: Run, reference: str, paths: set[str]) -> list[tuple[str, Comparison, float]]:
    """Ablation rows that change a probed parameter alone: arms of equal configs are run only once."""
    config = run.arm(reference)["config"]
    rows = run.trials[(run.trials["kind"] == "ablation") & (run.trials["parent"] == reference)]
    alone: dict[str, str] = {}
    for trial in rows.itertuples(index=False):
        settings: Any = trial.config
        changed = [path for path in config if settings.get(path) != config[path]]
        if len(changed) == 1 and changed[0] in paths:
            alone[str(trial.arm)] = changed[0]
    rows = rows[rows["arm"].isin(list(alone))]
    scores = dict(zip(rows["arm"], rows["score"], strict=True))
    return [(alone[c.arm], c, float(scores[c.arm])) for c in against_parent(run, rows, sign=1)]


def _curve(run: Run, reference: str, path: str, found: list[tuple[Any, Comparison, float]]) -> Curve:
    own = run.arm(reference)["config"].get(path)
    values = [value for value, *_ in found if value != own]
    log = _is_log(run, path, [*values, own])
    positions = _positions([*values, own], log)
    points = [_point(v, positions[json.dumps(v)], c, s) for v, c, s in found if v != own]
    points.append(_reference_point(run, reference, own, positions[json.dumps(own)]))
    points.sort(key=lambda point: point.position)
    numeric = all(is_number(point.value) for point in points)
    return Curve(path, log, tuple(points), _robust(points) if numeric else None)


def _is_log(run: Run, path: str, values: list[Any]) -> bool:
    if not all(is_number(value) and value >= 0 for value in values):
        return False
    space = (run.provenance.get("parameters") or {}).get(path)
    positive = [value for value in values if value > 0]
    if len(positive) < 2:
        return False
    if space and "log" in space:
        return bool(space["log"])
    return max(positive) / min(positive) >= 20 and _unevenness(np.log(positive)) < _unevenness(np.array(positive))


def _unevenness(values: np.ndarray) -> float:
    """Spread of the gaps between values over their mean: amounts in equal steps read best on a plain scale."""
    gaps = np.diff(np.unique(values))
    return float(gaps.std() / gaps.mean())


def _positions(values: list[Any], log: bool) -> dict[str, float]:
    """Place along the axis of each value, by its JSON text."""
    if not all(is_number(value) for value in values):
        return {json.dumps(value): float(index) for index, value in enumerate(values)}
    if not log:
        return {json.dumps(value): float(value) for value in values}
    places = sorted({math.log10(value) for value in values if value > 0})
    step = max((places[-1] - places[0]) / max(len(places) - 1, 1), 0.3)
    return {json.dumps(value): math.log10(value) if value > 0 else places[0] - step for value in values}


def _point(value: Any, position: float, found: Comparison, score: float) -> Point:
    done = found.status == "done" and found.estimate is not None
    one = found.estimate if done else None
    return Point(
        value=value,
        position=position,
        status=found.status,
        is_reference=False,
        dev=score,
        test=found.uar if done else math.nan,
        change=one.difference if one else math.nan,
        fold_std=one.fold_std if one else math.nan,
        seed_std=one.seed_std if one else math.nan,
        fold_changes=one.fold_differences if one else (),
        verdict=found.verdict,
    )


def _reference_point(run: Run, reference: str, value: Any, position: float) -> Point:
    rows = final_rows(run)
    summary = summarise(run, rows[(rows["arm"] == reference) & (rows["split"] == "test")])
    return Point(
        value=value,
        position=position,
        status="done",
        is_reference=True,
        dev=float(run.arm(reference)["score"]),
        test=float(summary["uar"].iloc[0]),
        change=0.0,
        fold_std=0.0,
        seed_std=0.0,
        fold_changes=(0.0,) * int(summary["folds"].iloc[0]),
        verdict="the reference",
    )


def _robust(points: list[Point]) -> tuple[Any, Any]:
    centre = next(index for index, point in enumerate(points) if point.is_reference)
    low = high = centre
    while low > 0 and points[low - 1].change >= -TOLERANCE:
        low -= 1
    while high + 1 < len(points) and points[high + 1].change >= -TOLERANCE:
        high += 1
    return points[low].value, points[high].value


def spread(curve: Curve) -> float:
    """Largest minus smallest mean test UAR over the tested values; NaN when only the reference is done."""
    tested = [point.test for point in curve.points if not math.isnan(point.test)]
    return float(np.ptp(tested)) if len(tested) > 1 else math.nan


class Reach(NamedTuple):
    """How far a parameter can be moved from the reference's value.

    Attributes:
        parameter: Path of the config field.
        reference: The reference's own value.
        tested: The values tested, in order, the reference's own among them.
        spread: Of mean test UAR over them; NaN when only the reference is done.
        robust_low: Least value of the robust range; None for named choices.
        robust_high: Greatest value.
        open_low: Whether no lower value was tested: it may reach further down. A weight of 0 ends it.
        open_high: Whether no greater value was tested.
        factor_low: `robust_low` over the reference's value; NaN where that is no positive number.
        factor_high: `robust_high` over the reference's value.
    """

    parameter: str
    reference: Any
    tested: tuple[Any, ...]
    spread: float
    robust_low: Any
    robust_high: Any
    open_low: bool
    open_high: bool
    factor_low: float
    factor_high: float


def reach(curve: Curve) -> Reach:
    """The robust range of a curve, and how many times the reference's value it goes down and up."""
    own = next(point.value for point in curve.points if point.is_reference)
    low, high = curve.robust or (None, None)
    by_factor = curve.robust is not None and own > 0
    return Reach(
        parameter=curve.parameter,
        reference=own,
        tested=tuple(point.value for point in curve.points),
        spread=spread(curve),
        robust_low=low,
        robust_high=high,
        open_low=low is not None and low != 0 and low == curve.points[0].value,
        open_high=high is not None and high == curve.points[-1].value,
        factor_low=low / own if by_factor else math.nan,
        factor_high=high / own if by_factor else math.nan,
    )
