import numpy as np
import pytest
import torch
import torch.nn.functional as F

import search_spaces
from search_spaces.change import apply
from trainables import metrics
from trainables.concat_mlp import classify
from trainables.concat_mlp.config import Classify, Config
from trainables.concat_mlp.method import METHOD
from trainables.prepared import Prepared, concatenated
from trainables.stacking import Optimizer

SMALL = Classify(hidden=(12,), epochs=3, batch_size=16, learning_rate=0.01, dropout=0.2)
ROWS = search_spaces.get("concat_mlp").ablation


def run(task, config=SMALL, **changes):
    return list(classify.run(Config(classify=config.model_copy(update=changes)), task, {}))


def test_the_network_written_out():
    network = classify.Network((3, 5, 4, 2))
    x, keep = torch.randn(7, 3), (torch.rand(7, 5), torch.rand(7, 4))
    one, two, three = network.layers
    hidden = F.relu(x @ one.weight.T + one.bias) * keep[0]
    hidden = F.relu(hidden @ two.weight.T + two.bias) * keep[1]
    assert torch.allclose(network(x, *keep), hidden @ three.weight.T + three.bias, atol=1e-6)
    assert torch.allclose(network(x), network(x, torch.ones(7, 5), torch.ones(7, 4)))


def test_no_hidden_layer_is_a_linear_one():
    network = classify.Network((3, 2))
    x = torch.randn(4, 3)
    assert torch.allclose(network(x), F.linear(x, network.layers[0].weight, network.layers[0].bias))


@pytest.mark.parametrize("change", [{}, *(row.change for row in ROWS)], ids=str)
def test_every_parameter_gets_a_gradient(small_task, change):
    config = apply(Config(classify=SMALL), change).classify
    modalities = classify.conditions.chosen(config.inputs, small_task.corpus.features)
    data = Prepared.make(small_task, modalities)
    stack = classify.build(config, data)
    before = stack.state()
    classify._epoch(config, data, stack, Optimizer([stack], learning_rate=0.01), 1)
    for name, tensor in stack.params.items():
        assert (tensor != before[name]).flatten(1).any(1).all(), name


def test_the_loss_is_the_weighted_cross_entropy_of_the_batches(small_task):
    """One step over everything: the term is torch's own weighted loss of the first network on the whole train part."""
    config = SMALL.model_copy(update={"batch_size": 1000, "dropout": 0.0})
    data = Prepared.make(small_task)
    stack = classify.build(config, data)
    sizes = [len(part) for part in data.train]
    config = config.model_copy(update={"batch_size": max(sizes)})
    row = int(np.argmax(sizes))
    logits = stack.apply(concatenated({k: v[data.fold[:, 0]] for k, v in data.features.items()}))
    train = torch.from_numpy(data.train[row])
    expected = F.cross_entropy(logits[row, train], data.labels[train], weight=data.weights(True)[row])
    terms = classify._epoch(config, data, stack, Optimizer([stack], learning_rate=0.01), 1)
    assert terms["ser"][row] == pytest.approx(expected.item(), rel=1e-5)


def test_loss_falls_and_chance_is_beaten(small_task):
    epochs = run(small_task, epochs=12)
    assert epochs[-1].terms["ser"].mean() < 0.5 * epochs[0].terms["ser"].mean()
    assert (metrics.uar(epochs[-1].confusions["test", "audio+text"]) > 0.7).all()


def test_inputs_are_the_condition(small_task):
    for inputs, condition in (("all", "audio+text"), ("text", "text"), ("audio+text", "audio+text")):
        assert set(run(small_task, epochs=1, inputs=inputs)[0].confusions) == {("dev", condition), ("test", condition)}


def test_an_utterance_with_nothing_in_it_gets_no_answer(small_task):
    config, corpus = Config(classify=SMALL.model_copy(update={"inputs": "text", "epochs": 1})), small_task.corpus
    artifacts = {"classify": list(classify.run(config, small_task, {}))[-1].artifact}
    unknown = np.isnan(METHOD.predict(config, artifacts, corpus)).all((0, 2))
    assert np.array_equal(unknown, ~corpus.present["text"])
