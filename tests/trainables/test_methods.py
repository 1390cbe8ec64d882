"""What every method promises, whatever it does inside; a new method is held to all of it by its line in METHODS."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load, save

import search_spaces
from search_spaces.change import apply, difference, get_field, paths
from search_spaces.space import Choice, lacking, without_copies
from sweeper.artifacts import keys
from trainables import conditions, metrics
from trainables.epoch import Epoch
from trainables.methods import METHODS, config_of, get
from trainables.protocols import Fold
from trainables.selection import choose_epoch
from trainables.task import Task

#: Every method small enough for a table of tests; without a line here, only its epochs and batches are made small.
TINY = {
    "cm_arr": {
        "train.tokens": 2,
        "train.channels": 4,
        "train.heads": 2,
        "train.transforms": 2,
        "train.flow_hidden": [4],
        "train.blocks": 1,
        "train.batch_size": 40,
    },
    "concat_mlp": {"classify.hidden": [6], "classify.learning_rate": 0.01},
    "distribution_matching": {
        "network.hidden": [8],
        "network.latent_dim": 4,
        "network.classifier": [6],
        "pretrain.learning_rate": 0.01,
        "train.learning_rate": 0.01,
    },
    "linear": {},
    "mi_infogan": {
        "align.hidden": [8],
        "align.feature_dim": 4,
        "align.learning_rate": 0.01,
        "generate.noise_dim": 3,
        "generate.learning_rate": 1e-3,
        "augment.learning_rate": 0.01,
    },
    "subspace_mapping": {"fuse.hidden": 8, "fuse.heads": 2, "fuse.batch_size": 6, "fuse.learning_rate": 0.01},
}
#: Rows that need a setting of their own to change anything.
BESIDE: dict[tuple[str, str], dict[str, object]] = {}
SMALL = {"epochs": 2, "batch_size": 16}
EVERY = pytest.mark.parametrize("method", sorted(METHODS))
PARTS = ("train", "dev", "test", "unlabeled")


@dataclass
class Trained:
    """All that the stages of a method gave: their epochs, the state after each, and their artifacts."""

    epochs: dict[str, list[Epoch]] = field(default_factory=dict)
    states: dict[str, list[dict]] = field(default_factory=dict)
    artifacts: dict[str, dict[str, torch.Tensor]] = field(default_factory=dict)


def tiny(method):
    config = config_of(method)()
    small = {path: SMALL[name] for path in paths(config) if (name := path.rpartition(".")[2]) in SMALL}
    return apply(config, small | TINY.get(method, {}))


def train(method, config, task, done=None):
    """Run the active stages; those that ``done`` has by their key are taken from there."""
    made, found = Trained(), {} if done is None else done
    key_of = keys(method, config, "")
    for stage in method.active(config):
        key = key_of[stage.name]
        if key not in found:
            pairs = [(epoch, epoch.state) for epoch in stage.run(config, task, dict(made.artifacts), None)]
            found[key] = [epoch for epoch, _ in pairs], [state for _, state in pairs]
        made.epochs[stage.name], made.states[stage.name] = found[key]
        made.artifacts[stage.name] = made.epochs[stage.name][-1].artifact
    return made


@pytest.fixture(scope="module")
def task(small_task):
    """Two folds, one seed, two rows; a sixth of the utterances has lost its label.

    Dialogues lie within a session, as they do in a real corpus: a method may read the dialogue of what it classifies.
    """
    corpus = small_task.corpus
    place = np.arange(len(corpus.labels))
    labels = corpus.labels.copy()
    labels[::6] = -1
    table = corpus.utterances.assign(
        label=[corpus.classes[each] if each >= 0 else None for each in labels],
        dialogue=corpus.utterances["session"] + [f"-{number}" for number in place // 40],
        turn=place // 4 % 10,
    )
    corpus = replace(corpus, labels=labels, utterances=table)
    folds = []
    for fold in small_task.folds[:2]:
        parts = {name: getattr(fold, name) for name in PARTS}
        known = {name: rows[labels[rows] >= 0] for name, rows in parts.items()}
        lost = parts["train"][labels[parts["train"]] < 0]
        rest = np.concatenate([parts["unlabeled"], lost])
        folds.append(Fold.make(fold.name, corpus, known["train"], known["dev"], known["test"], rest))
    return Task(corpus, tuple(folds), (0,))


@pytest.fixture(scope="module")
def base(task):
    """Every method trained once on the task, and the stages that its ablation rows may share."""
    done = {}

    @cache
    def make(name):
        return train(get(name), tiny(name), task, done.setdefault(name, {}))

    make.done = done
    return make


def numbers(epoch, row=None):
    """Loss terms and confusion counts of an epoch, of all rows (and then by speaker too) or of one."""
    each = slice(None) if row is None else slice(row, row + 1)
    counts = {key: values[each].tolist() for key, values in epoch.confusions.items()}
    if row is None:
        counts |= {("test", "by speaker", name): values.tolist() for name, values in epoch.speakers.items()}
    return {name: values[each].tolist() for name, values in epoch.terms.items()} | counts


def dev_numbers(epoch, row=None):
    return {key: value for key, value in numbers(epoch, row).items() if key[0] != "test"}


def assert_same(first, second, *, numbers=numbers):
    """Bit for bit: terms, counts, artifacts."""
    assert list(first.epochs) == list(second.epochs)
    for stage, epochs in first.epochs.items():
        assert [numbers(epoch) for epoch in epochs] == [numbers(epoch) for epoch in second.epochs[stage]], stage
        assert_same_tensors(first.artifacts[stage], second.artifacts[stage])


def assert_same_tensors(first, second, row=None):
    assert set(first) == set(second)
    for name, tensor in first.items():
        one, other = (tensor, second[name]) if row is None else (tensor[row], second[name][row])
        assert torch.equal(one, other), name


def with_corpus(task, **changes):
    return Task(replace(task.corpus, **changes), task.folds, task.seeds)


def missing_rows(corpus):
    return {name: ~mask for name, mask in corpus.present.items()}


def filled(corpus, value, where):
    """Features with the given rows of each modality overwritten."""
    return {
        name: np.where(where[name][:, None], np.float32(value), features) for name, features in corpus.features.items()
    }


# what it says of itself


@EVERY
def test_the_config_has_defaults_and_refuses_unknown_keys(method):
    config = config_of(method)
    made = config()
    assert config.model_validate(made.model_dump(mode="json")) == made
    with pytest.raises(ValidationError, match="extra"):
        config.model_validate({"nonsense": 1})
    for section in config.model_fields:
        with pytest.raises(ValidationError, match="extra"):
            config.model_validate({section: {"nonsense": 1}})
        with pytest.raises(ValidationError, match="frozen"):
            getattr(made, section).__setattr__(next(iter(type(getattr(made, section)).model_fields)), 1)


@EVERY
def test_every_setting_is_explained(method):
    for section in config_of(method).model_fields.values():
        for name, each in section.annotation.model_fields.items():
            assert each.description, name


@EVERY
def test_the_module_says_where_it_is_from_and_where_it_departs(method):
    text = importlib.import_module(f"{METHODS[method]}.method").__doc__
    assert "Citation:" in text
    assert "====" in text, "a table: equation or step -> function"
    assert "ecision" in text or "eviation" in text
    made = get(method)
    assert (made.name, made.version >= 1) == (method, True)
    assert made.title
    assert made.citation


@EVERY
def test_functions_named_in_the_table_are_there(method):
    """Names in backquotes such as `align.total` are of the method's modules or of shared ones."""
    module = importlib.import_module(f"{METHODS[method]}.method")
    table = module.__doc__.partition("====")[2].rpartition("====")[0]
    for dotted in {word.strip("`,") for word in table.split() if word.startswith("`") and word.strip("`,").count(".")}:
        home, *inside = dotted.split(".")
        found = None
        for place in (f"{METHODS[method]}.{home}", f"trainables.{home}"):
            try:
                found = importlib.import_module(place)
                break
            except ModuleNotFoundError:
                continue
        assert found is not None, dotted
        for name in inside:
            found = getattr(found, name)


