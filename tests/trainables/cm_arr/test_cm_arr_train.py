from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from search_spaces.change import apply
from search_spaces.cm_arr import ABLATION, SENSITIVITY
from trainables import corpus as corpora
from trainables import metrics, synth
from trainables.cm_arr import train
from trainables.cm_arr.config import Config, Train
from trainables.cm_arr.method import METHOD
from trainables.cm_arr.quality import MEASURES
from trainables.errors import InputError
from trainables.losses import supervised_contrastive
from trainables.prepared import Prepared
from trainables.protocols import Protocol, cut
from trainables.stacking import Draws, Optimizer
from trainables.task import Task

TINY = Train(
    tokens=2,
    channels=16,
    heads=2,
    transforms=2,
    flow_hidden=(8,),
    blocks=1,
    batch_size=64,
    epochs=3,
    learning_rate=3e-3,
    dropout=0.2,
)
SMALL = Config(train=TINY)


def changed(**changes):
    return Config(train=Train(**{**TINY.model_dump(), **changes}))


def run(config, task, state=None):
    return list(train.run(config, task, {}, state))


@pytest.fixture(scope="module")
def task(small_task):
    return Task(small_task.corpus, small_task.folds[:2], (0,))


@pytest.fixture(scope="module")
def finished(task):
    return run(SMALL, task)


@pytest.fixture(scope="module")
def one_fold(small_task):
    return Task(small_task.corpus, small_task.folds[:1], (0,))


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """The built-in corpus with three modalities; some utterances lack one."""
    folder = synth.write(
        tmp_path_factory.mktemp("three") / "corpus",
        speakers=6,
        sessions=3,
        dialogues=6,
        modalities=("audio", "text", "video"),
        missing={"audio": 0.05, "text": 0.05, "video": 0.05},
    )
    corpus = corpora.load(folder)
    folds, _ = cut(corpus, Protocol(kind="predefined"))
    return Task(corpus, folds, (0,))


def one_step(config, task, purpose="step"):
    """Terms of the first batch and parameters after a step of plain size."""
    prepared = Prepared.make(task, train.modalities(config, task))
    stack = train.prepared_stack(config, prepared)
    before = stack.state()
    optimizer = Optimizer([stack], learning_rate=0.01)
    draws = Draws(task, purpose)
    chosen = draws.batches(prepared.train, 1, 32)[:, 0]
    batch = train._batch(config.train, prepared, draws, chosen) | {"weights": prepared.weights(True)}
    terms = train.map_rows(lambda p, b: train.losses(config.train, stack, p, b), stack.params, batch)
    optimizer.step(train.total(config.train, terms))
    return before, stack.state(), {name: value.detach() for name, value in terms.items()}


def untouched(before, after):
    return {name for name in before if torch.equal(before[name], after[name])}


def test_terms_are_those_of_equation_14(task):
    config = changed(likelihood=0.5, dropout=0.0, alpha=0.7, beta=0.3, lambda_rec=2.0).train
    prepared = Prepared.make(task)
    stack = train.prepared_stack(Config(train=config), prepared)
    draws = Draws(task, "terms")
    chosen = draws.batches(prepared.train, 1, 16)[:, 0]
    batch = train._batch(config, prepared, draws, chosen) | {"weights": prepared.weights(True)}
    terms = train.map_rows(lambda p, b: train.losses(config, stack, p, b), stack.params, batch)

    row = 1
    net = train.Model(config, prepared.dims, prepared.classes)
    net.load_state_dict({name: tensor[row] for name, tensor in stack.params.items()}, strict=False)
    x = {name: each[row] for name, each in batch["x"].items()}
    available, present, y = batch["available"][row], batch["present"][row], batch["y"][row]
    out = net({"x": x, "available": available})
    hidden = present & ~available[0]
    assert hidden.any()
    squares = (out["recovered"][0] - out["x"]).square().mean((-1, -2))
    expected = {
        "cls": F.cross_entropy(out["logits"][0], y, weight=batch["weights"][row]),
        "udcl": train.alignment(config, dict(net.named_parameters()), out, present),
        "spcl": supervised_contrastive(
            out["used"][0].reshape(32, -1), y.repeat_interleave(2), torch.arange(32) // 2, temperature=0.1
        ),
        "rec": squares[hidden].mean(),
        "nll": torch.stack(
            [-net.recovery[n].flow().log_prob(out["x"][:, k].flatten(1)) / 32 for k, n in enumerate(prepared.dims)], 1
        )[present].mean(),
    }
    assert set(terms) == set(expected)
    for name, value in expected.items():
        assert terms[name][row].item() == pytest.approx(value.item(), abs=1e-4), name
    whole = expected["cls"] + 0.7 * expected["udcl"] + 0.3 * expected["spcl"] + 2 * expected["rec"]
    whole = whole + 0.5 * expected["nll"]
    assert train.total(config, terms)[row].item() == pytest.approx(whole.item(), abs=1e-3)


