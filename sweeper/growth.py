"""What a cluster may grow to: its autoscaler knows, and Ray 2.60 tells nobody.

`ray up` leaves the file that it was given on the head, with the resources of instance types filled in. Elsewhere
(KubeRay) whoever sets up the cluster says it in an environment variable.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from trainables.errors import InputError

#: Says what there is once all nodes have come, such as ``CPU=32,GPU=8``.
VARIABLE = "SWEEPER_CAPACITY"
#: Where `ray up` leaves its file, in the home of the head.
FILE = "ray_bootstrap_config.yaml"
_STATED = re.compile(r"(CPU|GPU)=(\d{1,6}(?:\.\d{1,6})?)")


def stated() -> dict[str, float]:
    """CPUs and GPUs that the environment states; empty if it states none.

    Raises:
        InputError: If what it states cannot be read.
    """
    text = os.environ.get(VARIABLE, "")
    found = [_STATED.fullmatch(part.strip()) for part in text.split(",")] if text else []
    known = {match[1]: float(match[2]) for match in found if match}
    if len(known) < len(found):
        raise InputError(f"{VARIABLE}: must name CPUs and GPUs, such as CPU=32,GPU=8; found {text[:80]!r}")
    return known


def planned(home: Path) -> dict[str, float]:
    """CPUs and GPUs of the head and of all workers that the file of `ray up` allows; empty where there is none."""
    try:
        config = yaml.safe_load((home / FILE).read_text(encoding="utf-8"))
        return {name: _most(config, name) for name in ("CPU", "GPU")}
    except (OSError, ValueError, yaml.YAMLError, AttributeError, KeyError, TypeError):
        # Ray's own file, not the user's: one that we cannot read says nothing.
        return {}


def _most(config: Mapping[str, Any], resource: str) -> float:
    """The most of a resource that there can be, whichever kinds of nodes come."""
    head, left, found = config["head_node_type"], config["max_workers"] + 1, 0.0
    kinds = config["available_node_types"].items()
    for name, kind in sorted(kinds, key=lambda each: -each[1].get("resources", {}).get(resource, 0)):
        count = min(left, kind.get("max_workers", left) + (name == head))
        found += count * kind.get("resources", {}).get(resource, 0)
        left -= count
    return found
