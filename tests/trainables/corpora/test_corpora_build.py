"""Building: recordings that cannot be used, what may be overwritten, and that all is written or nothing."""

import hashlib
import os
import shutil
from pathlib import Path

import made_trees
import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

from trainables import corpus
from trainables.corpora import audio, build, kinds, store
from trainables.errors import InputError

NAMES = ("03a01Fa", "03a01Wa", "08a02Na", "16b10Td")


@pytest.fixture
def source(tmp_path):
    for name in NAMES:
        made_trees.wav(tmp_path / "EmoDB copy" / "wav" / f"{name}.wav", 0.25)
    return tmp_path / "EmoDB copy"


def made(source, out, **keywords):
    return build.build("emodb", source, out, **keywords)


def damage(path, how):
    content = path.read_bytes()
    if how == "missing":
        path.unlink()
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif how == "noise":
        path.write_bytes(b"this is no audio " * 40)
    elif how == "no samples":
        soundfile.write(path, np.zeros(0), 8000)
    elif how == "cut flac":
        soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 90_000), 8000, format="FLAC")
        path.write_bytes(path.read_bytes()[:60_000])
    elif how == "folder":
        path.unlink()
        path.mkdir()


def test_the_table_has_what_a_corpus_of_recordings_has(source, tmp_path):
    built = made(source, tmp_path / "out")
    table = built.utterances.set_index("utterance_id")
    path = source / "wav" / "03a01Fa.wav"
    assert table.loc["03a01Fa", "recording"] == str(path)
    assert table.loc["03a01Fa", "duration"] == 0.25
    assert table.loc["03a01Fa", "checksum"] == hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    assert set(table["corpus"]) == {"emodb"}
    kinds_ = {field.name: str(field.type) for field in pq.read_schema(tmp_path / "out" / store.FILE)}
    assert {name: kinds_[name] for name in ("turn", "start", "end", "channel", "duration", "checksum", "label")} == {
        "turn": "int64",
        "start": "double",
        "end": "double",
        "channel": "int64",
        "duration": "double",
        "checksum": "string",
        "label": "string",
    }


def test_it_loads_and_its_audio_is_the_files(source, tmp_path):
    made(source, tmp_path / "out")
    loaded = corpus.load(tmp_path / "out", labeled=False)
    samples, _ = soundfile.read(source / "wav" / "03a01Fa.wav", dtype="float32")
    np.testing.assert_array_equal(loaded.recordings.read(0, rate=made_trees.RATE), samples)


def test_the_same_tree_gives_the_same_bytes_and_says_how_it_was_read(source, tmp_path):
    one, other = (made(source, tmp_path / name).folder / store.FILE for name in ("one", "other"))
    assert one.read_bytes() == other.read_bytes()
    said = store.described(tmp_path / "one")
    assert (said["kind"], said["source"], said["options"]["shortest"]) == ("emodb", str(source), 0.0)


def test_a_corpus_is_the_same_wherever_its_recordings_lie(source, tmp_path):
    made(source, tmp_path / "one")
    shutil.copytree(source, tmp_path / "moved")
    made(tmp_path / "moved", tmp_path / "two")
    one, two = (corpus.load(tmp_path / name, labeled=False).fingerprint for name in ("one", "two"))
    assert one == two


@pytest.mark.parametrize("out", [".", "..", "built"])
def test_paths_inside_the_corpus_are_relative(source, out):
    made(source, source / out)
    recordings = corpus.load(source / out, labeled=False).recordings
    assert len(recordings.read(0)) > 0
    table = pq.read_table(source / out / store.FILE).to_pandas()
    assert table["recording"][0] == {".": "wav/03a01Fa.wav", "..": "EmoDB copy/wav/03a01Fa.wav"}.get(
        out, str(source / "wav/03a01Fa.wav")
    )


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("empty", "is empty"),
        ("cut", "is cut off: its header says"),
        ("cut flac", "is "),
        ("noise", "is no audio file that can be read"),
        ("no samples", "holds no sample"),
    ],
)
def test_a_recording_that_cannot_be_used_is_refused_and_nothing_is_written(source, tmp_path, how, said):
    path = source / "wav" / "08a02Na.wav"
    damage(path, how)
    with pytest.raises(InputError) as error:
        made(source, tmp_path / "out")
    assert str(error.value).startswith(f"{path}: {said}")
    assert "(1 of 4 utterances cannot be used)" in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()
    built = made(source, tmp_path / "out", skip_broken=True)
    assert "08a02Na" not in set(built.utterances["utterance_id"])
    assert len(built.broken) == 1
    assert built.broken[0].startswith(f"{path}: {said}")
    assert store.described(tmp_path / "out")["left_out"] == list(built.broken)