def test_every_parameter_gets_a_gradient_but_the_shift_that_cancels(one_fold):
    """b of eq. 5 has no gradient but rounding."""
    before, after, _ = one_step(SMALL, one_fold)
    assert untouched(before, after) <= {"shift"}


#: What a row leaves as it was, beside the shift: parts of the alignment only.
UNTOUCHED = {
    "w/o L_udcl": ("log_", "uncertainty.deviation"),
    "Baseline": ("log_",),
    "Baseline trained on all conditions": ("log_",),
    "w/o L_rec": (),
}


@pytest.mark.parametrize("row", ABLATION, ids=lambda row: row.name)
def test_every_row_trains_all_its_parameters_and_changes_the_training(one_fold, row):
    plain = one_step(SMALL, one_fold)
    config = apply(SMALL, row.change)
    before, after, terms = one_step(config, one_fold)
    allowed = UNTOUCHED.get(row.name, ())
    left = {name for name in untouched(before, after) - {"shift"} if not any(part in name for part in allowed)}
    assert not left
    differs = set(terms) != set(plain[2]) or set(after) != set(plain[1])
    assert differs or any(not torch.equal(after[name], plain[1][name]) for name in after)


@pytest.mark.parametrize("path", [path for path in SENSITIVITY if path != "train.learning_rate"])
def test_every_probed_field_changes_the_training(one_fold, path):
    first, last = SENSITIVITY[path][0], SENSITIVITY[path][-1]
    ends = [one_step(apply(SMALL, {path: value}), one_fold) for value in (first, last)]
    (_, one, one_terms), (_, other, other_terms) = ends
    same = set(one_terms) == set(other_terms) and set(one) == set(other)
    assert not same or any(one[k].shape != other[k].shape or not torch.equal(one[k], other[k]) for k in one)


@pytest.mark.parametrize(
    ("weight", "term"), [("alpha", "udcl"), ("beta", "spcl"), ("lambda_rec", "rec"), ("likelihood", "nll")]
)
def test_a_weight_of_zero_skips_its_term(one_fold, weight, term):
    assert term not in one_step(changed(**{weight: 0.0}), one_fold)[2]
    assert term in one_step(changed(**{weight: 0.5}), one_fold)[2]


def test_drawing_x_from_its_gaussian_changes_the_training_only(one_fold):
    plain, drawn = one_step(SMALL, one_fold)[2], one_step(changed(drawn=True), one_fold)[2]
    assert plain["udcl"] == drawn["udcl"]
    assert plain["cls"] != drawn["cls"]
    last = run(changed(drawn=True, epochs=1), one_fold)[-1]
    artifact = {"train": last.artifact}
    first, second = (METHOD.predict(changed(drawn=True), artifact, one_fold.corpus) for _ in range(2))
    assert np.array_equal(first, second, equal_nan=True)


def test_every_subset_is_a_condition_with_every_test_utterance(finished, task):
    counts = {key: each for key, each in finished[-1].confusions.items() if key[0] == "test"}
    assert set(counts) == {("test", name) for name in ("audio", "text", "audio+text")}
    for each in counts.values():
        assert each.sum((1, 2)).tolist() == [len(fold.test) for fold, _ in task.rows]


