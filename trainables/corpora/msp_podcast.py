"""MSP-Podcast (Lotfian and Busso 2019) as distributed: ``labels_consensus``, ``Partitions.txt``, audio, transcripts.

Speakers that nobody identified are called ``Unknown`` there. Taken as one speaker they would tie thousands of people
together; each utterance for itself would let one person's voice, of one conversation, into train and test. So the
unknown ones of one podcast count as one speaker, ``unknown_0001`` (``unknown: podcast``): too careful within a podcast,
and blind only to a person who appears unidentified in two.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from pydantic import Field

from trainables.corpora import sources
from trainables.corpora.reader import Options, Published, Reader, Row, Tree
from trainables.errors import InputError

_NAME = re.compile(r"MSP-PODCAST_(?P<podcast>\d+)_(?P<segment>\d+(?:_\d+)*)")
_NEEDED = ("EmoClass",)
_RATINGS = {"EmoAct": "activation", "EmoVal": "valence", "EmoDom": "dominance"}
_GENDERS = {"female": "f", "male": "m"}

Cells = dict[str, str]


class MspPodcast(Options):
    """Options of the reader."""

    classes: dict[str, str] = Field({"A": "angry", "H": "happy", "N": "neutral", "S": "sad"})
    """Class of each letter: the four of Ahn et al. 2025. U, F, D, C, O (other) and X (no agreement) get none."""
    test: Literal["Test1", "Test2", "Test3"] = "Test1"
    """Which partition is split ``test``; utterances of the other ones stay, without a split."""
    unknown: Literal["podcast", "utterance", "drop"] = "podcast"
    """Who spoke where nobody knows: one person a podcast, one an utterance, or leave such utterances out."""


def read(source: Path, options: MspPodcast) -> Tree:
    """Every utterance of the consensus labels.

    Raises:
        InputError: If there are no consensus labels, or one of them cannot be read.
    """
    file = sources.find(
        sources.folder(source, READER.layout), ("labels_consensus.csv", "labels_consensus.json"), READER.layout
    )
    labels = _from_json(file) if file.suffix == ".json" else _from_csv(file)
    partitions = _listed(source, "Partitions.txt", partition_first=True)
    speakers = _listed(source, "Speaker_ids.txt", partition_first=False)
    index = sources.Index(source)
    tree = Tree()
    for name, (number, cells) in labels.items():
        cells.setdefault("Split_Set", partitions.get(name, ""))
        cells.setdefault("SpkrID", speakers.get(name, ""))
        tree.rows.append(_row(file, number, name, cells, options))
        tree.rows[-1]["recording"] = index.get(name, file.parent.parent / "Audios" / f"{name}.wav")
    _check_known(file, tree.rows)
    if options.unknown == "drop":
        tree.rows = [row for row in tree.rows if row["speaker"] is not None]
    _transcribe(source, tree.rows)
    _number_turns(tree.rows)
    tree.notes = [*_notes(tree.rows, labels, partitions, index, options), *index.notes()]
    return tree


def _from_csv(file: Path) -> dict[str, tuple[int, Cells]]:
    labels: dict[str, tuple[int, Cells]] = {}
    for number, cells in sources.table(file, ("FileName", *_NEEDED)):
        name = _name(file, number, cells.pop("FileName"))
        if name in labels:
            raise sources.malformed(file, number, name, f"each file once, it is in line {labels[name][0]}")
        labels[name] = number, cells
    return labels


def _from_json(file: Path) -> dict[str, tuple[int, Cells]]:
    try:
        content = json.loads(sources.text(file))
    except json.JSONDecodeError as error:
        raise InputError(f"{file}: line {error.lineno}: is no JSON ({error.msg}); copy it again") from None
    if not isinstance(content, dict) or not all(isinstance(cells, dict) for cells in content.values()):
        raise InputError(f"{file}: line 1: expected labels by file name; copy it again")
    labels = {}
    for number, (name, cells) in enumerate(content.items(), start=1):
        if missing := [each for each in _NEEDED if each not in cells]:
            raise InputError(f"{file}: entry {name!r}: has no {missing[0]}; correct or remove it")
        texts = {key: "" if value is None else str(value).strip() for key, value in cells.items()}
        labels[_name(file, number, name)] = number, texts
    return labels


def _name(file: Path, number: int, text: str) -> str:
    name = text.strip().removesuffix(".wav")
    if not _NAME.fullmatch(name):
        raise sources.malformed(file, number, text, "a name like MSP-PODCAST_0001_0008.wav")
    return name


def _listed(source: Path, name: str, *, partition_first: bool) -> dict[str, str]:
    """A file of ``value; name`` lines (or ``name; value``), as value by utterance; empty where there is none."""
    found = [path for depth in range(3) for path in sorted(source.glob("*/" * depth + name))]
    if not found:
        return {}
    listed = {}
    for number, line in enumerate(sources.lines(found[0]), start=1):
        cells = [cell.strip() for cell in line.split(";")]
        if not any(cells):
            continue
        if len(cells) < 2:
            raise sources.malformed(found[0], number, line, "two values with a semicolon between them")
        value, text = cells[:2] if partition_first else cells[1::-1]
        listed[text.removesuffix(".wav")] = value
    return listed


def _row(file: Path, number: int, name: str, cells: Cells, options: MspPodcast) -> Row:
    match = _NAME.fullmatch(name)
    assert match is not None
    partition = cells["Split_Set"].replace(" ", "")
    return {
        "utterance_id": name,
        "speaker": _speaker(name, match["podcast"], cells["SpkrID"], options.unknown),
        "session": f"podcast_{match['podcast']}",
        "dialogue": f"podcast_{match['podcast']}",
        "turn": tuple(int(part) for part in match["segment"].split("_")),
        "gender": _GENDERS.get(cells.get("Gender", "").casefold()),
        "partition": partition or None,
        "split": _split(partition, options.test),
        "label_raw": cells["EmoClass"] or None,
        **{
            ours: sources.number(file, number, theirs, cells[theirs])
            for theirs, ours in _RATINGS.items()
            if theirs in cells
        },
        "transcript": None,
    }


def _speaker(name: str, podcast: str, speaker: str, unknown: str) -> str | None:
    if speaker and speaker.casefold() not in ("unknown", "nan", "none", "n/a"):
        return f"speaker_{speaker.removesuffix('.0')}"
    return {"podcast": f"unknown_{podcast}", "utterance": f"unknown_{name}", "drop": None}[unknown]


def _split(partition: str, test: str) -> str | None:
    if partition == test:
        return "test"
    return {"train": "train", "development": "dev", "validation": "dev"}.get(partition.casefold())


def _check_known(file: Path, rows: list[Row]) -> None:
    if not any(row["partition"] for row in rows):
        raise InputError(f"{file}: has no column Split_Set, and there is no Partitions.txt; copy that file too")


def _transcribe(source: Path, rows: list[Row]) -> None:
    folders = [path for path in (source / "Transcripts", *sorted(source.glob("*/Transcripts"))) if path.is_dir()]
    if not folders:
        return
    files = sources.Index(folders[0], (".txt",))
    asked = [row for row in rows if row["utterance_id"] in files]
    # A hundred thousand small files: the disk is waited for.
    with ThreadPoolExecutor(8) as pool:
        texts = pool.map(lambda row: _text(files[row["utterance_id"]]), asked)
        for row, text in zip(asked, texts, strict=True):
            row["transcript"] = text


def _text(path: Path) -> str | None:
    return sources.text(path).strip() if path.stat().st_size else None


def _number_turns(rows: list[Row]) -> None:
    taken: Counter[str] = Counter()
    for row in sorted(rows, key=lambda row: (row["dialogue"], row["turn"])):
        row["turn"] = taken[row["dialogue"]]
        taken[row["dialogue"]] += 1


def _notes(
    rows: list[Row],
    labels: dict[str, tuple[int, Cells]],
    listed: dict[str, str],
    index: sources.Index,
    options: MspPodcast,
) -> Iterator[str]:
    unknown = [row for row in rows if row["speaker"].startswith("unknown_")]
    if options.unknown == "drop":
        yield f"{sources.count(len(labels) - len(rows), 'utterance')} of unknown speakers left out"
    elif unknown:
        people = len({row["speaker"] for row in unknown})
        yield (
            f"{sources.count(len(unknown), 'utterance')} of unknown speakers count as {people:,} speakers, one a "
            f"{options.unknown}"
        )
    parts: dict[str, set[str]] = {}
    for row in unknown:
        parts.setdefault(row["speaker"], set()).add(row["partition"])
    if shared := sum(len(each) > 1 for each in parts.values()):
        yield f"{sources.count(shared, 'podcast')} with unknown speakers in several partitions: these count as shared"
    moved = sum(listed.get(row["utterance_id"], row["partition"]) != row["partition"] for row in rows)
    if moved:
        yield f"{sources.count(moved, 'utterance')} in another partition in Partitions.txt; the labels' own is used"
    strangers = sum(bool(_NAME.fullmatch(name)) and name not in labels for name in index)
    if strangers:
        yield f"{sources.count(strangers, 'recording')} without labels left aside (Test3's are not public)"


READER = Reader(
    name="msp_podcast",
    title="MSP-Podcast",
    citation="Lotfian and Busso 2019",
    layout="MSP-Podcast's Labels, Audios and Transcripts",
    options=MspPodcast,
    read=read,
    published=(
        Published(
            title="partitions of release 1.11 (other releases hold other numbers)",
            source="the release's documentation",
            counts={"Train": 84030, "Development": 19815, "Test1": 30647, "Test2": 14815},
            column="partition",
        ),
    ),
)
