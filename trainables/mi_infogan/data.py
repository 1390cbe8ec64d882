"""The corpus as `mi_infogan` sees it: labeled utterances, normalised fold by fold."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from trainables.epoch import Tensors
from trainables.errors import InputError
from trainables.features import Normaliser, class_weights
from trainables.mi_infogan.config import Config
from trainables.scoring import Part
from trainables.task import Task


def default_device() -> torch.device:
    """The GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _text(config: Config, task: Task) -> Normaliser | None:
    if "text" not in task.corpus.features:
        return None
    wanted, size = config.align.feature_dim, task.corpus.features["text"].shape[1]
    if wanted is not None and wanted > size:
        raise InputError(
            f"config.align.feature_dim: {wanted} is more than the text embedding's size {size}, and eq. 5 compares "
            f"vectors of one size; use at most {size}, or null for {size}"
        )
    return Normaliser.fit(task.corpus, task.folds, "text", wanted)


@dataclass(frozen=True)
class Data:
    """Tensors shared by the stages; F folds, R rows, N labeled utterances of the corpus.

    Attributes:
        task: Corpus, folds, seeds.
        audio: Fits the audio of each fold.
        text: Fits the text of each fold; None without text.
        x: Normalised audio, shape (F, N, D).
        t: Normalised text embeddings, shape (F, N, K); K is 0 without text.
        has_audio: Shape (N,), bool.
        has_text: Shape (N,), float.
        labels: Class indices, shape (N,).
        position: Corpus row -> labeled utterance, -1 elsewhere.
        fold: The fold of each row, shape (R, 1), to index x and t with.
    """

    task: Task
    audio: Normaliser
    text: Normaliser | None
    x: Tensor
    t: Tensor
    has_audio: np.ndarray
    has_text: Tensor
    labels: Tensor
    position: np.ndarray
    fold: Tensor

    @classmethod
    def make(cls, config: Config, task: Task) -> Data:
        """Fit the normalisers on each fold's train rows and apply them.

        Raises:
            InputError: If the corpus has no audio.
        """
        corpus, device = task.corpus, default_device()
        if "audio" not in corpus.features:
            raise InputError(
                "modalities: mi_infogan classifies audio, and the corpus or the study has none; add 'audio'"
            )
        if config.augment.inputs == "audio+text" and "text" not in corpus.features:
            raise InputError(
                "config.augment.inputs: 'audio+text' needs the text modality, which is not there; use 'audio'"
            )
        used = np.flatnonzero(corpus.labels >= 0)
        position = np.full(len(corpus.labels), -1)
        position[used] = np.arange(len(used))
        audio = Normaliser.fit(corpus, task.folds, "audio")
        text = _text(config, task)
        present = {name: mask[used] for name, mask in corpus.present.items()}
        t = torch.zeros(len(task.folds), len(used), 0)
        if text is not None:
            t = text.apply(corpus.features["text"][used], present["text"])
        return cls(
            task=task,
            audio=audio,
            text=text,
            x=audio.apply(corpus.features["audio"][used], present["audio"]).to(device),
            t=t.to(device),
            has_audio=present["audio"],
            has_text=torch.from_numpy(present.get("text", np.zeros(len(used))).astype(np.float32)).to(device),
            labels=torch.from_numpy(corpus.labels[used]).to(device),
            position=position,
            fold=torch.arange(len(task.folds)).repeat_interleave(len(task.seeds))[:, None].to(device),
        )

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.x.device

    @property
    def rows(self) -> int:
        """R, folds x seeds."""
        return len(self.fold)

    @property
    def classes(self) -> int:
        """C."""
        return len(self.task.corpus.classes)

    @cached_property
    def train(self) -> list[np.ndarray]:
        """Labeled utterances of each row's train part that have audio."""
        parts = [self.position[fold.train] for fold, _ in self.task.rows]
        return [part[self.has_audio[part]] for part in parts]

    def batch(self, index: Tensor) -> Tensors:
        """Audio, text, labels and whether there is text, of one utterance index a row and place, shape (R, B)."""
        return {
            "x": self.x[self.fold, index],
            "t": self.t[self.fold, index],
            "y": self.labels[index],
            "has_text": self.has_text[index],
        }

    def part(self, name: str) -> Part:
        """The dev or test part of every row."""
        parts = [self.position[getattr(fold, name)] for fold, _ in self.task.rows]
        return Part.make(parts, self.labels, self.classes)

    def weights(self, enabled: bool) -> Tensor:
        """Class weights of each row's train part, or ones, shape (R, C)."""
        if not enabled:
            return torch.ones(self.rows, self.classes, device=self.device)
        labels = self.labels.cpu().numpy()
        rows = [class_weights(labels[part], self.classes) for part in self.train]
        return torch.from_numpy(np.stack(rows)).to(self.device)

    def steps(self, batch_size: int, items: list[np.ndarray] | None = None) -> int:
        """Steps an epoch: one pass over the largest row's items; the others start a second shuffle."""
        return -(-max(map(len, items or self.train)) // batch_size)
