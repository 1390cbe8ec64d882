import dataclasses
import json
import subprocess
import sys
from itertools import combinations

import pytest
from pydantic import BaseModel

import search_spaces
from search_spaces.change import apply, difference
from search_spaces.space import AblationRow
from sweeper.arms import (
    ablation_arms,
    arm_id,
    left_out,
    reference_arm,
    rows_in_effect,
    search_arm,
    sensitivity_arms,
)
from sweeper.study import Study
from trainables.errors import InputError
from trainables.mi_infogan.config import Config

SPACES = search_spaces.get("mi_infogan")


def _study(**changes) -> Study:
    given = {
        "name": "s",
        "corpus": "builtin",
        "method": "mi_infogan",
        "protocol": {"kind": "leave-one-session-out"},
        "modalities": ["audio", "text"],
        "search": {"trials": 3},
        "ablation": {"rows": "all"},
        "sensitivity": {"parameters": ["align.alpha", "generate.depth"]},
    }
    return Study.model_validate(given | changes)


def _ablation(study, **kwargs):
    return ablation_arms(study, SPACES, study.method_config(), reference_arm(study).id, **kwargs)


def _sensitivity(study, **kwargs):
    return sensitivity_arms(study, SPACES, study.method_config(), reference_arm(study).id, **kwargs)


def test_the_reference_is_the_papers_defaults_or_says_that_it_is_not():
    assert reference_arm(_study()).name == "paper defaults"
    assert reference_arm(_study(config={"align": {"epochs": 3}})).name == "study config"
    assert reference_arm(_study(config={"align": {"alpha": 1}})).name == "paper defaults"


def test_equal_configs_are_one_arm_whatever_asked_for_them():
    study = _study()
    same = search_arm(study, 4, {"align.alpha": 1, "generate.depth": 1})
    assert same.id == reference_arm(study).id
    assert (same.kind, same.name) == ("search", "search 4")
    assert search_arm(study, 4, {"align.alpha": 2}).id != same.id


