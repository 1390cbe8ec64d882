"""Which utterances are labeled: shares, balance, partners; never a held-out one."""

import numpy as np
import pytest
import torch

from search_spaces.change import apply
from trainables.distribution_matching.config import Config
from trainables.distribution_matching.parts import Partners, Parts
from trainables.prepared import Prepared
from trainables.stacking import Draws


@pytest.fixture(scope="module")
def prepared(small_task):
    return Prepared.make(small_task)


def parts(prepared, **data):
    return Parts.make(apply(Config(), {f"data.{name}": value for name, value in data.items()}), prepared)


def test_with_all_labels_the_parts_are_the_folds_own(prepared):
    made = parts(prepared)
    for row in range(prepared.rows):
        assert np.array_equal(made.labeled[row], np.sort(prepared.train[row]))
        assert np.array_equal(made.unlabeled[row], np.sort(prepared.unlabeled[row]))


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_a_share_of_labels_is_stratified_and_the_rest_becomes_unlabeled(prepared, share):
    made, labels = parts(prepared, labels=share), prepared.labels.numpy()
    for row in range(prepared.rows):
        train = prepared.train[row]
        for label in range(prepared.classes):
            count = (labels[train] == label).sum()
            assert (labels[made.labeled[row]] == label).sum() == max(1, round(share * count))
        together = np.concatenate([made.labeled[row], made.unlabeled[row]])
        assert np.array_equal(np.sort(together), np.union1d(train, prepared.unlabeled[row]))


def test_a_smaller_share_lies_within_a_larger_one(prepared):
    few, some, many = (parts(prepared, labels=share) for share in (0.1, 0.25, 0.6))
    for row in range(prepared.rows):
        assert set(few.labeled[row]) < set(some.labeled[row]) < set(many.labeled[row])
    few, some = (parts(prepared, labels=0.25, unlabeled_amount=amount) for amount in (0.2, 0.7))
    for row in range(prepared.rows):
        assert set(few.unlabeled[row]) < set(some.unlabeled[row])


def test_shares_are_drawn_for_every_fold_and_seed(prepared, small_task):
    made = parts(prepared, labels=0.3)
    assert small_task.rows[0][0] is small_task.rows[1][0]
    assert set(made.labeled[0]) != set(made.labeled[1])


def test_amounts(prepared):
    assert all(len(each) == 0 for each in parts(prepared, unlabeled_amount=0.0).unlabeled)
    whole, half = (parts(prepared, labels=0.2, unlabeled_amount=amount) for amount in (1.0, 0.5))
    assert [len(each) for each in half.unlabeled] == [round(0.5 * len(each)) for each in whole.unlabeled]


def test_nothing_held_out_is_trained_on(prepared, small_task):
    made = parts(prepared, labels=0.3)
    for row, (fold, _) in enumerate(small_task.rows):
        used = np.concatenate([made.labeled[row], made.unlabeled[row]])
        assert not np.intersect1d(used, np.concatenate([fold.dev, fold.test])).size


def test_labeled_again_takes_no_other_utterance(prepared):
    made = Parts.make(apply(Config(), {"train.unlabeled": "labeled again", "data.labels": 0.3}), prepared)
    for labeled, unlabeled in zip(made.labeled, made.unlabeled, strict=True):
        assert np.array_equal(labeled, unlabeled)


def test_balanced_classes_are_equal_and_nothing_is_thrown_away_in_vain(prepared):
    made, rng = parts(prepared, labels=0.1), np.random.default_rng(0)
    guess = [rng.choice(3, len(prepared.labels), p=[0.7, 0.25, 0.05]) for _ in range(prepared.rows)]
    balanced = made.balanced(prepared, guess)
    for row, items in enumerate(balanced.unlabeled):
        before, size = made.unlabeled[row], len(made.unlabeled[row]) // 3
        assert set(items) <= set(before)
        for label in range(3):
            found = items[guess[row][items] == label]
            assert len(found) == size
            available = (guess[row][before] == label).sum()
            assert len(set(found)) == min(size, available), "sub-sampled, or all of them before any again"
    assert balanced.labeled == made.labeled


def test_a_class_never_named_stays_out_and_nothing_stays_nothing(prepared):
    made = parts(prepared, labels=0.1)
    guess = [np.arange(len(prepared.labels)) % 2 for _ in range(prepared.rows)]
    for items, before in zip(made.balanced(prepared, guess).unlabeled, made.unlabeled, strict=True):
        assert len(items) == 2 * (len(before) // 2)
    none = parts(prepared, unlabeled_amount=0.0)
    assert all(len(each) == 0 for each in none.balanced(prepared, guess).unlabeled)


def test_partners_are_of_other_dialogues_and_of_the_rows_items(prepared, small_task):
    dialogue = small_task.corpus.utterances["dialogue"].to_numpy()
    items = parts(prepared, labels=0.5).labeled
    partners, draws = Partners(prepared, items), Draws(small_task, "test")
    seen = [set() for _ in items]
    for batch in draws.batches(items, 20, 16).unbind(1):
        found = partners.draw(draws, batch).numpy()
        for row, (chosen, others) in enumerate(zip(batch.numpy(), found, strict=True)):
            assert set(others) <= set(items[row])
            assert (dialogue[chosen] != dialogue[others]).all()
            seen[row] |= set(others)
    assert all(one == set(each) for one, each in zip(seen, items, strict=True)), "every item is drawn in time"


def test_a_single_dialogue_has_no_others(prepared, small_task):
    items = [np.arange(3) for _ in range(prepared.rows)]  # all of the first dialogue
    found = Partners(prepared, items).draw(Draws(small_task, "test"), torch.tensor(np.stack(items)))
    assert set(found.flatten().tolist()) <= {0, 1, 2}
