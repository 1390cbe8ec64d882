import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import tiny
from tiny_method.config import Config
from tiny_method.method import METHOD

from search_spaces.change import apply, paths
from sweeper import results
from sweeper.arms import Arm, arm_id
from sweeper.execute import Report, run_arm
from sweeper.results import JOURNAL, Writer, read_status
from sweeper.tables import SCHEMAS, Frame
from trainables import metrics
from trainables.errors import InputError

#: A clock's columns: not equal between two runs.
TIMES = ["started_at", "finished_at", "seconds"]


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    return tiny.task(tmp_path_factory.mktemp("corpus") / "toy")


@pytest.fixture(scope="module")
def frame(task):
    rows = tuple((fold.name, seed) for fold, seed in task.rows)
    return Frame(rows=rows, tested=task.tested, classes=task.corpus.classes, defaults={"tiny": paths(Config())})


def arm(name: str, kind: str = "search", parent: str = "", parameter=None, value=None, **changes) -> Arm:
    config = apply(Config(), {"learn.epochs": 2, **changes})
    return Arm(
        id=arm_id("tiny", config),
        method="tiny",
        kind=kind,
        name=name,
        config=config.model_dump(mode="json"),
        parent=parent,
        parameter=parameter,
        value=value,
    )


REFERENCE = arm("paper defaults", "reference")
ARMS = (
    REFERENCE,
    arm("search 0", **{"learn.rate": 0.5}),
    arm("search 1", **{"learn.rate": 0.3, "dream.collapse": True}),
    arm("search 2", **{"learn.rate": 2.0}),
    arm("Without gain", "ablation", REFERENCE.id, **{"tune.gain": 0.0}),
    arm("tune.gain = 9", "sensitivity", REFERENCE.id, "tune.gain", 9.0, **{"tune.gain": 9.0}),
)
UNFINISHED = arm("search 3", **{"learn.rate": 0.9})
EIGHTH = arm("search 8", **{"learn.rate": 0.8})
TWIN = arm("search 9", **{"learn.rate": 0.5, "learn.kind": "b"})


@cache
def reports(name: str) -> tuple[Report, ...]:
    """All reports of an arm, trained once."""
    (each,) = (each for each in (*ARMS, EIGHTH, TWIN) if each.name == name)
    with TemporaryDirectory() as folder:
        return tuple(run_arm(METHOD, Config.model_validate(each.config), tiny.task(Path(folder) / "toy")))


def train(writer: Writer, each: Arm, status: str = "done", reason: str = "", epochs: int = 99) -> None:
    """Hand out an arm, unless it is under way, and see it through, or through its first epochs."""
    if each.id not in writer.running:
        writer.start(each)
    writer.attempt(each.id)
    for report in reports(each.name)[:epochs]:
        writer.report(each.id, report, "host")
    writer.finish(each.id, status, reason)


def story(writer: Writer) -> None:
    """Everything that can happen to an arm."""
    train(writer, ARMS[0])
    writer.flush(force=True)
    train(writer, ARMS[1])
    train(writer, ARMS[2])
    writer.repeat(ARMS[1].id, 0.5)
    writer.flush(force=True)
    train(writer, ARMS[3], "stopped", epochs=1)
    train(writer, ARMS[4], "failed", "why", epochs=0)
    train(writer, ARMS[5])
    writer.start(UNFINISHED)
    writer.attempt(UNFINISHED.id)
    writer.flush(force=True)


def content(folder: Path) -> dict[str, list]:
    """All tables without their clocks, as plain values."""
    found = {}
    for name in SCHEMAS:
        frame = pd.read_parquet(folder / f"{name}.parquet").drop(columns=TIMES, errors="ignore")
        found[name] = json.loads(frame.to_json(orient="records"))
    return found


def test_tables_have_the_columns_they_should(frame, tmp_path):
    story(Writer(tmp_path, frame))
    for name, schema in SCHEMAS.items():
        assert pq.read_schema(tmp_path / f"{name}.parquet").names == schema.names


