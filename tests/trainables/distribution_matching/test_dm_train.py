"""The objective and both stages on a small task: eq. 1-9, gradients, equal steps, labels that are not read."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import search_spaces
from search_spaces.change import apply
from trainables import metrics
from trainables.distribution_matching import pretrain, train
from trainables.distribution_matching.config import Config, Train
from trainables.distribution_matching.fit import Fit
from trainables.distribution_matching.matching import pair, unpair
from trainables.distribution_matching.method import METHOD
from trainables.distribution_matching.model import build
from trainables.distribution_matching.objective import losses, reconstruction, total
from trainables.distribution_matching.parts import Parts
from trainables.prepared import Prepared
from trainables.stacking import Optimizer
from trainables.task import Task

SMALL = Config.model_validate(
    {
        "data": {"labels": 0.4},
        "network": {"hidden": [10, 8], "latent_dim": 6, "classifier": [7], "dropout": 0.2},
        "pretrain": {"epochs": 2, "batch_size": 16, "learning_rate": 0.01},
        "train": {"epochs": 2, "batch_size": 16, "learning_rate": 0.01},
    },
)
ROWS = {row.name: row for row in search_spaces.get("distribution_matching").ablation}


def run(config, task):
    """The last stage's epochs, after the others."""
    artifacts = {}
    for stage in METHOD.active(config):
        epochs = list(stage.run(config, task, artifacts))
        artifacts[stage.name] = epochs[-1].artifact
    return epochs, artifacts


def fit_of(config, task):
    prepared = Prepared.make(task)
    parts = Parts.make(config, prepared)
    return Fit(stage="train", network=config.network, settings=config.train, prepared=prepared, parts=parts)


def one_row(tree, row):
    if isinstance(tree, dict):
        return {name: one_row(each, row) for name, each in tree.items()}
    return [one_row(each, row) for each in tree] if isinstance(tree, list) else tree[row]


@pytest.mark.parametrize("form", ["product kernel", "other dialogues", "shuffled", "none"])
def test_the_terms_are_those_of_equations_5_to_9(small_task, form):
    """Against ordinary calls of one row's module, part by part."""
    config = apply(SMALL, {"train.unpaired": form, "network.dropout": 0.0})
    fit = fit_of(config, small_task)
    stack = build(config.network, fit.prepared, "train")
    batch = one_row(next(fit.batches(stack, 1)), 3)
    params = one_row(stack.params, 3)
    found = losses(config.train, stack, params, batch)

    stack.module.load_state_dict(params)
    x, present, size, expected = batch["x"], batch["present"], 16, {}
    z = {name: torch.where(present[name][:, None], stack.module.dae[name].encode(x[name]), 0.0) for name in x}
    logits = stack.module.C(torch.cat([z["audio"][:size], z["text"][:size]], -1))
    expected["classification"] = F.cross_entropy(logits, batch["y"], weight=batch["weights"])
    for prefix, start in (("", 0), ("u_", size)):
        here = slice(start, start + size)
        far = slice(2 * size + start, 3 * size + start)
        part, there = ({name: each[here] for name, each in tree.items()} for tree in (z, present))
        others = {name: each[far] for name, each in z.items()}, {name: each[far] for name, each in present.items()}
        errors = []
        for name in x:
            kept = torch.arange(len(x[name]))[here][present[name][here]]
            errors.append(F.mse_loss(stack.module.dae[name].decode(z[name][kept]), x[name][kept]))
        expected[prefix + "reconstruction"] = sum(errors)
        expected[prefix + "pair"] = pair(config.train, part, there)
        if form != "none":
            expected[prefix + "unpair"] = unpair(config.train, part, there, others)
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert torch.allclose(found[name], value, atol=1e-5), name


