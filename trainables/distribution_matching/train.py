"""The main stage: eq. 9, on labeled and unlabeled utterances together."""

from __future__ import annotations

from collections.abc import Mapping

from trainables.conditions import chosen
from trainables.distribution_matching import pretrain, quality
from trainables.distribution_matching.config import Config
from trainables.distribution_matching.fit import Fit
from trainables.distribution_matching.parts import Parts
from trainables.epoch import Tensors
from trainables.prepared import Prepared
from trainables.selection import Best
from trainables.task import Task
from trainables.training import Finished, Training

NAME = "train"


def run(config: Config, task: Task, artifacts: Mapping[str, Tensors], state: Tensors | None = None) -> Training:
    """Train every row; yield after each epoch.

    Its artifact: the parameters of each row at its dev-chosen epoch and the normalisers.
    """
    prepared = Prepared.make(task, chosen(config.data.inputs, task.corpus.features))
    parts = Parts.make(config, prepared)
    if config.pseudo_labels:
        parts = parts.balanced(prepared, list(artifacts[pretrain.NAME]["guess"].numpy()))
    fit = Fit(stage=NAME, network=config.network, settings=config.train, prepared=prepared, parts=parts)

    def finish(best: Best) -> Finished:
        report = quality.measure(config, fit, best.tensors)
        return Finished(
            artifact={**best.tensors, **prepared.state()},
            diagnostics=report.diagnostics,
            embeddings=report.embeddings,
            flags=report.flags,
        )

    return fit.run(finish, state)
