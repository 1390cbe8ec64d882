"""The corpus as `mi_infogan` sees it: labeled utterances, those with audio to train on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from trainables.copies import unknown
from trainables.corpus import Corpus
from trainables.epoch import Tensors
from trainables.errors import InputError
from trainables.mi_infogan.config import Config
from trainables.prepared import Prepared
from trainables.task import Task


@dataclass(frozen=True)
class Data(Prepared):
    """Tensors shared by the stages; F folds, R rows, N labeled utterances: the others are left out for memory."""

    @classmethod
    def of(cls, config: Config, task: Task) -> Data:
        """Fit the normalisers on each fold's train rows and apply them.

        Raises:
            InputError: If the corpus has no audio, or not the text or the copies that the config asks for.
        """
        _check(config, task.corpus)
        used = [name for name in ("audio", "text") if name in task.corpus.features]
        return cls.make(task.labeled(), used, dims={"text": config.align.feature_dim})

    @property
    def x(self) -> Tensor:
        """Normalised audio, shape (F, N, D)."""
        return self.features["audio"]

    @cached_property
    def t(self) -> Tensor:
        """Normalised text embeddings, shape (F, N, K); K is 0 without text."""
        return self.features.get("text", self.x[..., :0])

    @cached_property
    def has_text(self) -> Tensor:
        """1 or 0, shape (N,)."""
        return self.present.get("text", torch.zeros_like(self.present["audio"])).float()

    @cached_property
    def train(self) -> list[np.ndarray]:
        """Utterances of each row's train part that have audio."""
        has_audio = self.present["audio"].cpu().numpy()
        return [fold.train[has_audio[fold.train]] for fold, _ in self.task.rows]

    def pairs(self, index: Tensor) -> Tensors:
        """Audio, text, labels and whether there is text, of one utterance index a row and place, shape (R, B)."""
        return {
            "x": self.x[self.fold, index],
            "t": self.t[self.fold, index],
            "y": self.labels[index],
            "has_text": self.has_text[index],
        }


def _check_copies(config: Config, corpus: Corpus) -> None:
    """Refuse to add copies that a corpus does not have.

    Raises:
        InputError: Names the setting, what is missing and the remedy.
    """
    wanted, there = config.augment.copies, corpus.copies
    if config.augment.source != "recordings":
        return
    column = corpus.columns.get("audio", "the audio column")
    if not there:
        raise InputError(
            f"config.augment.source: 'recordings' needs augmented copies of {column}, and corpus {corpus.name} has "
            "none; write some with `sweeper data features --augment noise10`, or use another source"
        )
    if missing := unknown(wanted, there):
        raise InputError(
            f"config.augment.copies: corpus {corpus.name} has no {column}+{missing}; its copies are {', '.join(there)}"
        )
    if wanted == ():
        raise InputError("config.augment.copies: is empty; name some, or write null for all")


def _check(config: Config, corpus: Corpus) -> None:
    if "audio" not in corpus.features:
        raise InputError("modalities: mi_infogan classifies audio, and the corpus or the study has none; add 'audio'")
    _check_copies(config, corpus)
    if "text" not in corpus.features:
        if config.augment.inputs == "audio+text":
            raise InputError(
                "config.augment.inputs: 'audio+text' needs the text modality, which is not there; use 'audio'"
            )
        return
    wanted, size = config.align.feature_dim, corpus.features["text"].shape[1]
    if wanted is not None and wanted > size:
        raise InputError(
            f"config.align.feature_dim: {wanted} is more than the text embedding's size {size}, and eq. 5 compares "
            f"vectors of one size; use at most {size}, or null for {size}"
        )
