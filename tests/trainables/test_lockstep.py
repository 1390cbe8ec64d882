"""Arms trained side by side give the very numbers they give alone, wherever the others are."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from search_spaces.change import apply
from trainables import methods
from trainables.lockstep import Lockstep, Seat, shape

SMALL = {
    "mi_infogan": {
        "align.hidden": (8,),
        "align.feature_dim": 6,
        "align.batch_size": 16,
        "align.epochs": 4,
        "generate.noise_dim": 3,
        "generate.learning_rate": 1e-2,
        "generate.batch_size": 16,
        "generate.epochs": 4,
        "augment.epochs": 4,
        "augment.redraw": True,
    },
    "distribution_matching": {
        "network.hidden": (8,),
        "network.latent_dim": 4,
        "network.classifier": (6,),
        "train.batch_size": 32,
        "train.epochs": 4,
        "pretrain.epochs": 4,
        "pretrain.batch_size": 32,
        "data.labels": 0.5,
    },
    "concat_mlp": {"classify.hidden": (8,), "classify.batch_size": 16, "classify.epochs": 4},
    "cm_arr": {
        "train.epochs": 4,
        "train.tokens": 2,
        "train.channels": 4,
        "train.heads": 2,
        "train.likelihood": 0.1,
        "train.batch_size": 32,
    },
}
#: Two arms beside the one with the settings above.
OTHERS = {
    "mi_infogan": [
        {"align.alpha": 3.0, "align.temperature": 0.4, "generate.lambda_y": 5.0, "augment.learning_rate": 0.05},
        {"align.beta": 0.1, "align.learning_rate": 0.01, "align.weight_decay": 0.5, "generate.beta1": 0.9},
    ],
    "distribution_matching": [
        {"train.alpha": 2.0, "train.omega": 1.0},
        {"train.beta": 3.0, "train.learning_rate": 0.03},
    ],
    "concat_mlp": [{"classify.learning_rate": 0.1}, {"classify.weight_decay": 2.0}],
    "cm_arr": [{"train.alpha": 0.2, "train.lambda_rec": 1.0}, {"train.beta": 2.0, "train.learning_rate": 0.01}],
}


def arms(name):
    method = methods.get(name)
    first = apply(method.config(), SMALL[name])
    return method, [first, *(apply(first, change) for change in OTHERS[name])]


def alone(method, config, task):
    artifacts, epochs = {}, []
    for stage in method.active(config):
        epochs += stage.run(config, task, dict(artifacts), None)
        artifacts[stage.name] = epochs[-1].artifact
    return epochs


def together(method, configs, task):
    """The first arm begins each stage two epochs before the others, and so leaves it two before them."""
    artifacts, epochs = [{} for _ in configs], [[] for _ in configs]
    for stage in method.active(configs[0]):
        if not stage.vectors:
            for config, made, mine in zip(configs, artifacts, epochs, strict=True):
                mine += stage.run(config, task, dict(made), None)
                made[stage.name] = mine[-1].artifact
            continue
        seats = [Seat(config, dict(made)) for config, made in zip(configs, artifacts, strict=True)]
        ahead = Lockstep(stage, task, seats[:1])
        epochs[0] += [*ahead.step(), *ahead.step()]
        seats[0] = replace(seats[0], state=ahead.states()[0])
        everybody = Lockstep(stage, task, seats)
        for _ in range(stage.epochs(configs[0]) - 2):
            for mine, epoch in zip(epochs, everybody.step(), strict=True):
                mine.append(epoch)
        states = everybody.states()
        late = [replace(seat, state=state) for seat, state in zip(seats[1:], states[1:], strict=True)]
        rest = Lockstep(stage, task, late)
        for _ in range(2):
            for mine, epoch in zip(epochs[1:], rest.step(), strict=True):
                mine.append(epoch)
        for made, mine in zip(artifacts, epochs, strict=True):
            made[stage.name] = mine[-1].artifact
    return epochs


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_an_arm_does_not_notice_its_neighbours(name, small_task):
    method, configs = arms(name)
    for config, found in zip(configs, together(method, configs, small_task), strict=True):
        expected = alone(method, config, small_task)
        assert [(each.stage, each.index, each.total) for each in found] == [
            (each.stage, each.index, each.total) for each in expected
        ]
        for one, other in zip(expected, found, strict=True):
            assert_equal(one, other)


def assert_equal(one, other):
    assert one.terms.keys() == other.terms.keys()
    for term in one.terms:
        np.testing.assert_allclose(one.terms[term], other.terms[term], rtol=1e-5, atol=1e-6)
    for counts in ("confusions", "speakers"):
        mine, others = getattr(one, counts), getattr(other, counts)
        assert mine.keys() == others.keys()
        for key in mine:
            np.testing.assert_array_equal(mine[key], others[key])
    assert (one.artifact is None) == (other.artifact is None)
    for key, tensor in (one.artifact or {}).items():
        torch.testing.assert_close(tensor, other.artifact[key], rtol=1e-4, atol=1e-5)
    assert [(each.row, each.measure, each.label) for each in one.diagnostics] == [
        (each.row, each.measure, each.label) for each in other.diagnostics
    ]
    values = ([each.value for each in found.diagnostics] for found in (one, other))
    np.testing.assert_allclose(*values, rtol=1e-3, atol=1e-5)
    assert one.flags == other.flags
    assert [(each.row, each.kind) for each in one.embeddings] == [(each.row, each.kind) for each in other.embeddings]
    for mine, theirs in zip(one.embeddings, other.embeddings, strict=True):
        np.testing.assert_array_equal(mine.labels, theirs.labels)
        np.testing.assert_allclose(mine.vectors, theirs.vectors, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", SMALL)
def test_arms_really_differ(name, small_task):
    """Else equal numbers would show nothing."""
    method, configs = arms(name)
    first = [alone(method, config, small_task)[-1].artifact for config in configs]
    for other in first[1:]:
        assert any(not torch.allclose(first[0][key], other[key], atol=1e-4) for key in first[0])


def test_numbers_that_are_vectors_make_no_other_shape_but_for_being_zero():
    method, (first, *others) = arms("mi_infogan")
    for stage in method.stages:
        key = shape(method, stage, first)
        assert all(shape(method, stage, other) == key for other in others)
        for change in ({"align.alpha": 0.0}, {"generate.depth": 2}, {"align.batch_size": 8}):
            assert shape(method, stage, apply(first, change)) != key


def test_what_an_arm_goes_on_from_is_its_own(small_task):
    """A snapshot of one of several arms resumes that arm alone."""
    method, configs = arms("concat_mlp")
    (stage,) = method.stages
    epochs = Lockstep(stage, small_task, [Seat(config, {}) for config in configs]).step()
    for config, epoch in zip(configs, epochs, strict=True):
        whole = alone(method, config, small_task)
        rest = list(stage.run(config, small_task, {}, epoch.state))
        for one, other in zip(whole[1:], rest, strict=True):
            assert_equal(one, other)
