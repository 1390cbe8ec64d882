"""The whole way on the built-in corpus with real Ray: what was planted is found, and nothing is done twice."""

import json
import shutil

import pandas as pd
import pytest
from safetensors import safe_open

from analysis import compare
from analysis import run as runs
from trainables.synth import PLANTED

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def found(quickstart):
    return runs.load(quickstart / "runs/quickstart")


@pytest.fixture(scope="module")
def verdicts(found):
    rows = found.trials[found.trials["kind"] == "ablation"]
    return {row.name: row for row in compare.against_parent(found, rows, sign=-1)}


def test_the_useful_component_is_called_useful(verdicts):
    row = verdicts["Without cross-modal alignment"]
    assert row.verdict == "helps"
    assert row.estimate.difference > PLANTED.gain


@pytest.mark.parametrize("name", ["Without augmentation", "Real features twice (no generation)", "Without mixup"])
def test_a_useless_component_is_not_called_useful(verdicts, name):
    assert verdicts[name].verdict in ("no evidence either way", "too few folds to tell")
    assert abs(verdicts[name].estimate.difference) < PLANTED.gain


def test_the_search_ends_in_the_planted_region(found):
    best = found.trials[found.trials["is_best"]].iloc[0]
    weight = best["config"]["align.alpha"] + best["config"]["align.beta"]
    low, high = PLANTED.best
    assert low / 3 <= weight <= high * 3
    assert best["status"] == "done"


def test_all_arms_are_there_once_and_bad_ones_were_stopped(found):
    trials = found.trials
    assert trials["arm"].is_unique
    assert (trials["kind"] == "reference").sum() == 1
    assert (trials["kind"] == "search").sum() == 12
    assert set(trials["status"]) == {"done", "stopped"}
    stopped = trials[trials["status"] == "stopped"]
    assert set(stopped["kind"]) == {"search"}
    assert (stopped["epochs"] < stopped["epochs_planned"]).all()


def test_stages_are_trained_once(found):
    """Rows that leave stage 1 alone take it from the reference arm."""
    row = found.trials.set_index("name").loc["Real features twice (no generation)"]
    assert row["epochs_reused"] == 40
    assert row["epochs_trained"] == 8


def test_every_arm_has_all_its_folds_and_the_chosen_epoch(found, quickstart):
    folds = pd.read_parquet(quickstart / "runs/quickstart/folds.parquet")
    rows = len(found.provenance["rows"])
    assert rows == 12
    sizes = folds.groupby(["arm", "stage", "split"]).size()
    assert (sizes == rows).all()
    curves = pd.read_parquet(quickstart / "runs/quickstart/curves.parquet")
    best = found.trials[found.trials["is_best"]].iloc[0]["arm"]
    for stage, part in curves[(curves["arm"] == best) & curves["rows"].notna()].groupby("stage"):
        history = pd.DataFrame(part.sort_values("epoch")["rows"].tolist())
        chosen = folds[(folds["arm"] == best) & (folds["stage"] == stage) & (folds["split"] == "dev")]
        assert (history.to_numpy().argmax(axis=0) + 1).tolist() == chosen["epoch"].tolist()


def test_the_same_study_again_runs_nothing(quickstart, sweeper):
    folder = quickstart / "runs/quickstart"
    before = {path.name: path.read_bytes() for path in folder.glob("*.parquet")}
    result = sweeper(quickstart, "run", "studies/quickstart.yaml", "--no-report")
    assert result.returncode == 0, result.stderr
    assert before == {path.name: path.read_bytes() for path in folder.glob("*.parquet")}
    assert json.loads((folder / "provenance.json").read_text())["invocations"] == 1


def test_a_run_is_a_handful_of_files_that_execute_nothing(quickstart):
    names = {path.name for path in (quickstart / "runs/quickstart").iterdir()}
    assert "stages" not in names
    assert "journal.jsonl" not in names
    assert len(names) <= 11
    assert not {name for name in names if name.endswith((".pkl", ".pickle", ".pt"))}


def test_exported_trained_and_used(quickstart, sweeper, tmp_path):
    shutil.copytree(quickstart / "runs", tmp_path / "runs")
    steps = (
        ("export", "runs/quickstart", "-o", "best.yaml"),
        ("train", "best.yaml", "-o", "model", "--seeds", "0"),
        ("predict", "model", "builtin", "-o", "out.parquet"),
    )
    for arguments in steps:
        result = sweeper(tmp_path, *arguments)
        assert result.returncode == 0, (arguments, result.stderr)
    with safe_open(tmp_path / "model/model.safetensors", framework="pt") as file:
        assert any(name.startswith("align/") for name in file.keys())  # noqa: SIM118 - no mapping
    out = pd.read_parquet(tmp_path / "out.parquet")
    labels = sorted(column.removeprefix("p_") for column in out if column.startswith("p_"))
    assert labels == ["angry", "happy", "neutral", "sad"]
    assert out[[f"p_{label}" for label in labels]].sum(axis=1).between(0.999, 1.001).all()