def test_an_arm_is_told_in_full(frame, tmp_path):
    story(Writer(tmp_path, frame))
    trials = pd.read_parquet(tmp_path / "trials.parquet").set_index("name")
    assert trials["status"].to_dict() == {
        "paper defaults": "done",
        "search 0": "done",
        "search 1": "done",
        "search 2": "stopped",
        "Without gain": "failed",
        "tune.gain = 9": "done",
    }
    row = trials.loc["tune.gain = 9"]
    assert (row["parameter"], row["value"], row["parent"]) == ("tune.gain", "9.0", REFERENCE.id)
    assert json.loads(row["changed"]) == {"learn.epochs": 2, "tune.gain": 9.0}
    assert json.loads(row["config"])["tune"] == {"gain": 9.0, "epochs": 3}
    assert (row["epochs"], row["epochs_planned"], row["epochs_trained"], row["attempts"]) == (5, 5, 7, 1)
    assert trials.loc["Without gain", "reason"] == "why"
    assert pd.isna(trials.loc["Without gain", "score"])
    assert list(trials.loc["search 1", "flags"]) == ["generator collapsed"]
    assert trials["is_reference"].to_dict() == {name: name == "paper defaults" for name in trials.index}


def test_folds_hold_metrics_of_the_confusion_beside_them(frame, tmp_path):
    story(Writer(tmp_path, frame))
    folds = pd.read_parquet(tmp_path / "folds.parquet")
    mine = folds[folds["name"] == "search 0"]
    assert len(mine) == 2 * 2 * 8, "stages x splits x rows"
    assert mine.groupby("stage")["final"].first().to_dict() == {"learn": False, "tune": True}
    for row in mine.itertuples():
        counts = row.confusion.reshape(2, 2)
        assert row.n == counts.sum() == 20
        assert row.uar == pytest.approx(float(metrics.uar(counts)))
        assert row.war == pytest.approx(float(metrics.war(counts)))
    dev = mine[mine["final"] & (mine["split"] == "dev")]
    score = pd.read_parquet(tmp_path / "trials.parquet").set_index("name").loc["search 0", "score"]
    assert dev["uar"].mean() == pytest.approx(score)


def test_speakers_add_up_to_the_final_folds(frame, tmp_path):
    story(Writer(tmp_path, frame))
    folds, speakers = (pd.read_parquet(tmp_path / f"{name}.parquet") for name in ("folds", "speakers"))
    key = ["arm", "fold", "seed", "condition"]
    final = folds[folds["final"] & (folds["split"] == "test")].set_index(key)["confusion"]
    assert set(speakers["arm"]) == set(final.index.unique("arm")) == {each.id for each in (*ARMS[:3], ARMS[5])}
    assert (speakers.groupby(key).size() == 2).all(), "two speakers a session"
    assert not speakers.duplicated([*key, "speaker"]).any()
    assert all(row.speaker.startswith(row.fold) for row in speakers.itertuples())
    for place, mine in speakers.groupby(key):
        assert np.sum(list(mine["confusion"]), axis=0).tolist() == final[place].tolist()
        assert [sum(each) for each in mine["confusion"]] == mine["n"].tolist() == [10, 10]


def test_a_journal_of_before_speakers_were_counted_is_read(frame, tmp_path):
    writer = Writer(tmp_path, frame, every=1e9)
    train(writer, ARMS[0])
    writer.flush(force=True)
    train(writer, ARMS[1])
    writer.close()
    (tmp_path / "speakers.parquet").unlink()
    events = [json.loads(line) for line in (tmp_path / JOURNAL).read_text().splitlines()]
    told = [{name: each for name, each in event.items() if name != "speakers"} for event in events]
    assert told != events
    (tmp_path / JOURNAL).write_text("".join(json.dumps(event) + "\n" for event in told))
    again = Writer(tmp_path, frame)
    train(again, ARMS[5])
    again.complete()
    assert set(pd.read_parquet(tmp_path / "folds.parquet")["arm"]) == {each.id for each in (*ARMS[:2], ARMS[5])}
    assert set(pd.read_parquet(tmp_path / "speakers.parquet")["arm"]) == {ARMS[5].id}


def test_a_stopped_arm_has_its_folds_so_far(frame, tmp_path):
    story(Writer(tmp_path, frame))
    folds = pd.read_parquet(tmp_path / "folds.parquet")
    assert set(folds.loc[folds["name"] == "search 2", "stage"]) == {"learn"}
    assert len(pd.read_parquet(tmp_path / "curves.parquet").query("name == 'search 2'")) == 1
    assert folds[folds["name"] == "Without gain"].empty


