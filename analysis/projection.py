"""Real and generated features in the plane, by t-SNE, as in fig. 2 of Ahn et al. 2025."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from analysis.run import Run

#: Vectors drawn of each kind.
MOST = 600
#: With fewer of either kind there is no picture.
FEWEST = 5


class Projection(NamedTuple):
    """Vectors of one fold and seed of an arm in the plane; both kinds were projected together.

    Attributes:
        arm: The arm.
        fold: The fold.
        seed: The seed.
        points: Shape (N, 2), without unit.
        kinds: ``real`` or ``generated``, shape (N,).
        labels: Class names, shape (N,).
    """

    arm: str
    fold: str
    seed: int
    points: np.ndarray
    kinds: np.ndarray
    labels: np.ndarray


def project(run: Run, arm: str, rng: np.random.Generator) -> Projection | None:
    """Project the stored vectors of the first fold and seed of an arm.

    Args:
        run: The run.
        arm: An arm.
        rng: Draws the vectors that are shown and seeds the projection.

    Returns:
        None when the run kept under `FEWEST` finite vectors of either kind.
    """
    rows = run.embeddings[run.embeddings["arm"] == arm]
    if rows.empty:
        return None
    fold, seed = rows["fold"].iloc[0], rows["seed"].iloc[0]
    rows = rows[(rows["fold"] == fold) & (rows["seed"] == seed)]
    rows = pd.concat([_draw(rows[rows["kind"] == kind], rng) for kind in ("real", "generated")])
    if rows.empty:
        return None
    vectors = np.stack(list(rows["vector"])).astype(np.float32)
    finite = np.isfinite(vectors).all(axis=1)
    kinds, labels = (rows[name].to_numpy(str)[finite] for name in ("kind", "label"))
    if min((kinds == "real").sum(), (kinds == "generated").sum()) < FEWEST:
        return None
    points = _plane(vectors[finite], int(rng.integers(2**31)))
    return Projection(arm, str(fold), int(seed), points, kinds, labels)


def _draw(rows: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    if len(rows) <= MOST:
        return rows
    return rows.iloc[np.sort(rng.choice(len(rows), MOST, replace=False))]


def _plane(vectors: np.ndarray, seed: int) -> np.ndarray:
    """t-SNE with perplexity 30, or a third of the vectors where there are few."""
    perplexity = min(30.0, (len(vectors) - 1) / 3)
    projector = TSNE(n_components=2, perplexity=perplexity, init="pca", random_state=seed)
    # One thread adds up in one order: the same figure each time, and no fight over a busy machine's cores.
    with threadpool_limits(limits=1):
        return projector.fit_transform(vectors)