def test_the_total_is_equation_9():
    settings = Train(alpha=0.2, beta=0.1, omega=0.3)
    names = ("classification", "reconstruction", "pair", "unpair", "u_reconstruction", "u_pair", "u_unpair")
    terms = {name: torch.tensor(float(10**place)) for place, name in enumerate(names)}
    expected = 1 + 0.2 * 10 + 0.1 * (100 + 1000) + 0.3 * (0.2 * 10**4 + 0.1 * (10**5 + 10**6))
    assert total(settings, terms).item() == pytest.approx(expected)


def test_reconstruction_is_a_mean_over_what_is_there():
    rebuilt, target = torch.zeros(3, 2), torch.tensor([[1.0, 3.0], [100.0, 100.0], [2.0, 0.0]])
    present = torch.tensor([True, False, True])
    assert reconstruction(rebuilt, target, present).item() == pytest.approx((1 + 9 + 4 + 0) / 4)
    assert reconstruction(rebuilt, target, torch.zeros(3, dtype=torch.bool)) == 0


#: Parameters that a row's losses do not reach: decoders, where nothing is rebuilt.
UNREACHED = {
    "Fully-supervised, without reconstruction": ".decoder.",
    "Fully-supervised, without reconstruction and MMD": ".decoder.",
    "Without reconstruction": ".decoder.",
}


@pytest.mark.parametrize("name", ["default", *(name for name, row in ROWS.items() if "data.inputs" not in row.change)])
def test_gradients_reach_every_parameter(small_task, name):
    config = apply(SMALL, ROWS[name].change) if name in ROWS else SMALL
    fit = fit_of(config, small_task)
    stack = build(config.network, fit.prepared, "train").train()
    before = stack.state()
    fit.epoch(stack, Optimizer([stack], learning_rate=0.01), 1)
    for parameter, tensor in stack.params.items():
        moved = (tensor != before[parameter]).flatten(1).any(1)
        reached = UNREACHED.get(name, "nothing") not in parameter
        assert moved.all() if reached else not moved.any(), parameter


@pytest.mark.parametrize(
    ("change", "gone"),
    [
        ({"train.alpha": 0.0}, {"reconstruction", "u_reconstruction"}),
        ({"train.beta": 0.0}, {"pair", "unpair", "u_pair", "u_unpair"}),
        ({"train.omega": 0.0}, {"u_reconstruction", "u_pair", "u_unpair"}),
        ({"train.unpaired": "none"}, {"unpair", "u_unpair"}),
        ({"data.inputs": "text"}, {"pair", "unpair", "u_pair", "u_unpair"}),
        ({"data.labels": 1.0, "data.unlabeled_amount": 0.0}, {"u_reconstruction", "u_pair", "u_unpair"}),
    ],
)
def test_a_weight_of_zero_skips_its_terms(small_task, change, gone):
    config = apply(SMALL, {"train.epochs": 1, "data.balance": False, **change})
    every = {"classification", "reconstruction", "pair", "unpair", "u_reconstruction", "u_pair", "u_unpair"}
    assert set(run(config, small_task)[0][0].terms) == every - gone


def test_matching_as_printed_adds_up_to_nothing_in_training_too(small_task):
    config = apply(SMALL, {"train.unpaired": "shuffled", "data.balance": False})
    terms = run(config, small_task)[0][-1].terms
    assert (terms["pair"] > 0.01).all()
    assert np.allclose(terms["pair"] + terms["unpair"], 0, atol=1e-6)
    assert np.allclose(terms["u_pair"] + terms["u_unpair"], 0, atol=1e-6)


def test_every_form_takes_equal_steps_and_equal_labeled_batches(small_task):
    """Few labels or many, with an unlabeled part of any size or without one."""
    seen = {}
    for name, change in {
        "semi": {},
        "supervised": {"train.omega": 0.0},
        "half": {"data.unlabeled_amount": 0.5},
        "all labels": {"data.labels": 1.0},
    }.items():
        config = apply(SMALL, change)
        fit = fit_of(config, small_task)
        stack = build(config.network, fit.prepared, "train")
        batches = list(fit.batches(stack, 1))
        sizes = {batch["present"]["audio"].shape[1] for batch in batches}
        assert sizes == {16 if name == "supervised" else 32}
        seen[name] = len(batches), torch.stack([batch["y"] for batch in batches])
    assert len({steps for steps, _ in seen.values()}) == 1
    assert torch.equal(seen["semi"][1], seen["supervised"][1])
    assert torch.equal(seen["semi"][1], seen["half"][1])


