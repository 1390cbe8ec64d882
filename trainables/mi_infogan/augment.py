"""Stage 3, section 3.3: the classification layer trained on real and generated features; all else frozen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from trainables.epoch import Epoch, Tensors
from trainables.features import class_weights
from trainables.losses import weighted_cross_entropy
from trainables.mi_infogan import align, generate
from trainables.mi_infogan.config import Config
from trainables.mi_infogan.data import Data
from trainables.scoring import Part
from trainables.stacking import Draws, Means, Optimizer, Stack, map_rows, mlp, seed_of
from trainables.task import Task
from trainables.training import Classifier

NAME = "augment"
#: Real (0) or generated (1) audio and text of the four pairings (h, t), (h, t'), (h', t), (h', t').
PAIRINGS = ((0, 0), (0, 1), (1, 0), (1, 1))


@dataclass(frozen=True)
class Pool:
    """What the classifier is trained on; R rows, P items in the longest.

    Attributes:
        utterance: The utterance each item is, or is generated for, shape (R, P).
        audio: Whether its audio is generated, shape (R, P).
        text: Whether its text is generated, shape (R, P).
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
    """(utterance, audio generated, text generated) of one row's items, shape (P, 3)."""
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
    """Classifier inputs of pool items and of held-out utterances.

    Args:
        config: All settings.
        data: The task's tensors.
        frozen: The baselines.
        G: The generators, or None where nothing is generated.
        pool: What is trained on.
    """

    def __init__(self, config: Config, data: Data, frozen: align.Frozen, G: Stack | None, pool: Pool) -> None:
        self._config, self._data, self._frozen, self._generators, self._pool = config, data, frozen, G, pool
        self._fake: Tensor | None = None

    def draw(self, epoch: int) -> None:
        """Generate the pool's features: once, or anew each epoch where the config says so."""
        redraw = self._config.augment.redraw
        if self._generators is None or (self._fake is not None and not redraw):
            return
        number = epoch if redraw else 0
        draws = Draws(self._data.task, NAME, "noise", number, device=self._data.device)
        self._fake = generate.sample(self._config, self._data, self._generators, self._pool.utterance, draws)

    def batch(self, places: Tensor) -> Tensor:
        """Inputs of pool items, shape (R, B) to (R, B, H) or (R, B, H + K)."""
        data, row, pool = self._data, self._frozen.row, self._pool
        utterance = pool.utterance[row, places]
        audio, text = self._frozen.h[row, utterance], data.t[data.fold, utterance]
        if self._fake is not None:
            fake = self._fake[row, places]
            audio = torch.where(pool.audio[row, places][..., None], fake, audio)
            if self._config.augment.inputs == "audio+text":
                text = torch.where(pool.text[row, places][..., None], self._text(fake, text), text)
        return self._join(audio, text)

    def _text(self, fake: Tensor, real: Tensor) -> Tensor:
        """t' = W_t h' + b_t (eq. 12), at the length of real text: InfoNCE fixes its direction only."""
        projected = align.linear(self._frozen.heads, "W_t", fake)
        length = real.norm(dim=-1).mean(-1)[:, None, None]
        return torch.nn.functional.normalize(projected, dim=-1) * length

    def held_out(self, index: Tensor, rows: np.ndarray) -> Tensor:
        """Inputs of real utterances for the given rows, shape (n rows, n, H) or (n rows, n, H + K)."""
        data = self._data
        return self._join(self._frozen.h[self._frozen.row[rows], index], data.t[data.fold[rows], index])

    def _join(self, audio: Tensor, text: Tensor) -> Tensor:
        return audio if self._config.augment.inputs == "audio" else torch.cat([audio, text], -1)


def build(config: Config, data: Data, frozen: align.Frozen) -> Stack:
    """The classifiers: the baseline's own layer in the unimodal form, a new one in the multimodal form."""
    multimodal = config.augment.inputs == "audio+text"
    size = frozen.h.shape[-1] + (data.t.shape[-1] if multimodal else 0)
    hidden = config.augment.hidden if multimodal else ()
    seeds = [seed_of(fold.name, seed, NAME, "init") for fold, seed in data.task.rows]
    stack = Stack(lambda: mlp((size, *hidden, data.classes)), seeds).to(data.device)
    if not multimodal:
        stack.load({"0.weight": frozen.heads["W_y.weight"], "0.bias": frozen.heads["W_y.bias"]})
    return stack


def run(config: Config, task: Task, artifacts: Mapping[str, Tensors], state: Tensors | None = None) -> Iterator[Epoch]:
    """Train every row's classifier; yield after each epoch.

    Its artifact: the classifiers, each at its dev-chosen epoch.
    """
    data, settings = Data.make(config, task), config.augment
    frozen = align.Frozen.load(config, data, artifacts[align.NAME])
    G = None
    if settings.source == "generated":
        G = generate.build(config, data, frozen.h.shape[-1])[0].load(artifacts[generate.NAME], "G/")
    pool = Pool.make(config, data)
    inputs, stack = Inputs(config, data, frozen, G, pool), build(config, data, frozen)
    optimizer = Optimizer([stack], learning_rate=settings.learning_rate)

    def logits(part: Part, rows: np.ndarray) -> Tensors:
        return {settings.inputs: stack.apply(inputs.held_out(part.index[rows], rows), rows)}

    yield from Classifier(
        stage=NAME,
        epochs=settings.epochs,
        stack=stack,
        optimizer=optimizer,
        dev=data.part("dev"),
        test=data.part("test"),
        train=partial(_epoch, config, data, pool, inputs, stack, optimizer, _weights(config, data, pool)),
        logits=logits,
    ).run(state)


def _epoch(
    config: Config,
    data: Data,
    pool: Pool,
    inputs: Inputs,
    stack: Stack,
    optimizer: Optimizer,
    weights: Tensor,
    index: int,
) -> dict[str, np.ndarray]:
    draws, means, settings = Draws(data.task, NAME, index, device=data.device), Means(), config.augment
    size = settings.batch_size
    inputs.draw(index)

    def loss(params: Tensors, features: Tensor, labels: Tensor, weight: Tensor) -> Tensor:
        return weighted_cross_entropy(stack.call(params, features), labels, weight)

    row = torch.arange(data.rows, device=data.device)[:, None]
    for places in draws.batches(pool.items, data.steps(size, pool.items), size).unbind(1):
        labels, features = data.labels[pool.utterance[row, places]], inputs.batch(places)
        if settings.dropout:
            features = features * draws.keep(1 - settings.dropout, *features.shape[1:])
        each = map_rows(loss, stack.params, features, labels, weights)
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
