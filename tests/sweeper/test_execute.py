from dataclasses import replace

import numpy as np
import pytest
import tiny
from tiny_method.config import Config
from tiny_method.method import METHOD

from search_spaces.change import apply
from sweeper.artifacts import Store
from sweeper.execute import run_arm
from trainables import metrics
from trainables.epoch import Epoch
from trainables.errors import Diverged
from trainables.methods import Method, Stage
from trainables.selection import choose_epoch


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    return tiny.task(tmp_path_factory.mktemp("corpus") / "toy")


def reports(task, store=None, owner="", **changes):
    return list(run_arm(METHOD, apply(Config(), changes), task, store, owner=owner))


def shown(report, *, epochs=True):
    """All of a report that must not depend on time or on where its epochs came from."""
    plain = {name: getattr(report, name) for name in report.__dataclass_fields__}
    for name in ("seconds", "trained", "reused"):
        plain.pop(name)
    plain["rows"] = None if report.rows is None else report.rows.tolist()
    plain["terms"] = {name: values.tolist() for name, values in report.terms.items()}
    plain["embeddings"] = [(each.row, each.kind, each.vectors.tolist()) for each in report.embeddings]
    plain["chosen"] = [
        (
            each.stage,
            each.final,
            each.epochs.tolist(),
            each.dev_uar.tolist(),
            {pair: counts.tolist() for pair, counts in each.confusions.items()},
            {name: counts.tolist() for name, counts in each.speakers.items()},
        )
        for each in report.chosen
    ]
    return plain


def test_one_report_an_epoch_and_a_clock_of_classifying_epochs(task):
    got = reports(task)
    assert [(each.stage, each.epoch, each.total) for each in got] == [
        *(("learn", n, 5) for n in range(1, 6)),
        *(("dream", n, 2) for n in (1, 2)),
        *(("tune", n, 3) for n in (1, 2, 3)),
    ]
    assert [each.budget for each in got] == [1, 2, 3, 4, 5, 5, 5, 6, 7, 8]
    assert {each.planned for each in got} == {8}
    assert [each.done for each in got] == [False] * 9 + [True]
    assert [each.dev_uar is None for each in got] == [False] * 5 + [True] * 2 + [False] * 3
    assert (got[-1].trained, got[-1].reused) == (10, 0)


def test_dev_uar_is_the_mean_over_rows(task):
    first = reports(task)[0]
    assert first.rows.shape == (8,)
    assert first.dev_uar == pytest.approx(first.rows.mean())


def test_rows_choose_their_own_epoch_on_dev(task):
    got = [each for each in reports(task) if each.stage == "learn"]
    curve = np.stack([each.rows for each in got])
    best = choose_epoch(curve)
    for upto, report in enumerate(got, start=1):
        (chosen,) = report.chosen
        np.testing.assert_array_equal(chosen.epochs, choose_epoch(curve[:upto]) + 1)
    np.testing.assert_array_equal(chosen.dev_uar, curve[best, range(8)])
    np.testing.assert_allclose(metrics.uar(chosen.confusions["dev", "audio"]), chosen.dev_uar)
    assert report.score == pytest.approx(chosen.dev_uar.mean())


def test_every_classifying_stage_is_kept_and_the_last_one_is_final(task):
    last = reports(task)[-1]
    assert [(each.stage, each.final) for each in last.chosen] == [("learn", False), ("tune", True)]
    assert last.score == pytest.approx(last.chosen[-1].dev_uar.mean())


def test_speakers_are_told_apart_in_the_final_stage_alone_at_the_chosen_epochs(task):
    rows = np.array([row for row, _ in task.tested])
    for report in reports(task):
        for chosen in report.chosen:
            assert bool(chosen.speakers) == chosen.final == (chosen.stage == "tune")
            for condition, counts in chosen.speakers.items():
                assert [(counts[rows == row]).sum(0).tolist() for row in range(8)] == chosen.confusions[
                    "test", condition
                ].tolist()
    assert len(set(report.chosen[-1].epochs.tolist())) > 1, "else the last epoch would do for all rows"


def test_a_stage_that_does_not_tell_speakers_apart_says_nothing_of_them(task):
    two = replace(task, folds=task.folds[:1])
    (got,) = run_arm(one_stage([made(1, 1, [[5, 5], [4, 4]], [0.5, 0.5])]), Config(), two)
    assert got.chosen[0].final
    assert got.chosen[0].speakers == {}


def test_a_report_before_the_end_tells_all_about_a_stopped_arm(task):
    stopped = reports(task)[6]
    assert stopped.stage == "dream"
    assert stopped.score == pytest.approx(stopped.chosen[0].dev_uar.mean())
    assert [stage for stage, _ in stopped.diagnostics] == ["dream"] * 8
    assert stopped.embeddings == ()


def test_embeddings_and_flags_come_with_the_end(task):
    last = reports(task, **{"dream.collapse": True})[-1]
    assert [each.kind for each in last.embeddings] == ["generated"]
    assert last.flags == ("generator collapsed",)


def test_equal_rows_are_equal_reports(task):
    assert [shown(each) for each in reports(task)] == [shown(each) for each in reports(task)]


def test_a_replayed_arm_reports_the_same_without_training(task, tmp_path):
    trained = reports(task, Store(tmp_path), "one")
    replayed = reports(task, Store(tmp_path), "two")
    assert [shown(each) for each in replayed] == [shown(each) for each in trained]
    assert (replayed[-1].trained, replayed[-1].reused) == (0, 10)


