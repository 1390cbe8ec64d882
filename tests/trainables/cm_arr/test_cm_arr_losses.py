import math

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from trainables.cm_arr.config import Train
from trainables.cm_arr.train import alignment, recovery, refinement
from trainables.losses import matching_nce, supervised_contrastive, wasserstein2


def numbers(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def gaussians():
    return numbers(4, 3), numbers(4, 3, seed=1).abs(), numbers(5, 3, seed=2), numbers(5, 3, seed=3).abs()


def test_wasserstein2_is_the_distance_between_gaussians():
    """Against the general formula with covariance matrices and a matrix square root."""
    found = wasserstein2(*gaussians()).numpy()
    m1, s1, m2, s2 = (x.numpy() for x in gaussians())
    for i in range(4):
        for j in range(5):
            first, second = np.diag(s1[i] ** 2), np.diag(s2[j] ** 2)
            root = sqrtm(first)
            cross = np.real(sqrtm(root @ second @ root))
            expected = ((m1[i] - m2[j]) ** 2).sum() + np.trace(first + second - 2 * cross)
            assert found[i, j] == pytest.approx(expected, rel=1e-6)


def test_equation_1_as_printed_is_another_distance():
    m1, s1, m2, s2 = gaussians()
    printed = wasserstein2(m1, s1**2, m2, s2**2)
    expected = [[((a - b) ** 2).sum() + ((c**2 - d**2) ** 2).sum() for b, d in zip(m2, s2)] for a, c in zip(m1, s1)]  # noqa: B905
    assert torch.allclose(printed, torch.tensor(expected, dtype=torch.float64))
    assert not torch.allclose(printed, wasserstein2(m1, s1, m2, s2), rtol=0.05)


def test_wasserstein2_of_a_gaussian_and_itself_is_zero_with_a_finite_gradient():
    mean, spread = numbers(3, 2).requires_grad_(), numbers(3, 2, seed=1).abs().requires_grad_()
    distance = wasserstein2(mean, spread, mean, spread).diagonal().sum()
    assert distance.item() == pytest.approx(0, abs=1e-9)
    assert all(torch.isfinite(grad).all() for grad in torch.autograd.grad(distance, (mean, spread)))


def loop_nce(similarity, present):
    """Eq. 3 as printed, over the pairs that are whole."""
    rows = [i for i in range(len(similarity)) if present[i]]
    terms = []
    for i in rows:
        terms.append(-math.log(math.exp(similarity[i, i]) / sum(math.exp(similarity[i, j]) for j in rows)))
    return sum(terms) / max(len(rows), 1)


@pytest.mark.parametrize("present", [[1, 1, 1, 1, 1], [1, 0, 1, 1, 0], [0, 0, 1, 0, 0], [0, 0, 0, 0, 0]])
def test_matching_nce_equals_the_printed_sum(present):
    similarity = numbers(5, 5)
    found = matching_nce(similarity, torch.tensor(present, dtype=torch.bool))
    assert found.item() == pytest.approx(loop_nce(similarity.numpy(), present), abs=1e-9)
    if all(present):
        assert matching_nce(similarity).item() == pytest.approx(found.item())


def test_matching_nce_leaves_no_gradient_where_a_pair_is_not_whole():
    similarity = numbers(4, 4).requires_grad_()
    present = torch.tensor([True, True, False, True])
    (grad,) = torch.autograd.grad(matching_nce(similarity, present), similarity)
    assert torch.isfinite(grad).all()
    assert (grad[2] == 0).all()
    assert (grad[:, 2] == 0).all()
    assert (grad[present][:, present] != 0).all()


def test_matching_nce_limits():
    assert matching_nce(torch.zeros(7, 7)).item() == pytest.approx(math.log(7))
    assert matching_nce(100 * torch.eye(7)).item() == pytest.approx(0, abs=1e-6)


def loop_supervised(points, labels, instances, temperature, present):
    points = points / np.linalg.norm(points, axis=1, keepdims=True)
    terms = []
    for i in range(len(points)):
        others = [a for a in range(len(points)) if instances[a] != instances[i] and present[a]]
        positives = [a for a in others if labels[a] == labels[i]]
        if not present[i] or not positives:
            continue
        whole = sum(math.exp(points[i] @ points[a] / temperature) for a in others)
        shares = [math.log(math.exp(points[i] @ points[p] / temperature) / whole) for p in positives]
        terms.append(-sum(shares) / len(positives))
    return sum(terms) / max(len(terms), 1)


@pytest.mark.parametrize("gone", [(), (0, 5), tuple(range(10))])
def test_supervised_contrastive_equals_the_sums(gone):
    points, labels = numbers(10, 4), torch.tensor([0, 0, 1, 1, 0, 0, 2, 2, 1, 1])
    instances = torch.arange(5).repeat_interleave(2)
    present = torch.tensor([place not in gone for place in range(10)])
    found = supervised_contrastive(points, labels, instances, temperature=0.3, present=present)
    expected = loop_supervised(points.numpy(), labels.tolist(), instances.tolist(), 0.3, present.tolist())
    assert found.item() == pytest.approx(expected, abs=1e-9)


def test_supervised_contrastive_by_hand():
    # Two instances of one class at a right angle, one of another class opposite the first.
    points = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    found = supervised_contrastive(points, torch.tensor([0, 0, 1]), torch.arange(3), temperature=1.0)
    first = -math.log(1 / (1 + math.exp(-1)))  # cosines 0 (its own class) and -1
    second = -math.log(1 / 2)  # cosines 0 and 0
    assert found.item() == pytest.approx((first + second) / 2)


def test_modalities_of_one_instance_are_neither_positives_nor_negatives():
    """Moving both points of an instance apart changes nothing between them."""
    labels, instances = torch.tensor([0, 0]), torch.tensor([0, 0])
    points = numbers(2, 3).requires_grad_()
    loss = supervised_contrastive(points, labels, instances, temperature=0.1)
    assert loss.item() == 0
    assert (torch.autograd.grad(loss, points)[0] == 0).all()


def test_supervised_contrastive_has_a_finite_gradient_at_zero_and_at_equal_points():
    for points in (torch.zeros(4, 3), torch.ones(4, 3)):
        points.requires_grad_()
        loss = supervised_contrastive(points, torch.tensor([0, 0, 1, 1]), torch.arange(4), temperature=0.1)
        assert loss.item() == pytest.approx(math.log(3))
        assert torch.isfinite(torch.autograd.grad(loss, points)[0]).all()


def test_gradients_are_those_of_differences():
    labels, instances = torch.tensor([0, 0, 1, 1]), torch.arange(4)
    points = numbers(4, 3).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: supervised_contrastive(x, labels, instances, temperature=0.5), points, eps=1e-6
    )
    parts = tuple(part.requires_grad_() for part in gaussians())
    assert torch.autograd.gradcheck(lambda *x: matching_nce(-wasserstein2(*x)[:, :4]), parts, eps=1e-6)


