"""Kept feature vectors in the plane, by t-SNE, as in fig. 2 of Ahn et al. 2025 and fig. 4 of Du et al. 2024."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from analysis.run import Run

#: Vectors drawn of each kind.
MOST = 600
#: Iterations of t-SNE, those of scikit-learn.
STEPS = 1000
#: A kind with fewer is left out, and a figure of one kind is no picture.
FEWEST = 5


class Projection(NamedTuple):
    """Vectors of one fold and seed of an arm in the plane; all kinds of a figure were projected together.

    Attributes:
        arm: The arm.
        figure: What the kinds of one figure have in common, such as ``audio``; empty for a method's only figure.
        fold: The fold.
        seed: The seed.
        points: Shape (N, 2), without unit.
        kinds: What each vector is, such as ``real``, shape (N,).
        labels: Class names, shape (N,); empty where a vector has none.
    """

    arm: str
    figure: str
    fold: str
    seed: int
    points: np.ndarray
    kinds: np.ndarray
    labels: np.ndarray

    @property
    def order(self) -> list[str]:
        """The kinds in the order in which they were kept."""
        return list(dict.fromkeys(self.kinds.tolist()))


def project(run: Run, arm: str, rng: np.random.Generator) -> list[Projection]:
    """Project the stored vectors of the first fold and seed of an arm, one projection a figure.

    Args:
        run: The run.
        arm: An arm.
        rng: Draws the vectors that are shown and seeds the projection.

    Returns:
        A projection for each figure of which at least two kinds have `FEWEST` finite vectors of one size.
    """
    rows = run.embeddings[run.embeddings["arm"] == arm]
    if rows.empty:
        return []
    fold, seed = rows["fold"].iloc[0], rows["seed"].iloc[0]
    rows = rows[(rows["fold"] == fold) & (rows["seed"] == seed)]
    named = rows["kind"].astype(str).str.rpartition(": ")
    rows = rows.assign(figure=named[0], kind=named[2], label=rows["label"].fillna(""))
    found = (_project(mine, arm, str(figure), rng) for figure, mine in rows.groupby("figure", sort=False))
    return [one for one in found if one]


def _project(rows: pd.DataFrame, arm: str, figure: str, rng: np.random.Generator) -> Projection | None:
    rows = pd.concat([_draw(mine, rng) for _, mine in rows.groupby("kind", sort=False)])
    rows = rows[[bool(np.isfinite(vector).all()) for vector in rows["vector"]]]
    rows = rows[rows.groupby("kind")["kind"].transform("size") >= FEWEST]
    if rows["kind"].nunique() < 2 or len({len(vector) for vector in rows["vector"]}) > 1:
        return None
    vectors = np.stack(list(rows["vector"])).astype(np.float32)
    points = _plane(vectors, int(rng.integers(2**31)))
    kinds, labels = (rows[name].to_numpy(str) for name in ("kind", "label"))
    return Projection(arm, figure, str(rows["fold"].iloc[0]), int(rows["seed"].iloc[0]), points, kinds, labels)


def _draw(rows: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    if len(rows) <= MOST:
        return rows
    return rows.iloc[np.sort(rng.choice(len(rows), MOST, replace=False))]


def _plane(vectors: np.ndarray, seed: int) -> np.ndarray:
    """t-SNE with perplexity 30, or a third of the vectors where there are few."""
    perplexity = min(30.0, (len(vectors) - 1) / 3)
    projector = TSNE(n_components=2, perplexity=perplexity, init="pca", max_iter=STEPS, random_state=seed)
    # One thread adds up in one order: the same figure each time, and no fight over a busy machine's cores.
    with threadpool_limits(limits=1):
        return projector.fit_transform(vectors)
