"""A small task made here: 4 sessions, 3 classes, missing and unlabeled rows; and ways to change it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from trainables.corpus import Corpus
from trainables.protocols import Fold
from trainables.task import Task

torch.set_num_threads(1)  # networks this small only wait for more

CLASSES = ("angry", "neutral", "sad")


def small_corpus(utterances: int = 160, seed: int = 0) -> Corpus:
    rng = np.random.default_rng(seed)
    labels = rng.choice(3, utterances, p=[0.25, 0.45, 0.3])
    latent = np.eye(3)[labels] + 0.35 * rng.standard_normal((utterances, 3))
    features = {
        "audio": np.c_[latent @ rng.standard_normal((3, 9)), rng.standard_normal((utterances, 3))],
        "text": latent @ rng.standard_normal((3, 8)) + 0.3 * rng.standard_normal((utterances, 8)),
    }
    features = {name: array.astype(np.float32) for name, array in features.items()}
    features["audio"][7], features["text"][[3, 11, 50]] = np.nan, np.nan
    labels[[20, 90]] = -1
    session = np.arange(utterances) % 4
    speaker = 2 * session + (np.arange(utterances) // 4) % 2
    table = pd.DataFrame(
        {
            "utterance_id": [f"u{index:04d}" for index in range(utterances)],
            "speaker": [f"spk{number}" for number in speaker],
            "session": [f"ses{number}" for number in session],
            "dialogue": [f"dia{index // 10}" for index in range(utterances)],
            "turn": np.arange(utterances) % 10,
            "label": [CLASSES[label] if label >= 0 else None for label in labels],
        }
    )
    return Corpus(
        name="small",
        utterances=table,
        features=features,
        present={name: ~np.isnan(array).all(1) for name, array in features.items()},
        labels=labels.astype(np.int64),
        classes=CLASSES,
        columns={"audio": "audio_made9", "text": "text_made8"},
        fingerprint="small",
        warnings=(),
    )


@pytest.fixture(scope="session")
def small_task() -> Task:
    corpus = small_corpus()
    session, speaker = (corpus.utterances[name].to_numpy() for name in ("session", "speaker"))
    labeled = corpus.labels >= 0
    folds = []
    for number in range(3):
        test, dev = session == f"ses{number}", speaker == f"spk{2 * ((number + 1) % 4)}"
        parts = (labeled & ~test & ~dev, labeled & dev, labeled & test, ~labeled & ~test & ~dev)
        folds.append(Fold.make(f"ses{number}", corpus, *map(np.flatnonzero, parts)))
    return Task(corpus, tuple(folds), (0, 1))


@pytest.fixture(scope="session")
def one_row() -> Callable[[Task, int], Task]:
    def cut(task: Task, row: int) -> Task:
        fold, seed = task.rows[row]
        return Task(task.corpus, (fold,), (seed,))

    return cut


@pytest.fixture(scope="session")
def with_features() -> Callable[..., Corpus]:
    def change(corpus: Corpus, **features: np.ndarray) -> Corpus:
        return replace(corpus, features={**corpus.features, **features})

    return change


@pytest.fixture(scope="session")
def without_modality() -> Callable[[Task, str], Task]:
    def drop(task: Task, modality: str) -> Task:
        kept = {name: array for name, array in task.corpus.features.items() if name != modality}
        return Task(replace(task.corpus, features=kept), task.folds, task.seeds)

    return drop


@pytest.fixture(scope="session")
def shuffle_test_labels() -> Callable[[Task], Task]:
    """Shuffle the labels of the first fold's test part, in a task of that fold alone."""

    def shuffle(task: Task) -> Task:
        corpus, fold = task.corpus, task.folds[0]
        labels = corpus.labels.copy()
        labels[fold.test] = np.random.default_rng(1).permutation(labels[fold.test])
        return Task(replace(corpus, labels=labels), (fold,), task.seeds)

    return shuffle
