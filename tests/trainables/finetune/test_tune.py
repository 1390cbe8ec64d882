"""Stage 1 over recordings and transcripts, and the stages that are fed by it."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from search_spaces.change import apply
from trainables import encoders, metrics
from trainables.errors import InputError
from trainables.finetune import adapters, folder
from trainables.finetune.vectors import audio_encoder
from trainables.finetune.waves import Waves, by_length
from trainables.lockstep import shape
from trainables.mi_infogan import align
from trainables.mi_infogan.data import Data, check
from trainables.mi_infogan.method import METHOD
from trainables.protocols import Fold
from trainables.task import Task

#: What is tuned: every architecture, both ways, each precision that a CPU has.
FORMS = {
    "AST in full, bf16": {"audio": "ast", "text": "bert", "tuning": {"precision": "bf16"}},
    "wav2vec 2.0 in full": {"audio": "wav2vec2", "text": "roberta"},
    "wav2vec 2.0 by LoRA, Llama by LoRA": {
        "audio": "wav2vec2_large",
        "text": "llama",
        "train": "lora",
        "text_train": "lora",
        "tuning": {"rank": 4, "precision": "bf16"},
    },
}


def run(config, task, state=None):
    return list(align.run(config, task, {}, state))


def same(first, second):
    """Terms, counts and artifacts of epochs, bit for bit."""
    for one, other in zip(first, second, strict=True):
        assert all(np.array_equal(values, other.terms[name]) for name, values in one.terms.items())
        assert all(np.array_equal(counts, other.confusions[pair]) for pair, counts in one.confusions.items())
    assert first[-1].artifact.keys() == second[-1].artifact.keys()
    return all(torch.equal(tensor, second[-1].artifact[name]) for name, tensor in first[-1].artifact.items())


@pytest.fixture(scope="module")
def first_row(task, one_row):
    return one_row(task, 0)


# learning


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_loss_falls_and_chance_is_beaten(form, config, first_row):
    given = FORMS[form]
    tuning = {"learning_rate": 0.01} | given.get("tuning", {})
    epochs = run(config(**given | {"tuning": tuning}, epochs=10), first_row)
    for name in epochs[0].terms:
        assert epochs[-1].terms[name].mean() < epochs[0].terms[name].mean(), name
    assert set(epochs[0].terms) == {"ser", "cl", "mi"} | ({"text"} if "text_train" in given else set())
    assert metrics.uar(epochs[-1].confusions["test", "audio"]).mean() > 0.5
    for name, tensor in epochs[-1].artifact.items():
        assert torch.isfinite(tensor).all(), name


@pytest.mark.slow
def test_what_is_trained_moves_and_nothing_else(config, first_row):
    """By LoRA the matrices and heads only; a weight of 0 leaves W_t as it began."""
    for given, pattern in (({"train": "lora"}, ("lora_", "norm.", "W_")), ({"beta": 0.0}, ("audio.", "norm.", "W_y"))):
        stage = align.run(config("wav2vec2", "bert", epochs=1, **given), first_row, {})
        before = {name: tensor.clone() for name, tensor in stage._model.state_dict().items()}
        stage._rows.enter(0)
        begun = {name: tensor.clone() for name, tensor in stage._model.state_dict().items()}
        next(stage)
        moved = {name for name, tensor in stage._model.state_dict().items() if not torch.equal(tensor, begun[name])}
        assert moved
        assert all(any(part in name for part in pattern) for name in moved), moved
        trained = {name for name, each in stage._model.named_parameters() if each.requires_grad}
        assert moved == trained
        assert {name for name in before if name.startswith("W_")} & moved


@pytest.mark.slow
def test_a_row_trained_with_others_equals_the_row_alone(config, task, one_row):
    settings = config("wav2vec2", "bert", beta=0.0)
    together = run(settings, task)
    for row in range(2):
        alone = run(settings, one_row(task, row))
        for whole, single in zip(together, alone, strict=True):
            assert whole.terms["ser"][row] == single.terms["ser"][0]
        for name, tensor in alone[-1].artifact.items():
            assert torch.equal(tensor[0], together[-1].artifact[name][row]), name


@pytest.mark.slow
@pytest.mark.parametrize(
    "given",
    [
        {"audio": "ast", "text": "bert"},
        {"audio": "wav2vec2", "text": "llama", "train": "lora", "text_train": "lora", "tuning": {"dropout": 0.2}},
        {"audio": "ast", "text": "bert", "train": "frozen"},
    ],
    ids=["full", "lora", "frozen"],
)
def test_resumed_equals_uninterrupted(given, config, task):
    """From the state after the first epoch, as safetensors hold it; bit for bit, dropout and all."""
    settings = config(**given)
    stage = align.run(settings, task, {})
    begun = [next(stage)]
    state = load(save({name: tensor.contiguous() for name, tensor in begun[0].snapshot().items()}))
    whole = begun + list(stage)
    rest = run(settings, task, state)
    assert [epoch.index for epoch in rest] == [2]
    assert same(whole[1:], rest)


@pytest.mark.slow
def test_test_utterances_change_nothing_but_test(config, task):
    """The first fold's test part all of one class, each with the recording and the words of another: but for rounding.

    What an utterance is batched with is rounded in another way.
    """
    settings, one = config("ast", "bert", epochs=1), Task(task.corpus, task.folds[:1], task.seeds)
    corpus, test = task.corpus, task.folds[0].test
    labels, order = corpus.labels.copy(), np.arange(len(corpus.labels))
    labels[test], order[test] = 0, np.roll(test, 1)
    words = corpus.utterances.assign(transcript=corpus.utterances["transcript"].to_numpy()[order])
    other = replace(corpus, labels=labels, utterances=words, recordings=corpus.recordings.take(order))
    [before], [after] = run(settings, one), run(settings, Task(other, task.folds[:1], task.seeds))
    tested = np.isin(np.arange(len(labels)), test)[corpus.labels >= 0]
    for name, tensor in before.artifact.items():
        rows = torch.from_numpy(~tested) if name in ("h", "t") else slice(None)
        assert torch.allclose(tensor[:, rows], after.artifact[name][:, rows], atol=1e-4), name
    assert (before.artifact["h"] - after.artifact["h"])[:, tested].abs().max() > 1e-2
    assert np.array_equal(before.confusions["dev", "audio"], after.confusions["dev", "audio"])
    assert not np.array_equal(before.confusions["test", "audio"], after.confusions["test", "audio"])
    [speakers] = before.speakers.values()
    assert speakers.sum() == len(one.folds[0].test)


# a frozen encoder


@pytest.mark.slow
def test_a_frozen_encoder_is_the_feature_form_number_for_number(config, task):
    """Against the feature form on a corpus that has the same encoders' vectors stored, one utterance at a time."""
    settings, corpus = config("wav2vec2", "bert", train="frozen"), task.corpus
    audio, text = encoders.load_audio(settings.align.encoder), encoders.load_text(settings.align.text_encoder)
    stored = {"audio": np.full((len(corpus.labels), 16), np.nan, np.float32)}
    stored["text"] = stored["audio"].copy()
    with torch.no_grad():
        for row in range(len(corpus.labels)):
            if corpus.present["audio"][row]:
                wave = corpus.recordings.read(row)[: round(0.45 * audio.rate)]
                stored["audio"][row] = audio.module(*audio.prepare([wave])).pooled.numpy()
            if corpus.present["text"][row]:
                words = corpus.utterances["transcript"][row]
                stored["text"][row] = text.module(*text.prepare([words])).pooled.numpy()
    columns = {"audio": "audio_wav2vec2", "text": "text_bert"}
    features = Task(replace(corpus, features=stored, columns=columns), task.folds, task.seeds)
    form = apply(settings, {"align.encoder": None, "align.text_encoder": None, "align.train": "full"})
    expected, found = run(form, features), run(settings, task)
    for one, other in zip(expected, found, strict=True):
        for name, values in one.terms.items():
            assert other.terms[name] == pytest.approx(values, rel=1e-3), name
    for name, tensor in expected[-1].artifact.items():
        assert torch.allclose(found[-1].artifact[name], tensor, rtol=1e-3, atol=1e-3), name
    rows = corpus.present["audio"][corpus.labels >= 0]
    h = align.Frozen.load(form, Data.of(form, features), expected[-1].artifact).h
    assert torch.allclose(found[-1].artifact["h"][:, rows], h[:, rows], rtol=1e-3, atol=1e-3)


