"""A memory of the last call: what was prepared for one stage of an arm serves the next stage and the next arm."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def kept(function: Callable[P, T]) -> Callable[P, T]:
    """The function with its last result kept, for as long as it is called with the very same objects.

    Objects (corpora, folds) are compared by identity: they are large, and nobody changes them. Numbers, texts and
    tuples of them are compared by value. One result is kept, since it may fill much of a device.
    """
    last: list[tuple[tuple[Any, ...], T]] = []

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        given = (*args, *kwargs.items())
        if not last or not _same(last[0][0], given):
            last.clear()  # before the next is made: both may not fit
            last.append((given, function(*args, **kwargs)))
        return last[0][1]

    return wrapped


def _same(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    return len(one) == len(other) and all(a is b or _equal(a, b) for a, b in zip(one, other, strict=True))


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, tuple) and isinstance(other, tuple):
        return _same(one, other)
    return isinstance(one, str | int | float | bool | None) and type(one) is type(other) and one == other
