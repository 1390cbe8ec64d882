"""Worker groups for real: Ray Train, two workers, gloo."""

import sys
import time

import numpy as np
import pandas as pd
import pytest
import ray
import tiny
import torch
from group_method import spaces
from group_method.config import Config
from group_method.method import METHOD

from sweeper import plan, runner
from sweeper.groups import Groups, _cut, _joined
from sweeper.layout import Spread
from trainables import methods
from trainables.errors import InputError
from trainables.lockstep import Lockstep, Seat

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
STAGE = METHOD.stages[0]
# A group takes half a minute to start on two cores: the suite has one, the others are long.


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    return tiny.task(tmp_path_factory.mktemp("groups") / "toy")


@pytest.fixture(scope="module", autouse=True)
def cluster():
    patch = pytest.MonkeyPatch()
    patch.setenv("PYTHONPATH", tiny.PYTHONPATH)
    patch.setitem(methods.METHODS, "grouped", "group_method")
    patch.setitem(sys.modules, "search_spaces.grouped", spaces)
    ray.init(address="local", num_cpus=2, include_dashboard=True, log_to_driver=False)
    yield
    ray.shutdown()
    patch.undo()


@pytest.fixture
def spread(task, tmp_path):
    def make(**changes):
        settings = {"groups": 1, "workers": 2, "cpus": 1.0, "gpus": 0.0, "retries": 1} | changes
        return Spread(
            task=ray.put(task), modules={"grouped": "group_method"}, folder=str(tmp_path / "groups"), **settings
        )

    return make


def free():
    """Wait until nobody has a CPU any more."""
    for _ in range(120):
        if ray.available_resources().get("CPU") == 2.0:
            return True
        time.sleep(0.5)
    return False


def epochs(stack, count):
    return [stack.step()[0] for _ in range(count)]


def same(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert one.index == other.index
        assert one.confusions.keys() == other.confusions.keys()
        for pair, counts in other.confusions.items():
            np.testing.assert_array_equal(one.confusions[pair], counts)
        for name, counts in other.speakers.items():
            np.testing.assert_array_equal(one.speakers[name], counts)
        np.testing.assert_allclose(one.terms["ser"], other.terms["ser"], rtol=1e-5)


def alike(found, expected):
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-5, atol=1e-6)


@pytest.fixture(scope="module")
def alone(task):
    """The stage in this process: its epochs, and its state after each."""
    stack = Lockstep(STAGE, task, [Seat(Config(), {})])
    found = [(epoch := stack.step()[0], epoch.snapshot()) for _ in range(3)]
    return [epoch for epoch, _ in found], [state for _, state in found]


def test_a_state_is_cut_by_folds_and_put_together(task, alone):
    for parts in ([[0, 1], [2, 3]], [[0, 1, 2, 3]], [[0], [1, 2], [3]]):
        for state in alone[1]:
            alike(_joined(_cut(state, task, parts)), state)


@pytest.mark.long
def test_two_groups_share_the_folds_and_go_on_from_a_state(task, spread, alone):
    seat = Seat(Config(), {}, alone[1][0])
    stack = Groups(METHOD, STAGE, task, seat, spread(groups=2, workers=1))
    found = epochs(stack, 2)
    same(found, alone[0][1:])
    alike(found[-1].artifact, alone[0][2].artifact)
    stack.close()
    assert free()


def test_two_workers_train_what_one_process_does_also_when_one_of_them_dies(task, spread, alone, tmp_path):
    config = Config.model_validate({"fit": {"dies_at": 2, "marker": str(tmp_path / "died")}})
    stack = Groups(METHOD, STAGE, task, Seat(config, {}), spread())
    found = epochs(stack, 2)
    assert (tmp_path / "died").exists()
    alike(found[-1].snapshot(), alone[1][1])
    alike(stack.states()[0], alone[1][1])
    same([*found, *epochs(stack, 1)], alone[0])
    stack.close()
    assert free()
    assert not list((tmp_path / "groups").iterdir())


@pytest.mark.long
def test_what_a_worker_raises_is_raised_here(task, spread):
    stack = Groups(METHOD, STAGE, task, Seat(Config.model_validate({"fit": {"wrong_at": 1}}), {}), spread())
    with pytest.raises(ArithmeticError, match="wrong on purpose"):
        stack.step()
    stack.close()
    assert free()


def study(folder, **resources):
    return tiny.study(
        folder,
        method="grouped",
        ablation=None,
        sensitivity=None,
        search={"trials": 2, "sampler": "random"},
        config={"fit": {"epochs": 3}},
        scheduler={"grace_period": 1, "reduction_factor": 2},
        resources={"concurrent": 1, **resources},
        stages=False,
    )


def table(run, name):
    found = pd.read_parquet(run / f"{name}.parquet")
    clocks = [each for each in found if each in ("seconds", "started_at", "ended_at", "host", "attempts")]
    return found.drop(columns=clocks)


@pytest.mark.long
def test_a_study_over_workers_stops_arms_and_gives_the_same_tables(tmp_path):
    shared = runner.run(study(tmp_path / "spread", workers=2))
    assert shared.failed == 0
    assert shared.stopped
    assert free()
    plain = runner.run(study(tmp_path / "plain"))
    assert (shared.done, shared.stopped) == (plain.done, plain.stopped)
    pd.testing.assert_frame_equal(table(shared.run, "folds"), table(plain.run, "folds"), rtol=1e-5)
    pd.testing.assert_frame_equal(table(shared.run, "curves"), table(plain.run, "curves"), rtol=1e-5)


def test_workers_with_nothing_to_do_are_refused(tmp_path):
    asked = tiny.study(tmp_path, method="concat_mlp", ablation=None, sensitivity=None, resources={"workers": 2})
    with pytest.raises(InputError, match=r"resources.workers: no stage of concat_mlp can use several workers"):
        plan.make(asked, plan.corpus_of(asked))


@ray.remote(num_cpus=0)
class Arm:
    """Has an arm in training, as a worker of Tune's has."""

    def __init__(self, task, spread):
        self.stack = Groups(METHOD, STAGE, task, Seat(Config(), {}), spread)

    def step(self):
        return self.stack.step()[0].index


@pytest.mark.long
def test_an_arm_whose_process_is_killed_leaves_nothing_behind(task, spread):
    arm = Arm.remote(task, spread())
    assert ray.get(arm.step.remote()) == 1
    assert ray.available_resources().get("CPU", 0.0) == 0.0
    ray.kill(arm)
    assert free()
