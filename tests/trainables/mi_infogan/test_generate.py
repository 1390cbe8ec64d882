import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import search_spaces
from search_spaces.change import apply
from search_spaces.space import without_copies
from trainables.mi_infogan import align, generate, quality
from trainables.mi_infogan.config import Align, Config, Generate
from trainables.mi_infogan.data import Data
from trainables.stacking import Stack, mlp

SMALL = Config(
    align=Align(hidden=(16,), feature_dim=6, epochs=3, batch_size=16),
    generate=Generate(epochs=3, batch_size=16, noise_dim=5, learning_rate=1e-3),
)


def changed(**changes):
    return SMALL.model_copy(update={"generate": SMALL.generate.model_copy(update=changes)})


@pytest.fixture(scope="module")
def aligned(small_task):
    return {"align": list(align.run(SMALL, small_task, {}))[-1].artifact}


def run(config, task, artifacts, **more):
    return list(generate.run(config, task, artifacts, **more))


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    make = lambda *shape: torch.randn(*shape, generator=generator)  # noqa: E731
    return {
        "h": make(8, 4),
        "fake": make(8, 4),
        "t": make(8, 3),
        "y": torch.tensor([0, 1, 2, 0, 1, 2, 0, 1]),
        "has_text": torch.ones(8),
    }


@pytest.fixture
def critic():
    stack = Stack(lambda: mlp((4, 1)), [0])
    return stack, {name: tensor[0] for name, tensor in stack.params.items()}


def probability(critic, features):
    _, params = critic
    return torch.sigmoid(F.linear(features, params["0.weight"], params["0.bias"]))[:, 0]


def test_discriminator_maximises_equation_9(batch, critic):
    value = torch.log(probability(critic, batch["h"])).mean() + torch.log(1 - probability(critic, batch["fake"])).mean()
    assert torch.allclose(generate.discriminator_loss(*critic, batch), -value, atol=1e-6)


def test_generator_side_printed_and_non_saturating(batch, critic):
    fake = probability(critic, batch["fake"])
    assert torch.allclose(
        generate.adversarial_loss(*critic, batch, saturating=True), torch.log(1 - fake).mean(), atol=1e-6
    )
    assert torch.allclose(generate.adversarial_loss(*critic, batch), -torch.log(fake).mean(), atol=1e-6)


def test_mixup_interpolates_the_two_sides(batch, critic):
    share = torch.linspace(0, 1, 8)
    mixed = share[:, None] * batch["h"] + (1 - share[:, None]) * batch["fake"]
    p = probability(critic, mixed)
    expected = -(share * torch.log(p) + (1 - share) * torch.log(1 - p)).mean()
    both = batch | {"share": share}
    assert torch.allclose(generate.discriminator_loss(*critic, both), expected, atol=1e-6)
    assert torch.allclose(generate.adversarial_loss(*critic, both, saturating=True), -expected, atol=1e-6)


@pytest.fixture
def conditional():
    """A critic with a logit for each of three classes."""
    stack = Stack(lambda: mlp((4, 3)), [0])
    return stack, {name: tensor[0] for name, tensor in stack.params.items()}


def test_a_conditional_discriminator_judges_by_the_logit_of_the_label(batch, conditional):
    label = F.one_hot(batch["y"], 3).float()
    own = torch.arange(8), batch["y"]
    p, q = (
        torch.sigmoid(F.linear(batch[name], conditional[1]["0.weight"], conditional[1]["0.bias"]))[own]
        for name in ("h", "fake")
    )
    seen = batch | {"label": label}
    expected = -torch.log(p).mean() - torch.log(1 - q).mean()
    assert torch.allclose(generate.discriminator_loss(*conditional, seen), expected, atol=1e-6)
    assert torch.allclose(generate.adversarial_loss(*conditional, seen), -torch.log(q).mean(), atol=1e-6)


