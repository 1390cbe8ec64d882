"""Requests, work, batches and extractors, in one process."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from scipy.fft import dct

from trainables import recordings
from trainables.augmentations import parse
from trainables.errors import InputError
from trainables.extraction import Item, Request, batches, checked, identity, load, vectors, work
from trainables.extraction.mfcc import Mfcc
from trainables.extraction.network import windows
from trainables.extraction.request import padded_to

RATE = 16_000


def corpus(folder: Path, seconds: list[float], **columns: object) -> Path:
    """A corpus of noise, an utterance a recording."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(3)
    names = [f"u{number}" for number in range(len(seconds))]
    for name, each in zip(names, seconds, strict=True):
        soundfile.write(folder / f"{name}.wav", generator.normal(0, 0.1, round(each * RATE)), RATE)
    table = {"utterance_id": names, "speaker": "s", "recording": [f"{name}.wav" for name in names], **columns}
    pd.DataFrame(table).to_parquet(folder / "main.parquet")
    return folder


@pytest.fixture(scope="session")
def encoders(tmp_path_factory):
    """Folder of a tiny pretrained encoder by name, made once."""
    pytest.importorskip("transformers", reason="the extra encoders is not installed")
    import tiny_encoders

    base, made = tmp_path_factory.mktemp("tiny"), {}

    def find(name: str) -> str:
        if name not in made:
            made[name] = str({**tiny_encoders.AUDIO, **tiny_encoders.TEXT}[name](base / name))
        return made[name]

    return find


def run(folder: Path, request: Request, limit: float = 60.0):
    """Everything of a corpus by utterance."""
    request = checked(request)
    these = batches(work(folder, request).items, limit, padded_to(request))
    return {made.item.name: made for made in vectors(load(request, limit=limit), request, these)}


def audio(encoder: str, **more: object) -> Request:
    return Request(encoder=encoder, modality="audio", **more)


# MFCC, by the book