def test_three_modalities_give_seven_conditions_and_all_learn_but_the_noise(three):
    config = changed(epochs=10, batch_size=16, learning_rate=5e-3, alpha=0.1, dropout=0.0)
    last = run(config, three)[-1]
    uar = {name: metrics.uar(counts).mean() for (part, name), counts in last.confusions.items() if part == "test"}
    assert len(uar) == 7
    assert uar["audio+text+video"] > 0.5, "chance is 0.25"
    assert uar["text"] > uar["video"] + 0.1, "the video of the built-in corpus is noise"
    assert {"audio: recovered", "text: recovered", "video: recovered"} < {e.kind for e in last.embeddings}
    probabilities = METHOD.predict(config, {"train": last.artifact}, three.corpus)
    assert np.isfinite(probabilities).all()


def test_chance_is_beaten_under_every_condition(task):
    last = run(changed(epochs=8), task)[-1]
    for (part, name), counts in last.confusions.items():
        assert metrics.uar(counts).mean() > 1.5 / 3, (part, name)


def test_same_seed_same_numbers(finished, task):
    again = run(SMALL, task)
    for a, b in zip(finished, again, strict=True):
        assert all(np.array_equal(a.terms[name], b.terms[name]) for name in a.terms)
    assert all(torch.equal(finished[-1].artifact[k], again[-1].artifact[k]) for k in again[-1].artifact)
    assert finished[-1].diagnostics == again[-1].diagnostics


def test_resumed_equals_uninterrupted(finished, task):
    stages = train.run(SMALL, task, {})
    for done in (1, 2):
        rest = run(SMALL, task, next(stages).state)
        assert [epoch.index for epoch in rest] == list(range(done + 1, 4))
        for a, b in zip(finished[done:], rest, strict=True):
            assert all(np.array_equal(a.confusions[key], b.confusions[key]) for key in a.confusions)
        assert all(torch.equal(finished[-1].artifact[k], rest[-1].artifact[k]) for k in rest[-1].artifact)
        assert finished[-1].diagnostics == rest[-1].diagnostics


def test_a_row_of_the_stack_equals_the_row_alone(finished, task, one_row):
    row = len(task.rows) - 1
    alone = run(SMALL, one_row(task, row))
    for name in ("fusion.classifier.weight", "recovery.text.blocks.0.gate.0.weight", "log_scale"):
        difference = (finished[-1].artifact[name][row] - alone[-1].artifact[name][0]).abs().max()
        assert difference < 1e-3, name
    for name in ("cls", "udcl", "spcl", "rec"):
        assert np.allclose(finished[-1].terms[name][row], alone[-1].terms[name][0], atol=1e-3), name


def test_a_missing_modality_is_never_read(finished, task, with_features):
    corpus = task.corpus
    poisoned = {}
    for name, array in corpus.features.items():
        poisoned[name] = array.copy()
        poisoned[name][~corpus.present[name]] = 1e6
    other_task = replace(task, corpus=with_features(corpus, **poisoned))
    other = run(SMALL, other_task)[-1]
    assert all(torch.equal(finished[-1].artifact[k], other.artifact[k]) for k in other.artifact)
    first, second = (METHOD.predict(SMALL, {"train": other.artifact}, each) for each in (corpus, other_task.corpus))
    assert np.array_equal(first, second)


def test_a_condition_never_reads_what_is_outside_it(finished, task):
    prepared = Prepared.make(task)
    stack = train.prepared_stack(SMALL, prepared).load(finished[-1].artifact)
    every = np.ones(prepared.rows, dtype=bool)
    index = prepared.part("test").index
    clean = train.held_out(prepared, index, every)
    logits = stack.apply(clean, every)["logits"].detach()
    clean["x"]["text"] = torch.full_like(clean["x"]["text"], torch.nan)
    poisoned = stack.apply(clean, every)["logits"].detach()
    has_text = prepared.present["text"][index]
    assert torch.equal(logits[:, 0], poisoned[:, 0])  # audio
    assert torch.equal(poisoned[:, 1].isnan().all(-1), has_text)  # text
    assert torch.equal(poisoned[:, 2].isnan().all(-1), has_text)  # both


