"""What a study will take from earlier runs instead of training it, as far as that is known before it runs."""

from __future__ import annotations

from dataclasses import dataclass

import torch

import search_spaces
from sweeper.arms import Arm, ablation_arms, baseline_arms, reference_arm, sensitivity_arms
from sweeper.artifacts import Store, digest, keys
from sweeper.plan import Plan
from sweeper.study import Study
from trainables import methods
from trainables.corpus import Corpus
from trainables.errors import InputError
from trainables.task import Task


@dataclass(frozen=True, kw_only=True)
class Reuse:
    """What is kept of the stages that a study is known to need.

    Attributes:
        folder: Where stages are kept.
        known: Different stages that are known beforehand: not those of search arms, nor around the best arm.
        kept: How many of them are there.
        epochs: Epochs of the known ones.
        saved: Epochs of those that are there.
        more: Whether stages will be asked for that are not known yet.
        size: Bytes of the folder.
        limit: Bytes above which what was used least recently is removed.
    """

    folder: str
    known: int
    kept: int
    epochs: int
    saved: int
    more: bool
    size: int
    limit: int


def look(plan: Plan, corpus: Corpus) -> Reuse | None:
    """What is there for a planned study; None where it shares no stages.

    Raises:
        InputError: If the folder cannot be read.
    """
    study = plan.study
    if not study.stages.shared:
        return None
    store = Store(study.stage_folder)
    epochs = _epochs(study, digest(Task(corpus, plan.folds, study.seeds)))
    try:
        there, size = store.has(epochs), store.kept().size
    except OSError as error:
        raise InputError(f"stages.folder: {store.folder} cannot be read ({error.strerror or error})") from None
    return Reuse(
        folder=store.folder,
        known=len(epochs),
        kept=len(there),
        epochs=sum(epochs.values()),
        saved=sum(epochs[key] for key in there),
        more=study.search is not None,
        size=size,
        limit=study.stages.limit,
    )


def _epochs(study: Study, task: str) -> dict[str, int]:
    """Epochs of every stage that is known beforehand, by its key."""
    found: dict[str, int] = {}
    for arm in _known(study):
        method = methods.get(arm.method)
        config = method.config.model_validate(arm.config)
        key_of = keys(method, config, task, _device(study), study.resources.matmul)
        found |= {key_of[stage.name]: stage.epochs(config) for stage in method.active(config)}
    return found


def _known(study: Study) -> list[Arm]:
    spaces, config, reference = search_spaces.get(study.method), study.method_config(), reference_arm(study)
    arms = [reference, *baseline_arms(study, reference.id)]
    if study.ablation and study.around("ablation") == "paper":
        arms += ablation_arms(study, spaces, config, reference.id)
    if study.sensitivity and study.around("sensitivity") == "paper":
        arms += sensitivity_arms(study, spaces, config, reference.id)
    return arms


def _device(study: Study) -> str:
    """What arms will train on, if they run on machines like this one."""
    asked = study.resources
    return "cuda" if torch.cuda.is_available() and asked.gpus_per_trial != 0 and asked.spread == 1 else "cpu"
