"""What a study will run, counted before anything starts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

import search_spaces
from search_spaces.change import apply, get_field
from search_spaces.space import Choice, Space, Spaces
from sweeper.arms import ablation_arms, left_out, reference_arm, rows_in_effect, sensitivity_arms
from sweeper.check import active, search_space, sensitivity_grid
from sweeper.study import Study
from trainables import corpus as corpora
from trainables import known_texts, methods
from trainables.corpus import Corpus
from trainables.errors import InputError
from trainables.fold_check import class_warnings, context_warnings
from trainables.methods import Method
from trainables.prepared import check_vectors
from trainables.protocols import Fold, cut


@dataclass(frozen=True)
class Group:
    """The arms of one kind.

    Attributes:
        kind: ``reference``, ``search``, ``ablation``, ``sensitivity`` or ``baseline``.
        arms: At most so many arms.
        epochs: By stage, the most epochs these arms train together, each on all rows at once.
        text: What they are, in a few words.
    """

    kind: str
    arms: int
    epochs: Mapping[str, int]
    text: str


@dataclass(frozen=True)
class Plan:
    """Counts of a study on its corpus; upper bounds, since early stopping and shared stages only save.

    Attributes:
        study: The study, with modalities and columns settled.
        corpus: The corpus's name.
        folds: The folds.
        groups: The arms by kind, in the order in which they run.
        space: The searched ranges.
        notes: What of the study has no effect, and what corpus, protocol and folds warn of.
    """

    study: Study
    corpus: str
    folds: tuple[Fold, ...]
    groups: tuple[Group, ...]
    space: Space
    notes: tuple[str, ...]

    @property
    def rows(self) -> int:
        """Folds times seeds: what one arm trains at once."""
        return len(self.folds) * len(self.study.seeds)

    @property
    def arms(self) -> int:
        """All arms, at most."""
        return sum(group.arms for group in self.groups)

    @property
    def epochs(self) -> int:
        """All epochs of all arms, at most; an epoch passes over the train part of every row."""
        return sum(sum(group.epochs.values()) for group in self.groups)

    def seconds(self, seconds_per_epoch: float | None, concurrent: int = 1) -> float | None:
        """The longest the study should take: epochs times seconds per epoch, over arms at a time.

        Args:
            seconds_per_epoch: Measured time of one epoch of one arm (all rows); None when not known.
            concurrent: Arms that run at a time.

        Returns:
            Seconds, or None when the speed is not known.
        """
        return None if seconds_per_epoch is None else self.epochs * seconds_per_epoch / max(1, concurrent)


def corpus_of(study: Study) -> Corpus:
    """Read the corpus of a study, with the second, unlabeled one where it names one.

    Raises:
        InputError: If either cannot be used.
    """
    return corpora.read(
        study.corpus,
        features=study.features,
        modalities=study.modalities,
        where=study.where,
        unlabeled=study.unlabeled,
    )


def make(study: Study, corpus: Corpus) -> Plan:
    """Count what a study will run on a loaded corpus.

    Raises:
        InputError: If the protocol cannot cut this corpus, or the method has no use for it or for several workers.
    """
    study = study.with_corpus(corpus.columns, _copies(study, corpus))
    # First in the method's own words.
    methods.get(study.method).check(study.method_config(), corpus)
    _check_vectors(study, corpus)
    _check_workers(study)
    folds, warnings = cut(corpus, study.protocol)
    warnings += _warnings(study, corpus, folds)
    spaces = search_spaces.get(study.method)
    space = active(search_space(study, spaces), spaces, study.modalities) if study.search else {}
    groups = _groups(study, spaces, space, methods.get(study.method))
    notes = (*corpus.warnings, *warnings, *left_out(study, spaces), *_race_notes(study, len(folds)))
    return Plan(study, corpus.name, folds, groups, space, notes)


def _copies(study: Study, corpus: Corpus) -> tuple[str, ...]:
    """Augmentations that there are copies by; none for a method that encodes the recordings itself."""
    raw = methods.get(study.method).raw(study.method_config())
    return () if "audio" in raw else tuple(corpus.copies)


def _check_vectors(study: Study, corpus: Corpus) -> None:
    """Refuse recordings and transcripts where a method needs vectors of them."""
    method = methods.get(study.method)
    check_vectors(corpus, set(corpus.features) - method.raw(study.method_config()))
    if study.baselines:
        check_vectors(corpus, corpus.features)


def _check_workers(study: Study) -> None:
    """Refuse workers that would have nothing to do."""
    config, asked = study.method_config(), study.resources
    if asked.spread > 1 and not any(stage.distributed(config) for stage in methods.get(study.method).active(config)):
        key = "workers" if asked.workers > 1 else "groups"
        raise InputError(
            f"resources.{key}: no stage of {study.method} can use several workers with this config; remove it"
        )


def _race_notes(study: Study, folds: int) -> tuple[str, ...]:
    """That a race cannot stop anything, where that is so."""
    if study.scheduler.kind != "race":
        return ()
    from sweeper.racing import FEWEST_FOLDS

    if folds >= FEWEST_FOLDS:
        return ()
    remedy = "write `scheduler: {kind: asha}`, or a protocol with more folds"
    return (f"scheduler: a race needs {FEWEST_FOLDS} folds, here are {folds}: no arm will be stopped; {remedy}",)


def _warnings(study: Study, corpus: Corpus, folds: tuple[Fold, ...]) -> tuple[str, ...]:
    """What the content of the folds can mislead a reader about, methods in mind."""
    configs = {study.method: study.method_config(), **study.baseline_configs()}
    turns = {name: methods.get(name).turns for name in configs}
    reading = {name: field for name, field in turns.items() if field and get_field(configs[name], field) != 1}
    return (
        *known_texts.warnings(corpus, folds, lambda: corpora.kinds(study.corpus, corpus)),
        *context_warnings(corpus, folds, study.protocol, reading),
        *class_warnings(corpus, folds),
    )


def concurrent(study: Study) -> int:
    """How many arms will run at a time on this machine's cores."""
    fit = max(1, int((os.cpu_count() or 1) / study.resources.cpus_per_trial))
    asked = study.resources.concurrent
    return fit if asked == "auto" else min(asked, fit)


