"""From recordings in which a class can be heard, over features and their augmented copies, to classifiers."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trainables import corpus as corpora
from trainables.augmentations import add_noise
from trainables.extraction import Request, batches, checked, load, vectors, work
from trainables.mi_infogan.config import Align, Augment, Config
from trainables.mi_infogan.method import METHOD
from trainables.protocols import Protocol, cut
from trainables.task import Task

pytest.importorskip("soundfile")
pytestmark = pytest.mark.slow

RATE = 16_000
#: How dull a voice is, and how quickly it trembles, in Hz.
VOICES = {"angry": (0.8, 9.0), "neutral": (1.3, 5.0), "sad": (1.8, 2.0)}
CONFIG = Config(
    align=Align(epochs=15, hidden=(32,), feature_dim=16, batch_size=32),
    augment=Augment(epochs=15, batch_size=32, learning_rate=3e-3),
)


def voice(label, speaker, rng):
    """Half a second of a voice: harmonics that fall off as its class has it, of a pitch that is the speaker's."""
    (tilt, tremble), seconds = VOICES[label], np.arange(RATE // 2) / RATE
    pitch = (110 + 25 * (speaker % 6)) * (1 + 0.05 * rng.standard_normal())
    number = np.arange(1, int(6_000 / pitch))[:, None]
    phases = 2 * np.pi * (pitch * number * seconds + rng.random(number.shape))
    wave = (number ** -(tilt + 0.2 * rng.standard_normal()) * np.sin(phases)).sum(0)
    wave *= 1 + 0.5 * np.sin(2 * np.pi * tremble * (1 + 0.1 * rng.standard_normal()) * seconds)
    return (wave / np.abs(wave).max() * 10 ** (rng.uniform(-12, -3) / 20)).astype(np.float32)


def record(folder):
    """12 speakers, 12 utterances each: 15 to 30 dB above the noise, those of test 8 to 15."""
    import soundfile

    rng, rows = np.random.default_rng(0), []
    for number in range(144):
        speaker, label = number // 12, list(VOICES)[number % 3]
        split = "train" if speaker < 6 else "dev" if speaker < 8 else "test"
        snr = rng.uniform(8, 15) if split == "test" else rng.uniform(15, 30)
        name = f"s{speaker:02}_{number % 12:02}"
        wave = add_noise(voice(label, speaker, rng), rng, snr=snr)
        soundfile.write(folder / f"{name}.wav", wave / max(1, np.abs(wave).max()), RATE)
        rows.append(
            {"utterance_id": name, "speaker": name[:3], "split": split, "label": label, "recording": f"{name}.wav"}
        )
    pq.write_table(pa.Table.from_pylist(rows), folder / "utterances.parquet")


def extract(folder, augment=None):
    """What `sweeper data features` does, in this process."""
    request = checked(Request(encoder="mfcc", modality="audio", augment=augment))
    made = [*vectors(load(request), request, batches(work(folder, request).items, 60))]
    column = pa.array([each.array.tolist() for each in made], pa.list_(pa.float32(), 80))
    table = pa.table({"utterance_id": [each.item.name for each in made], request.column: column})
    pq.write_table(table, folder / f"{request.column}.parquet")


@pytest.fixture(scope="module")
def heard(tmp_path_factory):
    folder = tmp_path_factory.mktemp("heard")
    record(folder)
    for augment in (None, "noise10", "specaugment"):
        extract(folder, augment)
    corpus = corpora.load(folder)
    folds, _ = cut(corpus, Protocol(kind="predefined"))
    return Task(corpus, folds, tuple(range(5)))


@pytest.fixture(scope="module")
def trained(heard):
    """Stage 1, and the mean UAR over seeds of every source, on dev and on test."""
    artifacts, found = {}, {}
    for source, copies in (
        ("none", None),
        ("real", None),
        ("recordings", ("noise",)),
        ("recordings", ("specaugment",)),
    ):
        augment = CONFIG.augment.model_copy(update={"source": source, "copies": copies})
        config = CONFIG.model_copy(update={"augment": augment})
        for stage in METHOD.active(config):
            if stage.name not in artifacts or stage.name == "augment":
                *_, last = stage.run(config, heard, artifacts, None)
                artifacts[stage.name] = last.artifact
        found[copies[0] if copies else source] = {part: uar(last.confusions[part, "audio"]) for part in ("dev", "test")}
    return found


def uar(counts):
    return float((np.diagonal(counts, axis1=1, axis2=2) / counts.sum(-1)).mean())


def test_copies_come_along(heard):
    corpus = heard.corpus
    assert corpus.columns == {"audio": "audio_mfcc80"}
    assert list(corpus.copies) == ["noise10", "specaugment"]
    for vectors_ in corpus.copies.values():
        assert np.isfinite(vectors_).all()
        assert np.abs(vectors_ - corpus.features["audio"]).max() > 1


def test_the_class_is_heard(trained):
    assert trained["none"]["dev"] > 0.55, "a third is chance"


def test_noisy_copies_help_where_test_is_noisier_than_train(trained):
    """Else it could not be told from copies that do not reach the classifier, or of other utterances."""
    assert trained["noise"]["test"] > max(trained["none"]["test"], trained["real"]["test"]) + 0.01
