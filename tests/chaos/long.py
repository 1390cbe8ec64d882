"""The long form: ``python tests/chaos/long.py --arms 2500 --kills 50``; prints a table, exits 1 if anything differs."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "sweeper"))

from chaos import Figures, undergo
from settings import settings


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--arms", type=int, default=2500, help="arms of all studies together")
    options.add_argument("--kills", type=int, default=50, help="kills of all studies together")
    options.add_argument("--seed", type=int, default=0, help="of moments and victims")
    options.add_argument("--only", nargs="*", help="names of studies; all if left out")
    options.add_argument("--out", type=Path, help="write the figures here (JSON)")
    options.add_argument("--folder", type=Path, help="where to run; kept")
    asked = options.parse_args()
    chosen = [each for each in settings(1) if not asked.only or each.name in asked.only]
    names, share = [each.name for each in chosen], len(chosen)
    found: dict[str, Figures] = {}
    with tempfile.TemporaryDirectory(prefix="chaos-") as scratch:
        for number, setting in enumerate(settings(-(-asked.arms // share))):
            if setting.name in names:
                place = (asked.folder or Path(scratch)) / str(number)
                kills = asked.kills // share + (names.index(setting.name) < asked.kills % share)
                found[setting.name] = undergo(setting, place, kills=kills, seed=asked.seed + number)
                print(json.dumps({setting.name: found[setting.name].shown()}), flush=True)
    _show(found)
    if asked.out:
        content = {name: each.shown() for name, each in found.items()}
        asked.out.write_text(json.dumps(content, indent=1), encoding="utf-8")
    sys.exit(any(each.differences or each.twice or each.extra_a_kill > 0.05 for each in found.values()))


def _show(found: dict[str, Figures]) -> None:
    columns = ("arms", "kills", "resumes", "epochs", "extra", "twice", "extra_a_kill", "peaceful", "seconds")
    table = Table("study", *columns, "differences", "by")
    for name, figures in found.items():
        shown = figures.shown()
        cells = [f"{shown[key]:.4g}" for key in columns]
        table.add_row(name, *cells, str(len(figures.differences)), str(shown["by"]))
    Console(width=170).print(table)


if __name__ == "__main__":
    main()
