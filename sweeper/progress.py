"""How far a run is: a live line in a terminal, plain lines elsewhere, and ``status.json`` for `sweeper status`."""

from __future__ import annotations

import json
import os
import socket
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sweeper.results import STATUS, Writer, replace_text
from sweeper.tables import Row

_STATUS_EVERY, _LINE_EVERY, _LIVE_EVERY = 2.0, 10.0, 0.5


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A run at a moment.

    Attributes:
        planned: Arms the run will have, at most.
        done: Arms that ran to their end.
        stopped: Arms that early stopping ended.
        failed: Arms that failed.
        running: Arms under way.
        best: The best candidate so far.
        best_score: Its dev score.
        rate: Arms over per minute since this invocation began; None before the first.
        left: Seconds left at that rate; None while it is not known.
    """

    planned: int
    done: int
    stopped: int
    failed: int
    running: int
    best: str = ""
    best_score: float | None = None
    rate: float | None = None
    left: float | None = None

    @property
    def over(self) -> int:
        """Arms that are over."""
        return self.done + self.stopped + self.failed


@dataclass
class Clock:
    """Turns what was achieved since a beginning into a rate and the time left.

    Attributes:
        begun: Seconds on the clock of `time.monotonic` when this invocation began.
        before: Arms that were over by then.
    """

    begun: float = field(default_factory=time.monotonic)
    before: int = 0

    def rate(self, over: int, part: float) -> float | None:
        """Arms per second; arms under way count by the part they have done.

        Args:
            over: Arms over by now.
            part: Sum over the arms under way of the shares they have done.
        """
        achieved, seconds = over - self.before + part, time.monotonic() - self.begun
        return achieved / seconds if achieved >= 0.5 and seconds > 0 else None


def snapshot(writer: Writer, planned: int, clock: Clock) -> Snapshot:
    """A run as its writer knows it."""
    counts = {status: writer.counts[status] for status in ("done", "stopped", "failed")}
    over = sum(counts.values())
    reports = [log.report for log in writer.running.values() if log.report]
    part = sum(report.budget / max(report.planned, 1) for report in reports)
    planned = max(planned, over + len(writer.running))
    rate = clock.rate(over, part)
    best = writer.best()
    return Snapshot(
        planned=planned,
        **counts,
        running=len(writer.running),
        best=best["name"] if best else "",
        best_score=best["score"] if best else None,
        rate=rate * 60 if rate else None,
        left=(planned - over - part) / rate if rate else None,
    )


class Progress:
    """Shows a run; a context manager around it.

    Args:
        writer: Knows the run.
        planned: Arms the run will have, at most.
        console: Where to show it; a terminal gets a live line, anything else plain lines.
    """

    def __init__(self, writer: Writer, planned: int, console: Console) -> None:
        self._writer, self._planned, self._console = writer, planned, console
        self._clock = Clock(before=len(writer.trials))
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        self._shown = self._status = 0.0

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        self.update(force=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def over(self, row: Row) -> None:
        """An arm is over: say so."""
        state = f"{row['status']}: {row['reason']}" if row["reason"] else row["status"]
        score = "" if row["score"] is None else f", dev UAR {row['score']:.3f}"
        flags = "".join(f", {flag}" for flag in row["flags"])
        if not self._live:
            now = self._now()
            self._print(f"{now.over}/{now.planned} {row['name']} {state}{score}{flags}; {_words(now)}")
            self._shown = time.monotonic()
        elif row["status"] == "failed":
            self._live.console.print(Text(f"{row['name']} {state}", style="red"))

    def update(self, *, force: bool = False) -> None:
        """Show and write how far the run is, unless that was done a moment ago."""
        moment = time.monotonic()
        if force or moment - self._status >= _STATUS_EVERY:
            self._status = moment
            self.write("running")
        if force or moment - self._shown >= (_LIVE_EVERY if self._live else _LINE_EVERY):
            self._shown = moment
            self._show()

    def write(self, state: str) -> None:
        """Write ``status.json``.

        Args:
            state: ``running``, ``interrupted``, ``failed`` or ``finished``.
        """
        now = self._now()
        content: dict[str, Any] = {
            "state": state,
            "done": now.done,
            "stopped": now.stopped,
            "failed": now.failed,
            "running": now.running,
            "planned": now.over if state == "finished" else now.planned,
            "best": now.best or None,
            "best_score": now.best_score,
            "arms_per_minute": now.rate,
            "seconds_left": now.left if state == "running" else None,
            "updated_at": datetime.now().astimezone().isoformat(timespec="seconds"),
            "host": socket.gethostname(),
            "pid": os.getpid(),
        }
        replace_text(Path(self._writer.folder) / STATUS, json.dumps(content, indent=1) + "\n")

    def _now(self) -> Snapshot:
        return snapshot(self._writer, self._planned, self._clock)

    def _show(self) -> None:
        now = self._now()
        if self._live:
            self._live.update(_picture(now), refresh=True)
        else:
            self._print(f"{now.over}/{now.planned} arms; {_words(now)}")

    def _print(self, text: str) -> None:
        self._console.print(Text(text), soft_wrap=True)


def _picture(now: Snapshot) -> RenderableType:
    line = Table.grid(padding=(0, 1))
    bar = ProgressBar(total=max(now.planned, 1), completed=now.over, width=30)
    line.add_row(bar, f"{now.over}/{now.planned} arms")
    return Group(line, Text(_words(now), overflow="ellipsis", no_wrap=True))


def _words(now: Snapshot) -> str:
    parts = [f"{now.running} running, {now.stopped} stopped, {now.failed} failed"]
    if now.best_score is not None:
        parts.append(f"best dev UAR {now.best_score:.3f} ({now.best})")
    if now.rate is not None:
        parts.append(f"{now.rate:.1f} arms/min")
    if now.left is not None:
        parts.append(f"about {_duration(now.left)} left")
    return ", ".join(parts)


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 90 else f"{minutes / 60:.1f} h"