def test_the_best_is_a_finished_unflagged_candidate(frame, tmp_path):
    writer = Writer(tmp_path, frame)
    story(writer)
    scores = {row["name"]: row["score"] for row in writer.trials.values()}
    assert scores["search 1"] > scores["search 0"], "flagged, else the best"
    assert scores["tune.gain = 9"] > scores["search 0"], "not a candidate"
    assert writer.best()["name"] == "search 0"


def test_the_earlier_of_equals_is_the_best(frame, tmp_path):
    writer = Writer(tmp_path, frame)
    train(writer, ARMS[1])
    train(writer, TWIN)
    assert len({row["score"] for row in writer.trials.values()}) == 1
    assert writer.best()["name"] == "search 0"


def test_vectors_are_kept_for_the_reference_and_the_best_alone(frame, tmp_path):
    writer = Writer(tmp_path, frame)
    train(writer, ARMS[0])
    train(writer, EIGHTH)
    train(writer, ARMS[1])
    writer.flush(force=True)
    vectors = pd.read_parquet(tmp_path / "embeddings.parquet")
    assert set(vectors["arm"]) == {ARMS[0].id, ARMS[1].id}
    assert set(vectors["label"]) == {"angry", "sad"}


def test_a_new_attempt_begins_the_curve_anew(frame, tmp_path):
    writer = Writer(tmp_path, frame)
    writer.start(ARMS[1])
    for upto in (3, 99):
        writer.attempt(ARMS[1].id)
        for report in reports(ARMS[1].name)[:upto]:
            writer.report(ARMS[1].id, report)
    row = writer.finish(ARMS[1].id, "done")
    writer.flush(force=True)
    assert row["attempts"] == 2
    assert len(pd.read_parquet(tmp_path / "curves.parquet")) == 7


def test_recovery_finds_everything(frame, tmp_path):
    """The tables were never written: all of it stands in the journal (but for vectors, written on their own)."""
    (tmp_path / "a").mkdir()
    writer = Writer(tmp_path / "a", frame, every=1e9)
    for each in ARMS[:3]:
        train(writer, each)
    writer.start(ARMS[3])
    writer.attempt(ARMS[3].id)
    assert not (tmp_path / "a" / "trials.parquet").exists()
    again = Writer(tmp_path / "a", frame)
    assert list(again.trials) == [each.id for each in ARMS[:3]]
    assert [log.arm for log in again.running.values()] == [ARMS[3]]
    assert again.running[ARMS[3].id].attempts == 1
    assert again.clock == writer.clock
    writer.flush(force=True)
    before = content(tmp_path / "a")
    Writer(tmp_path / "a", frame)
    assert content(tmp_path / "a") == before


class Crash(BaseException):
    """Not an Exception: nothing may handle it."""


def crash_after(monkeypatch, steps: int) -> None:
    """Let the process die right before or right after one of the changes it makes on disk."""
    left = steps
    replace, append = Path.replace, Writer._append

    def step() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Crash

    def replacing(self, target):
        step()
        result = replace(self, target)
        step()
        return result

    def appending(self, event, *, sync=False):
        step()
        append(self, event, sync=sync)
        step()

    monkeypatch.setattr(Path, "replace", replacing)
    monkeypatch.setattr(Writer, "_append", appending)


def finish_story(folder: Path, frame) -> Writer:
    """Go on with `story` from wherever it broke off, as the runner would."""
    writer = Writer(folder, frame)
    plan = [(ARMS[0], "done", "", 99), (ARMS[1], "done", "", 99), (ARMS[2], "done", "", 99)]
    plan += [(ARMS[3], "stopped", "", 1), (ARMS[4], "failed", "why", 0), (ARMS[5], "done", "", 99)]
    for each, status, reason, epochs in plan:
        if each.id not in writer.trials:
            train(writer, each, status, reason, epochs)
    writer.flush(force=True)
    return writer


def readable(folder: Path) -> set[str]:
    """Arms in the table of trials; every table that is there can be read."""
    for name in SCHEMAS:
        path = folder / f"{name}.parquet"
        if path.exists():
            assert pq.read_table(path).schema.names == SCHEMAS[name].names
    path = folder / "trials.parquet"
    return set(pd.read_parquet(path)["arm"]) if path.exists() else set()


def without_order(tables: dict) -> dict:
    """Where a story was broken off its clock differs, and attempts; nothing else may."""
    for row in tables["trials"]:
        for name in ("attempts", "started_order", "finished_order"):
            row.pop(name)
    return {name: sorted(rows, key=json.dumps) for name, rows in tables.items()}


