"""Arms: one full configuration each, named by what it is for and identified by what it is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel

from search_spaces.change import apply, difference, get_field, paths
from search_spaces.space import AblationRow, Spaces, lacking, without_copies
from sweeper.check import ablation_rows, active, search_space, sensitivity_grid
from sweeper.study import Study
from trainables.methods import config_of

Kind = Literal["reference", "search", "ablation", "sensitivity", "baseline"]


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One configuration to train on all folds and seeds.

    Attributes:
        id: Ten hex digits of the method's name and the full config: equal arms give equal numbers.
        method: The method that it is a configuration of; another than the study's for baselines.
        kind: What it is for.
        name: What people call it.
        config: Every setting, JSON-able.
        parent: Id of the arm it is measured from; empty for reference and search arms.
        parameter: The field path a sensitivity arm moves.
        value: Its value there.
    """

    id: str
    method: str
    kind: Kind
    name: str
    config: Mapping[str, Any] = field(hash=False)
    parent: str = ""
    parameter: str | None = None
    value: Any = field(default=None, hash=False)


def arm_id(method: str, config: BaseModel) -> str:
    """The identity of a configuration of a method, as ten hex digits."""
    content = {"method": method, "config": config.model_dump(mode="json")}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def reference_arm(study: Study) -> Arm:
    """The paper's defaults with the study's ``config``: what everything is compared with."""
    changed = difference(study.method_config(), config_of(study.method)())
    return _arm(study, study.method_config(), "reference", "study config" if changed else "paper defaults")


def search_arm(study: Study, number: int, suggestion: Mapping[str, Any]) -> Arm:
    """The arm of one suggestion.

    Args:
        study: The study.
        number: Which suggestion it is, from 0.
        suggestion: Values by field path.
    """
    return _arm(study, apply(study.method_config(), suggestion), "search", f"search {number}")


def ablation_arms(
    study: Study, spaces: Spaces, around: BaseModel, parent: str, taken: Container[str] = ()
) -> list[Arm]:
    """One arm for each ablation row that changes anything, measured from ``around``.

    Args:
        study: The study; without an ablation there are none.
        spaces: The method's rows.
        around: The config the rows are applied to.
        parent: Id of the arm that has this config.
        taken: Ids of arms there are already, which are not made again.

    Returns:
        The arms, in the method's order, each config once.
    """
    if study.ablation is None:
        return []
    made: dict[str, Arm] = {}
    for row, change in rows_in_effect(study, spaces):
        arm = _arm(study, apply(around, change), "ablation", row.name, parent=parent)
        if arm.id != parent and arm.id not in taken:
            made.setdefault(arm.id, arm)
    return list(made.values())


def sensitivity_arms(
    study: Study, spaces: Spaces, around: BaseModel, parent: str, taken: Container[str] = ()
) -> list[Arm]:
    """One arm for each value of each probed field other than the one ``around`` has; see `ablation_arms`."""
    if study.sensitivity is None:
        return []
    made: dict[str, Arm] = {}
    for path, values in sensitivity_grid(study, spaces).items():
        if study.modalities is not None and spaces.idle(path, study.modalities):
            continue
        for value in values:
            if lacking({path: value}, study.modalities) or without_copies({path: value}, study.copies):
                continue
            config = apply(around, {path: value})
            value = get_field(config, path)
            name = f"{path} = {value:g}" if isinstance(value, float) else f"{path} = {value}"
            arm = _arm(study, config, "sensitivity", name, parent=parent, parameter=path, value=value)
            if arm.id != parent and arm.id not in taken:
                made.setdefault(arm.id, arm)
    return list(made.values())


def baseline_arms(study: Study, parent: str, taken: Container[str] = ()) -> list[Arm]:
    """One arm for each baseline; ``parent`` is the arm it is compared with, see `ablation_arms` for the rest."""
    arms = []
    for method, config in study.baseline_configs().items():
        changed = difference(config, config_of(method)())
        name = method + (f" ({', '.join(f'{path}={value}' for path, value in changed.items())})" if changed else "")
        arms.append(_arm(study, config, "baseline", name, method=method, parent=parent))
    return [arm for arm in arms if arm.id not in taken]


