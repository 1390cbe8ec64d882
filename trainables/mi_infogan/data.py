"""The corpus as `mi_infogan` sees it: labeled utterances, those with audio to train on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
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
    def of(cls, config: Config, task: Task, aligned: Mapping[str, Tensor] | None = None) -> Data:
        """Fit the normalisers on each fold's train rows and apply them.

        Args:
            config: All settings.
            task: Corpus, folds and seeds.
            aligned: What stage 1 handed on, for the stages after it: where its encoders made vectors of recordings and
                transcripts, they are in there.

        Raises:
            InputError: If the corpus has no audio, or not the text or the copies that the config asks for.
        """
        check(config, task.corpus, machine=aligned is None)
        return cls.at_rest(config, task.labeled(), aligned or {})

    @classmethod
    def at_rest(cls, config: Config, task: Task, aligned: Mapping[str, Tensor]) -> Data:
        """As `of`, for a task of labeled utterances whose corpus may have vectors of encoders in place of stored ones.

        What has no vectors yet is of size 0.
        """
        corpus = task.corpus
        check_sizes(config, corpus)
        used = [name for name in ("audio", "text") if name in corpus.features]
        stored = [name for name in used if corpus.features[name].shape[1]]
        data = cls.make(task, stored, dims={"text": config.align.feature_dim})
        if stored == used:
            return data
        empty = torch.zeros(len(task.folds), len(corpus.labels), 0, device=data.device)
        features = {name: data.features.get(name, empty) for name in used}
        if "t" in aligned:
            features["text"] = aligned["t"].to(data.device)
        present = {name: torch.from_numpy(corpus.present[name]).to(data.device) for name in used}
        return replace(data, features=features, present=present)

    @property
    def x(self) -> Tensor:
        """Normalised audio, shape (F, N, D)."""
        return self.features["audio"]

    @cached_property
    def t(self) -> Tensor:
        """Normalised text embeddings, shape (F, N, K), or (R, N, K) of encoders tuned row by row; K is 0 without."""
        return self.features.get("text", self.x[..., :0])

    def texts(self, index: Tensor, rows: slice | Tensor = slice(None)) -> Tensor:
        """Text embeddings of utterances of the given rows, shape (rows, B) to (rows, B, K)."""
        place = self.fold
        if len(self.t) == self.rows:
            place = torch.arange(self.rows, device=self.device)[:, None]
        return self.t[place[rows], index]

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
            "t": self.texts(index),
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


def check(config: Config, corpus: Corpus, *, machine: bool = True) -> None:
    """Refuse a config that does not go with a corpus, or names encoders that are not there, before any work.

    Args:
        config: All settings.
        corpus: What it is to be trained on.
        machine: Whether encoders are needed here, and so looked at.

    Raises:
        InputError: In one line.
    """
    if "audio" not in corpus.features:
        raise InputError("modalities: mi_infogan classifies audio, and the corpus or the study has none; add 'audio'")
    if "text" not in corpus.features and config.augment.inputs == "audio+text":
        raise InputError("config.augment.inputs: 'audio+text' needs the text modality, which is not there; use 'audio'")
    _check_columns(config, corpus)
    check_sizes(config, corpus)
    _check_training(config)
    _check_copies(config, corpus)
    if machine and config.align.raw:
        from trainables.mi_infogan.tune import check_machine  # needs the extra encoders

        check_machine(config.align)


def check_sizes(config: Config, corpus: Corpus) -> None:
    """Refuse a size of h that text vectors do not have.

    Raises:
        InputError: In one line.
    """
    if "text" not in corpus.features:
        return
    wanted, size = config.align.feature_dim, corpus.features["text"].shape[1]
    if wanted is not None and 0 < size < wanted:
        raise InputError(
            f"config.align.feature_dim: {wanted} is more than the text embedding's size {size}, and eq. 5 compares "
            f"vectors of one size; use at most {size}, or null for {size}"
        )


#: What a modality is read from where an encoder makes vectors of it.
_RAW = {"audio": ("encoder", "recording"), "text": ("text_encoder", "transcript")}


def _check_columns(config: Config, corpus: Corpus) -> None:
    settings = config.align
    for modality, (field, column) in _RAW.items():
        name = getattr(settings, field)
        used = corpus.columns[modality] if modality in corpus.features else ""
        if name and used != column:
            found = f"reads {used}" if used else f"has no {modality}"
            raise InputError(
                f"config.align.{field}: {name} encodes {column}s, and the corpus {found}; write "
                f"features: {{{modality}: {column}}}, or null for stored features"
            )
        if not name and used == column:
            raise InputError(
                f"config.align.{field}: the corpus has {column}s and no vectors of them; name an encoder, extract "
                f"vectors with `sweeper data features`, or leave {modality} out of the modalities"
            )


def _check_training(config: Config) -> None:
    settings = config.align
    if settings.encoder is None and settings.train != "full":
        raise InputError(f"config.align.train: {settings.train!r} is said of an encoder; name one in align.encoder")
    if settings.text_train == "lora" and not (settings.tunes and settings.text_encoder):
        missing = "align.text_encoder" if settings.tunes else "align.encoder, trained in full or by lora beside it"
        raise InputError(f"config.align.text_train: 'lora' needs {missing}")
    if settings.encoder and config.augment.source == "recordings":
        raise InputError(
            "config.augment.source: 'recordings' are stored features of augmented copies, and align.encoder makes its "
            "own; use stored features, or another source"
        )
