import io
import json
import os

import made_corpus
import made_run
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from sweeper import plan, render, speed
from sweeper.study import Study
from trainables import corpus as corpora
from trainables.errors import InputError
from trainables.protocols import Protocol, cut

PROTOCOL = Protocol(kind="leave-one-session-out")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return corpora.load(made_corpus.make(tmp_path_factory.mktemp("data") / "toy"))


def _study(**changes) -> Study:
    given = {
        "name": "s",
        "corpus": "toy",
        "method": "mi_infogan",
        "protocol": {"kind": "leave-one-session-out"},
        "seeds": [0, 1, 2],
        "config": {"align": {"epochs": 5}, "generate": {"epochs": 3}, "augment": {"epochs": 2}},
    }
    return Study.model_validate(given | changes)


FULL = {
    "search": {"trials": 7},
    "ablation": {"rows": "all"},
    "sensitivity": {"parameters": ["align.alpha", "generate.depth"]},
}


def _groups(made):
    return {group.kind: (group.arms, dict(group.epochs)) for group in made.groups}


def test_a_bare_study_is_its_reference(corpus):
    made = plan.make(_study(), corpus)
    assert _groups(made) == {"reference": (1, {"align": 5, "generate": 3, "augment": 2})}
    assert (made.rows, made.arms, made.epochs) == (12, 1, 10)


def test_arms_and_epochs_are_counted_by_kind(corpus):
    made = plan.make(_study(**FULL), corpus)
    assert _groups(made) == {
        "reference": (1, {"align": 5, "generate": 3, "augment": 2}),
        "search": (7, {"align": 35, "generate": 21, "augment": 14}),
        # Two of the seven rows have no augmentation, one augments with real features.
        "ablation": (10, {"align": 50, "generate": 15, "augment": 16}),
        # alpha is searched, so its 6 values lie beside the best arm's; depth has 2 others than the paper's.
        "sensitivity": (8, {"align": 40, "generate": 24, "augment": 16}),
    }
    assert made.arms == 26


def test_around_the_papers_config_the_curve_has_its_own_point(corpus):
    section = {"parameters": ["align.alpha"], "around": "paper"}
    assert _groups(plan.make(_study(**FULL | {"sensitivity": section}), corpus))["sensitivity"][0] == 5


def test_searched_epochs_count_at_their_highest(corpus):
    space = {"augment.epochs": {"low": 1, "high": 20}, "align.epochs": {"options": [4, 9]}}
    made = plan.make(_study(search={"space": space, "trials": 2}), corpus)
    assert _groups(made)["search"] == (2, {"align": 18, "generate": 6, "augment": 40})


def test_audio_alone_searches_less_and_says_so(tmp_path):
    audio = corpora.load(made_corpus.make(tmp_path / "toy"), modalities=["audio"])
    made = plan.make(_study(**FULL, modalities=["audio"]), audio)
    assert set(made.space) == {"generate.lambda_y"}
    assert _groups(made)["sensitivity"][0] == 2
    assert any("align.alpha changes nothing with audio only" in note for note in made.notes)


def test_the_estimate_is_epochs_times_speed_over_arms_at_a_time(corpus):
    made = plan.make(_study(), corpus)
    assert made.seconds(2.0) == 20.0
    assert made.seconds(2.0, concurrent=4) == 5.0
    assert made.seconds(None) is None


def test_the_speed_comes_from_the_latest_run_on_the_same_corpus(tmp_path):
    study = _study(storage=str(tmp_path))
    assert speed.recorded(study, 4, "f00d") is None
    old, new = (made_run.make(tmp_path / name) for name in ("old", "new"))
    rows = [{**made_run._trial(arm, None), "seconds": 99.0} for arm in made_run.ARMS]
    made_run._write(old, "trials", rows)
    os.utime(old / "provenance.json", (1, 1))
    # 10 s for 20 epochs of 4 rows.
    assert speed.recorded(study, 4, "f00d") == pytest.approx(0.5)
    assert speed.recorded(study, 12, "f00d") == pytest.approx(1.5)
    assert speed.recorded(study, 4, "beef") is None
    (new / "trials.parquet").write_bytes(b"cut off")
    assert speed.recorded(study, 4, "f00d") == pytest.approx(99 / 20)
    (old / "provenance.json").write_text(json.dumps({"corpus": {}}))
    assert speed.recorded(study, 4, "f00d") is None