def test_a_temperature_of_zero_is_refused():
    with pytest.raises(ValueError, match="must be > 0"):
        supervised_contrastive(torch.eye(2), torch.zeros(2), torch.arange(2), temperature=0.0)


def scalars(scale=0.0, temperature=0.0, shift=0.0):
    values = {"log_scale": scale, "log_temperature": temperature, "shift": shift}
    return {name: torch.tensor([value], dtype=torch.float64, requires_grad=True) for name, value in values.items()}


@pytest.fixture
def encoded():
    return {"mean": numbers(6, 3, 2, 4), "deviation": numbers(6, 3, 2, 4, seed=1).abs()}


EVERYONE = torch.ones(6, 3, dtype=torch.bool)


@pytest.mark.parametrize("wasserstein", ["deviation", "variance"])
def test_alignment_is_equations_1_to_5_over_every_pair_in_both_directions(encoded, wasserstein):
    config = Train(temperature=0.4, scale=2.0, wasserstein=wasserstein)
    present = EVERYONE.clone()
    present[1, 2] = present[4, 0] = False
    mean = encoded["mean"].flatten(-2).numpy()
    spread = encoded["deviation"].flatten(-2).numpy() ** (2 if wasserstein == "variance" else 1)
    expected = 0.0
    for n, m in ((0, 1), (0, 2), (1, 2)):
        whole = (present[:, n] & present[:, m]).tolist()
        S = np.zeros((6, 6))
        for i in range(6):
            for j in range(6):
                D = ((mean[i, n] - mean[j, m]) ** 2).sum() + ((spread[i, n] - spread[j, m]) ** 2).sum()
                S[i, j] = (-2.0 * math.exp(0.3) * D / 8 + 0.7) / (0.4 * math.exp(-0.2))
        expected += loop_nce(S, whole) + loop_nce(S.T, whole)
    found = alignment(config, scalars(0.3, -0.2, 0.7), encoded, present)
    assert found.item() == pytest.approx(expected, rel=1e-6)


