"""Label files damaged at random: a reader reads them or refuses in one line, and never falls over."""

from pathlib import Path

import made_trees
import numpy as np
import pytest

from trainables.corpora import kinds
from trainables.errors import InputError

TIMES = 100


def iemocap(root):
    file = made_trees.iemocap_dialogue(root, "Ses01F_impro01", [("F000", 1.0, 2.0, "neu"), ("M000", 2.0, 3.0, "exc")])
    spoken = root / "Session1/dialog/transcriptions/Ses01F_impro01.txt"
    return [file, made_trees.text(spoken, "Ses01F_impro01_F000 [001.0000-002.0000]: Excuse me.")]


def msp_improv(root):
    lines = [
        line
        for name in ("S01A-F01-S-FM01", "S01A-M01-S-FM01")
        for line in made_trees.improv_lines(name, "H", {"P": "Sad"})
    ]
    return [made_trees.text(root / "Evalution.txt", *lines)]


def msp_podcast(root):
    lines = ["MSP-PODCAST_0001_0008.wav,N,2.2,30,Test1", "MSP-PODCAST_0001_0009.wav,H,2.2,Unknown,Train"]
    table = made_trees.text(root / "Labels/labels_consensus.csv", "FileName,EmoClass,EmoAct,SpkrID,Split_Set", *lines)
    return [table, made_trees.text(root / "Partitions.txt", "Test1; MSP-PODCAST_0001_0008.wav")]


def msp_podcast_json(root):
    content = '{"MSP-PODCAST_0001_0008.wav": {"EmoClass": "N", "EmoAct": 1.5, "SpkrID": 3, "Split_Set": "Train"}}'
    return [made_trees.text(root / "Labels/labels_consensus.json", *content.split(" "))]


def meld(root):
    head = "Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode"
    line = '"also I, the",Chandler,joy,positive,0,{},8,21'
    return [
        made_trees.text(root / f"{split}_sent_emo.csv", head, *map(line.format, range(3)))
        for split in ("train", "dev", "test")
    ]


def ami(root):
    meeting = (
        '<meeting nite:id="m" observation="ES2002a"><speaker nxt_agent="A" global_name="FEE005" channel="0"/></meeting>'
    )
    words = (made_trees.ami_word("ES2002a.A", number, number, number + 0.5, "so") for number in range(9))
    made_trees.wav(root / "ES2002a.Headset-0.wav", 10)
    return [
        made_trees.ami_xml(root / "corpusResources/meetings.xml", meeting),
        made_trees.ami_xml(root / "words/ES2002a.A.words.xml", *words),
        made_trees.ami_xml(root / "segments/ES2002a.A.segments.xml", made_trees.ami_segment("ES2002a.A", 1, 0, 8)),
    ]


def csv(root):
    return [
        made_trees.text(
            root / "labels.csv", "file,speaker,label,start,turn,split", "a.wav,x,joy,0.5,1,train", "b.wav,y,joy,,2,"
        )
    ]


def audformat(root):
    head = ["tables:", "  e:", "    type: segmented", "    split_id: train", "    columns: {emotion: {}, speaker: {}}"]
    header = made_trees.text(
        root / "db.yaml", *head, "splits: {train: {type: train}}", "schemes: {speaker: {labels: {1: {}}}}"
    )
    table = made_trees.text(root / "db.e.csv", "file,start,end,emotion,speaker", "a.wav,0 days 00:00:01,,joy,1")
    return [header, table]


def damaged(content, rng):
    """Bytes lost, doubled, changed, or the rest cut off."""
    place, size = rng.integers(len(content)), rng.integers(1, 12)
    noise = rng.choice(
        [b"\0", b"\xff\xfe", b'"', b";", b",", b"\n", b"[", b"{", b"<", b"nan", b"-1", b"1e999", b":", b"  "]
    )
    return [
        content[:place] + content[place + size :],
        content[:place] + content[place : place + size] * 2 + content[place + size :],
        content[:place] + bytes(noise) + content[place + size :],
        content[:place] + bytes(noise) + content[place:],
        content[:place],
    ][rng.integers(5)]


def answer(reader, folder, options):
    """What a reader says against a folder; nothing where it reads it."""
    try:
        reader.read(folder, options)
    except InputError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    "make",
    [iemocap, msp_improv, msp_podcast, msp_podcast_json, meld, ami, csv, audformat],
    ids=lambda make: make.__name__,
)
def test_a_damaged_label_file_is_read_or_refused_in_one_line(make, tmp_path):
    kind = make.__name__.removesuffix("_json")
    files, reader = make(tmp_path), kinds.get(kind)
    options = reader.options(**({"seconds": 2.0} if kind == "ami" else {}))
    whole = {file: file.read_bytes() for file in files}
    assert reader.read(tmp_path, options).rows
    rng, said = np.random.default_rng(0), []
    for _ in range(TIMES):
        file: Path = files[rng.integers(len(files))]
        file.write_bytes(damaged(whole[file], rng))
        said.append(answer(reader, tmp_path, options))
        file.write_bytes(whole[file])
    refused = [each for each in said if each]
    assert refused
    assert [each for each in refused if "\n" in each or str(tmp_path) not in each] == []
