import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trainables.selection import Best, choose_epoch


def counts(*recalls):
    """Confusion counts of 2 classes with 10 utterances each and the given mean recall in tenths."""
    return np.array([[[hits, 10 - hits], [10 - hits, hits]] for hits in recalls])


@given(arrays(np.float64, st.tuples(st.integers(1, 8), st.integers(1, 5)), elements=st.floats(0, 1)))
def test_the_first_best_epoch(dev_uar):
    chosen = choose_epoch(dev_uar)
    for row, epoch in enumerate(chosen):
        assert all(dev_uar[epoch, row] >= value for value in dev_uar[:, row])
        assert all(dev_uar[epoch, row] > value for value in dev_uar[:epoch, row])


def test_best_keeps_each_rows_own_epoch():
    best = Best(2)
    for epoch, dev in enumerate([counts(3, 8), counts(7, 5), counts(7, 9)]):
        best.keep(best.improved({"all": dev}), {"w": torch.full((2, 1), float(epoch))})
    assert best.tensors["w"].tolist() == [[1.0], [2.0]]
    assert best.uar.tolist() == [0.7, 0.9]


def test_without_a_dev_part_the_last_epoch_is_kept():
    best = Best(1)
    for epoch in range(3):
        best.keep(best.improved({"all": np.zeros((1, 2, 2), dtype=int)}), {"w": torch.full((1,), float(epoch))})
    assert best.tensors["w"].tolist() == [2.0]


def test_state_round_trip():
    best = Best(2)
    best.keep(best.improved({"all": counts(3, 8)}), {"a.b": torch.ones(2, 3)})
    again = Best(2).load(best.state())
    assert again.uar.tolist() == best.uar.tolist()
    assert torch.equal(again.tensors["a.b"], best.tensors["a.b"])
