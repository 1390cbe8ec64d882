"""The driver's memory over time, and the files a run has in its temporary folders."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
import psutil

EVERY = 0.5


class Memory:
    """Looks at this process now and then, while the block runs.

    Attributes:
        files: Most files that there were at one time in temporary folders of Tune experiments.
    """

    def __init__(self) -> None:
        self._times: list[float] = []
        self._seen: list[float] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.files = 0

    def __enter__(self) -> Memory:
        self._known = set(Path(tempfile.gettempdir()).glob("sweeper-*"))
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def at(self, times: Sequence[float]) -> list[float]:
        """MiB that are this process's own (USS) at these times, seconds since 1970."""
        return [float(each) for each in np.interp(times, self._times, self._seen)]

    def _watch(self) -> None:
        process, looks = psutil.Process(), 0
        while not self._over.wait(EVERY):
            self._times.append(time.time())
            self._seen.append(process.memory_full_info().uss / 2**20)
            if looks % 10 == 4:
                self._count()
            looks += 1

    def _count(self) -> None:
        own = set(Path(tempfile.gettempdir()).glob("sweeper-*")) - self._known
        self.files = max(self.files, sum(path.is_file() for folder in own for path in folder.rglob("*")))
