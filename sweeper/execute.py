"""One arm, from its first epoch to its last: no Ray, no files but the stage store.

    for report in run_arm(method, config, task, store): ...

is all a trial does. Dropping the generator stops the arm; asking again goes on from the store. `course` is the same
arm for whoever trains several side by side: it says which epoch it wants trained instead of training it.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pydantic import BaseModel

from sweeper.artifacts import Recorded, Store, digest, keys, strip
from trainables import metrics
from trainables.epoch import BySpeaker, Confusions, Diagnostic, Embedding, Epoch, Tensors
from trainables.errors import Diverged
from trainables.lockstep import Lockstep, Seat, shape
from trainables.methods import Method, Stage
from trainables.selection import choose_epoch
from trainables.task import Task

#: Seconds until an arm that waits for another's stage asks again.
PATIENCE = 0.2


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A classifying stage at the epoch that each row's dev part chose so far.

    Attributes:
        stage: The stage.
        final: Whether it is the arm's last classifying stage.
        epochs: The chosen epochs, counted from 1, shape (rows,).
        dev_uar: UAR on dev there, mean over conditions, shape (rows,).
        confusions: Confusion counts there by (split, condition), shape (rows, C, C).
        speakers: Of the final stage, its test counts by speaker, shape (K, C, C) by condition; `Task.tested` names
            the K. Empty where the stage does not tell speakers apart.
    """

    stage: str
    final: bool
    epochs: np.ndarray
    dev_uar: np.ndarray
    confusions: Confusions
    speakers: BySpeaker = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, repr=False)
class Report:
    """An arm after one epoch. The latest report tells all about the arm; earlier ones only add the curve.

    Attributes:
        stage: Stage of the epoch.
        epoch: Which epoch of the stage, from 1.
        total: How many the stage has.
        budget: Classifying epochs so far over all stages: the clock of early stopping.
        planned: Classifying epochs of the whole arm.
        seconds: Since the arm was begun here.
        dev_uar: Mean dev UAR over rows and conditions after this epoch; None where it classifies nothing.
        rows: Dev UAR of each row, mean over conditions, shape (rows,); None as above.
        score: Mean over rows of the dev UAR at each row's chosen epoch of the latest classifying stage.
        terms: Loss terms of this epoch, shape (rows,) each.
        chosen: Every classifying stage so far.
        diagnostics: What finished stages measured, with the stage's name.
        flags: What finished stages warned of.
        embeddings: Kept vectors; on the last report only.
        trained: Epochs that this arm trained.
        reused: Epochs taken from the store that another arm trained.
        done: Whether this is the last report.
    """

    stage: str
    epoch: int
    total: int
    budget: int
    planned: int
    seconds: float
    dev_uar: float | None = None
    rows: np.ndarray | None = None
    score: float | None = None
    terms: Mapping[str, np.ndarray] = field(default_factory=dict)
    chosen: tuple[Chosen, ...] = ()
    diagnostics: tuple[tuple[str, Diagnostic], ...] = ()
    flags: tuple[str, ...] = ()
    embeddings: tuple[Embedding, ...] = ()
    trained: int = 0
    reused: int = 0
    done: bool = False

    def __repr__(self) -> str:
        # Short: Tune prints every result for its log, whether or not anybody reads that.
        return f"Report({self.stage} {self.epoch}/{self.total})"


@dataclass(frozen=True, eq=False)
class Order:
    """An epoch that an arm wants trained.

    Attributes:
        method: Of which method.
        stage: Of which stage.
        seat: What the arm begins the stage with, or goes on from; one object for all epochs it orders in a row.
    """

    method: Method
    stage: Stage
    seat: Seat

    @property
    def shape(self) -> str | None:
        """What another order must have in common to be trained with it; None is nothing."""
        return shape(self.method, self.stage, self.seat.config)


class Wait:
    """Another arm is training the stage that an arm needs."""


#: An arm as a coroutine: it tells reports, gives orders (each to be answered with the epoch), and may have to wait.
Course = Generator[Report | Order | Wait, Epoch | None, None]


