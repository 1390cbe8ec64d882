import threading
from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch
from tiny_method.config import Config
from tiny_method.method import METHOD

from search_spaces.change import apply
from sweeper.artifacts import Recorded, Store, digest, keys, packing
from trainables.epoch import Diagnostic, Embedding, Epoch, Flag


def epoch(index: int, total: int = 3, **more) -> Epoch:
    rng = np.random.default_rng(index)
    return Epoch(
        stage="learn",
        index=index,
        total=total,
        confusions={
            ("dev", "audio+text"): rng.integers(0, 9, (2, 3, 3)),
            ("test", "all"): rng.integers(0, 9, (2, 3, 3)),
        },
        speakers={"all": rng.integers(0, 9, (5, 3, 3), dtype=np.int32)},
        terms={"cross entropy": rng.normal(size=2), "a/b": rng.normal(size=2).astype(np.float32)},
        **more,
    )


def recorded(owner: str = "arm") -> Recorded:
    last = epoch(
        3,
        artifact={"weight": torch.randn(2, 3).t(), "count": torch.tensor(5), "empty": torch.zeros(0, 4)},
        diagnostics=(Diagnostic(row=1, measure="recall", value=float("nan"), label="sad"),),
        embeddings=(
            Embedding(row=0, kind="real", labels=np.array([0, 2]), vectors=np.ones((2, 4), np.float32)),
            Embedding(row=0, kind="generated", labels=np.array([1]), vectors=np.zeros((1, 4), np.float32)),
        ),
        flags=(Flag(1, "generator collapsed"),),
    )
    return Recorded(epochs=(epoch(1), epoch(2), last), owner=owner)


def assert_same(left: Epoch, right: Epoch) -> None:
    assert (left.stage, left.index, left.total, left.flags) == (right.stage, right.index, right.total, right.flags)
    for what in ("terms", "confusions", "speakers"):
        mine, theirs = getattr(left, what), getattr(right, what)
        assert list(mine) == list(theirs)
        for name, values in mine.items():
            assert values.dtype == theirs[name].dtype
            np.testing.assert_array_equal(values, theirs[name])
    assert repr(left.diagnostics) == repr(right.diagnostics)
    assert [(each.row, each.kind) for each in left.embeddings] == [(each.row, each.kind) for each in right.embeddings]
    for mine, theirs in zip(left.embeddings, right.embeddings, strict=True):
        np.testing.assert_array_equal(mine.vectors, theirs.vectors)
        np.testing.assert_array_equal(mine.labels, theirs.labels)


def test_a_finished_stage_comes_back_as_it_was(tmp_path):
    before = recorded()
    Store(tmp_path).save("key", before)
    after = Store(tmp_path).finished("key")
    assert after.owner == "arm"
    for left, right in zip(before.epochs, after.epochs, strict=True):
        assert_same(left, right)
    kept = after.epochs[-1].artifact
    assert kept.keys() == before.epochs[-1].artifact.keys()
    assert all(torch.equal(kept[name], each) for name, each in before.epochs[-1].artifact.items())
    assert after.epochs[0].artifact is None


def test_a_partial_stage_keeps_its_state_until_the_stage_is_finished(tmp_path):
    store = Store(tmp_path / "stages")
    state = {"rng": torch.arange(7, dtype=torch.uint8), "step": torch.tensor(3)}
    store.save("key", Recorded(epochs=(epoch(1),), state=state, owner="arm"))
    assert store.finished("key") is None
    assert {name: each.tolist() for name, each in store.partial("key").state.items()} == {
        "rng": [0, 1, 2, 3, 4, 5, 6],
        "step": 3,
    }
    store.save("key", recorded())
    assert store.partial("key") is None
    assert store.finished("key") is not None


def test_an_unknown_stage_is_none(tmp_path):
    assert Store(tmp_path / "nowhere").finished("key") is None
    assert Store(tmp_path / "nowhere").partial("key") is None


@pytest.mark.parametrize("damage", [b"", b"not safetensors", None])
def test_a_damaged_file_counts_as_absent(tmp_path, damage):
    store = Store(tmp_path)
    store.save("key", recorded())
    path = tmp_path / "key.safetensors"
    path.write_bytes(path.read_bytes()[:200] if damage is None else damage)
    assert store.finished("key") is None


def test_a_full_disk_leaves_the_old_file_and_no_litter_and_the_arm_goes_on(tmp_path, monkeypatch, caplog):
    store = Store(tmp_path)
    assert store.save("key", recorded("first"))

    def crash(tensors, path, metadata):
        path.write_bytes(b"half of it")
        raise OSError("no space left on device")

    monkeypatch.setattr(packing, "save_file", crash)
    assert not store.save("key", recorded("second"))
    assert "no space left" in caplog.text
    assert store.finished("key").owner == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["key.safetensors"]


def test_many_writers_of_one_stage_never_show_half_of_it(tmp_path):
    store, stop, seen = Store(tmp_path), threading.Event(), []
    store.save("key", recorded("0"))

    def write(owner):
        while not stop.is_set():
            Store(tmp_path).save("key", recorded(owner))

    writers = [threading.Thread(target=write, args=(str(owner),)) for owner in range(3)]
    for each in writers:
        each.start()
    seen = [store.finished("key") for _ in range(100)]
    stop.set()
    for each in writers:
        each.join()
    assert None not in seen
    assert {len(each.epochs) for each in seen} == {3}


def test_stages_share_a_key_as_far_as_their_configs_agree():
    def of(**changes):
        return keys(METHOD, apply(Config(), changes), "task")

    base = of()
    assert list(base) == ["learn", "dream", "tune"]
    assert len(set(base.values())) == 3
    later = of(**{"tune.gain": 0.5})
    assert (later["learn"], later["dream"]) == (base["learn"], base["dream"])
    assert later["tune"] != base["tune"]
    earlier = of(**{"learn.rate": 0.5})
    assert not set(earlier.values()) & set(base.values())
    without = of(**{"dream.on": False})
    assert without["learn"] == base["learn"]
    assert without["tune"] != base["tune"]


def test_keys_tell_tasks_and_versions_apart():
    config = Config()
    newer = replace(METHOD, version=2)
    assert not set(keys(METHOD, config, "a").values()) & set(keys(METHOD, config, "b").values())
    assert not set(keys(METHOD, config, "a").values()) & set(keys(newer, config, "a").values())


def test_a_task_is_known_by_its_content(tmp_path):
    task = tiny.task(tmp_path / "toy")
    swapped = replace(task, folds=(replace_parts(task.folds[0], task.corpus.speakers), *task.folds[1:]))
    others = [
        replace(task, seeds=(0, 2)),
        replace(task, folds=task.folds[:-1]),
        swapped,
        replace(task, corpus=replace(task.corpus, fingerprint="other")),
        replace(task, corpus=replace(task.corpus, columns={"audio": "audio_other"})),
    ]
    assert digest(task) == digest(tiny.task(tmp_path / "toy"))
    assert len({digest(each) for each in [task, *others]}) == 6


def replace_parts(fold, speakers):
    """The fold with dev and test exchanged."""
    return type(fold)(fold.name, fold.train, fold.test, fold.dev, fold.unlabeled, speakers=speakers)
