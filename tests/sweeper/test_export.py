import json
import shutil
import statistics

import made_run
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from made_run import BEST, ident

from sweeper import export
from trainables.errors import InputError
from trainables.mi_infogan.config import Config


@pytest.fixture
def run(tmp_path):
    return made_run.make(tmp_path / "run")


def test_the_chosen_arm_is_exported_whole(run):
    content = export.best(run)
    assert Config.model_validate(content["config"]) == BEST
    assert (content["method"], content["method_version"], content["seeds"]) == ("mi_infogan", 1, [0, 1])
    assert content["corpus"] == {
        "where": None,
        "unlabeled": None,
        "name": "toy",
        "path": "builtin",
        "fingerprint": "f00d",
        "classes": ["angry", "sad"],
        "columns": {"audio": "audio_x"},
    }
    assert content["protocol"] == {"kind": "leave-one-session-out"}


def test_the_evidence_is_over_folds_of_seed_means_after_the_last_stage(run):
    evidence = export.best(run)["evidence"]
    spread = statistics.stdev([0.60, 0.70])
    assert evidence["dev"]["uar"] == {"mean": pytest.approx(0.65), "std": pytest.approx(spread, abs=1e-6)}
    assert evidence["test"]["uar"]["mean"] == pytest.approx(0.55)
    assert evidence["test"]["macro_f1"]["std"] == pytest.approx(statistics.stdev([0.45, 0.65]), abs=1e-6)
    assert (evidence["arm"], evidence["name"], evidence["folds"]) == (ident("search 0"), "search 0", 2)


def test_the_evidence_says_what_it_was_chosen_from_and_beside_what(run):
    evidence = export.best(run)["evidence"]
    assert evidence["chosen_from"] == 4
    assert evidence["reference"]["arm"] == ident("paper defaults")
    assert evidence["reference"]["test"]["uar"]["mean"] == pytest.approx(0.45)
    assert "dev" in evidence["selection"]


def test_the_epochs_are_the_mean_over_rows_of_what_dev_chose(run):
    # align: 4, 5, 6, 7 -> 5.5; augment: 2, 2, 3, 3 -> 2.5; Python rounds halves to even.
    assert export.best(run)["evidence"]["epochs"] == {"align": 6, "augment": 2}


def test_an_unfinished_run_gives_the_best_sound_search_arm_so_far(tmp_path):
    run = made_run.make(tmp_path / "run", best=None)
    assert export.best(run)["evidence"]["name"] == "search 0"


@pytest.mark.parametrize("asked", ["search 1", ident("search 1")])
def test_another_arm_can_be_asked_for_and_keeps_its_flags(run, asked):
    evidence = export.best(run, asked)["evidence"]
    assert (evidence["name"], evidence["flags"]) == ("search 1", ["generator collapsed"])


def test_what_is_written_reads_back_equal(run, tmp_path):
    out = tmp_path / "new" / "best.yaml"
    content = export.write(run, out)
    assert yaml.safe_load(out.read_text(encoding="utf-8")) == content


def test_a_single_fold_has_no_spread(tmp_path):
    arm = ("paper defaults", "reference", made_run.PAPER, "done", (0.5,), (0.4,), [])
    one_fold = [row for row in made_run._folds((*arm[:4], (0.5, 0), (0.4, 0), [])) if row["fold"] == "a"]
    run = made_run.make(tmp_path / "run", best="paper defaults", arms=(made_run.ARMS[0],))
    made_run._write(run, "folds", one_fold)
    assert export.best(run)["evidence"]["dev"]["uar"] == {"mean": pytest.approx(0.5), "std": None}


@pytest.mark.parametrize(
    ("arm", "says"),
    [
        ("search 9", r"there is no 'search 9'; did you mean search"),
        ("search 2", "is stopped, not done; name a finished arm"),
    ],
)
def test_an_arm_that_is_not_there_or_not_done_is_refused(run, arm, says):
    with pytest.raises(InputError, match=says):
        export.best(run, arm)


def test_without_a_sound_finished_arm_there_is_nothing_to_export(tmp_path):
    run = made_run.make(tmp_path / "run", best=None, arms=made_run.ARMS[2:4])
    with pytest.raises(InputError, match="no arm is finished without a flag"):
        export.best(run)


@pytest.mark.parametrize("arms", [(), made_run.ARMS[3:4]])
def test_a_run_in_which_no_arm_came_through_is_refused(tmp_path, arms):
    run = made_run.make(tmp_path / "run", best=None, arms=made_run.ARMS[:1])
    kept = pq.read_table(run / "trials.parquet").slice(0, len(arms))
    if arms:
        kept = kept.set_column(kept.column_names.index("status"), "status", [["failed"]])
    pq.write_table(kept, run / "trials.parquet")
    with pytest.raises(InputError, match="no arm is finished without a flag"):
        export.best(run)


def test_a_folder_is_no_file_to_write(run, tmp_path):
    with pytest.raises(InputError, match=r"is a folder; name the file to write, such as .*best\.yaml"):
        export.write(run, tmp_path)


def test_a_folder_without_tables_is_refused(run, tmp_path):
    with pytest.raises(InputError, match="is no run folder"):
        export.best(tmp_path)
    (run / "folds.parquet").unlink()
    with pytest.raises(InputError, match=r"no arm is finished, folds\.parquet is missing"):
        export.best(run)
    shutil.rmtree(run)
    with pytest.raises(InputError, match="is no run folder"):
        export.best(run)


def test_a_baseline_is_exported_as_the_method_it_is(run):
    trials = pd.read_parquet(run / "trials.parquet")
    trials.loc[0, "method"] = "linear"
    trials.to_parquet(run / "trials.parquet")
    about = json.loads((run / "provenance.json").read_text(encoding="utf-8"))
    about["baselines"] = [{"name": "linear", "version": 7}]
    (run / "provenance.json").write_text(json.dumps(about), encoding="utf-8")
    content = export.best(run, trials.loc[0, "arm"])
    assert (content["method"], content["method_version"]) == ("linear", 7)
