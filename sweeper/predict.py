"""Class probabilities from a trained model folder, without Ray."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, Field, StrictInt, ValidationError

from search_spaces.change import apply, describe, flatten
from sweeper import intact
from sweeper.final import MODEL_FORMAT, seal
from trainables import corpus as corpora
from trainables import methods
from trainables.corpus import Corpus
from trainables.epoch import Tensors
from trainables.errors import InputError


class _About(BaseModel):
    """What of ``config.json`` is needed here; `sweeper.final` says what it is."""

    method: str
    method_version: StrictInt
    config: dict[str, Any]
    classes: Annotated[list[str], Field(min_length=2)]
    columns: Annotated[dict[str, str], Field(min_length=1)]
    dims: Annotated[dict[str, StrictInt], Field(min_length=1)]
    seeds: Annotated[list[StrictInt], Field(min_length=1)]
    seal: str


def predict(model: str | Path, corpus: str | Path, out: str | Path) -> pd.DataFrame:
    """Classify every utterance of a corpus and write the table.

    Args:
        model: A folder that `sweeper train` wrote.
        corpus: A folder of Parquet files (or ``builtin``) with the model's feature columns; its labels play
            no part.
        out: The Parquet file to write.

    Returns:
        What was written: ``utterance_id``, ``prediction``, and ``p_<class>`` (mean probability over seeds).

    Raises:
        InputError: If the model cannot be read or the corpus does not have its features.
    """
    about, artifacts = read(model)
    out = Path(out)
    if out.is_dir():
        raise InputError(f"{out}: is a folder; name the file to write, such as {out / 'predictions.parquet'}")
    data = corpora.load(corpus, features=about["columns"], modalities=tuple(about["columns"]), labeled=False)
    check_fits(about, data)
    method = methods.get(about["method"])
    config = apply(method.config(), flatten(about["config"]))
    probabilities = np.asarray(method.predict(config, artifacts, data), dtype=np.float64)
    table = _table(data, probabilities.mean(axis=0), about["classes"])
    out.parent.mkdir(parents=True, exist_ok=True)
    table.to_parquet(out, index=False)
    return table


def read(model: str | Path) -> tuple[dict[str, Any], dict[str, Tensors]]:
    """What a model folder holds: its ``config.json`` and the artifacts by stage.

    Raises:
        InputError: If it is no model folder, is damaged, or was written by another version of the method or of
            this package.
    """
    model = Path(model)
    for name in ("config.json", "model.safetensors"):
        if not (model / name).is_file():
            raise InputError(f"{model}: is no model folder, {name} is missing; give a folder `sweeper train` wrote")
    about, tensors = _about(model / "config.json"), _tensors(model / "model.safetensors")
    if about["method"] not in methods.METHODS:
        known = ", ".join(methods.METHODS)
        raise InputError(f"{model / 'config.json'}: method: there is no {about['method']!r}; there is {known}")
    now = methods.get(about["method"]).version
    if about["method_version"] != now:
        raise InputError(
            f"{model}: was trained with version {about['method_version']} of {about['method']}, "
            f"this is version {now}; train it again"
        )
    if about["seal"] != seal(about, (model / "model.safetensors").read_bytes()):
        raise InputError(
            f"{model}: model.safetensors is not what was trained with this config.json, one of the two was swapped or "
            "edited; train the model again"
        )
    artifacts: dict[str, Tensors] = {}
    for key, tensor in tensors.items():
        stage, _, name = key.partition("/")
        artifacts.setdefault(stage, {})[name] = tensor
    return about, artifacts


def _about(path: Path) -> dict[str, Any]:
    about = intact.mapping(path, "train the model again")
    if about.get("format") != MODEL_FORMAT:
        raise InputError(f"{path}: is not of a model of format {MODEL_FORMAT}; train the model again")
    try:
        _About.model_validate(about)
    except ValidationError as error:
        raise InputError(f"{path}: {describe(error)}; train the model again") from None
    return about


def _tensors(path: Path) -> Tensors:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise InputError(f"{path}: is damaged ({error}); train the model again") from None


def check_fits(about: dict[str, Any], corpus: Corpus) -> None:
    """Refuse a corpus whose features have other sizes than the model's.

    Raises:
        InputError: Names modality, column, what was found and what is needed.
    """
    for modality, size in about["dims"].items():
        if modality not in corpus.features:
            column = about["columns"][modality]
            raise InputError(f"corpus {corpus.name}: has no {modality} features, the model needs {column}")
        found = corpus.features[modality].shape[1]
        if found != size:
            raise InputError(
                f"corpus {corpus.name}: {corpus.columns[modality]} has {found} values, "
                f"the model needs {size}; extract the features it was trained on"
            )


def _table(corpus: Corpus, probabilities: np.ndarray, classes: list[str]) -> pd.DataFrame:
    """One row an utterance; without the needed features it has no probabilities and no prediction."""
    known = np.isfinite(probabilities).all(axis=1)
    winner = np.where(known, np.nan_to_num(probabilities).argmax(axis=1), 0)
    prediction = pd.array([classes[i] if ok else pd.NA for i, ok in zip(winner, known, strict=True)], dtype="str")
    table = {"utterance_id": corpus.utterances["utterance_id"].to_numpy(), "prediction": prediction}
    for index, name in enumerate(classes):
        table[f"p_{name}"] = probabilities[:, index]
    return pd.DataFrame(table)
