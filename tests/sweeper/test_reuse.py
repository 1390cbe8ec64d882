import io
from dataclasses import replace

import pytest
import tiny
from rich.console import Console

from sweeper import plan, render, reuse
from sweeper.artifacts import Store, digest
from sweeper.execute import run_arm
from trainables import methods
from trainables.errors import InputError
from trainables.task import Task


@pytest.fixture(autouse=True)
def _tiny():
    tiny.register()
    yield
    tiny.unregister()


def look(study):
    corpus = plan.corpus_of(study)
    made = plan.make(study, corpus)
    return made, reuse.look(made, corpus)


def train(study, **changes):
    """Train the study's own config, as its reference arm would."""
    corpus = plan.corpus_of(study)
    task = Task(corpus, plan.make(study, corpus).folds, study.seeds)
    method = methods.get("tiny")
    config = method.config.model_validate(changes)
    return list(run_arm(method, config, task, Store(study.stage_folder, "earlier"), owner="arm")), digest(task)


def said(study):
    made, found = look(study)
    out = io.StringIO()
    Console(width=300, file=out).print(render.plan(made, None, reuse=found))
    return [line for line in out.getvalue().splitlines() if line.startswith("stages: ")]


def test_known_stages_are_counted_once(tmp_path):
    study = tiny.study(tmp_path, search=None, sensitivity=None, baselines=["linear"])
    _, found = look(study)
    # learn, dream, tune of the reference; "Without dreaming" has another tune, "Without gain" too; linear has one.
    assert (found.known, found.kept, found.saved, found.more) == (6, 0, 0, False)
    assert said(study) == [f"stages: none are kept in {study.stage_folder} yet"]


def test_what_an_earlier_run_trained_is_seen(tmp_path):
    study = tiny.study(tmp_path, search=None, sensitivity=None)
    train(study)
    _, found = look(study)
    assert (found.known, found.kept, found.saved, found.epochs) == (5, 3, 10, 16)
    (line,) = said(study.model_copy(update={"name": "other"}))
    assert "3 of 5 known so far are kept" in line
    assert "10 of 16 epochs need no training;" in line
    assert line.endswith(" of 20 GB used")


def test_of_a_search_only_the_reference_is_known(tmp_path):
    study = tiny.study(tmp_path)
    train(study)
    _, found = look(study)
    assert (found.known, found.kept, found.more) == (3, 3, True)
    assert "not known yet" in said(study)[0]


def test_other_seeds_are_other_stages(tmp_path):
    study = tiny.study(tmp_path)
    train(study)
    _, found = look(study.model_copy(update={"seeds": (0, 2)}))
    assert (found.known, found.kept) == (3, 0)


def test_a_study_that_shares_nothing_says_nothing(tmp_path):
    study = tiny.study(tmp_path, stages=False)
    assert look(study)[1] is None
    assert said(study) == []


def test_looking_makes_no_folder(tmp_path):
    look(tiny.study(tmp_path))
    assert not (tmp_path / "runs").exists()


def test_a_folder_that_cannot_be_read_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"stages\.folder: .*file cannot be read"):
        look(tiny.study(tmp_path, stages=str(tmp_path / "file")))


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (20_000_000_000, "20 GB"), (1_234_567, "1.23 MB"), (5 * 10**15, "5e+03 TB")],
)
def test_sizes_are_said_in_words(size, text):
    assert render.size(size) == text


def test_trained_and_taken_stages_report_alike(tmp_path):
    study = tiny.study(tmp_path)
    trained, _ = train(study)
    taken, _ = train(study)
    for left, right in zip(trained, taken, strict=True):
        assert repr(replace(left, seconds=0.0, trained=0, reused=0)) == repr(
            replace(right, seconds=0.0, trained=0, reused=0)
        )
