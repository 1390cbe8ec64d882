"""Feature extraction over a Ray cluster: batches of utterances go to a pool of actors, parts come back to the driver.

An actor has one piece of work at a time and reads the files of the next batches while it encodes, so neither the driver
nor the object store fills up, whatever the corpus. An actor that dies is started again, and its work with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import ray
from ray.util import ActorPool

from sweeper import connect, failure
from sweeper.extracted import Outcome, Progress, check_column
from sweeper.side_file import SideFile
from trainables.errors import InputError
from trainables.extraction import Item, Request, Work, batches, checked, identity, load, vectors, work
from trainables.extraction.encode import Extractor, Made
from trainables.extraction.request import padded_to

#: Batches are put together up to so many pieces of work, so that a large corpus has no more parts than that.
PIECES = 1000
#: How often an actor that died is started again, and its work.
RESTARTS = 2


#: Number of its first batch, and batches: what an actor is given at a time.
Piece = tuple[int, tuple[tuple[Item, ...], ...]]


@contextmanager
def needed(address: str | None) -> Iterator[Callable[[], object]]:
    """A Ray cluster for the time of the block, reached or started by the first call of what it gives."""
    with ExitStack() as stack:
        yield cache(lambda: stack.enter_context(connect.cluster(address)))


def extract(
    corpus: str | Path,
    request: Request,
    *,
    batch_seconds: float = 60.0,
    actors: int | None = None,
    gpus: float | None = None,
    cluster: Callable[[], object] | None = None,
    skip_broken: bool = False,
    watch: Callable[[Progress], None] | None = None,
) -> Outcome:
    """Write a feature column of a corpus, as a side file beside its main files.

    The same request again does nothing; an interrupted one goes on where it was.

    Args:
        corpus: The corpus folder; all nodes of a cluster must see the recordings at the same place.
        request: What is wanted.
        batch_seconds: Seconds of a batch at most, padding counted.
        actors: Processes; by default one a GPU, or one a CPU.
        gpus: GPUs a process, a share below 1 allowed; by default 1 where there are any and the encoder is a network.
        cluster: What `needed` gives, where several columns are written; a local Ray for this one if None.
        skip_broken: Leave out utterances whose recording cannot be read or encoded; otherwise the first one ends it.
        watch: Is told of progress.

    Raises:
        InputError: In one line, for whatever cannot be used.
    """
    if not batch_seconds >= 1:
        raise InputError(f"--batch-seconds: must be at least 1, found {batch_seconds:g}")
    request, folder = checked(request), Path(corpus)
    found = work(folder, request)
    sequence, fingerprint = request.sequence, identity(request, found.sources)
    side = SideFile(folder, request.column, sequence=sequence, fingerprint=fingerprint)
    check_column(found.columns, request.column, side.path.name)
    if side.is_done():
        return Outcome(request.column, side.path, unchanged=True)
    with side.writing():
        done = side.done()
        tally = _Tally(side, found, len(done), skip_broken, watch or _unwatched)
        pieces = _pieces(request, found, done, batch_seconds)
        if pieces:
            with needed(None) as local:
                (cluster or local)()
                _run(pieces, _start(request, batch_seconds, actors, gpus, len(pieces)), tally)
        about = {"request": asdict(request), "versions": _versions(request)}
        size = side.finish(found.missing, tally.skipped, about)
    return tally.outcome(request.column, size, _notes(request, found))


def _unwatched(progress: Progress) -> None:
    pass


def _pieces(request: Request, found: Work, done: set[str], batch_seconds: float) -> list[Piece]:
    """What is left to do. Batches are those of the whole corpus, so that a resumed call gives the same numbers."""
    whole = batches(found.items, batch_seconds, padded_to(request))
    left = [(number, tuple(item for item in batch if item.name not in done)) for number, batch in enumerate(whole)]
    left = [(number, batch) for number, batch in left if batch]
    each = 1 + len(whole) // PIECES
    groups = [left[first : first + each] for first in range(0, len(left), each)]
    return [(group[0][0], tuple(batch for _, batch in group)) for group in groups]


@ray.remote(max_restarts=RESTARTS, max_task_retries=RESTARTS)
class _Encoder:
    """One process that encodes."""

    def __init__(self, request: Request, limit: float) -> None:
        self._request, self._limit = request, limit
        self._loaded: Extractor | None = None

    def _extractor(self) -> Extractor:
        # Not in __init__, whose errors Ray tells as the death of the actor.
        if self._loaded is None:
            self._loaded = load(self._request, "cuda" if ray.get_gpu_ids() else "cpu", self._limit)
        return self._loaded

    def ready(self) -> int:
        """Load the encoder; gives the values of a vector."""
        return self._extractor().size

    def encode(self, piece: Piece) -> tuple[int, list[Made]]:
        """Encode a piece; gives its number back."""
        number, these = piece
        return number, list(vectors(self._extractor(), self._request, these))


def _start(request: Request, limit: float, actors: int | None, gpus: float | None, pieces: int) -> list[Any]:
    """Actors with the encoder loaded."""
    there = connect.capacity()
    share = gpus if gpus is not None else float(request.pretrained and there["GPU"] > 0)
    if not share >= 0 or (share > 1 and share % 1):
        raise InputError(f"--gpus: must be 0, a share such as 0.5, or a whole number, found {share:g}")
    most = int(there["GPU"] / share) if share > 0 else int(there["CPU"])
    if most < 1:
        raise InputError(f"--gpus: {share:g} a process, but the cluster has {there['GPU']:g}; use --gpus 0")
    if actors is not None and not 1 <= actors <= most:
        what = f"{there['GPU']:g} GPUs, {share:g} a process" if share > 0 else f"{there['CPU']:g} CPUs"
        raise InputError(f"--actors: must be 1 to {most} (the cluster has {what}), found {actors}")
    number = min(actors or most, pieces)
    made = [_Encoder.options(num_cpus=1, num_gpus=share).remote(request, limit) for _ in range(number)]  # type: ignore[attr-defined]
    with _told():
        ray.get([actor.ready.remote() for actor in made])
    return made


def _run(pieces: Sequence[Piece], actors: Sequence[Any], tally: _Tally) -> None:
    pool = ActorPool(list(actors))
    for piece in pieces:
        # Sent as soon as an actor is free, not before.
        pool.submit(lambda actor, each: actor.encode.remote(each), piece)
    tally.begin(len(actors))
    try:
        while pool.has_next():
            with _told():
                number, made = pool.get_next_unordered()
            tally.add(number, made)
    finally:
        # The cluster may outlive this extraction, and the next one wants its CPUs and GPUs.
        for actor in actors:
            ray.kill(actor)


@contextmanager
def _told() -> Iterator[None]:
    """Say in one line why an actor failed."""
    try:
        yield
    except ray.exceptions.RayError as error:
        inner = failure.cause(error)
        if isinstance(inner, InputError):
            raise inner from None
        raise InputError(
            f"{failure.why(error)}; what is done is kept: try again with less at once (--batch-seconds, --actors)"
        ) from None


class _Tally:
    """Parts written and counted as they come."""

    def __init__(
        self, side: SideFile, found: Work, kept: int, skip_broken: bool, watch: Callable[[Progress], None]
    ) -> None:
        self._side, self._found, self._kept, self._skip, self._watch = side, found, kept, skip_broken, watch
        self._made = time.monotonic()
        self._begun, self._ended = self._made, self._made
        self._actors, self._done, self._seconds = 0, 0, 0.0
        self._all = sum(item.seconds for item in found.items)
        self.skipped: dict[str, str] = {}

    def begin(self, actors: int) -> None:
        """The encoders are loaded."""
        self._begun, self._actors = time.monotonic(), actors

    def add(self, number: int, made: Sequence[Made]) -> None:
        """Write a piece.

        Raises:
            InputError: If an utterance is broken, and that is not to be skipped.
        """
        whole = {each.item.name: each.array for each in made if each.array is not None}
        self._side.add(number, list(whole), list(whole.values()))
        broken = {each.item.name: each.reason for each in made if each.array is None}
        if broken and not self._skip:
            name, why = next(iter(broken.items()))
            raise InputError(f"utterance {name}: {why}; or leave such ones out with --skip-broken")
        self.skipped |= broken
        self._done += len(whole)
        self._seconds += sum(each.item.seconds for each in made if each.array is not None)
        self._tell(len(whole))

    def _tell(self, new: int) -> None:
        self._ended = time.monotonic()
        wall, total = self._ended - self._begun, len(self._found.items)
        done = self._kept + self._done + len(self.skipped)
        left = (total - done) * wall / max(self._done + len(self.skipped), 1)
        self._watch(Progress(done, total, self._seconds, wall, left))

    def outcome(self, column: str, size: int, notes: tuple[str, ...]) -> Outcome:
        """What was done."""
        return Outcome(
            column=column,
            path=self._side.path,
            size=size,
            utterances=self._done,
            kept=self._kept,
            missing=len(self._found.missing),
            skipped=self.skipped,
            seconds=self._seconds,
            wall=self._ended - self._begun,
            start=self._begun - self._made,
            actors=self._actors,
            notes=notes,
        )


def _versions(request: Request) -> dict[str, str]:
    """Of the libraries that made the numbers; for the reader, not part of the fingerprint."""
    name = "transformers" if request.pretrained else "torchaudio" if request.encoder == "mfcc" else "opensmile"
    return {each: version(each) for each in ("torch", name)}


def _notes(request: Request, found: Work) -> tuple[str, ...]:
    most = padded_to(request)
    cut = sum(item.seconds > most for item in found.items) if most and request.window is None else 0
    if not cut:
        return ()
    what = f"{cut} recordings are longer than the {most:g} s that {Path(request.encoder).name} takes"
    return (f"{what}: the rest of them was not read; --window {int(most)} reads all",)
