"""The command line. Heavy imports wait until a command needs them, so that help answers at once.

Exit codes: 0 done, 1 some arms failed, 2 bad input, 3 the run folder or bucket cannot be written to, 130 interrupted
(`sweeper resume` continues after both).
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ParamSpec

import typer
from rich.console import Console

from sweeper.files import StorageError

if TYPE_CHECKING:
    from sweeper.runner import Outcome
    from sweeper.study import Study

P = ParamSpec("P")
FAILED_ARMS, BAD_INPUT, STORAGE, INTERRUPTED = 1, 2, 3, 130

app = typer.Typer(
    name="sweeper",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="""Search, ablate and probe speech emotion recognition methods from one study file.

A first round, on the built-in corpus:

    sweeper plan studies/quickstart.yaml

    sweeper run studies/quickstart.yaml

    sweeper export runs/quickstart -o best.yaml

    sweeper train best.yaml -o model

    sweeper predict model builtin -o predictions.parquet
""",
)
data_app = typer.Typer(
    no_args_is_help=True, help="Build a corpus folder from recordings, look into one, or write the built-in one."
)
app.add_typer(data_app, name="data")
cluster_app = typer.Typer(no_args_is_help=True, help="Stop a cluster that `ray up` started.")
app.add_typer(cluster_app, name="cluster")

_debug = False


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the whole traceback of an error.")] = False,
) -> None:
    global _debug
    _debug = debug


def _answering(command: Callable[P, None]) -> Callable[P, None]:
    """Turn what went wrong into one line and an exit code."""

    @functools.wraps(command)
    def answered(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except KeyboardInterrupt:
            _say("interrupted")
            raise typer.Exit(INTERRUPTED) from None
        except ValueError as error:
            if _debug or not _is_bad_input(error):
                raise
            _say(f"error: {error}")
            raise typer.Exit(BAD_INPUT) from None
        except StorageError as error:
            if _debug:
                raise
            _say(f"error: {error}")
            raise typer.Exit(STORAGE) from None
        except OSError as error:
            if _debug or error.filename is None:
                raise
            _say(f"error: {error.filename}: {error.strerror}; name a place that can be read and written")
            raise typer.Exit(BAD_INPUT) from None

    return answered


def _is_bad_input(error: ValueError) -> bool:
    from trainables.errors import InputError

    # analysis has an error of its own, and is not imported to find out that it did not raise.
    report = sys.modules.get("analysis.errors")
    return isinstance(error, InputError) or (report is not None and isinstance(error, report.ReportError))


def _say(text: str) -> None:
    # A password that somebody put into an address is not for the screen, or for the log that a job keeps of it.
    text = re.sub(r"://[^\s/@]*@", "://***@", text)
    # One line, whatever a name in it holds: line feeds, a terminal's escape codes, bytes that are no text.
    shown = "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
    print(shown, file=sys.stderr, flush=True)


StudyFile = Annotated[Path, typer.Argument(metavar="STUDY", help="A study file (YAML).", show_default=False)]
RunFolder = Annotated[
    str, typer.Argument(metavar="RUN", help="A run folder, or `s3://bucket/prefix/name`.", show_default=False)
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Replace a key of the study, dotted; may be repeated."),
]
Address = Annotated[str | None, typer.Option(help="Ray cluster to use (`auto`, `ray://...`); a local one if left out.")]
Report = Annotated[bool, typer.Option("--report/--no-report", help="Write the report page at the end.")]


@app.command()
@_answering
def plan(study: StudyFile, settings: Settings = None) -> None:
    """Print what a study will run and how long it may take, without running it.

    Example: `sweeper plan studies/quickstart.yaml --set search.trials=50`
    """
    from sweeper import plan as plans
    from sweeper import render, reuse, speed
    from sweeper.study import load

    asked = load(study, settings or ())
    corpus = plans.corpus_of(asked)
    made = plans.make(asked, corpus)
    kept = reuse.look(made, corpus)
    recorded = speed.recorded(asked, made.rows, corpus.fingerprint)
    seconds = made.seconds(recorded or speed.timed(made, corpus), plans.concurrent(asked))
    Console().print(render.plan(made, seconds, timed=recorded is None, reuse=kept))


@app.command()
@_answering
def run(study: StudyFile, settings: Settings = None, address: Address = None, report: Report = True) -> None:
    """Run a study: search, then ablation and sensitivity around the chosen arm, then the report.

    Running the same study again does nothing twice: finished arms are kept.

    Examples:

    `sweeper run studies/quickstart.yaml`

    `sweeper run study.yaml --set corpus=data/iemocap --set search.trials=24 --set seeds=[0,1,2]`

    Ctrl-C stops it; `sweeper resume` goes on. Exit codes: 0 done, 1 some arms failed, 2 bad input, 3 the run folder or
    bucket cannot be written to, 130 interrupted.
    """
    from sweeper.study import load

    _run(load(study, settings or ()), address, report)


@app.command()
@_answering
def resume(run: RunFolder, address: Address = None, report: Report = True) -> None:
    """Go on with an interrupted run; no finished number changes.

    Example: `sweeper resume runs/quickstart`
    """
    from sweeper import address as addresses
    from sweeper import remote
    from sweeper.study import load
    from trainables.errors import InputError

    named, folder = addresses.of(run), remote.look(run)
    if not (folder / "study.yaml").is_file():
        raise InputError(f"{run}: is no run folder, it holds no study.yaml; give the folder `sweeper run` named")
    study = load(folder / "study.yaml")
    storage, _, name = (named if addresses.is_remote(named) else str(folder.resolve())).rpartition("/")
    _run(study.model_copy(update={"storage": storage or "/", "name": name}), address, report)


def _run(study: Study, address: str | None, report: bool) -> None:
    from sweeper import render, runner

    outcome = runner.run(study, address=address)
    if outcome.interrupted:
        _say(f"interrupted; `sweeper resume {outcome.address or outcome.run}` goes on")
        raise typer.Exit(INTERRUPTED)
    _say(render.closing(outcome))
    if report:
        _report(outcome)
    if outcome.failed:
        raise typer.Exit(FAILED_ARMS)


def _report(outcome: Outcome) -> None:
    from analysis import report
    from sweeper import remote

    page = report.write([outcome.run], None)
    remote.share(outcome.run, page.parent)
    Console().print(f"report: {page}", soft_wrap=True)


@app.command()
@_answering
def status(run: RunFolder) -> None:
    """Say how far a running, interrupted or finished run is.

    Example: `sweeper status runs/quickstart`
    """
    from sweeper import remote, render, results

    Console().print(render.status(run, results.read_status(remote.look(run))), soft_wrap=True)


@app.command()
@_answering
def report(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN...", help="Run folders, or `s3://bucket/prefix/name`.", show_default=False),
    ],
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Folder to write; `RUN/report` if left out.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print every number as JSON, and write nothing.")] = False,
) -> None:
    """Write the report: one HTML page, its numbers as JSON, tables as CSV and LaTeX, figures as PNG, SVG and PDF.

    Examples:

    `sweeper report runs/quickstart`

    `sweeper report runs/one runs/other -o comparison`

    `sweeper report runs/quickstart --json | jq '.runs[0].best.test.uar'`
    """
    from sweeper import remote

    if as_json:
        _print_numbers(runs, out)
        return
    from analysis import report as reports

    page = reports.write([remote.look(run) for run in runs], out)
    if out is None and len(runs) == 1:
        remote.share(runs[0], page.parent)
    Console().print(str(page), soft_wrap=True)


def _print_numbers(runs: list[str], out: Path | None) -> None:
    import json

    from analysis import numbers
    from sweeper import remote
    from trainables.errors import InputError

    if out is not None:
        raise InputError("--json: writes no file; leave out -o, or read report.json of a report written with it")
    print(json.dumps(numbers.read([remote.look(run) for run in runs]), indent=1, allow_nan=False))


@app.command()
@_answering
def export(
    run: RunFolder,
    out: Annotated[Path, typer.Option("-o", "--out", help="The file to write.", show_default=False)],
    arm: Annotated[str | None, typer.Option(help="Another arm than the chosen one, by id or name.")] = None,
) -> None:
    """Write the chosen configuration and the evidence for it.

    Example: `sweeper export runs/quickstart -o best.yaml`
    """
    from sweeper import export as exports
    from sweeper import remote, render

    Console().print(render.evidence(exports.write(remote.look(run), out, arm)))


@app.command()
@_answering
def train(
    best: Annotated[Path, typer.Argument(metavar="BEST", help="A file of `sweeper export`.", show_default=False)],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder of the model.", show_default=False)],
    corpus: Annotated[str | None, typer.Option(help="Another corpus than the sweep's.")] = None,
    seeds: Annotated[str | None, typer.Option(help="Seeds, such as `0,1,2`; the sweep's if left out.")] = None,
    split: Annotated[str | None, typer.Option(help="Only this split of the corpus.")] = None,
) -> None:
    """Train the exported configuration on every labeled utterance, for keeps.

    Example: `sweeper train best.yaml -o model --seeds 0,1,2`
    """
    from sweeper import final, render

    with render.epochs(Console(stderr=True)) as watch:
        folder = final.train(best, out, corpus=corpus, seeds=_seeds(seeds), split=split, watch=watch)
    Console().print(f"model: {folder}", soft_wrap=True)


@app.command()
@_answering
def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A folder of `sweeper train`.", show_default=False)],
    corpus: Annotated[str, typer.Argument(metavar="CORPUS", help="A corpus folder.", show_default=False)],
    out: Annotated[Path, typer.Option("-o", "--out", help="The Parquet file to write.", show_default=False)],
) -> None:
    """Classify every utterance of a corpus.

    Example: `sweeper predict model data/iemocap -o predictions.parquet`
    """
    from sweeper import predict as predictions

    table = predictions.predict(model, corpus, out)
    Console().print(f"{len(table)} utterances: {out}", soft_wrap=True)


@app.command("list")
@_answering
def list_(
    method: Annotated[str | None, typer.Argument(metavar="[METHOD]", help="One method, in full.")] = None,
) -> None:
    """List the methods, or all that can be set, searched, ablated and probed in one.

    Example: `sweeper list mi_infogan`
    """
    import search_spaces
    from sweeper import describe, render

    if method is None:
        Console().print(render.method_list(describe.methods()))
        return
    spaces = search_spaces.get(method)
    title, citation = describe.methods()[method]
    Console().print(render.method_page(title, citation, describe.fields(method), spaces))


@data_app.command("check")
@_answering
def data_check(
    corpus: Annotated[str, typer.Argument(metavar="CORPUS", help="A corpus folder, or `builtin`.", show_default=False)],
) -> None:
    """Print what a corpus holds, what is missing, and which protocols it allows.

    Example: `sweeper data check data/iemocap`
    """
    from sweeper import render
    from trainables import corpus as corpora

    Console().print(render.corpus(corpora.inspect(corpus)))


@data_app.command("build")
@_answering
def data_build(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="`sweeper data kinds` lists them.", show_default=False)],
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="The corpus as distributed; not changed.", show_default=False)
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The corpus folder to write.", show_default=False)],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="An option of this kind; may be repeated."),
    ] = None,
    skip_broken: Annotated[
        bool, typer.Option("--skip-broken", help="Leave out utterances whose recording is missing or damaged.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace what an earlier build wrote to OUT.")] = False,
) -> None:
    """Turn a corpus as distributed into a corpus folder, and compare its counts with the published ones.

    Examples:

    `sweeper data build iemocap IEMOCAP_full_release data/iemocap`

    `sweeper data build csv recordings data/ours --set 'columns={speaker: who, label: feeling}'`
    """
    from sweeper import build

    built = build.run(
        kind, source, out, settings or (), skip_broken=skip_broken, force=force, console=Console(stderr=True)
    )
    Console().print(build.summary(built), soft_wrap=True)


@data_app.command("features")
@_answering
def data_features(
    corpus: Annotated[Path, typer.Argument(metavar="CORPUS", help="A corpus folder.", show_default=False)],
    audio: Annotated[
        str | None,
        typer.Option(metavar="ENCODER", help="`egemaps`, `compare`, `is10`, `mfcc`, or a hub name or folder."),
    ] = None,
    text: Annotated[str | None, typer.Option(metavar="ENCODER", help="A hub name or folder.")] = None,
    video: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Vectors by utterance id: .npz, .parquet or .csv.")
    ] = None,
    column: Annotated[str, typer.Option(metavar="NAME", help="Name of the column; made of the encoder's.")] = "",
    layer: Annotated[int | None, typer.Option(help="Hidden layer, 0 = before the first; the last if left out.")] = None,
    pooling: Annotated[str | None, typer.Option(help="`mean`, `first`, `last` or `model` (its own).")] = None,
    sequence: Annotated[bool, typer.Option("--sequence", help="Keep frames or tokens, not one vector.")] = False,
    augment: Annotated[
        list[str] | None, typer.Option(metavar="AUGMENTATION", help="Copies such as `noise10`; may be repeated.")
    ] = None,
    longest: Annotated[float | None, typer.Option(metavar="SECONDS", help="Read no more of a recording.")] = None,
    window: Annotated[float | None, typer.Option(metavar="SECONDS", help="Encode in windows, and average.")] = None,
    dtype: Annotated[str, typer.Option(help="Of a network: `float32`, `bfloat16` or `float16`.")] = "float32",
    batch_seconds: Annotated[float, typer.Option(help="Seconds of a batch, padding counted.")] = 60.0,
    actors: Annotated[int | None, typer.Option(help="Processes; one a GPU, else one a CPU.")] = None,
    gpus: Annotated[float | None, typer.Option(help="GPUs a process; 0 = none, 0.5 = two share one.")] = None,
    skip_broken: Annotated[
        bool, typer.Option("--skip-broken", help="Leave out recordings that cannot be read or encoded.")
    ] = False,
    address: Address = None,
) -> None:
    """Encode the recordings or transcripts of a corpus, and write the vectors beside its main files.

    Asked again it does nothing; interrupted it goes on where it was.

    Examples:

    `sweeper data features data/iemocap --audio egemaps`

    `sweeper data features data/iemocap --audio facebook/wav2vec2-base --layer 9 --text roberta-base`
    """
    from sweeper import extracting

    lines = extracting.run(
        corpus,
        audio=audio,
        text=text,
        video=video,
        augment=augment or (),
        column=column,
        layer=layer,
        pooling=pooling,
        sequence=sequence,
        longest=longest,
        window=window,
        dtype=dtype,
        batch_seconds=batch_seconds,
        actors=actors,
        gpus=gpus,
        skip_broken=skip_broken,
        address=address,
        console=Console(stderr=True),
    )
    for line in lines:
        Console().print(line, soft_wrap=True, markup=False, highlight=False)


@data_app.command("kinds")
@_answering
def data_kinds(
    kind: Annotated[str | None, typer.Argument(metavar="[KIND]", help="One kind, with its options.")] = None,
) -> None:
    """List the kinds of corpora that `sweeper data build` reads, or the options of one.

    Example: `sweeper data kinds iemocap`
    """
    from sweeper import build

    Console().print(build.kinds_table() if kind is None else build.kind_page(kind))


@data_app.command("synth")
@_answering
def data_synth(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write.", show_default=False)],
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another corpus.")] = 0,
) -> None:
    """Write the built-in corpus: made-up utterances with planted effects, to try things on.

    Example: `sweeper data synth /tmp/synth`
    """
    from trainables import synth

    synth.write(directory, seed=seed)
    Console().print(f"corpus: {directory}", soft_wrap=True)


@cluster_app.callback()
def _cluster() -> None:
    # Keeps `down` a command of its own, although it is the only one.
    pass


@cluster_app.command("down")
@_answering
def cluster_down(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `ray up` was given.", show_default=False)],
) -> None:
    """Stop every node of a cluster; `ray down` leaves the workers running where the hosts are one's own.

    Exit codes: 0 all have stopped, 1 some host was not seen to, 2 bad input.

    Example: `sweeper cluster down clusters/onprem.yaml`
    """
    from sweeper import cluster

    left = cluster.down(file)
    for host, wrong in left.items():
        _say(f"{host}: {wrong}; run `ray stop` there once it is back")
    if left:
        raise typer.Exit(FAILED_ARMS)
    _say("all nodes have stopped")


def _seeds(text: str | None) -> tuple[int, ...] | None:
    from trainables.errors import InputError

    if text is None:
        return None
    try:
        seeds = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"--seeds: must be whole numbers with commas, such as 0,1,2; found {text[:40]!r}") from None
    if max(seeds) >= 2**31:
        raise InputError(f"--seeds: must be below {2**31}")
    if len(set(seeds)) < len(seeds) or min(seeds) < 0:
        raise InputError(f"--seeds: must be different and at least 0, found {text!r}")
    return seeds


def main() -> None:
    """Entry point of the `sweeper` command; `--debug` may stand anywhere."""
    arguments = sys.argv[1:]
    if "--debug" in arguments:
        arguments = ["--debug", *(each for each in arguments if each != "--debug")]
    sys.exit(_called(arguments))


def _called(arguments: list[str]) -> int:
    """The exit code of a call; words that no command takes are answered in one line, as every bad input is."""
    try:
        return app(args=arguments, prog_name="sweeper", standalone_mode=False) or 0
    except typer.Abort:
        return INTERRUPTED
    except Exception as error:
        # Typer's errors of usage have no name in common that is public.
        say, context = getattr(error, "format_message", None), getattr(error, "ctx", None)
        if say is None:
            raise
        if type(error).__name__ == "NoArgsIsHelpError":
            error.show()  # type: ignore[attr-defined]
        else:
            path = context.command_path if context else "sweeper"
            _say(f"error: {path}: {say().rstrip('.')}; `{path} --help` says what it takes")
        return BAD_INPUT
