"""Studies that are broken off at random moments until they are through, and what that did to them.

A study of the tiny method is run twice: once in peace, and once while seeded violence is done to it. Moments are
drawn over the epochs of the run, so that they fall into every part of it. Every epoch that is really trained leaves a
line in a file, whatever becomes of its arm.
"""

from __future__ import annotations

import ctypes
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
from tiny_method.config import Config
from tiny_method.method import who

from sweeper.results import read_journal, read_status
from sweeper.tables import SCHEMAS
from trainables.errors import InputError

HERE = Path(__file__).resolve().parent
ENGINE = HERE.parent / "sweeper"
PYTHONPATH = os.pathsep.join(map(str, (HERE, ENGINE, HERE.parents[1])))
#: Bytes of an epoch's line.
LINE = 20
#: Of a clock, of a host, or of how often something was begun.
CLOCKS = ["started_at", "finished_at", "seconds", "attempts", "host"]
#: Of the order in which arms of several at a time come, and of who trained a stage that several share.
ORDERS = ["started_order", "finished_order", "epochs_trained", "epochs_reused"]
#: Seconds after which a driver that makes no progress counts as hanging: a busy machine takes minutes to start one.
PATIENCE = 600
STAGES = ("learn", "dream", "tune")


@dataclass(frozen=True)
class Setting:
    """A study and what is done to it.

    Attributes:
        name: What it is called in the figures.
        changes: The study's keys.
        weapons: Names of `Violence` methods; drawn in turn.
        nodes: Whether it runs on a cluster of several nodes, in a process apart.
        ordered: Whether one arm runs at a time, so that everything is determined.
    """

    name: str
    changes: dict[str, Any]
    weapons: tuple[str, ...]
    nodes: bool = False
    ordered: bool = False