@pytest.mark.parametrize("stage", ["pretrain", "train"])
def test_labels_taken_away_are_never_read(small_task, stage):
    """Given who keeps a label, other labels for the rest change nothing, bit for bit."""
    config = apply(SMALL, {"data.labels": 0.25})
    first = Task(small_task.corpus, small_task.folds[:1], small_task.seeds[:1])
    parts = Parts.make(config, Prepared.make(first))
    lost = np.setdiff1d(first.folds[0].train, parts.labeled[0])
    labels = small_task.corpus.labels.copy()
    labels[lost] = (labels[lost] + 1) % 3

    def trained(given):
        prepared = Prepared.make(given)
        settings = config.train if stage == "train" else Train(alpha=0, beta=0, omega=0, epochs=2, batch_size=16)
        fit = Fit(stage=stage, network=config.network, settings=settings, prepared=prepared, parts=parts)
        stack = build(config.network, prepared, stage).train()
        return fit.epoch(stack, Optimizer([stack], learning_rate=0.01), 1), stack.state()

    before, after = trained(first), trained(Task(replace(small_task.corpus, labels=labels), first.folds, first.seeds))
    assert all(np.array_equal(before[0][name], after[0][name]) for name in before[0])
    assert all(torch.equal(before[1][name], after[1][name]) for name in before[1])


