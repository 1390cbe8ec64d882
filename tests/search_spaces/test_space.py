import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.space import AblationRow, Choice, Float, Int, Published, Spaces, lacking
from trainables.errors import InputError


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Float(1, 1), "below high"),
        (lambda: Float(2, 1), "below high, found low 2 and high 1"),
        (lambda: Float(0, 1, log=True), "above 0 on a log scale"),
        (lambda: Float(-1, 1, log=True), "above 0 on a log scale"),
        (lambda: Float(float("nan"), 1), "low: must be a finite number"),
        (lambda: Float(0, float("inf")), "high: must be a finite number"),
        (lambda: Float(True, 3), "low: must be a finite number"),
        (lambda: Float(0, 1, step=2), "fit between low and high"),
        (lambda: Float(0, 1, step=0), "step: must be above 0"),
        (lambda: Float(1, 2, log=True, step=0.5), "cannot be combined with log"),
        (lambda: Int(1, 1), "below high"),
        (lambda: Int(1.5, 3), "low: must be a whole number"),
        (lambda: Int(1, True), "high: must be a whole number"),
        (lambda: Int(1, 8, step=0), "step: must be"),
        (lambda: Int(0, 8, log=True), "above 0 on a log scale"),
        (lambda: Choice(()), "at least two values"),
        (lambda: Choice(("a",)), "at least two values"),
        (lambda: Choice(("a", "b", "a")), "must differ"),
        (lambda: Published("iemocap", "uar", 63.4, None, "x"), r"share in \[0, 1\]"),
        (lambda: AblationRow("nothing", {}, "x"), "changes nothing"),
    ],
)
def test_a_range_that_makes_no_sense_is_refused(make, says):
    with pytest.raises(InputError, match=says):
        make()


def test_bounds_are_inclusive_for_integers_too():
    assert 1 in Int(1, 3)
    assert 3 in Int(1, 3)
    assert 4 not in Int(1, 3)
    assert 2.0 not in Int(1, 3)
    assert 0.1 in Float(0.1, 1)
    assert 1 in Float(0.1, 1)
    assert True not in Float(0, 1)
    assert "a" in Choice(["a", "b"])


def test_true_and_one_are_different_options():
    assert Choice((True, 1)).options == (True, 1)


@given(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6), st.booleans())
def test_a_float_range_holds_both_its_bounds_or_is_refused(low, high, log):
    if low < high:
        assert {low, high} <= {value for value in (low, high) if value in Float(low, high, log)}
    else:
        with pytest.raises(InputError):
            Float(low, high, log)


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (Float(0.03, 30, log=True), "0.03 .. 30, log"),
        (Float(0, 1, step=0.25), "0 .. 1, step 0.25"),
        (Int(1, 3), "1 .. 3, whole"),
        (Choice(("a", 2)), "a | 2"),
    ],
)
def test_a_range_says_what_it_is(made, text):
    assert str(made) == text


def _spaces(**changes):
    given = {
        "method": "m",
        "spaces": {"weights": {"a.b": Float(0, 1)}},
        "default_space": "weights",
        "ablation": (),
        "sensitivity": {},
        "needs": {"text": frozenset({"a.b"})},
    }
    return Spaces(**(given | changes))


def test_a_field_is_idle_only_without_the_modality_it_needs():
    assert _spaces().idle("a.b", ("audio",))
    assert not _spaces().idle("a.b", ("audio", "text"))
    assert not _spaces().idle("a.c", ("audio",))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"default_space": "wights"}, "is none of weights"),
        ({"ablation": (AblationRow("x", {"a.b": 0}, ""), AblationRow("x", {"a.b": 1}, ""))}, "one name"),
    ],
)
def test_spaces_check_themselves(changes, says):
    with pytest.raises(InputError, match=says):
        _spaces(**changes)


@pytest.mark.parametrize(
    ("change", "modalities", "missing"),
    [
        ({"inputs": "all"}, ("audio",), ""),
        ({"inputs": "text"}, ("audio",), "text"),
        ({"augment.inputs": "audio+text"}, ("audio", "text"), ""),
        ({"augment.inputs": "audio+text"}, ("text",), "audio"),
        ({"fit.C": 1.0}, ("audio",), ""),
        ({"outputs": "text"}, ("audio",), ""),
    ],
)
def test_inputs_name_the_modalities_they_need(change, modalities, missing):
    assert lacking(change, modalities) == missing
