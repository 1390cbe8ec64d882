"""Long life: ``python tests/chaos/soak.py --seconds 2700 --arms 10000``; prints slopes, exits 1 where something grows.

Runs small arms one after the other and looks at the driver every few seconds: its memory, open files and threads, and
the logs and temporary files of the run and of its Ray. A slope is that of a line through the second half of the time,
where a run has settled, with its standard error.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "sweeper"))

from chaos import ENGINE, PYTHONPATH
from settings import QUICK

#: What is looked at, and how much of it 10,000 arms may add: the tables of a run grow with it, all else does not.
ALLOWED = {"memory": 300.0, "files": 10.0, "threads": 10.0, "logs": 60.0, "log_files": 10.0, "scratch_files": 100.0}
UNITS = {"memory": "MiB", "logs": "MiB"}
#: Neighbouring looks say nearly the same: means of so many parts of the second half make the line.
PARTS = 20
MIB = 2**20


@dataclass(frozen=True)
class Look:
    """A driver at a moment.

    Attributes:
        seconds: Since it was started.
        arms: Arms over by then.
        memory: Its own resident memory, MiB.
        files: Its open file handles.
        threads: Its threads.
        logs: Size of all logs, of the run and of Ray, MiB.
        log_files: Their number.
        scratch_files: Temporary files of the run.
        cpu: Its CPU-seconds so far.
        family: Resident memory of the processes below it, MiB; pages that several share count in each.
    """

    seconds: float
    arms: int
    memory: float
    files: int
    threads: int
    logs: float
    log_files: int
    scratch_files: int
    cpu: float
    family: float


def soak(
    folder: Path, *, arms: int, seconds: float, pause: float, every: float, changes: dict[str, Any] | None = None
) -> list[Look]:
    """Run a study until it is through or the time is up, and look at it.

    Args:
        folder: Where to; its path must be short, since Ray puts sockets there.
        arms: Search arms.
        seconds: After which the study is ended in good order.
        pause: Seconds that two of an arm's four epochs sleep.
        every: Seconds between two looks.
        changes: Other changes of the study.
    """
    study: dict[str, Any] = {
        "config": {**QUICK, "learn.pause": pause},
        "search": {"trials": arms, "sampler": "random"},
        "scheduler": {"kind": "none"},
        "resources": {"cpus_per_trial": 0.5, "concurrent": 2},
        **(changes or {}),
    }
    temporary = folder / "tmp"
    temporary.mkdir(parents=True)
    own = {"PYTHONPATH": PYTHONPATH, "OMP_NUM_THREADS": "1", "TMPDIR": str(temporary), "RAY_TMPDIR": str(temporary)}
    with (folder / "driver.log").open("w") as log:
        driver = subprocess.Popen(
            [sys.executable, str(ENGINE / "drive_tiny.py"), str(folder), json.dumps(study)],
            env={**os.environ, **own},
            stdout=log,
            stderr=log,
        )
        try:
            return list(_looks(driver, folder, seconds, every))
        finally:
            _end(driver)


def slopes(looks: list[Look]) -> dict[str, dict[str, float]]:
    """By what is looked at, how fast it grows over the second half.

    Returns:
        ``hour`` and its standard error ``hour_error``, ``arms`` (per 10,000 arms) and ``arms_error``, and the first and
        last value of the half.
    """
    half = [each for each in looks if each.seconds >= looks[-1].seconds / 2]
    return {name: _slope(half, name) for name in ALLOWED}


def _slope(half: list[Look], name: str) -> dict[str, float]:
    values = _means([getattr(each, name) for each in half])
    by_time = _line(_means([each.seconds / 3600 for each in half]), values)
    by_arms = _line(_means([each.arms / 10_000 for each in half]), values)
    ends = {"first": float(getattr(half[0], name)), "last": float(getattr(half[-1], name))}
    return {"hour": by_time[0], "hour_error": by_time[1], "arms": by_arms[0], "arms_error": by_arms[1], **ends}


def _line(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    from scipy.stats import linregress

    if len(x) < 3 or np.ptp(x) == 0:
        return float("nan"), float("nan")
    line = linregress(x, y)
    return float(line.slope), float(line.stderr)


def _means(values: Iterable[float]) -> np.ndarray:
    values = np.array(list(values), dtype=float)
    return np.array([part.mean() for part in np.array_split(values, min(PARTS, len(values)))])


def grown(found: dict[str, dict[str, float]]) -> list[str]:
    """What grows by more than it may, beyond doubt."""
    return [name for name, most in ALLOWED.items() if found[name]["arms"] - 2 * found[name]["arms_error"] > most]


def _looks(driver: subprocess.Popen[bytes], folder: Path, seconds: float, every: float) -> Iterator[Look]:
    process, begun = psutil.Process(driver.pid), time.monotonic()
    stopping = False
    while driver.poll() is None:
        passed = time.monotonic() - begun
        arms = _over(folder / "runs" / "tiny" / "status.json")
        # Not before its first arm, and not while it ends.
        if arms and not stopping:
            with suppress(psutil.Error):
                look = _look(process, folder, passed, arms)
                if look.files:  # It has none once it has ended.
                    yield look
        if passed > seconds and not stopping:
            stopping = True
            driver.send_signal(signal.SIGINT)
        time.sleep(every)


def _look(process: psutil.Process, folder: Path, seconds: float, arms: int) -> Look:
    with process.oneshot():
        memory, files, threads = process.memory_info().rss, process.num_fds(), process.num_threads()
        times = process.cpu_times()
    below = [_resident(each) for each in process.children(recursive=True)]
    run = folder / "runs" / "tiny"
    logs = _sizes([*run.glob("*.log*"), *_files(folder / "tmp" / "ray")])
    scratch = sum(1 for path in (folder / "tmp").glob("sweeper-*") for _ in _files(path))
    return Look(
        seconds=seconds,
        arms=arms,
        memory=memory / MIB,
        files=files,
        threads=threads,
        logs=sum(logs) / MIB,
        log_files=len(logs),
        scratch_files=scratch,
        cpu=times.user + times.system,
        family=sum(below) / MIB,
    )


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _files(folder: Path) -> Iterator[Path]:
    """All files below a folder, as far as they stay there: Python's own search ends where a folder vanishes."""
    for place, _, names in os.walk(folder):
        if folder.name != "ray" or "logs" in place:
            yield from (Path(place) / name for name in names)


