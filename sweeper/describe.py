"""What there is to know about a method or a corpus, collected for the command line."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from search_spaces.change import paths
from trainables.methods import METHODS, config_of, get


def methods() -> dict[str, tuple[str, str]]:
    """Title and citation of every method, by its name."""
    found = {name: get(name) for name in METHODS}
    return {name: (method.title, method.citation) for name, method in found.items()}


def fields(method: str) -> dict[str, tuple[Any, str]]:
    """Default and meaning of every setting of a method, by field path."""
    config = config_of(method)
    return {path: (default, _meaning(config, path)) for path, default in paths(config()).items()}


def _meaning(config: type[BaseModel], path: str) -> str:
    *sections, name = path.split(".")
    for section in sections:
        config = config.model_fields[section].annotation  # type: ignore[assignment]
    return " ".join((config.model_fields[name].description or "").replace("``", "").split())
