"""MELD (Poria et al. 2019) as distributed: three CSV files, and clips of which only WAV files beside them are read."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import Field

from trainables.corpora import sources
from trainables.corpora.reader import Options, Published, Reader, Row, Tree

#: Split -> what names of folders with its clips hold.
SPLITS = {"train": ("train",), "dev": ("dev", "val"), "test": ("test",)}
_NEEDED = ("Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID", "Season", "Episode")
_CLIP = re.compile(r"dia\d+_utt\d+")


class Meld(Options):
    """Options of the reader."""

    classes: dict[str, str] = Field(
        {
            "anger": "angry",
            "disgust": "disgust",
            "fear": "fear",
            "joy": "happy",
            "neutral": "neutral",
            "sadness": "sad",
            "surprise": "surprise",
        }
    )
    """Class of each emotion; an emotion that is not named here gets none."""


def read(source: Path, options: Meld) -> Tree:
    """Every line of the three CSV files; a clip's recording is the audio file of its name, if there is one.

    Raises:
        InputError: If a CSV file is missing, or a line of it cannot be read.
    """
    clips = _clips(sources.folder(source, READER.layout))
    tree = Tree()
    for split in SPLITS:
        file = sources.find(source, (f"{split}_sent_emo.csv",), READER.layout)
        lines: dict[str, int] = {}
        for number, cells in sources.table(file, _NEEDED):
            row = _row(file, number, split, cells)
            name = row["utterance_id"]
            if name in lines:
                raise sources.malformed(file, number, name, f"each utterance once, it is in line {lines[name]}")
            lines[name] = number
            row["recording"] = clips.get((split, name.removeprefix(f"{split}_")))
            tree.rows.append(row)
    tree.notes = _notes(tree.rows)
    return tree


def _clips(source: Path) -> dict[tuple[str, str], Path]:
    """Audio of the clips by split and name; a folder's name has the split, as ``output_repeated_splits_test`` has."""
    found: dict[tuple[str, str], Path] = {}
    for path in sources.walk(source):
        if path.suffix.lower() not in sources.AUDIO or not _CLIP.fullmatch(path.stem):
            continue
        for place in reversed(path.relative_to(source).parts[:-1]):
            named = [split for split, parts in SPLITS.items() if any(part in place.casefold() for part in parts)]
            if len(named) == 1:
                found.setdefault((named[0], path.stem), path)
                break
    return found


def _row(file: Path, number: int, split: str, cells: dict[str, str]) -> Row:
    ids = {}
    for name in ("Dialogue_ID", "Utterance_ID", "Season", "Episode"):
        if not cells[name].isdecimal() or len(cells[name]) > 9:
            raise sources.malformed(file, number, cells[name], f"a whole number in column {name}")
        ids[name] = int(cells[name])
    if not cells["Speaker"]:
        raise sources.malformed(file, number, cells["Speaker"], "a name in column Speaker")
    dialogue = f"{split}_dia{ids['Dialogue_ID']}"
    return {
        "utterance_id": f"{dialogue}_utt{ids['Utterance_ID']}",
        "speaker": cells["Speaker"],
        "session": f"s{ids['Season']:02d}e{ids['Episode']:02d}",
        "dialogue": dialogue,
        "turn": ids["Utterance_ID"],
        "split": split,
        "label_raw": cells["Emotion"].lower() or None,
        "sentiment": cells["Sentiment"].lower() or None,
        "transcript": cells["Utterance"] or None,
    }


def _notes(rows: list[Row]) -> list[str]:
    silent = sum(row["recording"] is None for row in rows)
    if silent == len(rows):
        return ["no clip has a WAV file beside it: text alone (ffmpeg -i clip.mp4 -ac 1 -ar 16000 clip.wav makes one)"]
    return [f"{sources.count(silent, 'utterance')} whose clip has no WAV file: text alone"] if silent else []


def _published(split: str, *counts: int) -> Published:
    names = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
    return Published(
        title=split,
        source="Liang et al. 2020, table 2",
        counts=dict(zip(names, counts, strict=True)),
        where={"split": split},
    )


READER = Reader(
    name="meld",
    title="MELD",
    citation="Poria et al. 2019",
    layout="MELD's train_sent_emo.csv, dev_sent_emo.csv and test_sent_emo.csv",
    options=Meld,
    read=read,
    published=(
        _published("train", 1109, 271, 268, 1743, 4710, 683, 1205),
        _published("dev", 153, 22, 40, 163, 470, 111, 150),
        _published("test", 345, 68, 50, 402, 1256, 208, 281),
    ),
)
