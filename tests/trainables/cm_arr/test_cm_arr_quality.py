import numpy as np
import pytest
import torch

from trainables.cm_arr import quality, train
from trainables.cm_arr.config import Config, Train
from trainables.epoch import Flag
from trainables.prepared import Prepared
from trainables.task import Task

TINY = {
    "tokens": 2,
    "channels": 8,
    "heads": 2,
    "transforms": 2,
    "flow_hidden": (8,),
    "blocks": 1,
    "batch_size": 64,
    "dropout": 0.0,
}


def test_closeness_against_numpy():
    generator = torch.Generator().manual_seed(0)
    true, recovered = (torch.randn(2, 9, 4, generator=generator) for _ in range(2))
    error, cosine = quality.closeness(recovered, true)
    for row in range(2):
        x, y = true[row].numpy(), recovered[row].numpy()
        centre = x.mean(0)
        assert error[row].item() == pytest.approx(((y - x) ** 2).sum() / ((x - centre) ** 2).sum(), rel=1e-5)
        a, b = y - centre, x - centre
        each = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
        assert cosine[row].item() == pytest.approx(each.mean(), rel=1e-4)


def test_closeness_limits():
    true = torch.randn(1, 50, 4, generator=torch.Generator().manual_seed(0))
    assert quality.closeness(true, true)[0].item() == pytest.approx(0)
    assert quality.closeness(true, true)[1].item() == pytest.approx(1)
    mean = true.mean(1, keepdim=True).expand_as(true)
    assert quality.closeness(mean, true)[0].item() == pytest.approx(1)


def test_spread_against_numpy():
    x = torch.randn(3, 20, 4, generator=torch.Generator().manual_seed(0))
    expected = np.sqrt(x.numpy().var(1).mean(-1))
    assert np.allclose(quality.spread(x).numpy(), expected)


@pytest.mark.parametrize(
    ("spread", "inverse", "expected"),
    [
        ([1.0, 0.5], [1e-6, 1e-5], ()),
        ([1.0, 0.05], [1e-6, 1e-5], (Flag(1, "representations collapsed"),)),
        ([1.0, float("nan")], [1e-6, 1e-5], (Flag(1, "representations collapsed"),)),
        ([1.0, 1.0], [1e-6, 0.5], (Flag(1, "flow not invertible"),)),
        ([1.0, 1.0], None, ()),
    ],
)
def test_flags(spread, inverse, expected):
    measures = {("spread", "audio"): torch.ones(2), ("spread", "text"): torch.tensor(spread)}
    if inverse is not None:
        measures["inverse_error", "audio"] = torch.tensor(inverse)
    assert quality.flags(measures) == expected


def last(task, **changes):
    *_, epoch = train.run(Config(train=Train(**{**TINY, **changes})), task, {})
    return epoch


def spreads(epoch):
    return np.mean([each.value for each in epoch.diagnostics if each.measure == "spread"])


def test_recovery_as_printed_shrinks_x_and_the_stopped_one_does_not(small_task):
    """Eq. 9 with gradients on both sides is best satisfied by an X that does not vary."""
    task = Task(small_task.corpus, small_task.folds[:1], (0,))
    settings = {"alpha": 0.0, "beta": 0.0, "lambda_rec": 1000.0, "epochs": 10, "learning_rate": 1e-2}
    printed, stopped = (last(task, **settings, stop_gradient=where) for where in ("none", "both"))
    assert spreads(printed) < 0.6 * spreads(stopped)
    assert stopped.flags == ()


def test_each_missing_recovers_each_from_the_others(small_task):
    config = Config(train=Train(**TINY))
    prepared = Prepared.make(small_task)
    stack = train.prepared_stack(config, prepared)
    index = torch.tensor([[0, 1, 2]]).expand(prepared.rows, -1)
    every = np.ones(prepared.rows, dtype=bool)
    out = quality.each_missing(prepared, stack, index, every)
    both = prepared.held_out(index, every)
    for missing in (0, 1):
        available = torch.zeros(prepared.rows, 1, 3, 2, dtype=torch.bool)
        available[..., 1 - missing] = True
        alone = stack.apply({"x": both["x"], "available": available}, every)
        assert torch.allclose(out["recovered"][:, missing], alone["recovered"][:, 0])


def test_a_fixed_stand_in_has_a_spread_and_nothing_recovered_to_measure(small_task):
    epoch = last(Task(small_task.corpus, small_task.folds[:1], (0,)), recovery="zeros", lambda_rec=0.0, epochs=1)
    assert {each.measure for each in epoch.diagnostics} == {"spread"}
    assert epoch.embeddings == ()
