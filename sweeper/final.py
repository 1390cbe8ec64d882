"""Training for keeps: the exported configuration on every labeled utterance, with nothing held out.

No dev part is left to choose an epoch, so each classifying stage trains as many epochs as dev chose on
average in the sweep (``evidence.epochs``), and its last one is kept.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import BaseModel, Field, StrictInt, ValidationError

from search_spaces.change import apply, describe, flatten, paths
from sweeper import __version__, yamlfile
from sweeper.card import model_card
from trainables import corpus as corpora
from trainables import methods
from trainables.corpus import Corpus
from trainables.epoch import Epoch, Tensors
from trainables.errors import InputError
from trainables.methods import Method
from trainables.protocols import Fold
from trainables.task import Task

#: Called with every epoch.
Watch = Callable[[Epoch], None]
#: Raised when what a model folder holds changes.
MODEL_FORMAT = 2
#: What of a model's ``config.json`` belongs to its weights; other keys may be edited.
_SEALED = ("method", "method_version", "config", "classes", "dims", "seeds")


class _Corpus(BaseModel):
    path: str
    where: dict[str, str | list[str]] | None = None
    unlabeled: str | None = None
    fingerprint: str
    columns: Annotated[dict[str, str], Field(min_length=1)]


class _Number(BaseModel):
    mean: float | None
    std: float | None


class _Measured(BaseModel):
    uar: _Number
    war: _Number
    wf1: _Number
    macro_f1: _Number


class _Reference(BaseModel):
    arm: str
    test: _Measured


class _Evidence(BaseModel):
    arm: str
    name: str
    flags: list[str]
    folds: int
    chosen_from: int
    selection: str
    dev: _Measured
    test: _Measured
    epochs: dict[str, Annotated[StrictInt, Field(ge=1)]]
    reference: _Reference | None = None


class _Exported(BaseModel):
    """What of an exported configuration is needed here; `sweeper.export` says what it is."""

    method: str
    method_version: int
    config: dict[str, Any]
    corpus: _Corpus
    seeds: Annotated[list[Annotated[StrictInt, Field(ge=0)]], Field(min_length=1)]
    evidence: _Evidence


def train(
    best: str | Path,
    out: str | Path,
    *,
    corpus: str | None = None,
    seeds: Sequence[int] | None = None,
    split: str | None = None,
    watch: Watch = lambda epoch: None,
) -> Path:
    """Train an exported configuration and write the model folder.

    Args:
        best: A file that `sweeper export` wrote.
        out: Where the model goes; must not hold files of something else.
        corpus: Train on this corpus instead of the sweep's.
        seeds: One model each, averaged in prediction; the sweep's seeds when left out.
        split: Train only on this split of a corpus that has its own.
        watch: Told of every epoch, to show how far it is.

    Returns:
        The folder, with ``model.safetensors``, ``config.json`` and ``README.md``.

    Raises:
        InputError: If the file, the corpus or the split cannot be used.
    """
    content = read_best(best)
    out = Path(out)
    _check_empty(out)
    about = _Corpus.model_validate(content["corpus"])
    data = corpora.read(
        corpus or about.path,
        features=about.columns,
        modalities=tuple(about.columns),
        where=None if corpus else about.where,
        unlabeled=about.unlabeled,
    )
    method = methods.get(content["method"])
    with _inside(f"{best}: config"):
        config = _config(method, content)
    chosen = tuple(seeds or content["seeds"])
    if len(set(chosen)) < len(chosen):
        raise InputError(f"{best}: seeds: must not hold a value twice; export it again")
    task = Task(data, (_everything(data, split),), chosen, final=True)
    method.check(config, data)
    out.mkdir(parents=True, exist_ok=True)  # before hours of training, not after
    artifacts = fit(method, config, task, watch)
    _write(out, artifacts, _about(content, config, data, task, split))
    return out


def fit(method: Method, config: BaseModel, task: Task, watch: Watch = lambda epoch: None) -> dict[str, Tensors]:
    """Run all active stages one after the other and keep what the last epoch of each hands on."""
    torch.set_num_threads(1)  # as in the sweep: equal numbers, and networks this small only wait for more
    artifacts: dict[str, Tensors] = {}
    for stage in method.active(config):
        for epoch in stage.run(config, task, artifacts, None):
            watch(epoch)
            if epoch.artifact is not None:
                artifacts[stage.name] = epoch.artifact
    return artifacts


def read_best(path: str | Path) -> dict[str, Any]:
    """An exported configuration.

    Raises:
        InputError: If the file is none, was damaged, or is of another version of the method.
    """
    content = yamlfile.read(path).data
    try:
        found = _Exported.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{path}: is no exported configuration, {describe(error)}; export it again") from None
    with _inside(str(path)):
        now = methods.get(found.method).version
    if found.method_version != now:
        raise InputError(
            f"{path}: is of version {found.method_version} of {found.method}, this is version {now}: it would not give "
            "what the sweep measured; run the study again"
        )
    return content


@contextmanager
def _inside(place: str) -> Iterator[None]:
    """Name the place of what is refused in the block."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{place}: {error}") from None


