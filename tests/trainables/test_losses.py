import math
from itertools import permutations, product

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from trainables.losses import (
    cmd,
    gaussian_kernel,
    hsic,
    info_nce,
    masked_mean,
    median_distance,
    mmd,
    weighted_cross_entropy,
)


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


def two_samples(m=6, n=5, dim=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((m, dim)), 0.5 + 1.5 * rng.standard_normal((n, dim))


def kernel(p, q, sigma):
    return math.exp(-float(((p - q) ** 2).sum()) / (2 * sigma**2))


def loop_mmd(first, second, sigma, *, diagonal):
    """Eq. 3, one sum at a time; as printed with i = j."""
    m, n = len(first), len(second)
    within = [
        sum(kernel(a, b, sigma) for (i, a), (j, b) in product(enumerate(x), repeat=2) if diagonal or i != j)
        for x in (first, second)
    ]
    cross = sum(kernel(a, b, sigma) for a in first for b in second)
    return within[0] / (m * (m - 1)) + within[1] / (n * (n - 1)) - 2 * cross / (m * n)


@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize("sigma", [0.3, 2.0])
def test_mmd_equals_the_sums_of_equation_3(diagonal, sigma):
    first, second = two_samples()
    found = mmd(torch.tensor(first), torch.tensor(second), sigma=sigma, diagonal=diagonal)
    assert found.item() == pytest.approx(loop_mmd(first, second, sigma, diagonal=diagonal), rel=1e-9)


def test_equation_3_as_printed_adds_a_constant_and_no_gradient():
    first, second = (torch.tensor(x, requires_grad=True) for x in two_samples())
    values = [mmd(first, second, sigma=1.3, diagonal=diagonal) for diagonal in (False, True)]
    assert (values[1] - values[0]).item() == pytest.approx(1 / 5 + 1 / 4)
    gradients = [torch.autograd.grad(value, (first, second)) for value in values]
    for plain, printed in zip(*gradients, strict=True):
        assert torch.allclose(plain, printed)


def test_mmd_by_hand():
    # Two points at 0 against two at 1: 1 + 1 - 2 exp(-1/2).
    value = mmd(torch.zeros(2, 1), torch.ones(2, 1), sigma=1.0)
    assert value.item() == pytest.approx(2 - 2 * math.exp(-0.5))


def test_mmd_does_not_know_the_order_of_either_sample():
    first, second = map(torch.tensor, two_samples())
    assert torch.allclose(mmd(first, second[[3, 1, 0, 4, 2]], sigma=1.0), mmd(first, second, sigma=1.0))


def test_mmd_has_a_mean_of_zero_for_equal_distributions():
    draws = torch.randn(400, 2, 8, 3, generator=torch.Generator().manual_seed(1))
    values = torch.stack([mmd(p, q, sigma=1.0) for p, q in draws])
    assert abs(values.mean()) < 3 * values.std() / 20
    assert (values < 0).any()


def test_mmd_leaves_out_what_is_not_there():
    first, second = map(torch.tensor, two_samples())
    here, there = torch.tensor([1, 0, 1, 1, 0, 1]), torch.tensor([0, 1, 1, 1, 1])
    expected = mmd(first[here > 0], second[there > 0], sigma=0.9)
    assert torch.allclose(mmd(first, second, sigma=0.9, present=(here, there)), expected)
    assert mmd(first, second, sigma=0.9, present=(here, torch.tensor([0, 0, 1, 0, 0]))) == 0


def test_the_gradient_of_mmd():
    first, second = (torch.tensor(x, requires_grad=True) for x in two_samples(4, 3, 2))
    torch.autograd.gradcheck(lambda p, q: mmd(p, q, sigma=0.8), (first, second))


def test_sigma_1_is_too_narrow_for_latents_of_128_dimensions():
    """Distances are about 16 there: every kernel value vanishes, and the gradient with it."""
    first, second = torch.randn(2, 32, 128, generator=torch.Generator().manual_seed(2)).unbind(0)
    first.requires_grad_()
    sizes = []
    for sigma in (1.0, median_distance(torch.cat([first, second]))):
        sizes.append(torch.autograd.grad(mmd(first, second + 1, sigma=sigma), first)[0].abs().max().item())
    assert sizes[0] < 1e-20
    assert sizes[1] > 1e-5


def test_the_median_distance_is_over_pairs_of_different_points():
    points = two_samples(7)[0]
    each = sorted(math.dist(points[i], points[j]) for i in range(7) for j in range(i))
    assert median_distance(torch.tensor(points)).item() == pytest.approx(each[(len(each) - 1) // 2])
    some = torch.tensor([1, 1, 0, 0, 1, 0, 1])
    assert torch.equal(median_distance(torch.tensor(points), some), median_distance(torch.tensor(points)[some > 0]))


def test_the_median_distance_of_equal_points_divides():
    assert 0 < median_distance(torch.ones(4, 2)) < 1e-5
    assert 0 < median_distance(torch.randn(4, 2), torch.tensor([0, 1, 0, 0])) < 1e-5
    collapsed = torch.ones(5, 3, requires_grad=True)
    value = mmd(collapsed, collapsed, sigma=median_distance(collapsed))
    assert torch.isfinite(torch.autograd.grad(value, collapsed)[0]).all()


def test_the_gaussian_kernel_by_hand():
    found = gaussian_kernel(torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, 0.0], [3.0, 4.0]]), 5.0)
    assert found[0].tolist() == pytest.approx([1.0, math.exp(-0.5)])


