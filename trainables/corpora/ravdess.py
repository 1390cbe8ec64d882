"""RAVDESS (Livingstone and Russo 2018), audio of the speech part: file names say all there is."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import Field

from trainables.corpora import sources
from trainables.corpora.reader import Options, Published, Reader, Tree
from trainables.errors import InputError

_NAME = re.compile(
    r"(?P<modality>\d\d)-(?P<channel>\d\d)-(?P<emotion>\d\d)-(?P<intensity>\d\d)-(?P<statement>\d\d)-"
    r"(?P<repetition>\d\d)-(?P<actor>\d\d)"
)
_STATEMENTS = {1: "Kids are talking by the door.", 2: "Dogs are sitting by the door."}
_AUDIO_ONLY, _SPEECH, _SONG = "03", "01", "02"


class Ravdess(Options):
    """Options of the reader."""

    classes: dict[str, str] = Field(
        {
            "01": "neutral",
            "02": "calm",
            "03": "happy",
            "04": "sad",
            "05": "angry",
            "06": "fear",
            "07": "disgust",
            "08": "surprise",
        }
    )
    """Class of each code of a file's name; a code that is not named here gets none."""
    song: bool = False
    """Whether to read the song part too (column ``vocal``)."""


def read(source: Path, options: Ravdess) -> Tree:
    """One utterance a file. Each actor is a session, each statement a dialogue, since its text repeats.

    Raises:
        InputError: If there is no file of such a name.
    """
    index = sources.Index(sources.folder(source, READER.layout))
    named = {stem: match for stem in index if (match := _NAME.fullmatch(stem))}
    wanted = {_SPEECH, _SONG} if options.song else {_SPEECH}
    used = {stem: each for stem, each in named.items() if each["modality"] == _AUDIO_ONLY and each["channel"] in wanted}
    if not used:
        raise InputError(
            f"{source}: holds no speech recording called like 03-01-06-01-02-01-12.wav; "
            "give the folder that holds Actor_01 to Actor_24"
        )
    tree = Tree()
    for stem, match in used.items():
        part = {name: int(match[name]) for name in ("intensity", "statement", "repetition", "actor")}
        speaker = f"actor_{match['actor']}"
        tree.rows.append(
            {
                "utterance_id": stem,
                "speaker": speaker,
                "session": speaker,
                "gender": "m" if part["actor"] % 2 else "f",
                "dialogue": f"statement_{part['statement']}",
                "turn": part["repetition"] - 1,
                "label_raw": match["emotion"],
                "vocal": "song" if match["channel"] == _SONG else "speech",
                **{name: part[name] for name in ("intensity", "statement", "repetition")},
                "transcript": _STATEMENTS.get(part["statement"]),
                "recording": index[stem],
            }
        )
    tree.notes = [*_aside(len(named) - len(used), len(index) - len(named)), *index.notes()]
    return tree


def _aside(others: int, strange: int) -> list[str]:
    notes = []
    if others:
        notes.append(f"{sources.count(others, 'file')} of the song part or of videos left aside")
    if strange:
        notes.append(f"{sources.count(strange, 'audio file')} with other names left aside")
    return notes


READER = Reader(
    name="ravdess",
    title="RAVDESS",
    citation="Livingstone and Russo 2018",
    layout="RAVDESS's Actor_01 to Actor_24 with files such as 03-01-06-01-02-01-12.wav",
    options=Ravdess,
    read=read,
    published=(
        Published(
            title="speech",
            source="Livingstone and Russo 2018: 24 actors, 60 files each",
            counts={
                "angry": 192,
                "calm": 192,
                "disgust": 192,
                "fear": 192,
                "happy": 192,
                "neutral": 96,
                "sad": 192,
                "surprise": 192,
            },
            where={"vocal": "speech"},
            groups={"speaker": tuple(f"actor_{number:02d}" for number in range(1, 25))},
        ),
    ),
)
