from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import search_spaces
from search_spaces.change import apply
from trainables import metrics
from trainables.epoch import Diagnostic
from trainables.folds import Fold
from trainables.prepared import Prepared
from trainables.stacking import Optimizer
from trainables.subspace_mapping import fuse, measure
from trainables.subspace_mapping.config import Config, Fuse
from trainables.subspace_mapping.method import METHOD
from trainables.subspace_mapping.reading import Reader
from trainables.task import Task

SMALL = Config(fuse=Fuse(hidden=8, heads=2, batch_size=6, epochs=3, learning_rate=0.01))
SPACES = search_spaces.get("subspace_mapping")
ROWS = {row.name: row.change for row in SPACES.ablation}


def run(config, task, **more):
    return list(fuse.run(config, task, {}, **more))


def changed(**changes):
    return SMALL.model_copy(update={"fuse": SMALL.fuse.model_copy(update=changes)})


def one_step(config, task):
    """Parameters before and after one epoch, and its terms."""
    prepared = Prepared.make(task, fuse.conditions.chosen(config.fuse.inputs, task.corpus.features))
    reader, stack = Reader(config.fuse, prepared), fuse.build(config.fuse, prepared)
    before = stack.state()
    terms = fuse._epoch(config.fuse, reader, stack, Optimizer([stack], learning_rate=0.01), 1)
    return before, stack.state(), terms


@pytest.fixture(scope="module")
def first(small_task):
    return Task(small_task.corpus, small_task.folds[:1], small_task.seeds)


@pytest.fixture(scope="module")
def default(first):
    return one_step(SMALL, first)


@pytest.mark.parametrize("change", [{}, *ROWS.values()], ids=["default", *ROWS])
def test_every_parameter_is_trained_by_the_default_and_by_every_row(first, change):
    # A dialogue of one turn has no earlier state, and an attention with one key no choice.
    idle = ("weight_h", "P_q", "P_k") if change.get("fuse.max_turns") == 1 else ()
    before, after, terms = one_step(apply(SMALL, change), first)
    for name, tensor in after.items():
        if any(part in name for part in idle):
            continue
        assert (tensor != before[name]).flatten(1).any(1).all(), name
    assert all(np.isfinite(values).all() for values in terms.values())


CHANGES = [*ROWS.values(), *({path: values[0]} for path, values in SPACES.sensitivity.items())]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_every_row_and_grid_changes_what_is_trained(first, default, change):
    sizes = {"fuse.hidden": 12}
    change = {path: sizes.get(path, value) for path, value in change.items()}
    if "fuse.learning_rate" in change:  # read by `run`, not by a step
        other = run(apply(SMALL, {**change, "fuse.epochs": 1}), first)[-1].artifact
        plain = run(changed(epochs=1), first)[-1].artifact
        assert not torch.equal(other["W.weight"], plain["W.weight"])
        return
    _, after, terms = one_step(apply(SMALL, change), first)
    same = after["W.weight"].shape == default[1]["W.weight"].shape
    assert not (same and torch.equal(after["W.weight"], default[1]["W.weight"]) and terms.keys() == default[2].keys())


def test_terms_have_names_of_their_own(default):
    names = {"task", "unimodal audio", "unimodal text", "similarity", "difference", "reconstruction", "cycle"}
    assert set(default[2]) == names


def test_one_modality_is_its_encoder_and_cross_entropy(small_task, without_modality):
    epoch = run(changed(inputs="text", epochs=1), small_task)[0]
    assert set(epoch.terms) == {"task"}
    assert set(epoch.confusions) == {("dev", "text"), ("test", "text")}
    assert not epoch.diagnostics
    assert not any("audio" in name for name in epoch.artifact)
    other = run(changed(epochs=1), without_modality(small_task, "audio"))[0]
    assert all(torch.equal(other.artifact[name], tensor) for name, tensor in epoch.artifact.items())


def test_a_row_of_the_stack_equals_the_row_alone(small_task, one_row):
    """Also its dropout, though other rows have other dialogues and lanes."""
    whole = run(SMALL, small_task)
    for row in (0, len(small_task.rows) - 1):
        alone = run(SMALL, one_row(small_task, row))
        for a, b in zip(whole, alone, strict=True):
            for name, values in a.terms.items():
                assert np.allclose(values[row], b.terms[name][0], atol=1e-4), (row, name)
        for name, tensor in alone[-1].artifact.items():
            if name in ("W.weight", "recurrent.weight_h", "D.text.bias", "E_pub.weight"):
                assert (whole[-1].artifact[name][row] - tensor[0]).abs().max() < 1e-3, (row, name)


def test_same_seed_same_numbers(first):
    one, two = run(SMALL, first), run(SMALL, first)
    for a, b in zip(one, two, strict=True):
        assert all(np.array_equal(a.terms[name], b.terms[name]) for name in a.terms)
    assert all(torch.equal(one[-1].artifact[name], two[-1].artifact[name]) for name in one[-1].artifact)


