"""What trains arms in a process: in a worker of Tune's for its own arms, or as an actor for those of several."""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Condition
from typing import Any

import torch
from ray import cloudpickle

from sweeper.artifacts import Store
from sweeper.execute import PATIENCE, Course, Order, Report, course
from sweeper.failure import reason
from sweeper.layout import Spread
from sweeper.pack import Pack, Stack
from trainables import methods
from trainables.lockstep import Lockstep, Seat
from trainables.methods import Method
from trainables.task import Task

#: May pass when tried again; everything else would fail the same way.
_PASSING = (OSError, MemoryError, torch.OutOfMemoryError)
#: Seconds that arms who have asked for their next epoch wait at most for those who have not, to be trained together.
GRACE = 1.0
#: Seconds after which an arm that waits for another's stage says that it is still there.
SIGN = 10.0


class Trainer:
    """Trains arms, several side by side where asked to. Its methods may be called from several threads.

    Args:
        task: Corpus, folds and seeds.
        modules: The module of each method, so that methods registered by a caller are known here too.
        store: The stages.
        threads: Threads torch may use.
        matmul: Precision of matrix products, torch's name.
        most: Most arms in a stack.
        spread: How stages that can use several workers are trained; None is in this process like all others.
    """

    def __init__(
        self,
        *,
        task: Task,
        modules: Mapping[str, str],
        store: Store,
        threads: int,
        matmul: str = "highest",
        most: int = 1,
        spread: Spread | None = None,
    ) -> None:
        torch.set_num_threads(threads)
        torch.set_float32_matmul_precision(matmul)
        methods.METHODS.update(modules)
        # Here, so that a worker that lacks a method cannot start, instead of failing arm after arm.
        self._methods = {name: methods.get(name) for name in modules}
        self._task, self._store, self._spread = task, store, spread
        self._pack = Pack(task, most, self._start)
        self._turn = Condition()
        self._busy = False
        self._asking: dict[str, None] = {}
        self._said: dict[str, Report | Exception] = {}
        self._door: dict[str, bool] = {}
        self._lonely = ""

    def begin(self, arm: str, method: str, settings: str, *, owner: str = "", alone: bool = False) -> None:
        """Take in an arm; one of that name is dropped.

        Args:
            arm: What it is called here.
            method: Name of its method.
            settings: Its config, JSON.
            owner: Its id, if that is another.
            alone: Whether it is to be trained beside no other: it is waited until those there have gone, and others
                are kept out until it has. An arm in whose company a trainer died is, so that the one that did it dies
                alone next time.
        """
        chosen = self._methods[method]
        with self._turn:
            self._door[arm] = alone
            self._turn.wait_for(lambda: arm not in self._door or self._may_enter(arm))
            if self._door.pop(arm, None) is None:
                return  # Dropped while it waited.
            self._lonely = arm if alone else ""
            self._said.pop(arm, None)
            self._pack.add(arm, self._course(owner or arm, chosen, settings))

    def drop(self, arm: str) -> None:
        """Let go of an arm."""
        with self._turn:
            self._door.pop(arm, None)
            self._turn.notify_all()
        with self._still():
            self._pack.drop(arm)
            self._said.pop(arm, None)
            self._turn.notify_all()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def step(self, arm: str) -> dict[str, Any]:
        """Train an arm's next epoch, or take it from the store; what Tune is told, the report pickled.

        An arm that cannot go on is told of by a ``failure``; only what may pass is raised.
        """
        said = self._next(arm)
        if said is None:
            return {"waiting": True}
        if isinstance(said, Report):
            told = {"budget": said.budget, "done": said.done, "report": cloudpickle.dumps(said)}
            return told if said.dev_uar is None else {**told, "dev_uar": said.dev_uar}
        if isinstance(said, torch.OutOfMemoryError):
            # Whoever is sent torch's own loads torch to look at it, and that takes a light worker many seconds.
            raise MemoryError(str(said)) from said
        if isinstance(said, _PASSING):
            raise said
        return {"done": True, "failure": reason(said), "trace": "".join(traceback.format_exception(said))}

    def _next(self, arm: str) -> Report | Exception | None:
        """Whoever asks first trains for all who ask; the others wait for what it brings."""
        asked = time.monotonic()
        with self._turn:
            self._asking[arm] = None
            self._turn.notify_all()
            while arm not in self._said:
                if self._busy:
                    self._turn.wait()
                    continue
                if arm not in self._pack:
                    del self._asking[arm]
                    raise OSError("whoever trained it has gone, and was begun anew")
                self._turn.wait_for(lambda: self._busy or self._everybody, timeout=GRACE)
                if not self._busy and arm not in self._said:
                    self._lead()
                if time.monotonic() - asked > SIGN and self._only_waits(arm):
                    del self._asking[arm]
                    return None
            return self._said.pop(arm)

    def _only_waits(self, arm: str) -> bool:
        """Whether an arm's stage is trained elsewhere."""
        return not self._busy and arm in self._asking and self._pack.waiting([arm])

    def _may_enter(self, arm: str) -> bool:
        if self._busy:
            return False
        if self._door[arm]:
            others = len(self._pack) - (arm in self._pack)
            return not others and next(name for name, alone in self._door.items() if alone) == arm
        return self._lonely not in self._pack and not any(self._door.values())

    @contextmanager
    def _still(self) -> Iterator[None]:
        """Between two epochs."""
        with self._turn:
            self._turn.wait_for(lambda: not self._busy)
            yield

    def _start(self, orders: Sequence[Order], seats: Sequence[Seat]) -> Stack:
        first = orders[0]
        if self._spread is None or not first.stage.distributed(seats[0].config):
            return Lockstep(first.stage, self._task, seats)
        from sweeper.groups import Groups  # loads Ray Train

        return Groups(first.method, first.stage, self._task, seats[0], self._spread)

    def _course(self, arm: str, method: Method, settings: str) -> Course:
        # A generator, so that a config that is refused fails the arm's first step and not its beginning.
        config = method.config.model_validate(json.loads(settings))
        yield from course(method, config, self._task, self._store, owner=arm)

    @property
    def _everybody(self) -> bool:
        return len(self._asking) >= len(self._pack)

    def _lead(self) -> None:
        """Go on with all arms that ask; to be called with the lock, which is given away meanwhile."""
        self._busy = True
        names = [name for name in self._asking if name in self._pack]
        self._turn.release()
        try:
            said = self._pack.step(names)
            if not said and self._pack.waiting(names):
                time.sleep(PATIENCE)
        finally:
            self._turn.acquire()
            self._busy = False
            self._turn.notify_all()
        for name, word in said.items():
            if self._asking.pop(name, "") is None:
                self._said[name] = word
