"""EmoDB and RAVDESS, whose file names say all: made trees, and forty real recordings held against real tables."""

import shutil

import made_trees
import pandas as pd
import pytest

from trainables import corpus
from trainables.corpora import build, emodb, ravdess
from trainables.errors import InputError


def real_table(shared_data, kind):
    folder = shared_data(kind)
    path = next(each for each in sorted(folder.glob("*egemaps*.parquet")))
    return pd.read_parquet(path).drop(columns="audio_egemaps88")


@pytest.mark.parametrize("kind", ["emodb", "ravdess"])
def test_real_recordings_say_what_the_real_table_says(kind, shared_data, tmp_path):
    source = shared_data("wav_samples") / kind
    built = build.build(kind, source, tmp_path / "out")
    made = built.utterances.merge(real_table(shared_data, kind), on="utterance_id", suffixes=("", "_real"))
    assert len(made) == len(built.utterances) == 20
    for name in ("speaker", "session", "gender", "dialogue", "turn", "label", "label_raw", "transcript"):
        assert made[name].tolist() == made[f"{name}_real"].tolist(), name
    assert (made["duration"] - made["duration_s"]).abs().max() < 1e-3


@pytest.mark.parametrize("kind", ["emodb", "ravdess"])
def test_real_recordings_can_be_read_from_the_built_corpus(kind, shared_data, tmp_path):
    build.build(kind, shared_data("wav_samples") / kind, tmp_path / "out")
    made = corpus.load(tmp_path / "out")
    assert made.recordings is not None
    for row in (0, 19):
        samples = made.recordings.read(row)
        assert abs(len(samples) / 16000 - made.recordings.seconds[row]) < 1e-3


@pytest.mark.parametrize(("kind", "reader"), [("emodb", emodb), ("ravdess", ravdess)])
def test_every_name_of_the_real_corpus_is_understood(kind, reader, shared_data, tmp_path):
    """All 535 and 1,440 names, of empty files: labels come from names alone."""
    real = real_table(shared_data, kind)
    for name in real["utterance_id"]:
        (tmp_path / f"{name}.wav").touch()
    options = reader.READER.options()
    table = pd.DataFrame(reader.read(tmp_path, options).rows)
    labels = table["label_raw"].map(options.classes)
    assert labels.value_counts().to_dict() == dict(reader.READER.published[0].counts)
    truth = real.set_index("utterance_id")["label"]
    assert (labels.tolist()) == truth.reindex(table["utterance_id"]).tolist()


def test_emodb_leaves_other_files_aside(tmp_path):
    made_trees.wav(tmp_path / "wav" / "03a01Fa.wav")
    made_trees.wav(tmp_path / "wav" / "noise.wav")
    made_trees.text(tmp_path / "erkennung.txt", "Satz", "03a01Fa.wav")
    found = emodb.read(tmp_path, emodb.EmoDB())
    assert [row["utterance_id"] for row in found.rows] == ["03a01Fa"]
    assert found.notes == ["1 audio file with other names left aside"]


def test_ravdess_leaves_song_and_video_aside(tmp_path):
    for name in ("03-01-05-02-01-01-12", "03-02-05-02-01-01-12", "01-01-05-02-01-01-12"):
        made_trees.wav(tmp_path / "Actor_12" / f"{name}.wav")
    found = ravdess.read(tmp_path, ravdess.Ravdess())
    assert [row["utterance_id"] for row in found.rows] == ["03-01-05-02-01-01-12"]
    assert found.rows[0]["gender"] == "f"
    assert found.notes == ["2 files of the song part or of videos left aside"]
    sung = ravdess.read(tmp_path, ravdess.Ravdess(song=True)).rows
    assert [row["vocal"] for row in sung] == ["speech", "song"]


def test_the_copy_inside_a_widespread_download_counts_once(tmp_path):
    path = made_trees.wav(tmp_path / "Actor_12" / "03-01-05-02-01-01-12.wav")
    inside = tmp_path / "audio_speech_actors_01-24" / "Actor_12"
    inside.mkdir(parents=True)
    shutil.copy(path, inside)
    found = ravdess.read(tmp_path, ravdess.Ravdess())
    assert len(found.rows) == 1
    assert found.notes == ["1 recording in the tree more than once, with the same content; one is used"]
    made_trees.wav(inside / path.name, 0.1)
    with pytest.raises(InputError, match=r"differs from .*, which has the same name; remove one of the two"):
        ravdess.read(tmp_path, ravdess.Ravdess())


@pytest.mark.parametrize(("reader", "options"), [(emodb, emodb.EmoDB()), (ravdess, ravdess.Ravdess())])
def test_another_folder_is_refused(reader, options, tmp_path):
    made_trees.wav(tmp_path / "a.wav")
    with pytest.raises(InputError, match=r"recording called like .*; give the folder that holds"):
        reader.read(tmp_path, options)
