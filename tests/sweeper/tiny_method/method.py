"""Three stages over made-up numbers: what a method looks like from outside, in no time.

Every epoch depends on the state left by the one before it, so that a resumption from a wrong state shows.
"""

import hashlib
import math
import os
import time
from pathlib import Path

import numpy as np
import torch

from tiny_method.config import Config
from trainables.epoch import Diagnostic, Embedding, Epoch, Flag
from trainables.methods import Method, Stage

MODULUS = 2**31 - 1


def who(config) -> str:
    """Of a config, twelve digits."""
    return hashlib.sha256(config.model_dump_json().encode()).hexdigest()[:12]


def note(config, stage: str, index: int) -> None:
    """Leave a line of 20 bytes for every epoch that is really trained, where whoever watches asked for it."""
    path = os.environ.get("TINY_EPOCHS")
    if path:
        with Path(path).open("ab", buffering=0) as file:
            file.write(f"{who(config)} {stage[0]} {index:04d}\n".encode())


def start(task) -> np.ndarray:
    return np.array([1000 * f + seed + 1 for f in range(len(task.folds)) for seed in task.seeds], dtype=np.int64)


def turn(state: np.ndarray) -> np.ndarray:
    """The next number of each row's random stream."""
    return state * 48271 % MODULUS


def counts(task, state: np.ndarray, quality: float, split: str) -> np.ndarray:
    """Confusion counts of one part: the share of hits rises with quality, plus the stream's noise."""
    stacked = []
    for (fold, _), noise in zip(task.rows, state / MODULUS, strict=True):
        share = 1 / (1 + math.exp(-quality - 0.3 * noise))
        truth = np.bincount(task.corpus.labels[getattr(fold, split)], minlength=len(task.corpus.classes))
        hits = np.floor(share * truth).astype(np.int64)
        stacked.append(np.diag(hits) + np.roll(np.diag(truth - hits), 1, axis=1))
    return np.stack(stacked)


def by_speaker(task, test: np.ndarray) -> np.ndarray:
    """Counts of the test part dealt to its speakers, truth by truth: the first ones get the hits."""
    stacked, left = [], test.copy()
    for row, speaker in task.tested:
        part = task.rows[row][0].test
        own = task.corpus.labels[part[task.corpus.speakers[part] == speaker]]
        mine = np.zeros_like(test[row])
        for truth, n in enumerate(np.bincount(own, minlength=len(mine))):
            order = [truth, *(each for each in range(len(mine)) if each != truth)]
            for guess in order:
                mine[truth, guess] = min(n - mine[truth].sum(), left[row, truth, guess])
        left[row] -= mine
        stacked.append(mine)
    return np.stack(stacked)


def scored(task, state, quality):
    made = {(split, "audio"): counts(task, state, quality, split) for split in ("dev", "test")}
    return {"confusions": made, "speakers": {"audio": by_speaker(task, made["test", "audio"])}}


def learn(config, task, artifacts, state):
    settings = config.learn
    stream, done = (start(task), 0) if not state else (state["stream"].numpy(), int(state["done"]))
    for index in range(done + 1, settings.epochs + 1):
        time.sleep(settings.pause)
        misbehave(settings, index)
        note(config, "learn", index)
        stream = turn(stream)
        quality = 1.5 - abs(math.log(settings.rate / 0.3)) - 1 / index
        loss = 1 / index + 0.01 * stream / MODULUS
        yield Epoch(
            stage="learn",
            index=index,
            total=settings.epochs,
            **scored(task, stream, quality),
            terms={"loss": np.full_like(loss, np.nan) if index == settings.nan_at else loss},
            snapshot=lambda index=index, stream=stream: {
                "stream": torch.from_numpy(stream.copy()),
                "done": torch.tensor(index),
            },
            artifact={"stream": torch.from_numpy(stream.copy())} if index == settings.epochs else None,
        )


def misbehave(settings, index: int) -> None:
    if index == settings.error_at:
        raise RuntimeError("first line\nthe second line says why")
    if index == settings.device_full_at:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
    if settings.hoard:
        taken = np.ones(settings.hoard * 2**17)
        time.sleep(30)
        raise RuntimeError(f"nobody minded {taken.nbytes} bytes")
    if index == settings.die_at:
        if settings.die_once:
            if Path(settings.die_once).exists():
                return
            Path(settings.die_once).touch()
        os._exit(1)


def dream(config, task, artifacts, state):
    settings = config.dream
    stream = artifacts["learn"]["stream"].numpy() if not state else state["stream"].numpy()
    done = int(state["done"]) if state else 0
    for index in range(done + 1, settings.epochs + 1):
        note(config, "dream", index)
        stream = turn(stream)
        last = index == settings.epochs
        rows = range(len(task.rows))
        yield Epoch(
            stage="dream",
            index=index,
            total=settings.epochs,
            terms={"fake": stream / MODULUS, "real": 1 - stream / MODULUS},
            snapshot=lambda index=index, stream=stream: {
                "stream": torch.from_numpy(stream.copy()),
                "done": torch.tensor(index),
            },
            artifact={"stream": torch.from_numpy(stream.copy())} if last else None,
            diagnostics=tuple(
                Diagnostic(row=row, measure="spread", value=float(stream[row] / MODULUS), label="sad") for row in rows
            )
            if last
            else (),
            embeddings=(
                Embedding(row=0, kind="generated", labels=np.array([0, 1]), vectors=np.ones((2, 3), np.float32)),
            )
            if last
            else (),
            flags=(Flag(0, "generator collapsed"),) if last and settings.collapse else (),
        )


def tune(config, task, artifacts, state):
    settings = config.tune
    before = artifacts.get("dream", artifacts["learn"])["stream"].numpy()
    stream, done = (before, 0) if not state else (state["stream"].numpy(), int(state["done"]))
    base = 1.5 - abs(math.log(config.learn.rate / 0.3))
    for index in range(done + 1, settings.epochs + 1):
        note(config, "tune", index)
        stream = turn(stream)
        yield Epoch(
            stage="tune",
            index=index,
            total=settings.epochs,
            **scored(task, stream, base + settings.gain),
            terms={"loss": stream / MODULUS},
            snapshot=lambda index=index, stream=stream: {
                "stream": torch.from_numpy(stream.copy()),
                "done": torch.tensor(index),
            },
            artifact={"stream": torch.from_numpy(stream.copy())} if index == settings.epochs else None,
        )


def predict(config, artifacts, corpus):
    return np.full((1, len(corpus.labels), len(corpus.classes)), 1 / len(corpus.classes))


METHOD = Method(
    name="tiny",
    title="A Tiny Method",
    citation="Nobody 2026",
    config=Config,
    stages=(
        Stage(
            name="learn",
            run=learn,
            active=lambda config: True,
            epochs=lambda config: config.learn.epochs,
            depends=("learn",),
            classifies=True,
        ),
        Stage(
            name="dream",
            run=dream,
            active=lambda config: config.dream.on,
            epochs=lambda config: config.dream.epochs,
            depends=("dream",),
            classifies=False,
        ),
        Stage(
            name="tune",
            run=tune,
            active=lambda config: True,
            epochs=lambda config: config.tune.epochs,
            depends=("tune.gain", "tune.epochs"),
            classifies=True,
        ),
    ),
    predict=predict,
    version=1,
)
