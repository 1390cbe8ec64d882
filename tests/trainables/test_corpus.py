from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trainables import corpus as corpora
from trainables.corpus import Corpus, load
from trainables.errors import InputError

_ROWS = 12


def table(rows: int = _ROWS, **changes: object) -> pa.Table:
    """A sound main table: 4 speakers in 2 sessions, 2 classes, one unlabeled row; None drops a column."""
    number = np.arange(rows)
    rng = np.random.default_rng(0)
    columns: dict[str, object] = {
        "utterance_id": [f"u{row:02d}" for row in number],
        "speaker": [f"P{row % 4}" for row in number],
        "session": [f"S{row % 4 // 2}" for row in number],
        "dialogue": [f"D{row % 4 // 2}" for row in number],
        "turn": number // 4,
        "label": [None if row == rows - 1 else ("calm", "angry")[row // 4 % 2] for row in number],
        "audio_made3": vectors(rng.normal(size=(rows, 3))),
        "text_made2": vectors(rng.normal(size=(rows, 2))),
    }
    return pa.table({name: each for name, each in (columns | changes).items() if each is not None})


def vectors(values: np.ndarray) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(values.astype(np.float32).ravel()), values.shape[1])


def store(folder: Path, **tables: pa.Table) -> Path:
    folder.mkdir(exist_ok=True)
    for name, each in tables.items():
        pq.write_table(each, folder / f"{name}.parquet")
    return folder


def values(rows: int = _ROWS, dim: int = 3, **at: float) -> np.ndarray:
    out = np.random.default_rng(1).normal(size=(rows, dim))
    for place, value in at.items():
        row, _, column = place[1:].partition("_")
        out[int(row), int(column) if column else slice(None)] = value
    return out


def test_a_corpus_is_read_whole(tmp_path: Path) -> None:
    corpus = load(store(tmp_path / "mine", main=table()))
    assert (corpus.name, corpus.classes, corpus.warnings) == ("mine", ("angry", "calm"), ())
    assert corpus.columns == {"audio": "audio_made3", "text": "text_made2"}
    assert corpus.labels.tolist() == [1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, -1]
    assert corpus.features["audio"].shape == (_ROWS, 3)
    assert corpus.features["audio"].dtype == np.float32
    assert corpus.features["audio"].flags.c_contiguous
    assert corpus.present["text"].all()
    expected = ["utterance_id", "speaker", "session", "dialogue", "turn", "label"]
    assert list(corpus.utterances.columns) == expected
    assert corpus.utterances["turn"].tolist() == [0] * 4 + [1] * 4 + [2] * 4


def test_any_list_of_numbers_is_a_vector(tmp_path: Path) -> None:
    wanted = np.arange(_ROWS * 3, dtype=np.float32).reshape(_ROWS, 3)
    expected = load(store(tmp_path / "a", main=table(audio_made3=vectors(wanted))))
    for number, kind in enumerate((pa.list_(pa.float64()), pa.large_list(pa.int16()), pa.list_(pa.float16(), 3))):
        column = pa.array([row.astype(np.float16 if number == 2 else float).tolist() for row in wanted])
        folder = store(tmp_path / f"kind {number}", main=table(audio_made3=column.cast(kind)))
        np.testing.assert_array_equal(load(folder).features["audio"], wanted)
        assert load(folder).fingerprint == expected.fingerprint


def test_missing_is_null_nan_or_said_so(tmp_path: Path) -> None:
    column = pa.array([None if row == 1 else each.tolist() for row, each in enumerate(values(r2=np.nan))])
    has = [None if row == 0 else row != 5 for row in range(_ROWS)]
    corpus = load(store(tmp_path, main=table(audio_made3=column, has_audio=has)))
    assert np.flatnonzero(~corpus.present["audio"]).tolist() == [1, 2, 5]
    assert np.isnan(corpus.features["audio"]).all(axis=1).tolist() == (~corpus.present["audio"]).tolist()
    assert corpus.warnings == (
        "audio_made3: 2 utterances have no vector though has_audio is true; they count as missing",
    )


def test_side_files_join_on_the_id(tmp_path: Path) -> None:
    more = values(dim=5)
    side = pa.table({"utterance_id": table()["utterance_id"], "text_more5": vectors(more)})
    shuffled = np.random.default_rng(2).permutation(_ROWS)[:-2]
    folder = store(tmp_path, main=table(text_made2=None), side=side.take(shuffled))
    corpus = load(folder)
    assert corpus.columns["text"] == "text_more5"
    assert corpus.present["text"].sum() == _ROWS - 2
    there = corpus.present["text"]
    np.testing.assert_array_equal(corpus.features["text"][there], more.astype(np.float32)[there])


def test_a_side_file_may_repeat_speaker_and_label(tmp_path: Path) -> None:
    side = table(session=None, dialogue=None, turn=None, text_made2=None).rename_columns(
        ["utterance_id", "speaker", "label", "audio_big3"]
    )
    corpus = load(store(tmp_path, a_side=side, main=table()))
    assert corpus.columns["audio"] == "audio_made3"
    chosen = load(tmp_path, features={"audio": "audio_big3"}, modalities=["audio"])
    assert chosen.columns == {"audio": "audio_big3"}
    assert chosen.fingerprint != corpus.fingerprint


def test_the_column_without_gaps_is_the_default(tmp_path: Path) -> None:
    folder = store(tmp_path, main=table(audio_gappy3=vectors(values(r4_1=np.nan))))
    assert load(folder).columns["audio"] == "audio_made3"
    with pytest.raises(InputError, match=r"audio_gappy3, row 4 \(u04\): NaN at index 1"):
        load(folder, features={"audio": "audio_gappy3"})


@pytest.mark.parametrize("modalities", [["audio"], ["text", "audio"]])
def test_only_the_modalities_asked_for_are_read(tmp_path: Path, modalities: list[str]) -> None:
    broken = vectors(values(dim=2, r3_0=np.inf))
    folder = store(tmp_path, main=table(text_made2=broken))
    if "text" in modalities:
        with pytest.raises(InputError, match="text_made2, row 3"):
            load(folder, modalities=modalities)
    else:
        assert list(load(folder, modalities=modalities).features) == modalities


def test_what_is_absent_is_assumed_and_told(tmp_path: Path) -> None:
    corpus = load(store(tmp_path, main=table(session=None, dialogue=None, turn=None)))
    assert (corpus.utterances["session"] == corpus.utterances["speaker"]).all()
    assert (corpus.utterances["dialogue"] == corpus.utterances["utterance_id"]).all()
    assert (corpus.utterances["turn"] == 0).all()
    assert [each.partition(":")[0] for each in corpus.warnings] == [
        "no column session",
        "no column dialogue",
        "no column turn",
    ]


def test_speakers_may_be_numbers_and_labels_categories(tmp_path: Path) -> None:
    number = pa.array([row % 4 for row in range(_ROWS)])
    corpus = load(store(tmp_path, main=table(speaker=number, label=table()["label"].dictionary_encode())))
    assert corpus.utterances["speaker"].tolist()[:5] == ["0", "1", "2", "3", "0"]
    assert corpus.classes == ("angry", "calm")


def test_prediction_needs_no_labels(tmp_path: Path) -> None:
    folder = store(tmp_path, main=table(label=None))
    corpus = load(folder, labeled=False)
    assert corpus.classes == ()
    assert (corpus.labels == -1).all()
    assert corpus.utterances["label"].isna().all()
    with pytest.raises(InputError, match="no utterance is labeled"):
        load(folder)


def _encodings(folder: Path) -> dict[str, Path]:
    """The same content, stored in other ways."""
    whole = table()
    shuffled = whole.take(np.random.default_rng(3).permutation(_ROWS))
    side = whole.select(["utterance_id", "text_made2"])
    ways = {name: folder / name for name in ("groups", "order", "shards", "joined")}
    for each in ways.values():
        each.mkdir()
    pq.write_table(whole, ways["groups"] / "x.parquet", row_group_size=5, compression="gzip", version="1.0")
    store(ways["order"], other_name=shuffled)
    store(ways["shards"], b=whole.slice(0, 7), a=whole.slice(7))
    store(ways["joined"], main=whole.drop_columns("text_made2"), side=side.take(np.arange(_ROWS)[::-1]))
    return ways


@pytest.mark.parametrize("way", ["groups", "order", "shards", "joined"])
def test_the_fingerprint_is_of_the_content_however_it_is_stored(tmp_path: Path, way: str) -> None:
    expected = load(store(tmp_path / "plain", main=table()))
    found = load(_encodings(tmp_path)[way])
    assert found.fingerprint == expected.fingerprint
    pd.testing.assert_frame_equal(found.utterances, expected.utterances)
    np.testing.assert_array_equal(found.features["text"], expected.features["text"])


_OTHER = np.array(table()["text_made2"].to_pylist())
_OTHER[6, 1] += 1e-3


@pytest.mark.parametrize(
    "change",
    [
        {"speaker": [f"P{row % 3}" for row in range(_ROWS)]},
        {"session": [f"S{row % 4}" for row in range(_ROWS)]},
        {"dialogue": [f"D{row % 3}" for row in range(_ROWS)]},
        {"turn": list(range(_ROWS))},
        {"label": ["calm", "angry"] * 5 + [None, None]},
        {"split": ["train"] * _ROWS},
        {"has_audio": [row > 0 for row in range(_ROWS)]},
        {"utterance_id": [f"v{row:02d}" for row in range(_ROWS)]},
        {"text_made2": vectors(_OTHER)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_fingerprint_changes_with_the_content(tmp_path: Path, change: dict) -> None:
    before = load(store(tmp_path / "before", main=table()))
    after = load(store(tmp_path / "after", main=table(**change)))
    assert before.fingerprint != after.fingerprint


def test_what_plays_no_part_leaves_the_fingerprint_alone(tmp_path: Path) -> None:
    before = load(store(tmp_path / "before", main=table()))
    after = load(store(tmp_path / "after", main=table(gender=["f"] * _ROWS, has_text=[True] * _ROWS)))
    assert before.fingerprint == after.fingerprint


_IDS = [f"u{row:02d}" for row in range(_ROWS)]
_RAGGED = pa.array([[0.5] * (2 if row == 9 else 3) for row in range(_ROWS)])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"utterance_id": None}, r"main.parquet: no column utterance_id, found speaker, .*; add one"),
        ({"utterance_id": [*_IDS[:-1], None]}, r"utterance_id, row 11: is missing"),
        ({"utterance_id": [*_IDS[:-1], "u03"]}, r"utterance_id, row 11: 'u03' is already in row 3; remove"),
        ({"utterance_id": vectors(values())}, r"utterance_id: holds fixed_size_list.*, expected text"),
        ({"speaker": None}, r"main.parquet: no column speaker.*add a text column speaker"),
        ({"speaker": [*"abcdabcdabc", None]}, r"speaker, row 11 \(u11\): is missing"),
        ({"speaker": [*"abcdabcdabc", " d"]}, r"speaker, row 11 \(u11\): ' d' is blank or padded"),
        ({"session": [*"abcdabcdabc", None]}, r"session, row 11 \(u11\): is missing"),
        ({"turn": [0.5] * _ROWS}, r"turn: holds double, expected whole numbers"),
        ({"turn": [*range(11), None]}, r"turn, row 11 \(u11\): is missing"),
        ({"split": ["train"] * 11 + ["val"]}, r"split, row 11 \(u11\): found 'val', expected train, dev, test"),
        ({"label": ["calm"] * 11 + [""]}, r"label, row 11 \(u11\): '' is blank"),
        ({"label": ["calm"] * 11 + [None]}, r"label: all 11 labels are 'calm'"),
        ({"label": ["calm", "sad"] * 5 + ["odd", None]}, r"label: class 'odd' has a single utterance"),
        ({"label": [None] * _ROWS}, r"label: no utterance is labeled"),
        ({"audio_made3": _RAGGED}, r"audio_made3, row 9 \(u09\): 2 values, the others have 3"),
        ({"audio_made3": pa.array([[]] * _ROWS, pa.list_(pa.float32()))}, r"audio_made3: vectors are empty"),
        ({"audio_made3": pa.nulls(_ROWS, pa.list_(pa.float32(), 3))}, r"audio_made3: holds only nulls"),
        ({"audio_made3": vectors(np.full((_ROWS, 3), np.nan))}, r"audio_made3: no utterance has a vector"),
        ({"audio_made3": vectors(values(r7_2=np.nan))}, r"audio_made3, row 7 \(u07\): NaN at index 2"),
        (
            {"audio_made3": vectors(values(r7_2=np.inf, r8_0=-np.inf))},
            r"audio_made3, row 7 \(u07\) \(and 1 more rows\): an infinite value at index 2",
        ),
        ({"audio_made3": pa.array([[1e300] * 3] * _ROWS)}, r"row 0 \(u00\).*an infinite value"),
        ({"has_audio": ["yes"] * _ROWS}, r"has_audio: holds string, expected true or false"),
        ({"audio_other4": vectors(values(dim=4))}, r"several audio columns, audio_made3, audio_other4; choose"),
        ({"audio_made3": None, "text_made2": None}, r"no feature column; expected lists of numbers"),
        ({"audio_made3": ["a"] * _ROWS, "text_made2": [1.5] * _ROWS}, r"no feature column"),
    ],
)
def test_bad_content_is_answered_in_one_line(tmp_path: Path, change: dict, message: str) -> None:
    folder = store(tmp_path, main=table(**change))
    with pytest.raises(InputError, match=message) as refused:
        load(folder)
    assert "\n" not in str(refused.value)


