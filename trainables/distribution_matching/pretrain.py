"""Section 4.2: a vanilla classifier, trained on the labeled rows by cross entropy alone, labels all utterances."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from trainables.conditions import chosen
from trainables.distribution_matching.config import Config, Train
from trainables.distribution_matching.fit import Fit
from trainables.distribution_matching.model import build, row_outputs
from trainables.distribution_matching.parts import Parts
from trainables.epoch import Tensors
from trainables.prepared import Prepared
from trainables.selection import Best
from trainables.stacking import Stack
from trainables.task import Task
from trainables.training import Finished, Training

NAME = "pretrain"


def run(config: Config, task: Task, artifacts: Mapping[str, Tensors], state: Tensors | None = None) -> Training:
    """Train every row's vanilla classifier; yield after each epoch.

    Its artifact is ``guess``: the class that each row's classifier, at its dev-chosen epoch, gives every utterance of
    the corpus, shape (R, N). Only those of the unlabeled part are ever used.
    """
    del artifacts  # the first stage
    prepared = Prepared.make(task, chosen(config.data.inputs, task.corpus.features))
    settings = Train(alpha=0, beta=0, omega=0, **config.pretrain.model_dump())
    fit = Fit(
        stage=NAME,
        network=config.network,
        settings=settings,
        prepared=prepared,
        parts=Parts.make(config, prepared),
    )

    def finish(best: Best) -> Finished:
        stack = build(config.network, prepared, NAME).load(best.tensors)
        return Finished(artifact={"guess": guesses(prepared, stack).cpu()})

    return fit.run(finish, state)


def guesses(prepared: Prepared, stack: Stack) -> Tensor:
    """The class that every row's model gives every utterance, shape (R, N)."""
    everyone = torch.arange(len(prepared.labels), device=prepared.device)[None]
    with torch.no_grad():
        logits = [row_outputs(stack, prepared, row, everyone).logits for row in range(prepared.rows)]
    return torch.cat(logits).argmax(-1)
