from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainables.subspace_mapping.dialogues import Lanes, by_dialogue, fixed_order, pieces, restricted


def changed(corpus, **columns):
    return replace(corpus, utterances=corpus.utterances.assign(**columns))


def test_dialogues_are_in_turn_order(small_task):
    corpus = small_task.corpus
    backwards = changed(corpus, turn=corpus.utterances["turn"].to_numpy()[::-1].copy())
    plain, reverse = by_dialogue(corpus), by_dialogue(backwards)
    assert len(plain) == 16
    assert sorted(np.concatenate(plain)) == list(range(160))
    for each, other in zip(plain, reverse, strict=True):
        assert each.tolist() == sorted(each)
        assert other.tolist() == sorted(each, reverse=True)


def test_equal_turns_keep_the_corpus_order(small_task):
    corpus = changed(small_task.corpus, turn=0)
    assert all(each.tolist() == sorted(each) for each in by_dialogue(corpus))


def test_an_order_replaces_the_turns(small_task):
    order = fixed_order(160)
    assert sorted(order) == list(range(160))
    assert (order == fixed_order(160)).all()
    assert all((np.diff(order[each]) > 0).all() for each in by_dialogue(small_task.corpus, order))


def test_only_allowed_utterances_of_dialogues_with_a_needed_one():
    dialogues = [np.array([0, 1, 2]), np.array([3, 4]), np.array([5])]
    allowed, needed = np.array([1, 0, 1, 1, 0, 1], bool), np.array([0, 1, 1, 0, 1, 0], bool)
    assert [each.tolist() for each in restricted(dialogues, allowed, needed)] == [[0, 2]]


def test_longer_dialogues_are_cut():
    dialogues = [np.arange(5), np.arange(5, 7)]
    assert [each.tolist() for each in pieces(dialogues, 2)] == [[0, 1], [2, 3], [4], [5, 6]]
    assert [each.tolist() for each in pieces(dialogues, None)] == [[0, 1, 2, 3, 4], [5, 6]]


@given(st.lists(st.lists(st.integers(1, 9), max_size=12), min_size=1, max_size=3))
def test_lanes_hold_every_dialogue_whole_and_in_order(sizes):
    rows = [np.split(np.arange(100, 100 + sum(row)), np.cumsum(row)[:-1]) if row else [] for row in sizes]
    lanes = Lanes.pack(rows)
    for row, dialogues in enumerate(rows):
        assert int(lanes.valid[row].sum()) == sum(map(len, dialogues))
        for number, dialogue in enumerate(dialogues):
            lane, turn = (lanes.dialogue[row] == number).nonzero(as_tuple=True)
            assert len(set(lane.tolist())) == 1
            assert turn.tolist() == list(range(int(turn[0]), int(turn[0]) + len(dialogue)))
            assert lanes.index[row, lane, turn].tolist() == dialogue.tolist()
            assert lanes.order[row, lane, turn].tolist() == (dialogue - 100).tolist()


def test_lanes_are_filled_before_new_ones_are_opened():
    lanes = Lanes.pack([[np.arange(size) for size in (2, 6, 3, 4, 1, 2)]])
    assert lanes.index.shape == (1, 3, 6)
    assert lanes.valid.all()
    assert lanes.most == 18


def test_chunks_are_the_lanes_one_after_the_other(monkeypatch):
    lanes = Lanes.pack([[np.arange(3)] * 5, [np.arange(2)] * 4])
    monkeypatch.setattr("trainables.subspace_mapping.dialogues.PLACES", 12)
    parts = list(lanes.chunks())
    assert [part.index.shape[1] for part in parts] == [2, 2, 1]
    assert torch.equal(torch.cat([part.order for part in parts], 1), lanes.order)


@pytest.mark.parametrize("rows", [[[]], [[], []]])
def test_no_dialogue_is_one_empty_place(rows):
    lanes = Lanes.pack(rows)
    assert lanes.index.shape == (len(rows), 1, 1)
    assert not lanes.valid.any()