def _groups(study: Study, spaces: Spaces, space: Space, method: Method) -> tuple[Group, ...]:
    reference = reference_arm(study)
    config = study.method_config()
    groups = [Group("reference", 1, _epochs(method, [config]), reference.name)]
    if study.search:
        longest = _longest(config, space)
        epochs = {stage: n * study.search.trials for stage, n in _epochs(method, [longest]).items()}
        text = f"{study.search.sampler} over {len(space)} fields, seed {study.search.seed}"
        groups.append(Group("search", study.search.trials, epochs, text))
    if study.ablation:
        arms = [arm.config for arm in ablation_arms(study, spaces, config, reference.id)]
        groups.append(_group("ablation", study, method, arms, f"{len(rows_in_effect(study, spaces))} rows"))
    if study.sensitivity:
        arms = [arm.config for arm in sensitivity_arms(study, spaces, config, reference.id)]
        arms += _off_grid(study, spaces, space)
        groups.append(_group("sensitivity", study, method, arms, f"{len(_probed(study, spaces))} fields"))
    if study.baselines:
        groups.append(_baselines(study))
    return tuple(groups)


def _baselines(study: Study) -> Group:
    configs = study.baseline_configs()
    epochs: dict[str, int] = {}
    for name, config in configs.items():
        for stage, count in _epochs(methods.get(name), [config]).items():
            epochs[stage] = epochs.get(stage, 0) + count
    return Group("baseline", len(configs), epochs, ", ".join(configs))


def _group(kind: Any, study: Study, method: Method, configs: list[Mapping[str, Any]], text: str) -> Group:
    around = "the best arm" if study.around(kind) == "best" else "the study's own config"
    validated = [method.config.model_validate(config) for config in configs]
    return Group(kind, len(configs), _epochs(method, validated), f"{text}, around {around}")


def _probed(study: Study, spaces: Spaces) -> list[str]:
    modalities = study.modalities or ()
    return [path for path in sensitivity_grid(study, spaces) if not spaces.idle(path, modalities)]


def _off_grid(study: Study, spaces: Spaces, space: Space) -> list[Mapping[str, Any]]:
    """One more arm for each probed field that is searched: the best arm's value will lie beside the grid."""
    if study.around("sensitivity") != "best":
        return []
    config = study.method_config()
    grid = sensitivity_grid(study, spaces)
    moved = [path for path in _probed(study, spaces) if path in space]
    return [config.model_dump(mode="json") for path in moved if get_field(config, path) in grid[path]]


def _longest(config: BaseModel, space: Space) -> BaseModel:
    """The config with every searched number of epochs at its highest."""
    searched = {path: each for path, each in space.items() if path.endswith(".epochs")}
    highest = {path: max(each.options) if isinstance(each, Choice) else each.high for path, each in searched.items()}
    return apply(config, highest)


def _epochs(method: Method, configs: list[Any]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for config in configs:
        for stage in method.active(config):
            counts[stage.name] = counts.get(stage.name, 0) + stage.epochs(config)
    return counts


__all__ = ["Group", "Plan", "concurrent", "corpus_of", "make"]
