import pickle
import threading

import numpy as np
import pytest
import torch

from sweeper.artifacts import Recorded, Store, packing
from trainables.epoch import Diagnostic, Embedding, Epoch, Flag
from trainables.errors import InputError


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


def flip(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def value_of(content: bytes) -> int:
    """Where the first number of the artifact's `weight` is in the file."""
    return content.index(torch.tensor([WEIGHT]).numpy().tobytes())


WEIGHT = 0.123456789
DAMAGES = {
    "empty": lambda content: b"",
    "another file": lambda content: b"not safetensors",
    "cut off": lambda content: content[:200],
    "last byte gone": lambda content: content[:-1],
    "one bit of a weight": lambda content: flip(content, value_of(content)),
    "one digit of the description": lambda content: content.replace(b"generator collapsed", b"generator collapse!"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_counts_as_absent_and_is_replaced(tmp_path, damage, caplog):
    store = Store(tmp_path)
    made = recorded()
    made.epochs[-1].artifact["weight"][0, 0] = WEIGHT
    store.save("key", made)
    path = tmp_path / "key.safetensors"
    before = path.read_bytes()
    assert damage(before) != before
    path.write_bytes(damage(before))
    assert store.finished("key") is None
    assert "trained again" in caplog.text
    assert not path.exists()
    store.save("key", made)
    assert store.finished("key") is not None


def test_what_was_read_stays_when_the_file_goes(tmp_path):
    store, made = Store(tmp_path), recorded()
    store.save("key", made)
    after = store.finished("key")
    (tmp_path / "key.safetensors").write_bytes(b"x" * (tmp_path / "key.safetensors").stat().st_size)
    assert torch.equal(after.epochs[-1].artifact["weight"], made.epochs[-1].artifact["weight"])


def test_equal_arms_of_two_runs_are_told_apart(tmp_path):
    one, other = Store(tmp_path, "one"), Store(tmp_path, "other")
    one.save("key", Recorded(epochs=(epoch(1),), state={}, owner="arm"))
    known = other.partial("key")
    assert known.owners == ("one/arm",)
    other.save("key", Recorded(epochs=(*known.epochs, epoch(2)), owners=(*known.owners, "arm")))
    assert one.partial("key").owners == ("arm", "other/arm")
    assert other.partial("key").owners == ("one/arm", "arm")
    assert Store(tmp_path, "one").partial("key").owners == ("arm", "other/arm")


def test_a_store_travels_to_a_worker(tmp_path):
    there = pickle.loads(pickle.dumps(Store(tmp_path, "run", every=5.0)))
    assert (there.folder, there.run, there.every) == (str(tmp_path), "run", 5.0)


def test_an_arm_goes_on_where_the_folder_cannot_be_used(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    store = Store(tmp_path / "file" / "stages")
    assert store.claim("key", "arm")
    assert not store.save("key", recorded())
    assert store.finished("key") is None
    store.release("key", "arm")
    assert "cannot be claimed" in caplog.text
    with pytest.raises(InputError, match=r"stages\.folder: .* cannot be used \(.*\); name another folder"):
        store.check()


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


@pytest.mark.slow
def test_a_bucket_is_a_store_too(bucket_url):
    store = Store(bucket_url, "run")
    store.check()
    assert store.claim("key", "arm")
    store.save("key", Recorded(epochs=(epoch(1),), state={"step": torch.tensor(1)}, owner="arm"))
    other = Store(bucket_url, "other")
    assert not other.claim("key", "arm")
    assert other.partial("key").owners == ("run/arm",)
    store.save("key", recorded())
    store.release("key", "arm")
    assert_same(recorded().epochs[0], other.finished("key").epochs[0])
    assert other.partial("key") is None
    assert other.has({"key", "another"}) == {"key"}
    other.retention(0).finish(())
    assert other.kept().size == 0


@pytest.mark.slow
def test_a_bucket_that_is_not_there_is_refused(bucket_url):
    with pytest.raises(InputError, match="is there such a bucket"):
        Store("s3://no-such-bucket/prefix").check()
    assert Store("s3://no-such-bucket/prefix").claim("key", "arm"), "and nobody waits for it for ever"
