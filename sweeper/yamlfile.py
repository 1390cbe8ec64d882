"""YAML files that people write: strict, with every key's line at hand for the message that refuses it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from trainables.errors import InputError

#: Sections within sections that are still believable, and values that are, aliases written out.
_DEEPEST, _MOST = 20, 20_000
#: A study is a few kB; this much takes seconds to read.
_LARGEST = 200_000
#: Whole numbers of more bits fit nowhere, and the largest cannot even be shown.
_BITS = 63


class _Loader(yaml.SafeLoader):
    """YAML's safe subset, where ``1e-4`` is a number (YAML 1.1 takes it for text), within limits.

    What is wrong with a value is a `yaml.YAMLError` with its line, whatever Python says of it.
    """

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """As the base, but not without end."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _refusal(f"is nested in more than {_DEEPEST} levels; write it flatter", self.peek_event())
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """As the base."""
        try:
            value = super().construct_object(node, deep)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            raise _refusal(f"{str(node.value)[:40]!r} is no {node.tag.rpartition(':')[2]}; correct it", node) from None
        if isinstance(value, int) and value.bit_length() > _BITS:
            raise _refusal("a number of that many digits fits nowhere; correct it", node)
        return value


# What no key takes: a set has another order in each process, bytes would pass for text.
_Loader.yaml_constructors = {
    tag: each for tag, each in _Loader.yaml_constructors.items() if not str(tag).endswith((":set", ":binary"))
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


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
    text = _text(path)
    node, data = _load(text, str(path))
    if not isinstance(node, yaml.MappingNode):
        raise InputError(f"{path}: must hold keys and values (key: value), holds {_kind(node)}")
    places: dict[str, str] = {}
    _walk(path, node, "", places)
    return Document(path, data, places)


def parse(text: str, place: str) -> Any:
    """The value of a piece of YAML.

    Raises:
        InputError: If it is no YAML; the message starts with ``place``.
    """
    return _load(text, place)[1]


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


def _text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            content = stream.read(_LARGEST + 1)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file{_others(path)}") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder and cannot be read; name a file of YAML{_others(path / 'x')}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); name a file of YAML") from None
    if len(content) > _LARGEST:
        raise InputError(f"{path}: is larger than {_LARGEST // 1000} kB, which no such file is; a study is a few kB")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: cannot be read as text (byte {error.start} is no UTF-8); name a file of YAML, saved as UTF-8"
        ) from None


def _load(text: str, place: str) -> tuple[yaml.Node | None, Any]:
    """The nodes of a piece of YAML, and its value: plain data only."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None, None
        _size(node, {})
        return node, loader.construct_document(node)
    except yaml.YAMLError as error:
        raise InputError(f"{place}: no valid YAML, {_reason(error)}") from None


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """How many values a node stands for, every alias written out; refused where they are too many, or endless."""
    if id(node) not in known:
        known[id(node)] = _MOST  # an alias of what it is in finds this
        below = node.value if isinstance(node, yaml.CollectionNode) else ()
        each = (part for item in below for part in (item if isinstance(item, tuple) else (item,)))
        known[id(node)] = 1 + sum(_size(part, known) for part in each)
    if known[id(node)] > _MOST:
        raise _refusal(f"aliases stand for more than {_MOST} values, or for themselves; write it out", node)
    return known[id(node)]


def _refusal(problem: str, at: Any) -> yaml.YAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=at.start_mark)


def _walk(path: Path, node: yaml.Node, prefix: str, places: dict[str, str]) -> None:
    """Note the line of every key below a node, and refuse a key given twice."""
    if not isinstance(node, yaml.MappingNode):
        return
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
