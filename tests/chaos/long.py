"""The long form: ``python tests/chaos/long.py --arms 2500 --kills 50``; prints a table, exits 1 if anything differs."""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "sweeper"))

from chaos import Figures, undergo
from settings import SHARES, settings


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--arms", type=int, default=2500, help="arms of all studies together")
    options.add_argument("--kills", type=int, default=50, help="kills of all studies together")
    options.add_argument("--seed", type=int, default=0, help="of moments and victims")
    options.add_argument("--only", nargs="*", help="names of studies; all if left out")
    options.add_argument("--out", type=Path, help="write the figures here (JSON)")
    options.add_argument("--folder", type=Path, help="where to run; kept")
    asked = options.parse_args()
    chosen = [name for name in SHARES if not asked.only or name in asked.only]
    whole = sum(SHARES[name] for name in chosen)
    found: dict[str, Figures] = {}
    with tempfile.TemporaryDirectory(prefix="chaos-") as scratch:
        for number, name in enumerate(chosen):
            setting = {each.name: each for each in settings(math.ceil(asked.arms * SHARES[name] / whole))}[name]
            place = (asked.folder or Path(scratch)) / str(number)
            kills = asked.kills // len(chosen) + (number < asked.kills % len(chosen))
            found[name] = undergo(setting, place, kills=kills, seed=asked.seed + number)
            print(json.dumps({name: found[name].shown()}), flush=True)
            if asked.out:
                content = {name: each.shown() for name, each in found.items()}
                asked.out.write_text(json.dumps(content, indent=1), encoding="utf-8")
    _show(found)
    sys.exit(any(each.differences or each.twice or each.extra_a_kill > 0.05 for each in found.values()))


def _show(found: dict[str, Figures]) -> None:
    columns = ("arms", "stopped", "kills", "resumes", "epochs", "extra", "extra_a_kill", "twice", "last_again")
    table = Table("study", *columns, "seconds", "in peace", "differences", "by: kills (epochs again a kill)")
    for name, figures in found.items():
        shown = figures.shown()
        cells = [f"{shown[key]:.4g}" for key in (*columns, "seconds", "peaceful")]
        by = ", ".join(f"{weapon} {each['kills']} ({each['a_kill']:.1f})" for weapon, each in shown["by"].items())
        table.add_row(name, *cells, str(len(figures.differences)), by)
    Console(width=200).print(table)


if __name__ == "__main__":
    main()
