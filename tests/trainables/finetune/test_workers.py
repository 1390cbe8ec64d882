"""Two workers and one: equal gradients, equal losses, equal results."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import tuning_group

from trainables.errors import InputError
from trainables.finetune.steps import padded, steps_of
from trainables.finetune.workers import Workers, check_precision
from trainables.losses import info_nce

#: The first test waits for two processes that load torch and transformers, on a machine that may be busy.
pytestmark = pytest.mark.timeout(900)
#: Rounding of single precision, sums in another order: share of the largest gradient of a parameter.
CLOSE = 1e-4
#: (encoders and settings, utterances): an even share, a ragged one, one worker with nothing, parts, LoRA in both.
STEPS = {
    "full": ({"audio": "ast", "text": "bert"}, 8),
    "full, ragged": ({"audio": "ast", "text": "bert"}, 7),
    "full, alone": ({"audio": "ast", "text": "bert"}, 1),
    "full, in parts": ({"audio": "wav2vec2", "text": "bert", "tuning": {"accumulate": 2}}, 7),
    "lora": ({"audio": "wav2vec2", "text": "bert", "train": "lora"}, 8),
    "lora, ragged, text too": ({"audio": "ast", "text": "llama", "train": "lora", "text_train": "lora"}, 5),
    "no text": ({"audio": "wav2vec2", "train": "lora", "tuning": {"checkpointing": True}}, 5),
}
#: Whole stages of one row: its train part of 17 leaves a batch of 1 at the end.
STAGES = {
    "full": {"audio": "wav2vec2", "text": "bert"},
    "lora": {"audio": "ast", "text": "llama", "train": "lora", "text_train": "lora", "tuning": {"accumulate": 2}},
}


@pytest.fixture(scope="module")
def jobs(config, task, one_row, without_modality):
    tasks = {True: task, False: without_modality(task, "text")}
    steps = {
        f"step {name}": ("gradients", (config(**given), tasks["text" in given], count))
        for name, (given, count) in STEPS.items()
    }
    stages = {f"stage {name}": ("epochs", (config(**given), one_row(task, 0))) for name, given in STAGES.items()}
    return steps | stages


@pytest.fixture(scope="module")
def two(jobs, tmp_path_factory):
    """What each of two workers found."""
    folder = tmp_path_factory.mktemp("group")
    (folder / "jobs").write_bytes(pickle.dumps(jobs))
    torch.multiprocessing.spawn(tuning_group.work, (2, str(folder)), nprocs=2)
    return [pickle.loads((folder / f"results{rank}").read_bytes()) for rank in range(2)]


@pytest.fixture(scope="module")
def one(jobs):
    return {name: tuning_group.JOBS[kind](*arguments) for name, (kind, arguments) in jobs.items()}


def assert_close(found, expected):
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        scale = max(float(each.abs().max()) for each in expected.values())
        assert (found[name] - gradient).abs().max() < CLOSE * scale, name


def by_hand(config, task, count):
    """The gradients by a plain call of the encoder on all utterances, and torch's own losses."""
    stage = tuning_group.begun(config, task)
    settings, data, model = config.align, stage._data, stage._model
    parts = steps_of(data.train[0][:count], 5, size=count, parts=settings.tuning.accumulate)[0]
    labels, weight = data.labels, stage._weights[0]
    model.train()
    whole = torch.from_numpy(np.concatenate(parts.parts))
    loss = torch.zeros(())
    for part, places in zip(parts.parts, parts.places, strict=True):
        index = torch.from_numpy(part)
        batch = stage._heard(part, places)
        pooled = model.audio(batch.inputs, batch.mask).pooled
        h = F.layer_norm(pooled, pooled.shape[1:], model.norm.weight, model.norm.bias)
        each = F.cross_entropy(model.W_y(h), labels[index], weight=weight, reduction="none")
        loss = loss + each.sum() / weight[labels[whole]].sum()
        there = data.has_text[index].bool()
        if "text" not in data.task.corpus.features or not settings.text_encoder:
            continue
        t = data.t[0, index]
        if model.text is not None:
            words = stage._text.prepare([stage._texts[row] for row in part])
            normal = data.normalisers["text"]
            t = (model.text(words.inputs, words.mask).pooled - normal.mean[0]) / normal.std[0] * there[:, None]
            each = F.cross_entropy(model.W_e(t), labels[index], weight=weight, reduction="none")[there]
            loss = loss + each.sum() / weight[labels[whole]][data.has_text[whole].bool()].sum()
        if len(part) > 1:
            share = there.sum() / data.has_text[whole].sum()
            for candidate in (h, model.W_t(h)):
                loss = loss + share * info_nce(t.detach(), candidate, temperature=0.1, present=there.float())
    loss.backward()
    return {
        n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in model.named_parameters() if p.requires_grad
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", STEPS)
def test_gradients_are_those_of_one_process_with_the_whole_batch(name, jobs, one, two):
    """Two workers, one worker, and the equations without any of this package's data parallelism."""
    _, arguments = jobs[f"step {name}"]
    expected = by_hand(*arguments)
    assert max(float(each.abs().max()) for each in expected.values()) > 1e-3
    for found in (one, *two):
        assert_close(found[f"step {name}"], expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", STAGES)
def test_a_stage_goes_the_same_way_with_one_and_with_two_workers(name, one, two):
    """Loss terms after each epoch to 1e-3 of their size, and so do the features that are handed on."""
    for alone, *pair in zip(one[f"stage {name}"], *(each[f"stage {name}"] for each in two), strict=True):
        for found in pair:
            for term, values in alone[1].items():
                assert found[1][term] == pytest.approx(values, rel=1e-3, abs=1e-4), term
    for other in two:
        artifact, expected = other[f"stage {name}"][-1][3], one[f"stage {name}"][-1][3]
        assert artifact.keys() == expected.keys()
        for key, tensor in expected.items():
            assert torch.allclose(artifact[key], tensor, rtol=1e-2, atol=1e-2), key


@pytest.mark.slow
@pytest.mark.parametrize("name", STAGES)
def test_every_worker_tells_the_same_to_the_last_bit(name, two):
    first, second = (each[f"stage {name}"] for each in two)
    for (_, terms, counts, _), (_, other_terms, other_counts, _) in zip(first, second, strict=True):
        assert all(np.array_equal(terms[key], other_terms[key]) for key in terms)
        assert all(np.array_equal(counts[key], other_counts[key]) for key in counts)
    assert all(torch.equal(first[-1][3][key], tensor) for key, tensor in second[-1][3].items())


def test_alone_there_is_nothing_to_share(monkeypatch):
    """Whatever a launcher left in the environment; and the environment stays as it was."""
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "8")
    before = dict(os.environ)
    workers = Workers()
    assert (workers.rank, workers.size) == (0, 1)
    assert workers.accelerator.num_processes == 1
    assert dict(os.environ) == before
    own = torch.randn(3, 2, requires_grad=True)
    assert torch.equal(workers.gather(own, 3), own)


def test_the_next_arm_may_have_another_precision():
    assert Workers("bf16").accelerator.mixed_precision == "bf16"
    assert Workers("fp32").accelerator.mixed_precision == "no"


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU can compute in fp16")
def test_a_precision_that_the_device_lacks_is_refused():
    with pytest.raises(InputError, match="fp16 needs a GPU, and there is none; use bf16 or fp32"):
        check_precision("fp16")


@pytest.mark.parametrize(("size", "parts"), [(8, 1), (8, 3), (3, 2), (50, 4)])
def test_an_epoch_is_one_pass_over_the_utterances(size, parts):
    items = np.arange(100, 119)
    steps = steps_of(items, 1, size=size, parts=parts)
    seen = [np.concatenate(step.parts) for step in steps]
    assert sorted(np.concatenate(seen)) == items.tolist()
    assert [len(each) for each in seen] == [min(size, 19 - first) for first in range(0, 19, size)]
    assert all(len(step.parts) <= parts for step in steps)
    assert all(len(a) == len(b) for step in steps for a, b in zip(step.parts, step.places, strict=True))
    assert np.concatenate(seen).tolist() != items.tolist()
    again = steps_of(items, 1, size=size, parts=1)
    assert np.concatenate([np.concatenate(step.parts) for step in again]).tolist() == np.concatenate(seen).tolist()
    other = steps_of(items, 2, size=size, parts=1)
    assert np.concatenate([np.concatenate(step.parts) for step in other]).tolist() != np.concatenate(seen).tolist()


@pytest.mark.parametrize("count", [1, 2, 5, 8])
def test_shares_cover_a_part_and_are_sent_at_one_size(count):
    workers = Workers()
    shares = []
    for workers.rank in range(3):
        workers.size = 3
        own = np.arange(count)[workers.share(count)]
        shares.append(padded(own, workers.longest(count), -1))
    assert len({len(each) for each in shares}) == 1
    assert np.concatenate(shares)[:count].tolist() == [*range(count)]
