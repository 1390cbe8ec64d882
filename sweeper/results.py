"""A run's folder: tables that a crash at any moment leaves readable, and nothing that a crash can lose.

What happens to an arm goes first to ``journal.jsonl``, one line an event. From time to time the tables are
written anew beside their places, moved there, and only then is the journal cut down to what the tables do not
hold. Recovery reads the tables, applies the journal on top (an arm in both counts once), and is back where
the writer was; doing it twice changes nothing.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sweeper import intact, tables
from sweeper.arms import Arm
from sweeper.execute import Report
from sweeper.files import Lines, beside
from sweeper.growing import Growing
from sweeper.tables import SCHEMAS, ArmLog, Frame, Row, Status
from trainables.errors import InputError

JOURNAL = "journal.jsonl"
STATUS = "status.json"
#: Kinds of arms among which the best one is chosen; ablation and sensitivity arms are there to be compared.
CANDIDATES = ("reference", "search")
#: What each event of the journal says.
_KEYS = {
    "start": ("arm", "order", "at", "attempts"),
    "attempt": ("arm",),
    "repeat": ("order", "arm", "score"),
    "finish": ("trial",),
}
#: What the status says at least.
_TOLD = ("state", "host", "pid", "done", "stopped", "failed", "running", "planned")
#: Written in this order: whoever finds an arm among the trials finds its rows in the other tables.
_ORDER = ("folds", "speakers", "curves", "diagnostics", "embeddings", "trials")
#: Tables that an arm's rows are added to when it is over.
_GROWING = ("folds", "speakers", "curves", "diagnostics")


@dataclass(frozen=True)
class Repeat:
    """A suggestion that was already an arm: it is not run again, its score is told instead.

    Attributes:
        order: When, on the run's clock of events.
        arm: The arm it equals.
        score: The arm's score if it had finished, unflagged, by then.
    """

    order: int
    arm: str
    score: float | None


class CurvePoint(NamedTuple):
    """A classifying epoch of an arm.

    Attributes:
        arm: The arm.
        stage: Its stage.
        epoch: Which epoch of the stage, from 1.
        rows: Dev UAR of each row, shape (rows,), float32.
    """

    arm: str
    stage: str
    epoch: int
    rows: np.ndarray


class Writer:
    """Writes a run's tables, and knows its arms.

    Opening it on the folder of an unfinished run recovers where that run was.

    Args:
        folder: The run folder; must exist.
        frame: What all arms have in common.
        every: Least seconds between two rewrites of the tables.
        mirror: Copies files that changed to where the run is mirrored, in the order given.

    Attributes:
        arms: Every arm ever handed out, by id.
        trials: Rows of the arms that are over, by id.
        running: The arms handed out and not over, by id, in that order.
        counts: How many arms ended with each status.
        handed: How many arms of each kind were handed out.
        repeats: Suggestions that were arms already.
        clock: Number of the next event.
    """

    def __init__(
        self,
        folder: Path,
        frame: Frame,
        *,
        every: float = 5.0,
        mirror: Callable[[Sequence[str]], object] | None = None,
    ) -> None:
        self.folder, self.frame = folder, frame
        self._mirror = mirror or (lambda names: None)
        self.arms: dict[str, Arm] = {}
        self.trials: dict[str, Row] = {}
        self.running: dict[str, ArmLog] = {}
        self.counts: Counter[str] = Counter()
        self.handed: Counter[str] = Counter()
        self._best: Row | None = None
        self.repeats: list[Repeat] = []
        self.clock = 0
        self._every = every
        self._flushed = time.monotonic()
        self._dirty = False
        self._base = {name: Growing() for name in _GROWING}
        self._embeddings: dict[str, pa.Table] = {}
        self._journal = Lines(folder / JOURNAL)
        self._recover()

    def start(self, arm: Arm) -> ArmLog:
        """Note that an arm is handed out, before it is."""
        log = ArmLog(arm=arm, started_order=self._tick(), started_at=time.time())
        self._hand(arm)
        self.running[arm.id] = log
        self._append(_start_event(log))
        return log

    def attempt(self, arm_id: str) -> None:
        """Note that the training of an arm begins, for the first time or again."""
        self.running[arm_id].begin()
        self._append({"event": "attempt", "arm": arm_id})

    def repeat(self, arm_id: str, score: float | None) -> Repeat:
        """Note that an arm was suggested again."""
        repeat = Repeat(self._tick(), arm_id, score)
        self.repeats.append(repeat)
        self._append(_repeat_event(repeat))
        return repeat

    def report(self, arm_id: str, report: Report, host: str = "") -> None:
        """Take the next report of a running arm; kept in memory, the stage store has it too."""
        self.running[arm_id].host = host
        self.running[arm_id].add(report)

    def finish(self, arm_id: str, status: Status, reason: str = "") -> Row:
        """Note that an arm is over, and with what."""
        log = self.running.pop(arm_id)
        row = tables.trial_row(log, self.frame, status, reason, time.time(), self._tick())
        rows: dict[str, list[Row]] = {name: [] for name in _GROWING} | {"curves": log.curve}
        if log.report:
            rows["folds"] = tables.fold_rows(log.arm, log.report, self.frame)
            rows["speakers"] = tables.speaker_rows(log.arm, log.report, self.frame)
            rows["diagnostics"] = tables.diagnostic_rows(log.arm, log.report, self.frame)
        self._end(row)
        # Before anything that a full disk can refuse: tables that are written all the same have the whole arm.
        self._take(rows)
        self._keep_embeddings(log)
        self._append({"event": "finish", "trial": row, **rows}, sync=True)
        return row

    def best(self) -> Row | None:
        """The arm with the highest dev score among the finished, unflagged candidates; the earlier of equals."""
        return self._best

    def flush(self, *, force: bool = False) -> None:
        """Bring the tables up to date, unless that was done a moment ago."""
        if not self._dirty and not force:
            return
        if not force and time.monotonic() - self._flushed < self._every:
            return
        begun = time.monotonic()
        # A mirror sees what this folder sees: the whole journal, new tables, the journal cut down.
        self._mirror(("embeddings.parquet", JOURNAL))
        for name in _ORDER:
            self._write(name)
        self._mirror([f"{name}.parquet" for name in _ORDER])
        self._compact()
        self._mirror((JOURNAL, STATUS))
        self._dirty = False
        self._flushed = time.monotonic()
        # Large tables are written less often: at most about a twentieth of the time goes into it.
        self._every = max(self._every, 20 * (self._flushed - begun))

    def complete(self) -> None:
        """Write the final tables and remove the journal: nothing is left to be done."""
        self.flush(force=True)
        self.close()
        (self.folder / JOURNAL).unlink(missing_ok=True)

    def close(self) -> None:
        """Close the journal; what it holds is recovered by the next writer."""
        self._journal.close()

    def curve_points(self) -> Iterator[CurvePoint]:
        """Every classifying epoch of the arms that are over, an arm's in order."""
        for part in self._base["curves"].parts():
            part = part.filter(pc.is_valid(part["rows"]))
            columns = part.select(["arm", "stage", "epoch"]).to_pydict()
            rows = pc.list_flatten(part["rows"]).to_numpy().reshape(len(part), -1) if len(part) else ()
            yield from map(CurvePoint, *columns.values(), rows)

    def references(self) -> set[str]:
        """Ids of the arms that others are measured from; the reference arm where none is."""
        parents = {arm.parent for arm in self.arms.values() if arm.parent}
        return parents or {arm.id for arm in self.arms.values() if arm.kind == "reference"}

    def _hand(self, arm: Arm) -> None:
        self.handed[arm.kind] += arm.id not in self.arms
        self.arms[arm.id] = arm

    def _end(self, row: Row) -> None:
        # Counted as they come: looking through all arms whenever one ends takes time with the square of their number.
        self.counts[row["status"]] += row["arm"] not in self.trials
        self.trials[row["arm"]] = row
        if _eligible(row) and (self._best is None or _rank(row) > _rank(self._best)):
            self._best = row

    def _tick(self) -> int:
        self.clock += 1
        return self.clock - 1

    def _take(self, rows: dict[str, list[Row]]) -> None:
        for name, base in self._base.items():
            if rows[name]:
                base.add(tables.table(name, rows[name]))
        self._dirty = True

    def _write(self, name: str) -> None:
        write_table(self._parts(name), SCHEMAS[name], self.folder / f"{name}.parquet")

    def _parts(self, name: str) -> Iterable[pa.Table]:
        if name == "trials":
            return [tables.table(name, self._trial_rows())]
        if name == "embeddings":
            keep = self._shown()
            return [each for arm, each in self._embeddings.items() if arm in keep]
        return self._base[name].parts()

    def _trial_rows(self) -> list[Row]:
        best, references = self.best(), self.references()
        rows = sorted(self.trials.values(), key=lambda row: row["started_order"])
        return [
            {
                **row,
                "is_reference": row["arm"] in references,
                "is_best": best is not None and row["arm"] == best["arm"],
            }
            for row in rows
        ]

    def _shown(self) -> set[str]:
        """Arms whose vectors are kept: the reference ones, the best, and ablation rows to be compared with them."""
        best = self.best()
        fixed = {row["arm"] for row in self.trials.values() if row["kind"] in ("reference", "ablation")}
        return fixed | self.references() | ({best["arm"]} if best else set())

    def _keep_embeddings(self, log: ArmLog) -> None:
        """Write an arm's vectors if they are to be shown: before the journal, which does not hold them."""
        if log.report and log.report.embeddings and log.arm.id in self._shown():
            self._embeddings[log.arm.id] = tables.embeddings(log.arm, log.report, self.frame)
            self._embeddings = {arm: each for arm, each in self._embeddings.items() if arm in self._shown()}
            self._write("embeddings")

    def _append(self, event: dict[str, Any], *, sync: bool = False) -> None:
        self._journal.add(json.dumps(event) + "\n", sync=sync)

    def _compact(self) -> None:
        """Cut the journal down to what the tables do not hold."""
        self.close()
        events = [_repeat_event(each) for each in self.repeats]
        events += [_start_event(log) for log in self.running.values()]
        replace_text(self.folder / JOURNAL, "".join(json.dumps(event) + "\n" for event in events), sync=True)

    def _recover(self) -> None:
        for path in self.folder.glob("*.tmp"):
            path.unlink(missing_ok=True)
        events = list(read_journal(self.folder))
        again = {event["trial"]["arm"] for event in events if event["event"] == "finish"}
        self._read_tables(again)
        for number, event in enumerate(events, 1):
            self._apply_or_refuse(number, event)
        orders = [each.order for each in self.repeats] + [log.started_order for log in self.running.values()]
        orders += [row[name] for row in self.trials.values() for name in ("started_order", "finished_order")]
        self.clock = max(orders, default=-1) + 1
        if (self.folder / JOURNAL).exists():
            # Also cuts off a line that was never finished, before another is appended to it.
            self.flush(force=True)

    def _read_tables(self, again: set[str]) -> None:
        """Take what the tables hold, but for the arms that the journal tells of again."""
        found = {name: _read(self.folder, name, again) for name in SCHEMAS}
        _check_trials(self.folder, found)
        for row in found["trials"].to_pylist():
            try:
                self._hand(_arm_of(row))
            except ValueError as error:
                place = f"{self.folder / 'trials.parquet'}: config of {row['arm']}"
                raise InputError(f"{place}: is no JSON ({error}); {intact.OF_RUN}") from None
            self._end(row)
        for name, base in self._base.items():
            base.add(found[name])
        # Not in the journal, so those of the arms in question are taken from the table too.
        vectors = _read(self.folder, "embeddings", set())
        for arm in pc.unique(vectors["arm"]).to_pylist():
            if arm in self.trials or arm in again:
                self._embeddings[arm] = vectors.filter(pc.equal(vectors["arm"], arm))

    def _apply_or_refuse(self, number: int, event: dict[str, Any]) -> None:
        try:
            self._apply(event)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            place = f"{self.folder / JOURNAL}, line {number}"
            raise InputError(f"{place}: is damaged ({str(error)[:100]}); {intact.OF_RUN}") from None

    def _apply(self, event: dict[str, Any]) -> None:
        kind = event["event"]
        if kind == "start":
            arm = Arm(**event["arm"])
            if arm.id not in self.trials:
                self._hand(arm)
                log = ArmLog(arm=arm, started_order=event["order"], started_at=event["at"])
                log.attempts = event["attempts"]
                self.running[arm.id] = log
        elif kind == "attempt" and event["arm"] in self.running:
            self.running[event["arm"]].begin()
        elif kind == "repeat":
            self.repeats.append(Repeat(event["order"], event["arm"], event["score"]))
        elif kind == "finish":
            row = event["trial"]
            self.running.pop(row["arm"], None)
            self._hand(_arm_of(row))
            self._end(row)
            # A journal of before speakers were told apart has no rows of them.
            self._take({name: event.get(name, []) for name in self._base})


