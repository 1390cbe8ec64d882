"""The methods there are: one hand-written dictionary. A new method is one module and one line here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from pydantic import BaseModel

from trainables.epoch import Epoch, Tensors
from trainables.errors import InputError

#: run(config, task, artifacts of earlier stages by stage name, state to resume from) -> epochs
StageRun = Callable[..., Iterator[Epoch]]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One training step of a method.

    Attributes:
        name: The stage's name, also its section in the config.
        run: ``run(config, task, artifacts, state)``, a generator of `Epoch`.
        active: Whether a config asks for this stage at all.
        epochs: How many epochs it will run under a config.
        depends: Config fields, by their paths, that can change its artifact beyond those of earlier stages;
            a section's name stands for the whole section.
        classifies: Whether its epochs carry confusion counts, and so take part in selection and stopping.
        vectors: Config fields that arms trained side by side need not have in common: each row has its own value. Empty
            where arms cannot be trained side by side.
        distributed: Whether a config makes it worth a group of workers: its ``run`` may then be called in several
            processes with torch.distributed initialised, with equal arguments, and splits each step between them.
    """

    name: str
    run: StageRun
    active: Callable[[Any], bool]
    epochs: Callable[[Any], int]
    depends: tuple[str, ...]
    classifies: bool
    vectors: tuple[str, ...] = ()
    distributed: Callable[[Any], bool] = lambda config: False


@dataclass(frozen=True, kw_only=True)
class Method:
    """One published system.

    Attributes:
        name: Its name in study files.
        title: Title of the paper.
        citation: Authors, year and identifier.
        config: The typed settings; the defaults are the paper's.
        stages: Its stages, in order.
        predict: ``predict(config, artifacts, corpus)``: class probabilities of every utterance of a corpus, shape
            (rows, utterances, classes), from the artifacts of a trained task.
        measures: What its diagnostics say, for the report: name of the measure -> (title, meaning with its unit and
            what a bad value is).
        raw: Modalities that a config reads as recordings or transcripts, by an encoder of its own.
        check: ``check(config, corpus)`` refuses, by `InputError`, what could not be trained, before any work.
        outside: What a config names and does not hold, by its content: digests of encoders' files.
        turns: Config field that says how many turns of a dialogue are read together, where a method reads others beside
            the utterance it classifies: 1 is the utterance alone. Empty for methods that read no others.
        version: Raised whenever the same config would give other numbers.
    """

    name: str
    title: str
    citation: str
    config: type[BaseModel]
    stages: tuple[Stage, ...]
    predict: Callable[[Any, Mapping[str, Tensors], Any], Any]
    version: int
    raw: Callable[[Any], frozenset[str]] = lambda config: frozenset()
    check: Callable[[Any, Any], None] = lambda config, corpus: None
    outside: Callable[[Any], tuple[str, ...]] = lambda config: ()
    measures: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    turns: str = ""

    def active(self, config: BaseModel) -> tuple[Stage, ...]:
        """The stages a config asks for, in order."""
        return tuple(stage for stage in self.stages if stage.active(config))


METHODS: dict[str, str] = {
    "cm_arr": "trainables.cm_arr",
    "concat_mlp": "trainables.concat_mlp",
    "distribution_matching": "trainables.distribution_matching",
    "linear": "trainables.linear",
    "mi_infogan": "trainables.mi_infogan",
    "subspace_mapping": "trainables.subspace_mapping",
}


def config_of(name: str) -> type[BaseModel]:
    """The config class of a method, without loading torch."""
    return import_module(f"{_module(name)}.config").Config


def get(name: str) -> Method:
    """The method of that name (loads torch).

    Raises:
        InputError: If there is none.
    """
    return import_module(f"{_module(name)}.method").METHOD


def _module(name: str) -> str:
    if name not in METHODS:
        raise InputError(f"method: there is no {name!r}; there is {', '.join(sorted(METHODS))}")
    return METHODS[name]


__all__ = ["METHODS", "Method", "Stage", "StageRun", "Tensors", "config_of", "get"]