def mel_filters(channels: int, size: int) -> np.ndarray:
    """Triangles on the HTK mel scale from 0 to half the rate, shape (bins, channels)."""
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + RATE / 2 / 700), channels + 2) / 2595) - 1)
    bins = np.arange(size // 2 + 1) * RATE / size
    rising = (bins[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins[:, None]) / (edges[2:] - edges[1:-1])
    return np.maximum(0, np.minimum(rising, falling))


def cepstra(wave: np.ndarray) -> np.ndarray:
    """40 coefficients a frame, shape (T, 40), in double precision."""
    starts = range(0, len(wave) - 400 + 1, 160)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    power = np.stack([np.abs(np.fft.rfft(wave[at : at + 400].astype(np.float64) * window)) ** 2 for at in starts])
    decibel = 10 * np.log10(np.maximum(power @ mel_filters(64, 400), 1e-10))
    return dct(np.maximum(decibel, decibel.max() - 80), type=2, norm="ortho")[:, :40]


def test_mfcc_are_those_of_an_independent_computation():
    wave = np.random.default_rng(0).normal(0, 0.1, 9_000).astype(np.float32)
    wave[3_000:5_000] *= 1e-6  # silence, below the floor
    expected = cepstra(wave)
    [frames] = Mfcc(sequence=True)([wave], [RATE])
    assert frames.shape == (54, 40)
    np.testing.assert_allclose(frames, expected, atol=2e-3)
    [vector] = Mfcc()([wave], [RATE])
    np.testing.assert_allclose(vector, np.concatenate([expected.mean(0), expected.std(0)]), atol=2e-3)


def test_mfcc_of_less_than_a_frame_are_finite():
    assert np.isfinite(Mfcc()([np.ones(10, dtype=np.float32)], [RATE])[0]).all()


# Batches


def test_batches_hold_items_of_like_length_within_the_limit():
    items = [Item(name=str(number), seconds=each) for number, each in enumerate([1, 9, 2, 2, 70, 8, 1])]
    made = batches(items, 20)
    assert [[item.seconds for item in batch] for batch in made] == [[70], [9, 8], [2, 2, 1, 1]]
    assert batches(items[::-1], 20) == made
    # What the encoder pads to 10 s costs 10 s.
    assert [len(batch) for batch in batches(items, 20, floor=10)] == [1, 2, 2, 2]


# Pretrained encoders


@pytest.mark.slow
@pytest.mark.parametrize("name", ["wav2vec2", "ast"])
def test_features_of_a_batch_are_those_of_one_at_a_time(tmp_path, encoders, name):
    folder = corpus(tmp_path, [1.5, 0.4, 0.9, 1.3])
    together, alone = run(folder, audio(encoders(name))), run(folder, audio(encoders(name)), limit=1)
    for each, made in together.items():
        np.testing.assert_allclose(made.array, alone[each].array, rtol=1e-4, atol=2e-5)
    sequence = run(folder, audio(encoders(name), sequence=True))
    for each, made in together.items():
        np.testing.assert_allclose(made.array, sequence[each].array.mean(0), rtol=1e-4, atol=2e-5)


@pytest.mark.slow
def test_windows_of_a_recording_are_averaged_by_length(tmp_path, encoders):
    folder = corpus(tmp_path, [2.6])
    [whole] = run(folder, audio(encoders("wav2vec2"), window=1.0)).values()
    wave = recordings.read(folder / "u0.wav")
    extractor = load(checked(audio(encoders("wav2vec2"))))
    parts = [extractor([wave[first : first + RATE]], [RATE])[0] for first in (0, RATE, 2 * RATE)]
    np.testing.assert_allclose(whole.array, np.average(parts, axis=0, weights=[1, 1, 0.6]), rtol=1e-4, atol=2e-5)
    [frames] = run(folder, audio(encoders("wav2vec2"), window=1.0, sequence=True)).values()
    assert len(frames.array) == 50 + 50 + 30


def test_a_rest_too_short_to_encode_stays_with_the_window_before():
    parts = list(windows(np.arange(2 * RATE + 1_000), RATE, RATE))
    assert [len(part) for part in parts] == [RATE, RATE + 1_000]
    assert [len(part) for part in windows(np.arange(100), RATE, RATE)] == [100]


@pytest.mark.slow
def test_no_more_is_read_than_the_longest_allowed(tmp_path, encoders):
    folder = corpus(tmp_path, [2.0, 0.5])
    cut = run(folder, audio("mfcc", longest=1.0))
    wave = recordings.read(folder / "u0.wav", end=1.0)
    np.testing.assert_array_equal(cut["u0"].array, Mfcc()([wave], [RATE])[0])


@pytest.mark.slow
def test_transcripts_are_encoded_where_there_are_any(tmp_path, encoders):
    texts = ["i am so happy", None, "  ", "sad"]
    folder = corpus(tmp_path, [0.3] * 4, transcript=texts)
    request = Request(encoder=encoders("bert"), modality="text")
    assert run(folder, request).keys() == {"u0", "u3"}
    assert work(folder, checked(request)).missing == ("u1", "u2")
    assert all(made.array.shape == (16,) for made in run(folder, request).values())


# openSMILE


@pytest.mark.slow
@pytest.mark.parametrize(("encoder", "kind", "files"), [("egemaps", "egemaps", 3), ("compare", "compare", 1)])
def test_functionals_of_real_recordings_are_the_stored_ones(tmp_path, shared_data, encoder, kind, files):
    pytest.importorskip("opensmile", reason="the extra opensmile is not installed")
    for name in ("emodb", "ravdess"):
        stored = pd.read_parquet(shared_data(name) / f"{name}_{kind}.parquet").set_index("utterance_id")
        [column] = [each for each in stored if each.startswith("audio_")]
        paths = sorted((shared_data("wav_samples") / name).rglob("*.wav"))[:files]
        table = {
            "utterance_id": [path.stem for path in paths],
            "speaker": "s",
            "recording": [str(path) for path in paths],
        }
        (tmp_path / name).mkdir()
        pd.DataFrame(table).to_parquet(tmp_path / name / "main.parquet")
        for each, made in run(tmp_path / name, audio(encoder)).items():
            np.testing.assert_allclose(made.array, stored[column][each], rtol=1e-6)


@pytest.mark.slow
def test_is10_is_what_the_package_carries():
    pytest.importorskip("opensmile", reason="the extra opensmile is not installed")
    extractor = load(checked(audio("is10")))
    wave = np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)
    assert extractor.size == len(extractor([wave], [RATE])[0]) == 1582


def test_without_opensmile_the_extra_is_named(monkeypatch):
    monkeypatch.setattr("trainables.extraction.request.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"sweeper\[opensmile\]"):
        checked(audio("egemaps"))


# What is broken, and what is augmented


def test_broken_recordings_are_told_and_the_others_encoded(tmp_path):
    folder = corpus(tmp_path, [0.5, 0.5, 0.5, 0.5, 0.5])
    (folder / "u1.wav").write_bytes(b"RIFF, so it says")
    soundfile.write(folder / "u2.wav", np.zeros(0), RATE)
    (folder / "u3.wav").unlink()
    soundfile.write(folder / "u4.wav", np.full(RATE, np.nan), RATE, subtype="FLOAT")
    made = run(folder, audio("mfcc"))
    assert made["u0"].array is not None
    told = {name: each.reason for name, each in made.items() if each.array is None}
    assert told.keys() == {"u1", "u2", "u3", "u4"}
    for name, reason in told.items():
        assert str(folder / f"{name}.wav") in reason
        assert "\n" not in reason


def test_features_that_are_not_finite_are_told(tmp_path):
    class Odd:
        rate, size = RATE, 2

        def __call__(self, given, rates):
            return [np.array([1, np.nan]) for _ in given]

    request = checked(audio("mfcc"))
    [made] = vectors(Odd(), request, batches(work(corpus(tmp_path, [0.5]), request).items, 60))
    assert made.array is None
    assert "no finite numbers" in made.reason


def test_copies_are_of_the_augmented_recording(tmp_path):
    folder = corpus(tmp_path, [0.5, 0.6])
    made, wave = run(folder, audio("mfcc", augment="noise:snr=5")), recordings.read(folder / "u1.wav")
    augmentation = parse("noise5")
    copy = augmentation(wave, RATE, augmentation.generator("u1"))
    np.testing.assert_array_equal(made["u1"].array, Mfcc()([copy], [RATE])[0])
    assert checked(audio("mfcc", augment="noise:snr=5")).column == "audio_mfcc80+noise5"


# Requests


def test_columns_are_named_after_encoder_layer_and_pooling(encoders):
    assert checked(audio("mfcc", sequence=True)).column == "audio_mfcc_sequence"
    assert checked(audio(encoders("wav2vec2"))).column == "audio_wav2vec2_mean"
    assert checked(audio(encoders("wav2vec2"), layer=1, pooling="last")).column == "audio_wav2vec2_layer1_last"
    assert checked(audio("mfcc", column="audio_mine", augment="speed0.9")).column == "audio_mine+speed0.9"


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (audio("mfcc", layer=1), "--layer: mfcc has none"),
        (audio("mfcc", pooling="mean"), "--pooling: mfcc has none"),
        (audio("mfcc", dtype="bfloat16"), "--dtype: mfcc has no weights"),
        (audio("mfcc", longest=0.5), "--longest: must be at least 1 second"),
        (audio("mfcc", column="mine"), "--column: 'mine' is not the name"),
        (audio("mfcc", column="audio_a/b"), "--column: 'audio_a/b' is not the name"),
        (audio("mfcc", augment="noize"), "augment 'noize'"),
        (audio("egemaps", sequence=True), "--sequence: egemaps are values of a whole utterance"),
        (audio("./nowhere"), "no such folder"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_requests_that_cannot_be_met_are_refused(request_, expected):
    pytest.importorskip("transformers", reason="the extra encoders is not installed")
    with pytest.raises(InputError) as error:
        checked(request_)
    assert str(error.value).startswith(expected) or expected in str(error.value)


def test_a_layer_that_is_not_there_is_refused(encoders):
    with pytest.raises(InputError, match=r"--layer: .* has 2 layers, found 5"):
        checked(audio(encoders("wav2vec2"), layer=5))
    with pytest.raises(InputError, match="is no text encoder"):
        checked(Request(encoder=encoders("ast"), modality="text"))


def test_a_corpus_without_recordings_is_refused(tmp_path):
    corpus(tmp_path, [0.5])
    pd.DataFrame({"utterance_id": ["a"], "speaker": "s"}).to_parquet(tmp_path / "main.parquet")
    with pytest.raises(InputError, match="no utterance has a recording"):
        work(tmp_path, checked(audio("mfcc")))
    with pytest.raises(InputError, match="no utterance has a transcript"):
        work(tmp_path, Request(encoder="any", modality="text"))


def test_what_tells_requests_apart(encoders, tmp_path):
    request, sources = checked(audio(encoders("wav2vec2"))), [("u0", "abc"), ("u1", "def")]
    told = identity(request, sources)
    # Not where things lie, in which order, or what the column is called.
    moved = shutil.copytree(encoders("wav2vec2"), tmp_path / "elsewhere")
    assert identity(checked(audio(str(moved))), sources[::-1]) == told
    assert identity(replace(request, column="audio_x"), sources) == told
    others = [
        identity(replace(request, layer=1), sources),
        identity(replace(request, pooling="first"), sources),
        identity(replace(request, augment="noise10"), sources),
        identity(request, [("u0", "abc"), ("u1", "other")]),
        identity(request, sources[:1]),
    ]
    with (moved / "model.safetensors").open("r+b") as weights:
        weights.seek(-1, 2)
        weights.write(b"\x07")
    others.append(identity(checked(audio(str(moved))), sources))
    assert len({told, *others}) == 1 + len(others)
