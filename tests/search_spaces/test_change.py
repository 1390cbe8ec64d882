import pytest

from search_spaces.change import apply, did_you_mean, difference, field_type, flatten, get_field, paths
from trainables.errors import InputError
from trainables.mi_infogan.config import Config

PAPER = Config()


def test_flatten_makes_dotted_paths():
    assert flatten({"a": {"b": 1, "c": {"d": [2]}}, "e": None}) == {"a.b": 1, "a.c.d": [2], "e": None}


def test_apply_changes_the_named_fields_and_no_other():
    changed = apply(PAPER, {"align.alpha": 0.5, "generate.text": False, "align.hidden": [64, 32]})
    assert (changed.align.alpha, changed.generate.text, changed.align.hidden) == (0.5, False, (64, 32))
    assert difference(changed, PAPER) == {
        "align.alpha": 0.5,
        "align.hidden": [64, 32],
        "generate.text": False,
    }
    assert PAPER.align.alpha == 1.0


def test_apply_undoes_a_difference():
    changed = apply(PAPER, {"align.alpha": 0.5, "augment.source": "none"})
    back = {path: get_field(PAPER, path) for path in difference(changed, PAPER)}
    assert apply(changed, back) == PAPER


def test_no_change_is_no_difference():
    assert difference(apply(PAPER, {"align.alpha": 1}), PAPER) == {}


def test_numbers_take_the_type_of_their_field():
    assert paths(apply(PAPER, {"align.alpha": 2}))["align.alpha"] == 2.0
    assert isinstance(paths(apply(PAPER, {"align.alpha": 2}))["align.alpha"], float)
    assert isinstance(paths(apply(PAPER, {"generate.depth": 2.0}))["generate.depth"], int)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"align.alfa": 1}, "^align.alfa: no such field; did you mean align.alpha?"),
        ({"align.lambda_y": 1}, "did you mean generate.lambda_y?"),
        ({"alpha": 1}, "did you mean align.alpha?"),
        ({"xyzzy": 1}, "there is align, generate, augment$"),
        ({"align": 1}, "^align: is a section, name one of its fields: align.encoder, align.train"),
        ({"align.alpha": -1}, "^align.alpha: must be at least 0, found -1$"),
        ({"align.alpha": float("nan")}, "^align.alpha: must be finite"),
        ({"align.alpha": "big"}, "^align.alpha: must be a number, found 'big'$"),
        ({"align.alpha": True}, "^align.alpha: a truth value is not allowed"),
        ({"align.temperature": 0}, "must be above 0"),
        ({"align.dropout": 1}, "must be below 1"),
        ({"generate.depth": 2.5}, "must be a whole number"),
        ({"generate.depth": 7}, "must be at most 6"),
        ({"generate.text": "maybe"}, "must be true or false"),
        (
            {"augment.source": "fake"},
            "must be 'generated', 'noise', 'mixup', 'recordings', 'real' or 'none', found 'fake'",
        ),
        ({"align.hidden": 3}, "must be a list"),
        ({"align.alpha": -1, "align.beta": -1}, r"\(and 1 more\)"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(change, says):
    with pytest.raises(InputError, match=says) as caught:
        apply(PAPER, change)
    assert "\n" not in str(caught.value)


def test_get_field_refuses_an_unknown_path():
    with pytest.raises(InputError, match=r"did you mean align\.beta"):
        get_field(PAPER, "align.betta")


def test_field_type_is_the_annotation():
    assert field_type(Config, "align.alpha") is float
    assert field_type(Config, "generate.depth") is int


def test_nothing_near_lists_what_there_is():
    assert did_you_mean("zzz", ["alpha", "beta"]) == "; there is alpha, beta"
    assert did_you_mean("zzz", []) == ""
