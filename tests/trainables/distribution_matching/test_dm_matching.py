"""Eq. 6 and 7: what the paired and the unpaired term are, and what eq. 7 as printed is not."""

import pytest
import torch

from trainables.distribution_matching.config import Train
from trainables.distribution_matching.matching import pair, unpair
from trainables.losses import hsic, median_distance, mmd


def latents(seed=0, size=12, dim=5, names=("audio", "text", "video")):
    draws = torch.randn(len(names), size, dim, generator=torch.Generator().manual_seed(seed))
    z = {name: each + 0.5 * index for index, (name, each) in enumerate(zip(names, draws, strict=True))}
    return z, {name: torch.ones(size, dtype=torch.bool) for name in names}


def made(**settings):
    return Train(**settings)


@pytest.mark.parametrize("sigma", ["median", "fixed"])
@pytest.mark.parametrize("batch", range(3))
def test_equation_7_as_printed_is_zero_and_has_no_gradient(sigma, batch):
    """The MMD ignores pairing, so shuffling a batch changes nothing, and minus the same is all that is left."""
    config = made(unpaired="shuffled", sigma=sigma, bandwidth=1.5)
    z, present = latents(batch)
    present["text"][batch + 1] = False
    for each in z.values():
        each.requires_grad_()
    together, alone = pair(config, z, present), unpair(config, z, present, None)
    assert together.abs() > 0.01
    assert (together + alone).abs() < 1e-6
    gradients = torch.autograd.grad(together + alone, list(z.values()))
    assert all(each.abs().max() < 1e-6 for each in gradients)


@pytest.mark.parametrize("form", ["product kernel", "other dialogues"])
def test_the_other_forms_are_not_zero(form):
    config = made(unpaired=form)
    z, present = latents()
    z["text"] = (z["audio"] + 0.1 * z["text"]).detach()
    others = {name: each.roll(4, 0) + 0.3 for name, each in z.items()}, present
    z["audio"].requires_grad_()
    together = pair(config, z, present) + unpair(config, z, present, others)
    assert torch.autograd.grad(together, z["audio"])[0].abs().max() > 1e-4


def test_the_paired_term_is_equation_6():
    config = made(sigma="fixed", bandwidth=1.7)
    z, present = latents()
    expected = mmd(z["audio"], z["video"], sigma=1.7) + mmd(z["audio"], z["text"], sigma=1.7)
    assert torch.allclose(pair(config, z, present), expected)


def test_the_paired_term_ignores_who_is_paired_with_whom():
    config, (z, present) = made(), latents()
    shuffled = {**z, "text": z["text"].roll(5, 0)}
    assert torch.allclose(pair(config, z, present), pair(config, shuffled, present), atol=1e-6)


def test_the_product_kernel_knows_who_is_paired_with_whom():
    config, (z, present) = made(), latents(names=("audio", "text"))
    z["text"] = z["audio"] + 0.1 * z["text"]
    shuffled = {**z, "text": z["text"].roll(5, 0)}
    assert unpair(config, z, present, None) < 5 * unpair(config, shuffled, present, None).clamp(max=-1e-3)


def test_the_median_rule_takes_both_modalities_of_the_batch():
    z, present = latents(names=("audio", "text"))
    sigma = 2 * median_distance(torch.cat(list(z.values())))
    assert torch.allclose(pair(made(bandwidth=2.0), z, present), mmd(*z.values(), sigma=sigma))
    widths = tuple(2 * median_distance(each) for each in z.values())
    expected = -hsic(*z.values(), sigma=widths, present=present["text"])
    assert torch.allclose(unpair(made(bandwidth=2.0), z, present, None), expected)


def test_an_utterance_that_lacks_a_modality_is_in_no_pair():
    config, (z, present) = made(sigma="fixed"), latents(names=("audio", "text"))
    present["text"][[2, 7]] = False
    kept = present["text"]
    whole = {name: each[kept] for name, each in z.items()}, {name: mask[kept] for name, mask in present.items()}
    for form in (pair, lambda *given: unpair(*given, None)):
        assert torch.allclose(form(config, z, present), form(config, *whole))
        poisoned = {**z, "text": torch.where(kept[:, None], z["text"], 100.0)}
        assert torch.allclose(form(config, poisoned, present), form(config, z, present))


def test_partners_that_lack_a_modality_are_left_out():
    config, (z, present) = made(unpaired="other dialogues", sigma="fixed"), latents(names=("audio", "text"))
    far, there = latents(1, names=("audio", "text"))
    there["audio"][3] = False
    expected = -mmd(z["audio"], far["text"][there["audio"]], sigma=1.0)
    assert torch.allclose(unpair(config, z, present, (far, there)), expected)


def test_partners_must_be_given():
    z, present = latents()
    with pytest.raises(ValueError, match="needs the latents of the partners"):
        unpair(made(unpaired="other dialogues"), z, present, None)


def test_under_the_median_rule_shrinking_the_latents_gains_nothing():
    """Under a fixed sigma it does: that is the way to the zero point."""
    z, present = latents()
    small = {name: 0.01 * each for name, each in z.items()}
    assert torch.allclose(pair(made(), small, present), pair(made(), z, present), atol=1e-5)
    fixed = made(sigma="fixed", bandwidth=2.0)
    assert pair(fixed, small, present) < 0.01 * pair(fixed, z, present)