@EVERY
def test_stages_are_the_sections_in_order(method):
    made, sections = get(method), list(config_of(method).model_fields)
    names = [stage.name for stage in made.stages]
    assert names == [name for name in sections if name in names]
    known = paths(tiny(method))
    for stage in made.stages:
        for path in stage.depends:
            assert any(each == path or each.startswith(f"{path}.") for each in known), path
    assert any(stage.classifies for stage in made.active(tiny(method)))


# what a stage yields


@EVERY
def test_epochs_are_as_many_as_announced(method, base):
    made, config, trained = get(method), tiny(method), base(method)
    assert list(trained.epochs) == [stage.name for stage in made.active(config)]
    for stage in made.active(config):
        epochs = trained.epochs[stage.name]
        total = stage.epochs(config)
        assert [(each.stage, each.index, each.total) for each in epochs] == [
            (stage.name, index, total) for index in range(1, total + 1)
        ]
        assert [each.artifact is not None for each in epochs] == [False] * (total - 1) + [True]


@EVERY
def test_terms_are_finite_and_every_held_out_utterance_counted_once(method, base, task):
    made = get(method)
    classifies = {stage.name: stage.classifies for stage in made.stages}
    for stage, epochs in base(method).epochs.items():
        for epoch in epochs:
            assert epoch.terms
            for values in epoch.terms.values():
                assert values.shape == (len(task.rows),)
                assert np.isfinite(values).all()
            assert bool(epoch.confusions) == classifies[stage]
            for (split, condition), counts in epoch.confusions.items():
                assert condition == conditions.name(condition.split("+"))
                assert set(condition.split("+")) <= set(task.corpus.features)
                expected = [len(getattr(fold, split)) for fold, _ in task.rows]
                assert counts.sum((1, 2)).tolist() == expected, (split, condition)