@pytest.mark.slow
def test_a_crash_at_any_moment_loses_and_doubles_nothing(frame, tmp_path, monkeypatch):
    (tmp_path / "whole").mkdir()
    finish_story(tmp_path / "whole", frame)
    expected = without_order(content(tmp_path / "whole"))
    for step in range(1, 1000):
        folder = tmp_path / f"crash{step}"
        folder.mkdir()
        with monkeypatch.context() as patch:
            crash_after(patch, step)
            try:
                story(Writer(folder, frame))
            except Crash:
                crashed = True
            else:
                crashed = False
        seen = readable(folder)
        writer = finish_story(folder, frame)
        assert seen <= set(writer.trials), "what was readable is still there"
        assert without_order(content(folder)) == expected, f"after a crash at step {step}"
        assert not list(folder.glob("*.tmp"))
        if not crashed:
            break
    assert step > 40, "the story has many steps"


def test_a_line_cut_off_is_no_event_and_does_not_spoil_the_next(frame, tmp_path):
    writer = Writer(tmp_path, frame, every=1e9)
    train(writer, ARMS[0])
    writer.start(ARMS[1])
    writer.close()
    path = tmp_path / JOURNAL
    path.write_text(path.read_text()[:-20])
    again = Writer(tmp_path, frame)
    assert list(again.trials) == [ARMS[0].id]
    assert not again.running
    again.start(ARMS[2])
    assert list(Writer(tmp_path, frame).running) == [ARMS[2].id]


def test_a_journal_that_is_one_broken_line_is_cut_off_too(frame, tmp_path):
    (tmp_path / JOURNAL).write_text('{"event": "sta')
    Writer(tmp_path, frame).start(ARMS[0])
    assert list(Writer(tmp_path, frame).running) == [ARMS[0].id]


def test_order_is_one_clock_for_all_events(frame, tmp_path):
    writer = Writer(tmp_path, frame)
    story(writer)
    again = Writer(tmp_path, frame)
    assert [each.order for each in again.repeats] == [each.order for each in writer.repeats] == [6]
    rows = again.trials.values()
    orders = [row[name] for row in rows for name in ("started_order", "finished_order")]
    orders += [6, again.running[UNFINISHED.id].started_order]
    assert sorted(orders) == list(range(14))
    assert again.clock == 14


def test_a_complete_run_has_no_journal(frame, tmp_path):
    writer = Writer(tmp_path, frame)
    train(writer, ARMS[0])
    writer.complete()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(f"{name}.parquet" for name in SCHEMAS)
    before = content(tmp_path)
    assert list(Writer(tmp_path, frame).trials) == [ARMS[0].id]
    assert content(tmp_path) == before


def test_tables_are_not_rewritten_at_every_turn(frame, tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(results, "write_table", lambda parts, schema, path: written.append(path.stem))
    writer = Writer(tmp_path, frame, every=1e9)
    train(writer, ARMS[1])
    written.clear()
    for _ in range(3):
        writer.flush()
    assert written == []
    writer.flush(force=True)
    assert written == ["folds", "speakers", "curves", "diagnostics", "embeddings", "trials"]


def test_curve_points_are_the_classifying_epochs_as_recorded(frame, tmp_path):
    writer = Writer(tmp_path, frame)
    train(writer, ARMS[0])
    train(writer, ARMS[1])
    writer.flush(force=True)
    for each in (writer, Writer(tmp_path, frame)):
        points = list(each.curve_points())
        assert [(point.arm, point.stage, point.epoch) for point in points] == [
            (arm.id, stage, epoch)
            for arm in ARMS[:2]
            for stage, epoch in (("learn", 1), ("learn", 2), ("tune", 1), ("tune", 2), ("tune", 3))
        ]
        expected = [report.rows for arm in ARMS[:2] for report in reports(arm.name) if report.rows is not None]
        np.testing.assert_array_equal([point.rows for point in points], np.float32(expected))


def test_a_run_without_arms_has_no_curve_points(frame, tmp_path):
    assert list(Writer(tmp_path, frame).curve_points()) == []


def test_status_of_no_run(tmp_path):
    with pytest.raises(InputError, match=r"holds no status\.json"):
        read_status(tmp_path)
