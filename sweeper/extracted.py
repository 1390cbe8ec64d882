"""What an extraction of features tells: its progress, its outcome, and that in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trainables.errors import InputError

#: So many broken utterances are named; the file's metadata has all.
NAMED = 3


@dataclass(frozen=True)
class Outcome:
    """What an extraction did.

    Attributes:
        column: The feature column.
        path: Its file.
        size: Values of a vector; 0 where nothing was done.
        utterances: Utterances encoded by this call.
        kept: Utterances that an earlier, interrupted call had encoded.
        missing: Utterances without a recording or transcript.
        skipped: Broken utterances and why, by id.
        seconds: Of speech encoded by this call; of transcripts an estimate.
        wall: Seconds it took, from the first piece of work to the last.
        start: Seconds until the encoder was loaded.
        actors: Processes that encoded.
        notes: What a reader of the result should know.
        unchanged: Whether the same request had been done before, so that nothing was.
    """

    column: str
    path: Path
    size: int = 0
    utterances: int = 0
    kept: int = 0
    missing: int = 0
    skipped: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    wall: float = 0.0
    start: float = 0.0
    actors: int = 0
    notes: tuple[str, ...] = ()
    unchanged: bool = False


@dataclass(frozen=True)
class Progress:
    """How far an extraction is.

    Attributes:
        done: Utterances done, earlier calls counted.
        total: Utterances in all.
        seconds: Of speech encoded by this call.
        wall: Seconds it has taken so far.
        left: Estimate of the seconds still to come.
    """

    done: int
    total: int
    seconds: float
    wall: float
    left: float


def check_column(columns: Mapping[str, str], column: str, file: str) -> None:
    """Refuse a column that another file of the corpus has.

    Args:
        columns: Columns of the corpus, and the file that has each.
        column: To be written.
        file: Where to.
    """
    holder = columns.get(column, file)
    if holder != file:
        raise InputError(f"--column: {holder} has a column {column} already; choose another name")


def closing(outcome: Outcome) -> Iterator[str]:
    """What is said at the end, line by line."""
    if outcome.unchanged:
        yield f"{outcome.path}: is there already, made of the same by the same settings; nothing to do"
        return
    yield f"{outcome.path}: {outcome.column}, {outcome.size} values, {_counts(outcome)}"
    if outcome.actors and outcome.utterances:
        yield _speed(outcome)
    for name, why in list(outcome.skipped.items())[:NAMED]:
        yield f"skipped {name}: {why}"
    if len(outcome.skipped) > NAMED:
        yield f"skipped {len(outcome.skipped) - NAMED} more; the file's metadata names them"
    for note in outcome.notes:
        yield f"note: {note}"


def _speed(outcome: Outcome) -> str:
    rate, wall = outcome.utterances / outcome.wall, f"{outcome.wall:.1f} s"
    end = f"{rate:.1f} utterances/s (start {outcome.start:.1f} s, {_many(outcome.actors, 'actor')})"
    if outcome.column.startswith("text_"):
        return f"{outcome.utterances} transcripts in {wall}: {end}"
    factor = outcome.wall / max(outcome.seconds, 1e-9)
    return f"{outcome.seconds:.1f} s of speech in {wall}: real-time factor {factor:.4f}, {end}"


def _many(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def _counts(outcome: Outcome) -> str:
    parts = [f"{outcome.utterances + outcome.kept} utterances"]
    parts += [f"{outcome.kept} of them kept from before"] if outcome.kept else []
    parts += [f"{outcome.missing} without a source (null)"] if outcome.missing else []
    parts += [f"{len(outcome.skipped)} broken (null)"] if outcome.skipped else []
    return ", ".join(parts)
