"""Where arms are compared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_method.config import Config
from tiny_method.method import METHOD

from search_spaces.change import apply
from sweeper.places import Planned, Rung, places, planned
from sweeper.study import Scheduler


def asked(units: str = "stages", grace: int = 3, factor: int = 3) -> Scheduler:
    return Scheduler(rungs=units, grace_period=grace, reduction_factor=factor)


def stages(*lengths: int, ends: bool = True) -> list[Planned]:
    return [Planned(f"stage {i}", n, ends and i == len(lengths) - 1) for i, n in enumerate(lengths)]


def test_an_arm_goes_through_its_active_classifying_stages():
    assert planned(METHOD, Config()) == (Planned("learn", 5, False), Planned("tune", 3, True))


def test_an_arm_without_a_stage_does_not_go_through_it():
    assert [each.name for each in planned(METHOD, apply(Config(), {"dream.on": False}))] == ["learn", "tune"]


def test_the_end_of_a_stage_its_third_and_its_ninth():
    assert places(stages(20, 10), asked()) == {
        ("stage 0", 3): Rung("stage 0", 2),
        ("stage 0", 7): Rung("stage 0", 1),
        ("stage 0", 20): Rung("stage 0", 0),
        ("stage 1", 4): Rung("stage 1", 1),
    }


def test_arms_of_unlike_length_meet_at_the_same_share():
    short, long = places(stages(9), asked()), places(stages(90), asked())
    assert short[("stage 0", 3)] == long[("stage 0", 30)]


def test_where_something_follows_the_last_classifying_stage_its_end_is_a_rung():
    assert ("stage 0", 9) in places(stages(9, ends=False), asked())
    assert ("stage 0", 9) not in places(stages(9), asked())


def test_by_epochs_rungs_run_over_stages():
    assert places(stages(20, 10), asked("epochs")) == {
        ("stage 0", 3): Rung("", 3),
        ("stage 0", 9): Rung("", 9),
        ("stage 1", 7): Rung("", 27),
    }


@pytest.mark.parametrize("length", [27, 28])
def test_by_epochs_the_last_epoch_is_no_rung_unless_something_follows(length):
    assert (("stage 0", 27) in places(stages(length), asked("epochs"))) == (length > 27)
    assert ("stage 0", 27) in places(stages(length, ends=False), asked("epochs"))


@given(
    st.lists(st.integers(1, 200), min_size=1, max_size=4),
    st.sampled_from(["stages", "epochs"]),
    st.integers(1, 20),
    st.integers(2, 5),
)
def test_places_are_met_in_order_once_each_after_the_grace_period_and_before_the_end(lengths, units, grace, factor):
    found = places(stages(*lengths), asked(units, grace, factor))
    order = [(stage, epoch) for stage, n, _ in stages(*lengths) for epoch in range(1, n + 1)]
    assert [place for place in order if place in found] == list(found)
    assert len(set(found.values())) == len(found)
    assert order[-1] not in found
    assert all(order.index(place) + 1 >= grace for place in found)
    if units == "stages":
        assert all(epoch >= grace for _, epoch in found)