def test_a_conditional_linear_discriminator_can_tell_a_feature_of_the_wrong_label(batch, conditional):
    """Its gradient on a feature depends on the label; with the label as one more input it would not."""
    gradients = []
    for shift in (0, 1):
        fake = batch["fake"].clone().requires_grad_(True)
        seen = batch | {"fake": fake, "label": F.one_hot((batch["y"] + shift) % 3, 3).float()}
        (gradient,) = torch.autograd.grad(generate.adversarial_loss(*conditional, seen), fake)
        gradients.append(F.normalize(gradient, dim=-1))
    assert (gradients[0] * gradients[1]).sum(-1).abs().max() < 0.999


def test_the_row_cgan_ties_features_to_labels_without_text_or_prediction_losses(small_task):
    """Nothing else does so in this row: the frozen W_y recalls them as it does real ones, and else at chance (1/3)."""
    settings = Align(hidden=(16,), feature_dim=6, epochs=8, batch_size=16, learning_rate=5e-3)
    settled = SMALL.model_copy(update={"align": settings})
    artifacts = {"align": list(align.run(settled, small_task, {}))[-1].artifact}
    alone = {"text": False, "lambda_y": 0.0, "lambda_t": 0.0, "discriminator_depth": 2}
    recall = {}
    for conditional in (True, False):
        config = changed(**alone, conditional=conditional, epochs=25, learning_rate=5e-3)
        last = run(config, small_task, artifacts)[-1]
        assert set(last.terms) == {"discriminator", "adversarial"}
        recall[conditional] = np.mean([d.value for d in last.diagnostics if d.measure == "recall_generated"])
    real = np.mean([d.value for d in last.diagnostics if d.measure == "recall_real"])
    assert recall[True] > 0.8 * real
    assert recall[False] < 0.6 * real


#: The changes of rows that need nothing of the corpus.
CHANGES = [row.change for row in search_spaces.get("mi_infogan").ablation if not without_copies(row.change, ())]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_both_players_move_in_every_row(small_task, aligned, change):
    config = apply(SMALL, change)
    epochs = run(config, small_task, aligned)
    G, D = generate.build(config, Data.of(config, small_task), 6)
    for stack, prefix in ((G, "G/"), (D, "D/")):
        for name, tensor in stack.params.items():
            assert (epochs[-1].state[prefix + name] != tensor).flatten(1).any(1).all(), name


def test_information_losses_written_out(batch):
    generator = torch.Generator().manual_seed(1)
    heads = {
        "W_y.weight": torch.randn(3, 4, generator=generator),
        "W_y.bias": torch.randn(3, generator=generator),
        "W_t.weight": torch.randn(3, 4, generator=generator),
        "W_t.bias": torch.randn(3, generator=generator),
    }
    terms = generate.information_losses(heads, batch, temperature=0.5)
    y_hat = torch.softmax(batch["fake"] @ heads["W_y.weight"].T + heads["W_y.bias"], 1)
    by_hand = -sum(math.log(y_hat[i, label]) for i, label in enumerate(batch["y"])) / 8
    assert terms["I_y"].item() == pytest.approx(by_hand, rel=1e-5)
    t_hat = batch["fake"] @ heads["W_t.weight"].T + heads["W_t.bias"]
    by_hand = 0.0
    for i in range(8):
        sims = [F.cosine_similarity(batch["t"][i], t_hat[j], dim=0).item() / 0.5 for j in range(8)]
        by_hand -= math.log(math.exp(sims[i]) / sum(map(math.exp, sims))) / 8
    assert terms["I_t"].item() == pytest.approx(by_hand, rel=1e-5)


def test_equation_14_adds_the_information_losses():
    terms = {"adversarial": torch.tensor([1.0]), "I_y": torch.tensor([10.0]), "I_t": torch.tensor([100.0])}
    assert generate.total(Generate(lambda_y=0.5, lambda_t=0.25), terms).item() == 31.0