def rows_in_effect(study: Study, spaces: Spaces) -> list[tuple[AblationRow, dict[str, Any]]]:
    """The asked rows that can change a result with the study's modalities and copies, and what they then change.

    A row cut down to what another row is about anyway is left to that row.
    """
    rows = [
        row
        for row in ablation_rows(study, spaces)
        if not lacking(row.change, study.modalities) and not without_copies(row.change, study.copies)
    ]
    whole = [row.change for row in rows]
    cut = [(row, effective(row, spaces, study.modalities)) for row in rows]
    return [(row, change) for row, change in cut if change == row.change or (change and change not in whole)]


def effective(row: AblationRow, spaces: Spaces, modalities: Sequence[str] | None) -> dict[str, Any]:
    """The changes of a row that can matter with these modalities; all of them when they are open."""
    if modalities is None:
        return dict(row.change)
    return {path: value for path, value in row.change.items() if not spaces.idle(path, tuple(modalities))}


def left_out(study: Study, spaces: Spaces) -> list[str]:
    """What of a study's wishes has no effect with its modalities, one sentence each."""
    notes: list[str] = []
    if study.modalities is None:
        return notes
    without = f"changes nothing with {', '.join(study.modalities)} only"
    if study.search:
        space = search_space(study, spaces)
        gone = [path for path in space if path not in active(space, spaces, study.modalities)]
        notes += [f"search: {path} {without}, it is not searched" for path in gone]
    if study.ablation:
        notes += _ablation_notes(study, spaces, without)
    if study.sensitivity:
        gone = [path for path in sensitivity_grid(study, spaces) if spaces.idle(path, study.modalities)]
        notes += [f"sensitivity: {path} {without}, it is left out" for path in gone]
    return notes


def _ablation_notes(study: Study, spaces: Spaces, without: str) -> list[str]:
    notes: list[str] = []
    base = paths(study.method_config())
    if study.search and study.around("ablation") == "best":
        # What the best arm will have there is not known yet.
        base |= dict.fromkeys(search_space(study, spaces), "searched")
    seen = {json.dumps(base): "the arm it is measured from"}
    kept = rows_in_effect(study, spaces)
    names = [row.name for row, _ in kept]
    asked = ablation_rows(study, spaces)
    unheard = [missing for row in asked if (missing := without_copies(row.change, study.copies))]
    if unheard:
        notes.append(_unheard(unheard))
    for row in asked:
        if without_copies(row.change, study.copies):
            continue
        if missing := lacking(row.change, study.modalities):
            notes.append(f"ablation: row {row.name!r} needs {missing}, it is left out")
        elif row.name not in names:
            notes.append(f"ablation: row {row.name!r} {without} beyond other rows, it is left out")
    for row, change in kept:
        fields = paths(apply(study.method_config(), change))
        key = json.dumps(base | {path: fields[path] for path in change})
        if key in seen:
            notes.append(f"ablation: row {row.name!r} is the same as {seen[key]} here, it is left out")
        seen.setdefault(key, f"row {row.name!r}")
    return notes


def _unheard(missing: Sequence[str]) -> str:
    rows = "1 row needs" if len(missing) == 1 else f"{len(missing)} rows need"
    named = ", ".join(dict.fromkeys(missing))
    gone = "is" if len(missing) == 1 else "are"
    return (
        f"ablation: {rows} augmented copies of the recordings ({named}), which the corpus does not have, and {gone} "
        "left out; where there are recordings, `sweeper data features --augment` writes such copies"
    )


def _arm(
    study: Study,
    config: BaseModel,
    kind: Kind,
    name: str,
    *,
    method: str = "",
    parent: str = "",
    parameter: str | None = None,
    value: Any = None,
) -> Arm:
    method = method or study.method
    return Arm(
        id=arm_id(method, config),
        method=method,
        kind=kind,
        name=name,
        config=config.model_dump(mode="json"),
        parent=parent,
        parameter=parameter,
        value=value,
    )
