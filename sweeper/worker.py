"""What runs in a Ray worker: arms, one after the other, on a task that all workers of a machine share in memory."""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from ray import tune

from sweeper.artifacts import Store
from sweeper.execute import Report, run_arm
from trainables import methods
from trainables.errors import Diverged, InputError
from trainables.task import Task

#: May pass when tried again; everything else would fail the same way.
_PASSING = (OSError, torch.OutOfMemoryError)


class ArmTrainable(tune.Trainable):
    """One arm after the other; each step is one epoch.

    An arm that cannot go on ends with a ``failure`` in its last result instead of an exception: only what may
    pass (the worker's death, a full device, a file system's trouble) is left to Tune's retries.
    """

    def setup(
        self, config: dict[str, Any], *, task: Task, modules: Mapping[str, str], stages: str, threads: int
    ) -> None:
        """Prepare the process and begin its first arm.

        Args:
            config: ``arm`` (id), ``method`` (name) and ``config`` (JSON).
            task: Corpus, folds and seeds, from the object store without a copy.
            modules: The module of each method, so that methods registered by a caller are known here too.
            stages: Folder of the stage store.
            threads: Threads torch may use.
        """
        torch.set_num_threads(threads)
        methods.METHODS.update(modules)
        # Here, so that a worker that lacks a method cannot start, instead of failing arm after arm.
        self._methods = {name: methods.get(name) for name in modules}
        self._task, self._store = task, Store(Path(stages))
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin the next arm in the same process."""
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Train one epoch, or take it from the store."""
        try:
            report = next(self._reports)
        except _PASSING:
            raise
        except Exception as error:
            return {"done": True, "failure": reason(error), "trace": traceback.format_exc()}
        result = {"budget": report.budget, "done": report.done, "report": report}
        return result if report.dev_uar is None else {**result, "dev_uar": report.dev_uar}

    def cleanup(self) -> None:
        """Let go of the arm."""
        self._close()

    def _begin(self, config: dict[str, Any]) -> None:
        self._close()
        self._reports = self._run(config["arm"], config["method"], json.loads(config["config"]))

    def _run(self, arm: str, name: str, settings: dict[str, Any]) -> Iterator[Report]:
        # A generator, so that a config that is refused fails the step and not the actor.
        method = self._methods[name]
        config = method.config.model_validate(settings)
        yield from run_arm(method, config, self._task, self._store, owner=arm)

    def _close(self) -> None:
        reports = getattr(self, "_reports", None)
        if reports is not None:
            reports.close()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def reason(error: BaseException) -> str:
    """Why an arm failed, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[-1] if lines else type(error).__name__
    own = isinstance(error, Diverged | InputError)
    return text if own or not lines else f"{type(error).__name__}: {text}"
