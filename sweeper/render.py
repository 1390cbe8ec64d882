"""What the command line prints: rich tables of plans, methods and runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    import pandas as pd

    from search_spaces.space import Published, Spaces
    from sweeper.plan import Plan
    from sweeper.reuse import Reuse
    from sweeper.runner import Outcome
    from trainables.corpus_check import CorpusSummary
    from trainables.epoch import Epoch


def plan(plan: Plan, seconds: float | None, *, timed: bool = False, reuse: Reuse | None = None) -> RenderableType:
    """What a study will run.

    Args:
        plan: The counts.
        seconds: The longest it should take, or None when the speed is not known.
        timed: Whether the speed was timed just now, and is not that of an earlier run.
        reuse: What is kept of earlier runs; None where the study shares no stages.
    """
    study = plan.study
    head = Text.assemble((study.name, "bold"), f": {study.method} on {plan.corpus}, ", _protocol(plan))
    table = Table("arms", "at most", "epochs by stage", "what", box=None, pad_edge=False)
    for group in plan.groups:
        epochs = ", ".join(f"{stage} {n}" for stage, n in group.epochs.items())
        table.add_row(group.kind, str(group.arms), epochs, group.text)
    each = f"{len(plan.folds)} folds x {len(study.seeds)} seeds"
    total = f"at most {plan.arms} arms x {each} = {plan.arms * plan.rows} trainings, {plan.epochs} epochs of "
    total += f"{plan.rows} rows; early stopping and shared stages save some"
    notes = [Text(f"note: {note}", style="yellow") for note in plan.notes]
    time, place = Text(_estimate(seconds, timed)), Text(f"run: {study.address}")
    kept = [Text(_reuse(reuse))] if reuse else []
    return Group(head, "", table, "", Text(total), *kept, time, *notes, place)


def method_list(methods: Mapping[str, tuple[str, str]]) -> RenderableType:
    """All methods: name -> (title, citation)."""
    table = Table("method", "title", "source", box=None, pad_edge=False)
    for name, (title, citation) in methods.items():
        table.add_row(Text(name, style="bold"), title, citation)
    return Group(table, "", Text("`sweeper list METHOD` shows its settings, spaces, ablation rows and grids."))


def method_page(title: str, citation: str, fields: Mapping[str, tuple[Any, str]], spaces: Spaces) -> RenderableType:
    """All that can be set, searched, ablated and probed in a method.

    Args:
        title: The paper's title.
        citation: Its authors and year.
        fields: Default and one line of help by field path.
        spaces: The method's ranges, rows and grids.
    """
    parts: list[RenderableType] = [
        Text(title, style="bold"),
        Text(citation),
        "",
        Text("Settings", style="bold"),
    ]
    parts += [_fields(fields), ""]
    for name, space in spaces.spaces.items():
        default = " (default)" if name == spaces.default_space else ""
        parts += [Text(f"search.space: {name}{default}", style="bold")]
        parts += [_pairs({path: str(each) for path, each in space.items()}), ""]
    parts += [Text("ablation.rows", style="bold"), _rows(spaces), ""]
    parts += [Text("sensitivity.parameters", style="bold")]
    parts += [
        _pairs({path: ", ".join(f"{v}" for v in values) for path, values in spaces.sensitivity.items()}),
        "",
    ]
    parts += [
        Text("Published for the full model", style="bold"),
        *(Text(_published(p)) for p in spaces.published),
    ]
    return Group(*parts)


def corpus(summary: CorpusSummary) -> RenderableType:
    """What a corpus holds, what is missing, and which protocols it allows."""
    labeled = f"{summary.labeled} of {summary.utterances} utterances labeled, {summary.dialogues} dialogues"
    parts: list[RenderableType] = [Text.assemble((summary.name, "bold"), f": {labeled}")]
    if summary.fingerprint:
        parts.append(Text(f"fingerprint {summary.fingerprint}"))
    parts += [*map(Text, _raw(summary)), "", _columns(summary) if summary.columns else Text(_NO_COLUMNS), ""]
    for frame in (summary.speakers, summary.sessions, summary.splits):
        if len(frame):
            parts += [_counts(frame), ""]
    table = Table("protocol", "allowed", "", box=None, pad_edge=False)
    for each in summary.protocols:
        table.add_row(each.kind, "yes" if each.allowed else "no", Text(each.reason))
    parts.append(table)
    return Group(*parts, *(Text(f"warning: {warning}", style="yellow") for warning in summary.warnings))


#: Of a corpus that is recordings and transcripts alone.
_NO_COLUMNS = "no features yet: `sweeper data features` makes some, or a method brings its encoder"


def _raw(summary: CorpusSummary) -> Iterator[str]:
    if summary.recordings is not None:
        count, hours = summary.recordings
        length = f"{hours:.1f} h" if hours >= 1 else f"{60 * hours:.1f} min"
        yield f"recordings of {count} utterances, {length}"
    if summary.transcripts is not None:
        yield f"transcripts of {summary.transcripts} utterances"


def status(run: str, status: Mapping[str, Any]) -> RenderableType:
    """The state of a run in words.

    Args:
        run: Its folder.
        status: Its own record, see `results.read_status`.
    """
    alive = status["state"] == "running"
    over = sum(status[name] for name in ("done", "stopped", "failed"))
    begun = f"{status['running']} {'running' if alive else 'begun'}"
    counts = ", ".join([begun, *(f"{status[name]} {name}" for name in ("done", "stopped", "failed"))])
    lines = [f"{run}: {_state(status)}", f"{over} of at most {status['planned']} arms are over ({counts})"]
    if status.get("best"):
        lines.append(f"best on dev so far: {status['best']}, UAR {status['best_score']:.3f}")
    if alive and status.get("seconds_left") is not None:
        rate = f" at {status['arms_per_minute']:.1f} arms a minute" if status.get("arms_per_minute") else ""
        lines.append(f"about {duration(status['seconds_left'])} left{rate}")
    if status["state"] != "finished" and not alive:
        lines.append(f"`sweeper resume {run}` goes on; nothing finished is lost")
    return Text("\n".join(lines))


def closing(outcome: Outcome) -> str:
    """What came of a run that was not interrupted, in one line."""
    counts = ", ".join(f"{getattr(outcome, name)} {name}" for name in ("done", "stopped", "failed"))
    begin = "finished before, nothing was run" if outcome.already else "finished"
    parts = [f"{'given up' if outcome.given_up else begin}: {counts}"]
    if outcome.best_score is not None:
        parts.append(f"best on dev: {outcome.best}, UAR {outcome.best_score:.3f}")
    if outcome.failed:
        parts.append(f"why arms failed stands in the report, and in {outcome.run / 'trials.parquet'}, column reason")
    if outcome.given_up:
        parts.append(f"failures.limit was reached, `sweeper resume {outcome.address or outcome.run}` goes on")
    return "; ".join(parts)


def _state(status: Mapping[str, Any]) -> str:
    if status["state"] != "killed":
        return str(status["state"])
    return f"its process is gone (last heard of at {status['updated_at']})"


@contextmanager
def epochs(console: Console) -> Iterator[Callable[[Epoch], None]]:
    """Show a bar a stage, with rate and time left, while the block runs; to be told of every epoch."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bars = Progress(*columns, console=console)
    known: dict[str, TaskID] = {}

    def watch(epoch: Epoch) -> None:
        bars.start()  # not before: what is refused prints its one line and nothing else
        if epoch.stage not in known:
            known[epoch.stage] = bars.add_task(epoch.stage, total=epoch.total)
        bars.update(known[epoch.stage], completed=epoch.index)

    try:
        yield watch
    finally:
        if known:
            bars.stop()


