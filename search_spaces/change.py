"""Configs as flat maps of field paths: read a field, change some, list the differences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from trainables.errors import InputError

#: Words that are still worth listing in one line; beyond that, their sections are.
_MOST = 16
#: No count or size of anything is larger.
_LARGEST = 2**31 - 1
ConfigT = TypeVar("ConfigT", bound=BaseModel)


def paths(config: BaseModel) -> dict[str, Any]:
    """Every field of a config by its path, with its value as JSON would hold it, in order of definition."""
    return flatten(config.model_dump(mode="json"))


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one map of dotted paths.

    Example:
        >>> flatten({"align": {"alpha": 1.0, "beta": 0.5}})
        {'align.alpha': 1.0, 'align.beta': 0.5}
    """
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        path = f"{prefix}{key}"
        flat.update(flatten(value, f"{path}.") if isinstance(value, Mapping) else {path: value})
    return flat


def get_field(config: BaseModel, path: str) -> Any:
    """The value of one field, as JSON would hold it.

    Raises:
        InputError: If the config has no such field; names the nearest one.
    """
    fields = paths(config)
    check_path(path, fields)
    return fields[path]


def field_type(config: type[BaseModel], path: str) -> Any:
    """The annotation of a field.

    Raises:
        InputError: If the config has no such field.
    """
    check_path(path, paths(config()))
    *sections, name = path.split(".")
    for section in sections:
        config = config.model_fields[section].annotation  # type: ignore[assignment]
    return config.model_fields[name].annotation


def apply(config: ConfigT, changes: Mapping[str, Any]) -> ConfigT:
    """A copy of a config with some fields replaced, validated.

    Args:
        config: What to start from; left as it is.
        changes: New values by field path.

    Returns:
        The changed config, of the same class.

    Raises:
        InputError: If a path is no field, or a value is refused; the message starts with the path.
    """
    fields = paths(config)
    tree = config.model_dump(mode="json")
    for path, value in changes.items():
        check_path(path, fields)
        if isinstance(value, bool) and not isinstance(fields[path], bool):
            raise InputError(f"{path}: a truth value is not allowed here, found {value}")
        if isinstance(value, int | float) and isinstance(fields[path], int) and abs(value) > _LARGEST:
            raise InputError(f"{path}: must be at most {_LARGEST}, found {value:g}")
        _set(tree, path.split("."), value)
    try:
        return type(config).model_validate(tree)
    except ValidationError as error:
        raise InputError(describe(error)) from None


def difference(config: BaseModel, default: BaseModel) -> dict[str, Any]:
    """The fields in which a config differs from another of its class: path -> the config's value."""
    before = paths(default)
    return {path: value for path, value in paths(config).items() if value != before[path]}


def check_path(path: str, fields: Iterable[str]) -> None:
    """Refuse a path that is no field, and name the nearest one.

    Raises:
        InputError: If it is none of the fields.
    """
    known = list(fields)
    if path in known:
        return
    inside = [field for field in known if field.startswith(f"{path}.")]
    if inside:
        raise InputError(f"{path}: is a section, name one of its fields: {', '.join(inside)}")
    raise InputError(f"{path}: no such field{did_you_mean(path, known)}")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``; did you mean ...?`` with the nearest known word, or the list of them when none is near."""
    words = [str(each) for each in known]
    by_lower = {each.lower(): each for each in reversed(words)}
    near = get_close_matches(word.lower(), list(by_lower), n=1, cutoff=0.5)
    if not near:
        tails = {each.rsplit(".", 1)[-1].lower(): each for each in reversed(words)}
        near = [tails[hit].lower() for hit in get_close_matches(word.lower().rsplit(".", 1)[-1], list(tails), n=1)]
    if near:
        return f"; did you mean {by_lower[near[0]]}?"
    if len(words) > _MOST:
        words = list(dict.fromkeys(each.partition(".")[0] for each in words))
    return f"; there is {', '.join(words)}" if words else ""


def describe(error: ValidationError) -> str:
    """The first problem of a pydantic error in one line: ``path: what is expected, found <value>``."""
    first, *others = error.errors(include_url=False)
    path = ".".join(str(part) for part in first["loc"] if part not in FORMS)
    found = "" if first["type"] == "missing" else f", found {_short(first['input'])}"
    more = f" (and {len(others)} more)" if others else ""
    return f"{path}: {_expected(first)}{found}{more}"


#: What stands in pydantic's places for the form of a value that may have several.
FORMS = ("<text>", "<mapping>", "<list>", "<number>", "<other>")
_EXPECTED = {
    "missing": "is required",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "dict_type": "must be a section of keys and values",
    "model_type": "must be a section of keys and values",
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be finite",
    "invalid_key": "a key must be text, put it in quotes",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "literal_error": "must be {expected}",
    "greater_than_equal": "must be at least {ge:g}",
    "greater_than": "must be above {gt:g}",
    "less_than_equal": "must be at most {le:g}",
    "less_than": "must be below {lt:g}",
    "byte_size": "must be a size such as 20 GB",
    "byte_size_unit": "must be a size such as 20 GB",
}


def _expected(problem: ErrorDetails) -> str:
    if problem["type"] in _EXPECTED:
        return _EXPECTED[problem["type"]].format(**problem.get("ctx", {}))
    message = problem["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return message[:1].lower() + message[1:]


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _set(tree: dict[str, Any], keys: list[str], value: Any) -> None:
    for key in keys[:-1]:
        tree = tree[key]
    tree[keys[-1]] = value
