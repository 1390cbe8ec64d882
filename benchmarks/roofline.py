"""What a training step costs, and could cost at best on this device: `python benchmarks/roofline.py --corpus DIR`.

Counts the operations of one epoch of each stage of `mi_infogan` (multiply-adds of matrix products, and the bytes that
all operations read and write if nothing stays in a cache), measures what the device does with large products and
copies, and so bounds the epoch from below: by arithmetic, and by memory traffic. Then the epoch is timed, for one arm
and for several side by side.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).parent))

from search_spaces.change import apply
from sweeper import plan
from sweeper.study import load
from trainables import methods
from trainables.epoch import Tensors
from trainables.lockstep import Lockstep, Seat
from trainables.prepared import default_device
from trainables.task import Task

ROOT = Path(__file__).parents[1]
#: Operations that only look at memory in another way.
_VIEWS = ("view", "expand", "transpose", "t", "detach", "alias", "unsqueeze", "squeeze", "select", "slice", "permute")


class Bytes(TorchDispatchMode):
    """Adds up the bytes of all that operations read and write."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func.overloadpacket.__name__.strip("_") not in _VIEWS:
            tensors = [each for each in tree_leaves((args, kwargs, out)) if isinstance(each, torch.Tensor)]
            self.total += sum(each.numel() * each.element_size() for each in tensors)
        return out


def timed(work: Callable[[], Any], times: int = 3) -> float:
    """The shortest of some runs, in seconds, the device waited for."""
    found = []
    for _ in range(times):
        _wait()
        begun = time.perf_counter()
        work()
        _wait()
        found.append(time.perf_counter() - begun)
    return min(found)


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def peak(device: torch.device) -> tuple[float, float]:
    """Operations a second in products of matrices, and bytes a second in copies; both far larger than any cache."""
    size = 4096 if device.type == "cuda" else 1024
    a, b = torch.randn(2, size, size, device=device)
    wide = torch.empty(2**28 if device.type == "cuda" else 2**25, device=device)
    other = torch.empty_like(wide)
    return 2 * size**3 / timed(lambda: a @ b, 10), 2 * 4 * len(wide) / timed(lambda: other.copy_(wide), 10)


def stage_rows(task: Task, method: Any, config: Any, arms: list[int]) -> list[dict[str, Any]]:
    """One row a stage and number of arms."""
    found: list[dict[str, Any]] = []
    artifacts: dict[str, Tensors] = {}
    ready = apply(config, {f"{stage.name}.epochs": 1 for stage in method.stages})
    for stage in method.active(config):
        for count in arms:
            stack = Lockstep(stage, task, [Seat(config, dict(artifacts)) for _ in range(count)])
            stack.step()
            with FlopCounterMode(display=False) as flops:
                stack.step()
            with Bytes() as moved:
                stack.step()
            seconds = timed(stack.step)
            work, traffic = flops.get_total_flops() / count, moved.total / count
            found.append(
                {"stage": stage.name, "arms": count, "flop": work, "bytes": traffic, "seconds": seconds / count}
            )
        *_, last = stage.run(ready, task, dict(artifacts), None)
        artifacts[stage.name] = last.artifact or {}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", required=True, help="the corpus's folder")
    parser.add_argument("--study", default=str(ROOT / "studies" / "iemocap_mi_infogan.yaml"))
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as of `sweeper run`")
    parser.add_argument("--arms", type=int, nargs="+", default=[1, 2, 4], help="how many side by side")
    parser.add_argument("--threads", type=int, default=1, help="of torch, on a CPU")
    parser.add_argument("--out", type=Path, help="write the results here (JSON)")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    study = load(asked.study, [f"corpus={asked.corpus}", *asked.set])
    corpus = plan.corpus_of(study)
    planned = plan.make(study, corpus)
    task, method = Task(corpus, planned.folds, study.seeds), methods.get(study.method)
    device = default_device()
    operations, bandwidth = peak(device)
    print(f"{device}: {operations / 1e9:.0f} GFLOP/s in products, {bandwidth / 1e9:.1f} GB/s in copies")
    print("stage      arms  GFLOP    GB  s an epoch  arithmetic  traffic  share of the bound")
    rows = stage_rows(task, method, planned.study.method_config(), asked.arms)
    for row in rows:
        row |= {"arithmetic": row["flop"] / operations, "traffic": row["bytes"] / bandwidth}
        row["share"] = max(row["arithmetic"], row["traffic"]) / row["seconds"]
        print(
            f"{row['stage']:10s} {row['arms']:4d} {row['flop'] / 1e9:6.1f} {row['bytes'] / 1e9:5.1f} "
            f"{row['seconds']:11.3f} {row['arithmetic']:11.3f} {row['traffic']:8.3f} {row['share']:19.0%}"
        )
    if asked.out:
        about = {"device": str(device), "flop_per_s": operations, "bytes_per_s": bandwidth, "torch": torch.__version__}
        asked.out.write_text(json.dumps(about | {"rows": rows}, indent=1))


if __name__ == "__main__":
    main()
