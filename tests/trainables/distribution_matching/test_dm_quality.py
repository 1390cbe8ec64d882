"""What is measured on finished rows: spread, rank, pairs, reconstruction; and the flag of collapse."""

import numpy as np
import pytest
import torch

from search_spaces.change import apply
from trainables.distribution_matching import quality
from trainables.distribution_matching.config import Config
from trainables.distribution_matching.method import METHOD
from trainables.epoch import Diagnostic, Flag

SMALL = Config.model_validate(
    {
        "data": {"labels": 0.5, "balance": False},
        "network": {"hidden": [12], "latent_dim": 6, "classifier": [], "dropout": 0.0},
        "train": {"epochs": 3, "batch_size": 32, "learning_rate": 0.01},
    },
)


def last(config, task):
    return list(METHOD.stages[1].run(config, task, {}))[-1]


def values(epoch, measure, label=""):
    return [each.value for each in epoch.diagnostics if (each.measure, each.label) == (measure, label)]


def test_spread_is_the_root_of_the_mean_variance():
    z = torch.randn(50, 4, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 2, 3, 4]) + 7
    assert quality.spread(z).item() == pytest.approx(np.sqrt(z.numpy().var(0).mean()), rel=1e-5)
    assert quality.spread(torch.ones(5, 3)) == 0


def test_effective_rank_counts_directions():
    generator = torch.Generator().manual_seed(1)
    line = torch.randn(200, 1, generator=generator) @ torch.ones(1, 8)
    assert quality.effective_rank(line).item() == pytest.approx(1, abs=1e-3)
    assert quality.effective_rank(torch.ones(9, 4)).item() == pytest.approx(1)
    assert quality.effective_rank(torch.randn(5000, 8, generator=generator)).item() == pytest.approx(8, rel=0.01)
    plane = torch.randn(5000, 2, generator=generator) @ torch.eye(8)[:2]
    assert quality.effective_rank(plane).item() == pytest.approx(2, rel=0.01)


def test_pair_match_equals_a_loop_over_others():
    first, second = torch.randn(2, 9, 3, generator=torch.Generator().manual_seed(2)).unbind(0)
    wins = [
        float((first[i] - second[i]).norm() < (first[i] - second[j]).norm())
        for i in range(9)
        for j in range(9)
        if i != j
    ]
    assert quality.pair_match(first, second).item() == pytest.approx(np.mean(wins))
    assert quality.pair_match(first, first).item() == 1
    assert quality.pair_match(torch.ones(4, 2), torch.zeros(4, 2)).item() == 0.5


def test_matching_distributions_alone_leaves_pairs_at_chance():
    """Two samples of one distribution, paired at random: MMD about 0, pairs at a half."""
    first, second = torch.randn(2, 800, 5, generator=torch.Generator().manual_seed(3)).unbind(0)
    assert abs(quality.pair_match(first, second) - 0.5) < 0.03


def test_rebuilt_variance_of_a_perfect_and_of_a_mean_decoder():
    x = {"audio": torch.randn(40, 3, generator=torch.Generator().manual_seed(4))}
    present = {"audio": torch.arange(40) > 3}
    for rebuilt, expected in ((x["audio"], 1.0), (torch.zeros(40, 3), 0.0)):
        out = quality.Output(torch.zeros(40, 2), {}, {"audio": rebuilt})
        ((name, label, value),) = quality._rebuilt(out, x, present)
        assert (name, label) == ("reconstruction_r2", "audio")
        assert float(value) == pytest.approx(expected)


def test_everything_is_measured_for_every_row(small_task):
    epoch = last(SMALL, small_task)
    rows = len(small_task.rows)
    for measure in ("latent_spread", "latent_spread_ratio", "latent_rank", "reconstruction_r2"):
        for label in ("audio", "text"):
            assert len(values(epoch, measure, label)) == rows, measure
    for measure in ("latent_mmd", "pair_match"):
        assert len(values(epoch, measure, "audio, text")) == rows
    assert len(values(epoch, "labeled")) == len(values(epoch, "unlabeled")) == rows
    assert {each.measure for each in epoch.diagnostics} == set(quality.MEASURES)
    assert epoch.flags == ()


def test_without_reconstruction_there_is_none_to_measure(small_task):
    epoch = last(apply(SMALL, {"train.alpha": 0.0}), small_task)
    assert "reconstruction_r2" not in {each.measure for each in epoch.diagnostics}


@pytest.mark.parametrize(("ratio", "flagged"), [(1.0, False), (0.11, False), (0.09, True), (float("nan"), True)])
def test_one_collapsed_modality_of_one_row_flags_the_arm(ratio, flagged):
    found = [
        Diagnostic(row=0, measure="latent_spread_ratio", value=5.0, label="audio"),
        Diagnostic(row=1, measure="latent_spread_ratio", value=ratio, label="text"),
        Diagnostic(row=1, measure="latent_rank", value=0.0, label="text"),
    ]
    assert quality.flags(found) == ((Flag(1, "latents collapsed"),) if flagged else ())


def test_latents_that_really_collapse_flag_the_arm(small_task):
    """Weight decay that halves every weight a step leaves one latent for all utterances."""
    epoch = last(apply(SMALL, {"train.weight_decay": 50.0, "train.epochs": 1}), small_task)
    for label in ("audio", "text"):
        assert max(values(epoch, "latent_spread_ratio", label)) < quality.COLLAPSED_BELOW
    assert [flag.row for flag in epoch.flags] == [*range(len(small_task.rows))]


def test_kept_latents_are_of_row_0_and_of_utterances_that_have_both(small_task):
    epoch = last(SMALL, small_task)
    assert [each.kind for each in epoch.embeddings] == ["latent audio", "latent text"]
    corpus, test = small_task.corpus, small_task.folds[0].test
    both = corpus.present["audio"][test] & corpus.present["text"][test]
    for each in epoch.embeddings:
        assert each.vectors.shape == (both.sum(), SMALL.network.latent_dim)
        assert sorted(each.labels) == sorted(corpus.labels[test[both]])