def test_depth_and_width_shape_the_networks():
    linear, deep = generate.generator(Generate(), 7, 4), generate.generator(Generate(depth=3, width=9), 7, 4)
    assert [type(layer).__name__ for layer in linear] == ["Linear"]
    assert [layer.out_features for layer in deep if hasattr(layer, "out_features")] == [9, 9, 4]


def test_the_baseline_stays_frozen_and_the_players_move(small_task, aligned):
    before = {name: tensor.clone() for name, tensor in aligned["align"].items()}
    epochs = run(SMALL, small_task, aligned)
    assert all(torch.equal(before[name], tensor) for name, tensor in aligned["align"].items())
    data = Data.of(SMALL, small_task)
    G, D = generate.build(SMALL, data, 6)
    for stack, prefix in ((G, "G/"), (D, "D/")):
        for name, tensor in stack.params.items():
            assert (epochs[-1].state[prefix + name] != tensor).flatten(1).any(1).all(), name


def test_information_grows_and_is_measured(small_task, aligned):
    epochs = run(changed(epochs=10), small_task, aligned)
    assert epochs[-1].terms["I_y"].mean() < epochs[0].terms["I_y"].mean()
    measured = {(d.measure, d.label) for d in epochs[-1].diagnostics}
    assert {("mi_y", ""), ("mi_t", ""), ("spread_ratio", ""), ("noise_spread", ""), ("norm_ratio", "")} <= measured
    for label in small_task.corpus.classes:
        assert ("recall_generated", label) in measured
    kinds = {e.kind: e for e in epochs[-1].embeddings}
    assert set(kinds) == {"real", "generated"}
    assert kinds["real"].vectors.shape == kinds["generated"].vectors.shape


@pytest.mark.parametrize(
    "change", [{"lambda_y": 0.0}, {"lambda_t": 0.0}, {"text": False}, {"mixup": 0.0}, {"conditional": True}]
)
def test_each_switch_changes_the_training(small_task, aligned, change):
    plain, other = run(SMALL, small_task, aligned)[-1], run(changed(**change), small_task, aligned)[-1]
    assert set(plain.terms) != set(other.terms) or not np.array_equal(
        plain.terms["adversarial"], other.terms["adversarial"]
    )


def test_resumed_equals_uninterrupted(small_task, aligned):
    whole = run(SMALL, small_task, aligned)
    state = next(generate.run(SMALL, small_task, aligned)).state
    rest = run(SMALL, small_task, aligned, state=state)
    assert all(torch.equal(whole[-1].artifact[k], rest[-1].artifact[k]) for k in whole[-1].artifact)
    assert whole[-1].diagnostics == rest[-1].diagnostics


def test_class_spread_against_numpy():
    generator = torch.Generator().manual_seed(2)
    features, labels = torch.randn(2, 30, 3, generator=generator), torch.randint(3, (2, 30), generator=generator)
    out = quality.class_spread(features, labels, 3)
    for row in range(2):
        x, y = features[row].numpy(), labels[row].numpy()
        residual = np.concatenate([x[y == c] - x[y == c].mean(0) for c in range(3)])
        assert out[row].item() == pytest.approx(np.sqrt((residual**2).mean()), rel=1e-5)


def test_a_constant_generator_is_flagged_and_a_huge_one(small_task, aligned):
    data = Data.of(SMALL, small_task)
    frozen = align.Frozen.load(SMALL, data, aligned["align"])

    def measured(sample):
        found = quality.measure(data, frozen, sample, lambda batch: {"I_y": torch.zeros(data.rows)}).flags
        assert [flag.row for flag in found] == [*range(data.rows)] * len({flag.text for flag in found})
        return {flag.text for flag in found}

    real = lambda index, draws: frozen.h[frozen.row, index]  # noqa: E731
    assert measured(real) == set()
    assert measured(lambda index, draws: torch.ones(*index.shape, 6)) == {"generator collapsed"}
    assert measured(lambda index, draws: 50 * real(index, draws)) == {"generator blew up"}
    assert "generator blew up" in measured(lambda index, draws: real(index, draws) * float("nan"))
