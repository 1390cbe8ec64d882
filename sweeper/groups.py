"""A stage of one arm trained by groups of workers: Ray Train, once or several times at a time.

The folds of the task are dealt to the groups; within a group each step is split between its workers, which
`trainables` does by itself once torch.distributed is there. Every epoch of a group waits for the arm to ask for it, so
that an arm that Tune stops ends between two epochs, with its workers free again, and not by being killed.
"""

from __future__ import annotations

import asyncio
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import ray
import torch
from pyarrow import fs
from ray import cloudpickle, train
from ray.exceptions import RayError
from ray.train.torch import TorchTrainer
from safetensors.torch import load_file, save_file
from torch import distributed

from sweeper.artifacts import strip
from sweeper.layout import Spread
from trainables.epoch import Epoch, Tensors
from trainables.lockstep import Seat, moved
from trainables.methods import METHODS, Method, Stage, get
from trainables.task import Task

#: Seconds that groups are given to end by themselves before they are killed.
PATIENCE = 30.0
_STATE = "state.safetensors"


class Groups:
    """A stage of one arm, under way in worker groups; as `trainables.lockstep.Lockstep` for a single seat.

    Args:
        method: The method.
        stage: A stage of it that is distributed.
        task: Corpus, folds and seeds.
        seat: The arm.
        spread: How it is spread.
    """

    def __init__(self, method: Method, stage: Stage, task: Task, seat: Seat, spread: Spread) -> None:
        self._task, self._spread, self._seat = task, spread, seat
        self._name = uuid.uuid4().hex[:12]
        self._parts = [part.tolist() for part in np.array_split(np.arange(len(task.folds)), spread.groups) if len(part)]
        self._done = int(seat.state["epoch"].max()) if seat.state else 0
        self._checkpoints: dict[int, Any] = {}
        self._desk = ray.remote(num_cpus=0, max_concurrency=1000)(_Desk).remote()
        states = _cut(seat.state, task, self._parts) if seat.state else [None] * len(self._parts)
        orders = [
            {
                "group": group,
                "name": f"{self._name}-{group}",
                "folds": folds,
                "method": method.name,
                "stage": stage.name,
                "config": seat.config.model_dump(mode="json"),
                "begun": ray.put((dict(seat.artifacts), state)),
                "desk": self._desk,
                "task": spread.task,
                "modules": dict(spread.modules),
            }
            for group, (folds, state) in enumerate(zip(self._parts, states, strict=True))
        ]
        # Ray Train frees what a killed leader had through Ray's own interface for the curious, which must be told of
        # which cluster: else it finds several where there are several on a host, and gives up.
        where = {"env_vars": {"RAY_ADDRESS": ray.get_runtime_context().gcs_address}}
        self._leaders = [ray.remote(num_cpus=0, runtime_env=where)(_Leader).remote() for _ in orders]
        pairs = zip(self._leaders, orders, strict=True)
        self._ends = [leader.run.remote(order, spread) for leader, order in pairs]

    def step(self) -> list[Epoch]:
        """The next epoch, put together from all groups.

        Raises:
            Exception: What a worker raised; Ray's own if a group lost its workers more often than it may.
        """
        self._done += 1
        ray.get(self._desk.allow.remote(self._done))
        told: dict[int, Epoch] = {}
        while len(told) < len(self._parts):
            group, number, word, checkpoint = self._hear()
            if isinstance(word, Exception):
                raise word
            # A group that lost a worker tells again what it told before.
            if number == self._done:
                told[group], self._checkpoints[group] = word, checkpoint
        return [self._merged([told[group] for group in sorted(told)])]

    def states(self) -> list[Tensors]:
        """What the arm goes on from."""
        return [self._state(dict(self._checkpoints))] if self._checkpoints else [dict(self._seat.state or {})]

    def close(self) -> None:
        """End the groups, and wait until what they had is free."""
        try:
            ray.get(self._desk.stop.remote())
            _, late = ray.wait(self._ends, num_returns=len(self._ends), timeout=PATIENCE)
        except RayError:
            late = self._ends
        for leader, end in zip(self._leaders, self._ends, strict=True):
            if end in late:
                ray.kill(leader)
        ray.kill(self._desk)
        for group in range(len(self._parts)):
            _remove(self._spread.folder, f"{self._name}-{group}")

    def _hear(self) -> tuple[int, int, Epoch | Exception, Any]:
        """What a group says next."""
        word = self._desk.hear.remote()
        waiting = [word, *self._ends]
        while True:
            ready, _ = ray.wait(waiting)
            if word in ready:
                return cloudpickle.loads(ray.get(word))
            for end in ready:
                ray.get(end)  # raises what ended the group
                waiting.remove(end)

    def _merged(self, parts: Sequence[Epoch]) -> Epoch:
        sizes = [len(folds) * len(self._task.seeds) for folds in self._parts]
        firsts = np.cumsum([0, *sizes]).tolist()

        def together(name: str) -> tuple[Any, ...]:
            pairs = zip(parts, firsts, strict=False)
            return tuple(moved(found, found.row + first) for each, first in pairs for found in getattr(each, name))

        checkpoints = dict(self._checkpoints)
        artifacts = [each.artifact for each in parts]
        return replace(
            parts[0],
            confusions=_stacked([each.confusions for each in parts]),
            speakers=_stacked([each.speakers for each in parts]),
            terms=_stacked([each.terms for each in parts]),
            snapshot=lambda: self._state(checkpoints),
            artifact=None if artifacts[0] is None else _joined([each or {} for each in artifacts]),
            diagnostics=together("diagnostics"),
            embeddings=together("embeddings"),
            flags=together("flags"),
        )

    def _state(self, checkpoints: Mapping[int, Any]) -> Tensors:
        return _joined([_read(checkpoints[group]) for group in sorted(checkpoints)])