def read_journal(folder: Path) -> Iterator[dict[str, Any]]:
    """The events of a run's journal; a last line that was cut off is no event.

    Raises:
        InputError: If another line is no event.
    """
    path = folder / JOURNAL
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n") if path.exists() else []
    # Every whole line ends in a line feed, so what follows the last one was never finished.
    for number, line in enumerate(lines[:-1], 1):
        try:
            event = json.loads(line)
            whole = all(key in event for key in _KEYS[event["event"]])
        except (ValueError, TypeError, LookupError, RecursionError):
            whole = False
        if not whole:
            raise InputError(f"{path}, line {number}: is damaged, it holds no event of a run; {intact.OF_RUN}")
        yield event


def read_status(run: str | Path) -> dict[str, Any]:
    """What ``status.json`` says of a run: its state, counts of arms, the best arm so far, rate and time left.

    A run whose process was killed could not say so; where that can be seen, its state is ``killed``.

    Raises:
        InputError: If there is no run in that folder.
    """
    path = Path(run) / STATUS
    if not path.exists():
        raise InputError(f"{run}: holds no {STATUS}; expected the folder of a run, such as runs/quickstart")
    status = intact.mapping(path, f"`sweeper resume {run}` writes it anew", _TOLD)
    if status["state"] == "running" and status["host"] == socket.gethostname() and not _alive(status["pid"]):
        return {**status, "state": "killed", "seconds_left": None}
    return status


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def write_table(parts: Iterable[pa.Table], schema: pa.Schema, path: Path) -> None:
    """Put a table in place of the one that is there, at once; its parts are never all in memory."""
    with (
        beside(path, sync=True) as temporary,
        pq.ParquetWriter(temporary, schema, compression="zstd") as writer,
    ):
        for part in parts:
            writer.write_table(part)


