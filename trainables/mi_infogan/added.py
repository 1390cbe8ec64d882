"""What stage 3 puts beside real features: generated ones (section 3.3) or, as controls, noisy, mixed or copied ones.

Each source is drawn for all places of a pool and then asked batch by batch. Features are tuples: (audio,) in the
unimodal form, (audio, text) in the multimodal one.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from trainables.copies import chosen
from trainables.mi_infogan import align, generate
from trainables.mi_infogan.config import Config
from trainables.mi_infogan.data import Data
from trainables.stacking import Draws, Stack

Features = tuple[Tensor, ...]


class Real:
    """Real features of the audio encoder and the text.

    Args:
        config: All settings.
        data: The task's tensors.
        frozen: The baselines.
    """

    def __init__(self, config: Config, data: Data, frozen: align.Frozen) -> None:
        self._data, self._frozen = data, frozen
        self._multimodal = config.augment.inputs == "audio+text"

    def __call__(self, index: Tensor, rows: slice | Tensor = slice(None)) -> Features:
        """Features of utterances of the given rows, shape (rows, B) to (rows, B, H) and (rows, B, K)."""
        audio = self._frozen.h[self._frozen.row[rows], index]
        return (audio, self._data.texts(index, rows)) if self._multimodal else (audio,)


class Source(Protocol):
    """Something that adds features."""

    def draw(self, utterance: Tensor, draws: Draws) -> None:
        """Draw all that is random for the places of a pool, shape (R, P), which hold these utterances."""

    def of(self, places: Tensor, real: Features) -> Features:
        """What is added at places of the pool, shape (R, B), beside these real features."""


class Generated:
    """h' = G(z, c, t), eq. 8, and t' = W_t h' + b_t, eq. 12.

    Args:
        config: All settings.
        data: The task's tensors.
        frozen: The baselines.
        G: The generators.
    """

    def __init__(self, config: Config, data: Data, frozen: align.Frozen, G: Stack) -> None:
        self._config, self._data, self._frozen, self._generators = config, data, frozen, G
        self._fake = torch.empty(0)

    def draw(self, utterance: Tensor, draws: Draws) -> None:
        """Generate one feature for each place."""
        self._fake = generate.sample(self._config, self._data, self._generators, utterance, draws)

    def of(self, places: Tensor, real: Features) -> Features:
        """h' and, in the multimodal form, t' at the length of real text: InfoNCE fixes its direction only."""
        fake = self._fake[self._frozen.row, places]
        if len(real) == 1:
            return (fake,)
        length = real[1].norm(dim=-1).mean(-1)[:, None, None]
        return fake, F.normalize(align.linear(self._frozen.heads, "W_t", fake), dim=-1) * length


class Noisy:
    """Real features with Gaussian noise, a share of each feature's own spread over the row's train part.

    Args:
        share: That share.
        data: Gives the train parts.
        real: Gives the features.
    """

    def __init__(self, share: float, data: Data, real: Real) -> None:
        self._row = torch.arange(data.rows, device=data.device)[:, None]
        train = [torch.from_numpy(part)[None].to(data.device) for part in data.train]
        found = [[each[0].std(0) for each in real(part, self._row[row])] for row, part in enumerate(train)]
        self._spread = [share * torch.stack(each) for each in zip(*found, strict=True)]
        self._noise: Features = ()

    def draw(self, utterance: Tensor, draws: Draws) -> None:
        """Draw the noise of each place."""
        sizes = [spread.shape[1] for spread in self._spread]
        whole = draws.normal(utterance.shape[1], sum(sizes)).split(sizes, -1)
        self._noise = tuple(spread[:, None] * noise for spread, noise in zip(self._spread, whole, strict=True))

    def of(self, places: Tensor, real: Features) -> Features:
        """The real features with the noise of these places."""
        return tuple(each + noise[self._row, places] for each, noise in zip(real, self._noise, strict=True))


class Mixed:
    """Mixup (Zhang et al. 2018): s x_i + (1 - s) x_j of a place's utterance i and a partner j of the same train part.

    Args:
        alpha: s is drawn from Beta(alpha, alpha).
        data: Gives the train parts.
        real: Gives the features.
    """

    def __init__(self, alpha: float, data: Data, real: Real) -> None:
        self._alpha, self._data, self._real = alpha, data, real
        self._row = torch.arange(data.rows, device=data.device)[:, None]
        self._partner = self._share = torch.empty(0)

    def draw(self, utterance: Tensor, draws: Draws) -> None:
        """Draw a share and a partner for each place."""
        self._share = draws.beta(self._alpha, utterance.shape[1])
        self._partner = draws.choice(self._data.train, utterance.shape[1])

    def of(self, places: Tensor, real: Features) -> Features:
        """The mixtures at these places: audio and text of one pair of utterances, with one share."""
        partner, share = self.partners(places)
        others = self._real(partner)
        return tuple(torch.lerp(other, each, share[..., None]) for each, other in zip(real, others, strict=True))

    def partners(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """Partners and shares at these places, shape (R, B) each."""
        return self._partner[self._row, places], self._share[self._row, places]


class Copied:
    """h of augmented copies of the recordings (`trainables.augmentations`), by the frozen encoder; text as it is.

    Copies are normalised as their originals are, by what was fitted on the real train rows. Each place has one of its
    utterance's copies, all equally likely; the utterance's own h where it has none.

    Args:
        config: All settings.
        data: The task's tensors.
        frozen: The baselines.
    """

    def __init__(self, config: Config, data: Data, frozen: align.Frozen) -> None:
        copies = data.task.corpus.copies
        self._data, self._frozen = data, frozen
        self._copies = [copies[name] for name in chosen(config.augment.copies, copies)]
        there = np.stack([~np.isnan(each).any(axis=1) for each in self._copies])
        self._count = there.sum(axis=0)
        self._order = np.argsort(~there, axis=0, kind="stable")
        self._h = self._has = torch.empty(0)

    def draw(self, utterance: Tensor, draws: Draws) -> None:
        """Draw a copy for each place, and encode it."""
        places = utterance.cpu().numpy()
        even = draws.beta(1.0, places.shape[1]).cpu().numpy()
        count = self._count[places]
        number = np.minimum(even * count, np.maximum(count - 1, 0)).astype(np.int64)
        rows = [self._encoded(row, *each) for row, each in enumerate(zip(places, number, count > 0, strict=True))]
        self._h, self._has = torch.stack(rows), torch.from_numpy(count > 0).to(self._data.device)

    def _encoded(self, row: int, places: np.ndarray, number: np.ndarray, has: np.ndarray) -> Tensor:
        """h of a row's places, shape (P, H): of the copy of that number among those the utterance has."""
        copy = self._order[number, places]
        raw = np.empty((len(places), self._copies[0].shape[1]), dtype=np.float32)
        for which, vectors in enumerate(self._copies):
            raw[copy == which] = vectors[places[copy == which]]
        fold = int(self._data.fold[row])
        x = self._data.normalisers["audio"].of(fold).apply(raw, has).to(self._data.device)
        with torch.no_grad():
            return self._frozen.stack.apply(x, np.arange(self._data.rows) == row)[0]

    def of(self, places: Tensor, real: Features) -> Features:
        """h of the copies at these places, beside the text of the recordings."""
        copied, has = self._h[self._frozen.row, places], self._has[self._frozen.row, places]
        return (torch.where(has[..., None], copied, real[0]), *real[1:])


