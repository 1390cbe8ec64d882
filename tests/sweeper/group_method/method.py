"""Softmax regression by gradient descent, whose every step is split between the workers of a group."""

import os
import signal
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import distributed, nn

from group_method.config import Config
from trainables.methods import Method, Stage
from trainables.prepared import Prepared
from trainables.stacking import Stack, row_seeds
from trainables.training import Classifier, Finished

NAME = "fit"


class NoState:
    """Gradient descent remembers nothing."""

    def state(self, prefix):
        return {}

    def load(self, state, prefix):
        pass


def run(config, task, artifacts, state=None):
    settings, data = config.fit, Prepared.make(task)
    sizes = data.dims["audio"], data.classes
    stack = Stack(lambda: nn.Linear(*sizes), row_seeds(task, NAME, "init")).train()
    rank, world = (distributed.get_rank(), distributed.get_world_size()) if distributed.is_initialized() else (0, 1)

    def train(index):
        misbehave(settings, int(index[0]), rank)
        loss = torch.stack([share(data, stack, row, rank, world) for row in range(data.rows)])
        gradients = torch.autograd.grad(loss.sum(), list(stack.params.values()))
        terms = loss.detach().clone()
        for each in (*gradients, terms):
            if world > 1:
                distributed.all_reduce(each)
        with torch.no_grad():
            for tensor, gradient in zip(stack.params.values(), gradients, strict=True):
                tensor -= settings.rate * gradient
        return {"ser": terms.numpy()}

    def logits(part, rows):
        x = data.held_out(part.index[rows], rows)["x"]["audio"]
        return {"audio": stack.apply(x, rows)}

    return Classifier(
        stage=NAME,
        epochs=settings.epochs,
        stack=stack,
        optimizer=NoState(),
        dev=data.part("dev"),
        test=data.part("test"),
        train=train,
        logits=logits,
        finish=lambda best: Finished(artifact=best.tensors | data.state()),
    ).run(state)


def share(data, stack, row, rank, world):
    """A worker's part of a row's mean loss."""
    index = torch.from_numpy(data.train[row])[rank::world]
    x = data.features["audio"][int(data.fold[row, 0]), index]
    logits = x @ stack.params["weight"][row].T + stack.params["bias"][row]
    return F.cross_entropy(logits, data.labels[index], reduction="sum") / len(data.train[row])


def misbehave(settings, epoch, rank):
    if settings.wrong_at == epoch:
        raise ArithmeticError("wrong on purpose")
    if settings.dies_at == epoch and rank == 1 and not Path(settings.marker).exists():
        Path(settings.marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)


METHOD = Method(
    name="grouped",
    title="Softmax regression",
    citation="none",
    config=Config,
    stages=(
        Stage(
            name=NAME,
            run=run,
            active=lambda config: True,
            epochs=lambda config: config.fit.epochs,
            depends=("fit",),
            classifies=True,
            distributed=lambda config: True,
        ),
    ),
    predict=lambda config, artifacts, corpus: None,
    version=1,
)
