"""Whoever trains arms: for one worker, or for several that ask from threads of their own."""

import json
import threading

import pytest
import tiny
import torch
from ray import cloudpickle
from tiny_method.config import Config as TinyConfig

from search_spaces.change import apply
from sweeper.artifacts import Store
from sweeper.execute import run_arm
from sweeper.trainer import Trainer
from trainables import methods
from trainables.lockstep import Lockstep

METHOD = methods.get("concat_mlp")
BASE = apply(METHOD.config(), {"classify.hidden": (4,), "classify.epochs": 4, "classify.batch_size": 32})
CONFIGS = {f"arm{n}": apply(BASE, {"classify.learning_rate": 10.0**-n}) for n in range(1, 5)}


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    return tiny.task(tmp_path_factory.mktemp("corpus") / "toy")


def trainer(task, folder, most=1):
    tiny.register()
    modules = {"concat_mlp": "trainables.concat_mlp", "tiny": "tiny_method"}
    return Trainer(task=task, modules=modules, store=Store(folder), threads=1, most=most)


def settings(config):
    return json.dumps(config.model_dump(mode="json"))


def all_of(trainer, arm, heard):
    while not (heard and heard[-1].get("done")):
        heard.append(trainer.step(arm))


def curve(reports):
    return [(each.stage, each.epoch, each.rows.round(6).tolist()) for each in reports]


def test_one_arm_after_the_other(task, tmp_path):
    mine = trainer(task, tmp_path)
    for arm, config in CONFIGS.items():
        mine.begin(arm, "concat_mlp", settings(config))
        all_of(mine, arm, heard := [])
        mine.drop(arm)
        assert curve(cloudpickle.loads(each["report"]) for each in heard) == curve(run_arm(METHOD, config, task))
        assert [each["budget"] for each in heard] == [1, 2, 3, 4]


def test_arms_of_several_threads_are_trained_together(task, tmp_path, monkeypatch):
    sizes, step = [], Lockstep.step
    monkeypatch.setattr(Lockstep, "step", lambda self: sizes.append(self._arms) or step(self))
    mine, heard = trainer(task, tmp_path, most=4), {arm: [] for arm in CONFIGS}
    for arm, config in CONFIGS.items():
        mine.begin(arm, "concat_mlp", settings(config))
    threads = [threading.Thread(target=all_of, args=(mine, arm, heard[arm])) for arm in CONFIGS]
    for each in threads:
        each.start()
    for each in threads:
        each.join(timeout=60)
    assert sizes == [4] * 4
    for arm, config in CONFIGS.items():
        assert curve(cloudpickle.loads(each["report"]) for each in heard[arm]) == curve(run_arm(METHOD, config, task))


def test_nobody_waits_for_ever_for_one_that_does_not_ask(task, tmp_path, monkeypatch):
    monkeypatch.setattr("sweeper.trainer.GRACE", 0.01)
    mine = trainer(task, tmp_path, most=2)
    for arm in ("arm1", "arm2"):
        mine.begin(arm, "concat_mlp", settings(CONFIGS[arm]))
    all_of(mine, "arm1", heard := [])
    mine.drop("arm1")
    all_of(mine, "arm2", heard := [])
    assert curve(cloudpickle.loads(each["report"]) for each in heard) == curve(run_arm(METHOD, CONFIGS["arm2"], task))


def test_a_refused_config_fails_the_first_step(task, tmp_path):
    mine = trainer(task, tmp_path)
    mine.begin("arm", "concat_mlp", json.dumps({"classify": {"epochs": -1}}))
    told = mine.step("arm")
    assert told["done"]
    assert "greater than or equal to 1" in told["trace"]


def test_an_error_is_told_and_one_that_may_pass_is_raised(task, tmp_path):
    mine = trainer(task, tmp_path)
    mine.begin("arm", "tiny", settings(apply(TinyConfig(), {"learn.error_at": 1})))
    assert mine.step("arm")["failure"] == "RuntimeError: the second line says why"
    with pytest.raises(OSError, match="begun anew"):
        mine.step("arm")


def test_a_full_device_is_told_without_torch(task, tmp_path):
    mine = trainer(task, tmp_path)
    mine.begin("arm", "tiny", settings(apply(TinyConfig(), {"learn.device_full_at": 1})))
    with pytest.raises(MemoryError, match="CUDA out of memory") as told:
        mine.step("arm")
    assert type(told.value) is MemoryError


def test_one_that_is_to_be_alone_waits_until_others_have_gone_and_keeps_others_out(task, tmp_path):
    mine, order = trainer(task, tmp_path, most=4), []

    def come(arm, *, alone=False):
        mine.begin(arm, "concat_mlp", settings(CONFIGS[arm]), alone=alone)
        order.append(arm)

    come("arm1")
    suspect = threading.Thread(target=come, args=("arm2",), kwargs={"alone": True})
    suspect.start()
    while not mine._door:
        pass
    other = threading.Thread(target=come, args=("arm3",))
    other.start()
    all_of(mine, "arm1", [])
    assert order == ["arm1"]
    mine.drop("arm1")
    suspect.join(timeout=60)
    assert order == ["arm1", "arm2"]
    all_of(mine, "arm2", heard := [])
    mine.drop("arm2")
    other.join(timeout=60)
    assert order == ["arm1", "arm2", "arm3"]
    assert curve(cloudpickle.loads(each["report"]) for each in heard) == curve(run_arm(METHOD, CONFIGS["arm2"], task))


def test_one_that_is_dropped_while_it_waits_never_comes_in(task, tmp_path):
    mine = trainer(task, tmp_path)
    mine.begin("arm1", "concat_mlp", settings(CONFIGS["arm1"]))
    waiting = threading.Thread(
        target=mine.begin, args=("arm2", "concat_mlp", settings(CONFIGS["arm2"])), kwargs={"alone": True}
    )
    waiting.start()
    while not mine._door:
        pass
    mine.drop("arm2")
    waiting.join(timeout=60)
    assert not waiting.is_alive()
    with pytest.raises(OSError, match="begun anew"):
        mine.step("arm2")


def test_one_whose_stage_is_trained_elsewhere_says_that_it_is_there(task, tmp_path, monkeypatch):
    monkeypatch.setattr("sweeper.trainer.SIGN", 0.0)
    elsewhere = run_arm(METHOD, CONFIGS["arm1"], task, Store(tmp_path), owner="other")
    next(elsewhere)
    mine = trainer(task, tmp_path)
    mine.begin("arm1", "concat_mlp", settings(CONFIGS["arm1"]))
    assert mine.step("arm1") == {"waiting": True}
    elsewhere.close()
    all_of(mine, "arm1", heard := [])
    assert len(heard) >= 4


def test_products_are_as_exact_as_asked(task, tmp_path):
    before = torch.get_float32_matmul_precision()
    try:
        Trainer(task=task, modules={}, store=Store(tmp_path), threads=1, matmul="medium")
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