def quadruple_hsic(K, L):
    """The U-statistic: a mean over all ordered quadruples of different points."""
    quadruples = list(permutations(range(len(K)), 4))
    each = [K[i, j] * (L[i, j] + L[q, r] - 2 * L[i, q]) for i, j, q, r in quadruples]
    return sum(each) / len(each)


def test_hsic_equals_the_mean_over_quadruples():
    first, second = two_samples(6, 6)
    second = second + first
    K, L = (np.array([[kernel(a, b, s) for b in x] for a in x]) for x, s in ((first, 1.2), (second, 0.7)))
    found = hsic(torch.tensor(first), torch.tensor(second), sigma=(1.2, 0.7), present=torch.ones(6))
    assert found.item() == pytest.approx(quadruple_hsic(K, L), rel=1e-9)


def test_hsic_tells_pairs_from_shuffled_pairs():
    first = torch.randn(60, 2, generator=torch.Generator().manual_seed(3))
    second, ones = first + 0.1, torch.ones(60)
    paired = hsic(first, second, sigma=(1.0, 1.0), present=ones)
    shuffled = hsic(first, second.roll(7, 0), sigma=(1.0, 1.0), present=ones)
    assert paired > 10 * shuffled.abs()
    assert hsic(torch.ones(8, 2), torch.ones(8, 2), sigma=(1.0, 1.0), present=torch.ones(8)).abs() < 1e-6


def test_hsic_leaves_out_what_is_not_there():
    first, second = map(torch.tensor, two_samples(7, 7))
    some = torch.tensor([1, 1, 0, 1, 1, 0, 1])
    expected = hsic(first[some > 0], second[some > 0], sigma=(1.0, 1.0), present=torch.ones(5))
    assert torch.allclose(hsic(first, second, sigma=(1.0, 1.0), present=some), expected)
    assert hsic(first, second, sigma=(1.0, 1.0), present=torch.tensor([1, 1, 1, 0, 0, 0, 0])) == 0


def loop_cmd(first, second, order):
    """Zellinger et al. 2017, eq. 2 on an interval of length 1, one coordinate and moment at a time."""
    total = 0.0
    for k in range(1, order + 1):
        squares = 0.0
        for d in range(first.shape[1]):
            moments = []
            for column in (first[:, d], second[:, d]):
                mean = sum(column) / len(column)
                moments.append(mean if k == 1 else sum((value - mean) ** k for value in column) / len(column))
            squares += (moments[0] - moments[1]) ** 2
        total += math.sqrt(squares)
    return total


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_cmd_equals_the_printed_sum(order):
    rng = np.random.default_rng(order)
    first, second = rng.uniform(-1, 1, (9, 3)), rng.uniform(-0.5, 1, (6, 3))
    value = cmd(torch.from_numpy(first), torch.from_numpy(second), order=order)
    assert value.item() == pytest.approx(loop_cmd(first, second, order), rel=1e-6)


def test_cmd_by_hand():
    # Means 0 and 1; second moments 1 and 0; third moments 0 and 0.
    first, second = torch.tensor([[-1.0], [1.0]]), torch.tensor([[1.0], [1.0], [1.0]])
    assert cmd(first, second, order=1).item() == pytest.approx(1.0)
    assert cmd(first, second, order=3).item() == pytest.approx(2.0, abs=1e-5)


def test_cmd_does_not_know_pairs_and_is_symmetric():
    first, second = torch.rand(2, 8, 4, generator=torch.Generator().manual_seed(0)).unbind(0)
    value = cmd(first, second)
    assert torch.allclose(cmd(first[torch.tensor([5, 1, 7, 0, 2, 6, 3, 4])], second), value, atol=1e-6)
    assert torch.allclose(cmd(second, first), value)
    assert cmd(first, first.flip(0)).item() == pytest.approx(0.0, abs=1e-5)


def test_cmd_leaves_out_what_is_not_there():
    first, second = torch.rand(2, 8, 4, generator=torch.Generator().manual_seed(1)).unbind(0)
    a, b = torch.tensor([1, 1, 0, 1, 0, 1, 1, 1]), torch.tensor([0, 0, 1, 1, 1, 0, 1, 1])
    assert torch.allclose(cmd(first, second, present=(a, b)), cmd(first[a > 0], second[b > 0]), atol=1e-6)
    assert cmd(first, second, present=(a, torch.zeros(8))) == 0


def test_cmd_of_equal_samples_has_a_finite_gradient():
    points = torch.rand(5, 3, generator=torch.Generator().manual_seed(2)).requires_grad_()
    cmd(points, points.detach().clone()).backward()
    assert torch.isfinite(points.grad).all()


def test_cmd_gradient():
    first, second = torch.rand(2, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3)).unbind(0)
    torch.autograd.gradcheck(cmd, (first.requires_grad_(), second.requires_grad_()))


def test_cmd_refuses_no_moment():
    with pytest.raises(ValueError, match="at least 1"):
        cmd(torch.ones(2, 1), torch.ones(2, 1), order=0)