def mixed_cross_entropy(logits: Tensor, labels: Tensor, others: Tensor, share: Tensor, weights: Tensor) -> Tensor:
    r"""Cross entropy of mixtures of two labels, as a mean weighted by the labels' weights.

    .. math:: \frac{\sum_i s_i w_{y_i} \ell(p_i, y_i) + (1 - s_i) w_{y'_i} \ell(p_i, y'_i)}
                   {\sum_i s_i w_{y_i} + (1 - s_i) w_{y'_i}}, \quad \ell(p, y) = -\log p_y

    Source: Zhang et al. 2018; the weights are those of `losses.weighted_cross_entropy`, which it equals at s = 1.

    Args:
        logits: Unnormalised log-probabilities, shape (B, C).
        labels: Classes y of the first parts, shape (B,).
        others: Classes y' of the second parts, shape (B,).
        share: Shares s of the first parts, in [0, 1], shape (B,).
        weights: Positive weight of each class, shape (C,).

    Returns:
        The mean loss in nats, shape ().
    """
    log_p = torch.log_softmax(logits, dim=-1)
    target = share[:, None] * F.one_hot(labels, logits.shape[-1]) + (1 - share[:, None]) * F.one_hot(
        others, logits.shape[-1]
    )
    weighted = target * weights
    return -(weighted * log_p).sum() / weighted.sum()
