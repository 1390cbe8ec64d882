"""Which arm is next: what Tune is told, and nothing of how arms are trained."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import Any, Literal

import optuna
from ray.tune.search import Searcher
from ray.tune.search.optuna import OptunaSearch

from search_spaces.space import Choice, Float, Space, Spaces
from sweeper.arms import Arm, ablation_arms, baseline_arms, reference_arm, search_arm, sensitivity_arms
from sweeper.results import Writer
from sweeper.study import Search, Study
from sweeper.tables import Row
from trainables.errors import InputError
from trainables.methods import config_of

log = logging.getLogger(__name__)

#: So many suggestions in a row that were arms already, and the space counts as exhausted.
REPEATS = 100


class Suggester:
    """Optuna, through Ray's `OptunaSearch`: a stream of suggestions that a seed and what it is told determine.

    Args:
        space: The ranges.
        search: Sampler and seed.
    """

    def __init__(self, space: Space, search: Search) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space = space
        self._asked = 0
        distributions = {path: _distribution(each) for path, each in space.items()}
        self._optuna = OptunaSearch(distributions, metric="score", mode="max", sampler=_sampler(search))

    def ask(self) -> tuple[str, dict[str, Any]]:
        """The next suggestion: a name to tell its result by, and values by field path."""
        self._asked += 1
        name = str(self._asked)
        point = self._optuna.suggest(name)
        return name, {path: _value(self._space[path], value) for path, value in point.items()}

    def tell(
        self, name: str, score: float | None, *, budget: int = 0, whole: bool = True, failed: bool = False
    ) -> None:
        """Say how a suggestion fared.

        Args:
            name: Which one.
            score: Its dev score; None where there is none.
            budget: Classifying epochs it ran.
            whole: Whether it ran to its end, unflagged; else it counts as pruned at its budget, so that an arm
                stopped early is not ranked beside those that ran on.
            failed: Whether it failed; then it tells the sampler nothing.
        """
        if score is not None and not whole and not failed:
            self._optuna.on_trial_result(name, {"score": score, "training_iteration": budget})
        told = {"score": score} if whole and not failed and score is not None else None
        self._optuna.on_trial_complete(name, told, error=failed)


class StudySearcher(Searcher):
    """Hands out a study's arms: the reference, the search, then ablation, sensitivity and baselines.

    Arms measured from the study's own config need no search and fill the slots its last arms leave; those
    measured from the best arm wait until every candidate is over. On the folder of an unfinished run, Optuna is
    taken through the recorded order of suggestions and results, so that its stream goes on as if nothing had
    happened, and the unfinished arms come first.

    Args:
        study: The study, with modalities settled.
        spaces: The method's ranges, rows and grids.
        space: The searched part; empty without a search.
        writer: Knows which arms there are, and notes those handed out.
        concurrent: Arms at a time.
        places: How many trainers they are dealt to.
    """

    def __init__(
        self, study: Study, spaces: Spaces, space: Space, writer: Writer, concurrent: int, places: int = 1
    ) -> None:
        super().__init__(metric="score", mode="max")
        self._study, self._spaces, self._writer, self._concurrent = study, spaces, writer, concurrent
        self._places = places
        self._suggester = Suggester(space, study.search) if study.search and space else None
        self._names: dict[str, str] = {}
        self._live: dict[str, int] = {}
        self._alone: set[str] = set()
        self._only: set[str] = set()
        self._exhausted = False
        self._queue: list[Arm] = []
        self._planned: set[str] = set()
        self._replay()
        self._again = [each.arm for each in writer.running.values()]

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next arm as a Tune config; None while there is none or no slot, and a last word at the end."""
        if len(self._live) >= self._concurrent or self._held_back():
            return None
        arm = self._again.pop(0) if self._again else self._next()
        if arm is None:
            return None if self._live else Searcher.FINISHED
        if arm.id not in self._writer.running:
            self._writer.start(arm)
        place = min(range(self._places), key=list(self._live.values()).count)
        self._live[arm.id] = place
        return {
            "arm": arm.id,
            "method": arm.method,
            "kind": arm.kind,
            "config": json.dumps(arm.config),
            "place": place,
            "alone": arm.id in self._alone,
            "only": arm.id in self._only,
        }

    def again(self, arm: str, *, only: bool = False) -> None:
        """Hand out an arm once more, before new ones, and to be trained beside no other by the same process.

        Args:
            arm: Its id.
            only: Whether no other arm of the run shall be under way at that time.
        """
        self._live.pop(arm, None)
        self._alone.add(arm)
        self._only |= {arm} if only else set()
        self._again.append(self._writer.arms[arm])

    def over(self, row: Row) -> None:
        """Take note of an arm that is over.

        Args:
            row: Its row of the table of trials.
        """
        self._live.pop(row["arm"], None)
        self._tell(row)

    def upcoming(self) -> list[Arm]:
        """Arms that are certain to come."""
        return [*self._again, *self._queue]

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        """Nothing: `over` is told by whoever writes the results."""

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Nothing: all there is to know stands in the run's tables and journal."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing; see `save_to_dir`."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing; see `save_to_dir`."""

    def _held_back(self) -> bool:
        """Whether an arm under way, or the next one, is to be the only one."""
        return bool(self._only & self._live.keys() or (self._live and self._again and self._again[0].id in self._only))

    def _next(self) -> Arm | None:
        if not self._writer.handed["reference"]:
            return reference_arm(self._study)
        arm = self._search()
        if arm is not None:
            return arm
        self._plan("paper")
        if not self._queue and not self._candidates_live():
            self._plan("best")
        return self._queue.pop(0) if self._queue else None

    def _search(self) -> Arm | None:
        """The next search arm, past suggestions that are arms already."""
        if self._suggester is None or self._study.search is None or self._exhausted:
            return None
        number = self._writer.handed["search"]
        if number >= self._study.search.trials:
            return None
        for _ in range(REPEATS):
            name, point = self._suggester.ask()
            arm = search_arm(self._study, number, point)
            if arm.id not in self._writer.arms:
                self._names[arm.id] = name
                return arm
            repeat = self._writer.repeat(arm.id, _told(self._writer.trials.get(arm.id)))
            self._suggester.tell(name, repeat.score, whole=repeat.score is not None)
        log.info("the search space has no more points that were not tried; the search ends early")
        self._exhausted = True
        return None

    def _plan(self, around: str) -> None:
        """Queue the arms measured from the study's config (``paper``) or the chosen arm (``best``), once."""
        if around in self._planned:
            return
        self._planned.add(around)
        kinds: tuple[Literal["ablation", "sensitivity"], ...] = ("ablation", "sensitivity")
        wanted = [kind for kind in kinds if getattr(self._study, kind) and self._study.around(kind) == around]
        baselines = bool(self._study.baselines) and self._study.around("ablation") == around
        if not wanted and not baselines:
            return
        centre = self._centre(around)
        if centre is None:
            log.warning("no arm finished that ablation and sensitivity could be measured from; they are left out")
            return
        config = config_of(self._study.method).model_validate(centre.config)
        for kind in wanted:
            make = ablation_arms if kind == "ablation" else sensitivity_arms
            taken = {*self._writer.arms, *(arm.id for arm in self._queue)}
            self._queue += make(self._study, self._spaces, config, centre.id, taken)
        if baselines:
            self._queue += baseline_arms(self._study, centre.id, self._writer.arms)

    def _centre(self, around: str) -> Arm | None:
        """The arm that others are measured from; all candidates are over, so that it stays the same on resume."""
        reference = next(arm for arm in self._writer.arms.values() if arm.kind == "reference")
        if around == "paper":
            return reference
        chosen = self._writer.best()
        if chosen is None and self._writer.trials.get(reference.id, {}).get("status") == "done":
            return reference
        return None if chosen is None else self._writer.arms[chosen["arm"]]

    def _candidates_live(self) -> bool:
        return any(self._writer.arms[arm].kind in ("reference", "search") for arm in self._live)

    def _tell(self, row: Row) -> None:
        name = self._names.get(row["arm"])
        if name is not None and self._suggester is not None:
            whole = row["status"] == "done" and not row["flags"]
            failed = row["status"] == "failed"
            self._suggester.tell(name, row["score"], budget=row["epochs"], whole=whole, failed=failed)

    def _replay(self) -> None:
        """Take the suggester through what was asked and told, in the recorded order."""
        if self._suggester is None:
            return
        for event in sorted(_events(self._writer), key=lambda each: each.order):
            if event.what == "tell":
                self._tell(self._writer.trials[event.arm])
                continue
            name, point = self._suggester.ask()
            arm = self._writer.arms[event.arm]
            if search_arm(self._study, 0, point).id != arm.id:
                raise InputError(
                    f"{self._writer.folder}: optuna {optuna.__version__} suggests other points than those recorded; "
                    "resume with the versions in provenance.json, or run under another name"
                )
            if event.what == "ask":
                self._names[arm.id] = name
            else:
                self._suggester.tell(name, event.score, whole=event.score is not None)


