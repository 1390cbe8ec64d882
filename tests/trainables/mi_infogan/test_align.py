import numpy as np
import pytest
import torch
import torch.nn.functional as F

from trainables import metrics
from trainables.errors import InputError
from trainables.losses import info_nce
from trainables.mi_infogan import align
from trainables.mi_infogan.config import Align, Config
from trainables.mi_infogan.data import Data
from trainables.task import Task

SMALL = Config(align=Align(hidden=(16,), feature_dim=6, epochs=4, batch_size=16))


def run(config, task, **more):
    return list(align.run(config, task, {}, **more))


def changed(config, **align_changes):
    return config.model_copy(update={"align": config.align.model_copy(update=align_changes)})


def test_terms_are_those_of_equation_7(small_task):
    """Against the equations written out for one row with an ordinary module call."""
    config = Align(hidden=(8,), feature_dim=5, alpha=0.7, beta=0.3, temperature=0.2, dropout=0.0)
    data = Data.of(Config(align=config), small_task)
    stack = align.build(Config(align=config), data)
    index = torch.from_numpy(data.train[2][:12]).expand(data.rows, -1)
    batch = {name: tensor[2] for name, tensor in data.pairs(index).items()} | {"weights": torch.ones(data.classes)}
    params = {name: tensor[2] for name, tensor in stack.params.items()}

    hidden = torch.relu(F.linear(batch["x"], params["inner.0.weight"], params["inner.0.bias"]))
    outer = F.linear(hidden, params["outer.weight"], params["outer.bias"])
    h = F.layer_norm(outer, (5,), params["norm.weight"], params["norm.bias"])
    logits = F.linear(h, params["W_y.weight"], params["W_y.bias"])
    projected = F.linear(h, params["W_t.weight"], params["W_t.bias"])
    expected = {
        "ser": F.cross_entropy(logits, batch["y"]),
        "cl": info_nce(batch["t"], h, temperature=0.2, present=batch["has_text"]),
        "mi": info_nce(batch["t"], projected, temperature=0.2, present=batch["has_text"]),
    }
    terms = align.losses(config, stack, params, batch)
    for name, value in expected.items():
        assert torch.allclose(terms[name], value, atol=1e-5), name
    whole = expected["ser"] + 0.7 * expected["cl"] + 0.3 * expected["mi"]
    assert torch.allclose(align.total(config, terms), whole, atol=1e-5)


def test_every_parameter_gets_a_gradient(small_task):
    data = Data.of(SMALL, small_task)
    stack = align.build(SMALL, data).train()
    before = stack.state()
    optimizer = align.Optimizer([stack], learning_rate=0.01)
    align._epoch(SMALL.align, data, stack, optimizer, 1)
    for name, tensor in stack.params.items():
        assert (tensor != before[name]).flatten(1).any(1).all(), name


def test_a_weight_of_zero_skips_its_term(small_task):
    terms = run(changed(SMALL, alpha=0.0, epochs=1), small_task)[0].terms
    assert set(terms) == {"ser", "mi"}


def test_without_text_only_the_classifier_is_trained(small_task, without_modality):
    task = without_modality(small_task, "text")
    epoch = run(changed(SMALL, epochs=1), task)[0]
    assert set(epoch.terms) == {"ser"}
    assert "W_t.weight" not in epoch.artifact


def test_loss_falls_and_chance_is_beaten(small_task):
    epochs = run(changed(SMALL, epochs=12, dropout=0.2), small_task)
    for name in ("ser", "cl", "mi"):
        assert epochs[-1].terms[name].mean() < epochs[0].terms[name].mean(), name
    test = metrics.uar(epochs[-1].confusions["test", "audio"])
    assert test.mean() > 1.3 / len(small_task.corpus.classes)


def test_same_seed_same_numbers(small_task):
    first, second = run(SMALL, small_task), run(SMALL, small_task)
    for a, b in zip(first, second, strict=True):
        assert all(np.array_equal(a.terms[name], b.terms[name]) for name in a.terms)
    assert all(torch.equal(first[-1].artifact[k], second[-1].artifact[k]) for k in first[-1].artifact)


def test_resumed_equals_uninterrupted(small_task):
    whole = run(SMALL, small_task)
    stages = align.run(SMALL, small_task, {})
    next(stages)
    state = next(stages).state
    rest = run(SMALL, small_task, state=state)
    assert [epoch.index for epoch in rest] == [3, 4]
    for a, b in zip(whole[2:], rest, strict=True):
        for key in a.confusions:
            assert np.array_equal(a.confusions[key], b.confusions[key])
    assert all(torch.equal(whole[-1].artifact[k], rest[-1].artifact[k]) for k in whole[-1].artifact)


def test_a_row_of_the_stack_equals_the_row_alone(small_task, one_row):
    whole = run(SMALL, small_task)
    for row in (0, len(small_task.rows) - 1):
        alone = run(SMALL, one_row(small_task, row))
        for name in ("outer.weight", "W_y.weight", "W_t.bias"):
            difference = (whole[-1].artifact[name][row] - alone[-1].artifact[name][0]).abs().max()
            assert difference < 1e-4, (row, name)
        assert np.allclose(whole[-1].terms["ser"][row], alone[-1].terms["ser"][0], atol=1e-4)


def test_shuffled_test_labels_change_nothing_but_test(small_task, shuffle_test_labels):
    first_fold = Task(small_task.corpus, small_task.folds[:1], small_task.seeds)
    before, after = run(SMALL, first_fold), run(SMALL, shuffle_test_labels(small_task))
    assert all(torch.equal(before[-1].artifact[k], after[-1].artifact[k]) for k in before[-1].artifact)
    for a, b in zip(before, after, strict=True):
        assert np.array_equal(a.confusions["dev", "audio"], b.confusions["dev", "audio"])
    assert not np.array_equal(before[-1].confusions["test", "audio"], after[-1].confusions["test", "audio"])


def test_every_test_utterance_is_counted_once(small_task):
    counts = run(changed(SMALL, epochs=1), small_task)[0].confusions["test", "audio"]
    expected = [len(fold.test) for fold, _ in small_task.rows]
    assert counts.sum((1, 2)).tolist() == expected


def test_a_feature_larger_than_the_text_is_refused(small_task):
    with pytest.raises(InputError, match="feature_dim: 999 is more than"):
        run(changed(SMALL, feature_dim=999), small_task)


def test_no_audio_is_refused(small_task, without_modality):
    with pytest.raises(InputError, match="add 'audio'"):
        run(SMALL, without_modality(small_task, "audio"))