class _Desk:
    """Where groups and their arm meet: epochs are told here, and allowed here."""

    def __init__(self) -> None:
        self._told: asyncio.Queue[bytes] = asyncio.Queue()
        self._changed = asyncio.Condition()
        self._allowed, self._stopped = 0, False

    async def tell(self, word: bytes) -> None:
        await self._told.put(word)

    async def hear(self) -> bytes:
        return await self._told.get()

    async def allow(self, epoch: int) -> None:
        async with self._changed:
            self._allowed = max(self._allowed, epoch)
            self._changed.notify_all()

    async def stop(self) -> None:
        async with self._changed:
            self._stopped = True
            self._changed.notify_all()

    async def may(self, epoch: int) -> bool:
        """Whether to train an epoch, as soon as that is decided."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._stopped or epoch <= self._allowed)
            return not self._stopped


class _Leader:
    """Runs one group from its start to its end. An actor, so that what it began dies with it."""

    def run(self, order: dict[str, Any], spread: Spread) -> None:
        resources = {"CPU": spread.cpus} | ({"GPU": spread.gpus} if spread.gpus else {})
        TorchTrainer(
            _work,
            train_loop_config=order,
            scaling_config=train.ScalingConfig(
                num_workers=spread.workers, use_gpu=bool(spread.gpus), resources_per_worker=resources
            ),
            run_config=train.RunConfig(
                name=order["name"],
                storage_path=spread.folder,
                failure_config=train.FailureConfig(max_failures=spread.retries),
                checkpoint_config=train.CheckpointConfig(num_to_keep=2),
            ),
        ).fit()


def _work(order: dict[str, Any]) -> None:
    """What every worker of a group does."""
    first = train.get_context().get_world_rank() == 0
    torch.set_num_threads(1)
    try:
        _train(order, first)
    except Exception as error:
        if _lost(error):
            raise
        # Told, and not raised: Ray Train would try again what fails the same way each time.
        _tell(order, 0, error, None)


def _lost(error: Exception) -> bool:
    """Whether a worker only noticed that another one of its group has gone; gloo has no exception of its own."""
    if isinstance(error, distributed.DistError | ConnectionError):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error).lower() for word in ("gloo", "nccl"))


def _train(order: dict[str, Any], first: bool) -> None:
    METHODS.update(order["modules"])
    method = get(order["method"])
    (stage,) = (each for each in method.stages if each.name == order["stage"])
    whole: Task = ray.get(order["task"])
    task = replace(whole, folds=tuple(whole.folds[fold] for fold in order["folds"]))
    artifacts, state = ray.get(order["begun"])
    checkpoint = train.get_checkpoint()
    if checkpoint is not None:
        state = _read(checkpoint)
    done = int(state["epoch"].max()) if state else 0
    epochs = stage.run(method.config.model_validate(order["config"]), task, artifacts, state)
    while ray.get(order["desk"].may.remote(done + 1)):
        epoch = next(epochs, None)
        if epoch is None:
            return
        done = epoch.index
        _report(epoch if first else None)
        if first:
            _tell(order, done, strip(epoch), train.get_checkpoint())


def _report(epoch: Epoch | None) -> None:
    """Keep what the group goes on from when it has lost a worker; all workers must take part."""
    with tempfile.TemporaryDirectory(prefix="sweeper-") as folder:
        if epoch is not None:
            state = {name: tensor.detach().cpu().contiguous() for name, tensor in epoch.snapshot().items()}
            save_file(state, Path(folder) / _STATE)
        train.report({}, checkpoint=None if epoch is None else train.Checkpoint.from_directory(folder))


def _tell(order: dict[str, Any], number: int, word: Epoch | Exception, checkpoint: Any) -> None:
    ray.get(order["desk"].tell.remote(cloudpickle.dumps((order["group"], number, word, checkpoint))))


def _read(checkpoint: Any) -> Tensors:
    with checkpoint.as_directory() as folder:
        return load_file(Path(folder) / _STATE)


def _remove(folder: str, name: str) -> None:
    uri = folder if "://" in folder else Path(folder).absolute().as_uri()
    with suppress(OSError):
        system, path = fs.FileSystem.from_uri(uri)
        system.delete_dir(f"{path}/{name}")


def _cut(state: Tensors, task: Task, parts: Sequence[Sequence[int]]) -> list[Tensors]:
    """A state of all folds as one for each group's; whatever has a fold's share along its first axis is cut."""
    return [{name: _share(tensor, task, folds) for name, tensor in state.items()} for folds in parts]


def _share(tensor: torch.Tensor, task: Task, folds: Sequence[int]) -> torch.Tensor:
    seeds, size = len(task.seeds), len(tensor)
    if size == 1:
        return tensor
    if size == len(task.tested):
        rows = np.array([row for row, _ in task.tested]) // seeds
        return tensor[torch.from_numpy(np.isin(rows, list(folds)))]
    each = size // len(task.folds)
    return tensor[folds[0] * each : (folds[-1] + 1) * each]


def _joined(parts: Sequence[Tensors]) -> Tensors:
    """The inverse of `_cut`."""
    if len(parts) == 1:
        return dict(parts[0])
    return {
        name: tensor if name == "epoch" else torch.cat([each[name] for each in parts])
        for name, tensor in parts[0].items()
    }


def _stacked(parts: Sequence[Mapping[Any, np.ndarray]]) -> dict[Any, np.ndarray]:
    return {name: np.concatenate([each[name] for each in parts]) for name in parts[0]}