def course(method: Method, config: BaseModel, task: Task, store: Store | None = None, *, owner: str = "") -> Course:
    """An arm from its first epoch to its last.

    Stages that the store has are replayed instead of trained, with equal reports; a stage that it has in part
    is gone on with.

    Args:
        method: The method.
        config: The arm's config.
        task: Corpus, folds and seeds.
        store: Where finished and partial stages are kept; None keeps nothing.
        owner: Whom epochs are trained for, to be told from those trained for others.

    Yields:
        A report after each epoch of each active stage; the last one has ``done``. Before those that are not known yet
        an `Order`, to be sent the trained epoch; and `Wait` while another arm trains the stage: ask again later.

    Raises:
        Diverged: If a loss term or a dev score is not finite; names stage, epoch, term and rows.
    """
    arm = _Arm(method, config, task, store, owner)
    for stage in method.active(config):
        yield from arm.stage(stage)


def run_arm(
    method: Method, config: BaseModel, task: Task, store: Store | None = None, *, owner: str = ""
) -> Iterator[Report]:
    """Train an arm by itself; arguments and errors are those of `course`.

    Yields:
        One report after each epoch of each active stage; the last one has ``done``.
    """
    arm = course(method, config, task, store, owner=owner)
    alone: tuple[Seat, Lockstep] | None = None
    try:
        item = next(arm)
        while True:
            if isinstance(item, Order):
                if alone is None or alone[0] is not item.seat:
                    alone = item.seat, Lockstep(item.stage, task, [item.seat])
                item = arm.send(*alone[1].step())
                continue
            if isinstance(item, Wait):
                time.sleep(PATIENCE)
            else:
                yield item
            item = next(arm)
    except StopIteration:
        return
    finally:
        arm.close()


class _Arm:
    """What an arm remembers from stage to stage."""

    def __init__(self, method: Method, config: BaseModel, task: Task, store: Store | None, owner: str) -> None:
        self._method, self._config, self._task = method, config, task
        self._store, self._owner = store, owner
        self._keys = keys(method, config, digest(task)) if store else {}
        self._tally = _Tally(config, method.active(config), task)
        self._artifacts: dict[str, Tensors] = {}
        self._begun = time.monotonic()

    def stage(self, stage: Stage) -> Course:
        """A stage: replayed as far as it is known, ordered from there."""
        key, held = self._keys.get(stage.name, ""), False
        try:
            # What is finished is everybody's; what is begun belongs to whoever holds the claim, asked for before it is
            # read: its last holder may just have ended.
            while (known := self._known(key, held)) is None and not held:
                held = self._store is None or self._store.claim(key, self._owner)
                if not held:
                    yield Wait()
            for epoch, owner in zip(known.epochs, known.owners, strict=True) if known else ():
                yield self._report(stage, epoch, own=owner == self._owner)
            yield from self._train(stage, key, known)
        finally:
            if held and self._store is not None:
                self._store.release(key, self._owner)

    def _known(self, key: str, held: bool) -> Recorded | None:
        if self._store is None:
            return None
        return self._store.finished(key) or (self._store.partial(key) if held else None)

    def _train(self, stage: Stage, key: str, known: Recorded | None) -> Course:
        """The epochs beyond what is known."""
        past, owners = (list(known.epochs), list(known.owners)) if known else ([], [])
        seat = Seat(self._config, dict(self._artifacts), known.state or None if known else None)
        order = Order(self._method, stage, seat)
        saved = time.monotonic()
        while not (past and past[-1].last):
            epoch = yield order
            assert epoch is not None
            check_finite(epoch, self._task)
            past.append(strip(epoch))
            owners.append(self._owner)
            if self._store and (epoch.last or time.monotonic() - saved >= self._store.every):
                # Before it is reported: whoever is stopped on this report has lost nothing.
                left = {} if epoch.last else epoch.snapshot()
                self._store.save(key, Recorded(epochs=tuple(past), state=left, owners=tuple(owners)))
                saved = time.monotonic()
            yield self._report(stage, epoch, own=True)

    def _report(self, stage: Stage, epoch: Epoch, *, own: bool) -> Report:
        if epoch.last:
            self._artifacts[stage.name] = epoch.artifact or {}
        return self._tally.add(stage, epoch, own, time.monotonic() - self._begun)


