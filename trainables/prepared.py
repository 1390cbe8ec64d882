"""A task as tensors: every modality normalised fold by fold, with the parts, weights and batches of every row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import torch
from torch import Tensor

from trainables.conditions import MODALITIES
from trainables.corpus import Corpus
from trainables.epoch import Tensors
from trainables.errors import InputError
from trainables.features import Normaliser, class_weights
from trainables.kept import kept
from trainables.protocols import Fold
from trainables.scoring import Part
from trainables.section import Section
from trainables.task import Task


def default_device() -> torch.device:
    """The GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@dataclass(frozen=True)
class Prepared:
    """F folds, R rows (folds x seeds, once for each arm), N utterances: all of the corpus, labeled or not.

    Attributes:
        task: Corpus, folds, seeds.
        normalisers: What was fitted on each fold's train rows, by modality.
        features: Normalised features by modality, shape (F, N, D); 0, the mean of the train rows, where missing.
        present: Which utterances have a modality, shape (N,), bool.
        labels: Class indices, shape (N,); -1 = unlabeled.
        fold: The fold of each row, shape (R, 1), to index features with.
    """

    task: Task
    normalisers: Mapping[str, Normaliser]
    features: Mapping[str, Tensor]
    present: Mapping[str, Tensor]
    labels: Tensor
    fold: Tensor

    @classmethod
    def make(
        cls, task: Task, modalities: Sequence[str] | None = None, *, dims: Mapping[str, int | None] | None = None
    ) -> Self:
        """Fit the normalisers on each fold's labeled train rows and apply them.

        Args:
            task: What to prepare.
            modalities: Which modalities; by default all the corpus has.
            dims: Size to reduce a modality to by PCA on the train rows; by default none is reduced.

        Raises:
            InputError: If there are no vectors of a modality.
        """
        corpus, device, wanted = task.corpus, default_device(), dims or {}
        used = tuple(corpus.features) if modalities is None else tuple(modalities)
        check_vectors(corpus, used)
        sizes = tuple(wanted.get(name) for name in used)
        normalisers, features = _fitted(corpus, task.folds, used, sizes, str(device))
        rows = torch.arange(len(task.folds)).repeat_interleave(len(task.seeds)).repeat(task.arms)
        return cls(
            task=task,
            normalisers=normalisers,
            features=features,
            present={name: torch.from_numpy(corpus.present[name]).to(device) for name in used},
            labels=torch.from_numpy(corpus.labels).to(device),
            fold=rows[:, None].to(device),
        )

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities in use, in the corpus's order."""
        return tuple(self.features)

    @property
    def dims(self) -> dict[str, int]:
        """Size of each modality's features."""
        return {name: features.shape[-1] for name, features in self.features.items()}

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.labels.device

    @property
    def rows(self) -> int:
        """R, arms x folds x seeds."""
        return len(self.fold)

    @property
    def classes(self) -> int:
        """C."""
        return len(self.task.corpus.classes)

    @cached_property
    def known(self) -> np.ndarray:
        """Which utterances have any of the modalities, shape (N,), bool; the others cannot be trained on."""
        return torch.stack(list(self.present.values())).any(0).cpu().numpy()

    @cached_property
    def train(self) -> list[np.ndarray]:
        """Labeled utterances of each row's train part that have any of the modalities."""
        return [fold.train[self.known[fold.train]] for fold, _ in self.task.rows]

    @cached_property
    def unlabeled(self) -> list[np.ndarray]:
        """Unlabeled utterances of each row's train side that have any of the modalities."""
        return [fold.unlabeled[self.known[fold.unlabeled]] for fold, _ in self.task.rows]

    def batch(self, index: Tensor) -> dict[str, Tensors]:
        """Features and presence by modality of one utterance index a row and place.

        Args:
            index: Utterances, shape (R, B).

        Returns:
            ``x``: modality -> (R, B, D); ``present``: modality -> (R, B), bool.
        """
        return self._at(self.fold, index)

    def held_out(self, index: Tensor, rows: np.ndarray) -> dict[str, Tensors]:
        """As `batch`, for the given rows only.

        Args:
            index: Utterances, shape (rows.sum(), n).
            rows: Which rows they are of, shape (R,), bool.
        """
        return self._at(self.fold[torch.from_numpy(rows).to(self.device)], index)

    def _at(self, fold: Tensor, index: Tensor) -> dict[str, Tensors]:
        return {
            "x": {name: features[fold, index] for name, features in self.features.items()},
            "present": {name: mask[index] for name, mask in self.present.items()},
        }

    def part(self, name: str) -> Part:
        """The ``dev`` or ``test`` part of every row."""
        parts = [getattr(fold, name) for fold, _ in self.task.rows]
        return Part.make(parts, self.labels, self.classes, self.task.corpus.speakers)

    def weights(self, enabled: bool, train: Sequence[np.ndarray] | None = None) -> Tensor:
        """Class weights of each row's train part (or of the given utterances), or ones; shape (R, C)."""
        if not enabled:
            return torch.ones(self.rows, self.classes, device=self.device)
        labels = self.labels.cpu().numpy()
        rows = [class_weights(labels[part], self.classes) for part in (self.train if train is None else train)]
        return torch.from_numpy(np.stack(rows)).to(self.device)

    def steps(self, batch_size: int, items: Sequence[np.ndarray] | None = None) -> int:
        """Steps an epoch: one pass over the largest row's items; the others start a second shuffle."""
        return -(-max(map(len, self.train if items is None else items)) // batch_size)

    def vectors(self, section: Section, *names: str) -> Tensors:
        """Numbers of a section of the settings as vectors over rows, shape (R,): each arm has its own."""
        size = self.rows // self.task.arms
        values = {name: np.repeat(np.array(section.across(name), dtype=np.float32), size) for name in names}
        return {name: torch.from_numpy(each).to(self.device) for name, each in values.items()}

    def state(self) -> Tensors:
        """The normalisers, to be kept in an artifact, once for each arm; `normalised` applies them to any corpus."""
        parts = [each.state(f"{name}.") for name, each in self.normalisers.items()]
        return {
            name: tensor.repeat(self.task.arms, *[1] * (tensor.dim() - 1))
            for part in parts
            for name, tensor in part.items()
        }


def check_vectors(corpus: Corpus, modalities: Iterable[str]) -> None:
    """Refuse modalities that no encoder has turned into vectors yet.

    Raises:
        InputError: Names the modality and the remedy.
    """
    for modality in modalities:
        if not corpus.features[modality].shape[1]:
            raise InputError(
                f"corpus {corpus.name}: {modality}: has {corpus.columns[modality]}s but no vectors of them; extract "
                f"some with `sweeper data features`, or leave {modality} out of the modalities"
            )


@kept
def _fitted(
    corpus: Corpus, folds: tuple[Fold, ...], used: tuple[str, ...], dims: tuple[int | None, ...], device: str
) -> tuple[dict[str, Normaliser], Tensors]:
    """Normalisers of every fold's train rows, and the features under them, by modality."""
    wanted = zip(used, dims, strict=True)
    normalisers = {name: Normaliser.fit(corpus, folds, name, dim) for name, dim in wanted}
    return normalisers, {name: features.to(device) for name, features in apply(normalisers, corpus).items()}


def apply(normalisers: Mapping[str, Normaliser], corpus: Corpus) -> Tensors:
    """Normalised features of a corpus by modality, shape (F, N, D).

    Utterances of a second, unlabeled corpus are standardised by themselves: a shift between the recordings of two
    corpora says nothing about emotion.
    """
    return {name: _applied(each, corpus, name) for name, each in normalisers.items()}


def _applied(normaliser: Normaliser, corpus: Corpus, modality: str) -> Tensor:
    features, present, guests = corpus.features[modality], corpus.present[modality], corpus.guests
    out = normaliser.apply(features, present)
    if (present & guests).any():
        adapted = normaliser.adapted(features[guests], present[guests])
        out[:, torch.from_numpy(guests)] = adapted.apply(features[guests], present[guests])
    return out


def modalities_in(artifact: Mapping[str, Tensor]) -> list[str]:
    """The modalities that an artifact was trained on, by the normalisers it holds."""
    return [name for name in MODALITIES if f"{name}.mean" in artifact]


def concatenated(features: Mapping[str, Tensor]) -> Tensor:
    """Features of all modalities side by side, (..., D) each to (..., sum of D)."""
    return torch.cat(list(features.values()), -1)


def normalised(artifact: Mapping[str, Tensor], corpus: Corpus, modalities: Sequence[str], rows: int) -> Tensors:
    """Features of any corpus as a trained artifact wants them, for prediction.

    Args:
        artifact: Holds what `Prepared.state` gave.
        corpus: What to classify.
        modalities: Which modalities the artifact was trained on.
        rows: R.

    Returns:
        Modality -> features, shape (R, N, D).
    """
    fitted = {name: Normaliser.load(artifact, f"{name}.") for name in modalities}
    return {name: each.repeat_interleave(rows // len(each), 0) for name, each in apply(fitted, corpus).items()}
