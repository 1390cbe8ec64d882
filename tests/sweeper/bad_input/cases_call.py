"""Words on the command line that no command takes: some for each command there is, whatever else it is given."""

# ruff: noqa: E501 (a table, one case a line)
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer.main
from bad_case import Case, nothing

from sweeper.cli import app


def _commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that is no group, by its words."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path, command
        return
    for name, each in inner.items():
        yield from _commands(each, (*path, name))


def _of(path: tuple[str, ...], command: Any) -> Iterator[Case]:
    name, help_ = " ".join(path), f"`sweeper {' '.join(path)} --help`"
    required = [each for each in command.params if each.required]
    words = ["x"] * sum(each.param_type_name == "argument" for each in required)
    yield Case(f"call: {name}, unknown option", nothing, ("No such option: --nope", help_), (*path, "--nope"))
    if required:
        yield Case(f"call: {name}, nothing", nothing, ("Missing", help_), path)
    if any(each.param_type_name == "option" for each in required):
        yield Case(f"call: {name}, no place to write", nothing, ("--out", help_), (*path, *words))
    if all(each.nargs == 1 for each in command.params):
        many = [*path, *["x"] * 9, *(["-o", "new"] if any("-o" in each.opts for each in command.params) else [])]
        yield Case(f"call: {name}, too many words", nothing, ("unexpected extra argument", help_), tuple(many))


def _all() -> Iterator[Case]:
    for path, command in _commands(typer.main.get_command(app)):
        yield from _of(path, command)


def _set(name: str, text: str, *says: str) -> Case:
    return Case(f"call: --set {name}", nothing, says, ("plan", "study.yaml", "--set", text))


CASES = (
    *_all(),
    Case("call: no such command", nothing, ("No such command 'rnu'", "Did you mean 'run'"), ("rnu", "study.yaml")),
    Case("call: no such command of data", nothing, ("sweeper data: No such command",), ("data", "look", "toy")),
    Case("call: an option without its value", nothing, ("'--set' requires an argument",), ("run", "study.yaml", "--set")),
    Case("call: a command behind an option", nothing, ("No such option",), ("--set", "a=b", "run", "study.yaml")),
    Case("call: a seed of letters", nothing, ("--seed", "valid integer"), ("data", "synth", "new", "--seed", "x")),
    Case("call: a negative seed", nothing, ("--seed", "greater than or equal to 0"), ("data", "synth", "new", "--seed", "-1")),
    Case("call: a corpus into a file", nothing, ("study.yaml",), ("data", "synth", "study.yaml")),
    Case("call: a corpus below a file", nothing, ("study.yaml",), ("data", "synth", "study.yaml/new")),
    Case("call: no study", nothing, ("nowhere.yaml",), ("plan", "nowhere.yaml")),
    Case("call: a folder for a study", nothing, ("toy",), ("run", "toy")),
    Case("call: a corpus for a cluster file", nothing, ("toy",), ("cluster", "down", "toy")),
    Case("call: a study for a cluster file", nothing, ("study.yaml: has no provider.type",), ("cluster", "down", "study.yaml")),
    Case("call: no such method", nothing, ("there is no 'cnn'", "mi_infogan"), ("list", "cnn")),
    Case("call: an address with a password", nothing, ("must be a folder or s3://",), ("status", "s3://me:secret@lab/x")),
    Case("call: a place that is no bucket", nothing, ("must be a folder or s3://",), ("report", "gs://lab/x")),
    _set("without a value", "search.trials", "--set", "search.trials"),
    _set("of nothing", "", "--set"),
    _set("of no key", "=3", "--set"),
    _set("of an unknown key", "serach.trials=3", "serach", "search"),
    _set("of text for a number", "search.trials=many", "search.trials"),
    _set("of broken YAML", "seeds=[0, 1", "--set", "seeds"),
    _set("below a value", "name.first=a", "name"),
)  # fmt: skip
