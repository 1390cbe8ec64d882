"""What stage 3 adds beside generated features: noise and mixup, the controls that no generator is needed for."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from drawn import Drawn

from trainables.losses import weighted_cross_entropy
from trainables.mi_infogan import align, augment
from trainables.mi_infogan.added import mixed_cross_entropy
from trainables.mi_infogan.config import Align, Augment, Config
from trainables.mi_infogan.data import Data
from trainables.mi_infogan.method import METHOD

SMALL = Config(
    align=Align(hidden=(8,), feature_dim=5, epochs=1, batch_size=16),
    augment=Augment(epochs=3, batch_size=16, learning_rate=0.01),
)
FORMS = pytest.mark.parametrize("inputs", ["audio", "audio+text"])
SOURCES = pytest.mark.parametrize("source", ["noise", "mixup"])


def changed(**changes):
    return SMALL.model_copy(update={"augment": SMALL.augment.model_copy(update=changes)})


@pytest.fixture(scope="module")
def aligned(small_task):
    return {"align": list(align.run(SMALL, small_task, {}))[-1].artifact}


class Set(Drawn):
    """A source on the small task, drawn once."""

    def __init__(self, task, artifacts, **changes):
        super().__init__(changed(**changes), task, artifacts)

    def tables(self, row):
        """Features of all utterances as one row sees them, by modality."""
        return (self.frozen.h[row], self.data.t[row // 2])[: 1 + ("text" in self.config.augment.inputs)]


# the loss


def test_the_loss_of_mixtures_written_out():
    generator = torch.Generator().manual_seed(0)
    logits, share = torch.randn(6, 3, generator=generator), torch.rand(6, generator=generator)
    labels, others, weights = torch.tensor([0, 1, 2, 0, 1, 1]), torch.tensor([2, 1, 0, 1, 0, 2]), [0.5, 1.0, 2.5]
    above = below = 0.0
    for i in range(6):
        p = np.exp(logits[i].numpy()) / np.exp(logits[i].numpy()).sum()
        for label, part in ((labels[i], share[i].item()), (others[i], 1 - share[i].item())):
            above -= part * weights[label] * np.log(p[label])
            below += part * weights[label]
    found = mixed_cross_entropy(logits, labels, others, share, torch.tensor(weights))
    assert found.item() == pytest.approx(above / below, rel=1e-5)


def test_unweighted_it_is_torchs_cross_entropy_with_soft_targets():
    logits, share = torch.randn(5, 4), torch.rand(5)
    labels, others = torch.tensor([0, 1, 2, 3, 0]), torch.tensor([1, 1, 0, 2, 3])
    soft = share[:, None] * F.one_hot(labels, 4) + (1 - share[:, None]) * F.one_hot(others, 4)
    found = mixed_cross_entropy(logits, labels, others, share, torch.ones(4))
    assert torch.allclose(found, F.cross_entropy(logits, soft), atol=1e-6)


def test_of_whole_shares_it_is_the_ordinary_loss():
    logits, labels, weights = torch.randn(5, 3), torch.tensor([0, 1, 2, 2, 0]), torch.tensor([0.5, 1.0, 2.0])
    expected = weighted_cross_entropy(logits, labels, weights)
    others = labels.flip(0)
    assert torch.allclose(mixed_cross_entropy(logits, labels, others, torch.ones(5), weights), expected, atol=1e-6)
    assert torch.allclose(mixed_cross_entropy(logits, others, labels, torch.zeros(5), weights), expected, atol=1e-6)


# what is trained on


@SOURCES
@FORMS
@pytest.mark.parametrize("balance", [False, True])
def test_as_many_items_as_the_real_features_twice(small_task, source, inputs, balance):
    pools = []
    for each in (source, "real", "generated"):
        config = changed(source=each, inputs=inputs, balance=balance)
        pools.append(augment.Pool.make(config, Data.of(config, small_task)))
    assert pools[0].sizes == pools[1].sizes == pools[2].sizes
    assert torch.equal(pools[0].utterance, pools[1].utterance)


@SOURCES
@FORMS
def test_real_items_stay_real(small_task, aligned, source, inputs):
    made = Set(small_task, aligned, source=source, inputs=inputs)
    batch, pool = made.inputs.batch(made.everything()), made.pool
    for row in range(made.data.rows):
        untouched = ~pool.audio[row] & ~pool.text[row]
        assert 0 < untouched.sum() < len(untouched)
        expected = torch.cat([table[pool.utterance[row]] for table in made.tables(row)], -1)
        assert torch.equal(batch[row][untouched], expected[untouched])
        same = torch.isclose(batch[row][~untouched], expected[~untouched]).all(-1)
        assert same.float().mean() < 0.6, "of Beta(0.2, 0.2), many shares are close to 1"


@FORMS
def test_noise_has_the_share_of_each_features_spread(small_task, aligned, inputs):
    made = Set(small_task, aligned, source="noise", noise=0.3, inputs=inputs)
    places = made.everything()
    real = made.real(made.pool.utterance)
    for noisy, plain, number in zip(made.source.of(places, real), real, (0, 1), strict=False):
        for row in (0, 3):
            spread = made.tables(row)[number][made.data.train[row]].std(0)
            found = ((noisy - plain)[row] / spread).std(0)
            assert found.numpy() == pytest.approx(np.full(len(found), 0.3), rel=0.3)
            assert found.mean().item() == pytest.approx(0.3, rel=0.1)


def test_one_modality_may_be_noisy_and_the_other_not(small_task, aligned):
    made = Set(small_task, aligned, source="noise", inputs="audio+text")
    kinds = {(bool(a), bool(t)) for a, t in zip(made.pool.audio[0], made.pool.text[0], strict=True)}
    assert kinds == {(False, False), (False, True), (True, False), (True, True)}


@FORMS
def test_mixtures_are_of_two_train_utterances_and_so_are_their_labels(small_task, aligned, inputs):
    made = Set(small_task, aligned, source="mixup", mixup=1.0, inputs=inputs)
    places, pool, data = made.everything(), made.pool, made.data
    batch, (own, others, share) = made.inputs.batch(places), made.inputs.targets(places)
    partner, drawn = made.source.partners(places)
    assert torch.equal(pool.text, pool.audio if inputs == "audio+text" else torch.zeros_like(pool.audio))
    for row in range(data.rows):
        assert set(partner[row].tolist()) <= set(data.train[row].tolist())
        for place in np.flatnonzero(pool.audio[row].numpy())[::7]:
            i, j, s = pool.utterance[row, place], partner[row, place], drawn[row, place]
            expected = torch.cat([s * table[i] + (1 - s) * table[j] for table in made.tables(row)])
            assert torch.allclose(batch[row, place], expected, atol=1e-5)
            assert (own[row, place], others[row, place]) == (data.labels[i], data.labels[j])
            assert share[row, place] == s
    assert (share[~pool.audio] == 1).all()
    assert 0.4 < share[pool.audio].mean() < 0.6


def test_only_mixtures_have_two_labels(small_task, aligned):
    for source, targets in (("mixup", 3), ("noise", 1), ("real", 1)):
        made = Set(small_task, aligned, source=source)
        assert len(made.inputs.targets(made.everything())) == targets


@SOURCES
def test_a_set_is_drawn_once_or_anew_each_epoch(small_task, aligned, source):
    for redraw in (False, True):
        made = Set(small_task, aligned, source=source, redraw=redraw)
        first = made.inputs.batch(made.everything())
        made.inputs.draw(2)
        assert torch.equal(first, made.inputs.batch(made.everything())) is not redraw


@SOURCES
def test_no_generator_is_trained(source):
    assert [stage.name for stage in METHOD.active(changed(source=source))] == ["align", "augment"]


@SOURCES
@FORMS
def test_resumed_equals_uninterrupted(small_task, aligned, source, inputs):
    config = changed(source=source, inputs=inputs, redraw=True)
    whole = list(augment.run(config, small_task, aligned))
    state = next(augment.run(config, small_task, aligned)).state
    rest = list(augment.run(config, small_task, aligned, state))
    assert [epoch.terms["ser"].tolist() for epoch in rest] == [epoch.terms["ser"].tolist() for epoch in whole[1:]]
    assert all(torch.equal(whole[-1].artifact[k], rest[-1].artifact[k]) for k in whole[-1].artifact)


@SOURCES
def test_without_text_too(small_task, without_modality, source):
    task = without_modality(small_task, "text")
    *_, last = align.run(SMALL, task, {})
    *_, epoch = augment.run(changed(source=source), task, {"align": last.artifact})
    assert np.isfinite(epoch.terms["ser"]).all()


@SOURCES
@FORMS
def test_the_classifier_is_trained(small_task, aligned, source, inputs):
    config = changed(source=source, inputs=inputs, hidden=(7,), epochs=1)
    made = Set(small_task, aligned, source=source, inputs=inputs, hidden=(7,))
    before = augment.build(config, made.data, made.frozen).state()
    (epoch,) = augment.run(config, small_task, aligned)
    for name, tensor in epoch.artifact.items():
        assert (tensor != before[name]).flatten(1).any(1).all(), name


def test_the_size_of_the_noise_and_the_shares_matter(small_task, aligned):
    def loss(**changes):
        return list(augment.run(changed(**changes), small_task, aligned))[-1].terms["ser"].tolist()

    assert loss(source="noise", noise=0.1) != loss(source="noise", noise=1.0)
    assert loss(source="mixup", mixup=0.2) != loss(source="mixup", mixup=2.0)
