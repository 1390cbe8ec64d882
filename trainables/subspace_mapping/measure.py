"""What the trained subspaces look like: spread, distance, overlap; and vectors for fig. 4.

Measured on each row's labeled train utterances, as flags must not come from test; the vectors of the figure are test
utterances of row 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import torch
from torch import Tensor

from trainables.epoch import Diagnostic, Embedding, Flag, Report, Tensors
from trainables.losses import cmd
from trainables.stacking import Stack
from trainables.subspace_mapping.config import Fuse
from trainables.subspace_mapping.dialogues import Lanes
from trainables.subspace_mapping.model import mapped
from trainables.subspace_mapping.objective import overlaps
from trainables.subspace_mapping.reading import Reader, Utterances, represent

#: Representations lie in [-1, 1]; below this standard deviation over utterances they are as good as constant.
SHRUNK_BELOW = 0.02
#: Vectors of each kind kept for a figure.
KEPT = 500
#: Name -> (title, meaning), for the report.
MEASURES = {
    "spread": (
        "Spread of representations",
        "standard deviation over utterances, root mean square over dimensions, of values in [-1, 1]; near 0 the "
        "encoder has shrunk to a constant, which satisfies eq. 5 and eq. 6 without learning anything",
    ),
    "public_distance": (
        "Distance of public representations",
        "central moment discrepancy (eq. 5) between modalities; 0 if they are distributed alike, and above 1 if not "
        "even their means agree",
    ),
    "overlap": (
        "Overlap of representations",
        "eq. 6 on unit vectors, mean over utterances: 0 if orthogonal, 1 if all lie on one common axis a side",
    ),
}


def measure(config: Fuse, reader: Reader, stack: Stack, test: Lanes) -> Report:
    """Measure every row's subspaces; nothing where there are none.

    Args:
        config: The stage's settings.
        reader: The task's dialogues.
        stack: The networks at each row's dev-chosen epoch.
        test: Dialogues of the test parts.
    """
    modalities = reader.prepared.modalities
    if not mapped(config, len(modalities)):
        return Report()
    kinds = tuple(f"{kind} {name}" for kind in ("public", "unique") for name in modalities)
    utterances = Utterances.of(reader.prepared)
    found = represent(stack, utterances, reader.lanes(reader.train), kinds)
    diagnostics = tuple(
        each
        for row, part in enumerate(reader.labeled)
        for each in _of_row(config, reader, row, {kind: values[row] for kind, values in found.items()}, part)
    )
    shrunk = sorted({each.row for each in diagnostics if each.measure == "spread" and each.value < SHRUNK_BELOW})
    flags = tuple(Flag(row, "representations shrank to a constant") for row in shrunk)
    return Report(diagnostics, _embeddings(reader, stack, utterances, test, kinds), flags)


def _of_row(config: Fuse, reader: Reader, row: int, found: Tensors, part: Tensor) -> Iterator[Diagnostic]:
    there = {name: part & mask for name, mask in reader.prepared.present.items()}
    for kind, values in found.items():
        yield Diagnostic(row=row, measure="spread", label=kind, value=_spread(values[there[kind.split()[1]]]))
    for a, b in combinations(there, 2):
        apart = cmd(found[f"public {a}"], found[f"public {b}"], order=config.cmd_order, present=(there[a], there[b]))
        yield Diagnostic(row=row, measure="public_distance", label=f"{a}, {b}", value=float(apart))
    for pair, value in overlaps(found, there).items():
        yield Diagnostic(row=row, measure="overlap", label=pair, value=float(value))


def _spread(values: Tensor) -> float:
    return float(values.std(0, correction=0).square().mean().sqrt()) if len(values) else 0.0


def _embeddings(
    reader: Reader, stack: Stack, utterances: Utterances, test: Lanes, kinds: tuple[str, ...]
) -> tuple[Embedding, ...]:
    """Public and unique representations of row 0's test utterances that have all modalities, as in fig. 4."""
    prepared = reader.prepared
    every = torch.stack(list(prepared.present.values())).all(0).cpu()
    part = torch.from_numpy(prepared.task.folds[0].test.copy())
    part = part[every[part]]
    if not len(part):
        return ()
    index = part[torch.linspace(0, len(part) - 1, min(KEPT, len(part))).long()]
    first = torch.arange(prepared.rows) == 0
    found = represent(stack, utterances, test, kinds, first.numpy())
    labels = prepared.labels[index.to(prepared.device)].cpu().numpy()
    return tuple(
        Embedding(row=0, kind=kind, labels=labels, vectors=found[kind][0, index].cpu().numpy()) for kind in kinds
    )