@EVERY
def test_test_speakers_are_counted_one_by_one(method, base, task):
    """Together they are the counts of the row, at its chosen epoch; each has as many as he or she says."""
    rows = np.array([row for row, _ in task.tested])
    said = [
        np.bincount(own, minlength=len(task.corpus.classes)).tolist()
        for row, name in task.tested
        for test in [task.rows[row][0].test]
        for own in [task.corpus.labels[test[task.corpus.speakers[test] == name]]]
    ]
    for epochs in base(method).epochs.values():
        for epoch in epochs:
            by_row = {name: counts for (split, name), counts in epoch.confusions.items() if split == "test"}
            assert epoch.speakers.keys() == by_row.keys()
            for condition, counts in epoch.speakers.items():
                assert counts.sum(2).tolist() == said
                for row, total in enumerate(by_row[condition]):
                    assert counts[rows == row].sum(0).tolist() == total.tolist()


@EVERY
def test_what_is_measured_is_explained(method, base):
    explained = get(method).measures
    found = {each.measure for epochs in base(method).epochs.values() for each in epochs[-1].diagnostics}
    assert found <= set(explained)
    for title, meaning in explained.values():
        assert title
        assert meaning


@EVERY
def test_kept_vectors_are_of_one_row_and_few(method, base, task):
    for epochs in base(method).epochs.values():
        for each in epochs[-1].embeddings:
            assert each.row == 0
            assert each.vectors.ndim == 2
            assert len(each.labels) == len(each.vectors) <= 600
            assert np.isfinite(each.vectors).all()


# equal numbers


@EVERY
def test_same_seed_same_numbers(method, base, task):
    assert_same(base(method), train(get(method), tiny(method), task))


