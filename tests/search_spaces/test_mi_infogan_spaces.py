"""The declared ranges, rows and grids fit the config they are about."""

import pytest

import search_spaces
from search_spaces.change import apply, difference, get_field, paths
from search_spaces.space import Choice, Int, without_copies
from trainables.errors import InputError
from trainables.methods import METHODS
from trainables.mi_infogan.config import Config

SPACES = search_spaces.get("mi_infogan")
PAPER = Config()
RANGES = [(name, path, made) for name, space in SPACES.spaces.items() for path, made in space.items()]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_spaces_of_its_name(method):
    assert search_spaces.get(method).method == method


def test_an_unknown_method_is_answered_with_the_nearest():
    with pytest.raises(InputError, match="did you mean mi_infogan"):
        search_spaces.get("mi-infogan")


@pytest.mark.parametrize(("name", "path", "made"), RANGES)
def test_every_range_names_a_field_that_takes_all_its_values(name, path, made):
    ends = made.options if isinstance(made, Choice) else (made.low, made.high)
    for value in ends:
        assert get_field(apply(PAPER, {path: value}), path) == value


@pytest.mark.parametrize(("name", "path", "made"), RANGES)
def test_every_range_holds_the_paper_default(name, path, made):
    assert get_field(PAPER, path) in made


def test_the_loss_weights_lie_around_the_papers_one():
    for path in ("align.alpha", "align.beta", "generate.lambda_y", "generate.lambda_t"):
        made = SPACES.spaces["loss_weights"][path]
        assert made.log
        assert made.low * made.high == pytest.approx(get_field(PAPER, path) ** 2, rel=0.2)


def test_generator_depth_and_sizes_are_searched_as_whole_numbers():
    whole = {path for path, made in SPACES.spaces["generator"].items() if isinstance(made, Int)}
    assert whole == {"generate.depth", "generate.width", "generate.noise_dim"}


def test_all_is_the_union_of_the_other_spaces():
    others = {path for name, space in SPACES.spaces.items() if name != "all" for path in space}
    assert others < set(SPACES.spaces["all"])


@pytest.mark.parametrize("row", SPACES.ablation, ids=lambda row: row.name)
def test_every_row_names_real_fields_and_changes_each_of_them(row):
    changed = difference(apply(PAPER, row.change), PAPER)
    assert set(changed) == set(row.change)
    assert row.claim


def test_no_two_rows_are_the_same_configuration():
    configs = [apply(PAPER, row.change).model_dump_json() for row in SPACES.ablation]
    assert len(set(configs)) == len(configs)


def test_table_3_is_whole_and_as_printed():
    printed = {
        "Without cross-modal alignment": (62.31, 3.65),
        "Without cross-modal alignment & text embedding": (61.07, 2.45),
        "Without cross-modal alignment & mutual information maximization": (61.70, 2.58),
        "Baseline without cross-modal alignment": (60.73, 3.92),
    }
    ours = {row.name: row.published[0] for row in SPACES.ablation if not row.control}
    assert {name: (round(100 * p.mean, 2), round(100 * p.std, 2)) for name, p in ours.items()} == printed
    full = SPACES.published[0]
    assert (full.mean, full.std, full.source) == (0.634, 0.0252, "Ahn et al. 2025, table 3")


def test_the_control_that_generates_nothing_is_a_row():
    rows = {row.name: row for row in SPACES.ablation if row.control}
    assert rows["Real features twice (no generation)"].change == {"augment.source": "real"}
    assert rows["Without augmentation"].change == {"augment.source": "none"}


def test_other_augmentation_is_in_the_table_as_controls():
    rows = {row.name: row.change for row in SPACES.ablation if row.control}
    assert rows["Real features with noise (no generation)"] == {"augment.source": "noise"}
    assert rows["Mixup of real features (no generation)"] == {"augment.source": "mixup"}
    cgan = apply(PAPER, rows["cGAN (label-conditional generation)"]).generate
    assert (cgan.conditional, cgan.text, cgan.lambda_y, cgan.lambda_t) == (True, False, 0, 0)


def test_every_augmentation_of_recordings_is_a_row():
    changes = [row.change for row in SPACES.ablation if row.change.get("augment.source") == "recordings"]
    assert {kind for change in changes for kind in change["augment.copies"]} == {
        "noise",
        "speed",
        "pitch",
        "stretch",
        "specaugment",
    }
    assert all(row.control for row in SPACES.ablation if "augment.copies" in row.change)


def test_what_asks_for_copies_that_a_corpus_lacks():
    asks = {"augment.source": "recordings", "augment.copies": ("noise", "pitch2")}
    assert without_copies(asks, None) == ""
    assert without_copies(asks, ("noise10", "pitch2")) == ""
    assert without_copies(asks, ("noise10", "pitch-2")) == "pitch2"
    assert without_copies({"augment.source": "recordings", "augment.copies": None}, ()) == "any"
    assert without_copies({**asks, "augment.source": "generated"}, ()) == ""
    assert without_copies({"align.alpha": 1.0}, ()) == ""


@pytest.mark.parametrize(("path", "values"), SPACES.sensitivity.items())
def test_every_grid_fits_its_field_and_holds_the_paper_default(path, values):
    taken = [get_field(apply(PAPER, {path: value}), path) for value in values]
    assert taken == sorted(set(taken))
    assert get_field(PAPER, path) in taken


def test_what_needs_text_are_fields():
    assert SPACES.needs["text"] <= set(paths(PAPER))
    assert SPACES.requires == ("audio",)
