import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from trainables.stacking import Draws, Means, Optimizer, Stack, map_rows, mlp, seed_of


def train_stacked(seeds, data, target, steps, optimizer=None, stack=None):
    stack = stack or Stack(lambda: mlp((3, 5, 2)), seeds)
    optimizer = optimizer or Optimizer([stack], learning_rate=0.01, weight_decay=0.1, beta1=0.8)

    def loss(params, x, y):
        return F.mse_loss(stack.call(params, x), y)

    for _ in range(steps):
        optimizer.step(map_rows(loss, stack.params, data, target))
    return stack, optimizer


@pytest.fixture
def problem():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(4, 6, 3, generator=generator), torch.randn(4, 6, 2, generator=generator)


def test_a_stack_trains_as_single_models_do(problem):
    data, target = problem
    seeds = [11, 12, 13, 14]
    stack, _ = train_stacked(seeds, data, target, steps=30)
    for row, seed in enumerate(seeds):
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))
        adam = torch.optim.AdamW(model.parameters(), lr=0.01, betas=(0.8, 0.999), weight_decay=0.1)
        for _ in range(30):
            adam.zero_grad()
            F.mse_loss(model(data[row]), target[row]).backward()
            adam.step()
        for name, parameter in model.named_parameters():
            assert torch.allclose(stack.params[name][row], parameter, atol=1e-5), name


def test_optimizer_taken_up_again_gives_equal_numbers(problem):
    data, target = problem
    whole, _ = train_stacked([1, 2, 3, 4], data, target, steps=20)
    first, adam = train_stacked([1, 2, 3, 4], data, target, steps=8)
    saved = first.state("p/") | adam.state("a/")
    fresh = Stack(lambda: mlp((3, 5, 2)), [9, 9, 9, 9]).load(saved, "p/")
    again = Optimizer([fresh], learning_rate=0.01, weight_decay=0.1, beta1=0.8).load(saved, "a/")
    train_stacked([], data, target, steps=12, optimizer=again, stack=fresh)
    for name, tensor in whole.params.items():
        assert torch.equal(tensor, fresh.params[name])


def test_building_a_stack_leaves_the_global_generator_alone():
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    Stack(lambda: nn.Linear(2, 2), [1, 2])
    assert torch.equal(before, torch.random.get_rng_state())


def test_an_unused_parameter_stays(problem):
    data, _ = problem
    stack = Stack(lambda: nn.ModuleDict({"used": nn.Linear(3, 1), "unused": nn.Linear(3, 1)}), [0, 1, 2, 3])
    before = stack.state()
    Optimizer([stack], learning_rate=0.1, weight_decay=0.1).step(
        map_rows(lambda p, x: (x @ p["used.weight"].T).mean(), stack.params, data)
    )
    assert torch.equal(before["unused.weight"], stack.params["unused.weight"])
    assert not torch.equal(before["used.weight"], stack.params["used.weight"])


def test_draws_of_a_row_do_not_depend_on_its_neighbours(small_task, one_row):
    alone = one_row(small_task, 3)
    together, single = Draws(small_task, "x", 1), Draws(alone, "x", 1)
    items = [np.arange(10 + row) for row in range(len(small_task.rows))]
    assert torch.equal(together.normal(4, 2)[3], single.normal(4, 2)[0])
    assert torch.equal(together.keep(0.5, 7)[3], single.keep(0.5, 7)[0])
    assert torch.equal(together.beta(0.2, 5)[3], single.beta(0.2, 5)[0])
    assert torch.equal(together.batches(items, 3, 4)[3], single.batches(items[3:4], 3, 4)[0])


def test_draws_differ_between_rows_and_purposes(small_task):
    first, second = Draws(small_task, "x", 1).normal(8), Draws(small_task, "x", 2).normal(8)
    assert not torch.equal(first, second)
    assert len({tuple(row.tolist()) for row in first}) == len(small_task.rows)


def test_batches_go_through_every_item_before_any_repeats(small_task):
    items = [np.arange(100, 110)] * len(small_task.rows)
    flat = Draws(small_task, "b").batches(items, 5, 3).flatten(1)
    for row in flat.tolist():
        assert sorted(row[:10]) == list(range(100, 110))
        assert len(set(row[10:])) == 5


def test_dropout_keeps_the_expectation(small_task):
    keep = Draws(small_task, "d").keep(0.25, 20_000)
    assert set(keep.unique().tolist()) == {0.0, 4.0}
    assert keep.mean().item() == pytest.approx(1.0, abs=0.03)


def test_seed_of_is_the_same_everywhere():
    assert seed_of("Ses01", 0, "align", 1) == 159575241146984174
    assert seed_of("a", "bc") != seed_of("ab", "c")


def test_means():
    means = Means()
    means.add({"a": torch.tensor([1.0, 2.0])})
    means.add({"a": torch.tensor([3.0, 6.0])})
    assert means.result()["a"].tolist() == [2.0, 4.0]