@EVERY
def test_resumed_equals_uninterrupted(method, base, task):
    """From the state after the first epoch, as safetensors hold it; bit for bit."""
    trained, artifacts = base(method), {}
    for stage in get(method).active(tiny(method)):
        whole = trained.epochs[stage.name]
        if len(whole) > 1:
            state = load(save({k: v.contiguous() for k, v in trained.states[stage.name][0].items()}))
            rest = list(stage.run(tiny(method), task, dict(artifacts), state))
            assert [numbers(epoch) for epoch in rest] == [numbers(epoch) for epoch in whole[1:]]
            assert_same_tensors(whole[-1].artifact, rest[-1].artifact)
            assert rest[-1].diagnostics == whole[-1].diagnostics
            assert rest[-1].flags == whole[-1].flags
        artifacts[stage.name] = whole[-1].artifact


@EVERY
def test_a_row_trained_with_others_equals_the_row_alone(method, base, task, one_row):
    """The row with most utterances: an epoch has its steps for all, so a smaller one alone would take fewer."""
    row = int(np.argmax([len(fold.train) for fold, _ in task.rows]))
    together, alone = base(method), train(get(method), tiny(method), one_row(task, row))
    for stage, epochs in together.epochs.items():
        for whole, single in zip(epochs, alone.epochs[stage], strict=True):
            for name, values in whole.terms.items():
                assert values[row] == pytest.approx(single.terms[name][0], rel=1e-3, abs=1e-4), name
        for name, tensor in together.artifacts[stage].items():
            assert torch.allclose(tensor[row], alone.artifacts[stage][name][0], rtol=1e-3, atol=1e-3), name


@EVERY
def test_artifacts_are_stacked_tensors_that_a_file_can_hold(method, base, task):
    trained = base(method)
    kept = {}
    for stage, artifact in trained.artifacts.items():
        assert all(isinstance(tensor, torch.Tensor) for tensor in artifact.values())
        assert {len(tensor) for tensor in artifact.values()} == {len(task.rows)}
        kept[stage] = load(save({name: tensor.contiguous() for name, tensor in artifact.items()}))
        assert_same_tensors(artifact, kept[stage])
    predict = get(method).predict
    before, after = (predict(tiny(method), each, task.corpus) for each in (trained.artifacts, kept))
    assert np.array_equal(before, after, equal_nan=True)


# what must not be read


@EVERY
def test_test_utterances_change_nothing_but_test(method, base, task):
    """Other features and labels for the first fold's test part: its row keeps every number, bit for bit."""
    fold, rng, corpus = task.folds[0], np.random.default_rng(3), task.corpus
    labels = corpus.labels.copy()
    labels[fold.test] = (labels[fold.test] + 1) % len(corpus.classes)
    features = {name: array.copy() for name, array in corpus.features.items()}
    for name, array in features.items():
        there = fold.test[corpus.present[name][fold.test]]
        array[there] = 5 * rng.standard_normal((len(there), array.shape[1]))
    before = base(method)
    after = train(get(method), tiny(method), with_corpus(task, labels=labels, features=features))
    seen = []
    for stage, epochs in before.epochs.items():
        others = after.epochs[stage]
        assert [dev_numbers(epoch, 0) for epoch in epochs] == [dev_numbers(epoch, 0) for epoch in others], stage
        first, second = (elsewhere(each.artifacts[stage], fold.test, corpus) for each in (before, after))
        assert_same_tensors(first, second, 0)
        # A flag keeps an arm from being chosen, so nothing that is measured may come from test.
        measured = [{each for each in part[-1].diagnostics if each.row == 0} for part in (epochs, others)]
        assert measured[0] == measured[1], stage
        seen.append(numbers(epochs[-1], 0) != numbers(others[-1], 0))
    assert any(seen), "the test counts should have changed"


def elsewhere(artifact, rows, corpus):
    """An artifact without what it says of the given utterances, where it has something for each (R, N, ...)."""
    count = len(corpus.labels)
    kept = np.setdiff1d(np.arange(count), rows)
    return {name: each[:, kept] if each.shape[1:2] == (count,) else each for name, each in artifact.items()}


