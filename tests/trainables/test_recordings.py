from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from scipy.signal import resample_poly

from trainables import corpus as corpora
from trainables import recordings
from trainables.errors import InputError
from trainables.prepared import Prepared
from trainables.protocols import Protocol, cut
from trainables.task import Task

RATE = 22_050


def tone(seconds: float, hertz: float = 440.0, rate: int = RATE) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    path = tmp_path / "two.wav"
    soundfile.write(path, np.stack([tone(1.0), tone(1.0, 880.0)], axis=1), RATE, subtype="FLOAT")
    return path


def dominant(samples: np.ndarray, rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.fft.rfftfreq(len(samples), 1 / rate)[spectrum.argmax()])


def test_channels_are_averaged_or_chosen(wav: Path) -> None:
    mean = recordings.read(wav, rate=RATE)
    assert mean.dtype == np.float32
    np.testing.assert_allclose(mean, (tone(1.0) + tone(1.0, 880.0)) / 2, atol=1e-6)
    np.testing.assert_allclose(recordings.read(wav, rate=RATE, channel=1), tone(1.0, 880.0), atol=1e-6)


def test_another_rate_is_resampled_like_scipy_does(wav: Path) -> None:
    found = recordings.read(wav, rate=16_000, channel=0)
    assert len(found) == 16_000
    assert dominant(found, 16_000) == pytest.approx(440, abs=1.5)
    reference = resample_poly(tone(1.0), 320, 441)
    np.testing.assert_allclose(found[800:-800], reference[800:-800], atol=5e-3)


def test_a_part_is_cut_out(wav: Path) -> None:
    found = recordings.read(wav, rate=RATE, start=0.25, end=0.5, channel=0)
    np.testing.assert_allclose(found, tone(1.0)[round(0.25 * RATE) : round(0.5 * RATE)], atol=1e-6)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"start": 2.0}, "has no 2 s to its end"),
        ({"start": 0.5, "end": 0.25}, "correct start and end"),
        ({"channel": 2}, "no channel 2"),
    ],
)
def test_what_is_not_there_is_refused(wav: Path, asked: dict[str, float], words: str) -> None:
    with pytest.raises(InputError, match=words):
        recordings.read(wav, **asked)