def replace_text(path: Path, text: str, *, sync: bool = False) -> None:
    """Put a text in place of the file that is there, at once; with ``sync``, it survives the machine."""
    with beside(path, sync=sync) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _eligible(row: Row) -> bool:
    return row["status"] == "done" and row["kind"] in CANDIDATES and not row["flags"] and row["score"] is not None


def _rank(row: Row) -> tuple[float, int]:
    return row["score"], -row["started_order"]


def _read(folder: Path, name: str, without: set[str]) -> pa.Table:
    path = folder / f"{name}.parquet"
    if not path.exists():
        if name in ("folds", "curves") and (folder / "trials.parquet").exists():
            # Trials are written last.
            raise InputError(f"{path}: is missing, though trials.parquet is there; {intact.OF_RUN}")
        return SCHEMAS[name].empty_table()
    try:
        table = intact.table(path).cast(SCHEMAS[name])
    except (pa.ArrowException, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: has other columns than it should ({str(error)[:100]}); {intact.OF_RUN}") from None
    return table.filter(pc.invert(pc.is_in(table["arm"], value_set=pa.array(sorted(without), pa.string()))))


def _check_trials(folder: Path, found: dict[str, pa.Table]) -> None:
    """Refuse trials that were lost: written last, they lack no arm of the folds unless the journal tells of it."""
    lost = set(pc.unique(found["folds"]["arm"]).to_pylist()) - set(found["trials"]["arm"].to_pylist())
    if lost:
        raise InputError(
            f"{folder / 'trials.parquet'}: is missing or not whole, folds.parquet holds {min(lost)} and it does not; "
            f"{intact.OF_RUN}"
        )


def _arm_of(row: Row) -> Arm:
    return Arm(
        id=row["arm"],
        method=row["method"],
        kind=row["kind"],
        name=row["name"],
        config=json.loads(row["config"]),
        parent=row["parent"],
        parameter=row["parameter"],
        value=None if row["value"] is None else json.loads(row["value"]),
    )


def _start_event(log: ArmLog) -> dict[str, Any]:
    arm = {name: getattr(log.arm, name) for name in log.arm.__dataclass_fields__}
    started = {"order": log.started_order, "at": log.started_at, "attempts": log.attempts}
    return {"event": "start", "arm": arm, **started}


def _repeat_event(repeat: Repeat) -> dict[str, Any]:
    return {"event": "repeat", "order": repeat.order, "arm": repeat.arm, "score": repeat.score}
