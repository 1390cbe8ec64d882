"""A sign of life, given as long as a block runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


@contextmanager
def beating(beat: Callable[[], object], every: float) -> Iterator[None]:
    """Call something every few seconds, whatever the block waits for; an `OSError` of it is left for the next time.

    Args:
        beat: What to call, in a thread of its own.
        every: Seconds between two calls.
    """
    over = threading.Event()

    def go_on() -> None:
        while not over.wait(every):
            with suppress(OSError):
                beat()

    thread = threading.Thread(target=go_on, name="sweeper-beat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        # Where it hangs (a dead mount), it is left behind.
        thread.join(timeout=2.0)
