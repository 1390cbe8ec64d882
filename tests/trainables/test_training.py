"""The loop of a classifying stage, on a toy of two parameters a row whose every epoch is known beforehand."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from trainables.epoch import Flag
from trainables.scoring import Part
from trainables.stacking import Optimizer, Stack, map_rows, mlp
from trainables.training import Classifier, Finished

#: Recall on dev of row 0 and row 1 after each epoch, in tenths.
DEV = [(3, 8), (7, 5), (7, 9), (6, 9)]
#: Of the test part, B says six utterances, C four and A the rest.
SPEAKERS = np.array(["D"] * 20 + ["B"] * 6 + ["C"] * 4 + ["A"] * 10, dtype=object)


class Script:
    """A stage of two rows, two classes and ten utterances a class, whose logits are written beforehand.

    Args:
        dev: Tenths of recall by epoch and row; by condition where there are several.
        held_out: Utterances of a class in dev and in test.
    """

    def __init__(self, dev, *, utterances=20, parts=("dev", "test")):
        self.dev = dev if isinstance(dev, dict) else {"audio": dev}
        self.asked = []
        self.stack = Stack(lambda: nn.Linear(1, 1), [1, 2])
        self.optimizer = Optimizer([self.stack], learning_rate=0.1)
        labels = torch.arange(40) % 2
        index = {"dev": np.arange(utterances), "test": np.arange(20, 20 + utterances)}
        self.parts = {
            name: Part.make([index[name] if name in parts else index[name][:0]] * 2, labels, 2, SPEAKERS)
            for name in ("dev", "test")
        }
        self.epoch = 0

    def train(self, index):
        epoch = self.epoch = int(index[0])
        before = self.stack.params["weight"].detach().flatten().clone()
        loss = map_rows(lambda p, x: ((x @ p["weight"].T + p["bias"]) ** 2).mean(), self.stack.params, inputs(epoch))
        self.optimizer.step(loss)
        return {"square": loss.detach().numpy(), "weight": before.numpy()}

    def logits(self, part, rows):
        name = "dev" if part is self.parts["dev"] else "test"
        self.asked.append((self.epoch, name, rows.tolist()))
        return {condition: self._of(condition, part, rows) for condition in self.dev}

    def _of(self, condition, part, rows):
        """Each class is right for the wanted share of its utterances, so that UAR is that share."""
        shown = []
        for row in np.flatnonzero(rows):
            tenths = self.dev[condition][self.epoch - 1][row]
            truth = part.labels[row]
            right = torch.arange(truth.shape[0]) // 2 % 10 < tenths
            shown.append(nn.functional.one_hot(torch.where(right, truth, 1 - truth), 2).float())
        return torch.stack(shown)

    def run(self, state=None, epochs=None, **more):
        stage = Classifier(
            stage="toy",
            epochs=epochs or len(next(iter(self.dev.values()))),
            stack=self.stack,
            optimizer=self.optimizer,
            dev=self.parts["dev"],
            test=self.parts["test"],
            train=self.train,
            logits=self.logits,
            **more,
        )
        return stage.run(state)


def inputs(epoch):
    """Depends on the epoch's number alone, as all that a stage draws must."""
    return torch.randn(2, 5, 1, generator=torch.Generator().manual_seed(epoch))


def numbers(epoch):
    parts = (epoch.terms, epoch.confusions, epoch.speakers)
    return {k: v.tolist() for part in parts for k, v in part.items()}


def hits(epoch, condition="audio"):
    return [counts.trace() for counts in epoch.confusions["test", condition]]


def test_dev_chooses_each_rows_epoch_and_test_follows():
    epochs = list(Script(DEV).run())
    assert [hits(epoch) for epoch in epochs] == [[6, 16], [14, 16], [14, 18], [14, 18]]
    assert [epoch.confusions["dev", "audio"][0].trace() for epoch in epochs] == [6, 14, 14, 12]


def test_test_is_computed_for_rows_at_their_best_on_dev_only():
    script = Script(DEV)
    list(script.run())
    assert [each for each in script.asked if each[1] == "test"] == [
        (1, "test", [True, True]),
        (2, "test", [True, False]),
        (3, "test", [False, True]),
    ]
    assert [each for each in script.asked if each[1] == "dev"] == [(n, "dev", [True, True]) for n in (1, 2, 3, 4)]


def test_speakers_are_counted_at_their_rows_best_epoch():
    """In the order of names, row by row; the first utterances of a class are right."""
    epochs = list(Script(DEV).run())
    hits = [[int(counts.trace()) for counts in epoch.speakers["audio"]] for epoch in epochs]
    assert hits == [[0, 6, 0, 6, 6, 4], [4, 6, 4, 6, 6, 4], [4, 6, 4, 8, 6, 4], [4, 6, 4, 8, 6, 4]]
    assert epochs[-1].speakers["audio"].sum((1, 2)).tolist() == [10, 6, 4, 10, 6, 4]


def test_what_is_handed_on_is_each_rows_best_epoch():
    script = Script(DEV)
    kept = [(epoch, script.stack.params["weight"].detach().clone()) for epoch in script.run()]
    artifact = kept[-1][0].artifact
    assert torch.equal(artifact["weight"][0], kept[1][1][0])
    assert torch.equal(artifact["weight"][1], kept[2][1][1])