@EVERY
def test_a_missing_modality_is_never_read(method, base, task):
    """Corpora fill what is missing with NaN; any other filling gives the same numbers."""
    corpus, where = task.corpus, missing_rows(task.corpus)
    assert all(mask.any() and np.isnan(corpus.features[name][mask]).all() for name, mask in where.items())
    other = train(get(method), tiny(method), with_corpus(task, features=filled(corpus, 1e30, where)))
    assert_same(base(method), other)


@EVERY
def test_the_label_of_an_unlabeled_utterance_is_never_read(method, base, task, small_task):
    """Its name in the table is no label: only class indices are, and there it is -1."""
    table = task.corpus.utterances.assign(label=small_task.corpus.utterances["label"])  # as before they were lost
    assert table["label"].notna().sum() > (task.corpus.labels >= 0).sum()
    assert_same(base(method), train(get(method), tiny(method), with_corpus(task, utterances=table)))


# prediction


def masked(corpus, condition):
    """The corpus with only the modalities of a condition."""
    there = condition.split("+")
    present = {name: mask & (name in there) for name, mask in corpus.present.items()}
    gone = {name: ~mask for name, mask in present.items()}
    return replace(corpus, present=present, features=filled(corpus, np.nan, gone))


@EVERY
def test_predict_gives_what_was_scored(method, base, task):
    """The most probable classes make up the counts reported for test, in every condition, at the chosen epoch."""
    made, trained, corpus = get(method), base(method), task.corpus
    last = [stage.name for stage in made.active(tiny(method)) if stage.classifies][-1]
    reported = {name: each for (split, name), each in trained.epochs[last][-1].confusions.items() if split == "test"}
    for condition, counts in reported.items():
        part = masked(corpus, condition)
        probabilities = made.predict(tiny(method), trained.artifacts, part)
        assert probabilities.shape == (len(task.rows), len(corpus.labels), len(corpus.classes))
        known = np.any([part.present[name] for name in condition.split("+")], axis=0)
        assert np.allclose(probabilities[:, known].sum(-1), 1, atol=1e-4)
        for row, (fold, _) in enumerate(task.rows):
            answered = fold.test[known[fold.test]]
            again = np.zeros_like(counts[row])
            np.add.at(again, (corpus.labels[answered], probabilities[row, answered].argmax(-1)), 1)
            silent = len(fold.test) - len(answered)
            assert np.abs(again - counts[row]).sum() <= silent + 2, "one tie may fall to either side"


@EVERY
def test_the_chosen_epoch_is_the_first_best_on_dev(method, base, task):
    """Test counts of the last epoch are those that were reported at each row's chosen epoch."""
    made = get(method)
    for stage in (each for each in made.active(tiny(method)) if each.classifies):
        epochs = base(method).epochs[stage.name]
        dev = [
            np.mean([metrics.uar(c) for (split, _), c in epoch.confusions.items() if split == "dev"], axis=0)
            for epoch in epochs
        ]
        for row, chosen in enumerate(choose_epoch(np.stack(dev))):
            for key, counts in epochs[-1].confusions.items():
                if key[0] == "test":
                    assert np.array_equal(counts[row], epochs[chosen].confusions[key][row])


@EVERY
def test_predict_does_not_read_what_is_missing_nor_labels(method, base, task):
    made, artifacts, config = get(method), base(method).artifacts, tiny(method)
    corpus = masked_at_random(task.corpus)
    gone = missing_rows(corpus)
    first, second = (
        made.predict(config, artifacts, replace(corpus, features=filled(corpus, value, gone))) for value in (np.nan, 7)
    )
    assert np.array_equal(first, second, equal_nan=True)
    whole = np.all(list(corpus.present.values()), axis=0)
    assert np.isfinite(first[:, whole]).all()
    nan = np.isnan(first)
    assert (nan.all(-1) == nan.any(-1)).all()
    unlabeled = replace(corpus, labels=np.full_like(corpus.labels, -1))
    assert np.array_equal(first, made.predict(config, artifacts, unlabeled), equal_nan=True)


