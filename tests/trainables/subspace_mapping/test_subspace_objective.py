"""Eq. 1-3, 6-9, 12 and 13 against sums written out in numpy (eq. 5 in test_losses)."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from trainables.subspace_mapping import objective
from trainables.subspace_mapping.config import Fuse


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def loop_overlap(a, b, printed):
    """|| a^T b ||^2, one entry at a time; else on unit rows and as a mean over utterances."""
    a, b = a.numpy(), b.numpy()
    total = 0.0
    for i in range(a.shape[1]):
        for j in range(b.shape[1]):
            entry = 0.0
            for n in range(len(a)):
                scale = 1.0 if printed else np.linalg.norm(a[n]) * np.linalg.norm(b[n]) * len(a)
                entry += a[n, i] * b[n, j] / scale
            total += entry**2
    return total


@pytest.mark.parametrize("printed", [False, True])
def test_overlap_is_the_written_out_sum_over_those_that_count(printed):
    a, b = random(7, 4), random(7, 4, seed=1)
    counted = torch.tensor([1, 1, 0, 1, 1, 0, 1], dtype=torch.bool)
    expected = loop_overlap(a[counted], b[counted], printed)
    assert objective.overlap(a, b, counted, printed=printed).item() == pytest.approx(expected, rel=1e-9)


def test_overlap_lies_between_orthogonal_and_one_common_axis():
    every = torch.ones(6, dtype=torch.bool)
    axis = torch.tensor([1.0, 0, 0, 0]) * torch.arange(1, 7)[:, None]
    other = torch.tensor([0.0, 1, 0, 0]).expand(6, 4)
    assert objective.overlap(axis, other, every).item() == pytest.approx(1.0)
    signs = torch.tensor([1.0, -1, 1, -1, 1, -1])[:, None]
    assert objective.overlap(axis, signs * other, every).item() == pytest.approx(0.0, abs=1e-12)


def test_overlap_as_printed_grows_with_the_square_of_the_batch_and_the_default_does_not():
    a, b = random(5, 4), random(5, 4, seed=1)
    once, twice = torch.ones(5, dtype=torch.bool), torch.ones(10, dtype=torch.bool)
    for printed, ratio in ((True, 4.0), (False, 1.0)):
        alone = objective.overlap(a, b, once, printed=printed)
        doubled = objective.overlap(torch.cat([a, a]), torch.cat([b, b]), twice, printed=printed)
        assert (doubled / alone).item() == pytest.approx(ratio)


def test_shrinking_does_not_satisfy_the_default_overlap():
    a, b, every = random(5, 4), random(5, 4, seed=1), torch.ones(5, dtype=torch.bool)
    assert torch.allclose(objective.overlap(1e-3 * a, b, every), objective.overlap(a, b, every))
    assert objective.overlap(1e-3 * a, b, every, printed=True) < 1e-5 * objective.overlap(a, b, every, printed=True)


def test_overlap_of_zero_vectors_has_finite_gradients():
    a, b = torch.zeros(3, 4, requires_grad=True), random(3, 4).float().requires_grad_()
    objective.overlap(a, b, torch.tensor([True, False, True])).backward()
    assert torch.isfinite(a.grad).all()
    assert torch.isfinite(b.grad).all()


def test_nothing_that_counts_is_zero():
    none, x = torch.zeros(3, dtype=torch.bool), random(3, 4)
    assert objective.overlap(x, x, none) == 0
    assert objective.squared_distance(x, 2 * x, none) == 0
    assert objective.cross_entropy(x, torch.zeros(3, dtype=torch.long), torch.ones(4), none) == 0


def test_cross_entropy_is_torchs_over_those_that_count():
    logits, weights = random(2, 4, 3).float(), torch.tensor([0.5, 1.0, 3.0])
    labels = torch.tensor([[0, 2, -1, 1], [2, -1, 1, 0]])
    counted = (labels >= 0) & (labels != 1)
    expected = F.cross_entropy(logits[counted], labels[counted], weight=weights)
    assert torch.allclose(objective.cross_entropy(logits, labels, weights, counted), expected)


def test_squared_distance_is_over_d_and_the_mean_over_those_that_count():
    a, b, counted = random(4, 5), random(4, 5, seed=1), torch.tensor([True, True, False, True])
    expected = np.mean([((a[n] - b[n]).numpy() ** 2).sum() / 5 for n in (0, 1, 3)])
    assert objective.squared_distance(a, b, counted).item() == pytest.approx(expected)


def found(n=6, d=4):
    names = [f"{kind} {m}" for kind in ("U", "public", "unique", "rebuilt", "again") for m in ("audio", "text")]
    return {name: random(1, n, d, seed=number) for number, name in enumerate(names)}


def test_the_terms_of_equations_5_to_9():
    config = Fuse(alpha=0.5, similarity=2.0, difference=3.0, reconstruction=0.7, cycle=0.2, cmd_order=3)
    given, there = found(), {"audio": torch.ones(1, 6) > 0, "text": torch.tensor([[1, 1, 1, 0, 1, 1]]) > 0}
    flat = {name: each[0] for name, each in given.items()}
    has = there["text"][0]
    terms = objective.subspace_terms(config, given, there)

    gap = 0.0
    for order in (1, 2, 3):
        moments = []
        for x in (flat["public audio"].numpy(), flat["public text"][has].numpy()):
            moments.append(x.mean(0) if order == 1 else ((x - x.mean(0)) ** order).mean(0))
        gap += np.sqrt(((moments[0] - moments[1]) ** 2).sum())
    expected = {
        "similarity": gap,
        "difference": loop_overlap(flat["unique text"][has], flat["unique audio"][has], False)
        + loop_overlap(flat["unique audio"], flat["public audio"], False)
        + loop_overlap(flat["unique text"][has], flat["public text"][has], False),
        "reconstruction": float((flat["U audio"] - flat["rebuilt audio"]).square().mean())
        + float((flat["U text"] - flat["rebuilt text"])[has].square().mean()),
        "cycle": float((flat["unique audio"] - flat["again audio"]).square().mean())
        + float((flat["unique text"] - flat["again text"])[has].square().mean()),
    }
    assert {name: term.item() for name, term in terms.items()} == pytest.approx(expected, rel=1e-6)
    whole = 0.7 * expected["reconstruction"] + 0.2 * expected["cycle"]
    whole += 0.5 * (2.0 * expected["similarity"] + 3.0 * expected["difference"])
    assert objective.subspace_loss(config, terms).item() == pytest.approx(whole, rel=1e-6)


@pytest.mark.parametrize(
    ("weights", "left"),
    [
        ({"similarity": 0.0}, {"difference", "reconstruction", "cycle"}),
        ({"difference": 0.0}, {"similarity", "reconstruction", "cycle"}),
        ({"alpha": 0.0}, {"reconstruction", "cycle"}),
        ({"reconstruction": 0.0}, {"similarity", "difference", "cycle"}),
        ({"cycle": 0.0}, {"similarity", "difference", "reconstruction"}),
    ],
)
def test_a_weight_of_zero_skips_its_term(weights, left):
    there = {name: torch.ones(1, 6, dtype=torch.bool) for name in ("audio", "text")}
    assert set(objective.subspace_terms(Fuse(**weights), found(), there)) == left


def test_total_is_equation_13():
    terms = {
        name: torch.tensor(float(value)) for value, name in enumerate(("task", "unimodal audio", "unimodal text"), 1)
    }
    terms |= {"reconstruction": torch.tensor(5.0), "similarity": torch.tensor(7.0)}
    config = Fuse(unimodal=0.5, beta=0.1, alpha=0.2)
    assert objective.total(config, terms).item() == pytest.approx(1 + 0.5 * (2 + 3) + 0.1 * (5 + 0.2 * 7))
    assert objective.total(config, {"task": torch.tensor(4.0)}).item() == 4.0