def test_labels_of_test_and_what_is_unlabeled_change_nothing_trained(small_task, shuffle_test_labels):
    task = Task(small_task.corpus, small_task.folds[:1], small_task.seeds)
    before, after = run(SMALL, task), run(SMALL, shuffle_test_labels(small_task))
    assert all(torch.equal(before[-1].artifact[k], after[-1].artifact[k]) for k in before[-1].artifact)
    for key in before[-1].confusions:
        same = np.array_equal(before[-1].confusions[key], after[-1].confusions[key])
        assert same == (key[0] == "dev")
    labels = task.corpus.labels.copy()
    labels[labels < 0] = 2
    told = Task(replace(task.corpus, labels=labels), task.folds, task.seeds)
    assert all(torch.equal(before[-1].artifact[k], v) for k, v in run(SMALL, told)[-1].artifact.items())


def test_predict_gives_what_was_scored(finished, task):
    corpus = task.corpus
    probabilities = METHOD.predict(SMALL, {"train": finished[-1].artifact}, corpus)
    assert np.allclose(probabilities.sum(-1), 1, atol=1e-5)
    counts = finished[-1].confusions["test", "audio+text"]
    for row, (fold, _) in enumerate(task.rows):
        expected = np.zeros_like(counts[row])
        np.add.at(expected, (corpus.labels[fold.test], probabilities[row, fold.test].argmax(-1)), 1)
        assert np.abs(expected - counts[row]).sum() <= 2  # a tie may fall to either side


def test_predict_takes_what_an_utterance_has(finished, task):
    corpus = task.corpus
    present = {name: each.copy() for name, each in corpus.present.items()}
    features = {name: each.copy() for name, each in corpus.features.items()}
    for name, rows in (("audio", [0, 1]), ("text", [0, 2])):
        present[name][rows], features[name][rows] = False, np.nan
    whole = METHOD.predict(SMALL, {"train": finished[-1].artifact}, corpus)
    partly = METHOD.predict(
        SMALL, {"train": finished[-1].artifact}, replace(corpus, features=features, present=present)
    )
    assert np.isnan(partly[:, 0]).all()
    assert np.isfinite(partly[:, 1:]).all()
    assert not np.allclose(partly[:, 1:3], whole[:, 1:3])
    assert np.allclose(partly[:, 3:], whole[:, 3:])


def test_fewer_than_two_modalities_are_refused(small_task, without_modality):
    with pytest.raises(InputError, match="needs two or more, found audio"):
        run(SMALL, without_modality(small_task, "text"))
    with pytest.raises(InputError, match="needs two or more, found text"):
        run(changed(inputs="text"), small_task)


def test_some_of_the_modalities_may_be_chosen(three):
    config = changed(inputs="audio+text", epochs=1)
    last = run(config, three)[-1]
    assert {name for _, name in last.confusions} == {"audio", "text", "audio+text"}
    assert not any("video" in name for name in last.artifact)
    assert METHOD.predict(config, {"train": last.artifact}, three.corpus).shape[0] == 1


def test_measures_are_named_and_vectors_kept(finished, task):
    diagnostics = finished[-1].diagnostics
    assert {each.measure for each in diagnostics} == set(MEASURES)
    assert {each.label for each in diagnostics} == {"audio", "text"}
    assert {each.row for each in diagnostics} == set(range(len(task.rows)))
    assert max(each.value for each in diagnostics if each.measure == "inverse_error") < 1e-3
    kinds = {each.kind: each for each in finished[-1].embeddings}
    assert list(kinds) == ["audio: true", "audio: recovered", "text: true", "text: recovered"]
    assert {each.vectors.shape[1] for each in kinds.values()} == {32}
    assert all(np.isfinite(each.vectors).all() for each in kinds.values())
    assert not np.allclose(kinds["text: true"].vectors, kinds["text: recovered"].vectors)