class _Tally:
    """Adds up an arm's epochs into reports."""

    def __init__(self, config: BaseModel, stages: tuple[Stage, ...], task: Task) -> None:
        classifying = [stage for stage in stages if stage.classifies]
        self._last = stages[-1].name
        self._final = classifying[-1].name if classifying else ""
        self._planned = sum(stage.epochs(config) for stage in classifying)
        self._rows = len(task.rows)
        self._tested = np.array([row for row, _ in task.tested], dtype=np.int64)
        self._budget = self._trained = self._reused = 0
        self._curves: dict[str, list[np.ndarray]] = {}
        self._counts: dict[str, list[Confusions]] = {}
        self._chosen: dict[str, Chosen] = {}
        self._speakers: BySpeaker = {}
        self._diagnostics: list[tuple[str, Diagnostic]] = []
        self._flags: dict[str, None] = {}
        self._embeddings: list[Embedding] = []

    def add(self, stage: Stage, epoch: Epoch, own: bool, seconds: float) -> Report:
        """The report of the next epoch."""
        self._trained += own
        self._reused += not own
        self._budget += stage.classifies
        rows = dev_uar(epoch)
        if rows is not None:
            self._choose(epoch, rows)
        self._diagnostics += [(epoch.stage, each) for each in epoch.diagnostics]
        self._flags.update(dict.fromkeys(flag.text for flag in epoch.flags))
        self._embeddings += epoch.embeddings
        return self._report(epoch, rows, seconds)

    def _choose(self, epoch: Epoch, rows: np.ndarray) -> None:
        curve = self._curves.setdefault(epoch.stage, [])
        counts = self._counts.setdefault(epoch.stage, [])
        curve.append(rows)
        counts.append(epoch.confusions)
        best = choose_epoch(np.stack(curve))
        each = range(self._rows)
        final = epoch.stage == self._final
        if final:
            self._keep(epoch, better=best == len(curve) - 1)
        self._chosen[epoch.stage] = Chosen(
            stage=epoch.stage,
            final=final,
            epochs=best + 1,
            dev_uar=np.stack(curve)[best, each],
            confusions={pair: np.stack([counts[best[row]][pair][row] for row in each]) for pair in epoch.confusions},
            speakers=self._speakers if final else {},
        )

    def _keep(self, epoch: Epoch, *, better: np.ndarray) -> None:
        """Take the counts by speaker of rows at their best with this epoch; those of all epochs would be too many."""
        fresh = better[self._tested][:, None, None]
        known = self._speakers
        self._speakers = {
            name: np.where(fresh, counts, known[name]) if known else counts for name, counts in epoch.speakers.items()
        }

    def _report(self, epoch: Epoch, rows: np.ndarray | None, seconds: float) -> Report:
        done = epoch.stage == self._last and epoch.last
        latest: Any = list(self._chosen.values())[-1] if self._chosen else None
        return Report(
            stage=epoch.stage,
            epoch=epoch.index,
            total=epoch.total,
            budget=self._budget,
            planned=self._planned,
            seconds=seconds,
            dev_uar=None if rows is None else float(rows.mean()),
            rows=rows,
            score=float(latest.dev_uar.mean()) if latest else None,
            terms=epoch.terms,
            chosen=tuple(self._chosen.values()),
            diagnostics=tuple(self._diagnostics),
            flags=tuple(self._flags),
            embeddings=tuple(self._embeddings) if done else (),
            trained=self._trained,
            reused=self._reused,
            done=done,
        )


def dev_uar(epoch: Epoch) -> np.ndarray | None:
    """Dev UAR of each row, mean over conditions, shape (rows,); None where the epoch has no dev counts."""
    dev = [counts for (split, _), counts in epoch.confusions.items() if split == "dev"]
    if not dev or not all(counts.any() for counts in dev):
        return None
    return np.asarray(np.mean([metrics.uar(counts) for counts in dev], axis=0))


def check_finite(epoch: Epoch, task: Task) -> None:
    """Refuse an epoch with a loss term or a dev score that is not finite in any row.

    Raises:
        Diverged: Names stage, epoch, term and rows.
    """
    values = dict(epoch.terms)
    dev = dev_uar(epoch)
    if dev is not None:
        values["dev UAR"] = dev
    for name, each in values.items():
        bad = np.flatnonzero(~np.isfinite(each))
        if len(bad):
            shown = ", ".join(f"{task.rows[row][0].name} seed {task.rows[row][1]}" for row in bad[:3])
            more = f" and {len(bad) - 3} more" if len(bad) > 3 else ""
            raise Diverged(
                f"stage {epoch.stage}, epoch {epoch.index}: {name} is not finite in {len(bad)} of "
                f"{np.size(each)} rows ({shown}{more})"
            )