def _sizes(paths: Iterable[Path]) -> list[int]:
    found = []
    for path in paths:
        try:
            found += [path.stat().st_size] if path.is_file() else []
        except FileNotFoundError:
            continue
    return found


def _over(status: Path) -> int:
    try:
        told = json.loads(status.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0
    return int(told["done"] + told["stopped"] + told["failed"])


def _end(driver: subprocess.Popen[bytes]) -> None:
    if driver.poll() is None:
        driver.send_signal(signal.SIGINT)
    try:
        driver.wait(timeout=120)
    except subprocess.TimeoutExpired:
        driver.kill()
        driver.wait()


def draw(looks: list[Look], path: Path) -> None:
    """Everything over time, with the line through the second half."""
    import matplotlib as mpl

    mpl.use("Agg")
    import pandas as pd
    import seaborn as sns
    from matplotlib import pyplot as plt

    table = pd.DataFrame([asdict(each) for each in looks])
    table["minutes"] = table["seconds"] / 60
    half = table[table["seconds"] >= table["seconds"].iloc[-1] / 2]
    sns.set_theme(style="whitegrid", context="paper")
    figure, axes = plt.subplots(2, 4, figsize=(12, 5), sharex=True, layout="constrained")
    for axis, name in zip(axes.flat, ["arms", *ALLOWED, "family"], strict=True):
        sns.lineplot(table, x="minutes", y=name, ax=axis, errorbar=None)
        if name in ALLOWED:
            sns.regplot(half, x="minutes", y=name, ax=axis, scatter=False, ci=None, color="C3", line_kws={"lw": 1})
        axis.set_title(name.replace("_", " "))
        axis.set_ylabel(UNITS.get(name, "MiB" if name == "family" else ""))
        axis.set_ylim(bottom=0)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=2700, help="how long at most")
    options.add_argument("--arms", type=int, default=10_000, help="arms of the study")
    options.add_argument("--pause", type=float, default=0.2, help="seconds that two of an arm's four epochs sleep")
    options.add_argument("--every", type=float, default=5.0, help="seconds between two looks")
    options.add_argument("--out", type=Path, help="write all looks and slopes here (JSON)")
    options.add_argument("--figure", type=Path, help="draw them here (PNG)")
    asked = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-", ignore_cleanup_errors=True) as scratch:
        looks = soak(Path(scratch), arms=asked.arms, seconds=asked.seconds, pause=asked.pause, every=asked.every)
        if len(looks) < 6:
            sys.exit("it ended before it could be looked at:\n" + (Path(scratch) / "driver.log").read_text()[-2000:])
    found = slopes(looks)
    _show(looks, found)
    if asked.out:
        content = {"slopes": found, "grown": grown(found), "looks": [asdict(each) for each in looks]}
        asked.out.write_text(json.dumps(content, indent=1), encoding="utf-8")
    if asked.figure:
        draw(looks, asked.figure)
    sys.exit(bool(grown(found)))


def _show(looks: list[Look], found: dict[str, dict[str, float]]) -> None:
    last = looks[-1]
    share = last.cpu / last.seconds
    console = Console(width=110)
    console.print(f"{last.arms} arms in {last.seconds:.0f} s; the driver took {share:.2f} of a core; second half:")
    table = Table("", "from", "to", "an hour", "+-", "10,000 arms", "+-", "allowed")
    for name, each in found.items():
        numbers = (each[key] for key in ("first", "last", "hour", "hour_error", "arms", "arms_error"))
        unit = f" ({UNITS[name]})" if name in UNITS else ""
        table.add_row(name + unit, *(f"{number:.4g}" for number in numbers), f"{ALLOWED[name]:g}")
    console.print(table)


if __name__ == "__main__":
    main()