def _config(method: Method, content: Mapping[str, Any]) -> BaseModel:
    """The exported config with the number of epochs that dev chose."""
    settings = flatten(content["config"])
    config = apply(method.config(), settings)
    known = paths(config)
    for path in known:
        if path not in settings:  # the default may be another than the chosen value
            raise InputError(f"{path}: is missing; export it again")
    chosen = {f"{stage}.epochs": n for stage, n in content["evidence"].get("epochs", {}).items()}
    return apply(config, {path: n for path, n in chosen.items() if path in known})


def _everything(corpus: Corpus, split: str | None) -> Fold:
    wanted = corpus.labels >= 0
    if split is not None:
        if "split" not in corpus.utterances:
            raise InputError(f"--split {split}: corpus {corpus.name} defines no splits; leave --split out")
        names = corpus.utterances["split"]
        wanted &= (names == split).fillna(False).to_numpy(dtype=bool)
        if not wanted.any():
            known = ", ".join(sorted(names.dropna().unique()))
            raise InputError(f"--split {split}: no labeled utterance is in it; there is {known}")
    return Fold.for_training(corpus, np.flatnonzero(wanted).astype(np.int64))


def _about(
    content: Mapping[str, Any], config: BaseModel, corpus: Corpus, task: Task, split: str | None
) -> dict[str, Any]:
    train = task.folds[0].train
    return {
        "format": MODEL_FORMAT,
        "method": content["method"],
        "method_version": content["method_version"],
        "config": config.model_dump(mode="json"),
        "classes": list(corpus.classes),
        "columns": dict(corpus.columns),
        "dims": {modality: int(values.shape[1]) for modality, values in corpus.features.items()},
        "seeds": list(task.seeds),
        "trained_on": {
            "corpus": corpus.name,
            "where": content["corpus"].get("where"),
            "unlabeled": content["corpus"].get("unlabeled"),
            "fingerprint": corpus.fingerprint,
            "same_as_sweep": corpus.fingerprint == content["corpus"]["fingerprint"],
            "split": split,
            "utterances": len(train),
            "counts": {name: int((corpus.labels[train] == i).sum()) for i, name in enumerate(corpus.classes)},
        },
        "evidence": content["evidence"],
        "versions": {
            "sweeper": __version__,
            **{name: version(name) for name in ("torch", "numpy", "safetensors")},
        },
    }


def _write(out: Path, artifacts: Mapping[str, Tensors], about: Mapping[str, Any]) -> None:
    from safetensors.torch import save

    tensors = {
        f"{stage}/{name}": tensor.detach().cpu().contiguous().clone()
        for stage, artifact in artifacts.items()
        for name, tensor in artifact.items()
    }
    weights = save(tensors)
    about = {**about, "seal": seal(about, weights)}
    # `save_file` would make a file that only its owner can read.
    (out / "model.safetensors").write_bytes(weights)
    (out / "config.json").write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (out / "README.md").write_text(model_card(about), encoding="utf-8")


def seal(about: Mapping[str, Any], weights: bytes) -> str:
    """SHA-256 (hex) of a model's weights and of the settings they fit, so that others are refused by name."""
    settings = json.dumps([about[key] for key in _SEALED], sort_keys=True)
    return hashlib.sha256(settings.encode() + b"\0" + weights).hexdigest()


def _check_empty(out: Path) -> None:
    ours = {"model.safetensors", "config.json", "README.md"}
    if out.is_file():
        raise InputError(f"{out}: is a file; name a folder for the model")
    other = sorted(each.name for each in out.iterdir() if each.name not in ours) if out.is_dir() else []
    if other:
        raise InputError(f"{out}: holds other files ({other[0]}); name a new folder for the model")
