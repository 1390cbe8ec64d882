"""IEMOCAP (Busso et al. 2008) as released: sentences, transcriptions and the evaluators' summaries of each dialogue."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import Field

from trainables.corpora import sources
from trainables.corpora.reader import Options, Published, Reader, Row, Tree
from trainables.errors import InputError

_NUMBER = r"-?\d+(?:\.\d+)?"
#: ``[6.2901 - 8.2357]	Ses01F_impro01_F000	neu	[2.5000, 2.5000, 2.5000]``
_SUMMARY = re.compile(
    rf"\[(?P<start>{_NUMBER})\s*-\s*(?P<end>{_NUMBER})\]\s+(?P<id>\S+)\s+(?P<label>[a-z]+)\s+"
    rf"\[(?P<valence>{_NUMBER}),\s*(?P<activation>{_NUMBER}),\s*(?P<dominance>{_NUMBER})\]"
)
_ID = re.compile(r"(?P<dialogue>(?P<session>Ses\d\d)[FM]_(?P<kind>impro|script)\w+?)_(?P<who>[FM])\d+")
#: ``Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.``
_SPOKEN = re.compile(r"(?P<id>Ses\S+)\s+\[[\d.\s-]+\]:\s?(?P<text>.*)")
_SCENARIOS = {"impro": "improvised", "script": "scripted"}


class Iemocap(Options):
    """Options of the reader."""

    classes: dict[str, str] = Field(
        {
            "ang": "angry",
            "hap": "happy",
            "exc": "happy",
            "neu": "neutral",
            "sad": "sad",
        }
    )
    """Class of each of the corpus's categories: the usual four, ``exc`` merged into happy. Others, and ``xxx`` (no
    majority), get none."""


def read(source: Path, options: Iemocap) -> Tree:
    """Every utterance that was evaluated; its category is the majority's that the corpus gives.

    Raises:
        InputError: If a session lacks its folders, or a summary line cannot be read.
    """
    tree, unknown = Tree(), 0
    for session in _sessions(source):
        spoken = _transcripts(session / "dialog" / "transcriptions")
        for file in _summaries(session):
            tree.rows += _dialogue(file, session, spoken)
        unknown += len(spoken.keys() - {row["utterance_id"] for row in tree.rows})
    silent = sum(row["transcript"] is None for row in tree.rows)
    if silent:
        tree.notes.append(f"{sources.count(silent, 'utterance')} without a transcript")
    if unknown:
        tree.notes.append(f"{sources.count(unknown, 'transcript')} of turns that nobody evaluated left aside")
    return tree


def _sessions(source: Path) -> list[Path]:
    sources.folder(source, READER.layout)
    for pattern in ("Session[1-5]", "*/Session[1-5]"):
        found = sorted(each for each in source.glob(pattern) if each.is_dir())
        if found:
            return found
    raise InputError(f"{source}: holds no folder Session1 to Session5; give the folder that holds {READER.layout}")


def _summaries(session: Path) -> list[Path]:
    for part in ("dialog/EmoEvaluation", "sentences/wav"):
        if not (session / part).is_dir():
            raise InputError(f"{session}: has no folder {part}; copy the whole session, or remove it")
    found = [each for each in sorted((session / "dialog/EmoEvaluation").glob("*.txt")) if not sources.hidden(each.name)]
    if not found:
        raise InputError(f"{session / 'dialog/EmoEvaluation'}: holds no *.txt; copy it again")
    return found


def _transcripts(folder: Path) -> dict[str, str]:
    if not folder.is_dir():
        return {}
    matches = [
        _SPOKEN.fullmatch(line.strip())
        for path in sorted(folder.glob("*.txt"))
        if not sources.hidden(path.name)
        for line in sources.lines(path)
    ]
    return {match["id"]: match["text"].strip() for match in matches if match}


def _dialogue(path: Path, session: Path, spoken: dict[str, str]) -> list[Row]:
    """The utterances of one dialogue, turns in the order of their start."""
    found = []
    # Lines of single evaluators (C-E2:, A-E3:, ...) and the heading are the corpus's business.
    for number, line in enumerate(sources.lines(path), start=1):
        if line.startswith("["):
            found.append(_utterance(path, number, line.strip(), session, spoken))
    if not found:
        raise InputError(f"{path}: holds no line like '[6.2901 - 8.2357] Ses01F_impro01_F000 neu [...]'; copy it again")
    found.sort(key=lambda row: (row["dialogue_start"], row["dialogue_end"], row["utterance_id"]))
    for turn, row in enumerate(found):
        row["turn"] = turn
    return found


def _utterance(path: Path, number: int, line: str, session: Path, spoken: dict[str, str]) -> Row:
    match = _SUMMARY.fullmatch(line)
    if not match:
        raise sources.malformed(path, number, line, "[start - end] name category [valence, activation, dominance]")
    name = _ID.fullmatch(match["id"])
    if not name or name["dialogue"] != path.stem:
        raise sources.malformed(path, number, match["id"], f"an utterance of dialogue {path.stem}")
    return {
        "utterance_id": match["id"],
        "speaker": name["session"] + name["who"],
        "session": name["session"],
        "gender": name["who"].lower(),
        "dialogue": name["dialogue"],
        "label_raw": match["label"],
        "scenario": _SCENARIOS[name["kind"]],
        "dialogue_start": float(match["start"]),
        "dialogue_end": float(match["end"]),
        **{name: float(match[name]) for name in ("valence", "activation", "dominance")},
        "transcript": spoken.get(match["id"]),
        "recording": session / "sentences" / "wav" / name["dialogue"] / f"{match['id']}.wav",
    }


READER = Reader(
    name="iemocap",
    title="IEMOCAP",
    citation="Busso et al. 2008",
    layout="IEMOCAP's Session1 to Session5",
    options=Iemocap,
    read=read,
    published=(
        Published(
            title="four classes, excitement with happiness",
            source="Liang et al. 2020, table 1; Sun et al. 2024, table 1",
            counts={"angry": 1103, "happy": 1636, "neutral": 1708, "sad": 1084},
            groups={"session": tuple(f"Ses0{number}" for number in range(1, 6))},
        ),
        Published(
            title="all utterances",
            source="Liang et al. 2020, section 4.1",
            counts={"iemocap": 10039},
            column="corpus",
            groups={"session": tuple(f"Ses0{number}" for number in range(1, 6))},
        ),
    ),
)