def test_the_shift_of_equation_5_cancels_and_only_the_ratio_of_scale_and_temperature_counts(encoded):
    config = Train()
    plain = scalars()
    loss = alignment(config, plain, encoded, EVERYONE)
    assert torch.allclose(loss, alignment(config, scalars(shift=5.0), encoded, EVERYONE))
    assert torch.allclose(loss, alignment(config, scalars(scale=0.8, temperature=0.8), encoded, EVERYONE))
    assert not torch.allclose(loss, alignment(config, scalars(scale=0.8), encoded, EVERYONE))
    grads = dict(zip(plain, torch.autograd.grad(loss, list(plain.values())), strict=True))
    assert grads["shift"].abs().item() < 1e-9
    assert grads["log_scale"].item() == pytest.approx(-grads["log_temperature"].item())
    assert grads["log_scale"].abs().item() > 1e-3


def test_refinement_is_over_all_modalities_unless_nothing_is_recovered():
    used, labels = numbers(4, 2, 2, 3), torch.tensor([0, 1, 0, 1])
    available = torch.tensor([[True, True], [True, False], [False, True], [True, True]])
    points, instances = used.flatten(-2).flatten(0, 1).numpy(), [0, 0, 1, 1, 2, 2, 3, 3]
    for kind, present in (("flow", [True] * 8), ("zeros", available.flatten().tolist())):
        expected = loop_supervised(points, labels.repeat_interleave(2).tolist(), instances, 0.1, present)
        found = refinement(Train(recovery=kind), used, available, labels)
        assert found.item() == pytest.approx(expected, rel=1e-9)


def test_recovery_is_the_mean_squared_error_of_what_was_taken_away():
    recovered, x = numbers(3, 2, 2, 2), numbers(3, 2, 2, 2, seed=1)
    hidden = torch.tensor([[True, False], [False, False], [True, True]])
    expected = np.mean([((recovered[i, n] - x[i, n]) ** 2).mean().item() for i, n in ((0, 0), (2, 0), (2, 1))])
    assert recovery(Train(), recovered, x, hidden).item() == pytest.approx(expected)
    assert recovery(Train(), recovered, x, torch.zeros(3, 2, dtype=torch.bool)).item() == 0


@pytest.mark.parametrize(("where", "moves"), [("none", True), ("target", False), ("both", False)])
def test_only_as_printed_the_target_moves(where, moves):
    x = numbers(3, 2, 2, 2).requires_grad_()
    recovered = numbers(3, 2, 2, 2, seed=1).requires_grad_()
    loss = recovery(Train(stop_gradient=where), recovered, x, torch.ones(3, 2, dtype=torch.bool))
    grad, target = torch.autograd.grad(loss, (recovered, x), allow_unused=True)
    assert (grad != 0).all()
    assert (target is not None) == moves
