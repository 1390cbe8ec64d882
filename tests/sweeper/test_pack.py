"""Arms side by side: each as if alone, whoever comes, goes or fails."""

from collections import Counter

import numpy as np
import pytest
import tiny
import tiny_method.method
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_method.config import Config as TinyConfig

from search_spaces.change import apply
from sweeper.artifacts import Store
from sweeper.execute import Order, course, run_arm
from sweeper.pack import Pack
from trainables import methods
from trainables.lockstep import Lockstep

METHOD = methods.get("concat_mlp")
BASE = apply(METHOD.config(), {"classify.hidden": (4,), "classify.epochs": 4, "classify.batch_size": 32})
#: Arms of one shape, and one of another.
CONFIGS = {
    "slow": apply(BASE, {"classify.learning_rate": 1e-4}),
    "plain": BASE,
    "fast": apply(BASE, {"classify.learning_rate": 0.1}),
    "decayed": apply(BASE, {"classify.weight_decay": 1.0}),
    "wide": apply(BASE, {"classify.hidden": (8,)}),
}


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    return tiny.task(tmp_path_factory.mktemp("corpus") / "toy")


@pytest.fixture(scope="module")
def expected(task):
    return {name: curve(run_arm(METHOD, config, task)) for name, config in CONFIGS.items()}


def curve(reports):
    return [(each.stage, each.epoch, each.rows.round(6).tolist()) for each in reports]


def add(pack, name, task, store=None):
    pack.add(name, course(METHOD, CONFIGS[name], task, store, owner=name))


@pytest.fixture
def stacked(monkeypatch):
    """How many arms each epoch was trained with."""
    sizes = []
    step = Lockstep.step
    monkeypatch.setattr(Lockstep, "step", lambda self: sizes.append(self._arms) or step(self))
    return sizes


def finish(pack, heard, names):
    """Go on with the arms until all have ended."""
    going = {name for name in names if not (heard.get(name) and heard[name][-1].done)}
    for _ in range(200):
        if not going:
            return heard
        for name, word in pack.step([name for name in CONFIGS if name in going]).items():
            if isinstance(word, Exception):
                raise word
            heard.setdefault(name, []).append(word)
            if word.done:
                pack.drop(name)
                going.discard(name)
    raise AssertionError("no end")


def test_all_of_one_shape_are_trained_at_once(task, expected, stacked):
    pack = Pack(task, most=8)
    for name in CONFIGS:
        add(pack, name, task)
    heard = finish(pack, {}, CONFIGS)
    assert {name: curve(reports) for name, reports in heard.items()} == expected
    assert Counter(stacked) == {4: 4, 1: 4}


def test_no_more_than_fit_are_stacked(task, expected, stacked):
    pack = Pack(task, most=3)
    for name in CONFIGS:
        add(pack, name, task)
    heard = finish(pack, {}, CONFIGS)
    assert {name: curve(reports) for name, reports in heard.items()} == expected
    assert max(stacked) == 3


def test_an_arm_that_is_stopped_gives_its_place_to_another(task, expected, stacked):
    pack, heard = Pack(task, most=3), {}
    for name in ("slow", "plain", "fast"):
        add(pack, name, task)
    for _ in range(2):
        for name, report in pack.step(["slow", "plain", "fast"]).items():
            heard.setdefault(name, []).append(report)
    pack.drop("plain")
    add(pack, "decayed", task)
    heard = finish(pack, heard, ["slow", "fast", "decayed"])
    for name in ("slow", "fast", "decayed"):
        assert curve(heard[name]) == expected[name]
    assert curve(heard["plain"]) == expected["plain"][:2]
    assert stacked == [3, 3, 3, 3, 1, 1]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whoever_asks_when_every_arm_is_as_alone(task, expected, data):
    pack, heard, left = Pack(task, most=data.draw(st.integers(1, 4))), {}, list(CONFIGS)
    present = []
    for _ in range(60):
        if left and data.draw(st.booleans()):
            present.append(left.pop())
            add(pack, present[-1], task)
        asking = [name for name in present if data.draw(st.booleans())]
        for name, report in (pack.step(asking) if asking else {}).items():
            heard.setdefault(name, []).append(report)
            if report.done:
                pack.drop(name)
                present.remove(name)
    for name, reports in heard.items():
        assert curve(reports) == expected[name][: len(reports)]


def test_what_cannot_be_stacked_is_trained_alone(task, stacked):
    pack, method = Pack(task, most=8), tiny_method.method.METHOD
    for name in ("one", "two"):
        pack.add(name, course(method, TinyConfig(), task, owner=name))
    ended = set()
    while len(ended) < 2:
        for name, report in pack.step([name for name in ("one", "two") if name not in ended]).items():
            ended |= {name} if report.done else set()
    assert set(stacked) == {1}