# what follows


def whole(config, task):
    """Every active stage one after the other."""
    artifacts = {}
    for stage in METHOD.active(config):
        for epoch in stage.run(config, task, artifacts, None):
            artifacts |= {stage.name: epoch.artifact} if epoch.artifact else {}
    return artifacts


@pytest.fixture
def everything(task):
    """All for training, two seeds: the model for keeps."""
    return Task(
        task.corpus, (Fold.for_training(task.corpus, np.flatnonzero(task.corpus.labels >= 0)),), (0, 1), final=True
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "given",
    [
        {"audio": "ast", "text": "bert"},
        {"audio": "wav2vec2", "text": "llama", "train": "lora", "text_train": "lora", "feature_dim": 5},
        {"audio": "ast", "text": "bert", "train": "frozen"},
        {"audio": "wav2vec2_large", "train": "lora"},
    ],
    ids=["full", "lora", "frozen", "no text"],
)
def test_a_model_is_complete_and_classifies_as_what_was_trained(
    given, config, everything, without_modality, encoder, tmp_path
):
    """From a file, with the encoders' folders gone: probabilities are those of the features that were handed on."""
    settings, task = config(**given, epochs=1), everything
    if "text" in given:
        settings = apply(settings, {"augment.inputs": "audio+text", "augment.hidden": [4]})
    else:
        task = without_modality(task, "text")
        task = replace(task, final=True)
    gone = {
        field: str(shutil.copytree(getattr(settings.align, field), tmp_path / field))
        for field in ("encoder", "text_encoder")
        if getattr(settings.align, field)
    }
    settings = apply(settings, {f"align.{field}": path for field, path in gone.items()})
    artifacts = whole(settings, task)
    for path in gone.values():
        shutil.rmtree(path)
    kept = {stage: load(save({k: v.contiguous() for k, v in each.items()})) for stage, each in artifacts.items()}
    found = METHOD.predict(settings, kept, task.corpus)
    assert np.array_equal(found, METHOD.predict(settings, artifacts, task.corpus))
    assert found.shape == (2, len(task.corpus.labels), 3)
    expected = from_features(settings, task, artifacts)
    heard = task.corpus.present["audio"][task.corpus.labels >= 0]
    assert np.allclose(found[:, task.corpus.labels >= 0][:, heard], expected[:, heard], atol=1e-4)
    assert np.abs(found[0] - found[1]).max() > 1e-3


