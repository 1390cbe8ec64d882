"""What trains arms in a process: in a worker of Tune's for its own arms, or as an actor for those of several."""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from threading import Condition
from typing import Any

import torch
from ray import cloudpickle

from sweeper.artifacts import Store
from sweeper.execute import PATIENCE, Course, Order, Report, course
from sweeper.failure import reason
from sweeper.pack import Pack
from trainables import methods
from trainables.lockstep import shape
from trainables.methods import Method
from trainables.task import Task

#: May pass when tried again; everything else would fail the same way.
_PASSING = (OSError, torch.OutOfMemoryError)
#: Seconds that arms who have asked for their next epoch wait at most for those who have not, to be trained together.
GRACE = 1.0


class Trainer:
    """Trains arms, several side by side where asked to. Its methods may be called from several threads.

    Args:
        task: Corpus, folds and seeds.
        modules: The module of each method, so that methods registered by a caller are known here too.
        store: The stages.
        threads: Threads torch may use.
        most: Most arms in a stack.
    """

    def __init__(self, *, task: Task, modules: Mapping[str, str], store: Store, threads: int, most: int = 1) -> None:
        torch.set_num_threads(threads)
        methods.METHODS.update(modules)
        # Here, so that a worker that lacks a method cannot start, instead of failing arm after arm.
        self._methods = {name: methods.get(name) for name in modules}
        self._task, self._store, self._pack = task, store, Pack(task, most)
        self._turn = Condition()
        self._busy = False
        self._asking: dict[str, None] = {}
        self._said: dict[str, Report | Exception] = {}

    def begin(self, arm: str, method: str, settings: str) -> None:
        """Take in an arm; one of that name is dropped.

        Args:
            arm: Its id.
            method: Name of its method.
            settings: Its config, JSON.
        """
        chosen = self._methods[method]
        with self._still():
            self._said.pop(arm, None)
            self._pack.add(arm, self._course(arm, chosen, settings), partial(_shape, chosen))

    def drop(self, arm: str) -> None:
        """Let go of an arm."""
        with self._still():
            self._pack.drop(arm)
            self._said.pop(arm, None)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def step(self, arm: str) -> dict[str, Any]:
        """Train an arm's next epoch, or take it from the store; what Tune is told, the report pickled.

        An arm that cannot go on is told of by a ``failure``; only what may pass is raised.
        """
        said = self._next(arm)
        if isinstance(said, Report):
            told = {"budget": said.budget, "done": said.done, "report": cloudpickle.dumps(said)}
            return told if said.dev_uar is None else {**told, "dev_uar": said.dev_uar}
        if isinstance(said, _PASSING):
            raise said
        return {"done": True, "failure": reason(said), "trace": "".join(traceback.format_exception(said))}

    def _next(self, arm: str) -> Report | Exception:
        """Whoever asks first trains for all who ask; the others wait for what it brings."""
        with self._turn:
            if arm not in self._pack:
                raise OSError("whoever trained it has gone, and was begun anew")
            self._asking[arm] = None
            self._turn.notify_all()
            while arm not in self._said:
                if self._busy:
                    self._turn.wait()
                    continue
                self._turn.wait_for(lambda: self._busy or self._everybody, timeout=GRACE)
                if not self._busy and arm not in self._said:
                    self._lead()
            return self._said.pop(arm)

    @contextmanager
    def _still(self) -> Iterator[None]:
        """Between two epochs."""
        with self._turn:
            self._turn.wait_for(lambda: not self._busy)
            yield

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
            del self._asking[name]
            self._said[name] = word


def _shape(method: Method, order: Order) -> str | None:
    return shape(method, order.stage, order.seat.config) if order.stage.vectors else None