def evidence(content: Mapping[str, Any]) -> RenderableType:
    """The evidence of an exported configuration."""
    about = content["evidence"]
    table = Table("", "dev", "test", box=None, pad_edge=False)
    for metric in ("uar", "war", "wf1", "macro_f1"):
        table.add_row(metric, _spread(about["dev"][metric]), _spread(about["test"][metric]))
    head = f"{about['name']} ({about['arm']}), chosen from {about['chosen_from']} arms by dev"
    return Group(Text(head, style="bold"), table, Text("mean and standard deviation over folds (seeds averaged)"))


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _protocol(plan: Plan) -> str:
    modalities = "+".join(plan.study.modalities or ())
    return f"{modalities}, {plan.study.protocol.kind}, {len(plan.folds)} folds, seeds {list(plan.study.seeds)}"


def _estimate(seconds: float | None, timed: bool) -> str:
    if seconds is None:
        return "time: not known yet; no earlier run on this corpus tells the speed"
    speed = "of one epoch of each stage, timed just now" if timed else "of an earlier run"
    return f"time: at most about {duration(seconds)} on this machine, at the speed {speed}"


def _reuse(reuse: Reuse) -> str:
    if not reuse.size:
        return f"stages: none are kept in {reuse.folder} yet"
    text = f"stages: {reuse.kept} of {reuse.known} known so far are kept in {reuse.folder}"
    text += f", {reuse.saved} of {reuse.epochs} epochs need no training"
    text += " (what the search and its best arm need is not known yet)" if reuse.more else ""
    return f"{text}; {size(reuse.size)} of {size(reuse.limit)} used"


def size(number: int) -> str:
    """Bytes as people say them."""
    value, unit = float(number), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.3g} {unit}"


def _fields(fields: Mapping[str, tuple[Any, str]]) -> Table:
    table = Table("field", "default", "meaning", box=None, pad_edge=False)
    for path, (default, text) in fields.items():
        table.add_row(path, str(default), Text(text))
    return table


def _columns(summary: CorpusSummary) -> Table:
    table = Table("features", "modality", "values", "missing", "constant", "", box=None, pad_edge=False)
    for each in summary.columns:
        used = "used" if each.used else ""
        table.add_row(each.name, each.modality, str(each.dim), str(each.missing), str(each.constant), used)
    return table


def _counts(frame: pd.DataFrame) -> Table:
    """Utterances by group and class, with a line of sums."""
    table = Table(str(frame.index.name), *map(str, frame.columns), box=None, pad_edge=False)
    for name, row in frame.iterrows():
        table.add_row(Text(str(name)), *(str(value) for value in row))
    table.add_row("all", *(str(value) for value in frame.sum()), style="bold")
    return table


def _rows(spaces: Spaces) -> Table:
    table = Table("row", "changes", "published", "claim", box=None, pad_edge=False)
    for row in spaces.ablation:
        change = "\n".join(f"{path}={value}" for path, value in row.change.items())
        published = "\n".join(_published(each) for each in row.published)
        table.add_row(row.name + (" (control)" if row.control else ""), change, published, row.claim)
    return table


def _published(number: Published) -> str:
    spread = "" if number.std is None else f" ± {100 * number.std:.2f}"
    where = f"{number.corpus}, {number.condition}"
    return f"{number.metric} {100 * number.mean:.2f}{spread} ({where}; {number.source})"


def _spread(number: Mapping[str, float | None]) -> str:
    mean, std = number["mean"], number["std"]
    if mean is None:
        return "-"
    return f"{mean:.3f}" if std is None else f"{mean:.3f} ± {std:.3f}"


def _pairs(pairs: Mapping[str, str]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    for key, value in pairs.items():
        table.add_row(key, Text(value))
    return table
