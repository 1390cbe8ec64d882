"""Real Ray, a tiny method: every table and every failure, through Tune."""

import io
import json
import logging
import os
import sys
import warnings
from pathlib import Path

import pandas as pd
import pytest
import ray
import tiny
import yaml
from rich.console import Console

from sweeper import connect, layout, plan, process, runner
from sweeper import folder as folders
from sweeper.lock import held
from sweeper.results import read_status
from sweeper.tables import SCHEMAS
from trainables.errors import InputError

#: Seconds, on a machine that has other things to do.
PATIENCE = 280


@pytest.fixture(autouse=True)
def _tiny():
    tiny.register()
    yield
    tiny.unregister()


@pytest.fixture(scope="module")
def cluster():
    """One local Ray for all tests of this module; it is found running, and left running."""
    patch = pytest.MonkeyPatch()
    patch.setenv("PYTHONPATH", tiny.PYTHONPATH)
    for name, value in connect.ENVIRONMENT.items():
        patch.setenv(name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        process.private_token()
        ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    yield
    ray.shutdown()
    patch.undo()


def run(study):
    """The outcome, and what was printed."""
    out = io.StringIO()
    return runner.run(study, console=Console(file=out, width=200)), out.getvalue()


def trials(study) -> pd.DataFrame:
    return pd.read_parquet(study.run_folder / "trials.parquet").set_index("name")


def stamps(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.mark.slow
@pytest.mark.timeout(PATIENCE)
@pytest.mark.usefixtures("cluster")
def test_a_whole_study_and_then_nothing(tmp_path, capfd):
    study = tiny.study(tmp_path, baselines=["linear"])
    outcome, text = run(study)
    assert (outcome.failed, outcome.interrupted, outcome.already) == (0, False, False)
    table = trials(study)
    assert outcome.done + outcome.stopped == len(table) == 13
    assert outcome.best == table.index[table["is_best"]].item()
    kinds = {"search": 6, "sensitivity": 3, "ablation": 2, "reference": 1, "baseline": 1}
    assert table["kind"].value_counts().to_dict() == kinds
    baseline = table.loc["linear"]
    assert (baseline["method"], baseline["status"], baseline["changed"]) == ("linear", "done", "{}")
    assert baseline["parent"] == table.loc[table["is_best"], "arm"].item()
    assert table.loc["paper defaults", "status"] == "done"
    assert table.loc["Without dreaming", "epochs_reused"] == 5, "stage 1 of the best arm is not trained again"
    assert sorted(path.name for path in study.run_folder.iterdir()) == sorted(
        [f"{name}.parquet" for name in ("trials", "folds", "speakers", "curves", "diagnostics", "embeddings")]
        + ["study.yaml", "provenance.json", "status.json", "sweeper.log"]
    )
    assert read_status(study.run_folder)["state"] == "finished"
    assert "13/15" in text, "plain lines where there is no terminal"
    assert capfd.readouterr() == ("", ""), "neither Ray nor Tune nor Optuna says anything"
    check_records(study)
    before = stamps(study.run_folder)
    again, _ = run(study)
    assert again.already
    assert (again.done, again.stopped, again.best_score) == (outcome.done, outcome.stopped, outcome.best_score)
    changed = {name for name, stamp in stamps(study.run_folder).items() if before.get(name) != stamp}
    assert changed == set(), "the second run wrote nothing"


@pytest.mark.slow
@pytest.mark.timeout(PATIENCE)
@pytest.mark.usefixtures("cluster")
def test_arms_side_by_side_are_as_alone(tmp_path):
    """Workers of several arms share a trainer; one of the arms fails, and is the only one."""
    asked = {
        "method": "concat_mlp",
        "config": {"classify": {"hidden": [4], "epochs": 4}},
        "search": None,
        "ablation": None,
        "sensitivity": {"parameters": {"classify.learning_rate": [0.003, 0.01, 0.03, 0.1, 1e30]}, "around": "paper"},
        "scheduler": {"kind": "none"},
        "stages": False,
    }
    tables, apart = {}, "classify.learning_rate = 1e+30"
    for name, resources in (
        ("alone", {"cpus_per_trial": 0.5, "concurrent": 2}),
        ("together", {"cpus_per_trial": 0.5, "concurrent": 4, "side_by_side": 3}),
    ):
        study = tiny.study(tmp_path, name=name, resources=resources, **asked)
        outcome, _ = run(study)
        assert (outcome.done, outcome.failed) == (5, 1)
        assert trials(study).loc[apart, "reason"].startswith("stage classify, epoch ")
        folds = pd.read_parquet(study.run_folder / "folds.parquet")
        keys = ["name", "stage", "fold", "seed", "split", "condition"]
        tables[name] = folds[folds["name"] != apart].sort_values(keys).set_index(keys)
    pd.testing.assert_frame_equal(tables["alone"], tables["together"], atol=1e-6)


@pytest.mark.slow
@pytest.mark.timeout(PATIENCE)
@pytest.mark.usefixtures("cluster")
def test_a_second_run_takes_what_the_first_trained_and_says_the_same(tmp_path):
    """One arm at a time, so that the search proposes the same."""
    alone = {"resources": {"cpus_per_trial": 0.5, "concurrent": 1}}
    first, second = (tiny.study(tmp_path, name=name, **alone) for name in ("first", "second"))
    apart = tiny.study(tmp_path, name="apart", stages=False, **alone)
    run(first)
    stages = Path(first.stage_folder)
    kept = {path.name for path in stages.iterdir()}
    assert kept
    assert {Path(name).suffix for name in kept if name != ".lock"} == {".safetensors"}
    run(second)
    run(apart)
    assert {path.name for path in stages.iterdir()} == kept, "nothing was trained that was there"
    assert not Path(apart.stage_folder).exists()
    about = [json.loads((study.run_folder / "provenance.json").read_text()) for study in (first, second, apart)]
    assert [each["stages"] for each in about] == [str(stages)] * 2 + [str(apart.run_folder / "stages")]
    assert len({each["id"] for each in about}) == 3
    done = trials(second).query("status == 'done'")
    assert done["epochs_trained"].sum() == 0, "an equal arm of another run is another arm"
    assert done["epochs_reused"].sum() > 0
    for name in SCHEMAS:
        mine, *others = (pd.read_parquet(study.run_folder / f"{name}.parquet") for study in (first, second, apart))
        clocks = ["started_at", "finished_at", "seconds", "epochs_trained", "epochs_reused"]
        for other in others:
            left, right = (each.drop(columns=clocks, errors="ignore") for each in (mine, other))
            pd.testing.assert_frame_equal(left, right)


def check_records(study):
    """study.yaml and provenance.json of a finished run."""
    assert (
        folders.differing(folders.load(study.run_folder / "study.yaml"), study.with_corpus({"audio": "audio_toy"}))
        == []
    )
    about = json.loads((study.run_folder / "provenance.json").read_text())
    assert about["corpus"]["counts"] == {"angry": 40, "sad": 40}
    assert about["rows"][:3] == [["s0", 0], ["s0", 1], ["s1", 0]]
    assert about["folds"][0]["speakers"]["test"] == ["s0F", "s0M"]
    assert about["parameters"] == {"learn.rate": {"kind": "float", "low": 0.03, "high": 3.0, "log": True}}
    assert about["ablation"]["Without dreaming"]["control"] is True
    assert about["invocations"] == 1
    assert about["finished_at"] > about["started_at"]
    table = trials(study)
    assert about["selection"]["reference"] == table.loc[table["is_reference"], "arm"].item()


@pytest.mark.slow
@pytest.mark.timeout(PATIENCE)
@pytest.mark.usefixtures("cluster")
def test_failures_are_results_and_the_sweep_goes_on(tmp_path):
    once = str(tmp_path / "died")
    study = tiny.study(
        tmp_path,
        search=None,
        config={"learn.die_once": once, "learn.rate": 0.4},
        ablation=None,
        sensitivity={
            "parameters": {"learn.nan_at": [3], "learn.error_at": [2], "learn.die_at": [4], "tune.gain": [1.0]}
        },
        scheduler={"kind": "none"},
    )
    outcome, text = run(study)
    assert (outcome.done, outcome.failed) == (3, 2)
    table = trials(study)
    nan, error, died = (table.loc[f"learn.{name}"] for name in ("nan_at = 3", "error_at = 2", "die_at = 4"))
    assert nan["reason"].startswith("stage learn, epoch 3: loss is not finite in 8 of 8 rows")
    assert error["reason"] == "RuntimeError: the second line says why"
    assert (nan["attempts"], error["attempts"]) == (1, 1), "they would fail again"
    assert (died["status"], died["attempts"]) == ("done", 2), "a worker's death is tried again"
    assert table.loc["tune.gain = 1", "status"] == "done"
    assert "first line" in (study.run_folder / "sweeper.log").read_text(), "the trace is in the log"
    assert "not finite" in text
    curves = pd.read_parquet(study.run_folder / "curves.parquet")
    assert list(curves.loc[curves["name"] == "learn.nan_at = 3", "epoch"]) == [1, 2]
    assert len(curves[curves["name"] == "learn.die_at = 4"]) == 10, "each epoch once"


@pytest.mark.slow
@pytest.mark.timeout(PATIENCE)
@pytest.mark.usefixtures("cluster")
def test_an_arm_that_kills_every_worker_is_given_up(tmp_path):
    study = tiny.study(
        tmp_path,
        search=None,
        ablation=None,
        sensitivity={"parameters": {"learn.die_at": [1]}},
        resources={"concurrent": 1},
    )
    outcome, _ = run(study)
    assert (outcome.done, outcome.failed) == (1, 1)
    row = trials(study).loc["learn.die_at = 1"]
    assert row["attempts"] == 2
    assert row["reason"].startswith("the worker process died")
    assert "\n" not in row["reason"]


@pytest.mark.slow
@pytest.mark.timeout(PATIENCE)
@pytest.mark.usefixtures("cluster")
def test_too_many_failures_end_the_run_which_can_be_gone_on_with(tmp_path):
    changes = {
        "search": None,
        "ablation": None,
        "sensitivity": {"parameters": {"learn.error_at": [1, 2, 3, 4]}},
        "resources": {"concurrent": 1},
    }
    outcome, _ = run(tiny.study(tmp_path, **changes, failures={"limit": 2}))
    assert (outcome.done, outcome.failed, outcome.given_up) == (1, 2, True)
    assert read_status(tiny.study(tmp_path).run_folder)["state"] == "failed"
    outcome, _ = run(tiny.study(tmp_path, **changes))
    assert (outcome.done, outcome.failed, outcome.given_up) == (1, 4, False)


@pytest.mark.slow
@pytest.mark.timeout(PATIENCE)
@pytest.mark.usefixtures("cluster")
def test_trouble_of_our_own_ends_the_run_instead_of_an_arm(tmp_path, monkeypatch):
    def full(self, *_, **__):
        raise OSError("no space left on device")

    study = tiny.study(tmp_path, search={"trials": 2}, ablation=None, sensitivity=None)
    with monkeypatch.context() as patch:
        patch.setattr(runner.Writer, "finish", full)
        with pytest.raises(OSError, match="no space left"):
            run(study)
    assert read_status(study.run_folder)["state"] == "failed"
    outcome, _ = run(study)
    assert (outcome.failed, outcome.done + outcome.stopped) == (0, 3)


@pytest.mark.slow
@pytest.mark.timeout(PATIENCE)
@pytest.mark.usefixtures("cluster")
def test_workers_that_cannot_start_are_no_arms_failure(tmp_path, monkeypatch):
    """The method is installed here, and nowhere else."""
    from tiny_method import config, method

    study = tiny.study(tmp_path, search={"trials": 2}, ablation=None, sensitivity=None)
    with monkeypatch.context() as patch:
        for name, module in (("only_here", tiny), ("only_here.config", config), ("only_here.method", method)):
            patch.setitem(sys.modules, name, module)
        patch.setitem(runner.methods.METHODS, "tiny", "only_here")
        with pytest.raises(InputError, match=r"workers cannot start \(.*No module named 'only_here'"):
            run(study)
    assert read_status(study.run_folder)["state"] == "failed"
    outcome, _ = run(study)
    assert (outcome.failed, outcome.done + outcome.stopped) == (0, 3)


def test_another_study_does_not_fit_into_the_folder(tmp_path):
    study = tiny.study(tmp_path)
    started(study)
    for changes, key in (
        ({"search": {"trials": 7}}, "search.trials"),
        ({"seeds": [0, 2]}, "seeds"),
        ({"config": {"tune.gain": 0.3}}, "config.tune.gain"),
    ):
        with pytest.raises(InputError, match=key):
            run(tiny.study(tmp_path, **changes))


def test_what_changes_no_number_may_differ(tmp_path):
    study = tiny.study(tmp_path)
    started(study)
    other = tiny.study(tmp_path, resources={"concurrent": 7}, failures={"retries": 5}, storage="elsewhere")
    settled = other.with_corpus({"audio": "audio_toy"})
    assert folders.differing(folders.load(study.run_folder / "study.yaml"), settled) == []


def test_another_corpus_does_not_fit_into_the_folder(tmp_path):
    study = tiny.study(tmp_path)
    started(study)
    tiny.make(tmp_path / "toy", each=18)
    with pytest.raises(InputError, match="was begun with another corpus"):
        run(study)


def test_what_is_refused_before_any_arm_leaves_nothing_behind(tmp_path):
    study = tiny.study(tmp_path)
    with pytest.raises(InputError, match="nobody answers there"):
        runner.run(study, address="127.0.0.1:1", console=Console(file=io.StringIO()))
    assert not study.run_folder.exists()


def test_a_run_that_was_begun_survives_a_refused_command(tmp_path):
    study = tiny.study(tmp_path)
    started(study)
    with pytest.raises(InputError, match="nobody answers there"):
        runner.run(study, address="127.0.0.1:1", console=Console(file=io.StringIO()))
    assert (study.run_folder / "study.yaml").exists()


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    study = tiny.study(tmp_path)
    study.run_folder.mkdir(parents=True)
    (study.run_folder / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match=r"holds thesis\.tex but no run"):
        run(study)
    assert [path.name for path in study.run_folder.iterdir()] == ["thesis.tex"]


def started(study) -> None:
    """Make the run folder as the runner does, and go no further."""
    planned = plan.make(study, plan.corpus_of(study))
    task = runner.Task(plan.corpus_of(study), planned.folds, study.seeds)
    job = runner._Job(planned, task, Console(file=io.StringIO()))
    job.folder.mkdir(parents=True)
    folders.enter(job.folder, job.study, job.describe())
    assert yaml.safe_load((job.folder / "study.yaml").read_text())["name"] == "tiny"


def test_two_processes_do_not_share_a_run(tmp_path):
    study = tiny.study(tmp_path)
    study.run_folder.mkdir(parents=True)
    with held(study.run_folder), pytest.raises(InputError, match=rf"another process \(process {os.getpid()} on"):
        run(study)
    with held(study.run_folder):
        pass
    assert list(study.run_folder.iterdir()) == []


def test_arms_are_laid_out_by_what_the_cluster_has(tmp_path):
    def slots(resources, **cluster):
        return layout.layout(tiny.study(tmp_path, resources=resources), cluster)

    assert slots({}, CPU=8.0) == layout.Slots(trainers=8, each=1, concurrent=8, cpus=1.0, gpus=0.0)
    assert slots({"concurrent": 3}, CPU=8.0).concurrent == 3
    assert slots({"concurrent": 30}, CPU=8.0).concurrent == 8
    assert slots({"cpus_per_trial": 3}, CPU=8.0).concurrent == 2
    assert slots({}, CPU=64.0, GPU=2.0) == layout.Slots(trainers=2, each=8, concurrent=16, cpus=1.0, gpus=1.0)
    assert slots({"concurrent": 5}, CPU=64.0, GPU=2.0) == layout.Slots(
        trainers=1, each=8, concurrent=5, cpus=1.0, gpus=1.0
    )
    assert slots({"side_by_side": 4}, CPU=2.0) == layout.Slots(trainers=2, each=4, concurrent=8, cpus=1.0, gpus=0.0)
    assert slots({"side_by_side": 1, "gpus_per_trial": 0.25}, CPU=64.0, GPU=2.0).concurrent == 8
    assert slots({"gpus_per_trial": 0}, CPU=64.0, GPU=2.0).concurrent == 64
    assert slots({"gpus_per_trial": 2}, CPU=64.0, GPU=5.0).trainers == 2
    assert slots({"gpus_per_trial": 0.6}, CPU=64.0, GPU=5.0).trainers == 5
    # An arm spread over workers has their CPUs and GPUs, and nobody beside it on them.
    assert slots({"workers": 2}, CPU=8.0) == layout.Slots(
        trainers=4, each=1, concurrent=4, cpus=1.0, gpus=0.0, spread=2
    )
    assert slots({"workers": 2, "groups": 2}, CPU=64.0, GPU=9.0).concurrent == 2
    assert slots({"workers": 2, "gpus_per_trial": 0.5}, CPU=64.0, GPU=3.0).concurrent == 3
    for resources, cluster in (
        ({"cpus_per_trial": 9}, {"CPU": 8.0}),
        ({"gpus_per_trial": 1}, {"CPU": 8.0}),
        ({"workers": 9}, {"CPU": 8.0}),
    ):
        with pytest.raises(InputError, match="resources: one arm asks for"):
            slots(resources, **cluster)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "no.such.host.invalid:6379"])
def test_an_address_where_nobody_listens_is_refused(address):
    with pytest.raises(InputError, match=f"--address {address}: nobody answers there"):
        process.knock(address)


def test_addresses_without_a_port_are_left_to_ray():
    process.knock("auto")


def test_the_token_is_for_its_owner_only(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    process.private_token()
    path = tmp_path / ".ray" / "auth_token"
    token = path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    process.private_token()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text() == token


def test_the_environment_is_given_back(monkeypatch):
    monkeypatch.setenv("MINE", "kept")
    with process.environment({"MINE": "lost", "NEW": "1"}):
        assert (os.environ["MINE"], os.environ["NEW"]) == ("kept", "1")
    assert "NEW" not in os.environ
