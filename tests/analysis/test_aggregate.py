from __future__ import annotations

from dataclasses import replace

import fake_run
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, f1_score

from analysis import aggregate
from analysis.run import load


def _plainly(raw: pd.DataFrame, arm: str, split: str) -> dict[str, float]:
    """The definitions, in loops over the raw table."""
    raw = raw[(raw["arm"] == arm) & (raw["split"] == split) & raw["final"]]
    means, variances, counts = [], [], np.zeros((4, 4))
    for fold in raw["fold"].unique():
        values = [row.uar for row in raw.itertuples() if row.fold == fold]
        means.append(sum(values) / len(values))
        variances.append(sum((v - means[-1]) ** 2 for v in values) / (len(values) - 1))
    for row in raw.itertuples():
        counts += np.reshape(row.confusion, (4, 4))
    mean = sum(means) / len(means)
    return {
        "uar": mean,
        "uar_fold_std": (sum((m - mean) ** 2 for m in means) / (len(means) - 1)) ** 0.5,
        "uar_seed_std": (sum(variances) / len(variances)) ** 0.5,
        "uar_pooled": float(np.mean([counts[c, c] / counts[c].sum() for c in range(4)])),
    }


def test_summary_equals_the_definitions(folder, run):
    raw, summary = pd.read_parquet(folder / "folds.parquet"), aggregate.summarise(run)
    done = run.trials["arm"][run.trials["status"] == "done"]
    assert set(summary.index) == {(arm, split) for arm in done for split in ("dev", "test")}
    for arm in done:
        for split in ("dev", "test"):
            for column, value in _plainly(raw, arm, split).items():
                assert summary.loc[(arm, split), column] == pytest.approx(value), column
    assert (summary["folds"] == 5).all()
    assert (summary["seeds"] == 3).all()
    assert (summary["n"] == 5 * 240).all()


def test_stages_and_conditions_can_be_kept_apart(run):
    summary = aggregate.summarise(run, run.folds, by=["stage", "condition"])
    assert set(summary.index.get_level_values("stage")) == {"align", "augment"}
    final = aggregate.summarise(run)
    np.testing.assert_allclose(summary.xs(("augment", "audio"), level=("stage", "condition"))["uar"], final["uar"])


def test_one_fold_and_one_seed_have_no_spread(tmp_path):
    plan = fake_run.Plan(folds=1, seeds=(7,), search=3, stopped=0, failed=0, stop_ablation=False)
    summary = aggregate.summarise(load(fake_run.write(tmp_path / "run", plan)))
    assert summary[["uar_fold_std", "uar_seed_std"]].isna().all(axis=None)
    assert summary["uar"].notna().all()


def test_recalls_are_those_of_the_pooled_and_of_the_fold_counts(folder, run):
    best = str(run.trials["arm"][run.trials["is_best"]].iloc[0])
    table = aggregate.recalls(run, best)
    raw = pd.read_parquet(folder / "folds.parquet")
    raw = raw[(raw["arm"] == best) & (raw["split"] == "test") & raw["final"]]
    counts = np.stack(list(raw["confusion"])).reshape(-1, 4, 4)
    per_row = np.stack([np.diag(each) / each.sum(axis=1) for each in counts])
    by_fold = per_row.reshape(5, 3, 4).mean(axis=1)
    np.testing.assert_allclose(table["recall"], by_fold.mean(axis=0))
    np.testing.assert_allclose(table["recall_fold_std"], by_fold.std(axis=0, ddof=1))
    np.testing.assert_allclose(table["recall_pooled"], np.diag(counts.sum(axis=0)) / counts.sum(axis=(0, 2)))
    assert list(table.index) == list(run.classes)
    assert table["n"].tolist() == [300] * 4


def test_folds_of_an_arm(run):
    best = str(run.trials["arm"][run.trials["is_best"]].iloc[0])
    table, summary = aggregate.folds_of(run, best), aggregate.summarise(run)
    assert list(table.index) == [f"session {i}" for i in range(1, 6)]
    assert table["test"].mean() == pytest.approx(summary.loc[(best, "test"), "uar"])
    assert table["dev"].mean() == pytest.approx(summary.loc[(best, "dev"), "uar"])
    assert (table["n"] == 240).all()
    assert (table[["epoch_low", "epoch_high"]].to_numpy() == [1, 3]).all()
    assert (table["absent"] == "").all()


def test_an_absent_class_is_named(run):
    best = str(run.trials["arm"][run.trials["is_best"]].iloc[0])
    counts = run.confusions.copy()
    mine = ((run.folds["arm"] == best) & (run.folds["fold"] == "session 2")).to_numpy()
    counts[mine, 1] = 0
    changed = replace(run, confusions=counts)
    assert aggregate.absent_classes(changed, best) == {"session 2": "happy"}
    table = aggregate.recalls(changed, best)
    assert table.loc["happy", "folds"] == 4
    assert table.loc["happy", "n"] == 240
    assert aggregate.folds_of(changed, best).loc["session 2", "absent"] == "happy"


counts_of = st.integers(2, 6).flatmap(
    lambda c: st.lists(st.integers(0, 30), min_size=c * c, max_size=c * c).map(lambda v: np.reshape(v, (c, c)))
)


@given(counts_of.filter(lambda counts: counts.sum() > 0))
def test_metrics_equal_those_of_scikit_learn(counts):
    truth, predicted = (np.repeat(axis.ravel(), counts.ravel()) for axis in np.indices(counts.shape))
    found = aggregate.metrics_of(counts[None]).iloc[0]
    there = np.unique(truth)
    recalls = [np.mean(predicted[truth == c] == c) for c in there]
    assert found["uar"] == pytest.approx(np.mean(recalls))
    if len(there) > 1 and set(np.unique(predicted)) <= set(there):
        assert found["uar"] == pytest.approx(balanced_accuracy_score(truth, predicted))
    assert found["war"] == pytest.approx(np.mean(truth == predicted))
    kinds = {"wf1": "weighted", "macro_f1": "macro"}
    for name, average in kinds.items():
        expected = f1_score(truth, predicted, labels=there, average=average, zero_division=0)
        assert found[name] == pytest.approx(expected)


@given(counts_of, st.randoms(use_true_random=False))
def test_metrics_do_not_care_how_classes_are_numbered(counts, random):
    order = list(range(len(counts)))
    random.shuffle(order)
    pair = np.stack([counts, counts[np.ix_(order, order)]])
    found = aggregate.metrics_of(pair)
    np.testing.assert_allclose(found.iloc[0], found.iloc[1])


def test_metrics_of_nothing_are_no_number():
    assert aggregate.metrics_of(np.zeros((1, 3, 3))).isna().all(axis=None)