def test_the_identity_is_the_same_in_another_process_and_does_not_depend_on_the_studys_name():
    code = (
        "from sweeper.arms import arm_id; from trainables.mi_infogan.config import Config;"
        "print(arm_id('mi_infogan', Config()))"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == arm_id("mi_infogan", Config())
    assert reference_arm(_study(name="x", seeds=[9])).id == arm_id("mi_infogan", Config())
    assert arm_id("other", Config()) != arm_id("mi_infogan", Config())


def test_the_identity_has_not_changed():
    """Ids name arms in tables that people keep: a refactoring must leave them as they are."""

    class Section(BaseModel):
        weight: float = 1.0

    class Small(BaseModel):
        first: Section = Section()
        depth: int = 2

    assert arm_id("m", Small()) == "603ae24dc4"
    assert arm_id("m", Small(depth=3)) != "603ae24dc4"


def test_configs_are_plain_json():
    arm = reference_arm(_study())
    assert json.loads(json.dumps(arm.config)) == arm.config
    assert Config.model_validate(arm.config) == Config()


def test_every_row_is_an_arm_that_differs_by_its_change_only():
    arms = _ablation(_study())
    assert [arm.name for arm in arms] == [row.name for row in SPACES.ablation]
    for arm, row in zip(arms, SPACES.ablation, strict=True):
        assert difference(Config.model_validate(arm.config), Config()) == dict(row.change)
        assert (arm.kind, arm.parent) == ("ablation", arm_id("mi_infogan", Config()))


def test_paper_rows_leave_the_controls_out_and_names_choose():
    assert [arm.name for arm in _ablation(_study(ablation={"rows": "paper"}))] == [
        row.name for row in SPACES.ablation if not row.control
    ]
    assert [arm.name for arm in _ablation(_study(ablation={"rows": ["Without mixup"]}))] == ["Without mixup"]


def test_a_factorial_design_is_every_combination_of_its_rows():
    names = ["Without mixup", "Without cross-modal alignment", "Without augmentation"]
    study = _study(ablation={"rows": ["Without mixup"], "factorial": names})
    change = {row.name: dict(row.change) for row in SPACES.ablation}
    made = {arm.name: difference(Config.model_validate(arm.config), Config()) for arm in _ablation(study)}
    for some in (some for count in (1, 2, 3) for some in combinations(names, count)):
        # A combination that is a row of the paper anyway keeps that row's name.
        union = {path: value for name in some for path, value in change[name].items()}
        assert union in made.values()
    assert len(made) == 7
    assert made["Without mixup + Without cross-modal alignment"] == {**change[names[0]], **change[names[1]]}
    assert "Baseline without cross-modal alignment" not in made


def test_combinations_that_are_rows_already_are_not_run_twice():
    study = _study(ablation={"factorial": ["Without cross-modal alignment", "Without augmentation"]})
    arms = _ablation(study)
    assert len({arm.id for arm in arms}) == len(arms) == len(SPACES.ablation)
    assert any("is the same as row 'Baseline without" in note for note in left_out(study, SPACES))


def test_rows_are_applied_around_the_config_given():
    study = _study()
    best = apply(study.method_config(), {"generate.lambda_y": 5.0})
    arm = ablation_arms(study, SPACES, best, "best")[0]
    assert arm.parent == "best"
    assert difference(Config.model_validate(arm.config), best) == {"align.alpha": 0.0, "align.beta": 0.0}


def test_a_row_that_changes_nothing_here_or_is_there_already_is_not_made():
    study = _study(config={"generate": {"mixup": 0}})
    assert "Without mixup" not in [arm.name for arm in _ablation(study)]
    assert any("'Without mixup' is the same as the arm" in note for note in left_out(study, SPACES))
    first = _ablation(_study())[0]
    assert first.name not in [arm.name for arm in _ablation(_study(), taken={first.id})]


def test_a_sensitivity_curve_moves_one_field_and_skips_the_value_it_starts_from():
    arms = _sensitivity(_study())
    assert [(arm.parameter, arm.value) for arm in arms] == [
        *(("align.alpha", value) for value in (0.0, 0.1, 0.3, 3.0, 10.0)),
        *(("generate.depth", value) for value in (2, 3)),
    ]
    for arm in arms:
        assert difference(Config.model_validate(arm.config), Config()) == {arm.parameter: arm.value}
    assert arms[1].name == "align.alpha = 0.1"


def test_own_values_replace_the_grid_and_take_the_type_of_the_field():
    arms = _sensitivity(_study(sensitivity={"parameters": {"align.alpha": [2, 1, 2.0]}}))
    assert [(arm.value, type(arm.value)) for arm in arms] == [(2.0, float)]


def test_without_sections_there_are_no_arms():
    study = _study(ablation=None, sensitivity=None)
    assert _ablation(study) == _sensitivity(study) == []
    assert left_out(study, SPACES) == []


def test_audio_alone_drops_what_needs_text_and_says_so():
    study = _study(modalities=["audio"]).with_corpus({"audio": "audio_x"})
    rows = {arm.name: difference(Config.model_validate(arm.config), Config()) for arm in _ablation(study)}
    assert rows == {
        "Without cross-modal alignment & mutual information maximization": {"generate.lambda_y": 0.0},
        "Without augmentation": {"augment.source": "none"},
        "Real features twice (no generation)": {"augment.source": "real"},
        "cGAN (label-conditional generation)": {
            "generate.conditional": True,
            "generate.lambda_y": 0.0,
            "generate.learning_rate": 1e-3,
        },
        "Real features with noise (no generation)": {"augment.source": "noise"},
        "Mixup of real features (no generation)": {"augment.source": "mixup"},
        "Without mixup": {"generate.mixup": 0.0},
    }
    assert {arm.parameter for arm in _sensitivity(study)} == {"generate.depth"}
    notes = left_out(study, SPACES)
    for word in ("search: align.alpha", "row 'Without cross-modal alignment'", "sensitivity: align.alpha"):
        assert any(word in note and "audio only" in note for note in notes)


def _with_copies(*copies, **changes):
    return _study(**changes).with_corpus({"audio": "audio_x", "text": "text_y"}, copies)


def test_rows_on_recordings_are_there_as_far_as_the_corpus_has_such_copies():
    def rows(study):
        found = {arm.name: arm.config["augment"]["copies"] for arm in _ablation(study)}
        return {name: copies for name, copies in found.items() if name.startswith("Recordings")}

    assert rows(_with_copies("noise0", "noise10", "speed0.9")) == {
        "Recordings with noise (no generation)": ["noise"],
        "Recordings at another speed (no generation)": ["speed"],
    }
    assert rows(_with_copies()) == {}
    assert len(rows(_study())) == 5


def test_what_needs_copies_is_said_in_one_line():
    def notes(study):
        return [note for note in left_out(study, SPACES) if "copies" in note]

    (none,) = notes(_with_copies())
    assert "5 rows need augmented copies of the recordings (noise, speed, pitch, stretch, specaugment)" in none
    assert "are left out; where there are recordings, `sweeper data features --augment`" in none
    (one,) = notes(_with_copies("noise10", "speed0.9", "pitch2", "specaugment"))
    assert "1 row needs augmented copies of the recordings (stretch), which the corpus does not have, and is" in one
    assert notes(_with_copies("noise10", "speed0.9", "pitch2", "specaugment", "stretch0.9")) == []
    assert notes(_with_copies(ablation={"rows": ["Without mixup"]})) == []


@pytest.mark.parametrize(
    ("copies", "augment", "said"),
    [
        ((), {"source": "recordings"}, "(any), and there are none"),
        (("noise10",), {"source": "recordings", "copies": ["pitch"]}, "(pitch), and there are noise10"),
    ],
)
def test_a_config_that_asks_for_copies_that_are_not_there_is_refused(copies, augment, said):
    with pytest.raises(InputError) as refused:
        _with_copies(*copies, config={"augment": augment})
    assert str(refused.value).startswith("config.augment.source: 'recordings' needs augmented copies")
    assert said in str(refused.value)
    _with_copies(*copies, config={"augment": {**augment, "source": "noise"}})
    _with_copies("pitch2", config={"augment": augment})


def test_values_that_ask_for_copies_are_probed_where_there_are_such():
    def probed(*copies):
        given = {"augment.copies": [["noise"], ["pitch"]]}
        study = _with_copies(
            *copies, sensitivity={"parameters": given}, config={"augment": {"source": "recordings"}}, ablation=None
        )
        return [arm.value for arm in _sensitivity(study)]

    assert probed("noise10") == [["noise"]]
    assert probed("noise10", "pitch2") == [["noise"], ["pitch"]]


def test_both_modalities_leave_nothing_out():
    assert left_out(_study(), SPACES) == []


def test_a_suggestion_outside_the_config_is_refused():
    with pytest.raises(InputError, match=r"did you mean align\.alpha"):
        search_arm(_study(), 0, {"align.alfa": 1.0})


def test_a_row_needs_a_change():
    with pytest.raises(InputError):
        AblationRow("empty", {}, "")


def test_rows_and_values_that_need_a_missing_modality_are_left_out():
    given = {"sensitivity": {"parameters": {"augment.inputs": ["audio", "audio+text"]}}}
    both, audio = _study(**given), _study(**given, modalities=["audio"])
    assert [arm.value for arm in _sensitivity(both)] == ["audio+text"]
    assert _sensitivity(audio) == []
    row = AblationRow("With text", {"augment.inputs": "audio+text"}, "ours")
    spaces = dataclasses.replace(SPACES, ablation=(row,))
    assert [each.name for each, _ in rows_in_effect(both, spaces)] == ["With text"]
    assert rows_in_effect(audio, spaces) == []
    assert "ablation: row 'With text' needs text, it is left out" in left_out(audio, spaces)