def test_the_vanilla_classifier_labels_and_its_labels_decide_what_is_sampled(small_task):
    epochs = list(pretrain.run(SMALL, small_task, {}))
    assert set(epochs[0].terms) == {"classification"}
    guess = epochs[-1].artifact["guess"]
    assert guess.shape == (len(small_task.rows), len(small_task.corpus.labels))
    assert set(guess.unique().tolist()) <= {0, 1, 2}
    one = {"pretrain": {"guess": guess}}
    other = {"pretrain": {"guess": (guess + torch.arange(guess.shape[1]) // 7) % 3}}
    first, second = (list(train.run(SMALL, small_task, each))[-1] for each in (one, other))
    assert (first.terms["u_reconstruction"] != second.terms["u_reconstruction"]).all()


@pytest.mark.parametrize(
    "change",
    [
        {"data.balance": False},
        {"train.omega": 0.0},
        {"data.unlabeled_amount": 0.0},
        {"train.unlabeled": "labeled again"},
        {"train.alpha": 0.0, "train.beta": 0.0},
    ],
)
def test_the_vanilla_classifier_is_trained_only_where_it_is_asked(change):
    assert [stage.name for stage in METHOD.active(SMALL)] == ["pretrain", "train"]
    assert [stage.name for stage in METHOD.active(apply(SMALL, change))] == ["train"]


def test_the_unlabeled_part_changes_what_is_learnt_and_its_amount_too(small_task):
    base = apply(SMALL, {"data.balance": False, "train.epochs": 1})
    artifacts = [
        run(apply(base, change), small_task)[1]["train"]["dae.text.encoder.0.weight"]
        for change in ({}, {"data.unlabeled_amount": 0.5}, {"train.omega": 0.0}, {"train.unlabeled": "labeled again"})
    ]
    for place, first in enumerate(artifacts):
        assert all(not torch.equal(first, second) for second in artifacts[place + 1 :])


def test_a_row_without_unlabeled_utterances_is_supervised_beside_rows_that_have_some(small_task, one_row):
    """All labels kept, and the unlabeled utterances of one fold taken away."""
    config = apply(SMALL, {"data.labels": 1.0, "data.balance": False, "train.epochs": 1, "network.dropout": 0.0})
    bare = replace_unlabeled(small_task, 0)
    assert len(bare.folds[0].unlabeled) == 0 < len(bare.folds[1].unlabeled)
    together = run(config, bare)[0][-1]
    assert (together.terms["u_reconstruction"][:2] == 0).all()
    assert (together.terms["u_reconstruction"][2:] > 0).all()
    alone = run(apply(config, {"train.omega": 0.0}), bare)[0][-1]
    assert np.allclose(together.terms["classification"][:2], alone.terms["classification"][:2], atol=1e-4)
    counts = {each.row: each.value for each in together.diagnostics if each.measure == "unlabeled"}
    assert counts[0] == 0 < counts[2]


def replace_unlabeled(task, number):
    folds = list(task.folds)
    fold, none = folds[number], np.empty(0, dtype=np.int64)
    folds[number] = type(fold).make(fold.name, task.corpus, fold.train, fold.dev, fold.test, none)
    return Task(task.corpus, tuple(folds), task.seeds)


def test_dropout_is_drawn_for_every_hidden_layer(small_task):
    fit = fit_of(SMALL, small_task)
    stack = build(SMALL.network, fit.prepared, "train")
    keep = next(fit.batches(stack, 1))["keep"]
    assert {name: [each.shape[-1] for each in masks] for name, masks in keep.items()} == {
        "audio": [10, 8],
        "text": [10, 8],
        "C": [7],
    }
    values = {round(value, 4) for masks in keep.values() for mask in masks for value in mask.unique().tolist()}
    assert values == {0.0, 1.25}
    again = next(fit.batches(stack, 1))["keep"]
    assert torch.equal(keep["audio"][0], again["audio"][0])
    assert not torch.equal(keep["audio"][0], next(fit.batches(stack, 2))["keep"]["audio"][0])


def test_loss_falls_and_chance_is_beaten(small_task):
    config = apply(SMALL, {"data.labels": 1.0, "train.epochs": 12, "pretrain.epochs": 6})
    epochs, _ = run(config, small_task)
    for name in ("classification", "reconstruction", "u_reconstruction"):
        assert epochs[-1].terms[name].mean() < epochs[0].terms[name].mean(), name
    assert metrics.uar(epochs[-1].confusions["test", "audio+text"]).mean() > 1.5 / 3


@pytest.mark.parametrize("inputs", ["audio", "text"])
def test_one_modality_is_classified_alone(small_task, with_features, inputs):
    """The other one is not read at all."""
    config = apply(SMALL, {"data.inputs": inputs, "train.epochs": 1, "pretrain.epochs": 1})
    other = {"audio": "text", "text": "audio"}[inputs]
    poisoned = with_features(small_task.corpus, **{other: np.full_like(small_task.corpus.features[other], np.nan)})
    first, artifacts = run(config, small_task)
    second, _ = run(config, Task(poisoned, small_task.folds, small_task.seeds))
    assert {condition for _, condition in first[-1].confusions} == {inputs}
    assert all(np.array_equal(first[-1].terms[name], second[-1].terms[name]) for name in first[-1].terms)
    probabilities = METHOD.predict(config, artifacts, small_task.corpus)
    assert np.array_equal(np.isnan(probabilities).any((0, 2)), ~small_task.corpus.present[inputs])


def test_a_corpus_without_one_of_the_modalities_is_still_classified(small_task, without_modality):
    _, artifacts = run(SMALL, small_task)
    bare = without_modality(small_task, "text").corpus
    probabilities = METHOD.predict(SMALL, artifacts, bare)
    absent = replace(small_task.corpus, present={**bare.present, "text": np.zeros(len(bare.labels), dtype=bool)})
    expected = METHOD.predict(SMALL, artifacts, absent)
    assert np.array_equal(probabilities, expected, equal_nan=True)
    assert np.isfinite(probabilities[:, bare.present["audio"]]).all()
