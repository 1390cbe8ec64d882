"""Which arm is next: driven by hand, with scores made up, without Ray running."""

import json
import math

import numpy as np
import optuna
import pytest
import tiny
from ray.tune.search import Searcher
from tiny_method.config import Config
from tiny_method.spaces import SPACES

from search_spaces.change import paths
from search_spaces.space import Choice, Float, Int
from sweeper.execute import Report
from sweeper.results import Writer
from sweeper.searcher import StudySearcher, Suggester
from sweeper.study import Search
from sweeper.tables import Frame
from trainables import methods
from trainables.errors import InputError

FRAME = Frame(
    rows=(("s0", 0),),
    tested=((0, "s0F"), (0, "s0M")),
    classes=("angry", "sad"),
    defaults={"tiny": paths(Config()), "linear": paths(methods.config_of("linear")())},
)


@pytest.fixture(autouse=True)
def _tiny():
    tiny.register()
    yield
    tiny.unregister()


def report(score: float, budget: int = 8, flags: tuple[str, ...] = (), *, done: bool = True) -> Report:
    return Report(
        stage="tune", epoch=3, total=3, budget=budget, planned=8, seconds=0.0, score=score, flags=flags, done=done
    )


def quality(config: dict) -> float:
    """A score with its best at a rate of 0.3; a baseline's is no matter."""
    if "learn" not in config:
        return 0.5
    return 0.8 - 0.1 * abs(math.log(config["learn"]["rate"] / 0.3)) + 0.01 * config["tune"]["gain"]


class Engine:
    """Tune, as far as a searcher can see it."""

    def __init__(self, folder, study, space=None, concurrent=1):
        folder.mkdir(exist_ok=True)
        self.writer = Writer(folder, FRAME)
        space = SPACES.spaces["rate"] if space is None else space
        self.searcher = StudySearcher(study, SPACES, space, self.writer, concurrent)
        self.given = []

    def ask(self):
        """The next arm, None, or the last word."""
        config = self.searcher.suggest("trial")
        if isinstance(config, dict):
            self.given.append(config["arm"])
            return self.writer.arms[config["arm"]]
        return config

    def end(self, arm, status="done", score=None, flags=()):
        """See an arm through."""
        self.writer.attempt(arm.id)
        score = quality(arm.config) if score is None else score
        budget = 8 if status == "done" else 2
        self.writer.report(arm.id, report(score, budget, flags, done=status == "done"))
        self.searcher.over(self.writer.finish(arm.id, status))

    def run(self, upto=999):
        """Run arms one at a time: rate over 1 is stopped."""
        while len(self.given) < upto and (arm := self.ask()) not in (None, "FINISHED"):
            self.end(arm, "stopped" if arm.method == "tiny" and arm.config["learn"]["rate"] > 1 else "done")
        return [self.writer.arms[each] for each in self.given]


def kinds(arms):
    return [arm.kind for arm in arms]


def test_the_reference_comes_first_then_the_search_then_the_rest(tmp_path):
    engine = Engine(tmp_path / "run", tiny.study(tmp_path))
    arms = engine.run()
    assert kinds(arms) == ["reference"] + ["search"] * 6 + ["ablation"] * 2 + ["sensitivity"] * 3
    assert engine.ask() == Searcher.FINISHED
    best = max(arms[:7], key=lambda arm: quality(arm.config))
    assert {arm.parent for arm in arms[7:]} == {best.id}


@pytest.mark.parametrize("around", ["best", "paper"])
def test_baselines_come_last_and_are_compared_with_what_rows_are_compared_with(tmp_path, around):
    study = tiny.study(tmp_path, baselines=["linear"], ablation={"around": around}, sensitivity=None)
    engine = Engine(tmp_path / "run", study)
    *others, baseline = engine.run()
    assert kinds(others) == ["reference"] + ["search"] * 6 + ["ablation"] * 2
    assert (baseline.kind, baseline.method, baseline.name) == ("baseline", "linear", "linear")
    assert baseline.parent == others[-1].parent
    assert {arm.method for arm in others} == {"tiny"}


def test_baselines_need_no_ablation(tmp_path):
    study = tiny.study(tmp_path, search=None, ablation=None, sensitivity=None, baselines={"linear": {"fit.C": 1.0}})
    reference, baseline = Engine(tmp_path / "run", study, {}).run()
    assert (baseline.parent, baseline.name) == (reference.id, "linear (fit.C=1.0)")


