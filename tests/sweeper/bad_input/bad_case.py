"""What a case of bad input is, and the folder it spoils."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import made_corpus

STUDY = """\
name: small
corpus: toy
method: mi_infogan
protocol: {kind: leave-one-session-out}
seeds: [0, 1]
config:
  align: {epochs: 4}
search:
  space: loss_weights
  trials: 10
ablation: {rows: all}
sensitivity: {parameters: [align.alpha, generate.lambda_y]}
storage: runs
"""
RUN = ("run", "study.yaml", "--no-report")

#: Changes the files of a folder that is sound before.
Spoil = Callable[[Path], object]


@dataclass(frozen=True)
class Case:
    """One bad input.

    Attributes:
        name: What is bad.
        spoil: Makes it so, in a folder that holds ``study.yaml``, a corpus ``toy`` and what is in ``parts``.
        says: Words that must be in the answer: the place, what was expected, the remedy.
        command: Arguments of `sweeper`, run in that folder.
        parts: What else the folder holds, sound until it is spoiled: ``best.yaml``, ``model``, ``whole`` (a finished
            run) or ``cut`` (one that was broken off).
    """

    name: str
    spoil: Spoil
    says: tuple[str, ...]
    command: tuple[str, ...] = RUN
    parts: tuple[str, ...] = ()


def nothing(folder: Path) -> None:
    """Leave the folder sound: the command itself is bad."""


def write(name: str, content: str | bytes) -> Spoil:
    """Put a file in place of the one there is."""
    data = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / name).write_bytes(data)


def replaced(name: str, old: str, new: str) -> Spoil:
    """Replace a piece of a text file, which must be in it."""

    def spoil(folder: Path) -> None:
        text = (folder / name).read_text(encoding="utf-8")
        assert old in text
        (folder / name).write_text(text.replace(old, new), encoding="utf-8")

    return spoil


def cut_off(name: str, keep: float = 0.5) -> Spoil:
    """Keep the first share of a file."""

    def spoil(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(len(content) * keep)])

    return spoil


def removed(name: str) -> Spoil:
    """Take a file away."""
    return lambda folder: (folder / name).unlink()


def sound(folder: Path) -> None:
    """A study and its corpus, in the working folder."""
    (folder / "study.yaml").write_text(STUDY, encoding="utf-8")
    made_corpus.make(folder / "toy")