def test_stages_are_taken_from_the_store_and_waited_for(task, tmp_path, expected, stacked):
    store = Store(tmp_path, every=0.0)
    pack, heard = Pack(task, most=4), {}
    for name in ("slow", "plain"):
        pack.add(name, course(METHOD, CONFIGS["plain"], task, store, owner=name))
    heard = finish(pack, {}, ["slow", "plain"])
    assert curve(heard["slow"]) == curve(heard["plain"]) == expected["plain"]
    assert stacked == [1] * 4
    assert sorted(reports[-1].reused for reports in heard.values()) == [0, 4]


class Faulty:
    """Fails with an error, in the middle of an epoch, as long as it is true of the number of arms."""

    def __init__(self, monkeypatch, error, when):
        step = Lockstep.step

        def wrong(stack):
            made = step(stack)  # after the parameters were changed
            if when(stack):
                raise error
            return made

        monkeypatch.setattr(Lockstep, "step", wrong)


def test_without_memory_for_all_they_are_trained_in_smaller_company(task, expected, monkeypatch):
    pack = Pack(task, most=4)
    for name in ("slow", "plain", "fast", "decayed"):
        add(pack, name, task)
    heard = {name: [report] for name, report in pack.step(list(CONFIGS)[:4]).items()}
    Faulty(monkeypatch, torch.OutOfMemoryError("full"), lambda stack: stack._arms > 2)
    heard = finish(pack, heard, list(CONFIGS)[:4])
    assert {name: curve(reports) for name, reports in heard.items()} == {name: expected[name] for name in heard}
    assert pack.most == 2


def test_an_arm_alone_without_memory_fails(task, monkeypatch):
    pack = Pack(task, most=4)
    add(pack, "plain", task)
    Faulty(monkeypatch, torch.OutOfMemoryError("full"), lambda stack: True)
    assert isinstance(pack.step(["plain"])["plain"], torch.OutOfMemoryError)


def test_one_arm_that_fails_does_not_take_the_others_with_it(task, expected, monkeypatch):
    pack, names = Pack(task, most=4), ("slow", "plain", "fast")
    for name in names:
        add(pack, name, task)
    heard = {name: [report] for name, report in pack.step(names).items()}
    bad = CONFIGS["plain"].classify.learning_rate

    def trains_it(stack):
        return any(group["lr"] == bad for group in stack._training._classifier.optimizer._adam.param_groups)

    Faulty(monkeypatch, ValueError("it"), trains_it)
    failed = {}
    for _ in range(30):
        for name, word in pack.step([name for name in names if name not in failed and not ended(heard, name)]).items():
            if isinstance(word, Exception):
                failed[name] = word
            else:
                heard[name].append(word)
    assert [str(error) for error in failed.values()] == ["it"]
    assert list(failed) == ["plain"]
    assert all(curve(heard[name]) == expected[name] for name in ("slow", "fast"))


def ended(heard, name):
    return heard[name][-1].done


def test_an_arm_that_diverges_fails_alone(task, expected):
    pack = Pack(task, most=4)
    add(pack, "plain", task)
    broken = apply(BASE, {"classify.learning_rate": 1e30})
    pack.add("broken", course(METHOD, broken, task, owner="broken"))
    heard, failed = {"plain": []}, []
    for _ in range(20):
        going = [name for name in ("plain", "broken") if name in pack]
        if heard["plain"] and ended(heard, "plain"):
            break
        for name, word in pack.step(going).items():
            failed += [word] if isinstance(word, Exception) else []
            if name == "plain":
                heard["plain"].append(word)
    assert [type(error).__name__ for error in failed] == ["Diverged"]
    assert curve(heard["plain"]) == expected["plain"]


def test_an_arm_taken_in_twice_begins_anew(task, expected):
    pack = Pack(task, most=2)
    for _ in range(2):
        add(pack, "plain", task)
        heard = [pack.step(["plain"])["plain"] for _ in range(2)]
    assert curve(heard) == expected["plain"][:2]


def test_orders_of_one_stage_share_a_seat(task):
    arm = course(METHOD, BASE, task)
    first = next(arm)
    assert isinstance(first, Order)
    (epoch,) = Lockstep(first.stage, task, [first.seat]).step()
    assert arm.send(epoch).epoch == 1
    assert next(arm).seat is first.seat
    assert np.isfinite(epoch.terms["ser"]).all()