def test_the_mean_over_conditions_chooses():
    """Audio alone would choose the first epoch; the mean of both chooses the second."""
    script = Script({"audio": [(8, 8), (6, 6)], "text": [(2, 2), (9, 9)]})
    epochs = list(script.run())
    assert hits(epochs[-1], "audio") == [12, 12]
    assert hits(epochs[-1], "text") == [18, 18]
    assert set(epochs[-1].confusions) == {(part, each) for part in ("dev", "test") for each in ("audio", "text")}


def test_only_the_last_epoch_hands_on():
    found = Finished(artifact={"x": torch.ones(1)}, flags=(Flag(0, "odd"),))
    epochs = list(Script(DEV).run(finish=lambda best: found))
    assert [epoch.artifact for epoch in epochs] == [None, None, None, found.artifact]
    assert [epoch.flags for epoch in epochs] == [(), (), (), (Flag(0, "odd"),)]
    assert [(epoch.index, epoch.total, epoch.last) for epoch in epochs] == [
        (1, 4, False),
        (2, 4, False),
        (3, 4, False),
        (4, 4, True),
    ]


@pytest.mark.parametrize("done", [1, 2, 3])
def test_resumed_from_any_epoch_equals_uninterrupted(done):
    whole = list(Script(DEV).run())
    stage = Script(DEV).run()
    state = [next(stage).state for _ in range(done)][-1]
    rest = list(Script(DEV).run(state))
    assert [epoch.index for epoch in rest] == list(range(done + 1, 5))
    assert [numbers(epoch) for epoch in rest] == [numbers(epoch) for epoch in whole[done:]]
    for name, tensor in whole[-1].artifact.items():
        assert torch.equal(tensor, rest[-1].artifact[name])


def test_a_snapshot_is_a_copy():
    stage = Script(DEV).run()
    state = next(stage).state
    before = {name: tensor.clone() for name, tensor in state.items()}
    list(stage)
    assert all(torch.equal(before[name], state[name]) for name in state)


def test_several_conditions_are_resumed_too():
    plan = {"audio": DEV, "text": DEV[::-1]}
    whole, stage = list(Script(plan).run()), Script(plan).run()
    next(stage)
    rest = list(Script(plan).run(next(stage).state))
    assert [numbers(epoch) for epoch in rest] == [numbers(epoch) for epoch in whole[2:]]


def test_without_a_dev_part_the_last_epoch_is_handed_on():
    script = Script(DEV, parts=())
    *_, last = script.run()
    assert torch.equal(last.artifact["weight"], script.stack.params["weight"].detach())
    assert not last.confusions["dev", "audio"].any()


# clipping, row by row


def gradient_of(stack, data, scale):
    return map_rows(lambda p, x: (scale * stack.call(p, x) ** 2).sum(), stack.params, data)


@pytest.mark.parametrize("longest", [0.05, 1.0, 1e6])
def test_each_row_is_clipped_as_a_single_model_is(longest):
    """Against torch's own clip_grad_norm_ and AdamW; rows of gradients a hundred times apart."""
    seeds, data = [3, 4, 5], torch.randn(3, 6, 3, generator=torch.Generator().manual_seed(0))
    data = data * torch.tensor([0.1, 1.0, 10.0])[:, None, None]
    stack = Stack(lambda: mlp((3, 4, 2)), seeds)
    optimizer = Optimizer([stack], learning_rate=0.01, weight_decay=0.1, clip=longest)
    for _ in range(5):
        optimizer.step(gradient_of(stack, data, 1.0))
    for row, seed in enumerate(seeds):
        torch.manual_seed(seed)
        model = mlp((3, 4, 2))
        adam = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1)
        for _ in range(5):
            adam.zero_grad()
            (model(data[row]) ** 2).sum().backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), longest)
            adam.step()
        for name, parameter in model.named_parameters():
            assert torch.allclose(stack.params[name][row], parameter, atol=1e-5), (row, name)


def clipped(loss, stacks, longest):
    """Gradients that reach Adam."""
    optimizer, seen = Optimizer(stacks, learning_rate=0.1, clip=longest), []
    optimizer._adam.step = lambda: seen.extend(
        each.grad for group in optimizer._adam.param_groups for each in group["params"]
    )
    optimizer.step(loss())
    return seen


def test_the_norm_is_over_all_stacks_of_a_row_and_unused_ones_do_not_count():
    one, two, idle = (Stack(lambda: nn.Linear(2, 1, bias=False), [1, 2]).train() for _ in range(3))

    def loss():
        return map_rows(
            lambda p, q, x: x * (3 * p["weight"].sum() + 4 * q["weight"].sum()), one.params, two.params, scale
        )

    scale = torch.tensor([1.0, 0.01])
    first, second, none = clipped(loss, [one, two, idle], 1.0)
    norm = torch.cat([first.flatten(1), second.flatten(1)], 1).norm(dim=1)
    assert norm.tolist() == pytest.approx([1.0, 0.01 * np.sqrt(50)], rel=1e-5)
    assert (second / first).flatten().tolist() == pytest.approx([4 / 3] * 4, rel=1e-5)
    assert none is None


def test_a_gradient_of_zero_stays_zero():
    stack = Stack(lambda: nn.Linear(2, 1, bias=False), [1, 2]).train()
    (gradient,) = clipped(lambda: map_rows(lambda p: 0 * p["weight"].sum(), stack.params), [stack], 1.0)
    assert not gradient.any()


def test_no_clip_leaves_gradients_alone():
    stack = Stack(lambda: nn.Linear(2, 1, bias=False), [1, 2]).train()
    (gradient,) = clipped(partial(map_rows, lambda p: 1000 * p["weight"].sum(), stack.params), [stack], None)
    assert gradient.flatten().tolist() == [1000.0] * 4
