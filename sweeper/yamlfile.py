"""YAML files that people write: strict, with every key's line at hand for the message that refuses it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from trainables.errors import InputError


class _Loader(yaml.SafeLoader):
    """YAML's safe subset, where ``1e-4`` is a number (YAML 1.1 takes it for text)."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


#: Sections within sections that are still believable.
_DEEPEST = 20


@dataclass(frozen=True)
class Document:
    """A mapping read from a file, and where each of its keys stands.

    Attributes:
        path: The file.
        data: Its content.
        places: Where a dotted key was given, such as ``study.yaml, line 7`` or ``--set search.trials=8``.
    """

    path: Path
    data: dict[str, Any]
    places: dict[str, str] = field(default_factory=dict)

    def place(self, key: str) -> str:
        """Where a dotted key, or the nearest section around it, was given; else the file."""
        while key:
            if key in self.places:
                return self.places[key]
            key = key.rpartition(".")[0]
        return str(self.path)


def read(path: str | Path) -> Document:
    """Read a YAML mapping.

    Raises:
        InputError: If the file cannot be read, is no YAML, is no mapping, or gives a key twice.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file{_others(path)}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text ({error})") from None
    node = _compose(path, text)
    if not isinstance(node, yaml.MappingNode):
        raise InputError(f"{path}: must hold keys and values (key: value), holds {_kind(node)}")
    places: dict[str, str] = {}
    _walk(path, node, "", places)
    return Document(path, parse(text, str(path)), places)


def parse(text: str, place: str) -> Any:
    """The value of a piece of YAML.

    Raises:
        InputError: If it is no YAML; the message starts with ``place``.
    """
    try:
        # A SafeLoader with one more number format: constructs plain data only.
        return yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"{place}: no valid YAML, {_reason(error)}") from None


def override(document: Document, assignments: Sequence[str]) -> Document:
    """Apply ``key=value`` assignments, values read as YAML, keys dotted.

    Args:
        document: What to change; left as it is.
        assignments: Such as ``search.trials=8`` or ``seeds=[0, 1]``; later ones win.

    Raises:
        InputError: If an assignment has no ``=``, or goes through a key that holds no section.
    """
    data, places = _copy(document.data), dict(document.places)
    for assignment in assignments:
        place = f"--set {assignment}"
        key, equals, text = assignment.partition("=")
        key = key.strip()
        if not equals or not key or not all(key.split(".")):
            raise InputError(f"{place}: must have the form key=value, such as --set search.trials=8")
        _assign(data, key.split("."), parse(text, place), place)
        for inside in [known for known in places if known.startswith(f"{key}.")]:
            del places[inside]
        places[key] = place
        for section in _sections(key):
            places.setdefault(section, place)
    return Document(document.path, data, places)


def dump(data: Mapping[str, Any]) -> str:
    """A mapping as YAML, keys in their order."""
    return yaml.safe_dump(dict(data), sort_keys=False, allow_unicode=True, width=100)


def _compose(path: Path, text: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise InputError(f"{path}: no valid YAML, {_reason(error)}") from None


def _walk(path: Path, node: yaml.Node, prefix: str, places: dict[str, str]) -> None:
    """Note the line of every key below a node, and refuse a key given twice."""
    if not isinstance(node, yaml.MappingNode):
        return
    if prefix.count(".") > _DEEPEST:
        raise InputError(f"{path}: sections within sections without end; does an alias point at itself?")
    for key, value in node.value:
        name, line = f"{prefix}{key.value}", key.start_mark.line + 1
        if name in places and key.value != "<<":
            first = places[name].rpartition(" ")[2]
            raise InputError(f"{path}, line {line}: {name}: is given twice, first on line {first}; remove one")
        places[name] = f"{path}, line {line}"
        _walk(path, value, f"{name}.", places)


def _sections(key: str) -> list[str]:
    parts = key.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts))]


def _assign(data: dict[str, Any], keys: list[str], value: Any, place: str) -> None:
    for index, key in enumerate(keys[:-1]):
        if data.get(key) is None:
            data[key] = {}
        data = data[key]
        if not isinstance(data, dict):
            raise InputError(f"{place}: {'.'.join(keys[: index + 1])} is no section, it holds {data!r}")
    data[keys[-1]] = value


def _copy(value: Any) -> Any:
    return {key: _copy(each) for key, each in value.items()} if isinstance(value, dict) else value


def _kind(node: yaml.Node | None) -> str:
    if node is None:
        return "nothing"
    return "a list" if isinstance(node, yaml.SequenceNode) else "a single value"


def _others(path: Path) -> str:
    if not path.parent.is_dir():
        return ""
    files = sorted(each.name for each in path.parent.glob("*.y*ml"))
    return f"; in {path.parent} there is {', '.join(files[:8])}" if files else ""


def _reason(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or str(error).splitlines()[0]
    return f"line {mark.line + 1}: {what}" if mark else str(what)
