import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainables import conditions
from trainables.errors import InputError

SOME = st.lists(st.sampled_from(conditions.MODALITIES), min_size=1, unique=True)


@given(SOME)
def test_a_name_does_not_depend_on_the_order_given(modalities):
    assert conditions.name(modalities) == conditions.name(reversed(modalities))
    assert set(conditions.name(modalities).split("+")) == set(modalities)


def test_names():
    assert conditions.name({"text", "audio"}) == "audio+text"
    assert conditions.name(["video"]) == "video"
    assert conditions.name([]) == ""


@given(SOME)
def test_chosen_is_the_inverse_of_name(modalities):
    assert conditions.name(conditions.chosen(conditions.name(modalities), conditions.MODALITIES)) == conditions.name(
        modalities
    )


def test_all_is_what_is_there_in_the_order_of_names():
    assert conditions.chosen("all", {"video": 1, "audio": 2}) == ("audio", "video")


def test_what_is_not_there_is_refused_and_what_is_there_named():
    with pytest.raises(InputError, match=r"'audio\+video' needs video, which is not there; there is audio, text"):
        conditions.chosen("audio+video", ["text", "audio"])


@pytest.mark.parametrize("inputs", conditions.Inputs.__args__)
def test_every_input_that_can_be_written_can_be_chosen(inputs):
    assert conditions.chosen(inputs, conditions.MODALITIES)


@given(SOME)
def test_subsets_are_all_of_them_once_and_the_whole_last(modalities):
    found = conditions.subsets(modalities)
    assert len(set(found)) == len(found) == 2 ** len(modalities) - 1
    assert list(map(len, found)) == sorted(map(len, found))
    assert found[-1] == tuple(modalities)