def masked_at_random(corpus):
    """A third of the utterances without each modality, a few without any."""
    rng = np.random.default_rng(5)
    present = {name: mask & (rng.random(len(mask)) > 0.33) for name, mask in corpus.present.items()}
    return replace(corpus, present=present)


@EVERY
def test_training_for_keeps(method, task):
    """All labeled utterances, no dev part, no test part."""
    corpus = task.corpus
    final = Task(corpus, (Fold.for_training(corpus, np.flatnonzero(corpus.labels >= 0)),), (0, 1))
    trained = train(get(method), tiny(method), final)
    probabilities = get(method).predict(tiny(method), trained.artifacts, corpus)
    assert probabilities.shape == (2, len(corpus.labels), len(corpus.classes))
    whole = np.all(list(corpus.present.values()), axis=0)
    assert np.isfinite(probabilities[:, whole]).all()


# its search space

ROWS = [(name, row) for name in sorted(METHODS) for row in search_spaces.get(name).ablation]


def filmed(task):
    """The task with a third modality, for rows about it."""
    rng, corpus = np.random.default_rng(4), task.corpus
    present = rng.random(len(corpus.labels)) > 0.05
    video = (corpus.features["text"][:, :5] + rng.standard_normal((len(present), 5))).astype(np.float32)
    present &= corpus.present["text"]
    return with_corpus(
        task,
        features={**corpus.features, "video": np.where(present[:, None], video, np.nan)},
        present={**corpus.present, "video": present},
    )


def heard(task):
    """The task with augmented copies of its audio, for rows about them."""
    audio = task.corpus.features["audio"]
    kinds = ("noise10", "speed0.9", "pitch2", "stretch0.9", "specaugment")
    rng = np.random.default_rng(6)
    return with_corpus(
        task, copies={kind: (audio + 0.2 * rng.standard_normal(audio.shape)).astype(np.float32) for kind in kinds}
    )


@pytest.mark.parametrize(("method", "row"), ROWS, ids=lambda each: getattr(each, "name", each))
def test_every_ablation_row_changes_the_numbers(method, row, base, task):
    """Other loss terms, other numbers or another condition; stages that a row leaves alone are not trained again."""
    config, done = apply(tiny(method), BESIDE.get((method, row.name), {})), base.done.setdefault(method, {})
    if lacking(row.change, tuple(task.corpus.features)):
        task, done = filmed(task), {}
    if without_copies(row.change, tuple(task.corpus.copies)):
        task = heard(task)
    changed = apply(config, row.change)
    assert difference(changed, config)
    before, after = (train(get(method), each, task, done) for each in (config, changed))
    first, second = ([numbers(each) for epochs in t.epochs.values() for each in epochs] for t in (before, after))
    assert first != second


@EVERY
def test_the_claim_of_every_row_is_stated_once(method):
    rows = search_spaces.get(method).ablation
    assert all(row.claim for row in rows)
    assert len({row.name for row in rows}) == len(rows)
    default = config_of(method)()
    assert len({apply(default, row.change).model_dump_json() for row in rows}) == len(rows)


@EVERY
def test_every_range_and_grid_fits_its_field(method):
    spaces, default = search_spaces.get(method), config_of(method)()
    assert spaces.method == method
    for path, values in spaces.sensitivity.items():
        assert [get_field(apply(default, {path: value}), path) for value in values] == [*map(plain, values)]
        assert len({repr(value) for value in values}) == len(values)
    for space in spaces.spaces.values():
        for path, made in space.items():
            ends = made.options if isinstance(made, Choice) else (made.low, made.high)
            assert [get_field(apply(default, {path: value}), path) for value in ends] == [*map(plain, ends)]
    for fields in spaces.needs.values():
        assert fields <= set(paths(default))


def plain(value):
    """A value as JSON holds it."""
    return list(value) if isinstance(value, tuple) else value
