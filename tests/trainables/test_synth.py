from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainables import corpus as corpora
from trainables import metrics, synth
from trainables.corpus import Corpus
from trainables.errors import InputError
from trainables.protocols import Protocol, cut
from trainables.task import Task

_ALL = ("audio", "text", "video")


@pytest.fixture(scope="module")
def builtin() -> Corpus:
    return corpora.load("builtin")


@pytest.mark.parametrize("modalities", [("audio", "text"), _ALL])
def test_what_is_written_loads_as_what_is_made(tmp_path: Path, modalities: tuple[str, ...]) -> None:
    for seed in (0, 3):
        folder = synth.write(tmp_path / str(seed), seed, modalities=modalities)
        corpus = corpora.load(folder)
        assert tuple(corpus.features) == modalities
        made = synth.make(seed, modalities=modalities)
        for column in (each for each in made.column_names if each not in corpus.columns.values()):
            assert made[column].equals(synth.make(seed, modalities=modalities)[column])
        assert corpus.utterances["utterance_id"].tolist() == sorted(made["utterance_id"].to_pylist())
    assert corpora.load(tmp_path / "0").fingerprint != corpora.load(tmp_path / "3").fingerprint


def test_the_built_in_corpus_is_the_written_one(tmp_path: Path, builtin: Corpus) -> None:
    assert corpora.load(synth.write(tmp_path)).fingerprint == builtin.fingerprint
    assert "**Useful: the alignment" in (tmp_path / "SOURCE.md").read_text()
    assert synth.write(tmp_path) == tmp_path


def test_it_has_what_real_corpora_have(builtin: Corpus) -> None:
    table = builtin.utterances
    assert builtin.warnings == ()
    assert (len(table), table["speaker"].nunique(), table["session"].nunique()) == (768, 12, 6)
    assert (table.groupby("session")["speaker"].nunique() == 2).all()
    assert (table.groupby("dialogue")["session"].nunique() == 1).all()
    assert (table.groupby("dialogue")["turn"].apply(lambda turn: sorted(turn) == list(range(32)))).all()
    assert (builtin.labels < 0).sum() == 77
    assert {name: int((~there).sum()) for name, there in builtin.present.items()} == {"audio": 15, "text": 23}
    assert (builtin.present["audio"] | builtin.present["text"]).all()
    shares = np.bincount(builtin.labels[builtin.labels >= 0]) / 691
    np.testing.assert_allclose(shares, list(synth.SKEW.values()), atol=0.05)


@pytest.mark.parametrize(
    "wrong",
    [
        {"speakers": 7},
        {"dialogues": 25},
        {"turns": 0},
        {"skew": {"angry": 0.5, "sad": 0.6}},
        {"skew": {"angry": 1.0}},
        {"modalities": ("audio", "smell")},
        {"modalities": ()},
        {"missing": {"audio": 0.5, "text": 0.6}},
        {"unlabeled": 1.0},
    ],
)
def test_numbers_that_do_not_fit_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="synth: "):
        synth.make(**wrong)
    with pytest.raises(InputError, match="larger than the feature vectors"):
        synth.Effects(habit_dims=40)
    with pytest.raises(InputError, match="mood"):
        synth.Effects(mood=1.5)


def test_another_corpus_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "mine.parquet").write_bytes(b"precious")
    with pytest.raises(InputError, match=r"already holds mine.parquet"):
        synth.write(tmp_path)
    with pytest.raises(InputError, match="is a file"):
        synth.write(tmp_path / "mine.parquet")


def _separation(values: np.ndarray, group: np.ndarray) -> float:
    """Share of the variance that lies between groups."""
    means = {each: values[group == each].mean(axis=0) for each in set(group)}
    between = np.stack([means[each] for each in group])
    return float(((between - values.mean(axis=0)) ** 2).sum() / ((values - values.mean(axis=0)) ** 2).sum())


def test_video_is_noise_text_knows_the_class_but_no_speaker(tmp_path: Path) -> None:
    corpus = corpora.load(synth.write(tmp_path, modalities=_ALL))
    found = {}
    for modality, by in itertools.product(_ALL, ("label", "speaker")):
        there = corpus.present[modality] & (corpus.labels >= 0)
        group = corpus.utterances[by][there].to_numpy(dtype=object)
        found[modality, by] = _separation(corpus.features[modality][there], group)
    assert found["video", "label"] < 0.02
    assert found["text", "label"] > 10 * found["text", "speaker"]
    assert found["audio", "speaker"] > 5 * found["text", "speaker"]


def _uar(corpus: Corpus, align: dict[str, Any], augment: dict[str, Any]) -> float:
    """Mean test UAR of `mi_infogan` on audio over sessions, two seeds."""
    from trainables import methods

    method = methods.get("mi_infogan")
    config = method.config.model_validate(
        {
            "align": {"epochs": 12, "hidden": (64,), "batch_size": 32, "learning_rate": 3e-3, **align},
            "generate": {"epochs": 10, "noise_dim": 16},
            "augment": {"epochs": 8, **augment},
        }
    )
    task = Task(corpus, cut(corpus, Protocol(kind="leave-one-session-out"))[0], (0, 1))
    artifacts: dict[str, Any] = {}
    scores = 0.0
    for stage in method.active(config):
        for epoch in stage.run(config, task, artifacts, None):
            if epoch.confusions:
                scores = float(metrics.uar(epoch.confusions["test", "audio"]).mean())
        artifacts[stage.name] = epoch.artifact
    return scores


@pytest.fixture
def one_thread() -> Iterator[None]:
    """So small a model only waits for more threads."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_the_planted_truth_is_true_of_the_method(builtin: Corpus) -> None:
    planted = synth.PLANTED
    weights = {"alpha": sum(planted.best) / 4, "beta": sum(planted.best) / 4}
    best = _uar(builtin, weights, {})
    for change in planted.useless:
        augment = {name.removeprefix("augment."): value for name, value in change.items()}
        assert _uar(builtin, weights, augment) == pytest.approx(best, abs=planted.tolerance)
    without = {name.removeprefix("align."): value for name, value in planted.useful.items()}
    assert best - _uar(builtin, without, {"source": "none"}) >= planted.gain
    for outside in (0.05, 10.0):
        assert _uar(builtin, {"alpha": outside, "beta": outside}, {"source": "none"}) < best
