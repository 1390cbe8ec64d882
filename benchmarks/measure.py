"""What a command costs: seconds, CPU-seconds and memory of all its processes; and the machine it ran on."""

from __future__ import annotations

import os
import platform
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: Seconds between two looks at the processes; memory is looked at every so many looks, which is dearer.
EVERY, MEMORY = 0.25, 8


@dataclass
class Cost:
    """What a command cost.

    Attributes:
        seconds: From its start to its end.
        cpu_seconds: Of all its processes, as last seen of each.
        memory: Largest sum over its processes at one time, MiB, pages that several share counted once (PSS).
        resident: The same with shared pages counted in each (RSS); None where psutil is not there.
        began: When it was started, seconds since 1970.
        ended: When it was over.
    """

    seconds: float
    cpu_seconds: float | None = None
    memory: float | None = None
    resident: float | None = None
    began: float = 0.0
    ended: float = 0.0


@dataclass
class _Seen:
    cpu: dict[tuple[int, float], float] = field(default_factory=dict)
    memory: float = 0.0
    resident: float = 0.0


def call(command: Sequence[str | Path], log: Path, **environment: str) -> Cost:
    """Run a command in an empty folder of its own; its output goes to a file.

    Raises:
        RuntimeError: If it fails; with the last of what it printed.
    """
    at, begun = time.time(), time.perf_counter()
    with log.open("w") as out:
        process = subprocess.Popen(
            list(map(str, command)), stdout=out, stderr=out, cwd=log.parent, env=os.environ | environment
        )
        seen, over = _Seen(), threading.Event()
        watcher = threading.Thread(target=_watch, args=(process.pid, seen, over), daemon=True)
        watcher.start()
        try:
            code = process.wait()
        except BaseException:
            process.terminate()
            process.wait()
            raise
        finally:
            over.set()
            watcher.join()
    if code:
        raise RuntimeError(f"{' '.join(map(str, command))}: exit {code}\n" + log.read_text()[-3000:])
    known = bool(seen.cpu)
    return Cost(
        seconds=time.perf_counter() - begun,
        cpu_seconds=sum(seen.cpu.values()) if known else None,
        memory=seen.memory if known else None,
        resident=seen.resident if known else None,
        began=at,
        ended=time.time(),
    )


def _watch(pid: int, seen: _Seen, over: threading.Event) -> None:
    try:
        import psutil
    except ImportError:
        return
    looks = 0
    while not over.wait(EVERY):
        with suppress(psutil.NoSuchProcess):
            root = psutil.Process(pid)
            _look([root, *root.children(recursive=True)], seen, memory=looks % MEMORY == 0)
        looks += 1


def _look(processes: Sequence[Any], seen: _Seen, *, memory: bool) -> None:
    import psutil

    shared = resident = 0.0
    for process in processes:
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            times = process.cpu_times()
            seen.cpu[process.pid, process.create_time()] = times.user + times.system
            if memory:
                full = process.memory_full_info()
                shared += getattr(full, "pss", full.uss) / 2**20
                resident += full.rss / 2**20
    seen.memory, seen.resident = max(seen.memory, shared), max(seen.resident, resident)


def machine() -> dict[str, Any]:
    """Processor, cores, GPU, and versions of what is measured."""
    import torch

    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
        "gpu": gpu,
        "python": platform.python_version(),
        "versions": _versions(("torch", "ray", "optuna", "numpy", "sweeper")),
    }


def _cpu() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _versions(names: Sequence[str]) -> Mapping[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in names:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
