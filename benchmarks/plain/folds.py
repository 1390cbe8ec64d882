"""The corpus as the plain scripts hold it: standardised and reduced once a fold, to be shared by all arms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from sklearn.decomposition import PCA

from plain.mi_infogan import Part
from trainables.corpus import Corpus
from trainables.folds import Fold


@dataclass(frozen=True)
class Arrays:
    """`plain.mi_infogan.Part` as arrays, which Ray shares between processes without a copy."""

    name: str
    x: np.ndarray
    t: np.ndarray
    has_text: np.ndarray
    y: np.ndarray
    train: np.ndarray
    dev: np.ndarray
    test: np.ndarray
    classes: int
    longest: int

    def part(self, device: str | torch.device = "cpu") -> Part:
        """As tensors on a device."""
        fields = asdict(self)
        tensors = {name: torch.from_numpy(np.array(fields[name])).to(device) for name in ("x", "t", "has_text", "y")}
        return Part(**fields | tensors)


def prepare(corpus: Corpus, folds: Sequence[Fold], feature_dim: int | None) -> list[Arrays]:
    """One `Arrays` a fold; scalers and PCA are fitted on its train utterances alone."""
    train = [fold.train[corpus.present["audio"][fold.train]] for fold in folds]
    none = np.zeros(len(corpus.labels), dtype=bool)
    has_text = corpus.present.get("text", none)
    return [
        Arrays(
            name=fold.name,
            x=_scaled(corpus.features["audio"], corpus.present["audio"], fold.train, None),
            t=_scaled(corpus.features.get("text", np.zeros((len(none), 0))), has_text, fold.train, feature_dim),
            has_text=has_text.astype(np.float32),
            y=corpus.labels,
            train=rows,
            dev=fold.dev,
            test=fold.test,
            classes=len(corpus.classes),
            longest=max(map(len, train)),
        )
        for fold, rows in zip(folds, train, strict=True)
    ]


def _scaled(features: np.ndarray, present: np.ndarray, train: np.ndarray, dim: int | None) -> np.ndarray:
    """Standardised features, reduced to ``dim`` with a mean square of 1; 0 where there is none."""
    out = np.zeros((len(features), min(dim or features.shape[1], features.shape[1])), dtype=np.float32)
    fitted = train[present[train]]
    if not len(fitted) or not features.shape[1]:
        return out
    known = features[fitted].astype(np.float64)
    mean, std = known.mean(0), known.std(0)
    # scikit-learn's StandardScaler would blow the rounding error of a constant column up to unit variance.
    std[std < 1e-6 * np.maximum(np.abs(mean), 1.0)] = 1.0
    scaled = (features[present] - mean) / std
    if dim is not None and dim < features.shape[1]:
        pca = PCA(dim, random_state=0).fit((known - mean) / std)
        scaled = pca.transform(scaled) / np.sqrt(pca.explained_variance_.mean())
    out[present] = scaled
    return out


def feature_dim(arms: Sequence[Mapping[str, Any]]) -> int | None:
    """The size of text that all arms ask for.

    Raises:
        ValueError: If they ask for different ones: then PCA is not shared, and this bench does not fit.
    """
    asked = {arm["config"]["align"]["feature_dim"] for arm in arms}
    if len(asked) > 1:
        raise ValueError(f"align.feature_dim: arms ask for {sorted(map(str, asked))}; the plain form shares one PCA")
    return asked.pop() if asked else None