@dataclass
class Figures:
    """What came of it.

    Attributes:
        kills: How often something was done, by weapon.
        arms: Arms of the study.
        stopped: Those that early stopping ended, in both runs where there are no differences.
        epochs: Epochs trained by the undisturbed run.
        extra: Epochs trained beyond that by the disturbed one.
        again: Epochs that an arm trained again, by the weapon used last before. What several arms share may be trained
            again by another one, and then counts in ``extra`` alone.
        twice: Arms that were trained again after their end had been written.
        last_again: Arms that trained their last epoch again, as their end had not been written.
        resumes: How often the driver had to be started again.
        hung: How often it made no progress and had to be ended.
        seconds: Of the disturbed run, over all its drivers.
        peaceful: Of the undisturbed one.
        differences: What is not as in the undisturbed run; empty is good.
    """

    kills: Counter[str] = field(default_factory=Counter)
    arms: int = 0
    stopped: int = 0
    epochs: int = 0
    extra: int = 0
    again: Counter[str] = field(default_factory=Counter)
    twice: int = 0
    last_again: int = 0
    resumes: int = 0
    hung: int = 0
    seconds: float = 0.0
    peaceful: float = 0.0
    differences: list[str] = field(default_factory=list)

    @property
    def extra_a_kill(self) -> float:
        """Share of the study's epochs that a kill cost, on average."""
        return self.extra / max(self.epochs, 1) / max(self.kills.total(), 1)

    def shown(self) -> dict[str, Any]:
        """For a table or JSON."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in ("kills", "again")}
        by = {
            name: {"kills": number, "epochs_again": self.again[name], "a_kill": self.again[name] / number}
            for name, number in self.kills.items()
        }
        return {"kills": self.kills.total(), "by": by, "extra_a_kill": self.extra_a_kill, **plain}


def undergo(setting: Setting, folder: Path, *, kills: int, seed: int, peace: Path | None = None) -> Figures:
    """Run a study in peace and under violence, and compare.

    Args:
        setting: The study and what is done to it.
        folder: Where both are run.
        kills: How often something is done to it.
        seed: Of the moments and the victims.
        peace: An undisturbed run of the same study, where there is one.
    """
    figures = Figures()
    calm = peace or folder / "calm"
    if peace is None:
        begun = time.monotonic()
        with _world(setting, calm) as world:
            _endure(world, lambda trained: None)
        figures.peaceful = time.monotonic() - begun
    begun = time.monotonic()
    with _world(setting, folder / "rough") as world:
        figures.epochs = _trained(calm)
        violence = Violence(world, figures, setting.weapons, random.Random(seed), kills)
        figures.resumes = _endure(world, violence)
    figures.seconds = time.monotonic() - begun
    _compare(setting, calm, folder / "rough", figures, violence.marks)
    return figures


@dataclass
class World:
    """A study's folder, its driver and its cluster, as far as it is apart."""

    folder: Path
    changes: dict[str, Any]
    cluster: subprocess.Popen[str] | None = None
    address: str = ""
    driver: subprocess.Popen[str] | None = None
    seen: dict[int, float] = field(default_factory=dict)

    @property
    def run(self) -> Path:
        """The run folder."""
        return self.folder / "runs" / "tiny"

    def start(self) -> subprocess.Popen[str]:
        """Begin or go on."""
        self.folder.mkdir(parents=True, exist_ok=True)
        environment = _environment(self.folder) | ({"RAY_ADDRESS": self.address} if self.address else {})
        with (self.folder / "driver.log").open("a") as log:
            self.driver = subprocess.Popen(
                [sys.executable, str(ENGINE / "drive_tiny.py"), str(self.folder), json.dumps(self.changes)],
                env=environment,
                stdout=log,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        return self.driver

    def processes(self) -> list[psutil.Process]:
        """Of the driver and of the cluster, all the way down."""
        found: list[psutil.Process] = []
        for root in (self.driver, self.cluster):
            if root is not None and psutil.pid_exists(root.pid):
                found += psutil.Process(root.pid).children(recursive=True)
        for each in found:
            self.seen.setdefault(each.pid, each.create_time())
        return found

    def clear(self) -> None:
        """End what our own drivers left behind: orphans that have not noticed yet."""
        for pid, created in self.seen.items():
            try:
                process = psutil.Process(pid)
                if process.create_time() == created:
                    process.kill()
            except psutil.NoSuchProcess:
                continue
        self.seen.clear()


@dataclass(frozen=True)
class Mark:
    """A moment at which something was done: with what, after how many epochs, and which arms were over."""

    weapon: str
    trained: int
    over: frozenset[str]


class Violence:
    """Does something to a run now and then; to be asked again and again while it runs.

    Attributes:
        marks: What was done when.
    """

    def __init__(self, world: World, figures: Figures, weapons: tuple[str, ...], draw: random.Random, kills: int):
        self._world, self._figures, self._draw = world, figures, draw
        last = max(1, figures.epochs - 2)
        self._moments = sorted(draw.choices(range(1, last), k=kills)) if last > 1 else []
        self._weapons = [weapons[n % len(weapons)] for n in range(kills)]
        draw.shuffle(self._weapons)
        self.marks: list[Mark] = []

    def __call__(self, trained: int) -> None:
        """Look how far the run is.

        Args:
            trained: Epochs trained so far.
        """
        if not self._moments or trained < self._moments[0]:
            return
        time.sleep(self._draw.uniform(0, 0.1))
        over = _over(self._world.run)
        # Counted after that: whatever an arm that is over trained has been trained by now.
        mark = Mark(self._weapons[0], _trained(self._world.folder), over)
        if getattr(self, mark.weapon)():
            self.marks.append(mark)
            self._figures.kills[self._weapons.pop(0)] += 1
            self._moments.pop(0)

    def driver(self) -> bool:
        """Kill the driver."""
        assert self._world.driver is not None
        self._world.processes()
        self._world.driver.kill()
        self._world.driver.wait()
        return True

    def worker(self) -> bool:
        """Kill one of Tune's workers."""
        return self._one_of("ray::ArmTrainable")

    def trainer(self) -> bool:
        """Kill a trainer that several workers share."""
        return self._one_of("ray::Trainer")

    def raylet(self) -> bool:
        """Kill Ray's daemon on the only node."""
        return self._one_of("raylet")

    def node(self) -> bool:
        """Kill a node, and everything on it."""
        cluster = self._world.cluster
        assert cluster is not None
        assert cluster.stdin is not None
        assert cluster.stdout is not None
        cluster.stdin.write("lose\n")
        cluster.stdin.flush()
        return cluster.stdout.readline().strip() == "lost"

    def stages(self) -> bool:
        """Take the folder of stages away for a while."""
        return self._away(self._world.run.parent / ".stages")

    def storage(self) -> bool:
        """Take the folder of runs away for a while, stages and all."""
        return self._away(self._world.run.parent)

    def _one_of(self, title: str) -> bool:
        able = [each for each in self._world.processes() if _title(each).startswith(title)]
        if not able:
            return False
        self._draw.choice(sorted(able, key=lambda each: each.pid)).kill()
        return True

    def _away(self, folder: Path) -> bool:
        """A file in its place lets nothing be read, written or made there, even by root."""
        aside = folder.with_name(folder.name + ".away")
        if not folder.is_dir():
            return False
        aside.touch()
        # At once: between two steps a worker might make the folder anew.
        _exchange(folder, aside)
        time.sleep(self._draw.uniform(0.3, 2.0))
        _exchange(folder, aside)
        aside.unlink()
        return True


def _exchange(one: Path, other: Path) -> None:
    """Swap two names, for which Python has no function."""
    here, swap = -100, 2
    if ctypes.CDLL(None, use_errno=True).renameat2(here, bytes(one), here, bytes(other), swap):
        raise OSError(ctypes.get_errno(), f"{one} and {other} cannot be swapped")


def _title(process: psutil.Process) -> str:
    try:
        return Path(process.cmdline()[0]).name if process.cmdline() else ""
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return ""


@contextmanager
def _world(setting: Setting, folder: Path) -> Iterator[World]:
    world = World(folder, setting.changes)
    folder.mkdir(parents=True)
    if setting.nodes:
        world.cluster = subprocess.Popen(
            [sys.executable, str(HERE / "nodes.py")],
            env=_environment(folder) | {"RAY_AUTH_MODE": "token"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(folder / "cluster.log").open("a"),
            text=True,
            start_new_session=True,
        )
        assert world.cluster.stdout is not None
        world.address = world.cluster.stdout.readline().strip()
    try:
        yield world
    finally:
        world.processes()
        if world.driver is not None and world.driver.poll() is None:
            world.driver.kill()
            world.driver.wait()
        if world.cluster is not None:
            world.cluster.kill()
            world.cluster.wait()
        world.clear()


def _environment(folder: Path) -> dict[str, str]:
    own = {"PYTHONPATH": PYTHONPATH, "TINY_EPOCHS": str(folder / "epochs.txt"), "OMP_NUM_THREADS": "1"}
    return {**os.environ, **own}


def _endure(world: World, violence: Callable[[int], None]) -> int:
    """Start the driver until it is through; how often it had to be started again."""
    starts = 0
    while True:
        driver = world.start()
        starts += 1
        progress, since = -1, time.monotonic()
        while driver.poll() is None:
            trained = _trained(world.folder)
            if trained != progress:
                progress, since = trained, time.monotonic()
            elif time.monotonic() - since > PATIENCE:
                raise AssertionError(f"no progress for {PATIENCE} s:\n{_last_words(world)}")
            violence(trained)
            time.sleep(0.02)
        if driver.returncode == 0 and read_status(world.run)["state"] == "finished":
            return starts - 1
        if starts > 200:
            raise AssertionError(f"it does not come to an end:\n{_last_words(world)}")


def _last_words(world: World) -> str:
    files = [world.folder / "driver.log", world.run / "sweeper.log"]
    return "\n".join("".join(path.read_text().splitlines(keepends=True)[-30:]) for path in files if path.exists())


def _trained(folder: Path) -> int:
    path = folder / "epochs.txt"
    return path.stat().st_size // LINE if path.exists() else 0


def _over(run: Path) -> frozenset[str]:
    """Ids of the arms whose end is written."""
    trials = run / "trials.parquet"
    found = set(pd.read_parquet(trials, columns=["arm"])["arm"]) if trials.exists() else set()
    with suppress(OSError, InputError):
        found |= {event["trial"]["arm"] for event in read_journal(run) if event["event"] == "finish"}
    return frozenset(found)


def _compare(setting: Setting, calm: Path, rough: Path, figures: Figures, marks: list[Mark]) -> None:
    lines = (rough / "epochs.txt").read_text().split("\n")[:-1]
    figures.extra = len(lines) - figures.epochs
    ends = Counter(line for line in lines if line.split()[1] == "t" and int(line.split()[2]) == _last(setting))
    figures.last_again = sum(number > 1 for number in ends.values())
    before, after = (_tables(folder / "runs" / "tiny", setting) for folder in (calm, rough))
    _blame(lines, marks, after["trials"], figures)
    figures.arms, figures.stopped = len(after["trials"]), int((after["trials"]["status"] == "stopped").sum())
    for name, table in before.items():
        if not table.equals(after[name]):
            figures.differences.append(_difference(name, table, after[name]))


def _blame(lines: list[str], marks: list[Mark], trials: pd.DataFrame, figures: Figures) -> None:
    """Epochs that were trained again, by what was done last before; and arms that were though they were over."""
    names = {arm: who(Config.model_validate_json(config)) for arm, config in trials[["arm", "config"]].to_numpy()}
    seen: set[str] = set()
    twice: set[str] = set()
    ahead, over, weapon = list(marks), frozenset[str](), "nothing"
    for number, line in enumerate(lines):
        while ahead and ahead[0].trained <= number:
            mark = ahead.pop(0)
            weapon, over = mark.weapon, frozenset(names[arm] for arm in mark.over)
        figures.again[weapon] += line in seen
        twice |= {line.split()[0]} & over
        seen.add(line)
    figures.twice = len(twice)


def _last(setting: Setting) -> int:
    return int(setting.changes.get("config", {}).get("tune.epochs", 3))


def _tables(run: Path, setting: Setting) -> dict[str, pd.DataFrame]:
    found = {}
    for name in SCHEMAS:
        table = pd.read_parquet(run / f"{name}.parquet")
        table = table.drop(columns=CLOCKS + ([] if setting.ordered else ORDERS), errors="ignore").astype(object)
        # Lists as text, which can be compared and sorted.
        table = table.map(lambda value: str(value.tolist()) if hasattr(value, "tolist") else str(value))
        found[name] = table if setting.ordered else table.sort_values(list(table.columns)).reset_index(drop=True)
    return found


def _difference(name: str, before: pd.DataFrame, after: pd.DataFrame) -> str:
    if before.shape != after.shape:
        return f"{name}: {before.shape} rows and columns, now {after.shape}"
    wrong = before != after
    columns = [column for column in before if wrong[column].any()]
    row = int(wrong.any(axis=1).to_numpy().argmax())
    return f"{name}: {int(wrong.any(axis=1).sum())} rows differ in {columns}; row {row}: {before.iloc[row].to_dict()}"
