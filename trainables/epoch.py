"""What a stage yields: one `Epoch` after each pass over the training rows of every fold and seed.

A stage is a generator. It trains all rows (folds x seeds, fold-major: row = fold * len(seeds) + seed) in
lockstep and yields after each epoch; the caller reports, saves, or simply drops the generator to stop.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    import torch

#: Named tensors; what a stage hands on (its artifact) and what it resumes from (its state).
Tensors = dict[str, "torch.Tensor"]
#: (split, condition) -> confusion counts, shape (rows, classes, classes), truth along axis 1.
Confusions = dict[tuple[str, str], "np.ndarray"]
#: Condition -> confusion counts on test by speaker, shape (K, classes, classes): `Task.tested` names the K.
BySpeaker = dict[str, "np.ndarray"]


@dataclass(frozen=True, kw_only=True)
class Diagnostic:
    """One measured property of a trained row, such as the recall of generated `angry` features."""

    row: int
    measure: str
    value: float
    label: str = ""


@dataclass(frozen=True, kw_only=True)
class Embedding:
    """Feature vectors of one row kept for a figure.

    Attributes:
        row: Index of the fold-seed row they come from.
        kind: What they are, such as ``real`` or ``generated``.
        labels: Class index of each vector, shape (n,).
        vectors: The features, shape (n, d).
    """

    row: int
    kind: str
    labels: np.ndarray
    vectors: np.ndarray


class Flag(NamedTuple):
    """A warning about one trained row that keeps its arm from winning unseen, such as ``generator collapsed``."""

    row: int
    text: str


def flagged(text: str, rows: torch.Tensor) -> tuple[Flag, ...]:
    """That warning for the rows with a True, shape (R,)."""
    return tuple(Flag(row, text) for row, holds in enumerate(rows.tolist()) if holds)


@dataclass(frozen=True)
class Report:
    """What was measured on a finished stage; the fields are those of `Epoch`."""

    diagnostics: tuple[Diagnostic, ...] = ()
    embeddings: tuple[Embedding, ...] = ()
    flags: tuple[Flag, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """The state of a stage after one epoch.

    Attributes:
        stage: Name of the stage.
        index: Which epoch of the stage this is, from 1.
        total: How many epochs the stage will run.
        confusions: Confusion counts by (split, condition); empty where the stage classifies nothing
            (a generator's epochs), and then the epoch takes no part in selection or early stopping.
        speakers: The test counts of `confusions` by speaker; empty where a stage does not tell them apart.
        terms: Every loss term by its name, mean over the epoch, shape (rows,).
        snapshot: Copies all that is needed to go on from here, so that equal numbers follow as without the
            interruption; to be called before the generator is advanced.
        artifact: On the last epoch, what the stage hands on.
        diagnostics: On the last epoch, what was measured on the finished stage.
        embeddings: On the last epoch, vectors kept for a figure.
        flags: On the last epoch, warnings about rows.
    """

    stage: str
    index: int
    total: int
    confusions: Confusions = field(default_factory=dict)
    speakers: BySpeaker = field(default_factory=dict)
    terms: dict[str, np.ndarray] = field(default_factory=dict)
    snapshot: Callable[[], Tensors] = dict
    artifact: Tensors | None = None
    diagnostics: tuple[Diagnostic, ...] = ()
    embeddings: tuple[Embedding, ...] = ()
    flags: tuple[Flag, ...] = ()

    @property
    def state(self) -> Tensors:
        """What `snapshot` gives: copied when asked, because most epochs are never saved."""
        return self.snapshot()

    @property
    def last(self) -> bool:
        """Whether the stage is finished."""
        return self.index >= self.total