def test_no_more_arms_at_a_time_than_there_are_slots(tmp_path):
    engine = Engine(tmp_path / "run", tiny.study(tmp_path), concurrent=3)
    three = [engine.ask() for _ in range(3)]
    assert engine.ask() is None
    engine.end(three[1])
    assert engine.ask().kind == "search"
    assert engine.ask() is None


def test_arms_that_took_all_memory_come_again_one_at_a_time(tmp_path):
    engine = Engine(tmp_path / "run", tiny.study(tmp_path), concurrent=3)
    first, second, third = (engine.ask() for _ in range(3))
    engine.searcher.again(first.id, only=True)
    engine.searcher.again(third.id, only=True)
    assert engine.ask() is None, "another one is still under way"
    engine.end(second)
    assert engine.ask() == first
    assert engine.ask() is None
    engine.end(first)
    assert engine.ask() == third
    assert engine.ask() is None
    engine.end(third)
    assert len([engine.ask() for _ in range(3)]) == 3, "and then as before"


def test_arms_around_the_best_wait_for_every_candidate(tmp_path):
    engine = Engine(tmp_path / "run", tiny.study(tmp_path), concurrent=3)
    live = [engine.ask(), engine.ask(), engine.ask()]
    while len(engine.given) < 7:
        engine.end(live.pop(0))
        live.append(engine.ask())
    engine.end(live.pop(0))
    engine.end(live.pop(0))
    assert engine.ask() is None, "one search arm is still under way"
    engine.end(live.pop(0), score=0.99)
    ablation = engine.ask()
    assert (ablation.kind, ablation.parent) == ("ablation", engine.given[6])


def test_arms_around_the_paper_need_not_wait(tmp_path):
    study = tiny.study(tmp_path, ablation={"around": "paper"}, sensitivity={"around": "paper"})
    engine = Engine(tmp_path / "run", study, concurrent=99)
    arms = [engine.ask() for _ in range(12)]
    assert kinds(arms) == ["reference"] + ["search"] * 6 + ["ablation"] * 2 + ["sensitivity"] * 3
    assert {arm.parent for arm in arms[7:]} == {arms[0].id}
    assert engine.ask() is None, "all are handed out, none is over"


def test_a_study_without_a_search(tmp_path):
    engine = Engine(tmp_path / "run", tiny.study(tmp_path, search=None), {})
    assert kinds(engine.run()) == ["reference", "ablation", "ablation"] + ["sensitivity"] * 3


def test_a_flagged_or_stopped_arm_is_no_reference(tmp_path):
    engine = Engine(tmp_path / "run", tiny.study(tmp_path, search={"trials": 3}))
    reference, *search = [engine.ask()]
    engine.end(reference, score=0.5)
    for status, score, flags in (("done", 0.9, ("generator collapsed",)), ("stopped", 0.8, ()), ("done", 0.6, ())):
        search.append(engine.ask())
        engine.end(search[-1], status, score, flags)
    assert engine.ask().parent == search[-1].id


def test_without_any_unflagged_arm_the_reference_stands_in(tmp_path):
    engine = Engine(tmp_path / "run", tiny.study(tmp_path, search={"trials": 1}))
    reference = engine.ask()
    engine.end(reference, flags=("generator collapsed",))
    engine.end(engine.ask(), "stopped")
    assert engine.ask().parent == reference.id


def test_without_any_finished_arm_nothing_is_measured(tmp_path):
    engine = Engine(tmp_path / "run", tiny.study(tmp_path, search={"trials": 1}))
    engine.end(engine.ask(), "failed")
    engine.end(engine.ask(), "failed")
    assert engine.ask() == Searcher.FINISHED


def test_a_suggestion_that_is_an_arm_already_is_not_run_again(tmp_path):
    """Two kinds exist; the reference is one of them, so a single search arm is left to be found."""
    study = tiny.study(tmp_path, search={"space": "few", "trials": 6}, ablation=None, sensitivity=None)
    engine = Engine(tmp_path / "run", study, SPACES.spaces["few"])
    arms = engine.run()
    assert kinds(arms) == ["reference", "search"]
    assert len({arm.id for arm in arms}) == 2
    assert engine.ask() == Searcher.FINISHED
    assert {each.arm for each in engine.writer.repeats} == {arm.id for arm in arms}


