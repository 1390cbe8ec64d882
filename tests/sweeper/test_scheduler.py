"""Which arm is stopped: driven by hand, with scores made up, without Ray running."""

from types import SimpleNamespace

import numpy as np
import pytest
import tiny
from ray.tune.schedulers import TrialScheduler
from tiny_method.config import Config

from search_spaces.change import paths
from sweeper import arms
from sweeper.execute import Report
from sweeper.results import Writer
from sweeper.scheduler import scheduler
from sweeper.tables import Frame

GO, STOP = TrialScheduler.CONTINUE, TrialScheduler.STOP
FOLDS, SEEDS = 4, 2
FRAME = Frame(
    rows=tuple((f"s{fold}", seed) for fold in range(FOLDS) for seed in range(SEEDS)),
    tested=(),
    classes=("angry", "sad"),
    defaults={"tiny": paths(Config())},
)
#: Places of the tiny method, whose stages have 5 and 3 classifying epochs: 2, 3 and 5, then 2.
ASHA = {"grace_period": 2, "reduction_factor": 2, "rungs": "stages"}
RACE = {**ASHA, "kind": "race"}
#: Differences between folds and seeds.
NOISE = np.random.default_rng(0).normal(0, 0.01, FOLDS * SEEDS)


@pytest.fixture(autouse=True)
def _tiny():
    tiny.register()
    yield
    tiny.unregister()


class Judge:
    """A scheduler as Tune drives it, with arms by a letter."""

    def __init__(self, folder, asked):
        self.study = tiny.study(folder, scheduler=asked)
        (folder / "run").mkdir(exist_ok=True)
        self.writer = Writer(folder / "run", FRAME)
        folds = [SimpleNamespace(dev=range(10), train=range(40))] * FOLDS
        self.scheduler = scheduler(self.study, self.writer, folds)
        self.known = {}

    def arm(self, letter, kind="search"):
        """The arm of a letter; begun if it is new, in this writer or before."""
        if letter not in self.known:
            made = arms.search_arm(self.study, 0, {"learn.rate": 1 + ord(letter) / 1000})
            self.known[letter] = self.writer.arms.get(made.id) or arms.Arm(**{**made.__dict__, "kind": kind})
            if made.id not in self.writer.arms:
                self.writer.start(self.known[letter])
        return self.known[letter]

    def result(self, letter, epoch, uar, kind="search", stage="learn"):
        """What becomes of the arm after an epoch; `uar` is the mean, or all rows."""
        arm = self.arm(letter, kind)
        rows = None if uar is None else np.asarray(uar) + NOISE * np.ones(FOLDS * SEEDS)
        report = _report(stage, epoch, rows)
        trial = SimpleNamespace(trial_id=f"{letter}-trial", config={"arm": arm.id, "kind": kind})
        if arm.id in self.writer.running:
            self.writer.report(arm.id, report)
        return self.scheduler.on_trial_result(None, trial, {"budget": report.budget, "report": report})

    def run(self, letter, uar, kind="search"):
        """Train an arm until it is stopped; the stage and epoch where it was, or None."""
        for stage, epochs in (("learn", 5), ("dream", 2), ("tune", 3)):
            for epoch in range(1, epochs + 1):
                if (stage, epoch) == ("tune", 3):
                    break
                if self.result(letter, epoch, None if stage == "dream" else uar, kind, stage) == STOP:
                    self.end(letter, "stopped")
                    return stage, epoch
        self.end(letter, "done")
        return None

    def end(self, letter, status):
        trial = SimpleNamespace(trial_id=f"{letter}-trial", config={"arm": self.known[letter].id})
        self.scheduler.on_trial_complete(None, trial, {})
        self.writer.finish(self.known[letter].id, status)


def _report(stage, epoch, rows):
    budget = epoch + (5 if stage != "learn" else 0)
    uar = None if rows is None else float(rows.mean())
    return Report(
        stage=stage, epoch=epoch, total=5, budget=budget, planned=8, seconds=0.0, dev_uar=uar, rows=rows, score=uar
    )


def test_the_worse_half_is_stopped_at_a_rung_and_nowhere_else(tmp_path):
    judge = Judge(tmp_path, ASHA)
    assert judge.result("a", 2, 0.6) == GO
    assert judge.result("b", 1, 0.1) == GO, "in its grace period"
    assert judge.result("b", 2, 0.1) == STOP
    assert judge.result("c", 2, 0.7) == GO
    assert judge.result("c", 4, 0.1) == GO, "between rungs"


def test_stages_are_compared_with_themselves(tmp_path):
    judge = Judge(tmp_path, ASHA)
    judge.result("a", 5, 0.9)
    assert judge.result("b", 2, 0.1, stage="tune") == GO, "nobody was there"
    judge.result("a", 2, 0.9, stage="tune")
    assert judge.result("c", 2, 0.1, stage="tune") == STOP


def test_by_epochs_they_are_compared_across_stages(tmp_path):
    judge = Judge(tmp_path, {"grace_period": 6, "reduction_factor": 2, "rungs": "epochs"})
    judge.result("a", 1, 0.9, stage="tune")
    assert judge.result("b", 1, 0.1, stage="tune") == STOP


def test_rows_count_at_their_best_epoch_of_the_stage(tmp_path):
    judge = Judge(tmp_path, ASHA)
    judge.result("a", 2, 0.6)
    judge.result("b", 1, 0.8)
    assert judge.result("b", 2, 0.1) == GO, "it was better before"
    judge.result("a", 2, 0.6, stage="tune")
    judge.result("b", 1, 0.1, stage="tune")
    assert judge.result("b", 2, 0.1, stage="tune") == STOP, "in another stage"


