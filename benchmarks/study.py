"""The whole study in three ways, in one run, on the same arms and epochs: `python benchmarks/study.py --corpus FOLDER`.

Ours runs first; which arms there were and after how many epochs each was stopped is read from its tables. The plain
Ray Tune script and the plain Optuna script (`plain/`) then train exactly these arms and epochs, every arm from
scratch. They get the suggestions and the stopping for nothing. Where their scores and ours differ by more than the
stated tolerance (`agreement`), the comparison is void and the exit code is 1.

    python benchmarks/study.py --corpus data/iemocap --out results.json                # hours
    python benchmarks/study.py --corpus data/iemocap --sample 6 --out results.json     # plain forms from six arms
    python benchmarks/study.py --corpus data/iemocap --no-ray --sample 6               # without Ray and Optuna

`--no-ray` compares the executors themselves, one process and one device, and needs torch, numpy, pandas, pyarrow,
scikit-learn, pydantic, safetensors and PyYAML. Its arms are those of `--arms FILE` (the results of another run), or
else made up: reference, search points drawn by numpy, ablation and sensitivity, none of them stopped.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import agreement
import estimate
import measure
import recorded

HERE = Path(__file__).resolve().parent
STUDY = HERE.parent / "studies" / "iemocap_mi_infogan.yaml"
#: What the forms are called, and the script of each plain one.
OURS = "sweeper"
PLAIN = {"plain tune": "with_tune.py", "plain optuna": "with_optuna.py"}
#: A study for a look at whether all this works: minutes, on the built-in corpus.
SMOKE = (
    "corpus=builtin",
    "features={}",
    "protocol={kind: leave-one-session-out}",
    "seeds=[0]",
    "config={align: {epochs: 6, hidden: [64], batch_size: 32}, generate: {epochs: 3}, augment: {epochs: 3}}",
    "search.trials=4",
    "ablation.rows=[Real features twice (no generation), Mixup of real features (no generation)]",
    "sensitivity.parameters=[generate.lambda_y]",
)


def main() -> int:
    asked = _options().parse_args()
    settings = [*(SMOKE if asked.smoke else ()), *([f"corpus={asked.corpus}"] if asked.corpus else []), *asked.set]
    rounds = []
    for number in range(asked.repeat):
        if asked.no_ray:
            from without_ray import compare

            rounds.append(compare(asked.study, settings, asked.arms, asked.sample, asked.executors))
        else:
            rounds.append(_round(asked, settings))
        _show(rounds[-1], f"round {number + 1} of {asked.repeat}")
    result = {
        "command": sys.argv[1:],
        "machine": measure.machine(),
        "settings": settings,
        "rounds": rounds,
        "medians": _medians(rounds),
    }
    if asked.out:
        asked.out.write_text(json.dumps(result, indent=1), encoding="utf-8")
    if asked.repeat > 1:
        _table(f"medians of {asked.repeat}", ("form", "seconds", "x ours"), _median_rows(result["medians"]))
    void = [line for each in rounds for form in each["forms"].values() for line in form["agreement"].get("void", ())]
    for line in void:
        print(f"void: {line}")
    return 1 if void else 0


def _options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--corpus", help="the corpus's folder, in place of the study's")
    options.add_argument("--study", type=Path, default=STUDY, help="a study of mi_infogan, unimodal")
    options.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as of `sweeper run`")
    options.add_argument("--smoke", action="store_true", help="a few small arms on the built-in corpus")
    options.add_argument("--forms", nargs="*", choices=list(PLAIN), default=list(PLAIN), help="plain forms to run")
    options.add_argument("--sample", type=int, help="run plain forms on so many arms, and estimate the whole")
    options.add_argument("--repeat", type=int, default=1, help="rounds of all forms; medians are shown")
    options.add_argument("--out", type=Path, help="write the results here (JSON)")
    options.add_argument("--no-ray", action="store_true", help="our executor and the plain loop alone, on one device")
    options.add_argument("--arms", type=Path, help="with --no-ray: results of another run, whose arms are used")
    options.add_argument("--executors", nargs="*", help="with --no-ray: which of ours; all by default")
    return options


def _round(asked: argparse.Namespace, settings: Sequence[str]) -> dict[str, Any]:
    """All forms once."""
    from sweeper import plan
    from sweeper.study import load

    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        own = [*settings, f"storage={folder / 'runs'}"]
        study = load(asked.study, own)
        cost = _ours(asked.study.resolve(), [*own, f"corpus={study.corpus}"], folder)
        run = study.run_folder
        arms, files = recorded.arms(run), sum(path.is_file() for path in run.rglob("*"))
        planned = plan.make(study, plan.corpus_of(study))
        settled = planned.study
        concurrent = plan.concurrent(study)
        forms = {OURS: _own_form(cost, arms, files)}
        for form in asked.forms:
            chosen = recorded.sample(arms, asked.sample) if asked.sample else arms
            job = recorded.job(settled, chosen, concurrent)
            at_once = concurrent if form == "plain tune" else 1
            forms[form] = _plain(form, job, arms, at_once, folder)
            forms[form]["ratio"] = forms[form]["seconds"] / cost.seconds
    return {
        "forms": forms,
        "job": recorded.job(settled, [], concurrent),
        "row_steps": recorded.row_steps([len(each.train) for each in planned.folds], len(study.seeds), arms),
        "arms": [{name: value for name, value in arm.items() if name != "seconds_by_stage"} for arm in arms],
    }


def _ours(study: Path, settings: Sequence[str], folder: Path) -> measure.Cost:
    """`sweeper run` as from a shell, in an empty folder with an empty stage store."""
    options = [word for each in settings for word in ("--set", each)]
    command = [sys.executable, "-m", "sweeper", "run", study, "--no-report", *options]
    print("running: sweeper", flush=True)
    return measure.call(command, folder / "sweeper.log")


def _own_form(cost: measure.Cost, arms: Sequence[recorded.Arm], files: int) -> dict[str, Any]:
    return asdict(cost) | {
        "arms": len(arms),
        "epochs": recorded.epochs(arms),
        "trained": sum(arm["trained"] for arm in arms),
        "reused": sum(arm["reused"] for arm in arms),
        "files": files,
        "estimate": None,
        "ratio": 1.0,
        "agreement": {},
        "rates": _rates([arm for arm in arms if arm["seconds_by_stage"]]),
    }


def _rates(arms: Sequence[recorded.Arm]) -> dict[str, float]:
    """Seconds an epoch by stage, of arms that trained all their epochs themselves."""
    timed = [{"arm": arm["arm"], "by_stage": arm["seconds_by_stage"]} for arm in arms]
    for each in timed:
        each["seconds"] = sum(each["by_stage"].values())
    return estimate.rates(arms, timed)


def _plain(form: str, job: dict[str, Any], arms: Sequence[recorded.Arm], at_once: int, folder: Path) -> dict[str, Any]:
    """A plain form on the job's arms, scaled to all arms where these are fewer."""
    ask, answer = folder / "job.json", folder / "found.json"
    ask.write_text(json.dumps(job), encoding="utf-8")
    print(f"running: {form}, {len(job['arms'])} of {len(arms)} arms", flush=True)
    cost = measure.call([sys.executable, HERE / "plain" / PLAIN[form], ask, answer], folder / f"{form}.log")
    found = json.loads(answer.read_text(encoding="utf-8"))
    result = asdict(cost) | {
        "arms": len(found),
        "epochs": recorded.epochs(job["arms"]),
        "rates": estimate.rates(arms, found),
        "agreement": agreement.compare(arms, found),
        "estimate": None,
        "by_arm": [{name: each[name] for name in ("arm", "seconds", "by_stage")} for each in found],
    }
    return result if len(found) == len(arms) else result | _scaled(cost, arms, found, at_once)