@pytest.mark.parametrize("cut", range(0, 15))
@pytest.mark.parametrize("under_way", [False, True])
def test_a_run_goes_on_as_if_nothing_had_happened(tmp_path, cut, under_way):
    study = tiny.study(tmp_path, search={"trials": 12}, ablation=None)
    expected = [arm.id for arm in Engine(tmp_path / "whole", study).run()]
    first = Engine(tmp_path / "cut", study)
    first.run(upto=cut)
    unfinished = first.ask() if under_way else None
    first.writer.close()
    second = Engine(tmp_path / "cut", study)
    if unfinished not in (None, Searcher.FINISHED):
        assert second.searcher.upcoming()[0] == unfinished
    second.run()
    assert first.given[:cut] + second.given == expected
    assert second.ask() == Searcher.FINISHED


def test_repeats_are_replayed_too(tmp_path):
    space = {"tune.epochs": Int(2, 4), "learn.kind": Choice(("a", "b"))}
    study = tiny.study(tmp_path, search={"trials": 5}, ablation=None, sensitivity=None)
    whole = Engine(tmp_path / "whole", study, space)
    expected = [arm.id for arm in whole.run()]
    assert whole.writer.repeats
    for cut in range(1, 6):
        Engine(tmp_path / f"cut{cut}", study, space).run(upto=cut)
        second = Engine(tmp_path / f"cut{cut}", study, space)
        second.run()
        assert second.given == expected[cut:]


def test_another_stream_is_noticed(tmp_path):
    study = tiny.study(tmp_path)
    Engine(tmp_path / "run", study).run(upto=4)
    other = tiny.study(tmp_path, search={"trials": 6, "seed": 1})
    with pytest.raises(InputError, match="suggests other points than those recorded"):
        Engine(tmp_path / "run", other)


def test_arms_unfinished_at_once_all_come_back(tmp_path):
    study = tiny.study(tmp_path)
    first = Engine(tmp_path / "run", study, concurrent=3)
    asked = [first.ask(), first.ask(), first.ask()]
    second = Engine(tmp_path / "run", study, concurrent=2)
    assert [second.ask(), second.ask(), second.ask()] == [asked[0], asked[1], None]
    second.end(asked[0])
    assert second.ask() == asked[2]


def test_the_search_finds_the_best_region(tmp_path):
    engine = Engine(tmp_path / "run", tiny.study(tmp_path, search={"trials": 30}, ablation=None, sensitivity=None))
    late = engine.run()[-10:]
    assert np.median([abs(math.log(arm.config["learn"]["rate"] / 0.3)) for arm in late]) < 0.5


def states(suggester):
    return [trial.state.name for trial in suggester._optuna._ot_study.trials]


def test_what_did_not_run_whole_counts_as_pruned():
    suggester = Suggester({"learn.rate": Float(0.1, 1.0)}, Search())
    names = [suggester.ask()[0] for _ in range(4)]
    suggester.tell(names[0], 0.5)
    suggester.tell(names[1], 0.9, budget=2, whole=False)
    suggester.tell(names[2], None, failed=True)
    suggester.tell(names[3], None, whole=False)
    assert states(suggester) == ["COMPLETE", "PRUNED", "FAIL", "PRUNED"]
    pruned = suggester._optuna._ot_study.trials[1]
    assert pruned.intermediate_values == {2: 0.9}
    assert suggester._optuna._ot_study.best_value == 0.5


@pytest.mark.parametrize("sampler", ["tpe", "random", "nsga2"])
def test_bounds_are_inclusive_and_values_are_those_written(sampler):
    space = {"i": Int(1, 3), "f": Float(0.0, 1.0, step=0.5), "c": Choice(([8], None, "x", 1.5))}
    suggester = Suggester(space, Search(sampler=sampler))
    points = [suggester.ask()[1] for _ in range(60)]
    assert {point["i"] for point in points} == {1, 2, 3}
    assert {point["f"] for point in points} == {0.0, 0.5, 1.0}
    assert {json.dumps(point["c"]) for point in points} == {"[8]", "null", '"x"', "1.5"}


def test_a_seed_is_a_stream():
    def points(seed):
        suggester = Suggester({"learn.rate": Float(0.1, 1.0, log=True)}, Search(seed=seed))
        return [suggester.ask()[1]["learn.rate"] for _ in range(5)]

    assert points(1) == points(1) != points(2)


def test_optuna_says_nothing(capfd):
    Suggester({"learn.rate": Float(0.1, 1.0)}, Search()).ask()
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == optuna.logging.WARNING
