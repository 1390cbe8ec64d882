"""Why an arm failed, in words that fit a table."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from pathlib import Path

import ray
from ray.exceptions import OutOfMemoryError, RayActorError, RayTaskError

from sweeper.lost import Lost
from trainables.errors import Diverged, InputError


def reason(error: BaseException) -> str:
    """Why an arm failed, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[-1] if lines else type(error).__name__
    own = isinstance(error, Diverged | InputError)
    return text if own or not lines else f"{type(error).__name__}: {text}"


def cause(error: BaseException) -> BaseException:
    """What went wrong, as it was raised where it did."""
    if isinstance(error, Lost):
        return error.error
    inner = error.cause if isinstance(error, RayTaskError) else None
    return error if inner is None else inner


def died(error: BaseException) -> bool:
    """Whether a process died: the arm's worker, or the trainer it shares with others."""
    return isinstance(error, Lost) or isinstance(cause(error), RayActorError | OutOfMemoryError)


def out_of_memory(error: BaseException) -> bool:
    """Whether Ray killed a process since its host ran out of memory, by whichever process that was."""
    return isinstance(cause(error), OutOfMemoryError)


def blameless(error: BaseException) -> bool:
    """Whether a process died with its node, or was taken away on purpose: no arm's fault."""
    inner = cause(error)
    if not isinstance(inner, RayActorError):
        return False
    return bool(getattr(inner, "preempted", False)) or "node has died" in str(inner).lower()


def why(error: BaseException) -> str:
    """Why an arm was given up, in one line."""
    inner = cause(error)
    if out_of_memory(error):
        first = next((line.strip() for line in str(inner).splitlines() if line.strip()), "")
        return f"the host ran out of memory, and the worker process was killed ({first})"
    if isinstance(inner, RayActorError):
        lines = [line.strip() for line in str(inner).splitlines() if "exit" in line.lower()]
        # Ray goes on with what may have been the cause, some of it advice for other systems.
        told = lines[-1].partition(" Some common causes")[0] if lines else "killed, or out of memory"
        return f"the worker process died ({told})"
    return reason(inner)


def last_lines(host: str | None, pid: int | None, most: int = 30) -> str:
    """The last lines that a worker of this host wrote to its log; nothing of other hosts' workers."""
    node = ray._private.worker._global_node
    if not pid or node is None or host not in (None, "", node.node_ip_address):
        return ""
    lines: deque[str] = deque(maxlen=most)
    with suppress(OSError):
        for path in sorted(Path(node.get_logs_dir_path()).glob(f"worker-*-{pid}.err")):
            lines.extend(path.read_text(encoding="utf-8", errors="replace").splitlines())
    return "\n".join(lines)
