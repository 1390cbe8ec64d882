"""Stored features made ready for training: normalised, and where asked reduced, by each fold's train rows alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainables.corpus import Corpus
from trainables.epoch import Tensors
from trainables.protocols import Fold


@dataclass(frozen=True)
class Normaliser:
    """Standardisation, then an optional projection, one for each of F folds.

    Attributes:
        mean: Shape (F, D).
        std: Shape (F, D); 1 where a column does not vary on the train rows.
        basis: Principal directions scaled to a mean square of 1, shape (F, D, K), or None.
    """

    mean: Tensor
    std: Tensor
    basis: Tensor | None = None

    @classmethod
    def fit(cls, corpus: Corpus, folds: Sequence[Fold], modality: str, dim: int | None = None) -> Normaliser:
        """Fit on the train rows of each fold that have the modality.

        Args:
            corpus: Gives features and which are present.
            folds: F folds.
            modality: Such as ``audio``.
            dim: Size to reduce to by PCA; None or the full size keeps the columns as they are.
        """
        features, present = corpus.features[modality], corpus.present[modality]
        train = [features[fold.train[present[fold.train]]].astype(np.float64) for fold in folds]
        mean, std = (np.stack(each) for each in zip(*map(_moments, train), strict=True))
        basis = None
        if dim is not None and dim < features.shape[1]:
            basis = _tensor(np.stack([_basis((x - m) / s, dim) for x, m, s in zip(train, mean, std, strict=True)]))
        return cls(_tensor(mean), _tensor(std), basis)

    @property
    def dim(self) -> int:
        """Size of what `apply` gives."""
        return int(self.mean.shape[1] if self.basis is None else self.basis.shape[2])

    def apply(self, features: np.ndarray, present: np.ndarray) -> Tensor:
        """Normalised features, shape (F, N, K); a missing one is 0, the mean of the train rows.

        Args:
            features: Raw features, shape (N, D).
            present: Which are there, shape (N,).
        """
        raw = torch.from_numpy(np.where(present[:, None], features, 0.0).astype(np.float32))
        out = (raw - self.mean[:, None]) / self.std[:, None]
        if self.basis is not None:
            out = out @ self.basis
        return out * torch.from_numpy(present.astype(np.float32))[None, :, None]

    def adapted(self, features: np.ndarray, present: np.ndarray) -> Normaliser:
        """The same projection after standardisation by these features, of another corpus, instead.

        Args:
            features: Raw features, shape (N, D).
            present: Which are there, shape (N,).
        """
        mean, std = _moments(features[present].astype(np.float64))
        folds = len(self.mean)
        return Normaliser(_tensor(np.tile(mean, (folds, 1))), _tensor(np.tile(std, (folds, 1))), self.basis)

    def of(self, fold: int) -> Normaliser:
        """That of one fold alone."""
        one = slice(fold, fold + 1)
        return Normaliser(self.mean[one], self.std[one], None if self.basis is None else self.basis[one])

    def state(self, prefix: str) -> Tensors:
        """Its tensors by prefixed name."""
        parts = {"mean": self.mean, "std": self.std, "basis": self.basis}
        return {prefix + name: tensor for name, tensor in parts.items() if tensor is not None}

    @classmethod
    def load(cls, tensors: Mapping[str, Tensor], prefix: str) -> Normaliser:
        """The inverse of `state`."""
        return cls(tensors[prefix + "mean"], tensors[prefix + "std"], tensors.get(prefix + "basis"))


def _moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each column; 1 for the latter where a column does not vary."""
    mean, std = x.mean(axis=0), x.std(axis=0)
    std[std < 1e-6 * np.maximum(np.abs(mean), 1.0)] = 1.0
    return mean, std


def _basis(standardised: np.ndarray, dim: int) -> np.ndarray:
    dim = min(dim, *standardised.shape)
    from sklearn.decomposition import PCA  # takes a second, for what few studies ask

    pca = PCA(dim, random_state=0).fit(standardised)
    return np.asarray(pca.components_.T / np.sqrt(pca.explained_variance_.mean()))


def _tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(array.astype(np.float32))


def class_weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """Weights inversely proportional to class counts, mean 1 over the utterances; a class not seen weighs 1.

    Source: Ahn et al. 2025, section 4.2.3.

    Args:
        labels: Class indices, shape (N,).
        classes: How many classes there are.

    Returns:
        Shape (classes,), float32.
    """
    counts = np.bincount(labels, minlength=classes)
    weights = len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return np.where(counts > 0, weights, 1.0).astype(np.float32)