_SIDE = pa.table({"utterance_id": _IDS, "audio_more2": vectors(values(dim=2))})


@pytest.mark.parametrize(
    ("side", "message"),
    [
        (
            _SIDE.set_column(0, "utterance_id", pa.array([*_IDS[:-1], "zz"])),
            r"side.parquet: utterance_id 'u00' is also in main.parquet, but row 11 \('zz'\) is in no other file",
        ),
        (
            pa.table({"utterance_id": ["a", "b"], "audio_more2": vectors(values(2, 2))}),
            r"side.parquet: utterance_id, row 0: 'a' is not in main.parquet",
        ),
        (
            _SIDE.rename_columns(["utterance_id", "audio_made3"]),
            r"side.parquet: audio_made3, row 0: main.parquet has this column for the same utterance",
        ),
        (
            _SIDE.append_column("label", pa.array(["calm"] * _ROWS)),
            r"side.parquet: label, row 4 \(u04\): 'calm', but the main file says 'angry'",
        ),
        (
            table(2, utterance_id=["x", "y"], session=None, label=["calm", "calm"]),
            r"side.parquet: no column session, though main.parquet has one",
        ),
        (
            table(2, utterance_id=["x", "y"], audio_made3=vectors(values(2, 4)), label=["calm", "calm"]),
            r"audio_made3: vectors have 4 values, those of main.parquet 3",
        ),
        (table(0), r"side.parquet: has no rows"),
    ],
)
def test_files_that_do_not_fit_each_other(tmp_path: Path, side: pa.Table, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(store(tmp_path, main=table(), side=side))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"main.parquet: is empty; copy"),
        (b"utterance_id,speaker\nu1,P1\n", r"main.parquet: is not a Parquet file, whatever its name says"),
        (None, r"main.parquet: is cut off or damaged"),
    ],
)
def test_a_file_that_is_no_parquet(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = store(tmp_path, main=table()) / "main.parquet"
    path.write_bytes(path.read_bytes()[:-200] if content is None else content)
    with pytest.raises(InputError, match=message) as refused:
        load(tmp_path)
    assert "\n" not in str(refused.value)


def test_a_damaged_page_is_answered_too(tmp_path: Path) -> None:
    path = store(tmp_path, main=table()) / "main.parquet"
    content = bytearray(path.read_bytes())
    content[4:300] = bytes(296)
    path.write_bytes(bytes(content))
    with pytest.raises(InputError, match=r"main.parquet: is cut off or damaged"):
        load(tmp_path)


def test_a_folder_without_parquet(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere: does not exist; give a folder"):
        load(tmp_path / "nowhere")
    (tmp_path / "table.csv").write_text("a,b")
    with pytest.raises(InputError, match=r"no \*.parquet file in this folder, found table.csv"):
        load(tmp_path)
    with pytest.raises(InputError, match="is a file; give a folder"):
        load(tmp_path / "table.csv")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"features": {"audio": "audio_made4"}}, r"no column 'audio_made4'; .* \(did you mean audio_made3\?\)"),
        ({"features": {"audio": "text_made2"}}, r"features.audio: corpus .* has no column 'text_made2'"),
        ({"features": {"video": "video_x"}}, r"has no video features; it has audio, text"),
        ({"modalities": ["audios"]}, r"has no audios features; .*did you mean audio"),
        ({"features": {"text": "text_made2"}, "modalities": ["audio"]}, r"features.text: .* not among"),
    ],
)
def test_a_choice_that_is_not_there(tmp_path: Path, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(store(tmp_path, main=table()), **options)


def test_oddities_are_told(tmp_path: Path) -> None:
    audio = values()
    audio[:, 1] = 7.0
    audio[9] = audio[2]
    text = values(dim=2)
    text[1] = text[2]
    label = ["sad", "sad", *["calm", "angry"] * 5]
    changes = {"audio_made3": vectors(audio), "text_made2": vectors(text), "label": label}
    folder = store(tmp_path, main=table(**changes))
    of_its_own = (
        "audio_made3: 1 of 3 columns do not vary (index 1)",
        "audio: 2 utterances have the very vector of another; is a recording in twice?",
    )
    assert load(folder).warnings == of_its_own
    # Whether these matter depends on the protocol: a study is told by its folds.
    assert corpora.inspect(folder).warnings == (
        *of_its_own,
        "texts repeat: 2 of 12 utterances (17%) have a text that also occurs in another session, so test texts may "
        "be known from training",
        "1 of 2 sessions lack a class (S1)",
        "4 of 4 speakers lack a class (P0, P1, P2, ...)",
    )


@pytest.mark.parametrize(("name", "nameless"), [("Unknown", True), ("<unk>", True), ("?", True), ("Una", False)])
def test_a_speaker_without_a_name_is_told(tmp_path: Path, name: str, nameless: bool) -> None:
    speakers = [name if row % 4 == 3 else f"P{row % 4}" for row in range(_ROWS)]
    said = load(store(tmp_path, main=table(speaker=speakers))).warnings
    assert [each.partition(",")[0] for each in said] == [f"3 utterances are of speaker {name!r}"] * nameless


def test_inspect_shows_all_there_is(tmp_path: Path) -> None:
    gappy = values(r3=np.nan)
    gappy[:, 0] = np.where(np.isnan(gappy[:, 0]), np.nan, 1.0)
    folder = store(tmp_path / "mine", main=table(audio_gappy3=vectors(gappy), split=["train"] * 8 + ["dev"] * 4))
    summary = corpora.inspect(folder)
    assert (summary.name, summary.utterances, summary.labeled) == ("mine", 12, 11)
    assert summary.fingerprint == load(folder).fingerprint
    assert summary.classes == {"angry": 4, "calm": 7}
    assert summary.speakers.loc["P3"].to_dict() == {"utterances": 3, "angry": 1, "calm": 1}
    assert summary.sessions["utterances"].tolist() == [6, 6]
    assert summary.splits.loc["dev"].to_dict() == {"utterances": 4, "angry": 0, "calm": 3}
    assert summary.dialogues == 2
    columns = {each.name: (each.modality, each.dim, each.missing, each.constant, each.used) for each in summary.columns}
    assert columns == {
        "audio_made3": ("audio", 3, 0, 0, True),
        "audio_gappy3": ("audio", 3, 1, 1, False),
        "text_made2": ("text", 2, 0, 0, True),
    }
    answers = {each.kind: each for each in summary.protocols}
    assert answers["leave-one-speaker-out"].allowed
    assert answers["leave-one-speaker-out"].reason.startswith("4 folds")
    assert not answers["predefined"].allowed


def test_inspect_answers_a_choice_instead_of_refusing(tmp_path: Path) -> None:
    folder = store(tmp_path, main=table(audio_other4=vectors(values(dim=4))))
    summary = corpora.inspect(folder)
    assert summary.fingerprint == ""
    assert "choose one, for example features: {audio: audio_made3}" in summary.warnings[0]
    assert [each.name for each in summary.columns] == ["audio_made3", "audio_other4", "text_made2"]


# Utterances, labeled, and columns taken by default, as the SOURCE.md files state them.
_REAL = {
    "iemocap": (10039, 5531, {"audio": "audio_gemaps47", "text": "text_minilm384"}),
    "msp_improv": (5311, 4918, {"audio": "audio_gemaps47", "text": "text_minilm384"}),
    "emodb": (535, 535, {"audio": "audio_egemaps88"}),
    "ravdess": (1440, 1440, {"audio": "audio_egemaps88"}),
    "meld": (13708, 13708, {"text": "text_minilm384"}),
    "cmu_mosi": (2199, 2199, {"audio": "audio_opensmile73", "text": "text_minilm384"}),
}


@pytest.mark.parametrize("name", _REAL)
def test_real_corpora_load_as_described(name: str, shared_data: Callable[[str], Path]) -> None:
    corpus: Corpus = load(shared_data(name))
    utterances, labeled, columns = _REAL[name]
    assert (len(corpus.utterances), int((corpus.labels >= 0).sum())) == (utterances, labeled)
    assert corpus.columns == columns
    for modality, array in corpus.features.items():
        assert np.isfinite(array[corpus.present[modality]]).all()
        assert np.isnan(array[~corpus.present[modality]]).all()


def test_a_real_missing_modality(shared_data: Callable[[str], Path]) -> None:
    corpus = load(shared_data("msp_improv"))
    raw = pd.read_parquet(
        next(shared_data("msp_improv").glob("*.parquet")), columns=["utterance_id", "has_text"]
    ).sort_values("utterance_id")
    assert (corpus.present["text"] == raw["has_text"].to_numpy()).all()
    assert (~corpus.present["text"]).sum() == 66


def test_a_real_side_file(shared_data: Callable[[str], Path]) -> None:
    corpus = load(shared_data("emodb"), features={"audio": "audio_compare6373"})
    assert corpus.features["audio"].shape == (535, 6373)
    assert corpus.warnings[0].startswith("audio_compare6373: ")
    assert corpus.present["audio"].all()