def from_features(settings, task, artifacts):
    """Probabilities of the labeled utterances from h and t as stage 1 handed them on."""
    aligned, classifier = artifacts["align"], artifacts["augment"]
    x = aligned["h"]
    if settings.augment.inputs == "audio+text":
        x = torch.cat([x, aligned["t"].expand(len(x), -1, -1)], -1)
    for layer in sorted({name.partition(".")[0] for name in classifier}, key=int):
        x = torch.relu(x) if layer != "0" else x
        x = x @ classifier[f"{layer}.weight"].mT + classifier[f"{layer}.bias"][:, None]
    return torch.softmax(x, -1).numpy()


@pytest.mark.slow
def test_without_being_final_no_weights_are_handed_on_and_prediction_says_so(config, first_row):
    settings = config("ast", "bert", epochs=1)
    artifacts = whole(settings, first_row)
    assert not [name for name in artifacts["align"] if "encoder" in name or name.startswith("files/")]
    assert {len(tensor) for tensor in artifacts["align"].values()} == {1}
    with pytest.raises(InputError, match="holds no audio encoder, only what a study keeps of it"):
        METHOD.predict(settings, artifacts, first_row.corpus)


@pytest.mark.slow
def test_tuned_texts_are_each_rows_own_in_the_stages_after(config, task):
    settings = config("wav2vec2", "llama", text_train="lora", epochs=1)
    one, two = (replace(task, folds=task.folds[:1], seeds=seeds) for seeds in ((0,), (0, 1)))
    [epoch] = run(settings, two)
    t = epoch.artifact["t"]
    assert t.shape[0] == 2
    assert (t[0] - t[1]).abs().max() > 1e-3
    data = Data.of(settings, two, epoch.artifact)
    index = torch.tensor([[0, 3, 5]] * 2)
    assert torch.equal(data.texts(index), torch.stack([t[0, index[0]], t[1, index[1]]]))
    assert torch.equal(run(settings, one)[0].artifact["t"][0], t[0])


def test_tuned_arms_are_not_stacked_and_may_have_several_workers(config):
    stage = METHOD.stages[0]
    for given, tunes in (({}, True), ({"train": "lora"}, True), ({"train": "frozen"}, False)):
        settings = config("ast", "bert", **given)
        assert stage.distributed(settings) is tunes
        assert (shape(METHOD, stage, settings) is None) is tunes
    assert METHOD.raw(config("ast")) == {"audio"}


