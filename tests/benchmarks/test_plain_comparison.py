"""Samples, estimates and the verdict on whether two forms did the same."""

from copy import deepcopy

import agreement
import estimate
import pytest
import recorded


def made(name, kind="search", stopped="", **epochs):
    return {"arm": name, "kind": kind, "stopped": stopped, "epochs": epochs}


def scored(name, rows=4, epochs=3):
    stage = {
        "dev": [[0.5 + 0.01 * epoch + 0.001 * row for row in range(rows)] for epoch in range(epochs)],
        "epoch": [epochs] * rows,
        "test": [[[50, 50], [30, 70]] for _ in range(rows)],
    }
    return {"arm": name, "stages": {"align": stage, "augment": deepcopy(stage)}}


def test_the_same_agree():
    arms = [scored("a"), scored("b")]
    assert agreement.compare(arms, deepcopy(arms)) == {
        "rows": 16,
        "equal": 1.0,
        "first": 1.0,
        "dev": 0.0,
        "test": 0.0,
        "void": [],
    }


def test_one_row_may_fall_on_the_other_side():
    ours, theirs = [scored("a")], [scored("a")]
    theirs[0]["stages"]["augment"]["test"][1] = [[49, 51], [30, 70]]
    found = agreement.compare(ours, theirs)
    assert found["equal"] == 7 / 8
    assert found["test"] == pytest.approx(0.005 / 4)
    assert not found["void"]


@pytest.mark.parametrize("split", ["dev", "test"])
def test_an_arm_that_differs_is_void(split):
    ours, theirs = [scored("a"), scored("b")], [scored("a"), scored("b")]
    stage = theirs[1]["stages"]["align"]
    if split == "dev":
        stage["dev"][2] = [each + 0.006 for each in stage["dev"][2]]
    else:
        stage["test"] = [[[53, 47], [30, 70]]] * 4
    (line,) = agreement.compare(ours, theirs)["void"]
    assert line.startswith("b, stage align: mean dev UAR differs by 0.00")


@pytest.mark.parametrize(("stage", "epoch", "void"), [("align", 0, 1), ("align", 2, 0), ("augment", 0, 0)])
def test_small_differences_are_void_at_the_beginning_only(stage, epoch, void):
    ours, theirs = [scored("a")], [scored("a")]
    changed = theirs[0]["stages"][stage]["dev"]
    changed[epoch] = [each + 0.001 for each in changed[epoch]]
    found = agreement.compare(ours, theirs)
    assert found["equal"] == 0.5
    assert found["void"] == ["only 0% of the rows have the same dev UAR in the first 2 epochs"] * void


def test_other_epochs_or_stages_are_void():
    longer = agreement.compare([scored("a")], [scored("a", epochs=4)])
    assert "a, stage align: another number of epochs" in longer["void"]
    shorter = scored("a")
    del shorter["stages"]["augment"]
    assert agreement.compare([scored("a")], [shorter])["void"] == [
        "a: stages ['align', 'augment'] here, ['align'] there"
    ]


def test_a_sample_takes_from_every_stratum_in_turn():
    arms = [made(f"s{index}", stopped="align 3") for index in range(6)]
    arms += [made(f"d{index}") for index in range(3)] + [made("r", kind="reference")]
    chosen = recorded.sample(arms, 4)
    assert [arm["arm"][0] for arm in chosen] == ["s", "s", "d", "r"]
    assert chosen == recorded.sample(arms, 4)
    assert recorded.sample(arms, 99) == arms


def test_an_estimate_is_exact_where_time_is_in_the_epochs():
    arms = [made("a", align=3), made("b", align=20, augment=10), made("c", align=20, generate=20, augment=10)]
    cost = {"align": 2.0, "generate": 1.0, "augment": 0.5}
    timed = []
    for arm in arms:
        by_stage = {stage: count * cost[stage] for stage, count in arm["epochs"].items()}
        timed.append({"arm": arm["arm"], "by_stage": by_stage, "seconds": 1.1 * sum(by_stage.values())})
    rate = estimate.rates(arms, timed)
    assert rate == pytest.approx({stage: 1.1 * each for stage, each in cost.items()})
    assert estimate.total(arms, rate) == pytest.approx(sum(each["seconds"] for each in timed))
    # The last arm alone trained a generator: nothing foretells it.
    assert estimate.errors(arms, timed) == pytest.approx([0, 0])


def test_epochs_from_scratch():
    assert recorded.epochs([made("a", align=3), made("b", align=20, augment=10)]) == {"align": 23, "augment": 10}


def test_steps_of_all_rows():
    config = {stage: {"batch_size": 128} for stage in ("align", "generate", "augment")}
    assert recorded.row_steps([250, 260], 3, [{"config": config}]) == {"align": 18, "generate": 18, "augment": 30}
