import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from trainables.losses import info_nce, masked_mean, weighted_cross_entropy


def loop_info_nce(anchor, candidate, temperature):
    """Eq. 5 as printed, one sum at a time."""
    total = 0.0
    for i in range(len(anchor)):
        sims = [
            float(anchor[i] @ candidate[j]) / float(anchor[i].norm() * candidate[j].norm())
            for j in range(len(candidate))
        ]
        total += -math.log(math.exp(sims[i] / temperature) / sum(math.exp(s / temperature) for s in sims))
    return total / len(anchor)


@given(st.integers(2, 7), st.integers(1, 5), st.floats(0.2, 3.0), st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_info_nce_equals_the_printed_sum(batch, dim, temperature, seed):
    generator = torch.Generator().manual_seed(seed)
    anchor, candidate = torch.randn(2, batch, dim, generator=generator, dtype=torch.float64).unbind(0)
    expected = loop_info_nce(anchor, candidate, temperature)
    assert info_nce(anchor, candidate, temperature=temperature).item() == pytest.approx(expected, rel=1e-9)


def test_info_nce_runs_over_candidates_not_anchors():
    anchor, candidate = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0)).unbind(0)
    assert info_nce(anchor, candidate, temperature=0.5) != info_nce(candidate, anchor, temperature=0.5)


def test_info_nce_by_hand():
    # Orthogonal pairs: each anchor has cosine 1 with its own and 0 with the other candidate.
    eye = torch.eye(2)
    assert info_nce(eye, eye, temperature=1.0).item() == pytest.approx(math.log(1 + math.exp(-1)))


def test_info_nce_limits():
    assert info_nce(torch.ones(6, 3), torch.ones(6, 3), temperature=0.1).item() == pytest.approx(math.log(6))
    assert info_nce(torch.eye(4), torch.eye(4), temperature=0.01).item() == pytest.approx(0.0, abs=1e-6)


def test_info_nce_ignores_length_and_follows_permutation():
    anchor, candidate = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(1)).unbind(0)
    value = info_nce(anchor, candidate, temperature=0.3)
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    assert torch.allclose(info_nce(7 * anchor, 0.1 * candidate, temperature=0.3), value)
    assert torch.allclose(info_nce(anchor[order], candidate[order], temperature=0.3), value)


def test_info_nce_without_some_anchors_is_the_mean_over_the_others():
    anchor, candidate = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(2)).unbind(0)
    present = torch.tensor([1.0, 0, 1, 0, 1])
    cosine = F.normalize(anchor, dim=1) @ F.normalize(candidate, dim=1).T / 0.5
    each = [-torch.log_softmax(cosine[i], 0)[i] for i in (0, 2, 4)]
    assert torch.allclose(info_nce(anchor, candidate, temperature=0.5, present=present), sum(each) / 3)
    assert info_nce(anchor, candidate, temperature=0.5, present=torch.zeros(5)) == 0


def test_info_nce_gradient():
    anchor, candidate = torch.randn(2, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3)).unbind(0)
    torch.autograd.gradcheck(
        lambda a, c: info_nce(a, c, temperature=0.4), (anchor.requires_grad_(), candidate.requires_grad_())
    )


@pytest.mark.parametrize(
    ("anchor", "candidate", "temperature", "message"),
    [
        (torch.ones(3, 2), torch.ones(3, 4), 0.1, "equal in shape"),
        (torch.ones(1, 2), torch.ones(1, 2), 0.1, "at least 2"),
        (torch.ones(3, 2), torch.ones(3, 2), 0.0, "temperature"),
    ],
)
def test_info_nce_refuses(anchor, candidate, temperature, message):
    with pytest.raises(ValueError, match=message):
        info_nce(anchor, candidate, temperature=temperature)


def test_weighted_cross_entropy_is_torchs():
    generator = torch.Generator().manual_seed(4)
    logits, labels = torch.randn(9, 4, generator=generator), torch.randint(4, (9,), generator=generator)
    weights = torch.tensor([0.5, 1.0, 2.0, 4.0])
    assert torch.allclose(
        weighted_cross_entropy(logits, labels, weights), F.cross_entropy(logits, labels, weight=weights)
    )


def test_masked_mean_of_nothing_is_zero():
    assert masked_mean(torch.tensor([1.0, 2.0, 6.0]), torch.tensor([1, 0, 1])) == 3.5
    assert masked_mean(torch.ones(3), torch.zeros(3)) == 0
