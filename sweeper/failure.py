"""Why an arm failed, in words that fit a table."""

from __future__ import annotations

from ray.exceptions import RayActorError, RayTaskError

from trainables.errors import Diverged, InputError


def reason(error: BaseException) -> str:
    """Why an arm failed, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[-1] if lines else type(error).__name__
    own = isinstance(error, Diverged | InputError)
    return text if own or not lines else f"{type(error).__name__}: {text}"


def why(error: BaseException) -> str:
    """Why an arm's worker was given up, in one line."""
    if isinstance(error, RayActorError):
        lines = [line.strip() for line in str(error).splitlines() if "exit" in line.lower()]
        return f"the worker process died ({lines[-1] if lines else 'killed, or out of memory'})"
    return reason(error.cause if isinstance(error, RayTaskError) and error.cause is not None else error)