def test_a_protocol_the_corpus_does_not_allow_is_refused(corpus):
    with pytest.raises(InputError, match="split"):
        plan.make(_study(protocol={"kind": "predefined"}), corpus)


def _printed(made, seconds):
    out = io.StringIO()
    Console(width=200, file=out).print(render.plan(made, seconds))
    return out.getvalue()


def test_the_print_says_counts_time_and_place(corpus):
    made = plan.make(_study(**FULL), corpus)
    text = _printed(made, made.seconds(1.0, 1))
    assert "at most 26 arms x 4 folds x 3 seeds = 312 trainings" in text
    assert "tpe over 5 fields, seed 0" in text
    assert "10 rows, around the best arm" in text
    assert "run: runs/s" in text
    assert "at most about 4 min" in text
    assert "not known yet" in _printed(made, None)


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.4, "0 s"), (89, "89 s"), (120, "2 min"), (5399, "90 min"), (7200, "2.0 h")]
)
def test_durations_are_said_as_people_do(seconds, said):
    assert render.duration(seconds) == said


def test_a_speed_is_timed_where_no_run_tells_it(corpus):
    made = plan.make(_study(seeds=[0]), corpus)
    assert 0 < speed.timed(made, corpus) < 60
    assert "timed just now" in _printed_timed(made)


def _printed_timed(made):
    out = io.StringIO()
    Console(width=200, file=out).print(render.plan(made, 5.0, timed=True))
    return out.getvalue()


def test_arms_at_a_time_are_those_the_cores_hold():
    cores = os.cpu_count() or 1
    assert plan.concurrent(_study()) == cores
    assert plan.concurrent(_study(resources={"concurrent": 1})) == 1
    assert plan.concurrent(_study(resources={"cpus_per_trial": 2 * cores})) == 1


def test_what_folds_can_mislead_about_is_noted_before_anything_starts(tmp_path):
    """Two speakers of a session share its dialogues, and read each other's script."""
    folder = made_corpus.make(tmp_path / "toy")
    (path,) = folder.glob("*.parquet")
    table = pq.read_table(path)
    turns, names = (table[column].to_pylist() for column in ("turn", "utterance_id"))
    kind = ["read" if turn < 6 else "free" for turn in turns]
    script = [f"this is line number {turn % 4}" for turn in turns]
    said = [script[row] if each == "read" else f"mine is {names[row]} here" for row, each in enumerate(kind)]
    pq.write_table(table.append_column("transcript", [said]).append_column("scenario", [kind]), path)
    study = _study(
        corpus=str(folder), method="subspace_mapping", config={}, baselines=["linear"], modalities=["audio", "text"],
        protocol={"kind": "leave-one-speaker-out"},
    )  # fmt: skip
    made, out = plan.make(study, corpora.load(folder)), io.StringIO()
    Console(width=200, file=out).print(render.plan(made, None))
    for begins, holds in (
        ("KNOWN TEXTS: ", "where: {scenario: free} keeps"),
        ("DEV READS TEST: subspace_mapping ", "(fuse.max_turns), and in 8 of 8 folds 100%"),
        ("classes have fewer than 10 utterances in test of 8 of 8 folds", "moves the UAR"),
    ):
        (note,) = [each for each in made.notes if each.startswith(begins)]
        assert holds in note
        assert note in " ".join(out.getvalue().split())
    alone = study.model_copy(update={"config": {"fuse": {"max_turns": 1}}})
    assert not [each for each in plan.make(alone, corpora.load(folder)).notes if each.startswith("DEV READS")]


@pytest.mark.parametrize(
    ("kind", "folds", "said"),
    [("race", 1, True), ("race", 2, True), ("race", 3, False), ("asha", 1, False), ("none", 1, False)],
)
def test_a_race_that_can_stop_nothing_says_so(kind, folds, said):
    notes = plan._race_notes(_study(scheduler={"kind": kind}), folds)
    assert bool(notes) == said
    assert all(f"needs 3 folds, here are {folds}" in note and "kind: asha" in note for note in notes)


def test_what_a_race_cannot_do_is_noted_before_anything_starts(corpus, monkeypatch):
    folds, warnings = cut(corpus, PROTOCOL)
    monkeypatch.setattr(plan, "cut", lambda *_: (folds[:2], warnings))
    assert any(note.startswith("scheduler: ") for note in plan.make(_study(scheduler={"kind": "race"}), corpus).notes)