@pytest.mark.parametrize("done", [1, 2])
@pytest.mark.parametrize("settings", [{}, {"shuffle_turns": True}], ids=["default", "shuffled"])
def test_resumed_equals_uninterrupted(first, done, settings):
    whole = run(changed(**settings), first)
    stage = fuse.run(changed(**settings), first, {})
    for _ in range(done):
        state = next(stage).state
    rest = run(changed(**settings), first, state=state)
    assert [epoch.index for epoch in rest] == list(range(done + 1, 4))
    for a, b in zip(whole[done:], rest, strict=True):
        assert all(np.array_equal(a.confusions[key], b.confusions[key]) for key in a.confusions)
        assert all(np.array_equal(a.terms[name], b.terms[name]) for name in a.terms)
    assert all(torch.equal(whole[-1].artifact[name], rest[-1].artifact[name]) for name in whole[-1].artifact)


def test_shuffled_test_labels_change_nothing_but_test(first, shuffle_test_labels):
    before, after = run(SMALL, first), run(SMALL, shuffle_test_labels(first))
    assert all(torch.equal(before[-1].artifact[name], after[-1].artifact[name]) for name in before[-1].artifact)
    assert before[-1].diagnostics == after[-1].diagnostics
    assert before[-1].flags == after[-1].flags
    for a, b in zip(before, after, strict=True):
        assert np.array_equal(a.confusions["dev", "audio+text"], b.confusions["dev", "audio+text"])
    assert not np.array_equal(before[-1].confusions["test", "audio+text"], after[-1].confusions["test", "audio+text"])


def test_held_out_features_never_reach_training(first, with_features):
    """Dialogues of the small task are cut between parts: what is held out is no context of what is trained on."""
    fold = first.folds[0]
    held = np.concatenate([fold.dev, fold.test])
    features = {name: array.copy() for name, array in first.corpus.features.items()}
    for array in features.values():
        array[held] += 5.0
    other = Task(with_features(first.corpus, **features), first.folds, first.seeds)
    before, after = run(SMALL, first), run(SMALL, other)
    for a, b in zip(before, after, strict=True):
        assert all(np.array_equal(a.terms[name], b.terms[name]) for name in a.terms)


def test_unlabeled_train_utterances_are_context_without_loss(first, with_features):
    fold = first.folds[0]
    prepared = Prepared.make(first, ("audio", "text"))
    reader = Reader(SMALL.fuse, prepared)
    assert not reader.labeled[:, fold.unlabeled.tolist()].any()
    read = set(np.concatenate(reader.train[0]).tolist())
    assert read == set(fold.train.tolist()) | set(fold.unlabeled.tolist())
    features = {name: array.copy() for name, array in first.corpus.features.items()}
    features["audio"][fold.unlabeled] += 3.0
    other = Task(with_features(first.corpus, **features), first.folds, first.seeds)
    assert not np.array_equal(run(SMALL, first)[0].terms["task"], run(SMALL, other)[0].terms["task"])


def test_a_missing_modality_is_never_read(first, with_features):
    features = {name: array.copy() for name, array in first.corpus.features.items()}
    assert np.isnan(features["audio"][7]).all()
    features["audio"][7], features["text"][[3, 11, 50]] = 1e6, -1e6
    other = Task(with_features(first.corpus, **features), first.folds, first.seeds)
    before, after = run(SMALL, first)[-1], run(SMALL, other)[-1]
    assert all(torch.equal(before.artifact[name], after.artifact[name]) for name in before.artifact)
    assert all(np.array_equal(before.confusions[key], after.confusions[key]) for key in before.confusions)
    probabilities = [METHOD.predict(SMALL, {"fuse": before.artifact}, task.corpus) for task in (first, other)]
    assert np.array_equal(*probabilities, equal_nan=True)


def test_every_held_out_utterance_is_counted_once(small_task):
    confusions = run(changed(epochs=1), small_task)[0].confusions
    for part in ("dev", "test"):
        expected = [len(getattr(fold, part)) for fold, _ in small_task.rows]
        assert confusions[part, "audio+text"].sum((1, 2)).tolist() == expected


@pytest.mark.parametrize("settings", [{}, {"max_turns": 4}, {"shuffle_turns": True}, {"inputs": "audio"}], ids=str)
def test_predict_classifies_as_the_stage_did(small_task, settings):
    config = changed(**settings)
    last = run(config, small_task)[-1]
    probabilities = METHOD.predict(config, {"fuse": last.artifact}, small_task.corpus)
    assert probabilities.shape == (6, 160, 3)
    (counts,) = (counts for (part, _), counts in last.confusions.items() if part == "test")
    for row, (fold, _) in enumerate(small_task.rows):
        guess = np.nan_to_num(probabilities[row, fold.test]).argmax(-1)
        expected = metrics.confusion(small_task.corpus.labels[fold.test], guess, 3)
        assert np.abs(expected - counts[row]).sum() <= 2  # one utterance whose modality is missing


