"""Feature extraction over Ray actors: any number of them, killed, resumed, with broken recordings."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pyarrow.parquet as pq
import pytest
import soundfile

from sweeper import connect, features, given
from sweeper.side_file import describe
from trainables.errors import InputError
from trainables.extraction import Request

ROOT = Path(__file__).resolve().parents[2]
#: Kills the command itself, which starts Ray twice.
ASKED = "SWEEPER_FEATURES"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster():
    """One Ray for all of these."""
    with connect.cluster(None):
        yield lambda: None


@pytest.fixture(scope="session")
def encoder(tmp_path_factory) -> str:
    pytest.importorskip("transformers", reason="the extra encoders is not installed")
    import tiny_encoders

    return str(tiny_encoders.wav2vec2(tmp_path_factory.mktemp("encoder")))


def corpus(folder: Path, number: int = 8) -> Path:
    folder.mkdir(exist_ok=True)
    generator = np.random.default_rng(5)
    for each in range(number):
        seconds = generator.uniform(0.3, 1.8)
        soundfile.write(folder / f"u{each}.wav", generator.normal(0, 0.1, round(seconds * 16_000)), 16_000)
    table = {
        "utterance_id": [f"u{each}" for each in range(number)],
        "speaker": "s",
        "label": "x",
        "transcript": "so sad",
    }
    pd.DataFrame({**table, "recording": [f"u{each}.wav" for each in range(number)]}).to_parquet(folder / "main.parquet")
    return folder


def stored(path: Path) -> dict[str, list[float] | None]:
    table = pq.read_table(path)
    return dict(zip(table[0].to_pylist(), table[1].to_pylist(), strict=True))


def test_the_number_of_actors_changes_no_bit_and_asking_again_does_nothing(tmp_path, cluster, encoder):
    request, folder = Request(encoder=encoder, modality="audio", column="audio_one"), corpus(tmp_path)
    told = []
    one = features.extract(folder, request, actors=1, batch_seconds=3, cluster=cluster, watch=told.append)
    two = features.extract(
        folder,
        Request(encoder=encoder, modality="audio", column="audio_two"),
        actors=min(2, os.cpu_count() or 1),
        batch_seconds=3,
        cluster=cluster,
    )
    assert stored(one.path) == stored(two.path)
    assert (one.utterances, one.size, one.actors) == (8, 16, 1)
    assert [each.done for each in told] == sorted(each.done for each in told)
    assert (told[-1].done, told[-1].total) == (8, 8)
    before = one.path.stat()
    assert features.extract(folder, request, cluster=cluster).unchanged
    assert one.path.stat().st_mtime_ns == before.st_mtime_ns
    with pytest.raises(InputError, match="is there already"):
        features.extract(folder, Request(encoder=encoder, modality="audio", column="audio_one", layer=1))


@pytest.mark.long
def test_what_was_done_before_an_interruption_is_not_done_again(tmp_path, cluster):
    folder, request = corpus(tmp_path), Request(encoder="mfcc", modality="audio")
    whole = features.extract(corpus(tmp_path / "other"), request, batch_seconds=2, actors=1, cluster=cluster)

    def interrupt(progress):
        if progress.done >= 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        features.extract(folder, request, batch_seconds=2, actors=1, cluster=cluster, watch=interrupt)
    assert not (folder / "audio_mfcc80.parquet").exists()
    rest = features.extract(folder, request, batch_seconds=2, actors=1, cluster=cluster)
    assert rest.kept >= 3
    assert rest.kept + rest.utterances == 8
    assert stored(rest.path) == stored(whole.path)
    assert sorted(path.suffix for path in folder.iterdir() if not path.is_dir()) == [".parquet"] * 2 + [".wav"] * 8


def test_an_actor_that_is_killed_is_started_again_with_its_work(tmp_path, cluster):
    folder, request, killed = corpus(tmp_path), Request(encoder="mfcc", modality="audio"), []

    def kill(progress):
        if not killed:
            mine = psutil.Process().children(recursive=True)
            actors = [each for each in mine if "_Encoder" in "".join(each.cmdline())]
            assert len(actors) == 1
            actors[0].send_signal(signal.SIGKILL)
            killed.append(actors[0].pid)

    done = features.extract(folder, request, batch_seconds=2, actors=1, cluster=cluster, watch=kill)
    assert killed
    assert done.utterances == 8


def test_a_broken_recording_ends_it_or_is_left_out_by_choice(tmp_path, cluster):
    folder, request = corpus(tmp_path), Request(encoder="mfcc", modality="audio")
    (folder / "u4.wav").write_bytes(b"no audio")
    with pytest.raises(InputError, match=r"utterance u4: .*u4.wav.* --skip-broken"):
        features.extract(folder, request, cluster=cluster)
    done = features.extract(folder, request, cluster=cluster, skip_broken=True)
    assert (done.utterances + done.kept, list(done.skipped)) == (7, ["u4"])
    assert stored(done.path)["u4"] is None
    assert "u4.wav" in describe(done.path)["skipped"]["u4"]


def test_more_than_the_cluster_has_is_refused_and_nothing_written(tmp_path, cluster, encoder):
    folder = corpus(tmp_path, 2)
    before = sorted(folder.iterdir())
    request = Request(encoder=encoder, modality="audio")
    with pytest.raises(InputError, match="--actors: must be 1 to"):
        features.extract(folder, request, actors=10_000, cluster=cluster)
    with pytest.raises(InputError, match="--gpus: must be 0, a share"):
        features.extract(folder, request, gpus=-1, cluster=cluster)
    with pytest.raises(InputError, match="--gpus: 1000 a process, but the cluster has"):
        features.extract(folder, request, gpus=1000, cluster=cluster)
    with pytest.raises(InputError, match="--batch-seconds"):
        features.extract(folder, request, batch_seconds=0, cluster=cluster)
    assert sorted(folder.iterdir()) == before


def test_a_column_of_another_file_is_not_written_again(tmp_path):
    folder = corpus(tmp_path, 2)
    table = pd.read_parquet(folder / "main.parquet")
    table.assign(audio_x=[[1.0], [2.0]]).to_parquet(folder / "main.parquet")
    with pytest.raises(InputError, match=r"main.parquet has a column audio_x already"):
        features.extract(folder, Request(encoder="mfcc", modality="audio", column="audio_x"))


def test_an_encoder_that_fails_in_the_actor_says_why_in_one_line(tmp_path, cluster, encoder):
    import shutil

    broken = shutil.copytree(encoder, tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"")
    with pytest.raises(InputError, match="broken: cannot be read") as error:
        features.extract(corpus(tmp_path, 1), Request(encoder=str(broken), modality="audio"), cluster=cluster)
    assert "\n" not in str(error.value)


def test_vectors_of_faces_become_a_column(tmp_path):
    folder = corpus(tmp_path, 3)
    np.savez(tmp_path / "faces.npz", u0=np.ones(4), u2=np.zeros(4), stranger=np.ones(4))
    done = given.write(folder, tmp_path / "faces.npz")
    assert (done.column, done.size, done.utterances, done.missing) == ("video_faces", 4, 2, 1)
    assert stored(done.path) == {"u0": [1.0] * 4, "u2": [0.0] * 4, "u1": None}
    assert "1 utterances of faces.npz are not in the corpus" in done.notes[0]
    assert given.write(folder, tmp_path / "faces.npz").unchanged
    np.savez(tmp_path / "strangers.npz", stranger=np.ones(4))
    with pytest.raises(InputError, match="none of its 1 utterances is in corpus"):
        given.write(folder, tmp_path / "strangers.npz")
    with pytest.raises(InputError, match="--column"):
        given.write(folder, tmp_path / "faces.npz", "faces")


@pytest.mark.skipif(not os.environ.get(ASKED), reason=f"starts Ray three times; set {ASKED}=1 to run it")
def test_the_command_killed_in_the_middle_goes_on_and_gives_the_same(tmp_path, sweeper):
    folder, other = corpus(tmp_path / "killed", 60), corpus(tmp_path / "whole", 60)
    asked = ["data", "features", str(folder), "--audio", "mfcc", "--batch-seconds", "1", "--actors", "1"]
    command = subprocess.Popen([sys.executable, "-m", "sweeper", *asked], cwd=ROOT, stderr=subprocess.DEVNULL)
    while not (parts := list(folder.glob(".*.parts/*.part"))):
        assert command.poll() is None, "ended before it could be killed"
        time.sleep(0.005)
    tree = [command, *psutil.Process(command.pid).children(recursive=True)]
    for each in tree:
        each.send_signal(signal.SIGKILL)
    command.wait()
    assert 0 < len(parts) < 60
    assert not (folder / "audio_mfcc80.parquet").exists()
    done = sweeper(ROOT, *asked)
    assert done.returncode == 0, done.stderr
    assert "of them kept from before" in done.stdout
    assert sweeper(ROOT, *asked[:2], str(other), *asked[3:]).returncode == 0
    assert stored(folder / "audio_mfcc80.parquet") == stored(other / "audio_mfcc80.parquet")
    again = sweeper(ROOT, *asked)
    assert "nothing to do" in again.stdout
