"""MELD: its three CSV files, clips that have audio beside them, and the real table's counts."""

import made_trees
import pandas as pd
import pytest

from trainables.corpora import build, meld
from trainables.errors import InputError

NAMES = (
    "Sr No.",
    "Utterance",
    "Speaker",
    "Emotion",
    "Sentiment",
    "Dialogue_ID",
    "Utterance_ID",
    "Season",
    "Episode",
    "StartTime",
    "EndTime",
)


def line(said, speaker, emotion, dialogue, utterance):
    return (1, said, speaker, emotion, "neutral", dialogue, utterance, 8, 21, "00:16:16,059", "00:16:21,731")


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "MELD.Raw"
    made_trees.csv_file(
        root / "train_sent_emo.csv",
        NAMES,
        [
            line("also I was the point person, on my company\u0092s transition", "Chandler ", "neutral", 0, 0),
            line('Say "hi".', "The Interviewer", "joy", 0, 1),
            line("That I did.", "Chandler", "surprise", 1, 0),
        ],
    )
    made_trees.csv_file(root / "dev_sent_emo.csv", NAMES, [line("Oh my God", "Phoebe Sr", "sadness", 0, 0)])
    made_trees.csv_file(root / "test_sent_emo.csv", NAMES, [line("Why?", "Mark", "anger", 0, 0)])
    return root


def read(tree):
    return meld.read(tree, meld.Meld())


def rows(tree):
    return {row["utterance_id"]: row for row in read(tree).rows}


def test_ids_speakers_and_labels(tree, tmp_path):
    made = build.build("meld", tree, tmp_path / "out").utterances.set_index("utterance_id")
    assert made["label"].to_dict() == {
        "train_dia0_utt0": "neutral",
        "train_dia0_utt1": "happy",
        "train_dia1_utt0": "surprise",
        "dev_dia0_utt0": "sad",
        "test_dia0_utt0": "angry",
    }
    assert made.loc["train_dia0_utt0", "speaker"] == "Chandler"
    assert made.loc["dev_dia0_utt0", "speaker"] == "Phoebe Sr"
    assert made.loc["train_dia0_utt1", "transcript"] == 'Say "hi".'
    assert set(made["session"]) == {"s08e21"}


def test_windows_quotes_are_quotes_again(tree):
    assert "company\u2019s" in rows(tree)["train_dia0_utt0"]["transcript"]


def test_a_file_in_windows_code_page_is_read(tree):
    made_trees.text(
        tree / "dev_sent_emo.csv",
        ",".join(NAMES),
        "1,caf\u00e9 \u2013 oui,Ross,joy,positive,0,0,1,1,,",
        encoding="cp1252",
    )
    assert rows(tree)["dev_dia0_utt0"]["transcript"] == "caf\u00e9 \u2013 oui"


def test_without_audio_it_is_a_corpus_of_text(tree, tmp_path):
    for name in ("train_splits/dia0_utt0.mp4", "dev_splits_complete/dia0_utt0.mp4"):
        made_trees.text(tree / name, "no audio is taken out of a film")
    built = build.build("meld", tree, tmp_path / "out")
    assert "recording" not in built.utterances
    assert built.notes[0].startswith("no clip has a WAV file beside it: text alone")


def test_a_clip_without_audio_is_text_alone(tree, tmp_path):
    made_trees.wav(tree / "train_splits" / "dia0_utt0.wav", 0.2)
    made_trees.wav(tree / "output_repeated_splits_test" / "dia0_utt0.wav", 0.3)
    made_trees.wav(tree / "output_repeated_splits_test" / "final_videos_testdia0_utt0.wav", 0.3)
    built = build.build("meld", tree, tmp_path / "out")
    seconds = built.utterances.set_index("utterance_id")["duration"].dropna()
    assert seconds.to_dict() == {"train_dia0_utt0": 0.2, "test_dia0_utt0": 0.3}
    assert "3 utterances whose clip has no WAV file: text alone" in built.notes


def test_a_missing_file_is_refused(tree):
    (tree / "dev_sent_emo.csv").unlink()
    with pytest.raises(InputError, match=r"holds no dev_sent_emo\.csv; give the folder that holds MELD's"):
        read(tree)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (line("x", "Ross", "joy", "one", 0), "found 'one', expected a whole number in column Dialogue_ID"),
        (line("x", " ", "joy", 5, 0), "expected a name in column Speaker"),
        (line("x", "Ross", "joy", 0, 0), "each utterance once, it is in line 2"),
        (line("x", "Ross", "joy", 5, 0)[:5], "expected 11 cells as in the header, not 5"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(tree, row, expected):
    path = tree / "dev_sent_emo.csv"
    made_trees.csv_file(path, NAMES, [line("Oh my God", "Phoebe Sr", "sadness", 0, 0), row])
    with pytest.raises(InputError) as error:
        read(tree)
    assert str(error.value).startswith(f"{path}: line 3: ")
    assert expected in str(error.value)


def test_another_table_is_refused(tree):
    made_trees.csv_file(tree / "dev_sent_emo.csv", ("Utterance", "Speaker"), [("a", "b")])
    with pytest.raises(InputError, match="has no column Emotion, Sentiment, Dialogue_ID"):
        read(tree)


@pytest.mark.slow
def test_the_whole_table(shared_data, tmp_path):
    """The three CSV files written from the real table, built, and held against it and the published counts."""
    real = pd.read_parquet(shared_data("meld") / "meld_text.parquet").drop(columns="text_minilm384")
    for split, part in real.groupby("split"):
        ids = part["utterance_id"].str.extract(r"dia(\d+)_utt(\d+)$")
        show = part["session"].str.extract(r"s(\d+)e(\d+)")
        columns = (
            part["transcript"],
            part["speaker"],
            part["label_raw"],
            part["sentiment"],
            ids[0],
            ids[1],
            show[0],
            show[1],
        )
        lines = [("1", *cells, "", "") for cells in zip(*columns, strict=True)]
        made_trees.csv_file(tmp_path / "MELD" / f"{split}_sent_emo.csv", NAMES, lines)
    built = build.build("meld", tmp_path / "MELD", tmp_path / "out")
    assert [each.equal for each in built.comparisons] == [True, True, True]
    made = built.utterances.merge(real, on="utterance_id", suffixes=("", "_real"), validate="one_to_one")
    assert len(made) == len(real) == 13708
    for name in ("speaker", "session", "dialogue", "turn", "split", "label", "label_raw", "sentiment"):
        assert (made[name] == made[f"{name}_real"]).all(), name