def test_predict_knows_what_it_cannot_know(first, with_features):
    artifact = run(changed(epochs=1), first)[-1].artifact
    corpus = first.corpus
    present = {name: mask.copy() for name, mask in corpus.present.items()}
    present["audio"][12:14] = present["text"][13:15] = False
    corpus = replace(corpus, present=present, labels=np.full_like(corpus.labels, -1))
    probabilities = METHOD.predict(SMALL, {"fuse": artifact}, corpus)
    assert np.flatnonzero(np.isnan(probabilities).any((0, 2))).tolist() == [13]
    assert np.allclose(np.nansum(probabilities, -1)[:, present["audio"]], 1, atol=1e-5)


def test_without_context_nothing_but_the_utterance_is_read(first, with_features):
    config = changed(max_turns=1, epochs=1)
    artifact = run(config, first)[-1].artifact
    features = {name: array.copy() for name, array in first.corpus.features.items()}
    for array in features.values():
        array[30:35] += 2.0
    other = with_features(first.corpus, **features)
    before, after = (METHOD.predict(config, {"fuse": artifact}, corpus) for corpus in (first.corpus, other))
    moved = np.abs(before - after).max((0, 2)) > 1e-6
    assert np.flatnonzero(moved).tolist() == list(range(30, 35))


def test_final_training_holds_nothing_out(first):
    corpus = first.corpus
    task = Task(corpus, (Fold.for_training(corpus, np.flatnonzero(corpus.labels >= 0)),), (0,))
    last = run(changed(epochs=2), task)[-1]
    probabilities = METHOD.predict(SMALL, {"fuse": last.artifact}, corpus)
    assert np.isfinite(probabilities).all()
    assert not last.embeddings


def test_subspaces_are_measured_and_kept_for_a_figure(small_task):
    last = run(changed(epochs=1), small_task)[-1]
    spread = [each for each in last.diagnostics if each.measure == "spread"]
    assert len(spread) == 6 * 4
    assert all(0 < each.value < 1 for each in spread)
    assert {each.measure for each in last.diagnostics} == set(METHOD.measures)
    assert [each.kind for each in last.embeddings] == ["public audio", "public text", "unique audio", "unique text"]
    fold = small_task.folds[0]
    both = small_task.corpus.present["audio"] & small_task.corpus.present["text"]
    for each in last.embeddings:
        assert each.labels.tolist() == small_task.corpus.labels[fold.test[both[fold.test]]].tolist()
        assert each.vectors.shape == (len(each.labels), 8)
    assert not last.flags


def test_encoders_that_shrink_are_flagged(small_task, monkeypatch):
    config = changed(epochs=1)
    real = measure.represent

    def shrunk(*arguments):
        return {kind: 1e-3 * values for kind, values in real(*arguments).items()}

    monkeypatch.setattr(measure, "represent", shrunk)
    last = run(config, small_task)[-1]
    assert last.flags[0].text == "representations shrank to a constant"
    assert all(isinstance(each, Diagnostic) for each in last.diagnostics)


def moody_task(small_task):
    """24 dialogues of 8 turns, each in one mood, which only the unlabeled turns between the labeled ones tell."""
    rng, count = np.random.default_rng(0), 192
    mood, dialogue = np.repeat(rng.permutation(np.arange(24) % 3), 8), np.arange(count) // 8
    audio = 3 * np.eye(3)[mood] + rng.standard_normal((count, 3))
    audio[::2] = rng.standard_normal((count // 2, 3))
    features = {"audio": audio.astype(np.float32), "text": rng.standard_normal((count, 4)).astype(np.float32)}
    ids = {"utterance_id": [f"u{n:04d}" for n in range(count)], "turn": np.arange(count) % 8}
    names = {name: [f"{name}{n}" for n in dialogue] for name in ("speaker", "session", "dialogue")}
    corpus = replace(
        small_task.corpus,
        utterances=pd.DataFrame({**ids, **names}),
        labels=np.where(np.arange(count) % 2 == 0, mood, -1),
        features=features,
        present={name: np.ones(count, dtype=bool) for name in features},
    )
    train, dev, test = (
        np.flatnonzero(np.isin(dialogue % 4, part) & (corpus.labels >= 0)) for part in ((0, 3), (1,), (2,))
    )
    return Task(corpus, (Fold.make("one", corpus, train, dev, test, train + 1),), (0, 1))


def test_dialogue_context_is_learnt_and_gone_without_it(small_task):
    task = moody_task(small_task)
    with_context, without = (
        metrics.uar(run(changed(epochs=15, max_turns=turns), task)[-1].confusions["test", "audio+text"]).mean()
        for turns in (None, 1)
    )
    assert with_context > 0.75
    assert without < 0.55
