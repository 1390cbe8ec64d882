"""Stage 3, section 3.3: the classification layer trained on real and generated features; all else frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from trainables.epoch import Tensors
from trainables.features import class_weights
from trainables.losses import weighted_cross_entropy
from trainables.mi_infogan import align, generate
from trainables.mi_infogan.added import Copied, Generated, Mixed, Noisy, Real, Source, mixed_cross_entropy
from trainables.mi_infogan.config import Config
from trainables.mi_infogan.data import Data
from trainables.scoring import Part
from trainables.stacking import Draws, Means, Optimizer, Stack, map_rows, mlp, row_seeds, seed_of
from trainables.task import Task
from trainables.training import Classifier, Training

NAME = "augment"
#: Real (0) or added (1) audio and text of the four pairings (h, t), (h, t'), (h', t), (h', t').
PAIRINGS = ((0, 0), (0, 1), (1, 0), (1, 1))


@dataclass(frozen=True)
class Pool:
    """What the classifier is trained on; R rows, P items in the longest.

    Attributes:
        utterance: The utterance each item is, or is made from, shape (R, P).
        audio: Whether its audio is generated (or noisy, or mixed, or of a copy), shape (R, P).
        text: Whether its text is, shape (R, P).
        sizes: Items of each row; what lies beyond is padding.
    """

    utterance: Tensor
    audio: Tensor
    text: Tensor
    sizes: tuple[int, ...]

    @classmethod
    def make(cls, config: Config, data: Data) -> Pool:
        """Section 3.3: as many generated features as real ones, or the four pairings, or enough to balance."""
        rows = [_items(config, data, row) for row in range(data.rows)]
        longest = max(map(len, rows))
        padded = np.stack([np.pad(row, ((0, longest - len(row)), (0, 0)), mode="edge") for row in rows])
        items = torch.from_numpy(padded).to(data.device)
        return cls(items[..., 0], items[..., 1] > 0, items[..., 2] > 0, tuple(map(len, rows)))

    @property
    def items(self) -> list[np.ndarray]:
        """Places of each row's items."""
        return [np.arange(size) for size in self.sizes]


def _items(config: Config, data: Data, row: int) -> np.ndarray:
    """(utterance, whether its audio is added, whether its text is) of one row's items, shape (P, 3)."""
    settings, train = config.augment, data.train[row]
    multimodal = settings.inputs == "audio+text"
    real = _paired(train, (0, 0))
    if settings.source == "none":
        return real
    if settings.balance:
        added = [_paired(_top_up(data, row), (1, int(multimodal)))]
    else:
        added = [_paired(train, pairing) for pairing in (PAIRINGS[1:] if multimodal else [(1, 0)])]
    items = np.concatenate([real, *added])
    if settings.source == "real":
        items[:, 1:] = 0
    if settings.source == "mixup":  # of one pair of utterances, audio and text are mixed together
        items[len(real) :, 1:] = (1, int(multimodal))
    if settings.source == "recordings":  # a copy says what its recording says
        items[len(real) :, 1:] = (1, 0)
    return items


def _paired(utterances: np.ndarray, pairing: tuple[int, int]) -> np.ndarray:
    return np.stack([utterances, *(np.full_like(utterances, generated) for generated in pairing)], axis=1)


def _top_up(data: Data, row: int) -> np.ndarray:
    """Utterances of the rarer classes, as many as make all classes of a row's train part equal."""
    fold, seed = data.task.rows[row]
    rng = np.random.default_rng(seed_of(fold.name, seed, NAME, "balance"))
    train = data.train[row]
    labels = data.labels.cpu().numpy()[train]
    counts = np.bincount(labels, minlength=data.classes)
    drawn = [rng.choice(train[labels == label], counts.max() - count) for label, count in enumerate(counts) if count]
    return np.concatenate(drawn)


class Inputs:
    """Classifier inputs and targets of pool items.

    Args:
        config: All settings.
        data: The task's tensors.
        pool: What is trained on.
        real: Gives real features.
        source: Gives added ones; None where nothing but real features is trained on.
    """

    def __init__(self, config: Config, data: Data, pool: Pool, real: Real, source: Source | None) -> None:
        self._data, self._pool, self._real, self._source = data, pool, real, source
        self._redraw, self._drawn = config.augment.redraw, False
        self._row = torch.arange(data.rows, device=data.device)[:, None]

    def draw(self, epoch: np.ndarray) -> None:
        """Draw what is added: once, or anew each epoch where the config says so."""
        if self._source is None or (self._drawn and not self._redraw):
            return
        number = epoch * int(self._redraw)
        self._source.draw(self._pool.utterance, Draws(self._data.task, NAME, "noise", number, device=self._data.device))
        self._drawn = True

    def batch(self, places: Tensor) -> Tensor:
        """Inputs of pool items, shape (R, B) to (R, B, H) or (R, B, H + K)."""
        features = self._real(self._pool.utterance[self._row, places])
        if self._source is not None:
            which = (self._pool.audio, self._pool.text)
            features = tuple(
                torch.where(added[self._row, places][..., None], other, each)
                for added, other, each in zip(which, self._source.of(places, features), features, strict=False)
            )
        return torch.cat(features, -1)

    def targets(self, places: Tensor) -> tuple[Tensor, ...]:
        """Labels of pool items and, where some are mixtures, the partners' labels and the shares; (R, B) each."""
        labels, pool = self._data.labels, self._pool
        own = labels[pool.utterance[self._row, places]]
        if not isinstance(self._source, Mixed):
            return (own,)
        partner, share = self._source.partners(places)
        return own, labels[partner], torch.where(pool.audio[self._row, places], share, 1.0)


