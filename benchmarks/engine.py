"""What the engine costs, with arms that take no time: `python benchmarks/engine.py --arms 100 1000`.

Trials a second under `sweeper.runner.run` and under Ray Tune alone (class trainable, reused actors), two at a time,
in one run; time and the driver's own memory as arms add up; files; seconds from the start of the process to the first
epoch; and of `sweeper --help`. `--profile` says where our driver spends its time (and is slower for it).
"""

from __future__ import annotations

import argparse
import json
import os
import pstats
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import measure
import numpy as np
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
SCRIPTS = {"sweeper": "trivial/with_sweeper.py", "plain tune": "plain/trivial_tune.py"}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--arms", type=int, nargs="*", default=[100, 1000], help="sizes of runs")
    options.add_argument("--long", action="store_true", help="10,000 arms too")
    options.add_argument("--seeds", type=int, default=3, help="seeds an arm; it has six folds for each")
    options.add_argument("--forms", nargs="*", choices=list(SCRIPTS), default=list(SCRIPTS))
    options.add_argument("--repeat", type=int, default=1, help="rounds; all are in the results, medians shown")
    options.add_argument("--profile", type=Path, help="profile our driver, at the first size, into this file")
    options.add_argument("--out", type=Path, help="write the results here (JSON)")
    asked = options.parse_args()
    if asked.profile:
        _drive("sweeper", asked.arms[0], asked.seeds, asked.profile.resolve())
        pstats.Stats(str(asked.profile)).sort_stats("tottime").print_stats(25).sort_stats("cumulative").print_stats(60)
        return
    found = {
        (form, arms): [_drive(form, arms, asked.seeds) for _ in range(asked.repeat)]
        for arms in [*asked.arms, *([10_000] if asked.long else [])]
        for form in asked.forms
    }
    told = _help()
    _show(found, told)
    if asked.out:
        runs = [{"form": form, "rounds": rounds} for (form, _), rounds in found.items()]
        content = {"machine": measure.machine(), "help_seconds": told, "runs": runs}
        asked.out.write_text(json.dumps(content, indent=1), encoding="utf-8")


def _drive(form: str, arms: int, seeds: int, profile: Path | None = None) -> dict[str, Any]:
    """One run in a process of its own, in a folder of its own."""
    print(f"running: {form}, {arms} arms", flush=True)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder, out = Path(name) / "runs", Path(name) / "found.json"
        path = os.pathsep.join(filter(None, (str(HERE), os.environ.get("PYTHONPATH"))))
        command = [sys.executable, HERE / SCRIPTS[form], arms, seeds, folder, out, *([profile] if profile else [])]
        cost = measure.call(command, Path(name) / "log", PYTHONPATH=path)
        found = json.loads(out.read_text(encoding="utf-8"))
    return found | {"whole": cost.seconds, "cpu_seconds": cost.cpu_seconds} | _growth(found)


def _growth(found: dict[str, Any]) -> dict[str, float]:
    """Trials a second in the run's middle and in its last fifth, and KiB of memory each further arm took there.

    The first fifth is left out of both: it holds the start of two workers.
    """
    over, memory = np.array(found["over"]), np.array(found["memory"])
    tenth = len(over) // 5
    rate = lambda part: (len(part) - 1) / (part[-1] - part[0])  # noqa: E731
    slope = np.polyfit(np.arange(tenth, len(over)), memory[tenth:], 1)[0] * 1024 if len(over) > 20 else 0.0
    return {
        "rate": rate(over[tenth:]),
        "last_rate": rate(over[-tenth:]),
        "kib_an_arm": float(slope),
        "memory_end": float(memory[-1]),
    }


def _help() -> float:
    """Median seconds of `sweeper --help`."""
    seconds = []
    for _ in range(5):
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-m", "sweeper", "--help"], check=True, capture_output=True)
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds)


def _show(found: dict[tuple[str, int], list[dict[str, Any]]], told: float) -> None:
    columns = {
        "trials/s": "rate",
        "trials/s, last fifth": "last_rate",
        "to first epoch, s": "to_first_epoch",
        "whole, s": "whole",
        "CPU-s": "cpu_seconds",
        "driver, MiB": "memory_end",
        "KiB an arm": "kib_an_arm",
        "files": "files",
        "temporary files": "scratch_files",
    }
    table = Table("form", "arms", *columns, title=f"trivial arms; sweeper --help takes {told:.2f} s")
    for (form, arms), rounds in found.items():
        medians = (statistics.median(each[key] or 0 for each in rounds) for key in columns.values())
        table.add_row(form, f"{arms:,}", *(f"{each:.0f}" if each >= 100 else f"{each:.3g}" for each in medians))
    Console(width=None if sys.stdout.isatty() else 150).print(table)


if __name__ == "__main__":
    main()