# refusals


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"align.train": "frozen", "align.text_train": "lora"}, "text_train: 'lora' needs align.encoder, trained in"),
        ({"align.encoder": None, "align.train": "lora"}, "the corpus has recordings and no vectors of them; name an"),
        ({"align.encoder": "{bert}"}, "is no audio encoder, it encodes text; name another one"),
        ({"align.text_encoder": "{ast}"}, "is no text encoder, it encodes audio"),
        ({"align.text_encoder": None}, "the corpus has transcripts and no vectors of them"),
        ({"align.encoder": "/nowhere/at/all"}, "config.align.encoder: encoder /nowhere/at/all: no such folder"),
        ({"augment.source": "recordings"}, "augmented copies"),
        ({"align.feature_dim": 99}, "99 is more than the text embedding's size 16"),
        (
            {"align.train": "lora", "align.tuning.targets": ["nonsense"]},
            "no linear layer is called 'nonsense'; there is",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(changes, words, config, encoder, task):
    named = {path: encoder(value[1:-1]) if str(value).startswith("{") else value for path, value in changes.items()}
    with pytest.raises(InputError) as error:
        align.run(apply(config("ast", "bert"), named), task, {})
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_encoders_need_recordings_and_transcripts(config, task):
    for modality, field, column in (("audio", "encoder", "recording"), ("text", "text_encoder", "transcript")):
        columns = {**task.corpus.columns, modality: f"{modality}_x"}
        with pytest.raises(InputError, match=f"config.align.{field}: .* encodes {column}s, and the corpus reads"):
            check(config("ast", "bert"), replace(task.corpus, columns=columns))


def test_lora_without_peft_is_refused(config, task, monkeypatch):
    monkeypatch.setattr(adapters, "find_spec", lambda name: None)
    for given in ({"train": "lora"}, {"text_train": "lora"}):
        with pytest.raises(InputError, match="peft is not installed, which LoRA needs; install the extra encoders"):
            check(config("ast", "bert", **given), task.corpus)
    check(config("ast", "bert"), task.corpus)


# parts


@pytest.mark.slow
def test_merged_weights_do_what_lora_did(encoder):
    made = audio_encoder(encoder("wav2vec2"), None)
    batch = made.prepare([np.random.default_rng(0).standard_normal(6000).astype(np.float32)])
    plain = made.module(*batch).pooled
    adapters.attach(made.module.model, rank=3, alpha=6, dropout=0.0)
    assert torch.equal(made.module(*batch).pooled, plain), "nothing is added at first"
    with torch.no_grad():
        for name, parameter in made.module.model.named_parameters():
            if "lora_B" in name:
                parameter.normal_()
    tuned = made.module(*batch).pooled
    assert (tuned - plain).abs().max() > 1e-3
    fresh = audio_encoder(encoder("wav2vec2"), None)
    fresh.module.model.load_state_dict(adapters.merged(made.module.model))
    torch.testing.assert_close(fresh.module(*batch).pooled, tuned, rtol=1e-4, atol=1e-5)


def test_files_of_a_model_stay_inside_their_folder():
    with pytest.raises(InputError, match=r"names a file '\.\./config\.json' outside its encoder"):
        folder.load({"files/audio/../config.json": torch.zeros(2, dtype=torch.uint8)}, "audio")


def test_waveforms_are_equal_however_much_fits_in_memory(heard):
    large, small = Waves(heard.recordings, 16_000), Waves(heard.recordings, 16_000, room=20_000)
    for row in (0, 5, 0, 30):
        expected = heard.recordings.read(row)
        for waves in (large, small):
            found = waves.cropped(row, 10.0)
            assert found.dtype == np.float32
            assert np.array_equal(found, expected), "16-bit samples are kept exactly"
    assert len(small._kept) < len(large._kept)
    assert (small.cropped(1, 10.0) == 0).all(), "no recording is silence"
    expected = heard.recordings.read(5)
    for place, first in ((0.0, 0), (0.5, round(0.5 * (len(expected) - 1600))), (1.0, len(expected) - 1600)):
        assert np.array_equal(large.cropped(5, 0.1, place), expected[first : first + 1600])


def test_batches_are_of_like_lengths():
    batches = by_length([1.0, 5.0, 2.0, 4.0, 3.0], 2)
    assert [each.tolist() for each in batches] == [[1, 3], [4, 2], [0]]
    assert by_length([], 4) == []