@dataclass(frozen=True)
class _Event:
    order: int
    what: str
    arm: str
    score: float | None = None


def _events(writer: Writer) -> list[_Event]:
    """What the suggester went through, as the tables and the journal have it."""
    events = [_Event(each.order, "repeat", each.arm, each.score) for each in writer.repeats]
    for row in writer.trials.values():
        if row["kind"] == "search":
            events.append(_Event(row["started_order"], "ask", row["arm"]))
            events.append(_Event(row["finished_order"], "tell", row["arm"]))
    running = [each for each in writer.running.values() if each.arm.kind == "search"]
    return events + [_Event(each.started_order, "ask", each.arm.id) for each in running]


def _told(row: Row | None) -> float | None:
    """The score of an arm that is over and may win."""
    return row["score"] if row and row["status"] == "done" and not row["flags"] else None


def _sampler(search: Search) -> optuna.samplers.BaseSampler:
    if search.sampler == "random":
        return optuna.samplers.RandomSampler(seed=search.seed)
    if search.sampler == "nsga2":
        return optuna.samplers.NSGAIISampler(seed=search.seed)
    # The liar keeps arms that run at the same time from being the same; one at a time it changes nothing.
    return optuna.samplers.TPESampler(seed=search.seed, constant_liar=True)


def _distribution(each: Any) -> optuna.distributions.BaseDistribution:
    if isinstance(each, Choice):
        # As JSON: Optuna takes plain values only, and a list of widths is a value too.
        return optuna.distributions.CategoricalDistribution([json.dumps(option) for option in each.options])
    if isinstance(each, Float):
        return optuna.distributions.FloatDistribution(each.low, each.high, log=each.log, step=each.step)
    return optuna.distributions.IntDistribution(each.low, each.high, log=each.log, step=each.step)


def _value(each: Any, suggested: Any) -> Any:
    return json.loads(suggested) if isinstance(each, Choice) else suggested