def test_each_row_has_its_own_best_epoch(tmp_path):
    judge = Judge(tmp_path, ASHA)
    judge.result("a", 2, 0.6)
    half = np.arange(FOLDS * SEEDS) % 2
    judge.result("b", 1, 0.5 + 0.3 * half)
    assert judge.result("b", 2, 0.8 - 0.3 * half) == GO, "every row was at 0.8 once"


def test_an_arm_begun_again_starts_with_its_first_epoch(tmp_path):
    judge = Judge(tmp_path, ASHA)
    judge.result("a", 3, 0.6)
    judge.result("b", 1, 0.9)
    judge.result("b", 1, 0.1)
    assert judge.result("b", 3, 0.1) == STOP


@pytest.mark.parametrize("asked", [ASHA, RACE], ids=["asha", "race"])
def test_an_epoch_that_classifies_nothing_decides_nothing(tmp_path, asked):
    judge = Judge(tmp_path, asked)
    judge.result("a", 2, 0.9)
    assert judge.result("b", 2, None) == GO
    assert judge.result("b", 2, 0.1) == STOP


@pytest.mark.parametrize("asked", [ASHA, RACE], ids=["asha", "race"])
def test_a_failed_arm_decides_nothing(tmp_path, asked):
    judge = Judge(tmp_path, asked)
    trial = SimpleNamespace(trial_id="a-trial", config={"arm": judge.arm("a").id, "kind": "search"})
    assert judge.scheduler.on_trial_result(None, trial, {"done": True, "failure": "why"}) == GO


@pytest.mark.parametrize("asked", [ASHA, RACE], ids=["asha", "race"])
def test_the_reference_fills_the_rungs_but_is_never_stopped(tmp_path, asked):
    judge = Judge(tmp_path, asked)
    judge.result("a", 2, 0.9)
    assert judge.result("r", 2, 0.5, kind="reference") == GO
    assert judge.result("b", 2, 0.4) == STOP
    judge = Judge(tmp_path, asked)
    judge.result("s", 2, 0.9, kind="reference")
    assert judge.result("c", 2, 0.4) == STOP


@pytest.mark.parametrize("asked", [ASHA, RACE], ids=["asha", "race"])
def test_baselines_take_no_part(tmp_path, asked):
    judge = Judge(tmp_path, asked)
    judge.result("a", 2, 0.9, kind="baseline")
    assert judge.result("b", 2, 0.1) == GO
    assert judge.result("c", 2, 0.05, kind="baseline") == GO


@pytest.mark.parametrize("asked", [ASHA, RACE], ids=["asha", "race"])
def test_only_the_kinds_asked_for_are_stopped(tmp_path, asked):
    judge = Judge(tmp_path, {**asked, "applies_to": ["search"]})
    judge.result("a", 2, 0.9)
    assert judge.result("b", 2, 0.1, kind="ablation") == GO
    assert judge.result("c", 2, 0.05) == STOP


@pytest.mark.parametrize("asked", [ASHA, RACE], ids=["asha", "race"])
def test_an_arm_begun_again_is_not_judged_twice(tmp_path, asked):
    judge = Judge(tmp_path, asked)
    assert judge.result("a", 2, 0.5) == GO
    assert judge.result("b", 2, 0.9) == GO
    assert judge.result("a", 2, 0.5) == GO


def test_a_race_keeps_what_may_be_as_good_where_halving_does_not(tmp_path):
    close = 0.9 - 0.01 * np.arange(FOLDS * SEEDS) / 8
    for asked, expected in ((ASHA, STOP), (RACE, GO)):
        judge = Judge(tmp_path, asked)
        judge.result("a", 2, 0.9)
        assert judge.result("b", 2, close - 5 * NOISE) == expected


@pytest.mark.parametrize("asked", [ASHA, RACE, {**ASHA, "rungs": "epochs"}], ids=["asha", "race", "epochs"])
def test_a_resumed_run_decides_as_an_uninterrupted_one(tmp_path, asked):
    rng = np.random.default_rng(1)
    uars = {letter: rng.choice([0.3, 0.5, 0.9]) + rng.normal(0, 0.02, FOLDS * SEEDS) for letter in "abcdefghijkl"}
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir(), parts.mkdir()
    judge = Judge(whole, asked)
    expected = [judge.run(letter, uar) for letter, uar in uars.items()]
    found = []
    for letter, uar in uars.items():
        judge = Judge(parts, asked)
        found.append(judge.run(letter, uar))
        judge.writer.close()
    assert found == expected
    assert None in expected
    assert len(set(expected)) > 1


def test_no_scheduler_stops_nothing(tmp_path):
    judge = Judge(tmp_path, {"kind": "none"})
    assert type(judge.scheduler).__name__ == "InOrder"


@pytest.mark.parametrize("kind", ["none", "asha"])
def test_arms_are_begun_as_they_were_handed_out(tmp_path, kind):
    judge = Judge(tmp_path, {"kind": kind})
    letters = {judge.arm(letter).id: letter for letter in "cabd"}
    # Live trials are a set: in no order.
    live = [SimpleNamespace(config={"arm": arm}, status="PENDING") for arm in sorted(letters)]
    controller = SimpleNamespace(get_live_trials=lambda: live)
    begun = ""
    while (chosen := judge.scheduler.choose_trial_to_run(controller)) is not None:
        begun += letters[chosen.config["arm"]]
        chosen.status = "RUNNING"
    assert begun == "cabd"
