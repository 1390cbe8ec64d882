"""What a stage depends on, as a key: two arms share a stage exactly where they must give equal artifacts.

A key covers

- the method's name and version, and the stage before with all it depends on;
- the config fields that the stage declares (`Stage.depends`), and the content of what the config names outside
  itself (`Method.outside`);
- the task: corpus content and columns, fold indices, seeds (`digest`);
- the source code of the method and of every module of its package and of `trainables` that it imports, directly
  or not (`source`): whoever edits a loss gets no artifact of before the edit, comments and all;
- the versions of the libraries that compute, the kind of device, the machine's architecture and torch's numeric
  settings (`numerics`).

Not covered is what changes rounding at most: the model of the CPU or GPU, the number of threads, and which arms
were trained beside. Keys are for files that can be trained again: a key that says too much costs time only.
"""

from __future__ import annotations

import ast
import hashlib
import json
import platform
import sys
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel

from sweeper.artifacts.packing import FORMAT
from trainables.methods import Method
from trainables.task import Task

_COMPUTING = ("torch", "numpy", "scipy", "scikit-learn", "zuko")


def digest(task: Task) -> str:
    """The identity of a task as 16 hex digits: corpus content, columns, fold indices and seeds."""
    corpus = task.corpus
    content = hashlib.sha256(json.dumps([corpus.fingerprint, dict(corpus.columns), task.seeds]).encode())
    for fold in task.folds:
        content.update(fold.name.encode())
        for part in (fold.train, fold.dev, fold.test, fold.unlabeled):
            content.update(np.asarray([len(part)], dtype=np.int64).tobytes())
            content.update(np.ascontiguousarray(part, dtype=np.int64).tobytes())
    return content.hexdigest()[:16]


def keys(method: Method, config: BaseModel, task_digest: str, device: str = "", matmul: str = "") -> dict[str, str]:
    """The key of every active stage.

    Args:
        method: The method.
        config: A config of it.
        task_digest: See `digest`.
        device: Kind of device it is trained on, ``cpu`` or ``cuda``; this process's own if left out.
        matmul: Precision of matrix products (torch's name); this process's own if left out.

    Returns:
        Stage name -> ``method-stage-`` and 20 hex digits, in the order of the stages.
    """
    tree = config.model_dump(mode="json")
    outside = [*method.outside(config)]
    machine = numerics(device, matmul)
    content: list[Any] = [FORMAT, method.name, method.version, source(method), machine, task_digest, outside]
    found: dict[str, str] = {}
    for stage in method.active(config):
        content.append([stage.name, {path: _value(tree, path) for path in stage.depends}])
        text = json.dumps(content, sort_keys=True)
        found[stage.name] = f"{method.name}-{stage.name}-{hashlib.sha256(text.encode()).hexdigest()[:20]}"
    return found


def numerics(device: str = "", matmul: str = "") -> list[Any]:
    """What of libraries, machine and settings changes numbers."""
    return [
        device or ("cuda" if torch.cuda.is_available() else "cpu"),
        platform.machine(),
        _versions(),
        str(torch.get_default_dtype()),
        matmul or torch.get_float32_matmul_precision(),
        torch.backends.cudnn.allow_tf32,
    ]


def source(method: Method) -> str:
    """A hash of the code that a method is made of, as it was when this process first asked."""
    parts = (method.config, method.predict, *(stage.run for stage in method.stages))
    return _source(frozenset({"trainables.lockstep", *(part.__module__ for part in parts)}))


@cache
def _source(modules: frozenset[str]) -> str:
    content = hashlib.sha256()
    for name, path in sorted(_closure(modules).items()):
        content.update(f"{name} {path.stat().st_size} ".encode())
        content.update(path.read_bytes())
    return content.hexdigest()


@cache
def _versions() -> tuple[str, ...]:
    return tuple(f"{name} {metadata.version(name)}" for name in _COMPUTING)


def _closure(modules: Iterable[str]) -> dict[str, Path]:
    """The files of modules and of all that they import of their own packages and of `trainables`, by module name."""
    found: dict[str, Path] = {}
    waiting = [each for name in modules for each in _around(name)]
    ours = {name.partition(".")[0] for name in waiting}
    while waiting:
        name = waiting.pop()
        path = _file(name)
        if name not in found and path is not None:
            found[name] = path
            waiting += [each for each in _imports(name, path) if each.partition(".")[0] in ours]
    return found


@cache
def _file(name: str) -> Path | None:
    """The file of a module; None for what is no module of Python code (a function that was imported by name)."""
    loaded = getattr(sys.modules.get(name), "__file__", None)
    try:
        spec = None if loaded else find_spec(name)
    except (ModuleNotFoundError, ValueError):
        return None
    origin = loaded or (spec.origin if spec else None)
    return Path(origin) if origin and origin.endswith(".py") else None


@cache
def _imports(module: str, path: Path) -> frozenset[str]:
    """Every name that a file may import as a module, wherever in it; the packages around a module count too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            found.update(each for alias in node.names for each in _around(alias.name))
        elif isinstance(node, ast.ImportFrom):
            base = _base(module, path, node)
            found.update(_around(base), (f"{base}.{alias.name}" for alias in node.names))
    return frozenset(found)


def _base(module: str, path: Path, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = module.split(".")
    parts = parts[: len(parts) - node.level + (path.name == "__init__.py")]
    return ".".join([*parts, *([node.module] if node.module else [])])


def _around(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts) + 1)]


def _value(tree: dict[str, Any], path: str) -> Any:
    value: Any = tree
    for name in path.split("."):
        value = value[name]
    return value
