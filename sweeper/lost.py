"""Actors lost in ways that Tune does not know of.

Tune's manager of actors knows two bad ends of a call: the actor died, or what it ran raised. Whatever else Ray may say
ends the whole experiment (Ray 2.60): that a host ran out of memory, or that an answer was lost with its node. Here that
is the end of one actor, like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ray.air.execution._internal.actor_manager import RayActorManager
from ray.exceptions import RayActorError, RayError, RayTaskError

_HANDLERS = ("_actor_task_failed", "_actor_start_failed")


class Lost(RayActorError):
    """An actor ended, with what Ray said of it.

    Args:
        error: What Ray said.
    """

    def __init__(self, error: RayError) -> None:
        super().__init__(error_msg=str(error))
        self.error = error

    def __reduce__(self) -> tuple[Any, ...]:
        return Lost, (self.error,)


@contextmanager
def known_to_tune() -> Iterator[None]:
    """Have Tune take whatever Ray says of an actor for the end of that actor."""
    before = {name: getattr(RayActorManager, name) for name in _HANDLERS}
    try:
        for name, handler in before.items():
            setattr(RayActorManager, name, _translating(handler))
        yield
    finally:
        for name, handler in before.items():
            setattr(RayActorManager, name, handler)


def _translating(handler: Callable[..., None]) -> Callable[..., None]:
    def handle(self: RayActorManager, *, exception: Exception, **tracked: Any) -> None:
        if isinstance(exception, RayError) and not isinstance(exception, RayActorError | RayTaskError):
            exception = Lost(exception)
        handler(self, **tracked, exception=exception)

    return handle