def test_stages_that_a_change_leaves_alone_are_taken_over(task, tmp_path):
    store = Store(tmp_path)
    reports(task, store, "one")
    other = reports(task, store, "two", **{"tune.gain": 0.7})
    assert (other[-1].trained, other[-1].reused) == (3, 7)
    assert [shown(each) for each in other] == [shown(each) for each in reports(task, **{"tune.gain": 0.7})]


@pytest.mark.parametrize("cut", range(1, 10))
def test_an_arm_goes_on_from_wherever_it_was_dropped(task, tmp_path, cut):
    store = Store(tmp_path, every=0.0)
    arm = run_arm(METHOD, Config(), task, store, owner="one")
    for _ in range(cut):
        next(arm)
    arm.close()
    resumed = reports(task, store, "one")
    assert [shown(each) for each in resumed] == [shown(each) for each in reports(task)]
    assert (resumed[-1].trained, resumed[-1].reused) == (10, 0), "its own epochs are not another arm's"


def test_without_a_partial_file_a_dropped_stage_is_trained_again(task, tmp_path):
    store = Store(tmp_path, every=1e9)
    arm = run_arm(METHOD, Config(), task, store, owner="one")
    for _ in range(6):
        next(arm)
    arm.close()
    assert len(list(tmp_path.iterdir())) == 1
    assert [shown(each) for each in reports(task, store, "one")] == [shown(each) for each in reports(task)]


def test_a_loss_that_is_not_finite_ends_the_arm_by_name(task, tmp_path):
    with pytest.raises(Diverged, match=r"stage learn, epoch 3: loss is not finite in 8 of 8 rows \(s0 seed 0"):
        reports(task, Store(tmp_path, every=0.0), **{"learn.nan_at": 3})
    assert Store(tmp_path).finished("x") is None


def test_what_diverged_is_not_kept(task, tmp_path):
    store = Store(tmp_path, every=0.0)
    for _ in range(2):
        with pytest.raises(Diverged, match="epoch 2"):
            reports(task, store, **{"learn.nan_at": 2})


def one_stage(epochs):
    def run(config, task, artifacts, state):
        yield from epochs

    stage = Stage(
        name="only",
        run=run,
        active=lambda config: True,
        epochs=lambda config: len(epochs),
        depends=(),
        classifies=True,
    )
    return Method(**{**METHOD.__dict__, "stages": (stage,)})


def made(index, total, dev, term):
    counts = np.stack([np.diag(row) + np.roll(np.diag(5 - np.array(row)), 1, axis=1) for row in dev])
    confusions = {("dev", "audio"): counts, ("dev", "text"): counts[::-1], ("test", "audio"): counts}
    return Epoch(
        stage="only", index=index, total=total, confusions=confusions, terms={"t": np.array(term)}, artifact={}
    )


def test_a_single_bad_row_is_enough(task):
    two = replace(task, folds=task.folds[:1])
    method = one_stage([made(1, 1, [[5, 5], [4, 4]], [0.5, np.inf])])
    with pytest.raises(Diverged, match=r"only, epoch 1: t is not finite in 1 of 2 rows \(s0 seed 1\)"):
        list(run_arm(method, Config(), two))


def test_conditions_are_averaged_and_the_first_of_equal_epochs_is_chosen(task):
    two = replace(task, folds=task.folds[:1])
    method = one_stage(
        [
            made(1, 3, [[5, 3], [1, 1]], [0.0, 0.0]),  # rows: UAR .8 and .2, mean over conditions .5 and .5
            made(2, 3, [[5, 5], [2, 2]], [0.0, 0.0]),  # 1 and .4: .7
            made(3, 3, [[2, 2], [5, 5]], [0.0, 0.0]),  # the same, the other way round
        ]
    )
    got = list(run_arm(method, Config(), two))
    np.testing.assert_allclose([each.dev_uar for each in got], [0.5, 0.7, 0.7])
    (chosen,) = got[-1].chosen
    assert chosen.epochs.tolist() == [2, 2]
    np.testing.assert_allclose(metrics.uar(chosen.confusions["test", "audio"]), [1.0, 0.4])


def test_nothing_on_test_decides_anything(task):
    def got(scramble):
        epochs = [made(n, 3, [[n, 2]] * 8, [0.0] * 8) for n in (3, 5, 4)]
        epochs = [replace(each, index=n) for n, each in enumerate(epochs, start=1)]
        if scramble:
            rng = np.random.default_rng(0)
            test = {("test", "audio"): rng.integers(1, 9, (8, 2, 2))}
            epochs = [replace(each, confusions={**each.confusions, **test}) for each in epochs]
        return list(run_arm(one_stage(epochs), Config(), task))

    plain, scrambled = got(False), got(True)
    assert [each.dev_uar for each in scrambled] == [each.dev_uar for each in plain]
    assert [each.score for each in scrambled] == [each.score for each in plain]
    for left, right in zip(plain, scrambled, strict=True):
        np.testing.assert_array_equal(left.chosen[0].epochs, right.chosen[0].epochs)
    assert plain[-1].chosen[0].epochs.tolist() == [2] * 8


def test_without_dev_there_is_no_score(task):
    epoch = made(1, 1, [[5, 5]] * 8, [0.0] * 8)
    none = {pair: counts * 0 if pair[0] == "dev" else counts for pair, counts in epoch.confusions.items()}
    (got,) = run_arm(one_stage([replace(epoch, confusions=none)]), Config(), task)
    assert (got.dev_uar, got.score, got.chosen, got.done) == (None, None, (), True)