def test_files_that_are_no_recordings_are_refused(tmp_path: Path, wav: Path) -> None:
    (tmp_path / "text.wav").write_text("no sound")
    (tmp_path / "cut.wav").write_bytes(wav.read_bytes()[:30])
    (tmp_path / "nothing.wav").write_bytes(b"")
    soundfile.write(tmp_path / "silent.wav", np.zeros(0), RATE)
    for name in ("text.wav", "cut.wav", "nothing.wav", "silent.wav", "absent.wav"):
        with pytest.raises(InputError, match=name):
            recordings.read(tmp_path / name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = []
    for number in range(12):
        path = tmp_path / "audio" / f"{number}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, tone(0.1 + 0.01 * number), RATE)
        rows.append(
            {
                "utterance_id": f"u{number:02}",
                "speaker": f"s{number % 3}",
                "label": "ab"[number % 2],
                "transcript": f"word {number}" if number else " ",
                "recording": f"audio/{number}.wav" if number != 5 else None,
                "duration": 0.1 + 0.01 * number,
                "checksum": f"{number:016x}",
            }
        )
    pd.DataFrame(rows).to_parquet(tmp_path / "corpus.parquet", index=False)
    return tmp_path


def test_a_corpus_of_recordings_has_modalities_without_vectors(folder: Path) -> None:
    corpus = corpora.load(folder)
    assert dict(corpus.columns) == {"audio": "recording", "text": "transcript"}
    assert {name: each.shape for name, each in corpus.features.items()} == {"audio": (12, 0), "text": (12, 0)}
    assert corpus.present["audio"].tolist() == [number != 5 for number in range(12)]
    assert corpus.present["text"].tolist() == [number != 0 for number in range(12)]
    assert corpus.recordings is not None
    assert len(corpus.recordings.read(11)) == pytest.approx(0.21 * 16_000, abs=2)
    assert corpus.recordings.seconds[3] == pytest.approx(0.13)
    with pytest.raises(InputError, match="no recording"):
        corpus.recordings.read(5)


def test_where_a_corpus_lies_does_not_change_what_it_is(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    moved = tmp_path_factory.mktemp("elsewhere") / "copy"
    here = corpora.load(folder).fingerprint
    folder.rename(moved)
    assert corpora.load(moved).fingerprint == here
    table = pd.read_parquet(moved / "corpus.parquet")
    table.loc[2, "checksum"] = "f" * 16
    table.to_parquet(moved / "corpus.parquet", index=False)
    assert corpora.load(moved).fingerprint != here


def test_stored_features_are_taken_unless_recordings_are_asked_for(folder: Path) -> None:
    table = pd.read_parquet(folder / "corpus.parquet")
    table["audio_small"] = [np.array([number, 1.0], dtype=np.float32) for number in range(12)]
    table.to_parquet(folder / "corpus.parquet", index=False)
    plain = corpora.load(folder)
    assert dict(plain.columns) == {"audio": "audio_small"}
    assert plain.recordings is not None
    asked = corpora.load(folder, features={"audio": "recording"})
    assert dict(asked.columns) == {"audio": "recording"}
    assert asked.fingerprint != plain.fingerprint


def test_labeled_rows_keep_their_recordings(folder: Path) -> None:
    table = pd.read_parquet(folder / "corpus.parquet")
    table.loc[0, "label"] = None
    table.to_parquet(folder / "corpus.parquet", index=False)
    corpus = corpora.load(folder)
    folds, _ = cut(corpus, Protocol(kind="leave-one-speaker-out"))
    labeled = Task(corpus, folds, (0,)).labeled().corpus
    assert labeled.recordings is not None
    assert corpus.recordings is not None
    assert labeled.recordings.paths == corpus.recordings.paths[1:]


def test_who_needs_vectors_says_how_to_get_them(folder: Path) -> None:
    corpus = corpora.load(folder)
    folds, _ = cut(corpus, Protocol(kind="leave-one-speaker-out"))
    with pytest.raises(InputError, match="sweeper data features"):
        Prepared.make(Task(corpus, folds, (0,)))


def test_two_corpora_are_joined_with_their_recordings(folder: Path) -> None:
    corpus = corpora.load(folder)
    other = replace(corpus, name="other", fingerprint="another")
    both = corpora.with_unlabeled(corpus, other)
    assert both.recordings is not None
    assert len(both.recordings.paths) == 24
    assert both.recordings.identity()[12:] == both.recordings.identity()[:12]


def test_columns_of_another_kind_are_refused(folder: Path) -> None:
    table = pd.read_parquet(folder / "corpus.parquet")
    table["start"] = -1.0
    table.to_parquet(folder / "corpus.parquet", index=False)
    with pytest.raises(InputError, match="start, row 0"):
        corpora.load(folder)


def test_what_a_corpus_of_recordings_holds_is_summed_up(folder: Path) -> None:
    summary = corpora.inspect(folder)
    assert summary.recordings is not None
    assert summary.recordings[0] == 11
    assert summary.recordings[1] * 3600 == pytest.approx(sum(0.1 + 0.01 * number for number in range(12)))
    assert summary.transcripts == 12
    assert corpora.inspect("builtin").recordings is None


def test_a_corpus_without_labels_is_looked_at_all_the_same(folder: Path) -> None:
    table = pd.read_parquet(folder / "corpus.parquet")
    table["label"] = None
    table.to_parquet(folder / "corpus.parquet", index=False)
    summary = corpora.inspect(folder)
    assert (summary.labeled, summary.protocols) == (0, ())
    assert "no utterance is labeled" in summary.warnings[0]
