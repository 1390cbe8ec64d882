"""A corpus of short recordings whose class can be heard and read, and tiny encoders to tune on it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("transformers", reason="the extra encoders is not installed")
pytest.importorskip("accelerate", reason="the extra encoders is not installed")
pytest.importorskip("peft", reason="the extra encoders is not installed")

import soundfile
import tiny_encoders
import torch

from trainables import corpus as corpora
from trainables.corpus import Corpus
from trainables.mi_infogan.config import Config
from trainables.protocols import Fold
from trainables.task import Task

torch.set_num_threads(1)  # networks this small only wait for more

RATE = 16_000
#: Class -> pitch in Hz and words.
CLASSES = {"angry": (220.0, "you are not angry"), "happy": (700.0, "i am so happy"), "sad": (2200.0, "very sad today")}


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Folder of a tiny encoder by name, without dropout, made once."""
    base, made = tmp_path_factory.mktemp("encoders"), {}

    def find(name: str) -> str:
        if name not in made:
            folder = {**tiny_encoders.AUDIO, **tiny_encoders.TEXT}[name](base / name)
            settings = json.loads((folder / "config.json").read_text())
            without = {key: 0.0 for key, value in settings.items() if "dropout" in key and isinstance(value, float)}
            (folder / "config.json").write_text(json.dumps(settings | without))
            made[name] = str(folder)
        return made[name]

    return find


def write_corpus(folder: Path, utterances: int = 36) -> Path:
    """Recordings of 0.3 to 0.5 s; one utterance has none, one has no transcript, one no label."""
    rng = np.random.default_rng(0)
    (folder / "wav").mkdir(parents=True)
    labels = np.array([*CLASSES])[np.arange(utterances) % 3]
    rows = []
    for number, label in enumerate(labels):
        pitch, words = CLASSES[label]
        time = np.arange(round((0.3 + 0.2 * rng.random()) * RATE)) / RATE
        wave = 0.4 * np.sin(2 * np.pi * pitch * (0.95 + 0.1 * rng.random()) * time)
        soundfile.write(folder / "wav" / f"{number:02}.wav", wave + 0.02 * rng.standard_normal(len(time)), RATE)
        rows.append({"recording": f"wav/{number:02}.wav", "duration": len(time) / RATE, "transcript": words})
    table = pd.DataFrame(rows)
    table["utterance_id"] = [f"u{number:02}" for number in range(utterances)]
    table["speaker"] = [f"spk{number // 3 % 4}" for number in range(utterances)]
    table["label"] = labels
    table.loc[1, "recording"], table.loc[4, "transcript"], table.loc[7, "label"] = None, None, None
    table.to_parquet(folder / "main.parquet")
    return folder


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("heard") / "corpus")


@pytest.fixture(scope="session")
def heard(folder: Path) -> Corpus:
    return corpora.load(folder)


@pytest.fixture(scope="session")
def task(heard: Corpus) -> Task:
    """Two folds, one seed."""
    speakers, labeled = heard.speakers, heard.labels >= 0
    folds = []
    for number in range(2):
        test, dev = speakers == f"spk{number}", speakers == f"spk{number + 1}"
        parts = (labeled & ~test & ~dev, labeled & dev, labeled & test, ~labeled & ~test & ~dev)
        folds.append(Fold.make(f"spk{number}", heard, *map(np.flatnonzero, parts)))
    return Task(heard, tuple(folds), (0,))


@pytest.fixture(scope="session")
def config(encoder: Callable[[str], str]) -> Callable[..., Config]:
    """Settings of two epochs over tiny encoders: ``config("ast", text="bert", train="lora", tuning={...})``."""

    def make(audio: str | None = "ast", text: str | None = None, *, tuning: dict | None = None, **changes) -> Config:
        named = {"encoder": audio and encoder(audio), "text_encoder": text and encoder(text)}
        small = {"epochs": 2, "batch_size": 8, "feature_dim": None, "hidden": (6,)}
        fast = {"learning_rate": 5e-3, "dropout": 0.0, "max_seconds": 0.45}
        return Config.model_validate(
            {
                "align": named | small | changes | {"tuning": fast | (tuning or {})},
                "generate": {"epochs": 1, "noise_dim": 3},
                "augment": {"epochs": 1},
            }
        )

    return make