def _scaled(
    cost: measure.Cost, arms: Sequence[recorded.Arm], found: Sequence[Mapping[str, Any]], at_once: int
) -> dict[str, Any]:
    """The whole, from a sample: what comes before and after the arms, and the arms' epochs at the sample's rates."""
    around = min(each["began"] for each in found) - cost.began + cost.ended - max(each["ended"] for each in found)
    wrong = estimate.errors(arms, found)
    seconds = around + estimate.total(arms, estimate.rates(arms, found)) / at_once
    return {
        "seconds": seconds,
        "estimate": {
            "measured_arms": len(found),
            "measured_seconds": cost.seconds,
            "around": around,
            "errors": wrong,
            "arms": len(arms),
            "epochs": recorded.epochs(arms),
        },
    }


def _show(found: Mapping[str, Any], title: str) -> None:
    forms = found["forms"]
    head = (
        "form",
        "seconds",
        "CPU-s",
        "MiB (PSS)",
        "arms",
        "epochs",
        "x ours",
        "equal at first",
        "to the end",
        "dev, test differ by",
    )
    _table(title, head, [_row(name, form) for name, form in forms.items()])
    rows = [
        (name, *(f"{form['rates'][stage] * 1000 / found['row_steps'][stage]:.3f}" for stage in found["row_steps"]))
        for name, form in forms.items()
        if found.get("row_steps") and set(found["row_steps"]) <= set(form["rates"])
    ]
    if rows:
        _table("ms a row and step", ("form", *found["row_steps"]), rows)
    for name, form in forms.items():
        if form["estimate"]:
            print(_estimated(name, form["estimate"]))