@pytest.mark.parametrize("how", ["missing", "folder"])
def test_a_recording_that_is_not_there_is_refused(tmp_path, how):
    turns = [("F000", 1.0, 2.0, "neu"), ("F001", 2.0, 3.0, "sad")]
    made_trees.iemocap_dialogue(tmp_path / "x", "Ses01F_impro01", turns)
    damage(tmp_path / "x/Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F001.wav", how)
    with pytest.raises(InputError, match=r"Ses01F_impro01_F001\.wav: is (not there|no file) \(1 of 2 utterances"):
        build.build("iemocap", tmp_path / "x", tmp_path / "out")
    built = build.build("iemocap", tmp_path / "x", tmp_path / "out", skip_broken=True)
    assert built.utterances["utterance_id"].tolist() == ["Ses01F_impro01_F000"]
    assert "1 utterance left out" in built.comparisons[1].reasons[1]


def test_a_tree_of_broken_recordings_makes_no_corpus(source, tmp_path):
    for name in NAMES:
        damage(source / "wav" / f"{name}.wav", "empty")
    with pytest.raises(InputError, match="4 of 4 utterances cannot be used"):
        made(source, tmp_path / "out", skip_broken=True)


def test_a_header_that_is_a_little_wrong_is_no_cut_file(source, tmp_path):
    path = source / "wav" / "08a02Na.wav"
    content = bytearray(path.read_bytes())
    content[4:8] = (len(content) - 8 + 30).to_bytes(4, "little")
    path.write_bytes(content)
    assert len(made(source, tmp_path / "one").utterances) == 4
    content[4:8] = (2**32 - 1).to_bytes(4, "little")  # a recorder that streamed
    path.write_bytes(content)
    assert len(made(source, tmp_path / "two").utterances) == 4


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"start": 0.5}, "which u from 0.5 s on is no part of"),
        ({"start": 0.1, "end": 0.1}, "which u from 0.1 s on is no part of"),
        ({"end": 0.4}, "ends at 0.250 s, before u does at 0.4 s"),
        ({"channel": 1}, "has 1 channel, u is in channel 1 (from 0)"),
        ({"start": 0.1, "end": 0.27}, ""),
    ],
)
def test_a_part_must_be_in_its_file(part, said):
    found = build._wrong_part({"utterance_id": "u", **part}, audio.Facts(0.25, 1, ""))
    assert said in found
    assert bool(found) == bool(said)


def test_too_short_utterances_are_left_out(source, tmp_path):
    made_trees.wav(source / "wav" / "03a02Fa.wav", 0.1)
    built = made(source, tmp_path / "out", options={"shortest": 0.2})
    assert sorted(built.utterances["utterance_id"]) == sorted(NAMES)
    assert built.notes == ("1 utterance shorter than 0.2 s left out",)
    with pytest.raises(InputError, match="all 5 utterances are shorter than 9 s; set shortest lower"):
        made(source, tmp_path / "other", options={"shortest": 9})


def test_a_recording_that_is_in_twice_is_said(source, tmp_path):
    shutil.copy(source / "wav" / "03a01Fa.wav", source / "wav" / "03a01Fb.wav")
    assert made(source, tmp_path / "out").notes == (
        "2 utterances with the very recording of another: is one in twice?",
    )


def test_an_earlier_build_is_replaced_only_when_asked(source, tmp_path):
    made(source, tmp_path / "out")
    before = (tmp_path / "out" / store.FILE).read_bytes()
    made_trees.wav(source / "wav" / "03a02Fa.wav")
    with pytest.raises(InputError, match="holds a built corpus already; --force builds it again"):
        made(source, tmp_path / "out")
    assert (tmp_path / "out" / store.FILE).read_bytes() == before
    assert len(made(source, tmp_path / "out", force=True).utterances) == 5


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("features.parquet", "holds features.parquet, which would be joined to the new utterances"),
        ("utterances.parquet", "holds a utterances.parquet that data build did not write"),
        ("thesis.txt", "holds thesis.txt and no corpus"),
    ],
)
def test_a_folder_that_holds_something_else_is_left_alone_even_with_force(source, tmp_path, name, said):
    path = made_trees.text(tmp_path / "out" / name, "mine")
    with pytest.raises(InputError) as error:
        made(source, tmp_path / "out", force=True)
    assert said in str(error.value)
    assert path.read_text(encoding="utf-8") == "mine\n"
    assert [each.name for each in (tmp_path / "out").iterdir()] == [name]


