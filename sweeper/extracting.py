"""What `sweeper data features` asks for: one or more columns of a corpus, with a bar while they are made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bars

from sweeper import extracted, features, given
from trainables.errors import InputError
from trainables.extraction import Request


def run(
    corpus: Path,
    *,
    audio: str | None = None,
    text: str | None = None,
    video: Path | None = None,
    augment: Sequence[str] = (),
    column: str = "",
    layer: int | None = None,
    pooling: str | None = None,
    sequence: bool = False,
    longest: float | None = None,
    window: float | None = None,
    dtype: str = "float32",
    batch_seconds: float = 60.0,
    actors: int | None = None,
    gpus: float | None = None,
    skip_broken: bool = False,
    address: str | None = None,
    console: Console,
) -> Iterator[str]:
    """Write the columns one after the other; see `sweeper.features.extract` and `sweeper.given.write`.

    Args:
        augment: Augmentations; each gives a column of copies, and the recordings as they are give none then.
        console: Where the bar is shown.

    Yields:
        Lines that say what was done.

    Raises:
        InputError: As those two do, and for options that do not go together.
    """
    _check(audio, text, video, column, layer, pooling)
    if augment and audio is None:
        raise InputError("--augment: changes recordings; name the encoder of the copies with --audio")
    asked = []
    if audio is not None:
        plain = Request(encoder=audio, modality="audio", column=column, longest=longest, window=window)
        asked += [replace(plain, augment=each) for each in augment] or [plain]
    if text is not None:
        asked.append(Request(encoder=text, modality="text", column=column))
    settings = {"layer": layer, "pooling": pooling, "sequence": sequence, "dtype": dtype}
    with features.needed(address) as cluster:
        for request in asked:
            with _bar(console, request.encoder) as watch:
                outcome = features.extract(
                    corpus,
                    replace(request, **settings),  # type: ignore[arg-type]
                    batch_seconds=batch_seconds,
                    actors=actors,
                    gpus=gpus,
                    cluster=cluster,
                    skip_broken=skip_broken,
                    watch=watch,
                )
            yield from extracted.closing(outcome)
    if video is not None:
        yield from extracted.closing(given.write(corpus, video, column))


def _check(
    audio: str | None, text: str | None, video: Path | None, column: str, layer: int | None, pooling: str | None
) -> None:
    named = [name for name, each in (("--audio", audio), ("--text", text), ("--video", video)) if each is not None]
    if not named:
        raise InputError("no encoder: give --audio ENCODER, --text ENCODER or --video FILE")
    both = next((name for name, each in (("--column", column), ("--layer", layer), ("--pooling", pooling)) if each), "")
    if both and len(named) > 1:
        raise InputError(f"{both}: which of {' and '.join(named)} is meant? give them one at a time")


@contextmanager
def _bar(console: Console, what: str) -> Iterator[Callable[[extracted.Progress], None]]:
    """Show utterances done, how fast, and the time left."""
    told = TextColumn("{task.fields[told]}")
    bars = Bars(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), told, console=console)
    task = bars.add_task(Path(what).name, total=None, told="")

    def watch(progress: extracted.Progress) -> None:
        bars.start()  # not before: what is refused prints its one line and nothing else
        bars.update(task, completed=progress.done, total=progress.total, told=words(progress))

    try:
        yield watch
    finally:
        bars.stop()


def words(progress: extracted.Progress) -> str:
    """How fast it goes and how long it still takes."""
    if not progress.wall:
        return ""
    times = progress.seconds / progress.wall
    minutes, seconds = divmod(round(progress.left), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{times:.1f} s of speech a second, {hours}:{minutes:02}:{seconds:02} left"
