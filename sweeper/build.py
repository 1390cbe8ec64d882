"""``sweeper data build``: options from the command line, a bar while recordings are looked at, and what was built."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from sweeper import yamlfile
from trainables.corpora import build, kinds, store
from trainables.corpora.audio import Watch
from trainables.corpora.build import Built
from trainables.corpora.compare import Comparison
from trainables.errors import InputError

#: Recordings that were left out are named up to here; the corpus's file knows them all.
_NAMED = 20


def run(
    kind: str, source: Path, out: Path, assignments: Sequence[str], *, skip_broken: bool, force: bool, console: Console
) -> Built:
    """Build a corpus, with a bar on the console.

    Args:
        kind: A reader.
        source: The folder to read.
        out: The folder to write.
        assignments: Options as ``key=value``, values in YAML.
        skip_broken: Leave out what cannot be read.
        force: Replace an earlier build.
        console: Where the bar goes.

    Raises:
        InputError: As `trainables.corpora.build.build` does.
    """
    chosen = options(assignments)
    with _bar(console) as watch:
        return build.build(kind, source, out, options=chosen, skip_broken=skip_broken, force=force, watch=watch)


def options(assignments: Sequence[str]) -> dict[str, Any]:
    """Options by name.

    Raises:
        InputError: If one has no ``=``, or its value is no YAML.
    """
    found = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key.strip():
            raise InputError(f"--set {assignment}: must have the form key=value, such as --set shortest=1")
        found[key.strip()] = yamlfile.parse(text, f"--set {assignment}")
    return found


@contextmanager
def _bar(console: Console) -> Iterator[Watch]:
    columns = (TextColumn("recordings"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bars = Progress(*columns, console=console, disable=not console.is_terminal)
    task = bars.add_task("recordings", total=None)

    def watch(done: int, of: int) -> None:
        bars.start()  # not before: what is refused prints its one line and nothing else
        bars.update(task, completed=done, total=of)

    try:
        yield watch
    finally:
        bars.stop()


def kinds_table() -> RenderableType:
    """Every reader, and what it reads."""
    table = Table("kind", "corpus", "the folder holds", box=None, pad_edge=False)
    for name in kinds.KINDS:
        reader = kinds.get(name)
        table.add_row(name, f"{reader.title}\n{reader.citation}".strip(), reader.layout)
    return Group(table, "", "`sweeper data kinds KIND` lists the options of one.")


def kind_page(kind: str) -> RenderableType:
    """One reader: what it reads, decides and can be told.

    Raises:
        InputError: If there is none of that name.
    """
    reader = kinds.get(kind)
    table = Table("option", "default", "meaning", box=None, pad_edge=False)
    for name, field in reader.options.model_fields.items():
        default = yamlfile.dump({name: field.default}).strip().removeprefix(f"{name}:").strip()
        table.add_row(name, default, " ".join((field.description or "").split()))
    about = (reader.read.__doc__ or "").split("\n\n")[0]
    head = Text.assemble((reader.title, "bold"), f": {reader.layout}")
    return Group(head, " ".join(about.split()), "", table)


def summary(built: Built) -> RenderableType:
    """What was built, beside what papers print, and what was left out."""
    parts: list[RenderableType] = [Text.assemble((built.reader.title, "bold"), f": {_head(built)}")]
    if not built.comparisons:
        parts += ["", _classes(built)]
    for each in built.comparisons:
        parts += ["", _compared(each)]
    notes = [*built.notes, *_left_out(built.broken)]
    if notes:
        parts += ["", *(Text(f"note: {note}") for note in notes)]
    return Group(*parts, "", f"corpus: {built.folder}")


def _head(built: Built) -> str:
    table = built.utterances
    seconds: list[float] = table["duration"].dropna().tolist() if "duration" in table else []
    return (
        f"{len(table):,} utterances of {table['speaker'].nunique():,} speakers, {int(table['label'].notna().sum()):,} "
        f"labeled, {len(seconds):,} with a recording ({sum(seconds) / 3600:.2f} h)"
    )


def _classes(built: Built) -> Table:
    table = Table("class", "utterances", box=None, pad_edge=False)
    for name, number in built.utterances["label"].value_counts(dropna=False).sort_index().items():
        table.add_row(str(name) if isinstance(name, str) else "(none)", f"{number:,}")
    return table


def _compared(comparison: Comparison) -> RenderableType:
    published = comparison.published
    names = list(comparison.found)
    table = Table("", *names, "all", box=None, pad_edge=False)
    here, there = list(comparison.found.values()), [published.counts.get(name, 0) for name in names]
    here, there = [*here, sum(here)], [*there, sum(there)]
    table.add_row("here", *(f"{each:,}" for each in here))
    table.add_row("published", *(f"{each:,}" for each in there))
    title = Text.assemble((published.title, "bold"), f" ({published.source})")
    if comparison.equal:
        return Group(title, table, "equal to the published counts")
    table.add_row(
        "difference", *(f"{one - other:+,}" if one != other else "" for one, other in zip(here, there, strict=True))
    )
    return Group(title, table, *(Text(f"differs: {reason}", style="yellow") for reason in comparison.reasons))


def _left_out(broken: Sequence[str]) -> list[str]:
    lines = [f"left out: {line}" for line in broken[:_NAMED]]
    if len(broken) > _NAMED:
        lines.append(f"left out: {len(broken) - _NAMED:,} more, named in the metadata of {store.FILE}")
    return lines
