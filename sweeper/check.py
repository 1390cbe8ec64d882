"""Whether a study fits its method: everything that can be refused before the corpus is read."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

from pydantic import BaseModel

import search_spaces
from search_spaces.change import apply, check_path, did_you_mean, field_type, paths
from search_spaces.space import AblationRow, Choice, Float, Int, Range, Space, Spaces, lacking, without_copies
from sweeper.study import Ranges, Study
from trainables.errors import InputError
from trainables.methods import METHODS

#: Fewest and most rows of a factorial design; five are 32 arms.
FACTORS = (2, 5)


def check(study: Study) -> None:
    """Refuse a study that does not fit its method.

    Raises:
        InputError: With the dotted key first.
    """
    spaces = search_spaces.get(study.method)
    _check_modalities(study, spaces)
    config = _at("config", study.method_config)
    _check_inputs(study, config)
    _check_unlabeled(study, spaces)
    _check_baselines(study)
    if study.search:
        space = search_space(study, spaces)
        if not active(space, spaces, study.modalities):
            raise InputError("search.space: nothing in it matters with these modalities; add one, or fields")
    if study.ablation:
        _check_around(study, "ablation")
        for row in ablation_rows(study, spaces):
            _at(f"ablation.rows ({row.name})", lambda row=row: apply(config, row.change))
    if study.sensitivity:
        _check_around(study, "sensitivity")
        for path, values in sensitivity_grid(study, spaces).items():
            _check_values(f"sensitivity.parameters.{path}", config, path, values)


def search_space(study: Study, spaces: Spaces) -> Space:
    """The ranges a study searches, whether named or written out, all checked against the method's config.

    Raises:
        InputError: If the space is unknown or a range does not fit its field.
    """
    assert study.search is not None
    asked = study.search.space
    if isinstance(asked, str):
        name = asked or spaces.default_space
        if name not in spaces.spaces:
            raise InputError(f"search.space: there is no {name!r}{did_you_mean(name, spaces.spaces)}")
        return spaces.spaces[name]
    if not asked:
        raise InputError(f"search.space: is empty; name a space ({', '.join(spaces.spaces)}) or give ranges")
    config = study.method_config()
    return {path: _range(config, path, each) for path, each in asked.items()}


def active(space: Space, spaces: Spaces, modalities: tuple[str, ...] | None) -> Space:
    """The part of a space that can change a result with these modalities; all of it when they are open."""
    if modalities is None:
        return space
    return {path: each for path, each in space.items() if not spaces.idle(path, modalities)}


def ablation_rows(study: Study, spaces: Spaces) -> tuple[AblationRow, ...]:
    """The rows a study asks for, in the method's order, then the combinations of its factorial design.

    Raises:
        InputError: If a row is unknown, none is left, or rows cannot be combined.
    """
    assert study.ablation is not None
    factors = _factors(study.ablation.factorial, spaces)
    asked = _asked_rows(study.ablation.rows, spaces)
    listed = [row for row in spaces.ablation if row in asked or row in factors]
    return (*listed, *_combinations(factors))


def _asked_rows(asked: str | tuple[str, ...], spaces: Spaces) -> Sequence[AblationRow]:
    if asked == "all":
        return spaces.ablation
    if asked == "paper":
        return [row for row in spaces.ablation if not row.control]
    if isinstance(asked, str):
        raise InputError(f"ablation.rows: must be paper, all, or a list of row names, found {asked!r}")
    if not asked:
        raise InputError("ablation.rows: is empty; write all, paper, or leave the section out")
    return [_row("ablation.rows", name, spaces) for name in asked]


def _row(key: str, name: str, spaces: Spaces) -> AblationRow:
    found = {row.name: row for row in spaces.ablation}
    if name not in found:
        raise InputError(f"{key}: there is no row {name!r}{did_you_mean(name, found)}")
    return found[name]


def _factors(names: tuple[str, ...], spaces: Spaces) -> list[AblationRow]:
    """The rows of a factorial design; none where a study asks for none."""
    key = "ablation.factorial"
    if names and not (FACTORS[0] <= len(names) <= FACTORS[1] and len(set(names)) == len(names)):
        raise InputError(f"{key}: must name {FACTORS[0]} to {FACTORS[1]} different rows, found {len(names)}")
    rows = [_row(key, name, spaces) for name in names]
    for first, second in combinations(rows, 2):
        if both := sorted(set(first.change) & set(second.change)):
            raise InputError(
                f"{key}: {first.name!r} and {second.name!r} both change {both[0]}; combine rows that change "
                "different fields"
            )
    return rows


def _combinations(factors: Sequence[AblationRow]) -> Iterator[AblationRow]:
    """Every two or more of the rows at once."""
    for count in range(2, len(factors) + 1):
        for some in combinations(factors, count):
            names = [row.name for row in some]
            change = {path: value for row in some for path, value in row.change.items()}
            claim = f"What is left without {len(some)} components at once (ours, of the factorial design)."
            yield AblationRow(name=" + ".join(names), change=change, claim=claim, control=True)


def sensitivity_grid(study: Study, spaces: Spaces) -> dict[str, tuple[Any, ...]]:
    """Values to try, by field path.

    Raises:
        InputError: If a field is unknown, or neither the study nor the method gives its values.
    """
    assert study.sensitivity is not None
    asked = study.sensitivity.parameters
    if asked == "all":
        return dict(spaces.sensitivity)
    written = asked if isinstance(asked, Mapping) else {path: spaces.sensitivity.get(path, ()) for path in asked}
    grid = dict(written)
    if not grid:
        raise InputError("sensitivity.parameters: is empty; write all, fields, or leave the section out")
    fields = paths(study.method_config())
    for path, values in grid.items():
        _at("sensitivity.parameters", lambda path=path: check_path(path, fields), dot=True)
        if not values:
            raise InputError(
                f"sensitivity.parameters.{path}: has no values, and {study.method} states none for it; "
                f"write parameters: {{{path}: [value, value]}}"
            )
    return grid


def _check_modalities(study: Study, spaces: Spaces) -> None:
    if study.modalities is None:
        return
    for modality in spaces.requires:
        if modality not in study.modalities:
            raise InputError(f"modalities: {study.method} needs {modality}, found {', '.join(study.modalities)}")
    for modality in study.features or {}:
        if modality not in study.modalities:
            raise InputError(f"features.{modality}: {modality} is none of the modalities; remove it or add it there")


def _check_inputs(study: Study, config: BaseModel) -> None:
    for path, value in paths(config).items():
        if missing := lacking({path: value}, study.modalities):
            raise InputError(f"config.{path}: {value!r} needs {missing}, found {list(study.modalities or ())}")
    if missing := without_copies(paths(config), study.copies):
        raise InputError(
            f"config.augment.source: 'recordings' needs augmented copies of the recordings ({missing}), and there are "
            f"{', '.join(study.copies or ()) or 'none'} to use; write some with `sweeper data features --augment`, and "
            "use stored features"
        )


def _check_unlabeled(study: Study, spaces: Spaces) -> None:
    if study.unlabeled is not None and not spaces.unlabeled:
        raise InputError(f"unlabeled: {study.method} does not train on unlabeled utterances; remove it")


def _check_baselines(study: Study) -> None:
    if len(set(study.baselines)) < len(study.baselines):
        raise InputError(f"baselines: must not hold a method twice, found {', '.join(study.baselines)}; remove one")
    for method in study.baselines:
        if method not in METHODS or method == study.method:
            others = [each for each in METHODS if each != study.method]
            raise InputError(f"baselines: there is no other method {method!r}{did_you_mean(method, others)}")
    for method, config in _at("baselines", study.baseline_configs).items():
        for modality in search_spaces.get(method).requires:
            if study.modalities is not None and modality not in study.modalities:
                raise InputError(f"baselines.{method}: needs {modality}, found {', '.join(study.modalities)}")
        if missing := lacking(paths(config), study.modalities):
            raise InputError(
                f"baselines.{method}: its inputs need {missing}, found {', '.join(study.modalities or ())}"
            )


def _check_around(study: Study, kind: str) -> None:
    if getattr(study, kind).around == "best" and study.search is None:
        raise InputError(f"{kind}.around: best needs a search; add one, or write around: paper")


def _range(config: BaseModel, path: str, written: Ranges) -> Range:
    place = f"search.space.{path}"
    _at("search.space", lambda: check_path(path, paths(config)), dot=True)
    if written.options is not None:
        choice = _at(place, lambda: Choice(written.options or ()), dot=True)
        _check_values(place, config, path, choice.options)
        return choice
    made = _at(place, lambda: _numeric(type(config), path, written), dot=True)
    _check_values(place, config, path, (made.low, made.high))
    return made


def _numeric(config: type[BaseModel], path: str, written: Ranges) -> Float | Int:
    assert written.low is not None
    assert written.high is not None
    accepted = _members(field_type(config, path))
    if float in accepted:
        return Float(written.low, written.high, written.log, written.step)
    if int not in accepted:
        raise InputError("low: the field holds no number; give options")
    whole = {"low": written.low, "high": written.high, "step": 1 if written.step is None else written.step}
    for name, value in whole.items():
        if value != int(value):
            raise InputError(f"{name}: must be a whole number, found {value:g}")
    return Int(int(whole["low"]), int(whole["high"]), written.log, int(whole["step"]))


def _members(annotation: Any) -> tuple[Any, ...]:
    union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    return typing.get_args(annotation) if union else (annotation,)


def _check_values(place: str, config: BaseModel, path: str, values: Iterable[Any]) -> None:
    for value in values:
        try:
            apply(config, {path: value})
        except InputError as error:
            raise InputError(f"{place}: {str(error).partition(': ')[2]}") from None


def _at(place: str, call: Any, *, dot: bool = False) -> Any:
    """Run a check; what it refuses is said to stand at ``place``."""
    try:
        return call()
    except InputError as error:
        raise InputError(f"{place}{'.' if dot or place == 'config' else ': '}{error}") from None
