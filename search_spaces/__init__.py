"""Search spaces, ablation rows and sensitivity grids: one module a method, all of it data, no torch."""

from __future__ import annotations

from importlib import import_module

from search_spaces.change import did_you_mean
from search_spaces.space import Spaces
from trainables.errors import InputError
from trainables.methods import METHODS


def get(method: str) -> Spaces:
    """What can be searched, ablated and probed in a method.

    Raises:
        InputError: If there is no such method.
    """
    if method not in METHODS:
        raise InputError(f"method: there is no {method!r}{did_you_mean(method, METHODS)}")
    return import_module(f"search_spaces.{method}").SPACES


__all__ = ["get"]