def build(config: Config, data: Data, frozen: align.Frozen) -> Stack:
    """The classifiers: the baseline's own layer in the unimodal form, a new one in the multimodal form."""
    multimodal = config.augment.inputs == "audio+text"
    size = frozen.h.shape[-1] + (data.t.shape[-1] if multimodal else 0)
    hidden = config.augment.hidden if multimodal else ()
    seeds = row_seeds(data.task, NAME, "init")
    stack = Stack(lambda: mlp((size, *hidden, data.classes)), seeds).to(data.device)
    if not multimodal:
        stack.load({"0.weight": frozen.heads["W_y.weight"], "0.bias": frozen.heads["W_y.bias"]})
    return stack


def run(config: Config, task: Task, artifacts: Mapping[str, Tensors], state: Tensors | None = None) -> Training:
    """Train every row's classifier; yield after each epoch.

    Its artifact: the classifiers, each at its dev-chosen epoch.
    """
    data, settings = Data.of(config, task, artifacts[align.NAME]), config.augment
    frozen = align.Frozen.load(config, data, artifacts[align.NAME])
    pool, real = Pool.make(config, data), Real(config, data, frozen)
    inputs = Inputs(config, data, pool, real, _source(config, data, frozen, real, artifacts))
    stack = build(config, data, frozen)
    optimizer = Optimizer([stack], learning_rate=settings.across("learning_rate"))

    def logits(part: Part, rows: np.ndarray) -> Tensors:
        return {settings.inputs: stack.apply(torch.cat(real(part.index[rows], torch.from_numpy(rows)), -1), rows)}

    return Classifier(
        stage=NAME,
        epochs=settings.epochs,
        arms=task.arms,
        stack=stack,
        optimizer=optimizer,
        dev=data.part("dev"),
        test=data.part("test"),
        train=partial(_epoch, config, data, pool, inputs, stack, optimizer, _weights(config, data, pool)),
        logits=logits,
    ).run(state)


def _source(
    config: Config, data: Data, frozen: align.Frozen, real: Real, artifacts: Mapping[str, Tensors]
) -> Source | None:
    settings = config.augment
    if settings.source == "generated":
        G = generate.build(config, data, frozen.h.shape[-1])[0].load(artifacts[generate.NAME], "G/")
        return Generated(config, data, frozen, G)
    if settings.source == "recordings":
        return Copied(config, data, frozen)
    if settings.source == "noise":
        return Noisy(settings.noise, data, real)
    return Mixed(settings.mixup, data, real) if settings.source == "mixup" else None


def _epoch(
    config: Config,
    data: Data,
    pool: Pool,
    inputs: Inputs,
    stack: Stack,
    optimizer: Optimizer,
    weights: Tensor,
    index: np.ndarray,
) -> dict[str, np.ndarray]:
    draws, means, settings = Draws(data.task, NAME, index, device=data.device), Means(), config.augment
    size = settings.batch_size
    inputs.draw(index)

    def loss(params: Tensors, features: Tensor, weight: Tensor, labels: Tensor, *mixed: Tensor) -> Tensor:
        logits = stack.call(params, features)
        if not mixed:
            return weighted_cross_entropy(logits, labels, weight)
        others, share = mixed
        return mixed_cross_entropy(logits, labels, others, share, weight)

    for places in draws.batches(pool.items, data.steps(size, pool.items), size).unbind(1):
        features = inputs.batch(places)
        if settings.dropout:
            features = features * draws.keep(1 - settings.dropout, *features.shape[1:])
        each = map_rows(loss, stack.params, features, weights, *inputs.targets(places))
        optimizer.step(each)
        means.add({"ser": each})
    return means.result()


def _weights(config: Config, data: Data, pool: Pool) -> Tensor:
    """Class weights of each row's pool, or ones, shape (R, C)."""
    if not config.augment.class_weights:
        return torch.ones(data.rows, data.classes, device=data.device)
    labels = data.labels[pool.utterance].cpu().numpy()
    rows = [class_weights(labels[row, :size], data.classes) for row, size in enumerate(pool.sizes)]
    return torch.from_numpy(np.stack(rows)).to(data.device)