def test_features_beside_a_build_are_not_pulled_out_from_under(source, tmp_path):
    made(source, tmp_path / "out")
    shutil.copy(tmp_path / "out" / store.FILE, tmp_path / "out" / "audio_x.parquet")
    with pytest.raises(InputError, match=r"holds audio_x\.parquet, which would be joined"):
        made(source, tmp_path / "out", force=True)


def test_a_build_of_another_kind_or_a_file_in_the_way_is_refused(source, tmp_path):
    made(source, tmp_path / "out")
    with pytest.raises(InputError, match="holds a corpus of kind emodb; name another folder"):
        build.build("ravdess", source, tmp_path / "out", force=True)
    with pytest.raises(InputError, match="is a file; name a new folder"):
        made(source, made_trees.text(tmp_path / "file", "x"))


@pytest.mark.parametrize("there", [True, False])
def test_a_write_that_fails_leaves_nothing_behind(source, tmp_path, monkeypatch, there):
    out = tmp_path / "deep" / "out"
    if there:
        out.mkdir(parents=True)

    def fail(*arguments, **keywords):
        raise OSError(28, "No space left on device", str(out))

    monkeypatch.setattr(store.corpus, "load", fail)
    with pytest.raises(OSError, match="No space left"):
        made(source, out)
    assert out.exists() == there
    assert (tmp_path / "deep").exists() == there
    assert list(tmp_path.rglob("*.parquet")) == []


def test_progress_is_told_for_every_recording(source, tmp_path):
    told = []
    made(source, tmp_path / "out", watch=lambda done, of: told.append((done, of)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_file_is_looked_at_once_however_often_it_is_named(source):
    path = source / "wav" / "03a01Fa.wav"
    told = []
    assert list(audio.examine([path] * 50, lambda done, of: told.append(of))) == [path]
    assert told == [1]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_recording_that_may_not_be_read_is_refused(source, tmp_path):
    path = source / "wav" / "08a02Na.wav"
    path.chmod(0)
    with pytest.raises(InputError, match="cannot be read"):
        made(source, tmp_path / "out")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"shortest": -1}, "--set shortest: Input should be greater than or equal to 0, found '-1'"),
        ({"classes": {"F": 3}}, "--set classes.F: Input should be a valid string"),
        ({"shortestt": 1}, "--set shortestt: emodb has no such option; it has shortest, classes"),
    ],
)
def test_options_are_checked(source, tmp_path, options, said):
    with pytest.raises(InputError) as error:
        made(source, tmp_path / "out", options=options)
    assert str(error.value).startswith(said)


@pytest.mark.parametrize("kind", kinds.KINDS)
def test_every_reader_refuses_what_is_not_there_and_what_is_empty(kind, tmp_path):
    with pytest.raises(InputError, match="does not exist; give the folder that holds"):
        build.build(kind, tmp_path / "nowhere", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no"):
        build.build(kind, tmp_path / "empty", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", kinds.KINDS)
def test_every_reader_describes_its_options(kind):
    reader = kinds.get(kind)
    assert reader.name == kind
    assert reader.layout
    assert all(field.description for field in reader.options.model_fields.values())
    assert (reader.read.__doc__ or "").strip()


def test_the_page_about_recordings_names_every_kind_and_option():
    page = (Path(__file__).parents[3] / "docs" / "recordings.md").read_text(encoding="utf-8")
    for kind in kinds.KINDS:
        assert f"| `{kind}` |" in page
        own = set(kinds.get(kind).options.model_fields) - {"label", "speaker", "transcript", "session", "file"}
        assert not [name for name in own if f"`{name}" not in page and f"{name}=" not in page], kind


def test_an_unknown_kind_is_refused():
    with pytest.raises(InputError, match="there is no reader 'iemocapp'; there is ami, audformat"):
        kinds.get("iemocapp")