def _estimated(name: str, each: Mapping[str, Any]) -> str:
    wrong = ", ".join(f"{error:+.0%}" for error in each["errors"]) or "none can be predicted from the others"
    return (
        f"{name}: ESTIMATED for {each['arms']} arms from {each['measured_arms']} measured in "
        f"{each['measured_seconds']:.0f} s; each of these predicted from the others: {wrong}"
    )


def _row(name: str, form: Mapping[str, Any]) -> tuple[str, ...]:
    agreed, guess = form["agreement"], form["estimate"]
    return (
        name,
        f"{'about ' if guess else ''}{form['seconds']:.0f}",
        _number(form.get("cpu_seconds"), " (sample)" if guess else ""),
        _number(form.get("memory")),
        str(form["arms"]),
        str(sum(form["epochs"].values())),
        f"{form['ratio']:.2f}",
        f"{agreed['first']:.0%}" if agreed else "",
        f"{agreed['equal']:.0%} of {agreed['rows']}" if agreed else "",
        f"{agreed['dev']:.4f}, {agreed['test']:.4f}" if agreed else "",
    )


def _number(value: float | None, after: str = "") -> str:
    return "" if value is None else f"{value:.0f}{after}"


def _medians(rounds: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """By form, over rounds: seconds, and the ratio to ours of the same round."""
    return {
        form: {key: statistics.median(each["forms"][form][key] for each in rounds) for key in ("seconds", "ratio")}
        for form in rounds[0]["forms"]
    }


def _median_rows(medians: Mapping[str, Mapping[str, float]]) -> list[tuple[str, ...]]:
    return [(form, f"{each['seconds']:.0f}", f"{each['ratio']:.2f}") for form, each in medians.items()]


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        lines = [head, *rows]
        widths = [max(len(line[place]) for line in lines) for place in range(len(head))]
        print(title, *("  ".join(map(str.ljust, line, widths)) for line in lines), sep="\n")
        return
    table = Table(*head, title=title, title_justify="left")
    for row in rows:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 140).print(table)


if __name__ == "__main__":
    begun = time.perf_counter()
    code = main()
    print(f"{time.perf_counter() - begun:.0f} s in all")
    sys.exit(code)
